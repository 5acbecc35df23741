"""How factors are laid out in a representation.

A representation R has shape (n_1, ..., n_k, d): a vector of d numbers at each point of a lattice of k
factors.  A *curve* of factor p is what R draws when p alone varies: R[:, j] for p = x.  Its *steps*
are D_x[i, j] = R[i + lag, j] - R[i, j].  No measure here changes when R is rotated, shifted, scaled
as a whole, or embedded in more dimensions.

Reference shapes for two periodic factors, from the least factorized to the most:
    3D torus              a doughnut: y turns in a plane that x carries round
    Clifford torus        x and y each turn on a flat circle, in planes orthogonal to each other
    hyper-factorized      x and y each run round a curve that turns through many dimensions, so that
                          far values of one factor are orthogonal too; its limit is a one-hot code
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import wasserstein_distance

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.measures import arrays

Representation = Float[np.ndarray, "..."]  # (n_1, ..., n_k, d)
Periodic = bool | Sequence[bool]
VARIANCE = 0.95  # of a curve, that its leading principal subspace holds
LEVELS = (np.arange(200) + 0.5) / 200  # of quantiles, between which the bootstrap takes distances


@dataclass(frozen=True)
class Additivity:
    """Shares of the variance of R over the lattice, which sum to 1: main[k] is explained by factor k
    alone, interaction by no sum of functions of single factors."""

    main: tuple[float, ...]
    interaction: float

    def to_json(self) -> dict[str, Any]:
        return {"main": list(self.main), "interaction": self.interaction}


def additivity(R: Representation) -> Additivity:
    """Analysis of variance of R over its lattice, without replication.

    With m_k the mean of R over all factors but k and m the mean over all,
        main[k] = sum |m_k - m|^2 / sum |R - m|^2,    interaction = 1 - sum_k main[k]
    where sums run over the lattice (Fisher, Statistical Methods for Research Workers, 1925).
    """
    R = arrays.lattice(R)
    factors = range(R.ndim - 1)
    centred = R - R.mean(axis=tuple(factors))
    total = np.mean(np.sum(centred**2, axis=-1))
    main = []
    for k in factors:
        effect = centred.mean(axis=tuple(other for other in factors if other != k))  # (n_k, d)
        main.append(float(np.mean(np.sum(effect**2, axis=-1)) / total))
    return Additivity(tuple(main), 1.0 - sum(main))


@dataclass(frozen=True)
class DisplacementCosines:
    """Cosines between the steps of R; each array is one-dimensional.

    cross             steps of two factors from the same lattice point, over all pairs of factors
    across[k]         equal steps of factor k where another factor differs, each pair once
    within[k]         steps of factor k at two of its values, other factors equal, each pair once
    separation[k]     for each entry of within[k], i' - i > 0 in lattice steps
    """

    cross: np.ndarray
    across: tuple[np.ndarray, ...]
    within: tuple[np.ndarray, ...]
    separation: tuple[np.ndarray, ...]

    def to_json(self) -> dict[str, Any]:
        """Mean, and mean magnitude, of each kind."""

        def summary(values: np.ndarray) -> dict[str, float | int]:
            return {"n": values.size, "mean": float(values.mean()), "mean_magnitude": float(np.abs(values).mean())}

        return {
            "cross": summary(self.cross),
            "across": [summary(values) for values in self.across],
            "within": [summary(values) for values in self.within],
        }


def displacement_cosines(R: Representation, lag: int = 1, periodic: Periodic = False) -> DisplacementCosines:
    """How the steps of R point.

    lag: lattice steps to a step of R.  periodic: whether the last value of a factor is followed by its
    first, for all factors or for each.  A step of length 0 has no direction and is left out.

    Truths: on a Clifford torus of n equal angles cross is 0, across 1, within cos(2 pi (i - i') / n);
    for one-hot codes at lag 1, 0, 1, and -1/2 between neighbours, 0 beyond.

    Raises RequestError where a factor has too few values for two steps, or none of its steps has a length.
    """
    R = arrays.lattice(R)
    steps = _unit_steps(R, lag, periodic)
    across, within, separation = [], [], []
    for u in steps:
        n, curves = u.shape[0], u.reshape(len(u), -1, u.shape[-1])  # (n, m, d): step, curve
        first, second = np.triu_indices(curves.shape[1], 1)
        across.append(_defined((curves @ curves.transpose(0, 2, 1))[:, first, second]))
        by_curve = curves.transpose(1, 0, 2)
        cosines = by_curve @ by_curve.transpose(0, 2, 1)  # (m, n, n)
        first, second = np.triu_indices(n, 1)
        pairs = cosines[:, first, second]
        within.append(_defined(pairs))
        separation.append(np.broadcast_to(second - first, pairs.shape)[~np.isnan(pairs)])
    cross = [_matched(steps, p, q).ravel() for p, q in combinations(range(len(steps)), 2)]
    return DisplacementCosines(
        _defined(np.concatenate([np.zeros(0), *cross])), tuple(across), tuple(within), tuple(separation)
    )


def _unit_steps(R: np.ndarray, lag: int, periodic: Periodic) -> list[np.ndarray]:
    """For each factor its steps as unit vectors, that factor's axis first, NaN where a step has no length."""
    k = R.ndim - 1
    wraps = [bool(periodic)] * k if isinstance(periodic, bool | np.bool_) else list(periodic)
    if len(wraps) != k:
        raise RequestError(f"periodic: got {len(wraps)} values, needs one, or one for each of {k} factors")
    if lag < 1:
        raise RequestError(f"lag: got {lag}, needs an integer of at least 1")
    steps = []
    for axis, wrap in enumerate(wraps):
        n = R.shape[axis]
        count = n if wrap else n - lag
        if count < 2 or lag >= n:
            raise RequestError(
                f"R, factor {axis}: got {n} lattice values, needs at least {lag + 1 if wrap else lag + 2} at lag {lag}"
            )
        moved = np.moveaxis(R, axis, 0)
        step = np.roll(moved, -lag, axis=0)[:count] - moved[:count]
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        tiny = length <= 1e-12 * np.abs(R).max()
        if tiny.all():
            raise RequestError(f"R, factor {axis}: got points that do not depend on it, needs some that do")
        steps.append(np.where(tiny, np.nan, step / np.where(tiny, 1, length)))
    return steps


def _matched(steps: list[np.ndarray], p: int, q: int) -> np.ndarray:
    """Cosines of the steps of factors p and q from each lattice point where both have one, in R's order."""
    a, b = np.moveaxis(steps[p], 0, p), np.moveaxis(steps[q], 0, q)
    common = tuple(slice(min(m, n)) for m, n in zip(a.shape[:-1], b.shape[:-1], strict=True))
    return np.sum(a[common] * b[common], axis=-1)


def _defined(values: np.ndarray) -> np.ndarray:
    return values[~np.isnan(values)]


def subspace_overlap(A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "m d"], variance: float = VARIANCE) -> float:
    """The share of the variance of the curve A that lies in the leading principal subspace of B.

    Both curves are centred; the subspace is the smallest of B's principal subspaces with at least
    `variance` of its variance.  1 for curves in one plane, 0 for orthogonal ones.
    """
    A, B = arrays.points(A, "A"), arrays.points(B, "B")
    if A.shape[1] != B.shape[1]:
        raise RequestError(f"A and B: got {A.shape[1]} and {B.shape[1]} dimensions, needs the same")
    if not 0 < variance <= 1:
        raise RequestError(f"variance: got {variance}, needs a number above 0 and at most 1")
    return float(_overlaps(A[None], B[None], variance)[0, 0])


def _overlaps(A: Float[np.ndarray, "a n d"], B: Float[np.ndarray, "b m d"], variance: float) -> np.ndarray:
    """`subspace_overlap` of every curve of A with every curve of B, shape (a, b)."""
    A, B = A - A.mean(axis=1, keepdims=True), B - B.mean(axis=1, keepdims=True)
    _, size, directions = np.linalg.svd(B, full_matrices=False)  # (b, r), (b, r, d)
    power = size**2
    before = np.cumsum(power, axis=1) - power
    leading = before < (variance - 1e-12) * power.sum(axis=1, keepdims=True)
    basis = directions * leading[..., None]
    basis = basis[:, : leading.sum(axis=1).max()]  # (b, r', d); the rest is zero
    b, r, d = basis.shape
    inside = (A.reshape(-1, d) @ basis.reshape(b * r, d).T) ** 2
    inside = inside.reshape(*A.shape[:2], b, r).sum(axis=(1, 3))  # (a, b)
    return inside / np.sum(A**2, axis=(1, 2))[:, None]


def torus_3d(n: int, major: float = 2.0, minor: float = 1.0) -> Float[np.ndarray, "n n 3"]:
    """((major + minor cos b) cos a, (major + minor cos b) sin a, minor sin b) at n equal angles a, b."""
    if not 0 < minor <= major:
        raise RequestError(f"torus_3d: got radii {major} and {minor}, needs 0 < minor <= major")
    a, b = np.meshgrid(*_angles((n, n)), indexing="ij")
    ring = major + minor * np.cos(b)
    return np.stack([ring * np.cos(a), ring * np.sin(a), minor * np.sin(b)], axis=-1)


def clifford_torus(n: int | Sequence[int]) -> Representation:
    """(cos a, sin a, cos b, sin b, ...) at equal angles: n for each of two factors, or n_1, ..., n_k."""
    sizes = (n, n) if isinstance(n, int) else tuple(n)
    return _product([np.stack([np.cos(a), np.sin(a)], axis=-1) for a in _angles(sizes)])


def hyper_factorized_torus(n: int | Sequence[int], width: float = 1.0) -> Representation:
    """Each factor coded by a ring of Gaussian tuning curves, one a lattice value, `width` lattice steps wide.

    With |i - j| taken round the ring the code of value i is exp(-|i - j|^2 / 2 width^2), j = 1 .. n;
    one-hot for a width of 0.  n as for `clifford_torus`; d = n_1 + ... + n_k.
    """
    sizes = (n, n) if isinstance(n, int) else tuple(n)
    if width < 0:
        raise RequestError(f"hyper_factorized_torus: got width {width}, needs a number of at least 0")
    codes = []
    for size in sizes:
        distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        distance = np.minimum(distance, size - distance)
        codes.append(np.exp(-(distance**2) / (2 * width**2)) if width else np.eye(size))
    return _product(codes)


def _angles(sizes: Sequence[int]) -> list[np.ndarray]:
    if min(sizes) < 2:
        raise RequestError(f"n: got {min(sizes)}, needs at least 2 lattice values")
    return [2 * np.pi * np.arange(size) / size for size in sizes]


def _product(codes: list[np.ndarray]) -> np.ndarray:
    """R[i_1, ..., i_k] = (code_1[i_1], ..., code_k[i_k])."""
    shape = tuple(len(code) for code in codes)
    parts = []
    for k, code in enumerate(codes):
        spread = code.reshape([-1 if k == axis else 1 for axis in range(len(codes))] + [code.shape[1]])
        parts.append(np.broadcast_to(spread, (*shape, code.shape[1])))
    return np.concatenate(parts, axis=-1)


def factor_names(count: int, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The names given, or x, y, z, ... (numbers where there are over six); RequestError for too few or many."""
    if names is None:
        return tuple("xyzuvw"[:count] if count <= 6 else map(str, range(count)))
    if len(names) != count:
        raise RequestError(f"names: got {len(names)}, needs one for each of {count} factors")
    return tuple(names)


@dataclass(frozen=True)
class Comparison:
    """R beside the reference shapes.

    statistics      name -> its values for R
    references      reference -> name -> its values there
    distances       reference -> name -> Wasserstein distance of the two
    total           reference -> mean over the statistics
    interval        reference -> 95 % bootstrap interval of the total
    nearest         the reference with the smallest total
    support         share of the bootstrap samples in which it is the nearest
    resampled       name -> its quantiles at LEVELS in each bootstrap sample, (samples, levels)
    """

    statistics: dict[str, np.ndarray]
    references: dict[str, dict[str, np.ndarray]]
    distances: dict[str, dict[str, float]]
    total: dict[str, float]
    interval: dict[str, tuple[float, float]]
    nearest: str
    support: float
    resampled: dict[str, np.ndarray]

    def margin(self, name: str, nearer: tuple[str, str], farther: tuple[str, str]) -> tuple[float, float, float]:
        """How much farther a statistic of R is from one ideal statistic than from another.

        Parameters
        ----------
        name
            The statistic of R.
        nearer, farther
            The ideal ones, each as a reference and the name of one of its statistics, such as
            ("3D torus", "x-on-y orthogonality").

        Returns
        -------
        value, low, high
            The difference of the two Wasserstein distances, with its 95 % bootstrap interval.
        """
        measured, drawn = 0.0, np.zeros(len(self.resampled[name]))
        for sign, (shape, statistic) in ((1, farther), (-1, nearer)):
            ideal = self.references[shape][statistic]
            exact = float(wasserstein_distance(self.statistics[name], ideal))
            measured += sign * exact
            drawn += sign * (exact + _moved(self.statistics[name], self.resampled[name], ideal)).clip(min=0)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return measured, float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        return {
            "means": {name: float(values.mean()) for name, values in self.statistics.items()},
            "distances": self.distances,
            "total": self.total,
            "interval": {name: list(ends) for name, ends in self.interval.items()},
            "nearest": self.nearest,
            "support": self.support,
        }


def compare(
    R: Representation,
    periodic: Periodic = True,
    width: float = 1.0,
    names: Sequence[str] | None = None,
    bootstrap: int = 100,
    seed: int = 0,
) -> Comparison:
    """Which reference shape R is laid out like.

    periodic: as for `displacement_cosines`, of R and of the references.  width: of the hyper-factorized
    reference, in lattice steps.  names: of the factors, x, y, z, ... where left out.
    bootstrap: samples, of whole curves and steps with replacement.  The 3D torus is a reference for two
    factors of equally many values only.

    Statistics, over all pairs of curves or steps; 1 - overlap is called orthogonality:
        "x-on-y orthogonality", "x-on-x orthogonality", ...     see `subspace_overlap`
        "x-on-y parallelism", "x-on-x parallelism", ...         cross and across of `displacement_cosines`
        "x within", ...                                         within of `displacement_cosines`
    """
    R = arrays.lattice(R)
    sizes = R.shape[:-1]
    names = factor_names(len(sizes), names)
    shapes: dict[str, Representation] = {
        "Clifford torus": clifford_torus(sizes),
        "hyper-factorized torus": hyper_factorized_torus(sizes, width),
    }
    if len(sizes) == 2 and sizes[0] == sizes[1]:
        shapes = {"3D torus": torus_3d(sizes[0]), **shapes}
    grouped = _statistics(R, periodic, names)
    found = {name: np.concatenate(rows) for name, rows in grouped.items()}
    ideal = {
        shape: {name: np.concatenate(rows) for name, rows in _statistics(ideal, periodic, names).items()}
        for shape, ideal in shapes.items()
    }
    distances = {
        shape: {name: float(wasserstein_distance(found[name], values)) for name, values in of_shape.items()}
        for shape, of_shape in ideal.items()
    }
    total = {shape: float(np.mean(list(of_shape.values()))) for shape, of_shape in distances.items()}
    nearest = min(total, key=total.__getitem__)
    resampled = _bootstrap(grouped, bootstrap, seed)
    drawn = np.mean(
        [
            [
                (distances[shape][name] + _moved(found[name], resampled[name], values)).clip(min=0)
                for shape, values in ((shape, of_shape[name]) for shape, of_shape in ideal.items())
            ]
            for name in found
        ],
        axis=0,
    ).T  # (samples, shapes)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    interval = {shape: (float(low[k]), float(high[k])) for k, shape in enumerate(shapes)}
    support = float(np.mean(drawn.argmin(axis=1) == list(shapes).index(nearest)))
    return Comparison(found, ideal, distances, total, interval, nearest, support, resampled)


def _statistics(R: np.ndarray, periodic: Periodic, names: Sequence[str]) -> dict[str, list[np.ndarray]]:
    """Each statistic of `compare` as a list of groups of values: those of one curve, or of one step."""
    steps = _unit_steps(R, 1, periodic)
    curves = [np.moveaxis(R, k, -2).reshape(-1, R.shape[k], R.shape[-1]) for k in range(R.ndim - 1)]  # (m, n_k, d)
    varied = [c[np.ptp(c, axis=1).max(axis=1) > 0] for c in curves]
    found: dict[str, list[np.ndarray]] = {}
    for p, q in combinations_with_replacement(range(len(names)), 2):
        apart = 1 - _overlaps(varied[p], varied[q], VARIANCE)
        rows = [np.delete(row, i) for i, row in enumerate(apart)] if p == q else list(apart)
        found[f"{names[p]}-on-{names[q]} orthogonality"] = rows
    for p, q in combinations(range(len(names)), 2):
        cosines = _matched(steps, p, q)
        found[f"{names[p]}-on-{names[q]} parallelism"] = list(cosines.reshape(len(cosines), -1))
    for u, name in zip(steps, names, strict=True):
        by_step = u.reshape(len(u), -1, u.shape[-1])  # (n, m, d)
        by_curve = by_step.transpose(1, 0, 2)
        found[f"{name}-on-{name} parallelism"] = _other(by_step @ by_step.transpose(0, 2, 1))
        found[f"{name} within"] = _other(by_curve @ by_curve.transpose(0, 2, 1))
    kept = {name: [_defined(group) for group in groups] for name, groups in found.items()}
    return {
        name: [group for group in groups if group.size] for name, groups in kept.items() if any(map(np.size, groups))
    }


def _other(cosines: Float[np.ndarray, "g n n"]) -> list[np.ndarray]:
    """For each of n, its cosines with the others, over all groups."""
    n = cosines.shape[1]
    return [np.delete(cosines[:, i], i, axis=1).ravel() for i in range(n)]


def _quantiles(values: np.ndarray) -> Float[np.ndarray, " levels"]:
    return np.sort(values)[(LEVELS * len(values)).astype(int)]


def _bootstrap(
    grouped: dict[str, list[np.ndarray]], samples: int, seed: int
) -> dict[str, Float[np.ndarray, "samples levels"]]:
    """The quantiles of each statistic when its groups are drawn again with replacement."""
    found = {}
    for number, (name, groups) in enumerate(grouped.items()):
        generator = rng.stream(seed, "geometry.bootstrap", number)
        chosen = (generator.integers(len(groups), size=len(groups)) for _ in range(samples))
        found[name] = np.stack([_quantiles(np.concatenate([groups[i] for i in some])) for some in chosen])
    return found


def _moved(
    values: np.ndarray, resampled: Float[np.ndarray, "samples levels"], ideal: np.ndarray
) -> Float[np.ndarray, " samples"]:
    """How far the distance of a statistic to an ideal one moves in each bootstrap sample.  Distances are taken between
    quantiles, which is close to the Wasserstein distance and quick."""
    goal = _quantiles(ideal)
    return np.abs(resampled - goal).mean(axis=1) - np.abs(_quantiles(values) - goal).mean()
