"""Encodings: factor values -> the condition vector that a network is given.

The codes of the factors are concatenated, so the condition never mixes two factors.  One encoding stands for all
factors, except that categories, which have no order, are coded one-hot.  Or each factor has its own, by name:

    encoding:
      x: {kind: sinusoidal}
      shape: {kind: one-hot}
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from hyperfactor.errors import RequestError
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.strict import Integer, Number, Open


def sinusoidal(
    values: Float[np.ndarray, " n"], width: int, shortest: float, longest: float
) -> Float[np.ndarray, "n width"]:
    """sin(v f_i), cos(v f_i) with f_i = (shortest / longest)^(2 i / width) / shortest, i = 0 .. width / 2 - 1.

    The positional code of "Attention Is All You Need" (arXiv 1706.03762, section 3.5), where shortest is
    1 and longest 10,000.  Wavelengths are 2 pi times as long.
    """
    frequencies = (shortest / longest) ** (2 * np.arange(width // 2) / width) / shortest
    phase = values[:, None] * frequencies
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1)


class Encoding(Open):
    """How factor values become numbers that a network can read.  `kind` names the way."""

    def code(self, values: Float[np.ndarray, " n"], factor: Factor) -> Float[np.ndarray, "n width"]:
        """The numbers for values of one factor."""
        raise NotImplementedError

    def of(self, factor: Factor) -> "Encoding":
        """The encoding of one factor: this one, or one-hot for categories."""
        return OneHot() if factor.kind == "categorical" else self

    def encode(self, points: Float[np.ndarray, "n k"], space: FactorSpace) -> Float[np.ndarray, "n width"]:
        """The condition of each point, float32; the factors' codes side by side.

        Raises RequestError for a factor that the encoding cannot code.
        """
        codes = [self.of(factor).code(points[:, k], factor) for k, factor in enumerate(space.factors)]
        return np.concatenate(codes, axis=1).astype(np.float32)

    def width(self, space: FactorSpace) -> int:
        """Length of the condition vector."""
        lowest = np.array([[factor.low for factor in space.factors]])
        return self.encode(lowest, space).shape[1]

    @classmethod
    def _read(cls, data: Any) -> Any:
        by_name = isinstance(data, Mapping) and cls.tag not in data and len(data) > 0
        if by_name and all(isinstance(part, Mapping | Encoding) for part in data.values()):
            data = {"kind": "by factor", "factors": dict(data)}
        return super()._read(data)


class Sinusoidal(Encoding):
    """Positional encoding of `dimensions` numbers a factor, of wavelengths from 2 pi shortest up to, and short
    of, 2 pi longest, in the factor's units.  It does not wrap round.

    The smoother it is the sooner a network learns positions; wavelengths of a few pixels make it slow to
    find out that neighbours are neighbours.
    """

    kind: Literal["sinusoidal"] = "sinusoidal"
    dimensions: Integer = Field(default=16, ge=2, multiple_of=2)
    shortest: Number = Field(default=3.0, gt=0)
    longest: Number = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _in_order(self):
        if self.shortest >= self.longest:
            raise ValueError(f"longest: got {self.longest:g}, needs a number above shortest, {self.shortest:g}")
        return self

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        return sinusoidal(values, self.dimensions, self.shortest, self.longest)


class Periodic(Encoding):
    """sin and cos of the first `harmonics` multiples of 2 pi v / period.  It wraps round."""

    kind: Literal["periodic"] = "periodic"
    harmonics: Integer = Field(default=4, ge=1)

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        if factor.period is None:
            raise RequestError(f"encoding periodic: got factor {factor.name}, which is {factor.kind}, needs periodic")
        phase = 2 * np.pi * np.arange(1, self.harmonics + 1) * (values[:, None] - factor.low) / factor.period
        return np.concatenate([np.sin(phase), np.cos(phase)], axis=1)


class OneHot(Encoding):
    """1 at the nearest of the lattice values spaced by `spacing`, 0 elsewhere; half-way between two, at the lower."""

    kind: Literal["one-hot"] = "one-hot"
    spacing: Number = Field(default=1.0, gt=0)

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        count, spacing = factor.count(self.spacing), 1.0 if factor.kind == "categorical" else self.spacing
        nearest = np.ceil((values - factor.low - factor.rounding) / spacing - 0.5).astype(np.intp)
        nearest = nearest % count if factor.period else nearest.clip(0, count - 1)
        code = np.zeros((len(values), count), dtype=np.float32)
        code[np.arange(len(values)), nearest] = 1
        return code


class Ramp(Encoding):
    """One number a factor: -1 at its low end, 1 at its high end.  It does not wrap round."""

    kind: Literal["ramp"] = "ramp"

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        if factor.kind == "categorical":
            raise RequestError(f"encoding ramp: got factor {factor.name}, which is categorical, needs open or periodic")
        return (2 * (values[:, None] - factor.low) / (factor.high - factor.low)) - 1


class Bump(Encoding):
    """A population of Gaussian tuning curves, `spacing` apart and `sigma` wide, in the factor's units.

    The difference to each centre is taken by the shorter way, so it wraps round on a periodic factor.
    """

    kind: Literal["bump"] = "bump"
    spacing: Number = Field(default=1.0, gt=0)
    sigma: Number = Field(default=2.0, gt=0)

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        distance = factor.difference(values[:, None], factor.lattice(self.spacing))
        return np.exp(-(distance**2) / (2 * self.sigma**2))


class ByFactor(Encoding):
    """An encoding for each factor, by name."""

    kind: Literal["by factor"] = "by factor"
    factors: dict[str, Encoding] = Field(min_length=1)

    def of(self, factor: Factor) -> Encoding:
        if factor.name not in self.factors:
            raise RequestError(f"encoding: got none for factor {factor.name}, needs one for each factor")
        return self.factors[factor.name]

    def encode(self, points: Float[np.ndarray, "n k"], space: FactorSpace) -> Float[np.ndarray, "n width"]:
        for name in self.factors:
            space.index(name)
        return super().encode(points, space)
