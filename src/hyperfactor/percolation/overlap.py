"""How much two bumps overlap, and how far apart they may be to overlap by a threshold."""

import math

import numpy as np
from jaxtyping import Float

from hyperfactor.errors import RequestError
from hyperfactor.images.gaussian import Bump


def overlap(distance: Float[np.ndarray, "*n"] | float, sigma: float) -> Float[np.ndarray, "*n"] | float:
    """The inner product of two unit-norm bumps in the plane, exp(-distance^2 / 4 sigma^2).

    Parameters
    ----------
    distance: between the centres, in pixels. Real numbers of any type, taken as float64.
    sigma: width of the bumps, in pixels.

    Raises
    ------
    RequestError
        For a sigma that is no number above 0, and for complex, masked or no numbers.
    """
    sigma = _width(sigma)
    try:
        given = np.asarray(distance)
    except (TypeError, ValueError, RuntimeError):
        raise RequestError(f"distance: got {type(distance).__name__}, needs real numbers") from None
    if given.dtype.kind not in "fiub" or np.ma.is_masked(distance):
        raise RequestError(f"distance: got masked or {given.dtype} values, needs real numbers, none masked")
    apart = given.astype(np.float64)
    with np.errstate(over="ignore"):
        found = np.exp(-((apart / sigma / 2) ** 2))
    return found if found.ndim else float(found)


def reach(sigma: float, threshold: float) -> float:
    """The distance, in pixels, at which two bumps overlap by `threshold`: 2 sigma sqrt(ln 1 / threshold)."""
    sigma = _width(sigma)
    if not 0 < threshold <= 1:
        raise RequestError(f"threshold: got {threshold}, needs a number above 0 and of at most 1")
    return 2 * sigma * math.sqrt(abs(math.log(float(threshold))))


def discrete_overlap(step: tuple[float, float], sigma: float, size: int = 32) -> float:
    """The same of the pictures as they are drawn, on pixels, for bumps `step` = (x, y) pixels apart.

    The canvas is periodic, so no bump is cut off, and the overlap is the mean over first centres of a
    pixel's four quarters: a bump much smaller than a pixel depends on where in it its centre lies.
    """
    sigma = _width(sigma)
    picture = Bump(size=size, boundary="periodic", sigma=sigma)
    centre = size // 2 + np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5]])
    a, b = (picture.render(points % size).reshape(len(centre), -1) for points in (centre, centre + step))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / norms))


def _width(sigma: float) -> float:
    """A float of Python: numpy's small types overflow when squared."""
    try:
        width = float(sigma)
    except (TypeError, ValueError):
        width = math.nan
    if not 0 < width < math.inf:
        raise RequestError(f"sigma: got {sigma}, needs a number above 0")
    return width
