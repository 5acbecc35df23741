"""The form in which measures see values: the centre is 0, and the largest is of order 1.

An exact power of two, the *unit*, scales the largest value to between 1 and 4. Neither the scale of the given values
(from 1e-300 to 1e300) nor their position then matters. float64 holds 16 digits of each number, so a cloud that lies s
radii from 0 keeps 16 - log10(s) digits.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from hyperfactor import rng
from hyperfactor.errors import RequestError

NEAR = 1e-5  # share of a cloud's radius: points nearer to each other than this count as one
SIDES = 4  # dimensions in which near points are searched for


@dataclass(frozen=True)
class Normalised:
    """Values with centre 0, the largest between 1 and 4.

    Attributes
    ----------
    values : (..., d)
        The given values minus their centre, divided by `unit`.
    unit : float
        A power of two, in units of the given numbers.
    rounding : float
        Largest error of a value by the rounding of float64, in units.
    """

    values: np.ndarray
    unit: float
    rounding: float

    @cached_property
    def radius(self) -> float:
        """Root mean square distance of the points from their mean, in units."""
        return math.sqrt(np.mean(np.sum(self.values**2, axis=-1)))

    @cached_property
    def least(self) -> float:
        """Distance, in units, below which two points may be equal but for rounding."""
        return max(1e-12 * self.radius, 8 * self.rounding * math.sqrt(self.values.shape[-1]))


def normalised(values: Float[np.ndarray, "*n d"]) -> Normalised:
    """Return the values (n_1, ..., d) with centre 0 and of order 1."""
    first = _exponent(values)
    scaled = np.ldexp(values, -first)
    centred = scaled - scaled.mean(axis=tuple(range(values.ndim - 1)))
    second = min(_exponent(centred), 1023 - first)  # 2^1024 is infinite
    rounding = math.ldexp(np.finfo(np.float64).eps, -second)
    return Normalised(np.ldexp(centred, -second), math.ldexp(1.0, first + second), rounding)


def normalised_readings(values: Float[np.ndarray, "m *n d"]) -> Normalised:
    """Return readings (m, n_1, ..., d) in one unit, each with centre 0."""
    found = normalised(values)
    if len(values) == 1:
        return found
    return replace(found, values=found.values - found.values.mean(axis=tuple(range(1, values.ndim - 1)), keepdims=True))


def distinct(values: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " m"]:
    """Return the indices of the points without repetitions, in an order that does not depend on the given order.

    Points nearer to each other than NEAR times the radius of the cloud (the root mean square distance of its points
    from their mean) count once. Of such points the first in lexicographic order is kept.

    Parameters
    ----------
    values : (n, d)
        Normalised points.
    """
    _, kept = np.unique(values, axis=0, return_index=True)
    cloud = values[kept]
    within = NEAR * np.sqrt(np.mean(np.sum((cloud - cloud.mean(axis=0)) ** 2, axis=1)))
    seen = cloud
    if cloud.shape[1] > SIDES:  # a projection makes no distance longer
        directions = rng.stream(0, "arrays.projection").normal(size=(cloud.shape[1], SIDES))
        seen = cloud @ np.linalg.qr(directions)[0]
    tree = KDTree(seen)
    alive = np.ones(len(cloud), dtype=bool)
    for i in np.flatnonzero(tree.query(seen, k=2)[0][:, 1] <= within):
        if alive[i]:
            others = np.array(tree.query_ball_point(seen[i], within))
            others = others[others > i]
            alive[others[np.linalg.norm(cloud[others] - cloud[i], axis=1) <= within]] = False
    return kept[alive]


def _exponent(values: np.ndarray) -> int:
    """e such that the largest magnitude lies in 2^e .. 2^(e + 1); 0 if all values are 0."""
    largest = max(float(values.max()), -float(values.min()))
    return math.frexp(largest)[1] - 1 if largest else 0


def varies(values: np.ndarray) -> bool:
    """Whether the points (..., d) differ by more than the rounding of float64."""
    flat = values.reshape(-1, values.shape[-1])
    if (flat == flat[0]).all():
        return False
    small = normalised(flat)
    return bool(small.radius > small.least)


def varied(values: np.ndarray, name: str) -> np.ndarray:
    """Return the values (..., d); raise RequestError if all points are equal."""
    if varies(values):
        return values
    flat = values.reshape(-1, values.shape[-1])
    but = "" if (flat == flat[0]).all() else " but for the rounding of float64"
    raise RequestError(f"{name}: got points that are all equal{but}, needs some that differ")
