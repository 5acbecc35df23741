"""Factors, factor spaces and lattices: what varies, and over which values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from hyperfactor.errors import RequestError


@dataclass(frozen=True)
class Factor:
    """One quantity that varies.

    open: values in [low, high].  periodic: low and high are the same value, the period is
    high - low.  categorical: the whole numbers low..high, with no order among them.
    """

    name: str
    low: float
    high: float
    kind: Literal["open", "periodic", "categorical"] = "open"

    def __post_init__(self):
        if not self.low < self.high and not (self.kind == "categorical" and self.low == self.high):
            raise RequestError(f"factor {self.name}: got the range {self.low}..{self.high}, needs low below high")

    @property
    def period(self) -> float | None:
        return self.high - self.low if self.kind == "periodic" else None

    def lattice(self, spacing: float = 1.0) -> Float[np.ndarray, " n"]:
        """Values from low in steps of `spacing`: up to high, or short of it for a periodic factor.

        Raises RequestError where the spacing does not divide the period of a periodic factor.
        """
        if not spacing > 0:
            raise RequestError(f"factor {self.name}: got spacing {spacing}, needs a number above 0")
        if self.kind == "categorical":
            spacing = 1.0
        steps = (self.high - self.low) / spacing
        if self.kind == "periodic":
            if abs(steps - round(steps)) > 1e-9:
                raise RequestError(
                    f"factor {self.name}: got spacing {spacing:g}, needs one that divides the period {self.period:g}"
                )
            return self.low + spacing * np.arange(round(steps))
        return self.low + spacing * np.arange(int(np.floor(steps + 1e-9)) + 1)

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a - b, by the shorter way round where the factor is periodic; 0 or 1 for categories."""
        if self.kind == "categorical":
            return (np.asarray(a) != np.asarray(b)).astype(float)
        d = np.asarray(a, dtype=float) - b
        if self.period is not None:
            d = (d + self.period / 2) % self.period - self.period / 2
        return d

    def between(self, values: np.ndarray, low: float, high: float) -> np.ndarray:
        """Which values lie in [low, high]; for a periodic factor, going up from low to high."""
        if self.period is None:
            return (values >= low) & (values <= high)
        return (values - low) % self.period <= (high - low) % self.period


@dataclass(frozen=True)
class FactorSpace:
    """Named factors; a point is a row of one value for each, in this order."""

    factors: tuple[Factor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(factor.name for factor in self.factors)

    def __len__(self) -> int:
        return len(self.factors)

    def index(self, name: str) -> int:
        """Position of the factor called `name`; RequestError if there is none."""
        if name not in self.names:
            raise RequestError(f"factor: got {name!r}, needs one of {', '.join(self.names)}")
        return self.names.index(name)

    def axes(self, spacing: float | Sequence[float] = 1.0) -> tuple[np.ndarray, ...]:
        """The lattice values of each factor."""
        spacings = np.broadcast_to(np.asarray(spacing, dtype=float), len(self))
        return tuple(factor.lattice(float(d)) for factor, d in zip(self.factors, spacings, strict=True))

    def lattice(self, spacing: float | Sequence[float] = 1.0) -> Float[np.ndarray, "n k"]:
        """Every lattice point; the last factor varies fastest."""
        return np.stack([axis.ravel() for axis in np.meshgrid(*self.axes(spacing), indexing="ij")], axis=1)

    def check(self, points: np.ndarray) -> Float[np.ndarray, "n k"]:
        """The points as float64, or RequestError naming the first that is not in the space."""
        points = np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != len(self):
            raise RequestError(
                f"factors: got an array of shape {points.shape}, needs (n, {len(self)}) for {', '.join(self.names)}"
            )
        for k, factor in enumerate(self.factors):
            bad = ~((points[:, k] >= factor.low) & (points[:, k] <= factor.high))
            if factor.kind == "categorical":
                bad |= points[:, k] != np.round(points[:, k])
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                allowed = "a whole number" if factor.kind == "categorical" else "a value"
                raise RequestError(
                    f"factors row {row}, {factor.name}: got {points[row, k]:g}, "
                    f"needs {allowed} in {factor.low:g}..{factor.high:g}"
                )
        return points

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a - b factor by factor, shape broadcast to (..., k); periodic factors by the shorter way."""
        return np.stack([f.difference(a[..., k], b[..., k]) for k, f in enumerate(self.factors)], axis=-1)
