"""What a model gets right that draws the nearest trained point, whatever point it is asked for."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from hyperfactor.factors.space import FactorSpace

COMPARED = 2**22  # numbers that are compared at a time, of requests and trained points
APART = 1e6  # tolerances between two categories, so that a point of the same category is always nearer


def copied(
    points: Float[np.ndarray, "n k"],
    trained: Float[np.ndarray, "m k"],
    space: FactorSpace,
    difference: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, "n k"]]:
    """Find the trained point nearest to each point, and the factors in which it is correct.

    Distances are measured in units of the factors' tolerances. A point of another category, or one that differs in a
    factor without tolerance, is therefore farther than any other. Of equally near points the first is taken. All n x m
    pairs are compared.

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
    """
    difference = difference or space.difference
    exact = [factor.kind == "categorical" or factor.tolerance == 0 for factor in space.factors]
    units = np.array([1 / APART if k else factor.tolerance for k, factor in zip(exact, space.factors, strict=True)])
    nearest = np.zeros(len(points), dtype=np.intp)
    some = max(1, COMPARED // trained.size)
    for i in range(0, len(points), some):
        away = difference(trained[None], points[i : i + some, None]) / units  # (some, m, k)
        nearest[i : i + some] = (away**2).sum(axis=2).argmin(axis=1)
    return nearest, space.close(difference(trained[nearest], points))
