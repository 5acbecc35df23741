"""Bumps, stripes and sums of stripes in closed form.

Factor values are pixel coordinates of the visible window: x counts columns and y rows, pixel
centres lie at 0 .. size - 1, and `image[y, x]` is the picture.  The canvas is a larger plane of
factor values of which only the window is seen; a centre outside the window draws nothing.

With g(u) = exp(-u^2 / 2 sigma^2):
    bump     g_x(x - mu_x) g_y(y - mu_y)
    SOS      (g_x(x - mu_x) + g_y(y - mu_y)) / 2
    stripe   the one term of the SOS whose centre is inside the window; in the bump family, undivided
"""

from numbers import Real
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import BeforeValidator, Field, model_validator

from hyperfactor.factors.regions import Cross, Difference, Rectangle
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.strict import Integer, Number, Strict


def pair(value: object) -> object:
    """One number stands for the same in x and y."""
    return value if isinstance(value, bool | str) or not isinstance(value, Real) else (value, value)


Positive = Annotated[Number, Field(gt=0)]
Pair = Annotated[tuple[Positive, Positive], BeforeValidator(pair)]


class Picture(Strict):
    """A family of pictures of two factors, x and y.

    size: pixels a side.  canvas: factor values a side, at least `size`; the window lies in its
    middle, so that a label l = 0 .. canvas - 1 of the canvas is the pixel l - (canvas - size) // 2.
    sigma: standard deviation in pixels, one number or (along x, along y).
    """

    family: Literal["bump", "sos"] = "bump"
    size: Integer = Field(default=32, ge=8, multiple_of=8)
    canvas: Integer | None = None
    sigma: Pair = (1.0, 1.0)
    boundary: Literal["open", "periodic"] = "open"
    polarity: Literal["bright", "dark"] = "bright"

    @model_validator(mode="after")
    def _canvas_fits(self):
        if self.canvas is not None and self.canvas < self.size:
            raise ValueError(f"canvas: got {self.canvas}, needs an integer of at least size, {self.size}")
        if self.canvas is not None and self.boundary == "periodic":
            raise ValueError(f"canvas: got {self.canvas}, needs to be left out: a periodic picture has no outside")
        return self

    @property
    def background(self) -> float:
        """The brightness where nothing is drawn."""
        return 0.0 if self.polarity == "bright" else 1.0

    def space(self) -> FactorSpace:
        """The factors x and y: over the window, or over the canvas where there is one."""
        if self.boundary == "periodic":
            return FactorSpace(tuple(Factor(name, 0, self.size, "periodic") for name in "xy"))
        labels = self.canvas or self.size
        low = -((labels - self.size) // 2)
        return FactorSpace(tuple(Factor(name, low, low + labels - 1) for name in "xy"))

    def window(self) -> Rectangle:
        """The region where both centres are inside the window (2D data)."""
        return Rectangle(bounds={"x": (0, self.size - 1), "y": (0, self.size - 1)})

    def outside_one(self) -> Difference:
        """The region where one centre is inside the window and the other is not visible (1D data)."""
        seen = (-0.5, self.size - 0.5)  # a centre on the edge is half seen
        return Cross(low=0, high=self.size - 1) - Rectangle(bounds={"x": seen, "y": seen})

    def visible(self, points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n 2"]:
        """Which centres lie inside the window, whose edges are half a pixel outside its outer pixels."""
        if self.boundary == "periodic":
            return np.ones(points.shape, dtype=bool)
        rounding = self.space().factors[0].rounding
        return (points >= -0.5 - rounding) & (points < self.size - 0.5 - rounding)

    def profiles(self, centres: Float[np.ndarray, " n"], axis: int) -> Float[np.ndarray, "n size"]:
        """g at each pixel along one axis (0: x, 1: y), not cut at the window."""
        distance = np.arange(self.size) - centres[:, None]
        if self.boundary == "periodic":
            distance = (distance + self.size / 2) % self.size - self.size / 2
        return np.exp(-(distance**2) / (2 * self.sigma[axis] ** 2))

    def render(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n size size"]:
        """The true picture at each point, in [0, 1], float64."""
        shown = self.visible(points)
        columns = self.profiles(points[:, 0], 0) * shown[:, :1]  # (n, x)
        rows = self.profiles(points[:, 1], 1) * shown[:, 1:]  # (n, y)
        picture = columns[:, None, :] + rows[:, :, None]  # (n, y, x)
        if self.family == "sos":
            picture /= 2
        else:
            both = shown.all(axis=1)
            picture[both] = columns[both, None, :] * rows[both, :, None]
        return picture if self.polarity == "bright" else 1 - picture
