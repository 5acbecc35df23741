"""Is a drawing right? Accuracy in each factor, validity, and the error to the truth.

Definitions, for a drawing requested at a point::

    read       the factor values that the family reads from the drawing
    correct    in a factor: the value read is within the factor's tolerance of the requested value, plus the resolution
               of reading; periods and symmetries are respected, and a category must be equal. A factor that is not
               visible at the point is not drawn, so it cannot be wrong; anything drawn for it makes the picture invalid
    all        correct in every factor
    valid      the correlation of the drawing with the ideal picture at the values read is at least 0.9, so two bumps,
               or nothing, do not count
    right      all and valid
    error      sum of squared differences from the true picture, divided by the sum of squares of the true picture; both
               are measured from the background
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hyperfactor import arrays
from hyperfactor.errors import RequestError
from hyperfactor.factors.copying import copied
from hyperfactor.factors.space import FactorSpace
from hyperfactor.images.family import Family, Reading, correlation

VALID_CORRELATION = 0.9


@dataclass(frozen=True)
class Accuracy:
    """The judgement of n drawings of k factors.

    Attributes
    ----------
    read : (n, k)
        Values read, in the factors' units; NaN if a drawing does not show a factor.
    correct : (n, k)
        Whether each drawing is correct in each factor.
    all, valid, right : (n,)
        Whether each drawing is correct in every factor, is valid, and both.
    error : (n,)
        Relative squared error to the truth; NaN if the truth has no closed form.
    """

    read: Float[np.ndarray, "n k"]
    correct: Bool[np.ndarray, "n k"]
    all: Bool[np.ndarray, " n"]
    valid: Bool[np.ndarray, " n"]
    right: Bool[np.ndarray, " n"]
    error: Float[np.ndarray, " n"]


def measure(images: Float[np.ndarray, "n c h w"], points: Float[np.ndarray, "n k"], family: Family) -> Accuracy:
    """Judge drawings against the closed form of their family.

    Parameters
    ----------
    images : (n, c, h, w)
        Drawings, in [0, 1].
    points : (n, k)
        Requested values, in the factors' units.
    family : Family
        Family of the drawings.

    Raises
    ------
    RequestError
        If the shapes do not match.
    """
    images, points = arrays.numbers(images, "images"), arrays.numbers(points, "points")
    needed = (len(points), *family.shape)
    if images.shape != needed:
        raise RequestError(f"images: got an array of shape {images.shape}, needs {needed}")
    read, shown = family.read(images).values, family.shown(points)
    correct = family.space().close(family.difference(read, points), family.resolution) | ~shown

    ideal = family.render(np.where(shown & np.isfinite(read), read, points))
    truth = family.render(points)
    rest = tuple(range(1, images.ndim))
    scale = ((truth - family.background) ** 2).sum(axis=rest)
    difference = ((images - truth) ** 2).sum(axis=rest)
    error = np.divide(difference, scale, out=np.full(len(points), np.inf), where=scale > 0)
    every, valid = np.all(correct, axis=1), correlation(images, ideal) >= VALID_CORRELATION
    return Accuracy(read, correct, every, valid, every & valid, error)


def measure_by_reading(reading: Reading, points: Float[np.ndarray, "n k"], space: FactorSpace) -> Accuracy:
    """Judge drawings that have no closed form by the values read from them.

    Parameters
    ----------
    reading : Reading
        Values read from the n drawings. Its fit stands for the correlation with the ideal picture.
    points : (n, k)
        Requested values, in the factors' units.
    space : FactorSpace
        Factors, with their tolerances.

    Raises
    ------
    RequestError
        If the shapes do not match.
    """
    values, fit = arrays.numbers(reading.values, "read: values"), arrays.numbers(reading.fit, "read: fit")
    if values.shape != points.shape or fit.shape != points.shape[:1]:
        raise RequestError(
            f"read: got values of shape {values.shape} and fit of shape {fit.shape}, needs {points.shape} and "
            f"{points.shape[:1]}"
        )
    correct = space.close(space.difference(values, points))
    every, valid = np.all(correct, axis=1), fit >= VALID_CORRELATION
    return Accuracy(values, correct, every, valid, every & valid, np.full(len(points), np.nan))


def copying_baseline(
    points: Float[np.ndarray, "n k"], trained: Float[np.ndarray, "m k"], family: Family
) -> Bool[np.ndarray, "n k"]:
    """Find which factors a model that draws the nearest trained point gets right.

    `copied` says which point is nearest. A factor that is not visible at the point asked for cannot be wrong.

    Parameters
    ----------
    points : (n, k)
        Requested values, in the factors' units.
    trained : (m, k)
        Trained points.
    family : Family
        Family of the drawings.

    Returns
    -------
    (n, k)
        Whether the copy is correct in each factor.
    """
    nearest, close = copied(points, trained, family.space(), family.difference)
    return (close & family.shown(trained)[nearest]) | ~family.shown(points)
