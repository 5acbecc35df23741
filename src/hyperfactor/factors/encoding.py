"""Encodings turn factor values into the condition vector of a network.

The condition of a point is the codes of its factors, side by side, so it never mixes two factors. One encoding serves
all factors, except that categories, which have no order, are always coded one-hot. Alternatively, each factor has its
own encoding, by name:

    encoding:
      x: {kind: sinusoidal}
      shape: {kind: one-hot}
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, field_validator, model_validator

from hyperfactor.errors import RequestError
from hyperfactor.factors.space import Factor, FactorSpace, Width
from hyperfactor.strict import Integer, Number, Open


def sinusoidal(
    values: Float[np.ndarray, " n"], width: int, shortest: float, longest: float
) -> Float[np.ndarray, "n width"]:
    """The positional code: sin(v f_i) and cos(v f_i) at geometrically spaced frequencies f_i.

    f_i = (shortest / longest)^(2 i / width) / shortest for i = 0 .. width / 2 - 1, with wavelength 2 pi / f_i.

    Parameters
    ----------
    values : (n,)
        Factor values v.
    width : int
        Length of a code, even.
    shortest, longest : float
        The shortest wavelength, and an upper bound of all wavelengths, divided by 2 pi, in the unit of the values.

    Returns
    -------
    (n, width)
        All sines, then all cosines.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, section 3.5, with shortest = 1 and longest = 10,000.
    """
    frequencies = (shortest / longest) ** (2 * np.arange(width // 2) / width) / shortest
    phase = values[:, None] * frequencies
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1)


class Encoding(Open):
    """A code for factor values that a network can read. `kind` chooses it.

    A subclass gives `code`.
    """

    def code(self, values: Float[np.ndarray, " n"], factor: Factor) -> Float[np.ndarray, "n width"]:
        """The codes of values of one factor.

        Parameters
        ----------
        values : (n,)
            Values in the factor's unit.
        factor : Factor
            The factor.

        Returns
        -------
        (n, width)
            One code a value.

        Raises
        ------
        RequestError
            If the encoding does not suit the factor's kind.
        """
        raise NotImplementedError

    def of(self, factor: Factor) -> "Encoding":
        """The encoding of one factor. Default: one-hot for a categorical factor, this encoding for any other."""
        return OneHot() if factor.kind == "categorical" else self

    def encode(self, points: Float[np.ndarray, "n k"], space: FactorSpace) -> Float[np.ndarray, "n width"]:
        """The condition of each point.

        Parameters
        ----------
        points : (n, k)
            Factor values, in the factors' units.
        space : FactorSpace
            The factors.

        Returns
        -------
        (n, width)
            The codes of all factors side by side, float32.

        Raises
        ------
        RequestError
            If a factor cannot be coded.
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


def _check_ordered(kind: str, factor: Factor) -> None:
    """Raise `RequestError` for categories, which have no order."""
    if factor.kind == "categorical":
        raise RequestError(f"encoding {kind}: got factor {factor.name}, which is categorical, needs open or periodic")


class Sinusoidal(Encoding):
    """The positional code of `sinusoidal`. It does not wrap round, and refuses categories, which have no order.

    A smoother code lets a network learn positions sooner. With wavelengths of a few pixels, a network takes long to
    discover which values are neighbours.

    Attributes
    ----------
    dimensions : int
        Length of the code of each factor, even.
    shortest, longest : float
        The shortest wavelength, and an upper bound of all wavelengths, divided by 2 pi, in the factor's unit.
    """

    kind: Literal["sinusoidal"] = "sinusoidal"
    dimensions: Integer = Field(default=16, ge=2, multiple_of=2)
    shortest: Number = Field(default=3.0, gt=0.0)
    longest: Number = Field(default=30.0, gt=0.0)

    @model_validator(mode="after")
    def _in_order(self):
        if self.shortest >= self.longest:
            raise ValueError(f"longest: got {self.longest:g}, needs a number above shortest, {self.shortest:g}")
        return self

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        _check_ordered(self.kind, factor)
        return sinusoidal(values, self.dimensions, self.shortest, self.longest)


class Periodic(Encoding):
    """sin and cos of the first multiples of the angle 2 pi (v - low) / period. The code wraps round.

    Attributes
    ----------
    harmonics : int
        Number of multiples; the code is twice as long.
    """

    kind: Literal["periodic"] = "periodic"
    harmonics: Integer = Field(default=4, ge=1)

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        if factor.period is None:
            raise RequestError(f"encoding periodic: got factor {factor.name}, which is {factor.kind}, needs periodic")
        phase = 2 * np.pi * np.arange(1, self.harmonics + 1) * (values[:, None] - factor.low) / factor.period
        return np.concatenate([np.sin(phase), np.cos(phase)], axis=1)


class OneHot(Encoding):
    """1 at the lattice value nearest to the factor value, 0 at the others.

    A value halfway between two lattice values belongs to the lower one.

    Attributes
    ----------
    spacing : float
        Step of the lattice, in the factor's unit. A categorical factor always has step 1.
    """

    kind: Literal["one-hot"] = "one-hot"
    spacing: Number = Field(default=1.0, gt=0.0)

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        count, spacing = factor.count(self.spacing), 1.0 if factor.kind == "categorical" else self.spacing
        nearest = np.ceil((values - factor.low - factor.rounding) / spacing - 0.5).astype(np.intp)
        nearest = nearest % count if factor.period else nearest.clip(0, count - 1)
        code = np.zeros((len(values), count), dtype=np.float32)
        code[np.arange(len(values)), nearest] = 1
        return code


class Ramp(Encoding):
    """One number a factor, from -1 at its low end to 1 at its high end. It neither wraps round nor suits categories."""

    kind: Literal["ramp"] = "ramp"

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        _check_ordered(self.kind, factor)
        return (2 * (values[:, None] - factor.low) / (factor.high - factor.low)) - 1


class Bump(Encoding):
    """The responses of Gaussian tuning curves whose centres form a lattice. The code of a periodic factor wraps round.

    The codes of any two categories are equally far apart.

    Attributes
    ----------
    spacing : float
        Distance between neighbouring centres, in the factor's unit.
    sigma : float
        Standard deviation of a tuning curve, in the factor's unit.
    """

    kind: Literal["bump"] = "bump"
    spacing: Number = Field(default=1.0, gt=0.0)
    sigma: Width = 2.0

    def code(self, values: np.ndarray, factor: Factor) -> np.ndarray:
        distance = factor.difference(values[:, None], factor.lattice(self.spacing))
        return np.exp(-(distance**2) / (2 * self.sigma**2))


class ByFactor(Encoding):
    """An encoding for each factor.

    Attributes
    ----------
    factors : dict of str to Encoding
        The encoding of each factor, by name.
    """

    kind: Literal["by factor"] = "by factor"
    factors: dict[str, Encoding] = Field(min_length=1)

    @field_validator("factors")
    @classmethod
    def _each_of_one_factor(cls, factors: dict[str, Encoding]) -> dict[str, Encoding]:
        for name, given in factors.items():
            if isinstance(given, ByFactor):
                raise ValueError(f"{name}: got an encoding by factor, needs that of one factor")
        return factors

    def of(self, factor: Factor) -> Encoding:
        if factor.name not in self.factors:
            raise RequestError(f"encoding: got none for factor {factor.name}, needs one for each factor")
        return self.factors[factor.name]

    def encode(self, points: Float[np.ndarray, "n k"], space: FactorSpace) -> Float[np.ndarray, "n width"]:
        for name in self.factors:
            space.index(name)
        return super().encode(points, space)
