"""The ideal shape that a representation is most like.

Statistics of R, over all pairs of curves or steps, are compared with those of ideal shapes (see `references`) and with
those of R's own points in random order. Points in random order keep no factors apart, so R is nearest to them if its
layout has nothing to do with the factors.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, combinations_with_replacement
from typing import Any, Self

import numpy as np
import scipy  # imports scipy.stats when it is needed: a second
from jaxtyping import Float, Int

from hyperfactor import arrays, notebook, rng
from hyperfactor.errors import RequestError
from hyperfactor.measures.normalised import Normalised
from hyperfactor.measures.readings import inner, noise_share, noise_variance, products
from hyperfactor.measures.references import references
from hyperfactor.measures.representation import Given, Lattice, Periodic, Representation
from hyperfactor.measures.steps import matched, part, same_steps, some, unit_steps
from hyperfactor.measures.subspaces import VARIANCE, Shares, overlaps_of_pairs

GROUPS = 8  # groups of curves of the jackknife
CURVES = 256  # largest number of a factor's curves whose subspaces are compared
LEVELS = (np.arange(200) + 0.5) / 200  # levels of the quantiles between which the bootstrap takes distances
TIE = 9  # decimals of a distance: shapes whose distances differ by less are equally near
SHUFFLED = "shuffled points"  # R's own points, in random order


@dataclass(frozen=True)
class Comparison:
    """R beside the reference shapes.

    Attributes
    ----------
    statistics : dict of str to (n,)
        By name, the values of a statistic for R.
    references : dict of str to dict of str to (m,)
        By reference and name, its values there.
    distances : dict of str to dict of str to float
        By reference and name, the Wasserstein distance of the two.
    total : dict of str to float
        By reference, the mean distance over the statistics.
    interval : dict of str to (float, float)
        By reference, the 95 % bootstrap interval of the total.
    nearest : str
        The reference with the smallest total; the first if several are equally near.
    support : float
        Share of the bootstrap samples in which it is the nearest.
    resampled : dict of str to (samples, levels)
        By name, the quantiles of a statistic at LEVELS in each bootstrap sample.
    missing : tuple of str
        Names of the statistics without a value, because too few curves or steps have a length. The totals are means
        over the others.
    noise : float or None
        Share of a reading's variance over the lattice that is noise; None for a single reading.
    ceiling : dict of str to float
        With several readings, by name, the value of a statistic for equal steps of two readings (parallelism and
        within, an upper limit) or for equal curves (orthogonality, a lower limit).
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

    def _repr_html_(self) -> str:
        rows = (
            (name, float(np.mean(values)), *(self.distances[shape].get(name) for shape in self.references))
            for name, values in self.statistics.items()
        )
        total = ("all", None, *(self.total[shape] for shape in self.references))
        title = f"nearest: {self.nearest}, in {self.support:.0%} of the bootstrap samples; distances to each shape"
        table = notebook.table(title, ("statistic", "mean", *self.references), (*rows, total))
        totals = [(shape, self.total[shape], self.interval[shape]) for shape in self.references]
        return table + notebook.intervals("mean distance to each shape, with its 95 % interval", totals, self.nearest)

    def margin(self, name: str, nearer: tuple[str, str], farther: tuple[str, str]) -> tuple[float, float, float]:
        """Measure how much farther a statistic of R is from one ideal statistic than from another.

        Parameters
        ----------
        name : str
            The statistic of R.
        nearer, farther : (str, str)
            The ideal statistics, each as a reference and a name, such as ("3D torus", "x-on-y orthogonality").

        Returns
        -------
        value, low, high : float
            Difference of the two Wasserstein distances, with its 95 % bootstrap interval.

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
            exact = float(scipy.stats.wasserstein_distance(self.statistics[name], ideal))
            measured += sign * exact
            drawn += sign * (exact + _moved(self.statistics[name], self.resampled[name], ideal)).clip(min=0)
        low, high = measured + _spread(drawn)
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
    R: Given,
    periodic: Periodic | None = None,
    width: float = 1.0,
    bootstrap: int = 100,
    seed: int = 0,
    against: Mapping[str, Lattice] | None = None,
) -> Comparison:
    """Compare R with ideal shapes.

    The statistics are taken over all pairs of curves or steps; 1 - overlap is called orthogonality:
        "x-on-y orthogonality", "x-on-x orthogonality", ...     see `geometry.subspace_overlap`
        "x-on-y parallelism", "x-on-x parallelism", ...         cross and across of `geometry.displacement_cosines`
        "x within", ...                                         within of `geometry.displacement_cosines`

    Curves along which R does not vary and steps of length 0 are left out. A statistic that then has no values is named
    in `missing`, and the comparison is over the others.

    With several readings each statistic is corrected for noise. A cosine is then a mean: of two curves over their
    steps, of two steps over the curves, of two factors over the first one's lattice. The remaining noise of single
    cosines therefore does not widen the distribution. The statistics of the references are the same means. All cosines
    share the error of the estimated lengths and noise, which a bootstrap over their pairs does not see. So GROUPS
    groups of each factor's curves are left out in turn, everything is estimated again, and the intervals are those of
    this jackknife, or of the bootstrap where that is wider.

    A value belongs to a pair, of curves or of steps. A bootstrap sample draws both members of the pairs: where a curve
    is drawn a times and another b times, their value counts a b times. Drawing one member alone would make the
    intervals about half as wide as they should be.

    Parameters
    ----------
    R : (n_1, ..., n_k, d), list of such arrays, or Representation
        A representation, or two or more readings of it.
    periodic : bool or sequence of bool, optional
        Whether the factors of an array wrap round: one value for all, or one for each. Default: they do.
    width : float
        Width of the tuning curves of the references, in lattice steps.
    bootstrap : int
        Number of samples, of whole curves and steps with replacement.
    seed : int
        Seed of the bootstrap, of the points in random order, and of the choice of curves if there are too many (see
        `steps`).
    against : mapping of str to (n_1, ..., n_k, c), optional
        References, by name. Default: the ideal shapes of `references` for the kinds of the factors and, with two
        factors or more, R's own points in random order.

    Raises
    ------
    RequestError
        If R is no representation, as `geometry.displacement_cosines` does, and if no statistic has a value.
    """
    bootstrap = arrays.whole(bootstrap, "bootstrap", 1)
    if against is not None and not against:
        raise RequestError("against: got no reference, needs at least one")
    return statistics(R, periodic, seed).compared(width, bootstrap, against)


@dataclass(frozen=True)
class Statistics:
    """The statistics of R alone.

    Attributes
    ----------
    given : Representation
        R.
    seed : int
        As for `compare`.
    paired : dict of str to Paired
        By name, the values of each statistic.
    noise, ceiling
        As for `Comparison`.
    """

    given: Representation
    seed: int
    paired: dict[str, "Paired"]
    noise: float | None
    ceiling: dict[str, float]

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """By name, the values of each statistic that has some."""
        return {name: of.values for name, of in self.paired.items() if of.values.size}

    def compared(
        self, width: float = 1.0, bootstrap: int = 100, against: Mapping[str, Lattice] | None = None
    ) -> Comparison:
        """Compare the statistics with those of ideal shapes. The parameters and the errors are those of `compare`."""
        given, seed = self.given, self.seed
        shapes = references(given.axes, given.sizes, width) if against is None else against
        every = {shape: _of(_checked(ideal, shape, given.sizes), given, seed, shape) for shape, ideal in shapes.items()}
        measured = _measured(self.paired, every)
        every |= _shuffled(given, measured, seed) if against is None else {}
        missing = tuple(name for name in self.paired if name not in measured)
        paired = {name: self.paired[name] for name in measured}
        ideal = {shape: {name: of_shape[name].values for name in measured} for shape, of_shape in every.items()}
        resampled = {name: of.resampled(bootstrap, seed) for name, of in paired.items()}
        if given.several and len(given.axes) > 1:
            resampled = _wider(resampled, _jackknifed(paired, given, seed, bootstrap))
        return _compared(paired, ideal, missing, resampled, self.noise, self.ceiling)


def statistics(R: Given, periodic: Periodic | None = None, seed: int = 0) -> Statistics:
    """Return the statistics of `compare` without a comparison, which takes much less time.

    The parameters and the errors are those of `compare`.
    """
    given = Representation.of(R, periodic=periodic)
    whole = given.normalised
    steps, curves = unit_steps(whole, given.wraps, 1, given.name), Curves.of(whole, seed)
    paired = _paired(steps, curves, given, seed)
    _measured(paired, {})
    ceiling = _ceiling(steps, curves, given) if given.several else {}
    return Statistics(given, seed, paired, noise_share(whole.values), ceiling)


@dataclass(frozen=True)
class Paired:
    """The values of a statistic, each of a pair of curves or of steps.

    Attributes
    ----------
    values : (n,)
        The values.
    pairs : (n, 2)
        Numbers of the two members of each pair.
    members : tuple of tuple of int
        For the first and for the second members, the factors whose values identify a member. With one entry, both
        members are of the same kind, and a value belongs to two different ones.
    """

    values: np.ndarray
    pairs: Int[np.ndarray, "n 2"]
    members: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, table: Float[np.ndarray, "a *c b"], *members: tuple[int, ...]) -> Self:
        """Take the values of a table that are not NaN; of one kind of members, those of pairs of different ones."""
        kept = ~np.isnan(table)
        if len(members) == 1:
            kept[np.arange(len(table)), ..., np.arange(len(table))] = False
        places = np.nonzero(kept)
        return cls(table[kept], np.stack((places[0], places[-1]), axis=1), members)

    def resampled(self, samples: int, seed: int) -> Float[np.ndarray, "samples levels"]:
        """Return the quantiles at LEVELS when members are drawn again with replacement.

        Statistics that have the same members draw the same ones. A sample without any pair, as of two curves that are
        the same one, is left as it was.
        """
        order = np.argsort(self.values)
        values, pairs = self.values[order], self.pairs[order]
        if len(self.members) == 1:
            times = _times(samples, pairs, seed, self.members[0])
        else:
            times = np.stack([_times(samples, pairs[:, k], seed, self.members[k]) for k in (0, 1)], axis=-1)
        found = np.empty((samples, len(LEVELS)))
        for row, of_sample in zip(found, times, strict=True):
            counted = np.cumsum(of_sample.prod(axis=1))
            if counted[-1] == 0:
                counted = np.arange(1, len(values) + 1)
            row[:] = values[np.searchsorted(counted, (LEVELS * counted[-1]).astype(int), side="right")]
        return found


def _times(
    samples: int, members: Int[np.ndarray, " *n"], seed: int, kind: tuple[int, ...]
) -> Int[np.ndarray, "samples *n"]:
    """How often each of these members is drawn, in each bootstrap sample."""
    different, places = np.unique(members, return_inverse=True)
    count = len(different)
    drawn = rng.stream(seed, "geometry.bootstrap", *kind).integers(count, size=(samples, count))
    times = np.stack([np.bincount(of_sample, minlength=count) for of_sample in drawn])
    return times[:, places.reshape(members.shape)]


def _measured(paired: Mapping[str, Paired], others: Mapping[str, Mapping[str, Paired]]) -> list[str]:
    """List the statistics that have values, also for all others. Raises `RequestError` if there is none."""
    every = (paired, *others.values())
    measured = [name for name in paired if all(of[name].values.size for of in every)]
    if not measured:
        raise RequestError("R: got too few curves and steps that have a length, needs two of one factor")
    return measured


def _checked(ideal: Lattice, name: str, sizes: tuple[int, ...]) -> Normalised:
    reference = Representation.of(ideal, name=name)
    if reference.sizes != sizes:
        raise RequestError(f"{name}: got a lattice of {reference.sizes}, needs that of R, {sizes}")
    return reference.normalised


def _compared(
    paired: dict[str, Paired], ideal: dict[str, dict[str, np.ndarray]], missing: tuple[str, ...],
    resampled: dict[str, np.ndarray], noise: float | None, ceiling: dict[str, float],
) -> Comparison:  # fmt: skip
    """Compare statistics with those of the references, and measure how certain the nearest is."""
    found = {name: of.values for name, of in paired.items()}
    distances = {
        shape: {name: float(scipy.stats.wasserstein_distance(found[name], values)) for name, values in of_shape.items()}
        for shape, of_shape in ideal.items()
    }
    total = {shape: float(np.mean(list(of_shape.values()))) for shape, of_shape in distances.items()}
    nearest = min(total, key=lambda shape: round(total[shape], TIE))
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
    low, high = _spread(drawn)
    interval = {
        shape: (max(0.0, total[shape] + float(low[k])), total[shape] + float(high[k])) for k, shape in enumerate(ideal)
    }
    support = float(np.mean(drawn.round(TIE).argmin(axis=1) == list(ideal).index(nearest)))
    return Comparison(
        found, ideal, distances, total, interval, nearest, support, resampled, missing, noise, ceiling
    )  # fmt: skip


def _jackknifed(
    paired: Mapping[str, Paired], given: Representation, seed: int, samples: int
) -> dict[str, Float[np.ndarray, "samples levels"]]:
    """Return quantiles of each statistic at LEVELS, as they vary when the noise does.

    Each of GROUPS groups of every factor's curves is left out in turn, and all is estimated from the other curves. The
    quantiles are drawn from Student's distribution with the covariance of this delete-a-group jackknife. Statistics are
    drawn together.
    """
    count = [math.prod(given.sizes) // n for n in given.sizes]
    groups = min(GROUPS, *count)
    whole = {name: _quantiles(of.values) for name, of in paired.items()}
    moved = {name: np.zeros((groups, len(LEVELS))) for name in paired}
    curves = Curves.of(given.normalised, seed)
    for g in range(groups):
        kept = [np.flatnonzero(np.arange(n) % groups != g) for n in count]
        try:
            steps = unit_steps(given.normalised, given.wraps, 1, given.name, kept)
            found = _paired(steps, curves.part(kept), given, seed)
        except RequestError:  # the other curves have no steps
            continue
        for name, quantiles in whole.items():
            if found[name].values.size:
                moved[name][g] = _quantiles(found[name].values) - quantiles
    stream = rng.stream(seed, "geometry.jackknife")
    scale = np.sqrt((groups - 1) / stream.chisquare(groups - 1, size=(samples, 1)))
    weights = stream.normal(size=(samples, groups)) * scale * math.sqrt((groups - 1) / groups)
    return {name: whole[name] + weights @ (moved[name] - moved[name].mean(axis=0)) for name in paired}


def _wider(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return for each statistic those quantiles whose mean varies more."""
    return {name: max(one[name], other[name], key=lambda rows: float(np.std(rows.mean(axis=1)))) for name in one}


