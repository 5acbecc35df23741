"""A representation: a vector of d numbers at each point of a lattice of k factors, which are its named axes.

The input of a measure is checked here, once. It is a plain array (n_1, ..., n_k, d), a list of two or more readings of
it (see `readings`), a cloud of points (n, d), or a `Representation`, which has been checked already.

A plain array does not say what its factors are. They are called x, y, z, ... and taken to be *periodic* unless the
caller says otherwise: the last value of a factor is followed by its first. This default is the same everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays
from hyperfactor.errors import RequestError
from hyperfactor.factors.space import FactorSpace
from hyperfactor.measures.normalised import Normalised, normalised_readings, varied

Kind = Literal["open", "periodic", "categorical"]
KINDS = get_args(Kind)
Periodic = bool | Sequence[bool]
Lattice = Float[np.ndarray, "..."]  # (n_1, ..., n_k, d)
PERIODIC = True  # whether the factors of a plain array wrap round


@dataclass(frozen=True)
class Axis:
    """One factor of a representation.

    Parameters
    ----------
    name : str
        Name of the factor.
    kind : {"open", "periodic", "categorical"}
        As for `factors.space.Factor`.
    values : tuple of float, optional
        The factor's value at each of the n places along the axis. Default: unknown, and taken to be equally spaced.
    period : float, optional
        Period of a periodic factor whose values are known.
    """

    name: str
    kind: Kind = "periodic"
    values: tuple[float, ...] | None = None
    period: float | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise RequestError(f"factor {self.name}: got kind {self.kind!r}, needs one of {', '.join(KINDS)}")
        if self.kind == "periodic" and self.values is not None and self.period is None:
            raise RequestError(f"factor {self.name}: got values without a period, needs the period too")

    @property
    def wraps(self) -> bool:
        """Whether the last value is followed by the first.

        True for categories too: they have no order, so none of them is an end.
        """
        return self.kind != "open"

    def positions(self, n: int) -> Float[np.ndarray, " n"]:
        """Return the places of n values, in mean steps from the first.

        They are 0, 1, ... for equally spaced values and for categories.
        """
        if self.values is None or self.kind == "categorical":
            return np.arange(float(n))
        from_first = np.subtract(self.values, self.values[0])
        steps = from_first * (n / self.period if self.period else (n - 1) / from_first[-1])
        nearest = np.round(steps)
        return np.where(np.abs(steps - nearest) < 1e-9 * n, nearest, steps)

    def check(self, n: int) -> None:
        """Raise RequestError unless the values, if known, are n, and in order."""
        if self.values is None:
            return
        values = arrays.numbers(self.values, f"factor {self.name}")
        if values.shape != (n,) or not np.isfinite(values).all():
            raise RequestError(f"factor {self.name}: got {values.size} values for {n} places, needs one for each")
        extent = values[-1] - values[0]
        around = self.period is not None and extent >= self.period
        if self.kind != "categorical" and ((np.diff(values) <= 0).any() or around):
            within = f" within a period of {self.period:g}" if self.period else ""
            raise RequestError(f"factor {self.name}: got values that do not increase{within}, needs some that do")


Factors = FactorSpace | Sequence[str | Axis]


@dataclass(frozen=True, eq=False)
class Representation:
    """A vector at each lattice point, read once or several times.

    Make one with `Representation.of`, which checks its input.

    Attributes
    ----------
    readings : (m, n_1, ..., n_k, d)
        m independent readings of the same lattice, whose noise differs, float64.
    axes : tuple of Axis
        The k factors.
    name : str
        What error messages call it.
    """

    readings: Float[np.ndarray, "m ..."]
    axes: tuple[Axis, ...]
    name: str = field(default="R", repr=False)

    @classmethod
    def of(
        cls,
        values: Any,
        factors: Factors | None = None,
        periodic: Periodic | None = None,
        lattice: Sequence[Sequence[float] | np.ndarray] | None = None,
        name: str = "R",
    ) -> "Representation":
        """Check an array, or a list of readings, and name its factors.

        Parameters
        ----------
        values : (n_1, ..., n_k, d), list of such arrays, or Representation
            An array; a list of two or more readings of it; or a Representation, which is returned as it is.
        factors : FactorSpace or sequence of str or Axis, optional
            A factor space, or an axis or a name for each factor. Default: x, y, z, ...
        periodic : bool or sequence of bool, optional
            Whether factors known by name alone wrap round: one value for all, or one for each. Default: they do.
        lattice : sequence of (n_k,), optional
            Lattice values of each factor of a factor space. Default: unknown.
        name : str
            What error messages call the values.

        Raises
        ------
        RequestError
            For numbers that are not finite or that float64 does not hold; for a factor with a single value; if all
            points are equal; for readings of different shapes, or a list of one; for a wrong number of factors; and for
            `periodic` beside factors whose kinds are known.
        """
        if isinstance(values, Representation):
            if factors is not None or periodic is not None:
                raise RequestError(f"{name}: got a Representation with factors of its own, needs no others beside it")
            return values
        readings = _readings(values, name)
        sizes = readings.shape[1:-1]
        axes = _axes(len(sizes), factors, periodic, lattice)
        for axis, size in zip(axes, sizes, strict=True):
            axis.check(size)
        return cls(readings, axes, name)

    @property
    def values(self) -> Lattice:
        """Shape (n_1, ..., n_k, d): the single reading, or the mean of several."""
        return self.readings[0] if len(self.readings) == 1 else self.readings.mean(axis=0)

    @property
    def points(self) -> Float[np.ndarray, "n d"]:
        """The values as a cloud of points (n, d), in the order of the lattice."""
        return self.values.reshape(-1, self.readings.shape[-1])

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each factor."""
        return self.readings.shape[1:-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_1, ..., n_k, d)."""
        return self.readings.shape[1:]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the factors."""
        return tuple(axis.name for axis in self.axes)

    @property
    def wraps(self) -> tuple[bool, ...]:
        """For each factor whether its last value is followed by its first."""
        return tuple(axis.wraps for axis in self.axes)

    @property
    def several(self) -> bool:
        """Whether there are two or more readings, so that measures are corrected for noise."""
        return len(self.readings) > 1

    @cached_property
    def normalised(self) -> Normalised:
        """The readings in one unit, each with centre 0."""
        return normalised_readings(self.readings)


