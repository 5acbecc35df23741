"""Coloured shapes in closed form: square, ellipse, heart and triangle, of any scale, rotation, place and hue.

A shape is the set of points with a negative signed distance. The coverage of a pixel is 1/2 minus the distance of its
centre from the edge, in pixels, clipped to [0, 1], so that the edge is one pixel wide. Each shape has its centroid at
(x, y) and fits into a circle of radius scale x size / 5 around it.

    factor     unit      range
    shape      -         0 square, 1 ellipse (axes 2 : 1), 2 heart, 3 triangle (equilateral)
    scale      -         0.5 .. 1
    rotation   degrees   0 .. 360, periodic, from x towards y; a shape looks the same after 360 / 4, 2, 1, 3 degrees
    x, y       pixels    at such a distance from the border that a shape of scale 1 is whole
    hue        degrees   0 .. 360, periodic: red, yellow, green, cyan, blue, magenta are 60 degrees apart
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float
from pydantic import Field

from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.family import Family, Reading, correlation
from hyperfactor.strict import Integer

NAMES = ("square", "ellipse", "heart", "triangle")
ORDERS = np.array([4, 2, 1, 3])  # number of rotations within 360 degrees that leave each shape unchanged
REACH = 1 / 5  # radius of a shape of scale 1, as a share of the picture's size
ELLIPSE = np.array([1.0, 0.5])  # semi-axes
READ = 256  # pictures read at a time
FAINT = 0.25  # the moments ignore pixels of less coverage: together they may outweigh the shape
FIRST, THEN = 1, 3  # steps of least squares: for every shape, then for the shape that fits best
MOMENTS = ((4,), (2,), (3, 2), (3,))  # orders of the moments that determine the rotation of each shape
NUDGES = np.array([0.05, 0.05, 0.05, 0.01])  # differences for slopes, of x, y, radius (pixels) and rotation (radians)
LONGEST = np.array([1.0, 1.0, 0.5, 0.2])  # limits of a step of least squares, in the same units

Pixels = Float[np.ndarray, "n h w 2"]
Distance = Float[np.ndarray, "n h w"]


def _corners(count: int, first: float) -> Float[np.ndarray, "m 2"]:
    """Corners of a regular polygon in the unit circle. The first corner is at an angle in radians."""
    angles = first + 2 * math.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


SQUARE, TRIANGLE = _corners(4, math.pi / 4), _corners(3, 0.0)
# A heart is a square that stands on a corner, with half a disc on each of its two upper sides, which face -x here.
# LOWER is the distance between the centroid of the heart and the centre of the square, in sides of the square: half a
# disc has area pi / 8, and its centroid is 2 / (3 pi) away from the side.
LOWER = (math.pi / 4) * (1 / 2 + 2 / (3 * math.pi)) / math.sqrt(2) / (1 + math.pi / 4)
SIDE = 1 / (1 / math.sqrt(2) + LOWER)  # the distance from the centroid to the tip is then 1
HEART = SIDE / math.sqrt(2) * _corners(4, 0.0) + np.array([LOWER * SIDE, 0.0])
LOBES = (HEART[[1, 3]] + HEART[2]) / 2  # centres of the discs: the midpoints of the two sides
AREAS = np.array([2.0, math.pi / 2, SIDE**2 * (1 + math.pi / 4), 3 * math.sqrt(3) / 4])


def _polygon(p: Pixels, corners: Float[np.ndarray, "m 2"]) -> Distance:
    """Signed distance to a convex polygon, which is the distance to its nearest side. Corners run from x towards y."""
    inside, nearest = np.ones(p.shape[:-1], dtype=bool), np.full(p.shape[:-1], np.inf)
    for corner, following in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        side, offset = following - corner, p - corner
        along = ((offset @ side) / (side @ side)).clip(0, 1)
        square = ((offset - along[..., None] * side) ** 2).sum(axis=-1)
        within = side[0] * offset[..., 1] - side[1] * offset[..., 0] >= 0
        nearest = np.minimum(nearest, square)
        inside &= within
    return np.where(inside, -1, 1) * np.sqrt(nearest)


def _ellipse(p: Pixels) -> Distance:
    """Signed distance to an ellipse, exact at its edge.

    To first order it is (f - 1) / |grad f| with f = |p / axes|.
    """
    f = np.linalg.norm(p / ELLIPSE, axis=-1)
    slope = np.linalg.norm(p / ELLIPSE**2, axis=-1)
    return np.divide(f * (f - 1), slope, out=np.full(f.shape, -ELLIPSE.min()), where=slope > 1e-9)


def _heart(p: Pixels) -> Distance:
    """Signed distance to the union of a square and two discs: the smallest of their distances."""
    discs = [np.linalg.norm(p - lobe, axis=-1) - SIDE / 2 for lobe in LOBES]
    return np.minimum(_polygon(p, HEART), np.minimum(*discs))


def _distance(shape: int, p: Pixels) -> Distance:
    """Signed distance of points to a shape of radius 1 around the origin."""
    match NAMES[shape]:
        case "square":
            return _polygon(p, SQUARE)
        case "ellipse":
            return _ellipse(p)
        case "heart":
            return _heart(p)
        case _:
            return _polygon(p, TRIANGLE)


def coverage(shape: int, placed: Float[np.ndarray, "n 4"], size: int) -> Float[np.ndarray, "n size size"]:
    """The share of each pixel that a shape covers.

    Parameters
    ----------
    shape : int
        Index of the shape in NAMES.
    placed : (n, 4)
        x, y and radius in pixels, and rotation in radians.
    size : int
        Rows and columns, in pixels.

    Returns
    -------
    (n, size, size)
        Coverages in [0, 1], indexed by y and x.
    """
    x, y, radius, angle = (part[:, None, None] for part in placed.T)
    right, down = np.arange(size) - x, np.arange(size)[:, None] - y
    across = (right * np.cos(angle) + down * np.sin(angle)) / radius
    along = (down * np.cos(angle) - right * np.sin(angle)) / radius
    return (0.5 - radius * _distance(shape, np.stack([across, along], axis=-1))).clip(0, 1)


def colour(hue: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
    """Red, green and blue of hues, at full saturation and value (HSV).

    Parameters
    ----------
    hue : (n,)
        Hues, in degrees.

    Returns
    -------
    (n, 3)
        In [0, 1].
    """
    away = np.abs((hue[:, None] - np.array([0.0, 120.0, 240.0]) + 180) % 360 - 180)  # from red, green and blue
    return (2 - away / 60).clip(0, 1)


def hue_of(rgb: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Hues of colours (HSV).

    Parameters
    ----------
    rgb : (n, 3)
        Red, green and blue, on any scale.

    Returns
    -------
    (n,)
        In degrees; NaN for a grey.
    """
    high, low = rgb.max(axis=1), rgb.min(axis=1)
    spread = high - low
    top = rgb.argmax(axis=1)
    rows = np.arange(len(rgb))
    ahead = rgb[rows, (top + 1) % 3] - rgb[rows, (top + 2) % 3]
    turn = np.divide(ahead, spread, out=np.full(len(rgb), np.nan), where=spread > 1e-6 * np.abs(high).clip(1e-12))
    return (120 * top + 60 * turn) % 360