@dataclass(frozen=True)
class Curves:
    """The curves of each factor along which a representation varies, CURVES of them at most.

    Attributes
    ----------
    numbers : sequence of (c,)
        For each factor the numbers of its curves.
    values : sequence of (m, c, n, d)
        For each factor the readings of its curves.
    shares : mapping of (int, int) to Shares
        For two factors the shares of the first one's curves inside the subspaces of the second one's.
    """

    numbers: Sequence[Int[np.ndarray, " c"]]
    values: Sequence[Float[np.ndarray, "m c n d"]]
    shares: Mapping[tuple[int, int], Shares]

    @classmethod
    def of(cls, R: Normalised, seed: int) -> Self:
        """Take the curves of R. The seed chooses among too many."""
        numbers, values = zip(*(_varied_curves(R, k, seed) for k in range(R.values.ndim - 2)), strict=True)
        return cls(numbers, values, Shares.between(values))

    def part(self, kept: Sequence[Int[np.ndarray, " c"]]) -> Self:
        """Return those curves of each factor whose numbers are kept."""
        of = [np.isin(numbers, wanted) for numbers, wanted in zip(self.numbers, kept, strict=True)]
        return replace(
            self,
            numbers=[numbers[wanted] for numbers, wanted in zip(self.numbers, of, strict=True)],
            values=[values[:, wanted] for values, wanted in zip(self.values, of, strict=True)],
            shares={(p, q): share.part(of[p], of[q]) for (p, q), share in self.shares.items()},
        )


