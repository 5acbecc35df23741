"""Is a drawing right?  Centre estimate, validity, accuracy in each factor, error to the truth.

Definitions, for a drawing asked for at mu:
    centre     per axis: where the profile (mean over the other axis) best matches a Gaussian of
               the known width, by normalized correlation over centres RESOLUTION apart; none (NaN)
               for an even profile
    correct    in a factor: the centre is within `tolerance` of mu (and RESOLUTION), wrap-around respected.  A
               factor whose value lies outside the window is not drawn, so it cannot be wrong;
               what is drawn for it makes the picture invalid
    both       correct in every factor
    valid      the correlation of the drawing with the ideal picture at the estimated centre is at
               least 0.9, so two bumps, or nothing, do not count
    right      both and valid
    error      sum of squared differences to the true picture, over the sum of squares of the true
               picture; both relative to the background
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from hyperfactor.errors import RequestError
from hyperfactor.images.gaussian import Picture
from hyperfactor.measures import arrays

VALID_CORRELATION = 0.9
RESOLUTION = 1 / 512  # pixel
AT_ONCE = 128  # requests compared with all trained points, for the sake of memory


@dataclass(frozen=True)
class Accuracy:
    """What was found of n drawings of k factors.

    centres (n, k) pixels; correct (n, k); both (n,); valid (n,); right (n,); error (n,).
    """

    centres: Float[np.ndarray, "n k"]
    correct: Bool[np.ndarray, "n k"]
    both: Bool[np.ndarray, " n"]
    valid: Bool[np.ndarray, " n"]
    right: Bool[np.ndarray, " n"]
    error: Float[np.ndarray, " n"]


def estimate_centres(images: Float[np.ndarray, "n N N"], picture: Picture) -> Float[np.ndarray, "n 2"]:
    """The centre (x, y) of each drawing, in pixels, to RESOLUTION."""
    signal = arrays.numbers(images, "images") - picture.background
    signal = signal if picture.polarity == "bright" else -signal
    return np.stack(
        [_match(signal.mean(axis=1), picture, axis=0), _match(signal.mean(axis=2), picture, axis=1)], axis=1
    )


def _match(profiles: Float[np.ndarray, "n N"], picture: Picture, axis: int) -> Float[np.ndarray, " n"]:
    """Centre of the Gaussian that each profile resembles most: a grid, then two finer ones around its best."""
    unit = _unit(profiles)
    step, edge = 1 / 8, picture.size - 0.5
    grid = np.arange(-0.5, edge + step / 2, step)
    best = grid[(unit @ _unit(picture.profiles(grid, axis)).T).argmax(axis=1)]
    for _ in range(2):
        step /= 8
        near = best[:, None] + step * np.arange(-8, 9)  # (n, 17)
        if picture.boundary == "open":
            near = near.clip(-0.5, edge)
        templates = _unit(picture.profiles(near.ravel(), axis)).reshape(*near.shape, picture.size)
        match = np.einsum("np,nmp->nm", unit, templates)
        best = near[np.arange(len(near)), match.argmax(axis=1)]
    return np.where(unit.any(axis=1), best, np.nan)


def _unit(rows: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """Each row with mean 0 and norm 1; an even row is all 0."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 1e-9)


def measure(
    images: Float[np.ndarray, "n N N"], points: Float[np.ndarray, "n 2"], picture: Picture, tolerance: float = 1.0
) -> Accuracy:
    """Judge drawings asked for at `points` against the closed form of `picture`.

    Raises RequestError where the shapes do not fit.
    """
    images, points = arrays.numbers(images, "images"), arrays.numbers(points, "points")
    n, size = len(points), picture.size
    if images.shape != (n, size, size):
        raise RequestError(f"images: got an array of shape {images.shape}, needs {(n, size, size)}")
    space, shown = picture.space(), picture.visible(points)
    centres = estimate_centres(images, picture)
    correct = (np.abs(space.difference(centres, points)) <= tolerance + RESOLUTION) | ~shown

    ideal = picture.render(np.where(shown & np.isfinite(centres), centres, points)).reshape(n, -1)
    drawn = images.reshape(n, -1)
    correlation = (_unit(drawn) * _unit(ideal)).sum(axis=1)

    truth = picture.render(points).reshape(n, -1)
    scale = ((truth - picture.background) ** 2).sum(axis=1)
    difference = ((drawn - truth) ** 2).sum(axis=1)
    error = np.divide(difference, scale, out=np.full(n, np.inf), where=scale > 0)
    both, valid = np.all(correct, axis=1), correlation >= VALID_CORRELATION
    return Accuracy(centres, correct, both, valid, both & valid, error)


def copying_baseline(
    points: Float[np.ndarray, "n 2"], trained: Float[np.ndarray, "m 2"], picture: Picture, tolerance: float = 1.0
) -> Bool[np.ndarray, "n 2"]:
    """Which factors a model gets right that draws the nearest trained point (the first of equals)."""
    space = picture.space()
    nearest = np.zeros(len(points), dtype=np.intp)
    for i in range(0, len(points), AT_ONCE):
        difference = space.difference(points[i : i + AT_ONCE, None], trained[None])  # (AT_ONCE, m, 2)
        nearest[i : i + AT_ONCE] = (difference**2).sum(axis=2).argmin(axis=1)
    rounding = [factor.rounding for factor in space.factors]
    close = np.abs(space.difference(points, trained[nearest])) <= tolerance + np.array(rounding)
    return (close & picture.visible(trained)[nearest]) | ~picture.visible(points)
