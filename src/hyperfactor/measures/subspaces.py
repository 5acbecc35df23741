"""The leading principal subspaces of curves, and the share of other curves that lies inside.

With several readings, the share is corrected for noise (see `readings`).
"""

import numpy as np
from jaxtyping import Bool, Float

from hyperfactor.measures.readings import inner

VARIANCE = 0.95  # share of a curve's variance that its leading principal subspace holds
BLOCK = 2**22  # numbers that are held at a time, to limit memory


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
    _, size, directions = np.linalg.svd(B, full_matrices=False)  # (b, r), (b, r, d)
    power = size**2
    leading = _leading(power, power.sum(axis=1, keepdims=True), variance)
    return _inside(A[None], directions, leading) / np.sum(A**2, axis=(1, 2))[:, None]


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
        """Return the share of the variance of each curve of A inside, without bias to the first order of the noise."""
        A = A - A.mean(axis=2, keepdims=True)
        fewer = np.mean([_inside(A, directions, self.leading) for directions in self.fewer], axis=0)
        leak = len(A) * (_inside(A, self.all, self.leading) - fewer).clip(max=0)
        return (fewer / self.kept + leak) / inner(A, A).sum(axis=1)[:, None]


def _directions(curves: Float[np.ndarray, "b l d"]) -> Float[np.ndarray, "b r d"]:
    return np.linalg.svd(curves, full_matrices=False)[2]
