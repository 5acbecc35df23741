"""Continuum percolation in the plane: discs at random places, connected where they overlap.

This is the Poisson Boolean model: discs of equal radius r, with centres distributed uniformly in a periodic square.
The filling factor eta = n pi r^2 / area counts an overlap once for each disc. Discs percolate at eta = 1.12809
(Mertens and Moore, Phys. Rev. E 86 (2012) 061109). A grid of cells about one diameter wide finds the discs near a
disc.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.percolation.lattice import (
    POINTS,
    WRAPPING,
    Estimate,
    PercolationCurve,
    check_memory,
    check_samples,
    combined,
    compiled,
    join,
    quantile,
    walk,
)

DENSEST = 1.5  # filling factor when all discs are added


@dataclass(frozen=True)
class FillingCurve(PercolationCurve):
    """Clusters of discs as discs are added, as `PercolationCurve` with discs for sites.

    Attributes
    ----------
    filling : (m,)
        Filling factor at each of `occupied`.
    """

    filling: Float[np.ndarray, " m"]


def boolean_model(n: int, seed: int = 0) -> FillingCurve:
    """Add discs one by one until the filling factor is DENSEST.

    Parameters
    ----------
    n : int
        Number of discs, at least 18 and below 2^31.
    seed : int
        Seed of the places of the discs.

    Returns
    -------
    FillingCurve
        The clusters at each number of discs.

    Raises
    ------
    RequestError
        If n is out of range or the discs do not fit into memory.
    """
    n = arrays.whole(n, "n", 1)
    centres, side = _discs(n, rng.stream(seed, "percolation.discs"))
    occupied = np.unique(np.linspace(0, n, min(n, POINTS) + 1).round().astype(np.int64))
    largest, second, _ = _add(centres, side, occupied, -1)
    return FillingCurve(occupied, largest, second / n, DENSEST * occupied / n)


def critical_filling(sizes: Sequence[int] = (2**12, 2**14, 2**16), seeds: int = 100) -> Estimate:
    """The filling factor at which discs percolate in the infinite plane, by finite-size scaling.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of discs, each given once.
    seeds : int
        Number of random arrangements of each size, at least 2.

    Returns
    -------
    Estimate
        The filling factor with its standard error.

    Raises
    ------
    RequestError
        If there is no size, a size is out of range or given twice, or there are fewer than 2 seeds.

    Notes
    -----
    The method is that of `lattice.critical_fraction`. In the plane the number of discs in a square is a Poisson number:
    where a cluster wraps at the k-th disc, the filling is that of the k-th arrival, a draw from Gamma(k).
    """
    sizes, seeds = check_samples(sizes, seeds)
    found = []
    for n in sizes:
        fillings = np.empty((seeds, 2))
        for seed in range(seeds):
            stream = rng.stream(seed, "percolation.critical discs", n)
            centres, side = _discs(n, stream)
            for axis in range(2):
                wrapped = _add(centres, side, np.zeros(1, np.int64), axis)[2]
                fillings[seed, axis] = DENSEST * stream.gamma(wrapped) / n
        found.append(quantile(fillings, WRAPPING[2], n))
    return combined(found)


def _discs(n: int, generator: np.random.Generator) -> tuple[Float[np.ndarray, "n 2"], float]:
    """Centres of n discs of diameter 1 in a square that they fill DENSEST times, and the side of the square."""
    if n >= 2**31:
        raise RequestError(f"n: got {n}, needs an integer below 2^31")
    side = math.sqrt(n * math.pi / 4 / DENSEST)
    check_memory(f"n: got {n} discs", n, 28)
    if side < 3:
        raise RequestError(f"n: got {n} discs, needs at least {math.ceil(36 * DENSEST / math.pi)}: 3 diameters a side")
    return generator.random((n, 2)) * side, side


@compiled
def _add(centres, side, occupied, axis):
    """Largest cluster and sum of squared sizes at each number of discs.

    With an axis of at least 0, stop at the number of discs at which a cluster wraps round along this axis, and return
    it as the third value.
    """
    n, cells = len(centres), int(side)
    width = side / cells
    first = np.full(cells * cells, -1, dtype=np.int32)  # first disc of each cell
    following = np.full(n, -1, dtype=np.int32)
    forest = np.full(n, -1, dtype=np.int32)
    way = np.zeros(n, dtype=np.int32)  # distance to the parent, in turns round the square
    largest = np.zeros(len(occupied), dtype=np.int64)
    second = np.zeros(len(occupied), dtype=np.float64)
    most, squares, at = 0, 0, int(occupied[0] == 0)
    for disc in range(n):
        squares += 1
        x, y = centres[disc]
        row, column = min(int(x / width), cells - 1), min(int(y / width), cells - 1)
        for i in range(row - 1, row + 2):
            for j in range(column - 1, column + 2):
                other = first[(i % cells) * cells + j % cells]
                while other >= 0:
                    dx, dy = centres[other, 0] - x, centres[other, 1] - y
                    turns_x, turns_y = -round(dx / side), -round(dy / side)
                    dx, dy = dx + turns_x * side, dy + turns_y * side
                    if dx * dx + dy * dy <= 1.0:
                        turns = turns_x if axis == 0 else turns_y
                        here, there = walk(forest, way, disc), walk(forest, way, other)
                        between = here[1] - there[1] - turns
                        if here[0] != there[0]:
                            squares += 2 * np.int64(forest[here[0]]) * np.int64(forest[there[0]])
                            join(forest, way, here[0], there[0], between)
                        elif axis >= 0 and between != 0:
                            return largest, second, disc + 1
                    other = following[other]
        cell = row * cells + column
        following[disc] = first[cell]
        first[cell] = disc
        most = max(most, -forest[walk(forest, way, disc)[0]])
        if axis < 0 and disc + 1 == occupied[at]:
            largest[at] = most
            second[at] = squares
            at += 1
    return largest, second, n
