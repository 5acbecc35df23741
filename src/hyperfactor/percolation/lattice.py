"""Site percolation: sites of a lattice are occupied one by one, and occupied neighbours form clusters.

The algorithm of Newman and Ziff (Phys. Rev. E 64 (2001) 016706) finds the clusters at every occupation by union and
find, from one random order of the sites, in a time proportional to the number of sites. One array of 32-bit integers
holds the forest: the entry of a root is minus the size of its cluster, the entry of any other site is its parent.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # imports scipy.stats when it is needed: a second
from jaxtyping import Float, Int
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError, quoted
from hyperfactor.process import room

Metric = Literal["euclidean", "chebyshev", "manhattan"]
EMPTY = np.iinfo(np.int32).min
POINTS = 2**14  # points of the curve of a lattice with more sites
FARTHEST = 2**22  # largest number of sites in the box that holds the neighbours of a site
AHEAD = 8  # how many sites in advance a part of the forest is prefetched
# Share of periodic lattices in which a cluster wraps round along one given axis at the threshold. It is exact in two
# dimensions (Pinson, J. Stat. Phys. 75 (1994) 1167), simulated in three (Wang et al., Phys. Rev. E 87 (2013) 052107).
WRAPPING = {2: 0.521058290, 3: 0.25780}


@dataclass(frozen=True)
class PercolationCurve:
    """Clusters against occupation.

    Attributes
    ----------
    occupied : (m,)
        Numbers of occupied sites, from 0 to all: every number, or POINTS + 1 of them.
    largest : (m,)
        Size of the largest cluster at each of them, in sites.
    second_moment : (m,)
        Sum of the squared sizes of all clusters, divided by the number of sites.
    """

    occupied: Int[np.ndarray, " m"]
    largest: Int[np.ndarray, " m"]
    second_moment: Float[np.ndarray, " m"]

    @property
    def sites(self) -> int:
        return int(self.occupied[-1])

    @property
    def fraction(self) -> Float[np.ndarray, " m"]:
        """Share of the sites that are occupied."""
        return self.occupied / self.sites

    def ratio(self) -> Float[np.ndarray, " m"]:
        """Share of the occupied sites that are in the largest cluster; 0 if no site is occupied."""
        return self.largest / np.maximum(self.occupied, 1)

    def canonical(self, fractions: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Expected size of the largest cluster if each site is occupied with a given probability.

        This is the curve averaged over the binomial distribution of the number of occupied sites.

        Parameters
        ----------
        fractions : (k,)
            Probabilities of occupation, in [0, 1].

        Returns
        -------
        (k,)
            Expected sizes, in sites.

        Raises
        ------
        RequestError
            If a fraction is outside [0, 1].

        References
        ----------
        Newman and Ziff, Phys. Rev. E 64 (2001) 016706, equation 2.
        """
        fractions = arrays.numbers(fractions, "fractions")
        if fractions.ndim != 1:
            raise RequestError(f"fractions: got an array of shape {fractions.shape}, needs (k,)")
        if (bad := ~((fractions >= 0) & (fractions <= 1))).any():
            raise RequestError(f"fractions: got {fractions[bad][0]:g}, needs probabilities in 0..1")
        expected = np.empty(len(fractions))
        for k, p in enumerate(fractions):
            spread = 10 * math.sqrt(self.sites * p * (1 - p)) + 1
            first, last = max(0, int(self.sites * p - spread)), min(self.sites, int(self.sites * p + spread) + 1)
            counts = np.unique(np.linspace(first, last, min(last - first, 20_000) + 1).round())
            weights = scipy.stats.binom.pmf(counts, self.sites, p)
            expected[k] = weights @ np.interp(counts, self.occupied, self.largest) / weights.sum()
        return expected


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error.

    Attributes
    ----------
    value : float
        The value.
    error : float
        Its standard error.
    """

    value: float
    error: float


def neighbours(dimensions: int, reach: float, metric: Metric = "euclidean") -> Int[np.ndarray, "m dimensions"]:
    """The steps from a site to all other sites within a reach.

    Parameters
    ----------
    dimensions : int
        Number of dimensions.
    reach : float
        Largest length of a step, in lattice units.
    metric : {"euclidean", "chebyshev", "manhattan"}
        How length is measured.

    Returns
    -------
    (m, dimensions)
        The steps, in lattice units.

    Raises
    ------
    RequestError
        If the metric is unknown, or the reach is negative or too large.
    """
    if metric not in ("euclidean", "chebyshev", "manhattan"):
        raise RequestError(f"metric: got {metric!r}, needs euclidean, chebyshev or manhattan")
    dimensions = arrays.whole(dimensions, "dimensions", 1)
    farthest = int((FARTHEST ** (1 / dimensions) - 1) / 2)
    if not 0 <= (length := arrays.real(reach)) <= farthest:
        given = quoted(reach) if math.isnan(length) else f"{length:g}"
        raise RequestError(f"reach: got {given}, needs a number in 0..{farthest} for {dimensions} dimensions")
    order = {"euclidean": 2, "chebyshev": np.inf, "manhattan": 1}[metric]
    most = int(reach + 1e-9)
    steps = np.indices([2 * most + 1] * dimensions, dtype=np.int64).reshape(dimensions, -1).T - most
    length = np.linalg.norm(steps.astype(float), ord=order, axis=1)
    return steps[(length > 0) & (length <= reach + 1e-9)]


def site_percolation(
    shape: Sequence[int],
    reach: float = 1.0,
    seed: int = 0,
    periodic: bool = True,
    metric: Metric = "euclidean",
) -> PercolationCurve:
    """Occupy the sites of a lattice in random order. All sites within a reach are neighbours.

    Parameters
    ----------
    shape : sequence of int
        Sites along each side, in 1 to 3 dimensions; fewer than 2^31 sites in total.
    reach : float
        Largest distance between neighbours, in lattice units.
    seed : int
        Seed of the order.
    periodic : bool
        Whether opposite sides are joined.
    metric : {"euclidean", "chebyshev", "manhattan"}
        How distance is measured.

    Returns
    -------
    PercolationCurve
        The clusters at each occupation.

    Raises
    ------
    RequestError
        If the shape, reach or metric is invalid, a step is as long as a periodic side, or the lattice does not fit into
        memory, which takes 8 bytes a site.
    """
    shape = _sides(shape)
    if not isinstance(periodic, bool | np.bool_):
        raise RequestError(f"periodic: got {quoted(periodic)}, needs True or False, for all sides")
    steps = neighbours(len(shape), reach, metric)
    if periodic and len(steps) and (np.abs(steps).max(axis=0) >= np.array(shape)).any():
        raise RequestError(f"reach: got {reach} for a periodic lattice {shape}, needs less than each side")
    sites = math.prod(shape)
    check_memory(f"shape: got {sites} sites", sites, 8)
    order, occupied = filling(sites, seed)
    # `_curve` has three dimensions
    padded = np.zeros((len(steps), 3), dtype=np.int64)
    padded[:, 3 - len(shape) :] = steps
    forest = np.full(sites, EMPTY, dtype=np.int32)  # made here, because numpy asks for large pages
    largest, second = _curve(forest, order, _in_three(shape), padded, occupied, periodic)
    return PercolationCurve(occupied, largest, second / sites)


def filling(sites: int, seed: int) -> tuple[Int[np.ndarray, " sites"], Int[np.ndarray, " m"]]:
    """Return a random order of sites, and the numbers of occupied sites that a curve has."""
    order = np.arange(sites, dtype=np.int32)
    rng.stream(seed, "percolation.order").shuffle(order)
    return order, np.unique(np.linspace(0, sites, min(sites, POINTS) + 1).round().astype(np.int64))


def check_memory(request: str, sites: int, each: int) -> None:
    """Raise `RequestError` if a forest with `each` bytes a site does not fit into memory."""
    most = room() // each
    if sites > most:
        raise RequestError(f"{request} ({sites * each / 1e9:.1f} GB), needs at most {most} on this machine now")


def check_samples(sizes: Sequence[int], seeds: int) -> tuple[list[int], int]:
    """The sizes and the number of seeds as integers of Python, whose powers do not overflow.

    Raises `RequestError` unless there are sizes of at least 1 that differ, and at least two seeds. A size that is given
    twice would count as two independent samples.
    """
    if not np.iterable(sizes):
        raise RequestError(f"sizes: got {quoted(sizes)}, needs a list of integers")
    found = [arrays.whole(size, "sizes", 1) for size in sizes]
    if not found:
        raise RequestError("sizes: got none, needs at least one")
    if len(set(found)) < len(found):
        raise RequestError(f"sizes: got {quoted(found)}, needs sizes that differ")
    return found, arrays.whole(seeds, "seeds", 2)


def _sides(shape: Sequence[int]) -> tuple[int, ...]:
    """The sides of a lattice as integers of Python, whose product does not overflow."""
    sides = tuple(arrays.integer(side) or 0 for side in shape) if np.iterable(shape) else ()
    if not (1 <= len(sides) <= 3 and min(sides) >= 1 and math.prod(sides) < 2**31):
        raise RequestError(f"shape: got {quoted(shape)}, needs 1 to 3 sides of at least 1, fewer than 2^31 sites")
    return sides


def _in_three(shape: tuple[int, ...]) -> Int[np.ndarray, " 3"]:
    """The sides in three dimensions; missing ones have one site."""
    return np.array((1,) * (3 - len(shape)) + shape, dtype=np.int64)


def compiled(function: Callable) -> Callable:
    """Compile a function with numba, and cache the result on disk if a folder can be written."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:
        return njit(function)


