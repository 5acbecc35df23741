"""What can be studied: a run, a module that a user brings, a saved array, in whole or in part."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from hyperfactor.factors.space import FactorSpace
from hyperfactor.measures.accuracy import Accuracy


class Subject(Protocol):
    """A subject: some factors, and what is made of them.

    Attributes
    ----------
    space : FactorSpace
        Its factors.
    """

    @property
    def space(self) -> FactorSpace: ...

    def activations(self, layers: Any, timestep: Any = 0, factors: Any = None, step: Any = None) -> dict[str, Any]:
        """What layers put out: for each an array (n, d) at factor values (n, k), (n_1, ..., n_k, d) on the lattice."""
        ...


@runtime_checkable
class Model(Subject, Protocol):
    """A subject that draws, and whose layers can be looked at."""

    def sample(self, factors: Float[np.ndarray, "n k"], seed: int = 0) -> Float[np.ndarray, "n c h w"]:
        """A picture, float32, for each row of factor values."""
        ...

    def axes(self) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """The values of each factor on the lattice where it is studied unless points are named."""
        ...

    def default_layers(self) -> Sequence[str]:
        """The layers that are studied unless some are named."""
        ...

    def assess(self, images: Float[np.ndarray, "n c h w"], points: Float[np.ndarray, "n k"]) -> Accuracy:
        """Which drawings show what was asked for; RequestError where nothing tells."""
        ...

    def reading_errors(self) -> dict[str, float] | None:
        """How often what tells the factors of drawings is wrong on true pictures, by factor; None: not measured."""
        ...
