"""The steps of a representation along its factors, as unit vectors, and the choice of those that are compared.

A *curve* of factor p is what R draws when p alone varies: R[:, j] for p = x. Its *steps* are
D_x[i, j] = R[i + lag, j] - R[i, j]. If the factor wraps round, the last values step to the first.

The number of pairs of steps grows with the square of the number of steps. If there are more than PAIRS pairs of a kind,
a random part of the curves stands for all (and of the steps, if one curve has more than PAIRS pairs); the seed decides
which. Up to 64 x 64, or 12 x 12 x 12, all are taken.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.measures.normalised import Normalised
from hyperfactor.measures.readings import inner, squared_lengths

PAIRS = 2**17  # largest number of pairs of steps, of each kind


def unit_steps(
    R: Normalised, wraps: Sequence[bool], lag: int, name: str = "R", kept: Sequence[np.ndarray] | None = None
) -> list[np.ndarray]:
    """Return the steps of each factor as unit vectors.

    With several readings, a step is in units of the length of its signal.

    Parameters
    ----------
    R : Normalised
        Readings (m, n_1, ..., n_k, d).
    wraps : sequence of bool
        For each factor whether the last value is followed by the first.
    lag : int
        Lattice steps in a step of R.
    name : str
        What error messages call R.
    kept : sequence of (c,) of int, optional
        For each factor the curves whose steps are wanted, in the order of the other factors' values. Default: all.

    Returns
    -------
    list of (m, n, ..., d)
        The steps of each factor, whose axis follows that of the readings. A step without length is NaN, and so is one
        that is not wanted.

    Raises
    ------
    RequestError
        If a factor has too few values for two steps, or none of its steps has a length.
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
        if kept is None:
            length = np.sqrt(squared_lengths(step).clip(min=0))
        else:
            of_curves = step.reshape(*step.shape[:2], -1, step.shape[-1])
            length = np.zeros(of_curves.shape[1:3])
            length[:, kept[axis]] = np.sqrt(squared_lengths(of_curves[:, :, kept[axis]]).clip(min=0))
            length = length.reshape(step.shape[1:-1])
        none = length <= R.least
        if none.all():
            alone = "points that do not depend on it, needs some that do"
            noisy = "steps that are no longer than their noise, needs longer ones, or more readings"
            raise RequestError(f"{name}, factor {axis}: got {noisy if len(step) > 1 else alone}")
        step /= np.where(none, np.nan, length)[..., None]
        steps.append(step)
    return steps


def same_steps(steps: Float[np.ndarray, "m n *c d"]) -> float:
    """Return the mean cosine of the same step in two readings."""
    unit = steps / np.linalg.norm(steps, axis=-1, keepdims=True)
    return float(np.nanmean(inner(unit, unit)))


def part(u: np.ndarray, factor: int, across: bool, seed: int) -> tuple[Float[np.ndarray, "m n c d"], np.ndarray]:
    """Choose steps of a factor for comparison in pairs.

    There are at most PAIRS pairs of equal steps of two curves (`across`), or of two steps of one curve. Curves without
    any step are left out.

    Parameters
    ----------
    u : (m, n, ..., d)
        Steps of the factor, as `unit_steps` gives them.
    factor : int
        Position of the factor.
    across : bool
        Whether pairs are of two curves.
    seed : int
        Seed of the choice.

    Returns
    -------
    steps : (m, n, c, d)
        The chosen steps, by curve.
    numbers : (n,)
        Their numbers along the curve.
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
    """Return all the numbers, or `most` of them at random, in order."""
    return numbers if len(numbers) <= most else np.sort(generator.choice(numbers, most, replace=False))


def matched(steps: list[np.ndarray], p: int, q: int) -> np.ndarray:
    """Return the cosines of the steps of two factors from each lattice point that has both.

    Parameters
    ----------
    steps : list of (m, n, ..., d)
        Steps of each factor, as `unit_steps` gives them.
    p, q : int
        Positions of the factors.

    Returns
    -------
    (n_1, ..., n_k)
        The cosines, in R's order.
    """
    a, b = np.moveaxis(steps[p], 1, p + 1), np.moveaxis(steps[q], 1, q + 1)
    common = tuple(slice(min(m, n)) for m, n in zip(a.shape[:-1], b.shape[:-1], strict=True))
    return inner(a[common], b[common])


def defined(values: np.ndarray) -> np.ndarray:
    """Return the values that are not NaN, in one axis."""
    return values[~np.isnan(values)]
