"""What the measures accept: points, and representations on a lattice.  Checked here, once."""

import numpy as np
from jaxtyping import Float

from hyperfactor.errors import RequestError


def points(array: np.ndarray, name: str = "points", least: int = 2) -> Float[np.ndarray, "n d"]:
    """The array as float64 (n, d), or RequestError: not two axes, fewer than `least` points, not
    finite, or all points equal."""
    values = _numbers(array, name)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RequestError(f"{name}: got an array of shape {values.shape}, needs (n, d)")
    if len(values) < least:
        raise RequestError(f"{name}: got {len(values)}, needs at least {least}")
    return _varied(values, name)


def lattice(array: np.ndarray, name: str = "R") -> Float[np.ndarray, "..."]:
    """The array as float64 (n_1, ..., n_k, d), or RequestError: fewer than two axes, a factor with one
    value, not finite, or all points equal."""
    values = _numbers(array, name)
    if values.ndim < 2 or values.shape[-1] == 0:
        raise RequestError(f"{name}: got an array of shape {values.shape}, needs (n_1, ..., n_k, d)")
    for k, n in enumerate(values.shape[:-1]):
        if n < 2:
            raise RequestError(f"{name}, factor {k}: got {n} lattice value, needs at least 2")
    return _varied(values, name)


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    try:
        values = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise RequestError(f"{name}: got what is not an array of numbers, needs one") from None
    bad = ~np.isfinite(values)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise RequestError(f"{name}: got {values[where]} at {where}, needs finite numbers")
    return values


def _varied(values: np.ndarray, name: str) -> np.ndarray:
    if (values == values.reshape(-1, values.shape[-1])[0]).all():
        raise RequestError(f"{name}: got points that are all equal, needs some that differ")
    return values