Given = Representation | Lattice | Sequence[Lattice]  # input of measures of a lattice


def checked_points(given: Any, name: str = "points", least: int = 2) -> Float[np.ndarray, "n d"]:
    """Check a cloud of points, or take the points of a representation.

    Parameters
    ----------
    given : (n, d) or Representation
        The points.
    name : str
        What error messages call them.
    least : int
        Smallest number of points.

    Returns
    -------
    (n, d)
        The points as float64.

    Raises
    ------
    RequestError
        For numbers that are not finite or that float64 does not hold, for another number of axes, for fewer than
        `least` points, and if all points are equal.
    """
    given = given.points if isinstance(given, Representation) else given
    values = arrays.finite(arrays.numbers(given, name), name)
    if values.ndim != 2 or values.shape[1] == 0:
        raise RequestError(f"{name}: got an array of shape {values.shape}, needs (n, d)")
    if len(values) < least:
        raise RequestError(f"{name}: got {len(values)}, needs at least {least}")
    return varied(values, name)


def _lattice(array: Any, name: str) -> Lattice:
    values = arrays.finite(arrays.numbers(array, name), name)
    if values.ndim < 2 or values.shape[-1] == 0:
        raise RequestError(f"{name}: got an array of shape {values.shape}, needs (n_1, ..., n_k, d)")
    for k, n in enumerate(values.shape[:-1]):
        if n < 2:
            raise RequestError(f"{name}, factor {k}: got {n} lattice value, needs at least 2")
    return varied(values, name)


def _readings(given: Any, name: str) -> Float[np.ndarray, "m ..."]:
    """Check one lattice, or a list of two or more readings of it.

    A list or tuple with an array of two or more axes is a list of readings; anything else is one array.
    """
    if not (isinstance(given, list | tuple) and given and any(getattr(part, "ndim", 0) >= 2 for part in given)):
        return _lattice(given, name)[None]
    if len(given) < 2:
        raise RequestError(f"{name}: got a list of 1 reading, needs two or more, or the array itself")
    found = [_lattice(part, f"{name}[{k}]") for k, part in enumerate(given)]
    for k, part in enumerate(found):
        if part.shape != found[0].shape:
            raise RequestError(
                f"{name}[{k}]: got shape {part.shape}, needs that of the first reading, {found[0].shape}"
            )
    return np.stack(found)


def _axes(
    count: int, factors: Factors | None, periodic: Periodic | None, lattice: Sequence[Any] | None
) -> tuple[Axis, ...]:
    """An axis for each of `count` factors."""
    spaced = isinstance(factors, FactorSpace)
    if isinstance(factors, FactorSpace):
        values = [None] * len(factors) if lattice is None else [tuple(map(float, of_factor)) for of_factor in lattice]
        if len(values) != len(factors):
            raise RequestError(f"lattice: got values of {len(values)} factors, needs those of {len(factors)}")
        pairs = zip(factors.factors, values, strict=True)
        factors = [Axis(factor.name, factor.kind, of_factor, factor.period) for factor, of_factor in pairs]
    elif factors is None:
        factors = "xyzuvw"[:count] if count <= 6 else [str(k) for k in range(count)]
    if lattice is not None and not spaced:
        raise RequestError("lattice: got values beside factors that are no factor space, needs one")
    if len(factors) != count:
        raise RequestError(f"factors: got {len(factors)}, needs one for each of {count}")
    known = [isinstance(one, Axis) for one in factors]
    if periodic is not None and any(known):
        raise RequestError("periodic: got a value beside factors whose kinds are known, needs none")
    wraps = _for_each(PERIODIC if periodic is None else periodic, count)
    axes = tuple(
        one if isinstance(one, Axis) else Axis(one, "periodic" if wrap else "open")
        for one, wrap in zip(factors, wraps, strict=True)
    )
    if len({axis.name for axis in axes}) != count:
        raise RequestError(f"factors: got {', '.join(axis.name for axis in axes)}, needs names that differ")
    return axes


def _for_each(periodic: Periodic, count: int) -> list[bool]:
    try:
        given = [periodic] * count if isinstance(periodic, bool | np.bool_) else list(periodic)
    except TypeError:
        given = [periodic]
    if wrong := [one for one in given if not isinstance(one, bool | np.bool_)]:
        raise RequestError(f"periodic: got {wrong[0]!r}, needs True or False")
    wraps = [bool(one) for one in given]
    if len(wraps) != count:
        raise RequestError(f"periodic: got {len(wraps)} values, needs one, or one for each of {count} factors")
    return wraps
