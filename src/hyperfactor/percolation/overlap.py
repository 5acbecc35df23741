"""The overlap of two bumps, and the distance at which two bumps overlap by a threshold."""

import math

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays
from hyperfactor.errors import RequestError, quoted
from hyperfactor.images.gaussian import Bump

FAINTEST = 1.5e-154  # norm of a picture; the square of a smaller one has fewer digits than a float64


def overlap(distance: Float[np.ndarray, "*n"] | float, sigma: float) -> Float[np.ndarray, "*n"] | float:
    """The inner product of two bumps of unit norm in the plane, exp(-distance^2 / 4 sigma^2).

    Parameters
    ----------
    distance : float or array
        Distance between the centres, in pixels. Real numbers of any type that float64 holds.
    sigma : float
        Standard deviation of the bumps, in pixels.

    Returns
    -------
    float or array
        Overlaps in [0, 1], with the shape of `distance`.

    Raises
    ------
    RequestError
        If sigma is not a number above 0, or `arrays.numbers` refuses a distance.
    """
    sigma = _width(sigma)
    apart = arrays.numbers(distance, "distance")
    with np.errstate(over="ignore"):
        found = np.exp(-((apart / sigma / 2) ** 2))
    return found if found.ndim else float(found)


def reach(sigma: float, threshold: float) -> float:
    """The distance at which two bumps overlap by a threshold, 2 sigma sqrt(ln(1 / threshold)).

    Parameters
    ----------
    sigma : float
        Standard deviation of the bumps, in pixels.
    threshold : float
        The overlap, above 0 and at most 1.

    Returns
    -------
    float
        In pixels.

    Raises
    ------
    RequestError
        If a parameter is out of range.
    """
    sigma = _width(sigma)
    share = arrays.real(threshold)
    if not 0 < share <= 1:
        raise RequestError(f"threshold: got {quoted(threshold)}, needs a number above 0 and at most 1")
    return 2 * sigma * math.sqrt(abs(math.log(share)))


def discrete_overlap(step: tuple[float, float], sigma: float, size: int = 32) -> float:
    """The overlap of two bumps as they are drawn on pixels.

    The canvas is periodic, so no bump is cut off. The overlap of bumps much smaller than a pixel depends on the
    position of their centres within a pixel, and is averaged over four positions.

    Parameters
    ----------
    step : (float, float)
        Distance between the centres along x and along y, in pixels.
    sigma : float
        Standard deviation of the bumps, in pixels. Bumps narrower than 0.027 pixels may leave all pixels dark.
    size : int
        Rows and columns of the pictures, in pixels; a multiple of 8.

    Returns
    -------
    float
        Mean inner product of the pictures, scaled to unit norm.

    Raises
    ------
    RequestError
        If the step is not two finite numbers, sigma or size is out of range, or a bump leaves all pixels dark.
    """
    sigma = _width(sigma)
    apart = arrays.finite(arrays.numbers(step, "step"), "step")
    if apart.shape != (2,):
        raise RequestError(f"step: got {quoted(step)}, needs one number along x and one along y")
    picture = Bump(size=size, boundary="periodic", sigma=sigma)
    centre = size // 2 + np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.5, 0.5]])
    a, b = (picture.render(points % size).reshape(len(centre), -1) for points in (centre, centre + apart))
    norms = np.linalg.norm([a, b], axis=2)
    if norms.min() < FAINTEST:
        raise RequestError(f"sigma: got {sigma:g}, needs at least 0.027: the pixels of narrower bumps may all be dark")
    return float(np.mean((a * b).sum(axis=1) / (norms[0] * norms[1])))


def _width(sigma: float) -> float:
    """sigma as a float of Python, because small types of numpy overflow when squared."""
    width = arrays.real(sigma)
    if not 0 < width < math.inf:
        raise RequestError(f"sigma: got {quoted(sigma)}, needs a number above 0")
    return width
