"""The leading principal subspaces of curves, and the share of other curves that lies inside.

With several readings, the share is corrected for noise (see `readings`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Self

import numpy as np
from jaxtyping import Bool, Float

from hyperfactor.measures.readings import inner

VARIANCE = 0.95  # share of a curve's variance that its leading principal subspace holds
BLOCK = 2**22  # numbers that are held at a time, to limit memory
LEAST = 0.25  # least share of itself that a subspace is taken to keep under noise
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
    basis = (directions * leading[..., None])[:, : leading.sum(axis=1).max()]  # (b, r', d)
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


class Subspaces:
    """The leading principal subspaces of curves, from several readings of them.

    Noise has two effects. It adds its own variance to a curve, in expectation as much to each combination of the
    points, because their noise is independent; this is subtracted before the leading directions are counted. And it
    turns the directions. In many dimensions, a direction with variance s of l points keeps the share
    1 / (1 + tau^2 / (m l s)) of itself in the mean of m readings, if tau^2 is the noise of a point in one reading
    (Paul, Statistica Sinica 17 (2007) 1617). So the inverse of the share of another curve inside is linear in 1 / m; a
    line through its values for all readings and for all but one leads to the value without noise. Where more readings
    give a smaller share, curves outside leak in. The leak falls as 1 / m, and the line is that of the share itself (the
    jackknife of Quenouille, Biometrika 43 (1956) 353).

    Parameters
    ----------
    B : (m, b, l, d)
        Readings of b curves of l points.
    variance : float
        Share of a curve's variance that its subspace holds.
    """

    def __init__(self, B: Float[np.ndarray, "m b l d"], variance: float):
        B = B - B.mean(axis=2, keepdims=True)
        m, total = len(B), B.sum(axis=0)
        power, self.all = _principal(total / m)
        self.fewer = [_principal((total - one) / (m - 1))[1] for one in B]
        whole = inner(B, B).sum(axis=1)[:, None]  # (b, 1)
        varied = min(B.shape[2] - 1, B.shape[3])  # directions along which centred points can vary
        power[:, :varied] -= (power.sum(axis=1, keepdims=True) - whole) / varied
        power[:, varied:] = 0
        self.leading = _leading(power, whole, variance)

    def shares(self, A: Float[np.ndarray, "m a n d"]) -> tuple[Float[np.ndarray, "a b"], Float[np.ndarray, "a b"]]:
        """Return the shares of the variance of each curve of A inside, from all readings and from all but one."""
        A = A - A.mean(axis=2, keepdims=True)
        whole = inner(A, A).sum(axis=1)[:, None]
        every = _inside(A, self.all, self.leading) / whole
        fewer = np.mean([_inside(A, directions, self.leading) for directions in self.fewer], axis=0) / whole
        return every, fewer


@dataclass(frozen=True)
class Shares:
    """Shares of the variance of curves inside subspaces of `Subspaces`.

    Attributes
    ----------
    every, fewer : (a, b)
        The shares where the subspaces are those of all readings, and the mean of those of all readings but one. Equal
        for a single reading.
    readings : int
        Number of readings.
    """

    every: Float[np.ndarray, "a b"]
    fewer: Float[np.ndarray, "a b"]
    readings: int = 1

    @classmethod
    def between(cls, curves: Sequence[Float[np.ndarray, "m a n d"]]) -> dict[tuple[int, int], Self]:
        """Return for every two factors the shares of the first one's curves inside those of the second one."""
        pairs = [*combinations_with_replacement(range(len(curves)), 2)]
        if len(curves[0]) == 1:
            found = {(p, q): overlaps(curves[p][0], curves[q][0], VARIANCE) for p, q in pairs}
            return {pair: cls(share, share) for pair, share in found.items()}
        spaces = [Subspaces(of, VARIANCE) for of in curves]
        return {(p, q): cls(*spaces[q].shares(curves[p]), len(curves[p])) for p, q in pairs}

    def part(self, rows: Bool[np.ndarray, " a"], columns: Bool[np.ndarray, " b"]) -> "Shares":
        """Return the shares of some curves inside the subspaces of some."""
        return Shares(self.every[rows][:, columns], self.fewer[rows][:, columns], self.readings)

    def without_noise(self) -> Float[np.ndarray, "a b"]:
        """Return the shares without bias to the first order of the noise."""
        m, every, fewer = self.readings, self.every, self.fewer
        if 0 < fewer.mean() < every.mean():
            return every / max(LEAST, m - (m - 1) * every.mean() / fewer.mean())
        return m * every - (m - 1) * fewer
