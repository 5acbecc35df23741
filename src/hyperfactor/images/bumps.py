"""Several bumps, each in a channel of its own.

Bumps that look the same could be exchanged, and no reading could tell which is which. Here the channel tells them
apart, so the factors x1, y1 of the first bump, x2, y2 of the second and so on can be read from every picture, even
where bumps overlap.
"""

from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from hyperfactor.factors.space import Factor, FactorSpace, Width
from hyperfactor.images.family import Family, Reading, correlation
from hyperfactor.images.gaussian import Bump
from hyperfactor.strict import Integer


class Bumps(Family):
    """Bumps at (x1, y1), (x2, y2), ..., bright on dark.

    Attributes
    ----------
    count : int
        Number of bumps, at least 2, and of channels.
    size : int
        Rows and columns, in pixels; a multiple of 8.
    sigma : float
        Standard deviation of each bump, in pixels.
    boundary : {"open", "periodic"}
        Whether a bump ends at the border or continues at the opposite side.
    """

    family: Literal["bumps"] = "bumps"
    resolution = Bump.resolution

    count: Integer = Field(default=2, ge=2)
    size: Integer = Field(default=32, ge=8, multiple_of=8)
    sigma: Width = 1.0
    boundary: Literal["open", "periodic"] = "open"

    @cached_property
    def _one(self) -> Bump:
        return Bump(size=self.size, sigma=self.sigma, boundary=self.boundary)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.count, self.size, self.size

    def space(self) -> FactorSpace:
        """The factors x1, y1, x2, y2, ..., in pixels. The centres of pixels lie at 0 .. size - 1."""
        one = self._one.space().factors
        return FactorSpace(
            tuple(
                Factor(f"{factor.name}{k + 1}", factor.low, factor.high, factor.kind, factor.tolerance)
                for k in range(self.count)
                for factor in one
            )
        )

    def render(self, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c size size"]:
        return self._one.render(points.reshape(-1, 2)).reshape(len(points), *self.shape)

    def read(self, images: Float[np.ndarray, "n c size size"]) -> Reading:
        """Read the centre of the bump in each channel, to `resolution`.

        A uniform channel has no bump, and its two factors are NaN.

        Parameters
        ----------
        images : (n, c, size, size)
            Pictures.

        Returns
        -------
        Reading
            Centres in pixels, and fit.
        """
        values = self._one.read(images.reshape(-1, 1, self.size, self.size)).values
        drawn = self._one.render(np.nan_to_num(values))
        drawn[np.isnan(values).any(axis=1)] = 0
        fit = correlation(images, drawn.reshape(images.shape))
        return Reading(values.reshape(len(images), 2 * self.count), fit)
