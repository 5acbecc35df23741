"""Site percolation: sites of a lattice are occupied one by one, and neighbours join into clusters.

Newman and Ziff's algorithm (Phys. Rev. E 64 (2001) 016706): one random order of the sites gives the
clusters at every occupation, by union and find, in a time proportional to the number of sites. One
array of 32-bit integers holds the forest: a root holds minus the size of its cluster, another site the
number of its parent.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import psutil
from jaxtyping import Float, Int
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from scipy.stats import binom

from hyperfactor import rng
from hyperfactor.errors import RequestError

Metric = Literal["euclidean", "chebyshev", "manhattan"]
EMPTY = np.iinfo(np.int32).min
POINTS = 2**14  # occupations that a curve keeps, of a lattice with more sites
FARTHEST = 2**22  # sites of the box that holds the neighbours of one
AHEAD = 8  # sites; how long before it is needed a part of the forest is asked of the memory
# The share of periodic lattices in which a cluster wraps round along one given axis at the threshold:
# in two dimensions exactly (Pinson, J. Stat. Phys. 75 (1994) 1167), in three by simulation (Wang et al.,
# Phys. Rev. E 87 (2013) 052107).
WRAPPING = {2: 0.521058290, 3: 0.25780}


@dataclass(frozen=True)
class PercolationCurve:
    """Clusters against occupation.

    occupied        numbers of occupied sites, ascending, from 0 to all; every one, or POINTS of them
    largest         size of the largest cluster there
    second_moment   sum of the squared sizes of all clusters, divided by the number of sites
    """

    occupied: Int[np.ndarray, " m"]
    largest: Int[np.ndarray, " m"]
    second_moment: Float[np.ndarray, " m"]

    @property
    def sites(self) -> int:
        return int(self.occupied[-1])

    @property
    def fraction(self) -> Float[np.ndarray, " m"]:
        """Of the sites that are occupied."""
        return self.occupied / self.sites

    def ratio(self) -> Float[np.ndarray, " m"]:
        """The largest cluster's share of the occupied sites; 0 where there are none."""
        return self.largest / np.maximum(self.occupied, 1)

    def canonical(self, fractions: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The expected size of the largest cluster where each site is occupied with these probabilities: the curve
        averaged over the binomial distribution of the number occupied (Newman and Ziff, equation 2)."""
        fractions = np.asarray(fractions, dtype=float)
        if not ((fractions >= 0) & (fractions <= 1)).all():
            raise RequestError("fractions: got some outside 0..1, needs probabilities")
        expected = np.empty(len(fractions))
        for k, p in enumerate(fractions):
            spread = 10 * math.sqrt(self.sites * p * (1 - p)) + 1
            first, last = max(0, int(self.sites * p - spread)), min(self.sites, int(self.sites * p + spread) + 1)
            counts = np.unique(np.linspace(first, last, min(last - first, 20_000) + 1).round())
            weights = binom.pmf(counts, self.sites, p)
            expected[k] = weights @ np.interp(counts, self.occupied, self.largest) / weights.sum()
        return expected


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error."""

    value: float
    error: float


def neighbours(dimensions: int, reach: float, metric: Metric = "euclidean") -> Int[np.ndarray, "m dimensions"]:
    """The steps to all sites within `reach` of one, in lattice units, it itself left out."""
    if metric not in ("euclidean", "chebyshev", "manhattan"):
        raise RequestError(f"metric: got {metric!r}, needs euclidean, chebyshev or manhattan")
    farthest = int((FARTHEST ** (1 / dimensions) - 1) / 2)
    if not 0 <= reach <= farthest:
        raise RequestError(f"reach: got {reach:g}, needs a number in 0..{farthest} for {dimensions} dimensions")
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
    """Occupy the sites of a lattice in random order; every site within `reach` is a neighbour.

    shape: sites a side, in 1 to 3 dimensions, fewer than 2^31 together. reach: in lattice units.
    Memory: 8 bytes a site. Raises RequestError for another shape, and where a step
    is as long as a periodic side.
    """
    sides = _sides(shape)
    steps = neighbours(len(shape), reach, metric)
    if periodic and len(steps) and (np.abs(steps).max(axis=0) >= np.array(shape)).any():
        raise RequestError(f"reach: got {reach} for a periodic lattice {tuple(shape)}, needs less than each side")
    sites = math.prod(shape)
    check_memory(sites, 8)
    order = np.arange(sites, dtype=np.int32)
    rng.stream(seed, "percolation.order").shuffle(order)
    occupied = np.unique(np.linspace(0, sites, min(sites, POINTS) + 1).round().astype(np.int64))
    # steps are taken in three dimensions, the missing ones having one site
    padded = np.zeros((len(steps), 3), dtype=np.int64)
    padded[:, 3 - len(shape) :] = steps
    forest = np.full(sites, EMPTY, dtype=np.int32)  # numpy's, which asks for large pages
    largest, second = _curve(forest, order, sides, padded, occupied, periodic)
    return PercolationCurve(occupied, largest, second / sites)


def check_memory(sites: int, each: int) -> None:
    """RequestError where the forest of a lattice, `each` bytes a site, takes more memory than there is."""
    room = psutil.virtual_memory().available
    if sites * each > room:
        raise RequestError(
            f"shape: got {sites} sites ({sites * each / 1e9:.1f} GB), needs at most {room // each} on this machine now"
        )


def _sides(shape: Sequence[int]) -> Int[np.ndarray, " 3"]:
    whole = all(isinstance(side, int | np.integer) and side >= 1 for side in shape)
    if not (1 <= len(shape) <= 3 and whole and math.prod(shape) < 2**31):
        raise RequestError(f"shape: got {tuple(shape)}, needs 1 to 3 sides of at least 1, fewer than 2^31 sites")
    return np.array([1] * (3 - len(shape)) + list(shape), dtype=np.int64)


def compiled(function: Callable) -> Callable:
    """Compile a function with numba, and keep what comes of it where there is a folder that can be written."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:
        return njit(function)


@compiled
def _root(forest, site):
    """The root of an occupied site; halves the path to it."""
    while forest[site] >= 0:
        parent = forest[site]
        if forest[parent] >= 0:
            forest[site] = forest[parent]
        site = parent
    return site


@intrinsic
def _prefetch(_context, array, index):
    """Ask the memory for an element of an array; changes nothing, wherever it points."""

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
    """Ask for the neighbours of a site that is soon occupied, and for the parents of those of a nearer one: most of
    the time would be spent waiting for them. A neighbour across a periodic boundary is not asked for."""
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
    """Size of the largest cluster and sum of squared sizes, at each number of occupied sites; fills the forest."""
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
            other = _root(forest, near)
            if other != root:
                here, there = -np.int64(forest[root]), -np.int64(forest[other])
                squares += 2 * here * there
                if here < there:
                    root, other = other, root
                forest[root] = -np.int32(here + there)
                forest[other] = root
        most = max(most, -forest[root])
        if count + 1 == occupied[at]:
            largest[at] = most
            second[at] = squares
            at += 1
    return largest, second


@compiled
def _wrap(order, sides, steps, axis):
    """The number of occupied sites at which a cluster first wraps round the periodic lattice along an axis.

    Each site keeps its way to its parent along the axis, position of the parent - its own; two ways between the same
    sites that differ close a loop round the lattice (Machta et al., Phys. Rev. E 54 (1996) 1332).
    """
    n0, n1, n2 = sides
    forest = np.full(len(order), EMPTY, dtype=np.int32)
    way = np.zeros(len(order), dtype=np.int32)  # to the parent
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
            between = here[1] - there[1] - steps[k, axis]  # from the root there to the root here, by this step
            if here[0] == there[0]:
                if between != 0:
                    return count + 1
                continue
            big, small, shift = here[0], there[0], between
            if -forest[big] < -forest[small]:
                big, small, shift = small, big, -between
            forest[big] += forest[small]
            forest[small] = big
            way[small] = shift
    return len(order)


@compiled
def walk(forest, way, site):
    """The root of a site, and the way to it along the axis; shortens the path."""
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


def critical_fraction(
    reach: float = 1.0,
    sizes: Sequence[int] = (64, 128, 256),
    seeds: int = 100,
    dimensions: int = 2,
    metric: Metric = "euclidean",
) -> Estimate:
    """The occupied fraction at which an endless lattice percolates, by finite-size scaling.

    For each size, lattices are filled until a cluster wraps round along one axis, for each axis and seed;
    at the threshold the share that has wrapped is a constant (WRAPPING), whose quantile of the fractions is thus an
    estimate, with a bias that falls faster than any useful statistics. The sizes' estimates are averaged
    with weights; the error is the bootstrap's over seeds, widened where the sizes disagree.

    sizes: sites a side, more than twice the reach. seeds: lattices of each size. dimensions: 2 or 3.
    """
    if dimensions not in WRAPPING:
        raise RequestError(f"dimensions: got {dimensions}, needs 2 or 3")
    if not sizes or seeds < 2:
        raise RequestError(f"sizes, seeds: got {list(sizes)} and {seeds}, needs a size and at least 2 seeds")
    steps = neighbours(dimensions, reach, metric)
    if not len(steps):
        raise RequestError(f"reach: got {reach}, needs at least 1, the distance of the nearest site")
    if min(sizes) <= (twice := 2 * int(np.abs(steps).max())):  # or a site is another's neighbour by two ways
        raise RequestError(f"sizes: got {list(sizes)} for a reach of {reach:g}, needs sides of more than {twice}")
    padded = np.zeros((len(steps), 3), dtype=np.int64)
    padded[:, 3 - dimensions :] = steps
    found = []
    for size in sizes:
        sides = _sides([size] * dimensions)
        check_memory(size**dimensions, 12)
        fractions = np.empty((seeds, dimensions))
        for seed in range(seeds):
            order = np.arange(size**dimensions, dtype=np.int32)
            rng.stream(seed, "percolation.critical", size).shuffle(order)
            for axis in range(dimensions):
                fractions[seed, axis] = _wrap(order, sides, padded, 3 - dimensions + axis) / len(order)
        found.append(quantile(fractions, WRAPPING[dimensions], size))
    return combined(found)


def quantile(values: Float[np.ndarray, "seeds axes"], share: float, size: int) -> Estimate:
    """The quantile over all, with its bootstrap error over seeds."""
    generator = rng.stream(0, "percolation.bootstrap", size)
    drawn = [np.quantile(values[generator.integers(len(values), size=len(values))], share) for _ in range(200)]
    return Estimate(float(np.quantile(values, share)), float(np.std(drawn, ddof=1)))


def combined(found: Sequence[Estimate]) -> Estimate:
    """The weighted mean; its error is widened by the spread where that is more than chance explains."""
    values = np.array([estimate.value for estimate in found])
    weights = np.array([1 / max(estimate.error, 1e-12) ** 2 for estimate in found])
    mean = float(weights @ values / weights.sum())
    chance = float(weights @ (values - mean) ** 2) / max(1, len(found) - 1)
    return Estimate(mean, float(math.sqrt(max(1.0, chance) / weights.sum())))
