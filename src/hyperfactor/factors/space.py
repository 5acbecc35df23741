"""Factors, factor spaces and lattices: what varies, and over which values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from hyperfactor import arrays
from hyperfactor.errors import RequestError, quoted
from hyperfactor.strict import BY_NAME, EACH, NAMED, Number

MOST = 2**20  # points of a lattice, as many as MPI3D has; all are in memory at once
ROUNDING = 1e-9  # share of a factor's range; values that differ by less are the same value
TICKS = 1e6  # cells into which a factor's range is divided
ASIDE = math.pi / 10  # of a cell: the ends of cells lie beside the values that lattices usually have

T = TypeVar("T")
Kind = Literal["open", "periodic", "categorical"]
Width = Annotated[Number, Field(ge=1e-6, le=1e6)]  # its square stays in the range of float64
Positive = Annotated[Number, Field(gt=0.0)]
# One positive number for all factors, or a number for each factor by name.
PositiveByFactor = Annotated[
    Annotated[Positive, EACH] | Annotated[dict[str, Positive], Field(min_length=1), NAMED], BY_NAME
]
WidthByFactor = Annotated[Annotated[Width, EACH] | Annotated[dict[str, Width], Field(min_length=1), NAMED], BY_NAME]


@dataclass(frozen=True)
class Factor:
    """A quantity that varies.

    Attributes
    ----------
    name : str
        Its name in specs, tables and files.
    low, high : float
        The ends of its range, in its own unit.
    kind : {"open", "periodic", "categorical"}
        open: any value in [low, high]. periodic: low and high are the same value, and high - low is the period.
        categorical: the whole numbers from low to high, which have no order.
    tolerance : float
        Largest difference between a correct value and the value asked for, in the factor's unit. A categorical value is
        correct only if it is equal.

    Raises
    ------
    RequestError
        If the kind is unknown, the range is not finite or is empty, the tolerance is negative or not finite, or an end
        of a categorical range is not a whole number.
    """

    name: str
    low: float
    high: float
    kind: Kind = "open"
    tolerance: float = 1.0

    def __post_init__(self):
        if self.kind not in get_args(Kind):
            raise RequestError(f"factor {self.name}: got kind {self.kind!r}, needs one of {', '.join(get_args(Kind))}")
        for value in (self.low, self.high, self.tolerance):
            if math.isnan(arrays.real(value)):
                raise RequestError(f"factor {self.name}: got {quoted(value)} in its range or tolerance, needs numbers")
        if not (self.tolerance >= 0 and math.isfinite(self.tolerance)):
            raise RequestError(f"factor {self.name}: got tolerance {self.tolerance}, needs a number of at least 0")
        ordered = self.low < self.high or (self.kind == "categorical" and self.low == self.high)
        if not (ordered and math.isfinite(self.low) and math.isfinite(self.high)):
            raise RequestError(
                f"factor {self.name}: got the range {self.low}..{self.high}, needs finite ends, low below high"
            )
        if self.kind == "categorical" and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise RequestError(f"factor {self.name}: got the range {self.low}..{self.high}, needs whole numbers")

    @property
    def period(self) -> float | None:
        return self.high - self.low if self.kind == "periodic" else None

    @property
    def rounding(self) -> float:
        """Distance below which two values are the same value, in the factor's unit.

        It is `ROUNDING` of the range, and at least what float64 resolves. Every comparison of a value with an end or a
        bound allows for it, so that 3 x 0.1 equals 0.3. A factor with the single value 0 has the range of 1.
        """
        resolved = 8 * np.finfo(float).eps * max(abs(self.low), abs(self.high))
        return max(ROUNDING * (self.high - self.low), resolved) or ROUNDING

    @property
    def allowed(self) -> str:
        """The values of the factor, for messages."""
        kind = "a whole number" if self.kind == "categorical" else "a value"
        return f"{kind} in {self.low:g}..{self.high:g}"

    def has(self, values: np.ndarray) -> np.ndarray:
        """Which values are values of the factor, within `rounding`. A categorical value must be a whole number."""
        inside = (values >= self.low - self.rounding) & (values <= self.high + self.rounding)
        return inside & (values == np.round(values)) if self.kind == "categorical" else inside

    def count(self, spacing: float = 1.0) -> int:
        """Number of values in `lattice(spacing)`.

        Parameters
        ----------
        spacing : float
            Step between values, in the factor's unit. A categorical factor always has step 1.

        Returns
        -------
        int
            At least 1.

        Raises
        ------
        RequestError
            If the spacing is not a positive number, does not divide the period of a periodic factor, or makes more than
            `MOST` values.
        """
        if not 0 < arrays.real(spacing) < math.inf:
            raise RequestError(f"factor {self.name}: got spacing {quoted(spacing)}, needs a number above 0")
        extent, step = self.high - self.low, 1.0 if self.kind == "categorical" else spacing
        if extent / step > MOST:
            raise RequestError(
                f"factor {self.name}: got spacing {step:g}, which makes {extent / step:.4g} values, "
                f"needs one that makes at most {MOST:,}"
            )
        if self.kind != "periodic":
            return math.floor((extent + self.rounding) / step) + 1
        steps = round(extent / step)
        if steps < 1 or abs(steps * step - extent) > self.rounding:
            raise RequestError(
                f"factor {self.name}: got spacing {spacing:g}, needs one that divides the period {extent:g}"
            )
        return steps

    def lattice(self, spacing: float = 1.0) -> Float[np.ndarray, " n"]:
        """Values from low to high in equal steps. A periodic factor leaves out high, which is the same value as low.

        Parameters
        ----------
        spacing : float
            Step between values, in the factor's unit. A categorical factor always has step 1.

        Returns
        -------
        (n,)
            The values, ascending.

        Raises
        ------
        RequestError
            For the same spacings as `count`.
        """
        step = 1.0 if self.kind == "categorical" else spacing
        return np.minimum(self.low + step * np.arange(self.count(spacing)), self.high)

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The difference a - b.

        Parameters
        ----------
        a, b : np.ndarray
            Values of the factor; their shapes broadcast.

        Returns
        -------
        np.ndarray
            In the factor's unit. For a periodic factor, the difference by the shorter way round. For a categorical
            factor, 0 where the values are equal and 1 elsewhere.
        """
        if self.kind == "categorical":
            return (np.asarray(a) != np.asarray(b)).astype(float)
        d = np.asarray(a, dtype=float) - b
        if self.period is not None:
            d = (d + self.period / 2) % self.period - self.period / 2
        return d

    def close(self, difference: np.ndarray, resolution: float = 0.0) -> np.ndarray:
        """Which values are correct, given their differences from the values asked for.

        Parameters
        ----------
        difference : np.ndarray
            Differences as `difference` returns them, in the factor's unit. NaN is never correct.
        resolution : float
            Uncertainty of the values, in the factor's unit. The larger of it and `rounding` is added to the tolerance.

        Returns
        -------
        np.ndarray of bool
            True for each correct value.
        """
        if self.kind == "categorical":
            return difference == 0
        return np.abs(difference) <= self.tolerance + max(resolution, self.rounding)

    def span(self, low: float, high: float) -> float:
        """Length of the range from low to high.

        Parameters
        ----------
        low, high : float
            The range, as for `between`.

        Returns
        -------
        float
            In the factor's unit. It may be negative by rounding.

        Raises
        ------
        RequestError
            If low is above high for a factor that is not periodic.
        """
        span = high - low
        if span >= -self.rounding:
            return span
        if self.period is None:
            raise RequestError(
                f"region: got low {low:g} above high {high:g}, needs an ascending range for the "
                f"{self.kind} factor {self.name}"
            )
        span %= self.period
        return 0.0 if span > self.period - self.rounding else span

    def between(self, values: np.ndarray, low: float, high: float) -> np.ndarray:
        """Which values lie in [low, high], ends included, within `rounding`.

        Parameters
        ----------
        values : np.ndarray
            Values of the factor.
        low, high : float
            The range, in the factor's unit. The range of a periodic factor runs upwards from low to high. It passes the
            end of the period if low is above high, and covers the whole period if high is a period or more above low.

        Returns
        -------
        np.ndarray of bool
            True for each value in the range.

        Raises
        ------
        RequestError
            If low is above high for a factor that is not periodic.
        """
        span = self.span(low, high)
        if self.period is None:
            return (values >= low - self.rounding) & (values <= high + self.rounding)
        if span > self.period - self.rounding:
            return np.ones(np.shape(values), dtype=bool)
        return (values - low + self.rounding) % self.period <= max(span, 0.0) + 2 * self.rounding


