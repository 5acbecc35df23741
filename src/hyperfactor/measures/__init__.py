"""Measures of drawings and representations: arrays in, frozen results out."""

from typing import TYPE_CHECKING

from hyperfactor import lazy

if TYPE_CHECKING:
    from hyperfactor.measures import (
        accuracy as accuracy,
        activations as activations,
        comparison as comparison,
        dimension as dimension,
        embedding as embedding,
        geometry as geometry,
        references as references,
        representation as representation,
        topology as topology,
    )
    from hyperfactor.measures.representation import Axis as Axis, Representation as Representation
else:
    __getattr__, __dir__, __all__ = lazy.attach(
        __name__,
        (
            "accuracy",
            "activations",
            "comparison",
            "dimension",
            "embedding",
            "geometry",
            "references",
            "representation",
            "topology",
        ),
        {
            "representation": ("Axis", "Representation"),
        },
    )
