"""What a model gets right that draws the nearest trained point, whatever point it is asked for."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from hyperfactor.errors import RequestError
from hyperfactor.factors.space import FactorSpace

COMPARED = 2**22  # numbers that are compared at a time, of requests and trained points
APART = 1e6  # tolerances between two categories, and in the unit of a factor without tolerance


def copied(
    points: Float[np.ndarray, "n k"],
    trained: Float[np.ndarray, "m k"],
    space: FactorSpace,
    difference: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, "n k"]]:
    """Find the trained point nearest to each point, and the factors in which it is correct.

    A point of another category, or one that differs in a factor without tolerance, is farther than any other: the
    trained points that differ in the fewest of these factors are compared. Distances between them are measured in units
    of the factors' tolerances. Of equally near points the first is taken. All n x m pairs are compared.

    Parameters
    ----------
    points : (n, k)
        Requested values, in the factors' units.
    trained : (m, k)
        Trained points.
    space : FactorSpace
        The factors, with their tolerances.
    difference : callable, optional
        Differences of values from points, (..., k) and (..., k) to (..., k), where symmetries make values equal (see
        `images.Family.difference`). Default: `space.difference`.

    Returns
    -------
    (n,), (n, k) of bool
        The index of the nearest trained point, and whether it is correct in each factor.

    Raises
    ------
    RequestError
        If there is no trained point.
    """
    if not trained.size:
        raise RequestError(f"trained: got an array of shape {trained.shape}, needs at least one point")
    difference = difference or space.difference
    exact = {k: f for k, f in enumerate(space.factors) if f.kind == "categorical" or f.tolerance == 0}
    units = np.array([1 / APART if k in exact else factor.tolerance for k, factor in enumerate(space.factors)])
    nearest = np.zeros(len(points), dtype=np.intp)
    some = max(1, COMPARED // trained.size)
    for i in range(0, len(points), some):
        away = difference(trained[None], points[i : i + some, None])  # (some, m, k)
        distance = ((away / units) ** 2).sum(axis=2)
        if exact:
            wrong = np.sum([~factor.close(away[..., k]) for k, factor in exact.items()], axis=0)
            distance[wrong > wrong.min(axis=1, keepdims=True)] = np.inf
        nearest[i : i + some] = distance.argmin(axis=1)
    return nearest, space.close(difference(trained[nearest], points))