@compiled
def root_of(forest, site):
    """The root of an occupied site. Halves the path to it."""
    while forest[site] >= 0:
        parent = forest[site]
        if forest[parent] >= 0:
            forest[site] = forest[parent]
        site = parent
    return site


@compiled
def joined(forest, one, other):
    """Join two clusters by their roots. Returns the root, and what the sum of squared sizes gains."""
    here, there = -np.int64(forest[one]), -np.int64(forest[other])
    if here < there:
        one, other = other, one
    forest[one] = -np.int32(here + there)
    forest[other] = one
    return one, 2 * here * there


@intrinsic
def _prefetch(_context, array, index):
    """Prefetch an element of an array. This changes nothing, and the index may be out of range."""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        call = builder.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        )
        to_write, keep, is_data = flag(1), flag(3), flag(1)
        builder.call(call, [builder.bitcast(builder.gep(data, [args[1]]), byte), to_write, keep, is_data])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@compiled
def _ask_ahead(forest, order, offsets, count):
    """Prefetch the neighbours of a site that will be occupied soon, and the parents of a nearer site's neighbours.

    Without this, most of the time is spent waiting for memory. Neighbours across a periodic boundary are not
    prefetched.
    """
    if count + 2 * AHEAD < len(order):
        for offset in offsets:
            _prefetch(forest, order[count + 2 * AHEAD] + offset)  # pyright: ignore[reportCallIssue]
    if count + AHEAD < len(order):
        for offset in offsets:
            near = order[count + AHEAD] + offset
            if 0 <= near < len(forest) and forest[near] >= 0:
                _prefetch(forest, forest[near])  # pyright: ignore[reportCallIssue]