def _clear(covered: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n h w"]:
    """The coverage, with 0 for faint pixels."""
    return np.where(covered < FAINT, 0.0, covered)


def _turned(covered: Float[np.ndarray, "n h w"], order: int) -> Float[np.ndarray, " n"]:
    """The argument of a moment of the coverage: the sum of w^order, with w = x + i y from the centroid.

    When a shape is rotated, it grows `order` times as fast as the rotation.
    """
    w = _grid(covered.shape[1]) - _centroid(covered)[:, None, None]
    return np.angle((covered * w**order).sum(axis=(1, 2)))


def _centroid(covered: Float[np.ndarray, "n h w"]) -> Complex[np.ndarray, " n"]:
    """The centroid x + i y, in pixels."""
    return (covered * _grid(covered.shape[1])).sum(axis=(1, 2)) / covered.sum(axis=(1, 2))


def _grid(size: int) -> Complex[np.ndarray, "h w"]:
    """x + i y of each pixel."""
    return np.arange(size) + 1j * np.arange(size)[:, None]


_UPRIGHT = [coverage(shape, np.array([[32.0, 32.0, 30.0, 0.0]]), 65) for shape in range(len(NAMES))]
PHASES = [
    [float(_turned(of_shape, order)[0]) for order in orders] for of_shape, orders in zip(_UPRIGHT, MOMENTS, strict=True)
]


class Shapes(Family):
    """One coloured shape on black.

    Attributes
    ----------
    size : int
        Rows and columns, in pixels; at least 24. In smaller pictures a heart and a square may differ by less than the
        reading can tell: of 4,000 true pictures of 16 x 16 pixels 56 were read wrong, of 24 x 24 none of 2,500.
    """

    family: Literal["shapes"] = "shapes"
    size: Integer = Field(default=32, ge=24)

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, self.size, self.size

    def space(self) -> FactorSpace:
        """The factors shape, scale, rotation, x, y and hue."""
        margin = math.ceil(self.size * REACH)
        near, far = margin, self.size - 1 - margin
        return FactorSpace(
            (
                Factor("shape", 0, len(NAMES) - 1, "categorical"),
                Factor("scale", 0.5, 1, "open", 0.05),
                Factor("rotation", 0, 360, "periodic", 10),
                Factor("x", near, far, "open", 1),
                Factor("y", near, far, "open", 1),
                Factor("hue", 0, 360, "periodic", 10),
            )
        )

    def difference(
        self, values: Float[np.ndarray, "... 6"], points: Float[np.ndarray, "... 6"]
    ) -> Float[np.ndarray, "... 6"]:
        """Differences of values from points, with rotations compared within the symmetry of the shape asked for."""
        found = super().difference(values, points)
        asked = np.broadcast_to(points[..., 0], found.shape[:-1]).astype(int)
        period = 360 / ORDERS[asked]
        found[..., 2] = (found[..., 2] + period / 2) % period - period / 2
        return found

    def render(self, points: Float[np.ndarray, "n 6"]) -> Float[np.ndarray, "n 3 size size"]:
        covered = np.empty((len(points), self.size, self.size))
        for shape in np.unique(points[:, 0]).astype(int):
            of_shape = points[:, 0] == shape
            _, scale, rotation, x, y, _ = points[of_shape].T
            placed = np.stack([x, y, scale * self.size * REACH, np.radians(rotation)], axis=1)
            covered[of_shape] = coverage(int(shape), placed, self.size)
        return covered[:, None] * colour(points[:, 5])[:, :, None, None]

    def read(self, images: Float[np.ndarray, "n 3 size size"]) -> Reading:
        """Read the factor values of each picture.

        The hue is the hue of the sum of all pixels. For each shape, moments of the coverage give a first place, radius
        and rotation, which least squares refines. The shape that fits best is the one that is read. A uniform picture
        shows no factor (NaN).

        Parameters
        ----------
        images : (n, 3, size, size)
            Pictures.

        Returns
        -------
        Reading
            Values in the factors' units, and fit.
        """
        parts = [self._values(images[i : i + READ]) for i in range(0, len(images), READ)]
        values = np.concatenate(parts) if parts else np.empty((0, 6))
        known = np.isfinite(values).all(axis=1)
        fit = np.zeros(len(images))
        fit[known] = correlation(images[known], self.render(values[known]))
        return Reading(values, fit)

    def _values(self, images: Float[np.ndarray, "n 3 size size"]) -> Float[np.ndarray, "n 6"]:
        hue = hue_of(images.sum(axis=(2, 3)))
        seen = np.isfinite(hue)
        rgb = colour(np.where(seen, hue, 0.0))
        covered = np.einsum("nchw,nc->nhw", images, rgb) / (rgb**2).sum(axis=1)[:, None, None]
        covered = covered.clip(0, 1)
        seen &= _clear(covered).sum(axis=(1, 2)) > 1  # more than one pixel is covered
        values = np.full((len(images), 6), np.nan)
        if seen.any():
            patches, corner = self._patches(covered[seen])
            shape, placed = _placed(patches)
            placed[:, :2] += corner
            x, y, radius, angle = placed.T
            scale = (radius / (self.size * REACH)).clip(0.05, 2)
            turned = np.degrees(angle) % (360 / ORDERS[shape])
            values[seen] = np.stack([shape, scale, turned, x, y, hue[seen]], axis=1)
        return values

    def _patches(
        self, covered: Float[np.ndarray, "n size size"]
    ) -> tuple[Float[np.ndarray, "n side side"], Float[np.ndarray, "n 2"]]:
        """Cut out the part of each coverage that a shape of scale 1 may fill, and give its first pixel (x, y)."""
        half = math.ceil(1.3 * self.size * REACH)
        padded = np.pad(covered, ((0, 0), (half, half), (half, half)))
        centroid = _centroid(_clear(covered))
        x, y = (np.round(part).astype(int) for part in (np.real(centroid), np.imag(centroid)))
        span = np.arange(2 * half + 1)
        rows, columns = y[:, None, None] + span[:, None], x[:, None, None] + span
        return padded[np.arange(len(covered))[:, None, None], rows, columns], np.stack([x, y], axis=1) - half


def _placed(covered: Float[np.ndarray, "n side side"]) -> tuple[np.ndarray, Float[np.ndarray, "n 4"]]:
    """The shape that fits each coverage best, and its place in the form that `coverage` takes."""
    tried = [_fitted(shape, _guess(shape, covered), covered, FIRST) for shape in range(len(NAMES))]
    best = np.argmin([misfit for _, misfit in tried], axis=0)
    placed = np.empty((len(covered), 4))
    for shape, (found, _) in enumerate(tried):
        of_shape = best == shape
        if of_shape.any():
            placed[of_shape], _ = _fitted(shape, found[of_shape], covered[of_shape], THEN)
    return best, placed


def _guess(shape: int, covered: Float[np.ndarray, "n side side"]) -> Float[np.ndarray, "n 4"]:
    """Estimate a place from moments: the centroid, the radius of the same area, and the rotation."""
    covered = _clear(covered)
    (first, *others), (phase, *phases) = MOMENTS[shape], PHASES[shape]
    angle = (_turned(covered, first) - phase) / first
    # the other moments choose among the rotations that the first moment cannot tell apart
    for order, its_phase in zip(others, phases, strict=True):
        turns = angle + 2 * math.pi / first * np.arange(first)[:, None]
        off = np.exp(1j * (order * turns + its_phase - _turned(covered, order)))
        angle = np.take_along_axis(turns, np.real(off).argmax(axis=0)[None], axis=0)[0]
    centre, radius = _centroid(covered), np.sqrt(covered.sum(axis=(1, 2)) / AREAS[shape])
    return np.stack([np.real(centre), np.imag(centre), radius, angle], axis=1)


def _fitted(
    shape: int, placed: Float[np.ndarray, "n 4"], covered: Float[np.ndarray, "n side side"], steps: int
) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"]]:
    """The place after some Gauss-Newton steps with numerical slopes, and the remaining sum of squares."""
    side = covered.shape[1]
    for _ in range(steps):
        now = coverage(shape, placed, side)
        slopes = [
            (coverage(shape, placed + nudge, side) - now).reshape(len(now), -1) / nudge.max()
            for nudge in np.diag(NUDGES)
        ]
        J = np.stack(slopes, axis=2)  # (n, pixels, 4)
        residual = (covered - now).reshape(len(now), -1, 1)
        normal = J.transpose(0, 2, 1) @ J + 1e-6 * np.eye(4)
        step = np.linalg.solve(normal, J.transpose(0, 2, 1) @ residual)[:, :, 0]
        placed = placed + step.clip(-LONGEST, LONGEST)
        placed[:, :2] = placed[:, :2].clip(0, side - 1)
        placed[:, 2] = placed[:, 2].clip(0.5, side)
    left = ((coverage(shape, placed, side) - covered) ** 2).sum(axis=(1, 2))
    return placed, left
