"""A family of pictures and a region of one's own.

hyperfactor --import examples/my_family.py train examples/my_family.yaml
"""

from typing import Literal

import numpy as np

from hyperfactor.factors import Factor, FactorSpace, Region
from hyperfactor.images import Family, Reading, correlation

SIDE, PERIOD = 16, 8  # pixels


class Grating(Family):
    """Vertical stripes: a cosine of some phase (pixels) and contrast about an even grey."""

    family: Literal["grating"] = "grating"

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, SIDE, SIDE

    @property
    def background(self) -> float:
        return 0.5

    def space(self) -> FactorSpace:
        phase = Factor("phase", 0, PERIOD, "periodic", tolerance=0.5)
        return FactorSpace((phase, Factor("contrast", 0.2, 1.0, tolerance=0.1)))

    def render(self, points: np.ndarray) -> np.ndarray:
        wave = np.cos(2 * np.pi * (np.arange(SIDE) - points[:, :1]) / PERIOD)
        rows = (1 + points[:, 1:] * wave) / 2
        return np.repeat(rows[:, None, None], SIDE, axis=2)

    def read(self, images: np.ndarray) -> Reading:
        """The Fourier coefficient at the period has the phase and half of the contrast."""
        wave = np.exp(-2j * np.pi * np.arange(SIDE) / PERIOD)
        coefficient = 2 * (images[:, 0].mean(axis=1) * wave).mean(axis=1)
        phase = -np.angle(coefficient) * PERIOD / (2 * np.pi) % PERIOD
        values = np.stack([phase, 2 * np.abs(coefficient)], axis=1)
        return Reading(values, correlation(images, self.render(values)))


class Ellipse(Region):
    """The points within an ellipse: a centre and a radius for each factor by name."""

    kind: Literal["ellipse"] = "ellipse"
    centre: dict[str, float]
    radius: dict[str, float]

    def contains(self, points: np.ndarray, space: FactorSpace) -> np.ndarray:
        centres = points.copy()
        for name, value in self.centre.items():
            centres[:, space.index(name)] = value
        away = space.difference(points, centres)  # the shorter way round a periodic factor
        parts = [away[:, space.index(name)] / radius for name, radius in self.radius.items()]
        return np.sum(np.square(parts), axis=0) <= 1
