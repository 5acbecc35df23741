"""How factors are laid out in a representation.

A representation R has shape (n_1, ..., n_k, d): a vector of d numbers at each point of a lattice of k
factors.  A *curve* of factor p is what R draws when p alone varies: R[:, j] for p = x.  Its *steps*
are D_x[i, j] = R[i + lag, j] - R[i, j].  No measure here changes when R is rotated, shifted, scaled
as a whole, or embedded in more dimensions, as far as float64 holds it (see `arrays`).

Pairs of curves and of steps grow as their square.  Where there are more than PAIRS pairs of steps of a kind, or more
than CURVES curves of a factor, a random part of the curves stands for all (of the steps, too, where one curve has more
than PAIRS pairs); the seed decides which.  Up to 64 x 64, or 12 x 12 x 12, all are taken.

Noise.  Each measure takes one array, or a list of two or more *readings*: arrays of the same lattice whose noise is
independent, such as drawings of the same factors with other noise.  Inner products are then taken across readings (see
`readings`), so that noise cancels in expectation and what is left is the geometry of the signal.  Of one array the
noise is part of the shape.  With noise of variance tau^2 a point, spread over many dimensions, and steps of length L,
the cosine of equal steps falls to

    L^2 / (L^2 + 2 tau^2),

because each step has the noise of its two ends; on a Clifford torus of n values L is 2 sin(pi lag / n), so a share nu
of noise in the variance, tau^2 = 2 nu / (1 - nu), takes parallelism from 1 to 1 / 2 at nu = L^2 / (L^2 + 4): 1 % for 32
values.  The *ceiling* of a statistic is what equal steps, or equal curves, of two readings show.

Reference shapes for two periodic factors, from the least factorized to the most:
    3D torus              a doughnut: y turns in a plane that x carries round
    Clifford torus        x and y each turn on a flat circle, in planes orthogonal to each other
    hyper-factorized      x and y each run round a curve that turns through many dimensions, so that
                          far values of one factor are orthogonal too; its limit is a one-hot code
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import wasserstein_distance

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.measures import arrays
from hyperfactor.measures.readings import inner, noise_share, products, squared_lengths

Representation = Float[np.ndarray, "..."]  # (n_1, ..., n_k, d)
Readings = Representation | Sequence[Representation]  # one, or independent ones of the same lattice
Periodic = bool | Sequence[bool]
PAIRS = 2**17  # of steps, of each kind
CURVES = 256  # of a factor, whose subspaces are compared
NOISE = 1024  # lattice points, from which the covariance of the noise is taken
BLOCK = 2**22  # numbers at a time, for the sake of memory
VARIANCE = 0.95  # of a curve, that its leading principal subspace holds
LEVELS = (np.arange(200) + 0.5) / 200  # of quantiles, between which the bootstrap takes distances


@dataclass(frozen=True)
class Additivity:
    """Shares of the variance of R over the lattice, which sum to 1.

    main[k]         explained by factor k alone
    interaction     explained by no sum of functions of single factors
    noise           share of a reading's variance that is noise, and in none of the others; None for a single array
    """

    main: tuple[float, ...]
    interaction: float
    noise: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {"main": list(self.main), "interaction": self.interaction, "noise": self.noise}


def additivity(R: Readings) -> Additivity:
    """Analysis of variance of R over its lattice.

    With m_k the mean of R over all factors but k and m the mean over all,
        main[k] = sum |m_k - m|^2 / sum |R - m|^2,    interaction = 1 - sum_k main[k]
    where sums run over the lattice (Fisher, Statistical Methods for Research Workers, 1925).  Of several readings
    squares are taken across them.

    Parameters
    ----------
    R: shape (n_1, ..., n_k, d), or a list of two or more readings (see the module).

    Raises
    ------
    RequestError
        For an array that is no lattice of numbers, and for readings that are noise only.
    """
    centred = arrays.normalised_readings(arrays.readings(R)).values
    factors = range(1, centred.ndim - 1)
    total = np.mean(inner(centred, centred))
    if not total > 0:
        raise RequestError("R: got readings that have no variance in common, needs more of them or less noise")
    main = []
    for k in factors:
        effect = centred.mean(axis=tuple(other for other in factors if other != k))  # (m, n_k, d)
        main.append(float(np.mean(inner(effect, effect)) / total))
    return Additivity(tuple(main), 1.0 - sum(main), noise_share(centred))


@dataclass(frozen=True)
class DisplacementCosines:
    """Cosines between the steps of R; each array is one-dimensional.

    cross             steps of two factors from the same lattice point, over all pairs of factors
    across[k]         equal steps of factor k where another factor differs, each pair once
    within[k]         steps of factor k at two of its values, other factors equal, each pair once
    separation[k]     for each entry of within[k], i' - i > 0 in lattice steps
    noise             share of a reading's variance over the lattice that is noise; None for a single array
    ceiling[k]        mean cosine of equal steps of factor k in two readings: what noise leaves of 1

    Of several readings each cosine is without bias but not without noise, and may lie outside -1 .. 1.
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


