"""Several independent readings of one lattice, and their geometry without noise.

A reading is a representation R^a = S + E^a: the same signal S at every lattice point, and noise E^a that is independent
of the noise of other points and of other readings a = 1 .. m (other drawings of the same factors). An inner product
taken across readings,

    <u, v> = sum_{a != b} u^a . v^b / (m (m - 1)),

is that of the signals in expectation, because independent noise cancels (the cross-validated inner product of Walther
et al., NeuroImage 137 (2016) 188). Within one reading it is too large by the variance of the noise if u = v. The first
axis of an array is the reading; a single reading is taken as it is.
"""

import math
from itertools import product

import numpy as np
from jaxtyping import Float, Shaped


def products(A: Float[np.ndarray, "m *n k d"], B: Float[np.ndarray, "m *n l d"]) -> Float[np.ndarray, "*n k l"]:
    """Return <u, v> of every row of A with every row of B."""
    if len(A) == 1:
        return A[0] @ np.swapaxes(B[0], -1, -2)
    found = A.sum(axis=0) @ np.swapaxes(B.sum(axis=0), -1, -2)
    for a, b in zip(A, B, strict=True):
        found -= a @ np.swapaxes(b, -1, -2)
    return found / (len(A) * (len(A) - 1))


def inner(A: Float[np.ndarray, "m *n d"], B: Float[np.ndarray, "m *n d"]) -> Float[np.ndarray, "*n"]:
    """Return <u, v> of each vector of A with the vector of B at the same place."""
    if len(A) == 1:
        return np.sum(A[0] * B[0], axis=-1)
    same = np.einsum("m...d,m...d->...", A, B)
    return (np.einsum("...d,...d->...", A.sum(axis=0), B.sum(axis=0)) - same) / (len(A) * (len(A) - 1))


def noise_share(centred: Float[np.ndarray, "m *n d"]) -> float | None:
    """Return the share of the variance over the lattice that is noise; None for a single reading.

    Parameters
    ----------
    centred : (m, n_1, ..., n_k, d)
        Readings, each with mean 0.
    """
    if len(centred) == 1:
        return None
    return float(1.0 - inner(centred, centred).mean() / np.mean(np.sum(centred**2, axis=-1)))


def noise_variance(vectors: Float[np.ndarray, "m *n d"], apart: int = 0) -> float:
    """Return the variance of <u, u> due to noise, averaged over the vectors.

    With s the signal and Sigma the covariance of the noise it is 4 s' Sigma s / m + 2 tr Sigma^2 / (m (m - 1)). The
    noise at a place is estimated by the difference of a reading from the mean of all, times the square root of
    m / (m - 1). Its products with the vectors, and with the noise of the same reading, of other places estimate
    s' Sigma s and tr Sigma^2: their squares are averaged over all readings and all pairs of places. If some places have
    more noise than others, the mean of tr Sigma^2 is larger by E |e|^4 / ((E |e|^2)^2 (1 + 2 / D)), with
    D = (tr Sigma)^2 / tr Sigma^2. The result is 0 at least.

    Parameters
    ----------
    vectors : (m, n_1, ..., n_k, d)
        Readings of vectors at the places of a lattice; NaN where there is none.
    apart : int
        Places that differ by this or less along every axis have noise in common, as steps do that share a point. They
        are not paired, unless there are no others.
    """
    m, near = len(vectors), _near(vectors.shape[1:-1], apart)
    there = np.asarray(~np.isnan(vectors).any(axis=(0, -1)))
    pairs = there.sum() ** 2 - sum(np.sum(there & _shifted(there, shift)) for shift in near)
    usable = np.where(there[..., None], vectors, 0)
    mean = usable.mean(axis=0)
    second = _second(mean)
    with_vectors, with_noise, uneven = [], [], []
    for noise in ((usable - mean) * math.sqrt(m / (m - 1)))[: m if m > 2 else 1]:  # of two readings it is the same
        powers, of_noise = np.sum(noise**2, axis=-1)[there], _second(noise)
        square = _squared_products(noise, noise, of_noise, of_noise, near) / pairs
        with_vectors.append(_squared_products(noise, mean, of_noise, second, near) / pairs)
        with_noise.append(square)
        uneven.append(np.mean(powers**2) / (np.mean(powers) ** 2 + 2 * square) if square > 0 else 1.0)
    alike = (2 / (m * (m - 1)) - 4 / m**2) * np.mean(with_noise)
    more = 2 / (m * (m - 1)) * np.mean(with_noise) * max(0.0, float(np.mean(uneven)) - 1)
    return max(0.0, float(4 / m * np.mean(with_vectors) + alike + more))


