"""Bumps, stripes and sums of stripes in closed form.

Factor values are pixel coordinates of the visible window: x counts columns, y counts rows, the centres of pixels lie
at 0 .. size - 1, and `image[y, x]` is the picture. The canvas is a larger plane of factor values around the window. A
centre outside the window draws nothing.

With g(u) = exp(-u^2 / 2 sigma^2):
    bump     g_x(x - mu_x) g_y(y - mu_y)
    SOS      (g_x(x - mu_x) + g_y(y - mu_y)) / 2
    stripe   the one term of the SOS whose centre is inside the window; the bump family does not divide it by 2
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, model_validator

from hyperfactor.factors.regions import Cross, Difference, Rectangle
from hyperfactor.factors.space import Factor, FactorSpace, WidthByFactor
from hyperfactor.images.family import Family, Reading, correlation, unit
from hyperfactor.strict import Integer

TOLERANCE = 1.0  # of both factors, in pixels
AXES = "xy"  # names of the factors, in the order of a point's values


class Gaussian(Family):
    """Families of the two factors x and y, drawn with Gaussian profiles.

    A subclass gives `together`.

    Attributes
    ----------
    size : int
        Rows and columns, in pixels; a multiple of 8.
    canvas : int, optional
        Length of each side of the canvas, in pixels; at least `size`. The window lies in its middle, so the label l of
        0 .. canvas - 1 is the pixel l - (canvas - size) // 2. Default: no canvas around the window.
    sigma : float or mapping
        Standard deviation, in pixels: one number, or a number for each of x and y.
    boundary : {"open", "periodic"}
        Whether a profile ends at the border or continues at the opposite side.
    polarity : {"bright", "dark"}
        Bright on a dark background, or dark on a bright one.
    """

    resolution = 1 / 512  # of a pixel: the finest grid of `read`

    size: Integer = Field(default=32, ge=8, multiple_of=8)
    canvas: Integer | None = None
    sigma: WidthByFactor = 1.0
    boundary: Literal["open", "periodic"] = "open"
    polarity: Literal["bright", "dark"] = "bright"

    @model_validator(mode="after")
    def _canvas_fits(self):
        if self.canvas is not None and self.canvas < self.size:
            raise ValueError(f"canvas: got {self.canvas}, needs an integer of at least size, {self.size}")
        if self.canvas is not None and self.boundary == "periodic":
            raise ValueError(f"canvas: got {self.canvas}, needs to be left out: a periodic picture has no outside")
        return self

    @model_validator(mode="after")
    def _sigma_fits(self):
        if isinstance(self.sigma, dict) and set(self.sigma) != set(AXES):
            raise ValueError(f"sigma: got {', '.join(self.sigma)}, needs one number, or a number for each of x and y")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, self.size, self.size

    @property
    def widths(self) -> tuple[float, float]:
        """sigma along x and along y, in pixels."""
        sigma = self.sigma if isinstance(self.sigma, dict) else dict.fromkeys(AXES, self.sigma)
        return sigma["x"], sigma["y"]

    @property
    def background(self) -> float:
        """Brightness where nothing is drawn, 0 or 1."""
        return 0.0 if self.polarity == "bright" else 1.0

    def space(self) -> FactorSpace:
        """The factors x and y, over the canvas if there is one, else over the window."""
        if self.boundary == "periodic":
            return FactorSpace(tuple(Factor(name, 0, self.size, "periodic", TOLERANCE) for name in AXES))
        labels = self.canvas or self.size
        low = -((labels - self.size) // 2)
        return FactorSpace(tuple(Factor(name, low, low + labels - 1, "open", TOLERANCE) for name in AXES))

    def window(self) -> Rectangle:
        """The region where both centres are inside the window (2D data)."""
        return Rectangle(bounds=(0, self.size - 1))

    def outside_one(self) -> Difference:
        """The region where one centre is inside the window and the other is not visible (1D data)."""
        seen = (-0.5, self.size - 0.5)  # a centre on the edge of the window is half visible
        return Cross(bounds=(0, self.size - 1)) - Rectangle(bounds=seen)

    def shown(self, points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n 2"]:
        """Which centres lie inside the window. Its edges are half a pixel beyond the centres of its outer pixels.

        Parameters
        ----------
        points : (n, 2)
            Centres (x, y), in pixels.

        Returns
        -------
        (n, 2) of bool
            True for each visible centre.
        """
        if self.boundary == "periodic":
            return np.ones(points.shape, dtype=bool)
        rounding = self.space().factors[0].rounding
        return (points >= -0.5 - rounding) & (points < self.size - 0.5 - rounding)

    def profiles(self, centres: Float[np.ndarray, " n"], axis: int) -> Float[np.ndarray, "n size"]:
        """The Gaussian profile g along one axis, not cut at the window.

        Parameters
        ----------
        centres : (n,)
            Centres, in pixels.
        axis : int
            0 for x, 1 for y.

        Returns
        -------
        (n, size)
            g at the centre of each pixel.
        """
        distance = np.arange(self.size) - centres[:, None]
        if self.boundary == "periodic":
            distance = (distance + self.size / 2) % self.size - self.size / 2
        return np.exp(-(distance**2) / (2 * self.widths[axis] ** 2))

    def together(
        self, columns: Float[np.ndarray, "n size"], rows: Float[np.ndarray, "n size"], shown: Bool[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n size size"]:
        """Combine two profiles to a picture, bright on a background of 0.

        Parameters
        ----------
        columns, rows : (n, size)
            Profiles along x and along y; 0 where the centre is not shown.
        shown : (n, 2) of bool
            Which of the two centres are shown.

        Returns
        -------
        (n, size, size)
            Pictures, indexed by y and x.
        """
        raise NotImplementedError

    def render(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 1 size size"]:
        shown = self.shown(points)
        columns = self.profiles(points[:, 0], 0) * shown[:, :1]  # (n, x)
        rows = self.profiles(points[:, 1], 1) * shown[:, 1:]  # (n, y)
        picture = self.together(columns, rows, shown)[:, None]
        return picture if self.polarity == "bright" else 1 - picture

    def read(self, images: Float[np.ndarray, "n 1 size size"]) -> Reading:
        """Read the centre of each picture, to `resolution`.

        The centre on an axis is where the profile, the mean over the other axis, correlates most with a Gaussian of the
        known width. A uniform profile has no centre (NaN), and its factor counts as not shown.

        Parameters
        ----------
        images : (n, 1, size, size)
            Pictures.

        Returns
        -------
        Reading
            Centres in pixels, and fit.
        """
        signal = images[:, 0] - self.background
        signal = signal if self.polarity == "bright" else -signal
        values = np.stack([self._match(signal.mean(axis=1), 0), self._match(signal.mean(axis=2), 1)], axis=1)
        unseen = 0.0 if self.boundary == "periodic" else -2.0 * self.size
        return Reading(values, correlation(images, self.render(np.where(np.isnan(values), unseen, values))))

    def _match(self, profiles: Float[np.ndarray, "n size"], axis: int) -> Float[np.ndarray, " n"]:
        """Centre of the Gaussian that resembles each profile most. Two finer grids follow a coarse one."""
        given = unit(profiles)
        step, edge = 1 / 8, self.size - 0.5
        grid = np.arange(-0.5, edge + step / 2, step)
        best = grid[(given @ unit(self.profiles(grid, axis)).T).argmax(axis=1)]
        for _ in range(2):
            step /= 8
            near = best[:, None] + step * np.arange(-8, 9)  # (n, 17)
            if self.boundary == "open":
                near = near.clip(-0.5, edge - self.resolution)  # a centre on the far edge is not visible
            templates = unit(self.profiles(near.ravel(), axis)).reshape(*near.shape, self.size)
            match = np.einsum("np,nmp->nm", given, templates)
            best = near[np.arange(len(near)), match.argmax(axis=1)]
        return np.where(given.any(axis=1), best, np.nan)


class Bump(Gaussian):
    """A bump at (x, y). If one centre is outside the window, it becomes a stripe at the other centre."""

    family: Literal["bump"] = "bump"

    def together(
        self, columns: Float[np.ndarray, "n size"], rows: Float[np.ndarray, "n size"], shown: Bool[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n size size"]:
        picture = columns[:, None, :] + rows[:, :, None]  # (n, y, x)
        both = shown.all(axis=1)
        picture[both] = columns[both, None, :] * rows[both, :, None]
        return picture


class Sos(Gaussian):
    """A sum of stripes: a vertical stripe at x and a horizontal stripe at y."""

    family: Literal["sos"] = "sos"

    def together(
        self, columns: Float[np.ndarray, "n size"], rows: Float[np.ndarray, "n size"], shown: Bool[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n size size"]:
        return (columns[:, None, :] + rows[:, :, None]) / 2  # (n, y, x)
