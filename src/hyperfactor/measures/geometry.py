"""How factors are laid out in a representation.

A representation R has shape (n_1, ..., n_k, d): a vector of d numbers at each point of a lattice of k factors (see
`representation`). Its curves and steps are defined in `steps`, ideal shapes in `references`. No measure here changes
when R is rotated, shifted, scaled as a whole, or embedded in more dimensions, as far as float64 holds it (see
`arrays`).

Noise. Each measure takes one array, or a list of two or more *readings*: arrays of the same lattice whose noise is
independent, such as drawings of the same factors with other noise. Inner products are then taken across readings (see
`readings`), so that noise cancels in expectation and what is left is the geometry of the signal. Of one array the
noise is part of the shape. With noise of variance tau^2 a point, spread over many dimensions, and steps of length L,
the cosine of equal steps falls to

    L^2 / (L^2 + 2 tau^2),

because each step has the noise of its two ends; on a Clifford torus of n values L is 2 sin(pi lag / n), so a share nu
of noise in the variance, tau^2 = 2 nu / (1 - nu), takes parallelism from 1 to 1 / 2 at nu = L^2 / (L^2 + 4): 1 % for 32
values. The *ceiling* of a statistic is what equal steps, or equal curves, of two readings show.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from hyperfactor.errors import RequestError
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
    """Cosines between the steps of R; each array is one-dimensional.

    Of several readings each cosine is without bias but not without noise, and may lie outside -1 .. 1.

    Parameters
    ----------
    cross
        Steps of two factors from the same lattice point, over all pairs of factors.
    across
        For each factor its equal steps where another factor differs, each pair once.
    within
        For each factor its steps at two of its values, other factors equal, each pair once.
    separation
        For each entry of `within` how far apart the two values are, in lattice steps; the shorter way round where the
        factor wraps round.
    noise
        Share of a reading's variance over the lattice that is noise; None for a single array.
    ceiling
        For each factor the mean cosine of equal steps in two readings: what noise leaves of 1.
    """

    cross: np.ndarray
    across: tuple[np.ndarray, ...]
    within: tuple[np.ndarray, ...]
    separation: tuple[np.ndarray, ...]
    noise: float | None = None
    ceiling: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Mean, and mean magnitude, of each kind; None where there are no values."""

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
    """How the steps of R point.

    Truths: on a Clifford torus of n equal angles cross is 0, across 1, within cos(2 pi (i - i') / n);
    for one-hot codes at lag 1, 0, 1, and -1/2 between neighbours, 0 beyond.

    Parameters
    ----------
    R
        Shape (n_1, ..., n_k, d), a list of two or more readings of that shape, or a `Representation`.
    lag
        Lattice steps to a step of R.
    periodic
        Whether the factors of an array wrap round: one value for all, or one for each. None: they do.
    seed
        Of the curves that stand for all where there are too many (see `steps`).

    Returns
    -------
    The cosines. A step of length 0 has no direction and is left out, so some of the arrays may be empty.

    Raises
    ------
    RequestError
        For what is no representation, where a factor has too few values for two steps, or none of its steps has a
        length.
    """
    given = Representation.of(R, periodic=periodic)
    whole = given.normalised()
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
    """The share of the variance of the curve A that lies in the leading principal subspace of B.

    Both curves are centred. It is 1 for curves in one plane, and 0 for orthogonal ones.

    Parameters
    ----------
    A, B
        Points along each curve, shapes (n, d) and (m, d).
    variance
        The subspace is the smallest of B's principal subspaces with at least this share of its variance.

    Raises
    ------
    RequestError
        For what is no cloud of points, different dimensions, and a share that is not above 0 and at most 1.
    """
    A, B = checked_points(A, "A"), checked_points(B, "B")
    if A.shape[1] != B.shape[1]:
        raise RequestError(f"A and B: got {A.shape[1]} and {B.shape[1]} dimensions, needs the same")
    if not 0 < variance <= 1:
        raise RequestError(f"variance: got {variance}, needs a number above 0 and at most 1")
    A, B = normalised(A).values, normalised(B).values
    return float(overlaps(A[None], B[None], variance)[0, 0])