@dataclass(frozen=True)
class FactorSpace:
    """Named factors in a fixed order. A point is a row with one value for each factor.

    Attributes
    ----------
    factors : tuple of Factor
        The factors.

    Raises
    ------
    RequestError
        If two factors have the same name.
    """

    factors: tuple[Factor, ...]

    def __post_init__(self):
        if len(set(self.names)) < len(self.names):
            raise RequestError(f"factors: got {', '.join(self.names)}, needs names that differ")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(factor.name for factor in self.factors)

    def __len__(self) -> int:
        return len(self.factors)

    def index(self, name: str) -> int:
        """Position of the factor called `name`. Raises `RequestError` if there is none."""
        if name not in self.names:
            raise RequestError(f"factor: got {name!r}, needs one of {', '.join(self.names)}")
        return self.names.index(name)

    def by_factor(self, given: T | Mapping[str, T]) -> dict[int, T]:
        """The given value of each factor, by the factor's position.

        Parameters
        ----------
        given : value or mapping
            One value for all factors, or a value for each of some factors by name.

        Returns
        -------
        dict of int to value
            Factors without a value are left out.

        Raises
        ------
        RequestError
            If no factor has a given name.
        """
        if isinstance(given, Mapping):
            return {self.index(name): value for name, value in given.items()}
        return dict.fromkeys(range(len(self)), given)

    def axes(
        self, spacing: float | Mapping[str, float] = 1.0, fixed: Mapping[str, float] | None = None
    ) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """The lattice values of each factor.

        Parameters
        ----------
        spacing : float or mapping
            Step between values, in each factor's unit: one number for all factors, or numbers by name. The step of a
            factor that is not named is 1.
        fixed : mapping, optional
            The value of each factor that does not vary, by name. The other factors span a slice of the space.

        Returns
        -------
        tuple of (n_k,)
            The values of each factor, ascending.

        Raises
        ------
        RequestError
            If no factor has a given name, `Factor.count` refuses a spacing, or a fixed value is outside its factor's
            range.
        """
        held = {self.index(name): self._within(name, value) for name, value in (fixed or {}).items()}
        steps = self.by_factor(spacing)
        return tuple(
            np.array([held[k]]) if k in held else factor.lattice(steps.get(k, 1.0))
            for k, factor in enumerate(self.factors)
        )

    def _within(self, name: str, value: float) -> float:
        """A value moved onto its factor's range if only rounding separates them. Raises `RequestError` if more does."""
        factor = self.factors[self.index(name)]
        if not factor.has(np.array(value)):
            raise RequestError(f"{name}: got {value:.12g}, needs {factor.allowed}")
        return min(max(value, factor.low), factor.high)

    def lattice(
        self, spacing: float | Mapping[str, float] = 1.0, fixed: Mapping[str, float] | None = None
    ) -> Float[np.ndarray, "n k"]:
        """All lattice points of the space or of a slice of it. The last factor varies fastest.

        Parameters
        ----------
        spacing : float or mapping
            Step between values, as for `axes`.
        fixed : mapping, optional
            The value of each factor that does not vary, as for `axes`.

        Returns
        -------
        (n, k)
            The points.

        Raises
        ------
        RequestError
            If `axes` refuses the request, there is no factor, or the lattice has more than `MOST` points.
        """
        if not self.factors:
            raise RequestError("lattice: got a space without factors, needs at least one")
        return product(self.axes(spacing, fixed))

    def check(self, points: Any) -> Float[np.ndarray, "n k"]:
        """Validate points, and move values that lie outside a range by rounding onto its end.

        Parameters
        ----------
        points : array of shape (n, k), or data frame
            Numbers of any type that numpy or torch knows, in the factors' units. A frame of polars or pandas has one
            column for each factor, by name, in any order.

        Returns
        -------
        (n, k)
            The points, float64.

        Raises
        ------
        RequestError
            If this is not an array of numbers of this shape, a frame has other columns, or a value is outside its
            factor's range.
        """
        if (columns := [*getattr(points, "columns", ())]) and all(isinstance(name, str) for name in columns):
            if sorted(columns) != sorted(self.names):
                raise RequestError(f"factors: got columns {', '.join(columns)}, needs {', '.join(self.names)}")
            points = points[list(self.names)]
        given = arrays.numbers(points, "factors")
        if given.ndim != 2 or given.shape[1] != len(self):
            raise RequestError(
                f"factors: got an array of shape {given.shape}, needs (n, {len(self)}) for {', '.join(self.names)}"
            )
        for k, factor in enumerate(self.factors):
            values = given[:, k]
            bad = ~factor.has(values)
            if bad.any():
                row = int(np.flatnonzero(bad)[0])
                raise RequestError(f"factors row {row}, {factor.name}: got {values[row]:.12g}, needs {factor.allowed}")
            values.clip(factor.low, factor.high, out=values)
        return given

    def among(self, points: Float[np.ndarray, "n k"], others: Float[np.ndarray, "m k"]) -> Bool[np.ndarray, " n"]:
        """Which points equal one of `others` in every factor, within its `rounding`. Periods are respected.

        Parameters
        ----------
        points : (n, k)
            The points to look for.
        others : (m, k)
            The points to compare with.

        Returns
        -------
        (n,) of bool
            True for each point that is among the others.
        """
        from scipy.spatial import KDTree  # 0.2 s to import

        if not len(points) or not len(others):
            return np.zeros(len(points), dtype=bool)
        unit = np.array([factor.rounding for factor in self.factors])
        period = np.array([factor.period or 0.0 for factor in self.factors]) / unit

        def scaled(values: np.ndarray) -> np.ndarray:
            offset = (values - [factor.low for factor in self.factors]) / unit
            turned = np.mod(offset, period, out=offset, where=period > 0)
            return np.where((period > 0) & (turned >= period), 0.0, turned)  # a tiny negative offset rounds up to it

        tree = KDTree(scaled(others), boxsize=period)
        distance, _ = tree.query(scaled(points), p=np.inf, distance_upper_bound=1.0 + 1e-6)
        return np.isfinite(distance)

    def ticks(self, points: Float[np.ndarray, "n k"]) -> Int[np.ndarray, "n k"]:
        """The number of the cell that each value lies in, of `TICKS` cells of equal length over a factor's range.

        Values that differ by rounding lie in the same cell. Periods are respected.

        Parameters
        ----------
        points : (n, k)
            Factor values, in the factors' units.

        Returns
        -------
        (n, k)
            Numbers of cells.
        """
        span = np.array([factor.high - factor.low or 1.0 for factor in self.factors]) / TICKS
        cells = np.floor((points - [factor.low for factor in self.factors]) / span + ASIDE).astype(np.int64)
        wraps = np.array([factor.kind == "periodic" for factor in self.factors])
        return np.where(wraps, cells % int(TICKS), cells)

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The differences a - b, factor by factor (see `Factor.difference`).

        Parameters
        ----------
        a, b : (..., k)
            Points whose shapes broadcast.

        Returns
        -------
        (..., k)
            In the factors' units.
        """
        return np.stack([f.difference(a[..., k], b[..., k]) for k, f in enumerate(self.factors)], axis=-1)

    def close(self, difference: Float[np.ndarray, "n k"], resolution: float = 0.0) -> Bool[np.ndarray, "n k"]:
        """Which values are correct, given their differences from the values asked for (see `Factor.close`).

        Parameters
        ----------
        difference : (n, k)
            Differences, in the factors' units.
        resolution : float
            Uncertainty of the values, in each factor's unit.

        Returns
        -------
        (n, k) of bool
            True for each correct value.
        """
        return np.stack([f.close(difference[:, k], resolution) for k, f in enumerate(self.factors)], axis=1)


def product(axes: Sequence[Float[np.ndarray, " n_k"]]) -> Float[np.ndarray, "n k"]:
    """Return all combinations of the values of axes, (n, k). The last axis varies fastest.

    Raises
    ------
    RequestError
        If there are more than `MOST`.
    """
    counts = [len(axis) for axis in axes]
    if (points := math.prod(counts)) > MOST:
        raise RequestError(
            f"lattice: got {' x '.join(f'{count:,}' for count in counts)} = {points:,} points, needs at most "
            f"{MOST:,}; a larger spacing, or fixed factors, leave fewer"
        )
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
