"""The leading principal subspaces of curves, and the share of other curves that lies inside.

With several readings, the share is corrected for noise (see `readings`).
"""

import numpy as np
from jaxtyping import Bool, Float

from hyperfactor.measures.readings import inner

VARIANCE = 0.95  # share of a curve's variance that its leading principal subspace holds
BLOCK = 2**22  # numbers that are held at a time, to limit memory
ROUNDING = 1e-13  # share of the largest variance below which a variance is rounding


def overlaps(A: Float[np.ndarray, "a n d"], B: Float[np.ndarray, "b l d"], variance: float) -> np.ndarray:
    """Return the share of the variance of each curve of A inside the leading subspace of each curve of B.

    See `geometry.subspace_overlap`.

    Parameters
    ----------
    A : (a, n, d)
        Curves of n points.
    B : (b, l, d)
        Curves of l points.
    variance : float
        Share of a curve's variance that its leading subspace holds.

    Returns
    -------
    (a, b)
        The shares.
    """
    A, B = A - A.mean(axis=1, keepdims=True), B - B.mean(axis=1, keepdims=True)
    power, directions = _principal(B)
    leading = _leading(power, power.sum(axis=1, keepdims=True), variance)
    return _inside(A[None], directions, leading) / np.sum(A**2, axis=(1, 2))[:, None]


def overlaps_of_pairs(A: Float[np.ndarray, "c n d"], B: Float[np.ndarray, "c l d"], variance: float) -> np.ndarray:
    """Return the share of the variance of each curve of A inside the leading subspace of the same curve of B.

    The parameters are those of `overlaps`, of which this is the diagonal.
    """
    A, B = A - A.mean(axis=1, keepdims=True), B - B.mean(axis=1, keepdims=True)
    power, directions = _principal(B)
    leading = _leading(power, power.sum(axis=1, keepdims=True), variance)
    along = A @ directions.swapaxes(1, 2)  # (c, n, r)
    return np.sum(np.sum(along**2, axis=1) * leading, axis=1) / np.sum(A**2, axis=(1, 2))


def _principal(curves: Float[np.ndarray, "b l d"]) -> tuple[Float[np.ndarray, "b r"], Float[np.ndarray, "b r d"]]:
    """Return n times the variance of centred curves along their principal directions, and these directions.

    The largest variance comes first. If there are more dimensions than points, the directions are those of the inner
    products of the points. A direction whose variance is rounding is then 0.
    """
    if curves.shape[2] <= curves.shape[1]:
        _, size, directions = np.linalg.svd(curves, full_matrices=False)
        return size**2, directions
    power, combined = np.linalg.eigh(curves @ curves.swapaxes(1, 2))
    power, combined = power[:, ::-1].clip(min=0), combined[:, :, ::-1]
    scale = np.divide(1, np.sqrt(power), out=np.zeros(power.shape), where=power > ROUNDING * power[:, :1])
    return power, (combined * scale[:, None]).swapaxes(1, 2) @ curves


def _leading(
    power: Float[np.ndarray, "b r"], whole: Float[np.ndarray, "b 1"], variance: float
) -> Bool[np.ndarray, "b r"]:
    """Mark the fewest leading directions whose powers come to `variance` of the whole."""
    before = np.cumsum(power, axis=1) - power
    return np.logical_and.accumulate(before < (variance - 1e-12) * whole, axis=1)


def _inside(
    A: Float[np.ndarray, "m a n d"], directions: Float[np.ndarray, "b r d"], leading: Bool[np.ndarray, "b r"]
) -> Float[np.ndarray, "a b"]:
    """Return n times the variance of each curve of A along the leading directions of each subspace."""
    basis = _trimmed(directions * leading[..., None], leading)  # (b, r', d)
    b, r, d = basis.shape
    m, _, n, _ = A.shape
    at_once = max(1, BLOCK // (n * b * r))
    inside = [np.zeros((0, b))]
    for i in range(0, A.shape[1], at_once):
        total = squares = np.zeros(())
        for one in A[:, i : i + at_once]:
            along = one.reshape(-1, d) @ basis.reshape(b * r, d).T
            total, squares = total + along, squares + along**2
        across = (total**2 - squares) / (m * (m - 1)) if m > 1 else squares
        inside.append(across.reshape(-1, n, b, r).sum(axis=(1, 3)))  # (at_once, b)
    return np.concatenate(inside)


def _trimmed(directions: Float[np.ndarray, "b r d"], leading: Bool[np.ndarray, "b r"]) -> Float[np.ndarray, "b k d"]:
    """Return the first directions of each curve, as many as the largest number of leading ones."""
    return directions[:, : leading.sum(axis=1).max()]


def _across(along: Float[np.ndarray, "m *n"]) -> Float[np.ndarray, "*n"]:
    """Return the squares of numbers, taken across readings."""
    m = len(along)
    return along[0] ** 2 if m == 1 else (along.sum(axis=0) ** 2 - np.sum(along**2, axis=0)) / (m * (m - 1))


class Subspaces:
    """The leading principal subspaces of curves, from several readings of them.

    The subspace of the mean of all readings but h is turned by their noise. It holds a share `kept` of the variance
    that the curve itself has in the subspace without noise. The reading h measures this share: its variance along those
    directions, minus the noise that it has there. The subspace holds the same share of another curve that lies in the
    true subspace, so dividing by `kept` corrects both. A curve outside leaks in; the leak falls as 1 / readings, and is
    removed by comparison with the mean of all readings (the jackknife of Quenouille, Biometrika 43 (1956) 353).

    Parameters
    ----------
    B : (m, b, l, d)
        Readings of b curves of l points.
    noise : (s, d)
        Samples of the noise of one reading.
    variance : float
        Share of a curve's variance that its subspace holds.
    """

    def __init__(self, B: Float[np.ndarray, "m b l d"], noise: Float[np.ndarray, "s d"], variance: float):
        B = B - B.mean(axis=2, keepdims=True)
        m, points = len(B), B.shape[2]
        whole = inner(B, B).sum(axis=1)[:, None]  # (b, 1)
        total = B.sum(axis=0)
        self.all = _principal(total / m)[1]
        self.fewer = [_principal((total - one) / (m - 1))[1] for one in B]
        power = _across(B @ self.all.swapaxes(1, 2)).sum(axis=1)
        self.leading = _leading(power, whole, variance)
        inside = np.clip(np.sum(power * self.leading, axis=1) / whole[:, 0], variance, 1) * whole[:, 0]
        most = self.leading.sum(axis=1).max()
        held = np.zeros((len(power), most))
        for one, others in zip(B, (_trimmed(of, self.leading) for of in self.fewer), strict=True):
            chance = np.mean((noise @ others.reshape(-1, others.shape[-1]).T) ** 2, axis=0).reshape(held.shape)
            held += (np.sum((one @ others.swapaxes(1, 2)) ** 2, axis=1) - (points - 1) * chance) / m
        self.kept = float(np.clip(np.sum(held * self.leading[:, :most]) / np.sum(inside), 0.05, 1))

    def overlaps(self, A: Float[np.ndarray, "m a n d"]) -> Float[np.ndarray, "a b"]:
        """Return the share of the variance of each curve of A inside, without bias to the first order of the noise."""
        A = A - A.mean(axis=2, keepdims=True)
        fewer = np.mean([_inside(A, directions, self.leading) for directions in self.fewer], axis=0)
        leak = len(A) * (_inside(A, self.all, self.leading) - fewer).clip(max=0)
        return (fewer / self.kept + leak) / inner(A, A).sum(axis=1)[:, None]