def displacement_cosines(R: Readings, lag: int = 1, periodic: Periodic = False, seed: int = 0) -> DisplacementCosines:
    """How the steps of R point.

    Truths: on a Clifford torus of n equal angles cross is 0, across 1, within cos(2 pi (i - i') / n);
    for one-hot codes at lag 1, 0, 1, and -1/2 between neighbours, 0 beyond.

    Parameters
    ----------
    R: shape (n_1, ..., n_k, d), or a list of two or more readings (see the module).
    lag: lattice steps to a step of R.
    periodic: whether the last value of a factor is followed by its first, for all factors or for each.
    seed: of the curves that stand for all where there are too many (see the module).

    Returns
    -------
    The cosines.  A step of length 0 has no direction and is left out, so some of the arrays may be empty.

    Raises
    ------
    RequestError
        Where a factor has too few values for two steps, or none of its steps has a length.
    """
    whole = arrays.normalised_readings(arrays.readings(R))
    steps = _unit_steps(whole, lag, periodic)
    across, within, separation = [], [], []
    for k, u in enumerate(steps):
        curves, _ = _part(u, k, True, seed)
        first, second = np.triu_indices(curves.shape[2], 1)
        across.append(_defined(products(curves, curves)[:, first, second]))
        curves, numbers = _part(u, k, False, seed)
        by_curve = curves.swapaxes(1, 2)
        first, second = np.triu_indices(len(numbers), 1)
        pairs = products(by_curve, by_curve)[:, first, second]
        within.append(_defined(pairs))
        separation.append(np.broadcast_to(numbers[second] - numbers[first], pairs.shape)[~np.isnan(pairs)])
    cross = [_matched(steps, p, q).ravel() for p, q in combinations(range(len(steps)), 2)]
    return DisplacementCosines(
        _defined(np.concatenate([np.zeros(0), *cross])), tuple(across), tuple(within), tuple(separation),
        noise_share(whole.values), tuple(_same_steps(u) for u in steps) if len(whole.values) > 1 else (),
    )  # fmt: skip


def _unit_steps(R: arrays.Normalised, lag: int, periodic: Periodic, name: str = "R") -> list[np.ndarray]:
    """For each factor its steps as unit vectors, (m, n, ..., d) with that factor's axis after the readings, NaN where a
    step has no length.  Of several readings a step is in units of the length of its signal."""
    k = R.values.ndim - 2
    wraps = [bool(periodic)] * k if isinstance(periodic, bool | np.bool_) else list(periodic)
    if len(wraps) != k:
        raise RequestError(f"periodic: got {len(wraps)} values, needs one, or one for each of {k} factors")
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


def _same_steps(steps: Float[np.ndarray, "m n *c d"]) -> float:
    """The mean cosine of the same step in two readings."""
    unit = steps / np.linalg.norm(steps, axis=-1, keepdims=True)
    return float(np.nanmean(inner(unit, unit)))