def _of(whole: Normalised, given: Representation, seed: int, name: str | None = None) -> dict[str, Paired]:
    """Return `_paired` of R or of a reference, which error messages call by its name."""
    return _paired(unit_steps(whole, given.wraps, 1, name or given.name), Curves.of(whole, seed), given, seed)


def _paired(steps: list[np.ndarray], curves: Curves, given: Representation, seed: int) -> dict[str, Paired]:
    """Collect the values of each statistic of `compare`, each with the curves or the steps that it belongs to.

    With several readings cosines are means; those of a reference are the same means.

    Parameters
    ----------
    steps : list of (m, n, ..., d)
        Unit steps of each factor.
    curves : Curves
        The curves.
    given : Representation
        R: its axes are the factors.
    seed : int
        Seed of the choice of steps.
    """
    names, every = given.names, tuple(range(len(given.names)))
    others = [tuple(k for k in every if k != p) for p in every]  # curves of a factor differ in the values of the others
    found: dict[str, Paired] = {}
    for p, q in combinations_with_replacement(every, 2):
        apart = 1 - curves.shares[p, q].without_noise()
        found[f"{names[p]}-on-{names[q]} orthogonality"] = Paired.of(apart, *dict.fromkeys((others[p], others[q])))
    for p, q in combinations(every, 2):
        cosines = matched(steps, p, q)
        cosines = cosines.reshape(len(cosines), -1)  # by the value of the first factor, and those of the others
        table = _mean(cosines)[None] if given.several else cosines
        found[f"{names[p]}-on-{names[q]} parallelism"] = Paired.of(table, (0,), others[0])
    for k, (u, factor) in enumerate(zip(steps, names, strict=True)):
        by_step = part(u, k, True, seed)[0]
        by_curve = part(u, k, False, seed)[0].swapaxes(1, 2)
        for statistic, of, members in (
            (f"{factor}-on-{factor} parallelism", by_step, others[k]),
            (f"{factor} within", by_curve, (k,)),
        ):
            cosines = products(of, of)
            table = _mean(cosines)[None] if given.several else cosines
            found[statistic] = Paired.of(table.swapaxes(0, 1), members)
    return found