@compiled
def _curve(forest, order, sides, steps, occupied, periodic):
    """Size of the largest cluster and sum of squared sizes at each number of occupied sites. Fills the forest."""
    n0, n1, n2 = sides
    offsets = (steps[:, 0] * n1 + steps[:, 1]) * n2 + steps[:, 2]
    largest = np.zeros(len(occupied), dtype=np.int64)
    second = np.zeros(len(occupied), dtype=np.float64)
    most, squares, at = 0, 0, 0
    if occupied[0] == 0:
        at = 1
    for count in range(len(order)):
        _ask_ahead(forest, order, offsets, count)
        site = order[count]
        forest[site] = -1
        squares += 1
        root = site
        plane = site // n2
        z = site - plane * n2
        x = plane // n1
        y = plane - x * n1
        for k in range(len(steps)):
            a, b, c = x + steps[k, 0], y + steps[k, 1], z + steps[k, 2]
            if periodic:
                a += n0 if a < 0 else (-n0 if a >= n0 else 0)
                b += n1 if b < 0 else (-n1 if b >= n1 else 0)
                c += n2 if c < 0 else (-n2 if c >= n2 else 0)
            elif a < 0 or a >= n0 or b < 0 or b >= n1 or c < 0 or c >= n2:
                continue
            near = (a * n1 + b) * n2 + c
            if forest[near] == EMPTY:
                continue
            other = root_of(forest, near)
            if other != root:
                root, gained = joined(forest, root, other)
                squares += gained
        most = max(most, -forest[root])
        if count + 1 == occupied[at]:
            largest[at] = most
            second[at] = squares
            at += 1
    return largest, second


@compiled
def _wrap(order, sides, steps, axis):
    """The number of occupied sites at which a cluster first wraps round the periodic lattice along an axis.

    Each site keeps the displacement to its parent along the axis. If two paths between the same sites differ in
    displacement, they close a loop round the lattice (Machta et al., Phys. Rev. E 54 (1996) 1332).
    """
    n0, n1, n2 = sides
    forest = np.full(len(order), EMPTY, dtype=np.int32)
    way = np.zeros(len(order), dtype=np.int32)  # displacement to the parent
    for count in range(len(order)):
        site = order[count]
        forest[site] = -1
        plane = site // n2
        z = site - plane * n2
        x = plane // n1
        y = plane - x * n1
        for k in range(len(steps)):
            a, b, c = (x + steps[k, 0]) % n0, (y + steps[k, 1]) % n1, (z + steps[k, 2]) % n2
            near = (a * n1 + b) * n2 + c
            if forest[near] == EMPTY:
                continue
            here, there = walk(forest, way, site), walk(forest, way, near)
            between = here[1] - there[1] - steps[k, axis]  # displacement between the roots, by this step
            if here[0] == there[0]:
                if between != 0:
                    return count + 1
                continue
            join(forest, way, here[0], there[0], between)
    return len(order)


