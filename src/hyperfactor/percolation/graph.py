"""Percolation on the overlap graph of pictures: two pictures are neighbours if they overlap by a threshold.

The overlap of two pictures is the inner product of their pixels, scaled to unit norm. For bumps of one width this is a
lattice on which all sites within a reach are neighbours (see `overlap` and `lattice`). The graph itself can be made of
the pictures of any family, with any number of factors.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from hyperfactor import arrays
from hyperfactor.errors import RequestError, quoted
from hyperfactor.percolation.lattice import EMPTY, PercolationCurve, compiled, filling, joined, root_of

FAINT = 1e-3  # largest norm of the faint pixels that the search for candidates leaves out; a picture has norm 1
ROUNDED = 1e-9  # an overlap that is less below 1 is 1, but for rounding
ROWS = 512  # pictures whose candidates are searched for at once
NUMBERS = 2**22  # pixels that are multiplied at once, to limit memory


def overlap_graph(images: Float[np.ndarray, "n ..."], threshold: float) -> sparse.csr_array:
    """Find the pairs of pictures that overlap by a threshold.

    Parameters
    ----------
    images : (n, ...)
        Pictures.
    threshold : float
        The overlap from which two pictures are neighbours, above 0 and at most 1.

    Returns
    -------
    (n, n) csr_array
        The overlap of each pair of neighbours, in both triangles. The diagonal is empty.

    Raises
    ------
    RequestError
        If the threshold is out of range, there is no picture, a picture is empty, a pixel is not finite, or
        `arrays.numbers` refuses the images.

    Notes
    -----
    Pictures that share no pixel are never compared. Each picture is reduced to its brightest pixels, so that what is
    left out has a norm of FAINT, or a quarter of the threshold if this is less. By the Cauchy-Schwarz inequality this
    changes an overlap by at most twice this norm, so pairs that reach the threshold less this much are candidates.
    Their overlaps are then computed from all pixels. At a threshold of 1, the overlap may lie ROUNDED below it.
    """
    share = _share(threshold)
    faint = min(FAINT, share / 4)
    flat = _unit(images)
    bright = _bright(flat, faint)
    found = []
    for first in range(0, len(flat), ROWS):
        near = (bright[first : first + ROWS] @ bright.T).tocoo()
        kept = near.data >= share - 2 * faint
        rows, columns = near.row[kept] + first, near.col[kept]
        rows, columns = rows[rows != columns], columns[rows != columns]
        exact = _inner(flat, rows, columns)
        found.append((rows[exact >= share], columns[exact >= share], exact[exact >= share]))
    rows, columns, exact = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return sparse.csr_array((exact, (rows, columns)), shape=(len(flat), len(flat)))


def _share(threshold: float) -> float:
    """The overlap from which two pictures are neighbours. Between equal pictures it is 1, but for rounding."""
    share = arrays.real(threshold)
    if not 0 < share <= 1:
        raise RequestError(f"threshold: got {quoted(threshold)}, needs a number above 0 and at most 1")
    return min(share, 1 - ROUNDED)


def _unit(images: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "n p"]:
    """Return the pictures as rows of unit norm."""
    given = arrays.finite(arrays.numbers(images, "images"), "images")
    if not given.ndim or not len(given):
        raise RequestError(f"images: got an array of shape {given.shape}, needs (n, ...), at least one picture")
    flat = given.reshape(len(given), -1)
    largest = np.abs(flat).max(axis=1, initial=0)
    if (empty := np.flatnonzero(largest == 0)).size:
        raise RequestError(f"images: got an empty picture, number {empty[0]}, needs one with a bright pixel")
    flat = np.ldexp(flat, -np.frexp(largest)[1][:, None])  # by a power of 2, so that no square leaves float64
    return flat / np.linalg.norm(flat, axis=1)[:, None]


def _inner(
    flat: Float[np.ndarray, "n p"], rows: Int[np.ndarray, " m"], columns: Int[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Return the inner product of each pair of pictures."""
    found, some = np.empty(len(rows)), max(1, NUMBERS // flat.shape[1])
    for i in range(0, len(rows), some):
        np.einsum("ij,ij->i", flat[rows[i : i + some]], flat[columns[i : i + some]], out=found[i : i + some])
    return found


def _bright(flat: Float[np.ndarray, "n p"], faint: float) -> sparse.csr_array:
    """Return pictures of unit norm without their faintest pixels, whose norm is at most `faint`."""
    order = np.argsort(flat**2, axis=1)
    left_out = np.cumsum(np.take_along_axis(flat**2, order, axis=1), axis=1) <= faint**2
    kept = flat.copy()
    np.put_along_axis(kept, order, np.where(left_out, 0, np.take_along_axis(flat, order, axis=1)), axis=1)
    return sparse.csr_array(kept)


def graph_percolation(graph: sparse.csr_array, seed: int = 0) -> PercolationCurve:
    """Occupy the nodes of a graph in random order, and follow the clusters of connected nodes.

    Parameters
    ----------
    graph : (n, n) csr_array
        A symmetric matrix. Two nodes are neighbours where an entry is stored.
    seed : int
        Seed of the order.

    Returns
    -------
    PercolationCurve
        The clusters at each occupation.

    Raises
    ------
    RequestError
        If the matrix is not square or not symmetric, or has no node or 2^31 nodes or more.

    References
    ----------
    Newman and Ziff, Phys. Rev. E 64 (2001) 016706.
    """
    nodes, columns = cast(tuple[int, int], graph.shape)
    if not (nodes == columns and 1 <= nodes < 2**31):
        raise RequestError(f"graph: got a matrix of {nodes} x {columns}, needs a square one of 1 to 2^31 - 1 rows")
    stored = sparse.csr_array((np.ones(len(graph.indices), bool), graph.indices, graph.indptr), shape=graph.shape)
    if alone := (stored != stored.T).nnz // 2:
        raise RequestError(f"graph: got {alone} entries without their mirror image, needs a symmetric matrix")
    return _percolation(graph, seed)


def _percolation(graph: sparse.csr_array, seed: int) -> PercolationCurve:
    """The curve of a symmetric matrix."""
    nodes = len(graph.indptr) - 1
    order, occupied = filling(nodes, seed)
    starts, neighbours = graph.indptr.astype(np.int64), graph.indices.astype(np.int64)
    largest, second = _grow(starts, neighbours, order, occupied)
    return PercolationCurve(occupied, largest, second / nodes)


def giant_component(
    images: Float[np.ndarray, "n ..."], thresholds: Sequence[float], orders: int = 20
) -> dict[float, float | None]:
    """Find the number of random pictures above which at least half of them are in one cluster.

    Parameters
    ----------
    images : (n, ...)
        Pictures.
    thresholds : sequence of float
        Overlaps from which two pictures are neighbours, each above 0 and at most 1.
    orders : int
        Number of random orders over which the share of the largest cluster is averaged.

    Returns
    -------
    dict of float to float or None
        For each threshold, the number of pictures; None if not even all of them hang together.

    Raises
    ------
    RequestError
        If there is no threshold or no order, or `overlap_graph` refuses the images or a threshold.
    """
    shares = {threshold: _share(threshold) for threshold in thresholds} if np.iterable(thresholds) else {}
    if not shares:
        raise RequestError(f"thresholds: got {quoted(thresholds)}, needs a list of at least one number")
    orders = arrays.whole(orders, "orders", 1)
    pairs = overlap_graph(images, min(shares.values())).tocoo()
    found = {}
    for threshold, share in shares.items():
        near = pairs.data >= share
        graph = sparse.csr_array((pairs.data[near], (pairs.row[near], pairs.col[near])), shape=pairs.shape)
        found[threshold] = _joined([_percolation(graph, order) for order in range(orders)])
    return found


def _joined(curves: Sequence[PercolationCurve]) -> float | None:
    """Return the first number of occupied nodes from which on the largest cluster has half of them."""
    occupied = np.arange(1, curves[0].sites + 1)
    shares = np.mean([np.interp(occupied, curve.occupied[1:], curve.ratio()[1:]) for curve in curves], axis=0)
    apart = np.flatnonzero(shares < 0.5)
    if len(apart) and apart[-1] == len(occupied) - 1:
        return None
    return float(occupied[apart[-1] + 1]) if len(apart) else 1.0


@compiled
def _grow(starts, neighbours, order, occupied):
    """Size of the largest cluster and sum of squared sizes at each number of occupied nodes. The first number is 0."""
    forest = np.full(len(order), EMPTY, dtype=np.int32)
    largest = np.zeros(len(occupied), dtype=np.int64)
    second = np.zeros(len(occupied), dtype=np.float64)
    most, squares, at = 0, 0, 1
    for count in range(len(order)):
        root = order[count]
        forest[root] = -1
        squares += 1
        for k in range(starts[order[count]], starts[order[count] + 1]):
            if forest[neighbours[k]] != EMPTY:
                other = root_of(forest, neighbours[k])
                if other != root:
                    root, gained = joined(forest, root, other)
                    squares += gained
        most = max(most, -forest[root])
        if count + 1 == occupied[at]:
            largest[at] = most
            second[at] = squares
            at += 1
    return largest, second