def _near(sides: tuple[int, ...], apart: int) -> list[tuple[int, ...]]:
    """Return the shifts of a lattice by `apart` or less along every axis; the shift by 0 alone if there are no others.

    The ends of each axis count as neighbours.
    """
    near = [*product(*(sorted({step % side for step in range(-apart, apart + 1)}) for side in sides))]
    return near if len(near) < math.prod(sides) else [(0,) * len(sides)]


def _shifted(table: Shaped[np.ndarray, "*n"], shift: tuple[int, ...]) -> Shaped[np.ndarray, "*n"]:
    return np.roll(table, shift, tuple(range(len(shift))))


def _second(vectors: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "i d"]:
    """Return the vectors v one below the other or, if there are more of them than dimensions, the sum of v v'."""
    v = vectors.reshape(-1, vectors.shape[-1])
    return v.T @ v if len(v) > v.shape[1] else v


def _squared_products(
    A: Float[np.ndarray, "*n d"],
    B: Float[np.ndarray, "*n d"],
    of_A: Float[np.ndarray, "i d"],
    of_B: Float[np.ndarray, "i d"],
    near: list[tuple[int, ...]],
) -> float:
    """Return the sum of (a . b)^2 over the vectors a of A and b of B at places that are not near to each other.

    Parameters
    ----------
    A, B : (n_1, ..., n_k, d)
        Vectors at the places of a lattice.
    of_A, of_B : (i, d)
        What `_second` returns for them.
    near : list of tuple of int
        The shifts between near places.
    """
    many = A.size > A.shape[-1] ** 2
    whole = np.sum(of_A * of_B) if many else np.sum((of_A @ of_B.T) ** 2)
    return float(whole - sum(np.sum(np.einsum("...d,...d->...", A, _shifted(B, shift)) ** 2) for shift in near))


def squared_lengths(vectors: Float[np.ndarray, "m k *n d"]) -> Float[np.ndarray, "k *n"]:
    """Return |s|^2 of each vector's signal; |u|^2 for a single reading.

    The estimate <u, u> of one vector may be near 0, or below, by chance. It is shrunk towards the sum of two effects,
    that of the step and that of the curve, which are shrunk towards the mean of all vectors. A result below its
    standard error becomes 0: noise hides the vector.

    Parameters
    ----------
    vectors : (m, k, ..., d)
        Readings first, then the k steps of each curve.
    """
    found = inner(vectors, vectors)
    if len(vectors) == 1:
        return found
    noise, lengths = noise_variance(vectors, apart=1), found.reshape(len(found), -1)
    steps, curves = lengths.shape
    mean, of_mean = np.asarray(lengths.mean()), noise / lengths.size
    by_step, of_step = _shrunk(lengths.mean(axis=1), mean, noise / curves, of_mean)
    by_curve, of_curve = _shrunk(lengths.mean(axis=0), mean, noise / steps, of_mean)
    lengths, error = _shrunk(lengths, by_step[:, None] + by_curve - mean, noise, of_step + of_curve + of_mean)
    return np.where(lengths >= np.sqrt(error), lengths, 0.0).reshape(found.shape)


def _shrunk(
    values: Float[np.ndarray, "*n"], means: Float[np.ndarray, "*m"], noise: float, error: float
) -> tuple[Float[np.ndarray, "*n"], float]:
    """Shrink values towards means.

    The weight of the means is twice the share of noise in the variance around them, and 1 if that share is at least a
    half.

    Parameters
    ----------
    values : (...)
        Values.
    means : (...)
        Means, which broadcast against the values.
    noise, error : float
        Variance due to noise of a value, and of a mean.

    Returns
    -------
    values : (...)
        The shrunk values.
    error : float
        Their variance due to noise.
    """
    spread = float(np.mean((values - means) ** 2))
    kept = float(np.clip(1 - 2 * noise / spread, 0, 1)) if spread > 0 else 1.0
    return means + kept * (values - means), kept**2 * noise + (1 - kept) ** 2 * error
