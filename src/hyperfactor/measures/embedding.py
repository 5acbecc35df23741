"""Few coordinates of points, for pictures."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError, quoted
from hyperfactor.measures.normalised import normalised
from hyperfactor.measures.representation import Given, checked_points


@dataclass(frozen=True)
class Principal:
    """Principal components of a cloud.

    Attributes
    ----------
    coordinates : (n, c)
        Coordinates of the points along the principal axes.
    axes : (c, d)
        Unit vectors.
    shares : (c,)
        Share of the variance along each axis.
    """

    coordinates: np.ndarray
    axes: np.ndarray
    shares: np.ndarray


def pca(points: Given, components: int = 3) -> Principal:
    """Find the leading principal components.

    The sign of an axis is fixed: its entry of largest magnitude is positive.

    Parameters
    ----------
    points : (n, d) or Representation
        The cloud.
    components : int
        Number of components, from 1 to the smaller of n and d.

    Raises
    ------
    RequestError
        If `points` is no cloud of points, and for a number of components out of range.
    """
    found = normalised(checked_points(points))
    most = min(found.values.shape)
    if not 1 <= (arrays.integer(components) or 0) <= most:
        raise RequestError(f"components: got {quoted(components)}, needs an integer in 1..{most}")
    _, size, axes = np.linalg.svd(found.values, full_matrices=False)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    axes = (axes * np.where(largest < 0, -1, 1))[:components]
    return Principal(found.values @ axes.T * found.unit, axes, size[:components] ** 2 / np.sum(size**2))


def umap(
    points: Given, components: int = 2, neighbours: int = 15, minimum_distance: float = 0.1, seed: int = 0
) -> Float[np.ndarray, "n components"]:
    """Embed a cloud by UMAP (McInnes, Healy and Melville, arXiv 1802.03426), of umap-learn.

    The same points and seed give the same coordinates; for this it runs on one thread.

    Parameters
    ----------
    points : (n, d) or Representation
        The cloud.
    components : int
        Number of coordinates of a point.
    neighbours : int
        Number of neighbours of a point whose distances are kept; at least 2 and less than n.
    minimum_distance : float
        Distance between points that lie close together, in the new coordinates; in 0..1.
    seed : int
        Seed of the optimisation.

    Raises
    ------
    RequestError
        For fewer than components + 3 points, and for a number that is out of range.
    """
    seed, components = rng.check_seed(seed), arrays.whole(components, "components", 1)
    cloud = normalised(checked_points(points, least=components + 3)).values
    if not 2 <= (arrays.integer(neighbours) or 0) < len(cloud):
        raise RequestError(f"neighbours: got {quoted(neighbours)}, needs an integer in 2..{len(cloud) - 1}")
    if not 0 <= arrays.real(minimum_distance) <= 1:
        raise RequestError(f"minimum_distance: got {quoted(minimum_distance)}, needs a number in 0..1")
    from umap import UMAP  # 4 s to import, and up to 20 s to compile the first time

    _keep_compiled()
    state = (
        seed if seed < 2**32 else int(rng.stream(seed, "embedding.umap").integers(2**32))
    )  # the largest seed that UMAP takes
    reducer = UMAP(
        n_components=components, n_neighbors=neighbours, min_dist=minimum_distance, random_state=state, n_jobs=1
    )
    return np.asarray(reducer.fit_transform(cloud), dtype=np.float64)


@cache
def _keep_compiled() -> None:
    """Have numba keep three functions of umap-learn on the disk, which it would compile again in each process."""
    from umap import umap_, utils

    for function in (utils.fast_knn_indices, umap_.smooth_knn_dist, umap_.compute_membership_strengths):
        with suppress(RuntimeError):  # no folder for them can be written
            function.enable_caching()
