"""The number of dimensions of a cloud of points.

`participation_ratio` and `spectrum` describe the linear space around the cloud, `two_nn` and `levina_bickel` the
manifold on which it lies. None of them changes when the points are rotated, shifted, scaled, embedded in more
dimensions or reordered, nor when several readings are reordered, within the precision of float64 (see `normalised`).
The last two do not change when points are repeated: points nearer to each other than 1e-5 of the radius of the cloud
(the root mean square distance of its points from their mean) count once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays
from hyperfactor.errors import RequestError
from hyperfactor.measures.normalised import distinct, normalised, normalised_readings
from hyperfactor.measures.readings import noise_variance
from hyperfactor.measures.representation import Given, Representation, checked_points

Points = Float[np.ndarray, "n d"]
BLOCK = 2**22  # numbers that are held at a time, to limit memory


def spectrum(points: Given) -> Float[np.ndarray, " r"]:
    """Return the shares of the variance along the principal axes, largest first.

    Parameters
    ----------
    points : (n, d) or Representation
        The cloud.

    Returns
    -------
    (min(n, d),)
        Shares, which sum to 1.

    Raises
    ------
    RequestError
        If `points` is no cloud of points.
    """
    variance = _variances(normalised(checked_points(points)).values)
    return variance / variance.sum()


def participation_ratio(points: Given, corrected: bool = False) -> float:
    """Return the number of dimensions over which the variance spreads: 1 on a line, d if all directions are alike.

    It is (sum_i l_i)^2 / sum_i l_i^2 with l_i the variances along the principal axes.

    The points of a whole lattice are the whole population, and need no correction. A few independent samples make the
    ratio too small. For n samples, with S their covariance and N = n - 1, ::

        b = N^2 / ((N - 1) (N + 2)) (tr S^2 - (tr S)^2 / N),      a = (tr S)^2 - 2 b / N

    estimate tr C^2 and (tr C)^2 without bias for normal samples of covariance C, and the ratio is a / b
    (Srivastava, J. Japan Statist. Soc. 35 (2005) 251).

    With several readings of the same points (see `readings`) it is the ratio of their signal: with C the covariance
    taken across readings, tr C has no noise. In tr C^2 = sum_{k,l} <x_k, x_l>^2 / n^2 only the terms k = l have noise;
    they are replaced by <x_k, x_k>^2 minus the variance of the noise.

    Parameters
    ----------
    points : (n, d), list of (n, d) or (n_1, ..., n_k, d), or Representation
        The cloud, or two or more readings of it.
    corrected : bool
        Whether the points are independent samples. Several readings allow False only.

    Raises
    ------
    RequestError
        For fewer than 4 points if it is to be corrected, and for readings that contain only noise.
    """
    if isinstance(points, list | tuple | Representation):
        readings = Representation.of(points, name="points").readings
        if len(readings) > 1 and corrected:
            raise RequestError("corrected: got true for several readings, needs a single array")
        if len(readings) > 1:
            return _of_readings(readings.reshape(len(readings), -1, readings.shape[-1]))
    points = checked_points(points, least=4 if corrected else 2)
    trace, square = _moments(normalised(points).values)
    if corrected:
        N = len(points) - 1
        square = N**2 / ((N - 1) * (N + 2)) * (square - trace**2 / N)
        if square <= 0:
            raise RequestError(f"points: got {len(points)}, needs more to correct the participation ratio")
        return float((trace**2 - 2 * square / N) / square)
    return float(trace**2 / square)


def _moments(centred: Points) -> tuple[float, float]:
    """Return the sum of the variances along the principal axes, and the sum of their squares."""
    n, d = centred.shape
    products = centred @ centred.T if n < d else centred.T @ centred
    return float(np.sum(centred**2) / (n - 1)), float(np.sum(products**2) / (n - 1) ** 2)


def _of_readings(given: Float[np.ndarray, "m n d"]) -> float:
    m, n, d = given.shape
    if d > m * n:
        return float(participation_ratio_of_weighted(list(given))(np.ones(n)))
    centred = normalised_readings(given).values
    weight, whole = _across(m), centred.sum(axis=0)
    covariance = (whole.T @ whole - centred.reshape(-1, d).T @ centred.reshape(-1, d)) / (m * (m - 1))
    by_point = np.moveaxis(centred, 0, 1)
    own = by_point @ np.swapaxes(by_point, 1, 2)  # products of each point in two readings
    same = _replaced(own, weight, noise_variance(centred))
    return float(_ratio(np.sum(weight * own), np.sum(covariance**2) + np.sum(same)))


def _across(m: int) -> Float[np.ndarray, "m m"]:
    """Return the weights of products of two readings: equal for different readings, 0 for one with itself.

    A single reading has weight 1.
    """
    return (1 - np.eye(m)) / (m * (m - 1)) if m > 1 else np.ones((1, 1))


def _replaced(
    own: Float[np.ndarray, "*n m m"], weight: Float[np.ndarray, "m m"], luck: float
) -> Float[np.ndarray, "*n"]:
    """Return what replaces the terms k = l of tr C^2, minus these terms.

    Parameters
    ----------
    own : (..., m, m)
        Products of each point with itself in two readings.
    weight : (m, m)
        Weights of the readings, by `_across`.
    luck : float
        Variance of <x_k, x_k> due to noise.
    """
    return np.sum(weight * own, axis=(-2, -1)) ** 2 - luck - np.sum(own * (weight @ own @ weight), axis=(-2, -1))


def _ratio(trace: Any, square: Any) -> Any:
    """Return trace^2 / square; raise RequestError if noise leaves nothing of one."""
    if not (np.all(trace > 0) and np.all(square > 0)):
        raise RequestError("points: got readings that have no variance in common, needs more of them or less noise")
    return trace**2 / square


def participation_ratio_of_weighted(
    readings: Sequence[Points],
) -> Callable[[Float[np.ndarray, "*s n"]], Float[np.ndarray, "*s"]]:
    """Make a function that returns the participation ratio of weighted points, such as those of a bootstrap sample.

    With the inner products K of the points, centred on their weighted mean, and weights w of sum 1, it is ::

        (sum_k w_k K_kk)^2 / sum_{k,l} w_k w_l K_kl^2.

    With several readings the products and their squares are taken across readings, as in `participation_ratio`.

    Parameters
    ----------
    readings : sequence of (n, d)
        One array, or several readings of the same points.

    Returns
    -------
    function
        Takes weights (n,), or (s, n) for s samples, and returns one ratio a sample; raises RequestError for readings
        that contain only noise.

    Raises
    ------
    RequestError
        For a reading that is no cloud of points.
    """
    X = normalised_readings(np.stack([checked_points(R) for R in readings])).values
    m, _, d = X.shape
    luck, weight = noise_variance(X) if m > 1 else 0.0, _across(m)
    squares = _squares_across(X)
    by_point = np.moveaxis(X, 0, 1)
    own = by_point @ np.swapaxes(by_point, 1, 2)  # (n, m, m)

    def ratios(w: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " s"]:
        """Centre the products K^ab of readings a and b on the mean mu: K^ab_kl - p^ab_k - p^ba_l + mu_a . mu_b."""
        mean = np.tensordot(w, X, axes=(1, 1))  # (s, m, d)
        p = np.moveaxis((X.reshape(-1, d) @ mean.reshape(-1, d).T).reshape(m, -1, len(w), m), (2, 1), (0, 1))
        between = mean @ np.swapaxes(mean, 1, 2)  # (s, m, m)
        centred = own - p - np.swapaxes(p, 2, 3) + between[:, None]  # (s, n, m, m)
        square = np.sum((w @ squares) * w, axis=1) + np.sum(between * (weight @ between @ weight), axis=(1, 2))
        square -= 2 * np.sum(w * np.sum(p * (weight @ p @ weight), axis=(2, 3)), axis=1)
        square += np.sum(w**2 * _replaced(centred, weight, luck), axis=1)
        return _ratio(np.sum(w * np.sum(weight * centred, axis=(2, 3)), axis=1), square)

    def ratio(weights: Float[np.ndarray, "*s n"]) -> Float[np.ndarray, "*s"]:
        w = weights.reshape(-1, weights.shape[-1]) / weights.sum(axis=-1).reshape(-1, 1)
        some = max(1, BLOCK // own.size)
        found = np.concatenate([ratios(w[i : i + some]) for i in range(0, len(w), some)])
        return found.reshape(weights.shape[:-1])

    return ratio


def _squares_across(X: Float[np.ndarray, "m n d"]) -> Float[np.ndarray, "n n"]:
    """Return the mean of K^ab_kl K^cd_kl over readings a != c and b != d; K_kl^2 for a single reading.

    K^ab_kl is the product of point k in reading a with point l in reading b. The two factors have independent noise.
    The result serves for quadratic forms: of a matrix and its transpose, which have the same form, one is taken twice.
    """
    m = len(X)
    if m == 1:
        return (X[0] @ X[0].T) ** 2
    whole = X.sum(axis=0)
    found = (whole @ whole.T) ** 2
    for a in range(m):
        found -= 2 * (X[a] @ whole.T) ** 2
        found += (X[a] @ X[a].T) ** 2
        for b in range(a):
            found += 2 * (X[a] @ X[b].T) ** 2
    return found / (m * (m - 1)) ** 2


def _variances(centred: Points) -> Float[np.ndarray, " r"]:
    return np.linalg.svd(centred, compute_uv=False) ** 2 / (len(centred) - 1)


def two_nn(points: Given) -> float:
    """Estimate the intrinsic dimension from the ratio of the distances to the first two neighbours.

    This is TwoNN (Facco et al., Sci. Rep. 7 (2017) 12140), by scikit-dimension. It takes points to be random: on a
    lattice, where both distances are nearly equal, the estimate is far too large; use `levina_bickel` there. Repeated
    points count once (see the module).

    Parameters
    ----------
    points : (n, d) or Representation
        The cloud.

    Raises
    ------
    RequestError
        For fewer than 10 distinct points, and if the estimate is over 2 d; no manifold has over d dimensions.
    """
    from skdim.id import TwoNN  # 2 s to import

    distinct = _distinct(points, 10)
    padded = np.pad(distinct, ((0, 0), (0, max(0, 2 - distinct.shape[1]))))  # TwoNN takes two numbers a point or more
    found = float(TwoNN().fit(padded).dimension_)
    if not found <= 2 * distinct.shape[1]:
        raise RequestError(
            f"two_nn: got {found:.3g} dimensions for points of {distinct.shape[1]} numbers, as on a lattice, "
            "needs points at random; levina_bickel takes a lattice"
        )
    return found


def levina_bickel(points: Given, neighbours: int = 20) -> float:
    """Estimate the intrinsic dimension from the growth of the number of neighbours with distance.

    With T_j the distance from a point to its j-th neighbour and k = neighbours, each point gives ::

        1 / d = 1 / (k - 1) sum_{j < k} ln(T_k / T_j)

    (Levina and Bickel, NIPS 2004). The inverses, which have no bias, are averaged over points, as MacKay and Ghahramani
    do ("Comments on maximum likelihood estimation of intrinsic dimension", 2005). Points at random are assumed: of
    those of an even lattice it is too high, 1.16 for a curve. Repeated points count once (see the module).

    Parameters
    ----------
    points : (n, d) or Representation
        The cloud.
    neighbours : int
        k, at least 3.

    Raises
    ------
    RequestError
        For k distinct points or fewer, and if all are equally far apart.
    """
    from sklearn.neighbors import NearestNeighbors  # 1 s to import

    neighbours = arrays.whole(neighbours, "neighbours", 3)
    distinct = _distinct(points, neighbours + 1)
    distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(distinct).kneighbors()
    inverse = np.log(distances[:, -1:] / distances[:, :-1]).sum(axis=1) / (neighbours - 1)
    if inverse.mean() < 1e-12:  # as with one-hot codes, but for rounding
        raise RequestError("points: got ones that are all equally far apart, needs some that are nearer than others")
    return float(1 / inverse.mean())


def _distinct(points: Given, least: int) -> Points:
    values = normalised(checked_points(points)).values
    kept = distinct(values)
    if len(kept) < least:
        raise RequestError(f"distinct points: got {len(kept)}, needs at least {least}")
    return values[kept]
