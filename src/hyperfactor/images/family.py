"""Families of pictures: a family renders factor values as pictures, and reads factor values from pictures."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from hyperfactor.factors.space import FactorSpace
from hyperfactor.strict import Open


@dataclass(frozen=True)
class Reading:
    """What a family reads from n pictures of k factors.

    Attributes
    ----------
    values : (n, k)
        The nearest factor values, in the factors' units. NaN where a picture does not show a factor.
    fit : (n,)
        Correlation of each picture with the true picture at its values, in [-1, 1].
    """

    values: Float[np.ndarray, "n k"]
    fit: Float[np.ndarray, " n"]


class Family(Open):
    """Pictures of some factors, with a closed form. `family` chooses it in a spec.

    A subclass gives `shape`, `space`, `render` and `read`.

    Attributes
    ----------
    resolution : float
        Largest error of the values read from true pictures, in each factor's unit.
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
        """Brightness where nothing is drawn, in [0, 1]."""
        return 0.0

    def space(self) -> FactorSpace:
        """The factors."""
        raise NotImplementedError

    @property
    def widths(self) -> tuple[float, ...] | None:
        """Width of what is drawn along each factor, in the factor's unit; None, the default, if it has none."""
        return None

    def check(self, points: Float[np.ndarray, "n k"]) -> None:
        """Raise `RequestError` if there is no picture at a point of the space. A family of a closed form has all."""

    def render(self, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c h w"]:
        """The true picture at each point.

        Parameters
        ----------
        points : (n, k)
            Factor values, in the factors' units.

        Returns
        -------
        (n, c, h, w)
            Pictures in [0, 1], float64.
        """
        raise NotImplementedError

    def read(self, images: Float[np.ndarray, "n c h w"]) -> Reading:
        """Read the factor values of each picture, and how well the true picture at these values fits it.

        Parameters
        ----------
        images : (n, c, h, w)
            Pictures; values outside [0, 1] are allowed.

        Returns
        -------
        Reading
            Values and fit of each picture.
        """
        raise NotImplementedError

    def shown(self, points: Float[np.ndarray, "n k"]) -> Bool[np.ndarray, "n k"]:
        """Which factors are visible at each point. Default: all.

        Parameters
        ----------
        points : (n, k)
            Factor values, in the factors' units.

        Returns
        -------
        (n, k) of bool
            True for each visible factor.
        """
        return np.ones(points.shape, dtype=bool)

    def difference(
        self, values: Float[np.ndarray, "... k"], points: Float[np.ndarray, "... k"]
    ) -> Float[np.ndarray, "... k"]:
        """Differences of values from the points asked for, factor by factor.

        The default is `FactorSpace.difference`. A family with symmetries, such as a square that looks the same after a
        quarter turn, overrides this and returns the smallest of the equivalent differences.

        Parameters
        ----------
        values, points : (..., k)
            Values read and values asked for, in the factors' units.

        Returns
        -------
        (..., k)
            values - points.
        """
        return self.space().difference(values, points)


def correlation(images: Float[np.ndarray, "n ..."], others: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, " n"]:
    """Pearson's correlation of each picture with its counterpart, over all channels and pixels.

    Parameters
    ----------
    images, others : (n, ...)
        Pictures of equal shapes.

    Returns
    -------
    (n,)
        In [-1, 1]; 0 if one of the two pictures is uniform.
    """
    flat = (len(images), math.prod(images.shape[1:]))
    return (unit(images.reshape(flat)) * unit(others.reshape(flat))).sum(axis=1)


def unit(rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """Scale each row to mean 0 and norm 1. A uniform row becomes 0."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 1e-9)
