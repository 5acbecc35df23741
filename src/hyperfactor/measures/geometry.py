"""How factors are laid out in a representation.

A representation R has shape (n_1, ..., n_k, d): a vector of d numbers at each point of a lattice of k factors (see
`representation`). Its curves and steps are defined in `steps`, the ideal shapes in `references`. No measure here
changes when R is rotated, shifted, scaled as a whole, or embedded in more dimensions, within the precision of float64
(see `normalised`).

Noise. Each measure takes one array, or a list of two or more *readings*: arrays of the same lattice whose noise is
independent, such as drawings of the same factors with other noise. Inner products are then taken across readings (see
`readings`), so that noise cancels in expectation and the geometry of the signal is left. In a single array the noise is
part of the shape. With noise of variance tau^2 a point, spread over many dimensions, and steps of length L, the cosine
of equal steps falls to

    L^2 / (L^2 + 2 tau^2),

because each step has the noise of its two ends. On a Clifford torus of n values L is 2 sin(pi lag / n), so a share nu
of noise in the variance, tau^2 = 2 nu / (1 - nu), takes parallelism from 1 to 1 / 2 at nu = L^2 / (L^2 + 4): 1 % for 32
values. The *ceiling* of a statistic is its value for equal steps, or equal curves, of two readings.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays
from hyperfactor.errors import RequestError, quoted
from hyperfactor.measures.additivity import Additivity, additivity
from hyperfactor.measures.comparison import Comparison, compare
from hyperfactor.measures.normalised import normalised
from hyperfactor.measures.readings import noise_share, products
from hyperfactor.measures.references import clifford_torus, hyper_factorized_torus, torus_3d
from hyperfactor.measures.representation import Given, Periodic, Representation, checked_points
from hyperfactor.measures.steps import defined, matched, part, same_steps, unit_steps
from hyperfactor.measures.subspaces import VARIANCE, overlaps

__all__ = [
    "Additivity", "Comparison", "DisplacementCosines", "additivity", "clifford_torus", "compare",
    "displacement_cosines", "hyper_factorized_torus", "subspace_overlap", "torus_3d",
]  # fmt: skip


@dataclass(frozen=True)
class DisplacementCosines:
    """Cosines between the steps of R; each array has one axis.

    With several readings each cosine is unbiased but noisy, and may lie outside -1 .. 1.

    Attributes
    ----------
    cross : (a,)
        Steps of two factors from the same lattice point, over all pairs of factors.
    across : tuple of (b,)
        For each factor its equal steps at two values of another factor, each pair once.
    within : tuple of (c,)
        For each factor its steps at two of its values, other factors equal, each pair once.
    separation : tuple of (c,)
        For each entry of `within` the distance of the two values, in lattice steps; the shorter way round if the factor
        wraps round.
    noise : float or None
        Share of a reading's variance over the lattice that is noise; None for a single reading.
    ceiling : tuple of float
        For each factor the mean cosine of equal steps in two readings, which is 1 without noise.
    """

    cross: np.ndarray
    across: tuple[np.ndarray, ...]
    within: tuple[np.ndarray, ...]
    separation: tuple[np.ndarray, ...]
    noise: float | None = None
    ceiling: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the number, the mean and the mean magnitude of each kind; None if there are no values."""

        def summary(values: np.ndarray) -> dict[str, float | int | None]:
            if not values.size:
                return {"n": 0, "mean": None, "mean_magnitude": None}
            return {"n": values.size, "mean": float(values.mean()), "mean_magnitude": float(np.abs(values).mean())}

        return {
            "cross": summary(self.cross),
            "across": [summary(values) for values in self.across],
            "within": [summary(values) for values in self.within],
            "noise": self.noise,
            "ceiling": list(self.ceiling),
        }


def displacement_cosines(
    R: Given, lag: int = 1, periodic: Periodic | None = None, seed: int = 0
) -> DisplacementCosines:
    """Measure the cosines between the steps of R.

    On a Clifford torus of n equal angles cross is 0, across 1, and within cos(2 pi (i - i') / n). For one-hot codes at
    lag 1 they are 0, 1, and -1/2 between neighbours and 0 beyond. Steps of a categorical factor lead from one category
    to the next in the order in which they are listed, so its cosines depend on that order.

    Parameters
    ----------
    R : (n_1, ..., n_k, d), list of such arrays, or Representation
        A representation, or two or more readings of it.
    lag : int
        Lattice steps in a step of R.
    periodic : bool or sequence of bool, optional
        Whether the factors of an array wrap round: one value for all, or one for each. Default: they do.
    seed : int
        Seed of the choice of curves if there are too many (see `steps`).

    Returns
    -------
    DisplacementCosines
        A step of length 0 has no direction and is left out, so some of the arrays may be empty.

    Raises
    ------
    RequestError
        If R is no representation, a factor has too few values for two steps, or none of its steps has a length.
    """
    given = Representation.of(R, periodic=periodic)
    whole = given.normalised
    steps = unit_steps(whole, given.wraps, lag)
    across, within, separation = [], [], []
    for k, (u, axis, n) in enumerate(zip(steps, given.axes, given.sizes, strict=True)):
        curves, _ = part(u, k, True, seed)
        first, second = np.triu_indices(curves.shape[2], 1)
        across.append(defined(products(curves, curves)[:, first, second]))
        curves, numbers = part(u, k, False, seed)
        by_curve = curves.swapaxes(1, 2)
        first, second = np.triu_indices(len(numbers), 1)
        pairs = products(by_curve, by_curve)[:, first, second]
        within.append(defined(pairs))
        apart = numbers[second] - numbers[first]
        apart = np.minimum(apart, n - apart) if axis.wraps else apart
        separation.append(np.broadcast_to(apart, pairs.shape)[~np.isnan(pairs)])
    cross = [matched(steps, p, q).ravel() for p, q in combinations(range(len(steps)), 2)]
    return DisplacementCosines(
        defined(np.concatenate([np.zeros(0), *cross])), tuple(across), tuple(within), tuple(separation),
        noise_share(whole.values), tuple(same_steps(u) for u in steps) if given.several else (),
    )  # fmt: skip


def subspace_overlap(A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "m d"], variance: float = VARIANCE) -> float:
    """Return the share of the variance of the curve A that lies in the leading principal subspace of B.

    Both curves are centred. The share is 1 for curves in one plane, and 0 for orthogonal ones.

    Parameters
    ----------
    A : (n, d)
        Points along a curve.
    B : (m, d)
        Points along another curve.
    variance : float
        Share of B's variance, in (0, 1]. The subspace is the smallest of its principal subspaces with at least this
        share.

    Raises
    ------
    RequestError
        If A or B is no cloud of points, for different dimensions, and for another `variance`.
    """
    A, B = checked_points(A, "A"), checked_points(B, "B")
    if A.shape[1] != B.shape[1]:
        raise RequestError(f"A and B: got {A.shape[1]} and {B.shape[1]} dimensions, needs the same")
    if not 0 < arrays.real(variance) <= 1:
        raise RequestError(f"variance: got {quoted(variance)}, needs a number above 0 and at most 1")
    A, B = normalised(A).values, normalised(B).values
    return float(overlaps(A[None], B[None], variance)[0, 0])