def _part(u: np.ndarray, factor: int, across: bool, seed: int) -> tuple[Float[np.ndarray, "m n c d"], np.ndarray]:
    """The steps (m, n, ..., d) of a factor by curve, (m, n, c, d), and their numbers; with PAIRS pairs at most of equal
    steps of two curves (across), or of two steps of a curve.  Curves without any step are left out."""
    u = u.reshape(*u.shape[:2], -1, u.shape[-1])
    curves = np.flatnonzero(~np.isnan(u[0, ..., 0]).all(axis=0))
    steps = np.arange(u.shape[1])
    generator = rng.stream(seed, "geometry.part", factor, int(across))
    most = PAIRS if across else math.isqrt(2 * PAIRS)
    steps = _some(steps, most, generator)
    curves = _some(
        curves,
        max(2, math.isqrt(2 * PAIRS // len(steps))) if across else max(1, 2 * PAIRS // len(steps) ** 2),
        generator,
    )
    return u[:, :, curves] if len(steps) == u.shape[1] else u[:, steps[:, None], curves], steps


def _some(numbers: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """All the numbers, or `most` of them at random, in order."""
    return numbers if len(numbers) <= most else np.sort(generator.choice(numbers, most, replace=False))


def _matched(steps: list[np.ndarray], p: int, q: int) -> np.ndarray:
    """Cosines of the steps of factors p and q from each lattice point where both have one, in R's order."""
    a, b = np.moveaxis(steps[p], 1, p + 1), np.moveaxis(steps[q], 1, q + 1)
    common = tuple(slice(min(m, n)) for m, n in zip(a.shape[:-1], b.shape[:-1], strict=True))
    return inner(a[common], b[common])


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
    A, B = arrays.normalised(A).values, arrays.normalised(B).values
    return float(_overlaps(A[None], B[None], variance)[0, 0])


def _overlaps(A: Float[np.ndarray, "a n d"], B: Float[np.ndarray, "b l d"], variance: float) -> np.ndarray:
    """`subspace_overlap` of every curve of A with every curve of B, shape (a, b)."""
    A, B = A - A.mean(axis=1, keepdims=True), B - B.mean(axis=1, keepdims=True)
    _, size, directions = np.linalg.svd(B, full_matrices=False)  # (b, r), (b, r, d)
    power = size**2
    leading = _leading(power, power.sum(axis=1, keepdims=True), variance)
    return _inside(A[None], directions, leading) / np.sum(A**2, axis=(1, 2))[:, None]


def _leading(
    power: Float[np.ndarray, "b r"], whole: Float[np.ndarray, "b 1"], variance: float
) -> Bool[np.ndarray, "b r"]:
    """The fewest leading directions whose powers come to `variance` of the whole."""
    before = np.cumsum(power, axis=1) - power
    return np.logical_and.accumulate(before < (variance - 1e-12) * whole, axis=1)


def _inside(
    A: Float[np.ndarray, "m a n d"], directions: Float[np.ndarray, "b r d"], leading: Bool[np.ndarray, "b r"]
) -> Float[np.ndarray, "a b"]:
    """The variance of each curve of A, times its points, along the leading directions of each subspace."""
    basis = directions * leading[..., None]
    basis = basis[:, : leading.sum(axis=1).max()]  # (b, r', d); the rest is zero
    b, r, d = basis.shape
    m, _, n, _ = A.shape
    at_once = max(1, BLOCK // (m * n * b * r))
    inside = [np.zeros((0, b))]
    for i in range(0, A.shape[1], at_once):
        some = A[:, i : i + at_once]
        along = (some.reshape(-1, d) @ basis.reshape(b * r, d).T).reshape(m, -1, n, b, r)
        inside.append(_across(along).sum(axis=(1, 3)))  # (at_once, b)
    return np.concatenate(inside)


def _across(along: Float[np.ndarray, "m *n"]) -> Float[np.ndarray, "*n"]:
    """The squares of numbers, taken across readings."""
    m = len(along)
    return along[0] ** 2 if m == 1 else (along.sum(axis=0) ** 2 - np.sum(along**2, axis=0)) / (m * (m - 1))


class _Subspaces:
    """The leading principal subspaces of curves, from several readings of them.

    The subspace of the mean of all readings but h is turned by their noise.  It holds a share `kept` of the variance
    that the curve itself has in the subspace without noise, which the reading h measures: its variance along those
    directions, less the noise that it has there.  Of another curve in the same subspace it holds as much, so dividing
    by `kept` corrects both. A curve outside leaks in, the less the more readings there are; the leak goes as 1 /
    readings, and is removed by comparison with the mean of all readings (the jackknife of Quenouille, Biometrika 43
    (1956) 353).
    """

    def __init__(self, B: Float[np.ndarray, "m b l d"], noise: Float[np.ndarray, "s d"], variance: float):
        B = B - B.mean(axis=2, keepdims=True)
        m, points = len(B), B.shape[2]
        whole = inner(B, B).sum(axis=1)[:, None]  # (b, 1)
        self.all = _directions(B.mean(axis=0))
        self.fewer = [_directions(np.delete(B, h, axis=0).mean(axis=0)) for h in range(m)]
        power = _across(B @ self.all.swapaxes(1, 2)).sum(axis=1)
        self.leading = _leading(power, whole, variance)
        inside = np.clip(np.sum(power * self.leading, axis=1) / whole[:, 0], variance, 1) * whole[:, 0]
        held = np.zeros(power.shape)
        for one, others in zip(B, self.fewer, strict=True):
            chance = np.mean((noise @ others.reshape(-1, others.shape[-1]).T) ** 2, axis=0).reshape(held.shape)
            held += (np.sum((one @ others.swapaxes(1, 2)) ** 2, axis=1) - (points - 1) * chance) / m
        self.kept = float(np.clip(np.sum(held * self.leading) / np.sum(inside), 0.05, 1))

    def overlaps(self, A: Float[np.ndarray, "m a n d"]) -> Float[np.ndarray, "a b"]:
        """The share of the variance of each curve of A inside, without bias to the first order of the noise."""
        A = A - A.mean(axis=2, keepdims=True)
        fewer = np.mean([_inside(A, directions, self.leading) for directions in self.fewer], axis=0)
        leak = len(A) * (_inside(A, self.all, self.leading) - fewer).clip(max=0)
        return (fewer / self.kept + leak) / inner(A, A).sum(axis=1)[:, None]


def _directions(curves: Float[np.ndarray, "b l d"]) -> Float[np.ndarray, "b r d"]:
    return np.linalg.svd(curves, full_matrices=False)[2]


def torus_3d(n: int, major: float = 2.0, minor: float = 1.0) -> Float[np.ndarray, "n n 3"]:
    """((major + minor cos b) cos a, (major + minor cos b) sin a, minor sin b) at n equal angles a, b."""
    if not 0 < minor <= major:
        raise RequestError(f"torus_3d: got radii {major} and {minor}, needs 0 < minor <= major")
    a, b = np.meshgrid(*_angles(_sizes(n)), indexing="ij")
    ring = major + minor * np.cos(b)
    return np.stack([ring * np.cos(a), ring * np.sin(a), minor * np.sin(b)], axis=-1)


def clifford_torus(n: int | Sequence[int]) -> Representation:
    """(cos a, sin a, cos b, sin b, ...) at equal angles: n for each of two factors, or n_1, ..., n_k."""
    sizes = _sizes(n)
    return _product([np.stack([np.cos(a), np.sin(a)], axis=-1) for a in _angles(sizes)])


def hyper_factorized_torus(n: int | Sequence[int], width: float = 1.0) -> Representation:
    """Each factor coded by a ring of Gaussian tuning curves, one a lattice value, `width` lattice steps wide.

    With |i - j| taken round the ring the code of value i is exp(-|i - j|^2 / 2 width^2), j = 1 .. n;
    one-hot for a width of 0.  n as for `clifford_torus`; d = n_1 + ... + n_k.
    """
    sizes, width = _sizes(n), float(width)
    if not 0 <= width < math.inf:
        raise RequestError(f"hyper_factorized_torus: got width {width}, needs a number of at least 0")
    codes = []
    for size in sizes:
        distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        distance = np.minimum(distance, size - distance)
        codes.append(np.exp(-(distance**2) / (2 * width**2)) if width else np.eye(size))
    return _product(codes)


def _sizes(n: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(arrays.whole(size, "n", 2) for size in (n if isinstance(n, Sequence) else (n, n)))


def _angles(sizes: Sequence[int]) -> list[np.ndarray]:
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
    missing         names of the statistics that have no value, because too few curves or steps have a length; the
                    totals are means over the others
    noise           share of a reading's variance over the lattice that is noise; None for a single array
    ceiling         name -> of several readings, what a statistic of one of them shows of equal steps (parallelism and
                    within, at most) or of equal curves (orthogonality, at least)
    """

    statistics: dict[str, np.ndarray]
    references: dict[str, dict[str, np.ndarray]]
    distances: dict[str, dict[str, float]]
    total: dict[str, float]
    interval: dict[str, tuple[float, float]]
    nearest: str
    support: float
    resampled: dict[str, np.ndarray]
    missing: tuple[str, ...]
    noise: float | None = None
    ceiling: dict[str, float] = field(default_factory=dict)

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

        Raises
        ------
        RequestError
            For a statistic that has no value.
        """
        for values, statistic in ((self.statistics, name), *((self.references[s], n) for s, n in (nearer, farther))):
            if statistic not in values:
                raise RequestError(f"statistic: got {statistic!r}, needs one that has values: {', '.join(values)}")
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
            "not_measured": list(self.missing),
            "noise": self.noise,
            "ceiling": self.ceiling,
        }


def compare(
    R: Readings,
    periodic: Periodic = True,
    width: float = 1.0,
    names: Sequence[str] | None = None,
    bootstrap: int = 100,
    seed: int = 0,
) -> Comparison:
    """Which reference shape R is laid out like.

    Statistics, over all pairs of curves or steps; 1 - overlap is called orthogonality:
        "x-on-y orthogonality", "x-on-x orthogonality", ...     see `subspace_overlap`
        "x-on-y parallelism", "x-on-x parallelism", ...         cross and across of `displacement_cosines`
        "x within", ...                                         within of `displacement_cosines`

    Curves along which R does not vary and steps of length 0 are left out.  A statistic of which nothing is left is
    named in `missing`, and the comparison is over the others.

    Of several readings each statistic is corrected for noise.  A cosine is then a mean: of two curves over their steps,
    of two steps over the curves, of two factors over the first one's lattice, so that what noise is left in a single
    one does not widen the distribution; those of the references are the same means.  Noise is independent between
    lattice points, so a bootstrap over curves and steps is one over drawings too.

    Parameters
    ----------
    R: shape (n_1, ..., n_k, d), or a list of two or more readings (see the module).
    periodic: as for `displacement_cosines`, of R and of the references.
    width: of the hyper-factorized reference, in lattice steps.
    names: of the factors; x, y, z, ... where left out.
    bootstrap: samples, of whole curves and steps with replacement.
    seed: of the bootstrap, and of the curves that stand for all where there are too many (see the module).

    Returns
    -------
    The comparison.  The 3D torus is a reference for two factors of equally many values only.

    Raises
    ------
    RequestError
        As `displacement_cosines` does, and where no statistic has a value.
    """
    whole, bootstrap = arrays.readings(R), arrays.whole(bootstrap, "bootstrap", 1)
    sizes, several = whole.shape[1:-1], len(whole) > 1
    whole = arrays.normalised_readings(whole)
    names = factor_names(len(sizes), names)
    shapes: dict[str, Representation] = {
        "Clifford torus": clifford_torus(sizes),
        "hyper-factorized torus": hyper_factorized_torus(sizes, width),
    }
    if len(sizes) == 2 and sizes[0] == sizes[1]:
        shapes = {"3D torus": torus_3d(sizes[0]), **shapes}
    grouped = _statistics(whole, periodic, names, seed, several)
    every = {
        shape: {
            name: np.concatenate([*rows, np.zeros(0)])
            for name, rows in _statistics(arrays.normalised(ideal[None]), periodic, names, seed, several, shape).items()
        }
        for shape, ideal in shapes.items()
    }
    measured = [name for name, rows in grouped.items() if rows and all(of[name].size for of in every.values())]
    if not measured:
        raise RequestError("R: got too few curves and steps that have a length, needs two of one factor")
    grouped, missing = (
        {name: grouped[name] for name in measured},
        tuple(name for name in grouped if name not in measured),
    )
    ideal = {shape: {name: of_shape[name] for name in measured} for shape, of_shape in every.items()}
    found = {name: np.concatenate(rows) for name, rows in grouped.items()}
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
    ceiling = _ceiling(whole, periodic, names, seed) if several else {}
    return Comparison(
        found,
        ideal,
        distances,
        total,
        interval,
        nearest,
        support,
        resampled,
        missing,
        noise_share(whole.values),
        ceiling,
    )


def _statistics(
    whole: arrays.Normalised, periodic: Periodic, names: Sequence[str], seed: int, several: bool, name: str = "R"
) -> dict[str, list[np.ndarray]]:
    """Each statistic of `compare` as a list of groups of values: those of one curve, or of one step.  No list holds a
    group without values, so that of a statistic without any is empty.

    several: whether cosines are means, as for several readings.
    """
    steps = _unit_steps(whole, 1, periodic, name)
    varied = [_varied_curves(whole, k, seed) for k in range(len(names))]
    found: dict[str, list[np.ndarray]] = {}
    spaces = [_Subspaces(curves, _noise(whole, seed), VARIANCE) for curves in varied] if len(whole.values) > 1 else []
    for p, q in combinations_with_replacement(range(len(names)), 2):
        apart = 1 - (spaces[q].overlaps(varied[p]) if spaces else _overlaps(varied[p][0], varied[q][0], VARIANCE))
        rows = [np.delete(row, i) for i, row in enumerate(apart)] if p == q else list(apart)
        found[f"{names[p]}-on-{names[q]} orthogonality"] = rows
    for p, q in combinations(range(len(names)), 2):
        cosines = _matched(steps, p, q)
        cosines = _mean(cosines.reshape(len(cosines), -1))[:, None] if several else cosines.reshape(len(cosines), -1)
        found[f"{names[p]}-on-{names[q]} parallelism"] = list(cosines)
    for k, (u, factor) in enumerate(zip(steps, names, strict=True)):
        by_step = _part(u, k, True, seed)[0]
        by_curve = _part(u, k, False, seed)[0].swapaxes(1, 2)
        for statistic, of in ((f"{factor}-on-{factor} parallelism", by_step), (f"{factor} within", by_curve)):
            cosines = products(of, of)
            found[statistic] = _other(_mean(cosines)[None] if several else cosines)
    kept = {name: [_defined(group) for group in groups] for name, groups in found.items()}
    return {name: [group for group in groups if group.size] for name, groups in kept.items()}


def _ceiling(whole: arrays.Normalised, periodic: Periodic, names: Sequence[str], seed: int) -> dict[str, float]:
    """For each statistic of `compare`, what one reading shows of equal steps, or of equal curves.  Of two factors it is
    the geometric mean for steps, and the mean for curves."""
    steps = [_same_steps(u) for u in _unit_steps(whole, 1, periodic)]
    curves = [_same_curves(_varied_curves(whole, k, seed)) for k in range(len(names))]
    found = {f"{name} within": steps[k] for k, name in enumerate(names)}
    for p, q in combinations_with_replacement(range(len(names)), 2):
        found[f"{names[p]}-on-{names[q]} orthogonality"] = (curves[p] + curves[q]) / 2
        product = steps[p] * steps[q]
        found[f"{names[p]}-on-{names[q]} parallelism"] = math.copysign(math.sqrt(abs(product)), product)
    return found


def _same_curves(curves: Float[np.ndarray, "m c n d"]) -> float:
    """The mean orthogonality, as of single readings, of a curve in one reading with itself in the next."""
    pairs = zip(curves, np.roll(curves, -1, axis=0), strict=True)
    return float(np.mean([1 - np.diag(_overlaps(a, b, VARIANCE)) for a, b in pairs]))


def _noise(whole: arrays.Normalised, seed: int) -> Float[np.ndarray, "s d"]:
    """The noise of one reading, at NOISE lattice points: half the difference of two readings times the root of 2."""
    flat = whole.values.reshape(len(whole.values), -1, whole.values.shape[-1])
    chosen = _some(np.arange(flat.shape[1]), NOISE, rng.stream(seed, "geometry.noise"))
    return (flat[0, chosen] - flat[1, chosen]) / math.sqrt(2)


def _mean(cosines: Float[np.ndarray, "n *c"]) -> Float[np.ndarray, "*c"]:
    """Over the first axis, of those defined; NaN where none is."""
    defined = ~np.isnan(cosines)
    counts = defined.sum(axis=0)
    return np.where(counts, np.where(defined, cosines, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _varied_curves(R: arrays.Normalised, factor: int, seed: int) -> Float[np.ndarray, "m c n d"]:
    """The curves of a factor along which R varies; CURVES of them at most."""
    moved = np.moveaxis(R.values, factor + 1, -2)
    curves = moved.reshape(len(moved), -1, *moved.shape[-2:])
    extent = np.linalg.norm(np.ptp(curves.mean(axis=0), axis=1), axis=1)
    return curves[:, _some(np.flatnonzero(extent > R.least), CURVES, rng.stream(seed, "geometry.curves", factor))]


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
        values, group = (
            np.concatenate(groups),
            np.repeat(np.arange(len(groups)), [len(of_group) for of_group in groups]),
        )
        order = np.argsort(values)
        values, group = values[order], group[order]
        found[name] = np.empty((samples, len(LEVELS)))
        for row in found[name]:
            times = np.bincount(generator.integers(len(groups), size=len(groups)), minlength=len(groups))
            up_to = np.cumsum(times[group])
            row[:] = values[np.searchsorted(up_to, (LEVELS * up_to[-1]).astype(int), side="right")]
    return found


def _moved(
    values: np.ndarray, resampled: Float[np.ndarray, "samples levels"], ideal: np.ndarray
) -> Float[np.ndarray, " samples"]:
    """How far the distance of a statistic to an ideal one moves in each bootstrap sample.  Distances are taken between
    quantiles, which is close to the Wasserstein distance and quick."""
    goal = _quantiles(ideal)
    return np.abs(resampled - goal).mean(axis=1) - np.abs(_quantiles(values) - goal).mean()
