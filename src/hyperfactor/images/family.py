"""What a family of pictures is: it renders factor values, and reads them back from pictures."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from hyperfactor.factors.space import FactorSpace
from hyperfactor.strict import Open


@dataclass(frozen=True)
class Reading:
    """What was read from n pictures of k factors.

    Attributes
    ----------
    values : (n, k)
        The nearest factor values, in the factors' units; NaN where a picture does not tell a factor.
    fit : (n,)
        Correlation of each picture with the picture at its values, in [-1, 1].
    """

    values: Float[np.ndarray, "n k"]
    fit: Float[np.ndarray, " n"]


class Family(Open):
    """Pictures of some factors, whose truth is known in closed form.  `family` names it in a spec.

    A subclass gives `shape`, `space`, `render` and `read`.

    Attributes
    ----------
    resolution : float
        How far values read from true pictures may be from the truth, in each factor's unit.
    """

    tag: ClassVar[str] = "family"
    usual: ClassVar[str | None] = "bump"
    resolution: ClassVar[float] = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a picture."""
        raise NotImplementedError

    @property
    def background(self) -> float:
        """The brightness where nothing is drawn."""
        return 0.0

    def space(self) -> FactorSpace:
        """The factors."""
        raise NotImplementedError

    def render(self, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c h w"]:
        """The true picture at each point, in [0, 1], float64."""
        raise NotImplementedError

    def read(self, images: Float[np.ndarray, "n c h w"]) -> Reading:
        """The factor values of each picture, and how well the picture at these values fits it."""
        raise NotImplementedError

    def shown(self, points: Float[np.ndarray, "n k"]) -> Bool[np.ndarray, "n k"]:
        """Which factors are visible at each point."""
        return np.ones(points.shape, dtype=bool)

    def difference(
        self, values: Float[np.ndarray, "... k"], points: Float[np.ndarray, "... k"]
    ) -> Float[np.ndarray, "... k"]:
        """How far values are from the points asked for, factor by factor, by the shortest way that a picture allows.

        A family with symmetries, such as a square that looks the same after a quarter turn, says so here.
        """
        return self.space().difference(values, points)


def correlation(images: Float[np.ndarray, "n ..."], others: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, " n"]:
    """Pearson's correlation of each picture with its other, over all channels and pixels; 0 for an even picture."""
    flat = (len(images), math.prod(images.shape[1:]))
    return (unit(images.reshape(flat)) * unit(others.reshape(flat))).sum(axis=1)


def unit(rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """Each row with mean 0 and norm 1; an even row is all 0."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 1e-9)