def _shuffled(given: Representation, measured: Sequence[str], seed: int) -> dict[str, dict[str, Paired]]:
    """The statistics of R's points in random order, if all that are measured of R have a value."""
    if len(given.axes) == 1:
        return {}
    whole = given.normalised
    m, d = len(whole.values), whole.values.shape[-1]
    order = rng.stream(seed, "comparison.shuffled").permutation(math.prod(given.sizes))
    values = whole.values.reshape(m, -1, d)[:, order].reshape(whole.values.shape)
    try:
        found = _of(replace(whole, values=values), given, seed)
    except RequestError:  # with few different points a factor may lose all its steps
        return {}
    return {SHUFFLED: found} if all(found[name].values.size for name in measured) else {}


def _ceiling(steps: list[np.ndarray], curves: Curves, given: Representation) -> dict[str, float]:
    """By statistic of `compare`, the value that one reading shows of equal steps, or of equal curves.

    For two factors it is the geometric mean for steps, and the mean for curves.
    """
    names = given.names
    alike = [same_steps(u) for u in steps]
    apart = [_same_curves(of) for of in curves.values]
    found = {f"{name} within": alike[k] for k, name in enumerate(names)}
    for p, q in combinations_with_replacement(range(len(names)), 2):
        found[f"{names[p]}-on-{names[q]} orthogonality"] = (apart[p] + apart[q]) / 2
        product = alike[p] * alike[q]
        found[f"{names[p]}-on-{names[q]} parallelism"] = math.copysign(math.sqrt(abs(product)), product)
    return found


