"""What can be studied: a run, a module that a user brings, a saved array, in whole or in part."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from hyperfactor.errors import RequestError
from hyperfactor.factors.space import FactorSpace
from hyperfactor.measures.accuracy import Accuracy


def checked_points(space: FactorSpace, points: Any) -> Float[np.ndarray, "n k"]:
    """Validate points as `FactorSpace.check` does. There must be at least one."""
    checked = space.check(points)
    if not len(checked):
        raise RequestError("factors: got no rows, needs at least one")
    return checked


class Subject(Protocol):
    """Some factors, and a representation of them.

    Attributes
    ----------
    space : FactorSpace
        The factors.
    """

    @property
    def space(self) -> FactorSpace: ...

    def activations(self, layers: Any, timestep: Any = 0, factors: Any = None, step: Any = None) -> dict[str, Any]:
        """Return the outputs of layers.

        Parameters
        ----------
        layers : str or sequence of str
            Names of layers.
        timestep : int or sequence of int
            Timestep of diffusion; 0 for the finished picture.
        factors : (n, k), optional
            Points. Default: the whole lattice.
        step : int, optional
            Step of training. Default: the last.

        Returns
        -------
        dict of str to array
            For each layer (n, d) at the points, or (n_1, ..., n_k, d) on the lattice.
        """
        ...


@runtime_checkable
class Model(Subject, Protocol):
    """A subject that draws, and whose layers can be recorded."""

    def sample(self, factors: Float[np.ndarray, "n k"], seed: int = 0) -> Float[np.ndarray, "n c h w"]:
        """Draw a picture, float32, at each row of factor values."""
        ...

    def axes(self) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """Return the values of each factor on the lattice where the model is studied unless points are given."""
        ...

    def default_layers(self) -> Sequence[str]:
        """Return the layers that are studied unless some are given."""
        ...

    def assess(self, images: Float[np.ndarray, "n c h w"], points: Float[np.ndarray, "n k"]) -> Accuracy:
        """Judge drawings by the requested points; raise RequestError if nothing tells what they show."""
        ...

    def reading_errors(self) -> dict[str, float] | None:
        """Return how often factors are read wrong from true pictures, by factor; None if this was not measured."""
        ...
