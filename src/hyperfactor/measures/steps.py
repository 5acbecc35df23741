"""The steps of a representation along its factors, as unit vectors, and which of them are taken.

A *curve* of factor p is what R draws when p alone varies: R[:, j] for p = x.  Its *steps* are
D_x[i, j] = R[i + lag, j] - R[i, j].  Where the factor wraps round, the last values step to the first.

Pairs of steps grow as their square.  Where there are more than PAIRS pairs of a kind, a random part of the curves
stands for all (of the steps, too, where one curve has more than PAIRS pairs); the seed decides which.  Up to 64 x 64,
or 12 x 12 x 12, all are taken.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.measures.normalised import Normalised
from hyperfactor.measures.readings import inner, squared_lengths

PAIRS = 2**17  # of steps, of each kind


def unit_steps(R: Normalised, wraps: Sequence[bool], lag: int, name: str = "R") -> list[np.ndarray]:
    """The steps of each factor as unit vectors, (m, n, ..., d) with the axis of the factor after the readings.

    A step without length is NaN.  Of several readings a step is in units of the length of its signal.

    Parameters
    ----------
    R
        The readings, normalised, (m, n_1, ..., n_k, d).
    wraps
        For each factor whether the last value is followed by the first.
    lag
        Lattice steps to a step of R.
    name
        What messages call R.

    Raises
    ------
    RequestError
        Where a factor has too few values for two steps, or none of its steps has a length.
    """
    lag = arrays.whole(lag, "lag", 1)
    steps = []
    for axis, wrap in enumerate(wraps):
        n = R.values.shape[axis + 1]
        count = n if wrap else n - lag
        if count < 2 or lag >= n:
            least = lag + 1 if wrap else lag + 2
            raise RequestError(f"{name}, factor {axis}: got {n} lattice values, needs at least {least} at lag {lag}")
        moved = np.moveaxis(R.values, axis + 1, 1)
        step = np.roll(moved, -lag, axis=1)[:, :count]
        step -= moved[:, :count]
        length = np.sqrt(squared_lengths(step).clip(min=0))
        none = length <= R.least
        if none.all():
            beyond = " beyond their noise" if len(step) > 1 else ""
            raise RequestError(
                f"{name}, factor {axis}: got points that do not depend on it{beyond}, needs some that do"
            )
        step /= np.where(none, np.nan, length)[..., None]
        steps.append(step)
    return steps


def same_steps(steps: Float[np.ndarray, "m n *c d"]) -> float:
    """The mean cosine of the same step in two readings."""
    unit = steps / np.linalg.norm(steps, axis=-1, keepdims=True)
    return float(np.nanmean(inner(unit, unit)))


def part(u: np.ndarray, factor: int, across: bool, seed: int) -> tuple[Float[np.ndarray, "m n c d"], np.ndarray]:
    """The steps (m, n, ..., d) of a factor by curve, (m, n, c, d), and their numbers.

    There are at most PAIRS pairs of equal steps of two curves (`across`), or of two steps of a curve.  Curves without
    any step are left out.
    """
    u = u.reshape(*u.shape[:2], -1, u.shape[-1])
    curves = np.flatnonzero(~np.isnan(u[0, ..., 0]).all(axis=0))
    steps = np.arange(u.shape[1])
    generator = rng.stream(seed, "geometry.part", factor, int(across))
    most = PAIRS if across else math.isqrt(2 * PAIRS)
    steps = some(steps, most, generator)
    curves = some(
        curves,
        max(2, math.isqrt(2 * PAIRS // len(steps))) if across else max(1, 2 * PAIRS // len(steps) ** 2),
        generator,
    )
    return u[:, :, curves] if len(steps) == u.shape[1] else u[:, steps[:, None], curves], steps


def some(numbers: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """All the numbers, or `most` of them at random, in order."""
    return numbers if len(numbers) <= most else np.sort(generator.choice(numbers, most, replace=False))


def matched(steps: list[np.ndarray], p: int, q: int) -> np.ndarray:
    """Cosines of the steps of factors p and q from each lattice point where both have one, in R's order."""
    a, b = np.moveaxis(steps[p], 1, p + 1), np.moveaxis(steps[q], 1, q + 1)
    common = tuple(slice(min(m, n)) for m, n in zip(a.shape[:-1], b.shape[:-1], strict=True))
    return inner(a[common], b[common])


def defined(values: np.ndarray) -> np.ndarray:
    """The values that are not NaN, in one axis."""
    return values[~np.isnan(values)]