def _same_curves(curves: Float[np.ndarray, "m c n d"]) -> float:
    """The mean orthogonality, as of single readings, of a curve in one reading with itself in the next."""
    pairs = zip(curves, np.roll(curves, -1, axis=0), strict=True)
    return float(np.mean([1 - overlaps_of_pairs(a, b, VARIANCE) for a, b in pairs]))


def _mean(cosines: Float[np.ndarray, "n *c"]) -> Float[np.ndarray, "*c"]:
    """Average over the first axis the cosines that are defined; NaN if none is."""
    defined = ~np.isnan(cosines)
    counts = defined.sum(axis=0)
    return np.where(counts, np.where(defined, cosines, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _varied_curves(R: Normalised, factor: int, seed: int) -> tuple[Int[np.ndarray, " c"], Float[np.ndarray, "m c n d"]]:
    """Return the numbers and the values of the curves of a factor along which R varies, CURVES of them at most.

    With several readings it varies if the variance of the signal is more than twice its standard error due to noise.
    """
    moved = np.moveaxis(R.values, factor + 1, -2)
    curves = moved.reshape(len(moved), -1, *moved.shape[-2:])
    varied = np.linalg.norm(np.ptp(curves.mean(axis=0), axis=1), axis=1) > R.least
    if len(curves) > 1:
        centred = curves - curves.mean(axis=2, keepdims=True)
        error = math.sqrt(centred.shape[2] * noise_variance(centred))
        varied &= inner(centred, centred).sum(axis=1) > 2 * error
    chosen = some(np.flatnonzero(varied), CURVES, rng.stream(seed, "geometry.curves", factor))
    return chosen, curves[:, chosen]


def _spread(drawn: Float[np.ndarray, "samples *n"]) -> Float[np.ndarray, "2 *n"]:
    """Return the ends of the 95 % interval of bootstrap samples, less their mean.

    Curves that are drawn twice bias distances upwards, so an interval has the width of the samples' spread and is
    placed around the value.
    """
    return np.quantile(drawn, [0.025, 0.975], axis=0) - drawn.mean(axis=0)


def _quantiles(values: np.ndarray) -> Float[np.ndarray, " levels"]:
    return np.sort(values)[(LEVELS * len(values)).astype(int)]


def _moved(
    values: np.ndarray, resampled: Float[np.ndarray, "samples levels"], ideal: np.ndarray
) -> Float[np.ndarray, " samples"]:
    """Return the change of the distance between a statistic and an ideal one in each bootstrap sample.

    Distances are taken between quantiles, which is close to the Wasserstein distance and quick.
    """
    goal = _quantiles(ideal)
    return np.abs(resampled - goal).mean(axis=1) - np.abs(_quantiles(values) - goal).mean()