@compiled
def walk(forest, way, site):
    """The root of a site and the displacement to it along the axis. Shortens the path."""
    root, length = site, 0
    while forest[root] >= 0:
        length += way[root]
        root = forest[root]
    total = length
    while forest[site] >= 0:
        parent, step = forest[site], way[site]
        forest[site] = root
        way[site] = length
        length -= step
        site = parent
    return root, total


@compiled
def join(forest, way, one, other, between):
    """Join two clusters by their roots; `between` is the displacement from `other` to `one`."""
    if -forest[one] < -forest[other]:
        one, other, between = other, one, -between
    forest[one] += forest[other]
    forest[other] = one
    way[other] = between


def critical_fraction(
    reach: float = 1.0,
    sizes: Sequence[int] = (64, 128, 256),
    seeds: int = 100,
    dimensions: int = 2,
    metric: Metric = "euclidean",
) -> Estimate:
    """The occupied fraction at which an infinite lattice percolates, by finite-size scaling.

    Parameters
    ----------
    reach : float
        Largest distance between neighbours, in lattice units; at least 1.
    sizes : sequence of int
        Sites along each side, more than twice the reach. No size is given twice.
    seeds : int
        Number of random orders of each size, at least 2.
    dimensions : int
        2 or 3.
    metric : {"euclidean", "chebyshev", "manhattan"}
        How distance is measured.

    Returns
    -------
    Estimate
        The fraction with its standard error.

    Raises
    ------
    RequestError
        If a parameter is out of range, or a lattice does not fit into memory, which takes 12 bytes a site.

    Notes
    -----
    Each lattice is filled until a cluster wraps round along one axis; this is done for each axis. If each site is
    occupied with the probability of the threshold, the share of lattices that have wrapped is a constant (WRAPPING).
    Where a cluster wraps at the k-th of N sites, the lattice wraps at a probability that is the k-th smallest of N
    uniform numbers, a draw from Beta(k, N + 1 - k). The estimate of a size is the quantile of these at the constant.
    Its bias falls so fast with size that no practical number of seeds resolves it. The result is the mean over sizes,
    weighted by 1 / error^2. Its error is a bootstrap over seeds, widened if the sizes disagree by more than chance
    explains.
    """
    given, dimensions = dimensions, arrays.integer(dimensions) or 0
    if dimensions not in WRAPPING:
        raise RequestError(f"dimensions: got {quoted(given)}, needs 2 or 3")
    sizes, seeds = check_samples(sizes, seeds)
    steps = neighbours(dimensions, reach, metric)
    if not len(steps):
        raise RequestError(f"reach: got {reach}, needs at least 1, the distance of the nearest site")
    if min(sizes) <= (twice := 2 * int(np.abs(steps).max())):  # else two steps may lead to the same site
        raise RequestError(f"sizes: got {sizes} for a reach of {reach:g}, needs sides of more than {twice}")
    padded = np.zeros((len(steps), 3), dtype=np.int64)
    padded[:, 3 - dimensions :] = steps
    found = []
    for size in sizes:
        sides = _in_three(_sides([size] * dimensions))
        check_memory(f"sizes: got {size}, which makes {size**dimensions} sites", size**dimensions, 12)
        fractions = np.empty((seeds, dimensions))
        for seed in range(seeds):
            order = np.arange(size**dimensions, dtype=np.int32)
            stream = rng.stream(seed, "percolation.critical", size)
            stream.shuffle(order)
            for axis in range(dimensions):
                wrapped = _wrap(order, sides, padded, 3 - dimensions + axis)
                fractions[seed, axis] = stream.beta(wrapped, len(order) + 1 - wrapped)
        found.append(quantile(fractions, WRAPPING[dimensions], size))
    return combined(found)


def quantile(values: Float[np.ndarray, "seeds axes"], share: float, size: int) -> Estimate:
    """A quantile of all values, with its bootstrap error over seeds.

    Parameters
    ----------
    values : (seeds, axes)
        The sample.
    share : float
        The quantile, in [0, 1].
    size : int
        Size of the system, which names the random stream of the bootstrap.

    Returns
    -------
    Estimate
        The quantile with its standard error.
    """
    generator = rng.stream(0, "percolation.bootstrap", size)
    drawn = [np.quantile(values[generator.integers(len(values), size=len(values))], share) for _ in range(200)]
    return Estimate(float(np.quantile(values, share)), float(np.std(drawn, ddof=1)))


def combined(found: Sequence[Estimate]) -> Estimate:
    """The mean of estimates, weighted by 1 / error^2.

    Its error is widened if the estimates differ by more than chance explains.
    """
    values = np.array([estimate.value for estimate in found])
    weights = np.array([1 / estimate.error**2 for estimate in found])
    mean = float(weights @ values / weights.sum())
    chance = float(weights @ (values - mean) ** 2) / max(1, len(found) - 1)
    return Estimate(mean, float(math.sqrt(max(1.0, chance) / weights.sum())))
