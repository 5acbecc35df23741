"""A representation that is given as a table: one row a sample, with the factor values of each.

A *condition* is a combination of factor values. A table may lack some conditions of the lattice, and may have several
rows of one. The rows of a condition are averaged, so that each condition counts once. If all conditions are there, the
table is a `Representation`. If some are missing, additivity is found by least squares, and measures along the lattice
cannot be taken.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.space import ROUNDING, FactorSpace
from hyperfactor.measures.normalised import varied
from hyperfactor.measures.representation import Axis, Factors, Representation


@dataclass(frozen=True, eq=False)
class Sampled:
    """Samples of a representation. Make one with `Sampled.of`, which checks its input.

    Attributes
    ----------
    values : (n, d)
        One row a sample, float64.
    codes : (n, k)
        For each sample and factor the number of its value among the factor's values.
    levels : tuple of (n_k,)
        Values of each factor, in order.
    axes : tuple of Axis
        The factors.
    """

    values: Float[np.ndarray, "n d"]
    codes: Int[np.ndarray, "n k"]
    levels: tuple[Float[np.ndarray, " n_k"], ...]
    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, values: Any, table: Any, factors: Factors) -> "Sampled":
        """Check samples and their factor values.

        Parameters
        ----------
        values : (n, ...)
            One row a sample; further axes are flattened.
        table : (n, k)
            Factor values of each sample.
        factors : FactorSpace or sequence of str or Axis
            The k factors. A factor known by name alone wraps round, as for `Representation.of`.

        Raises
        ------
        RequestError
            For numbers that are not finite or that float64 does not hold, if all samples are equal, for a wrong number
            of rows or factors, for values outside a factor space, and for a factor with a single value.
        """
        values = arrays.finite(arrays.numbers(values, "array"), "array")
        if values.ndim < 2 or not values.size:
            raise RequestError(f"array: got shape {values.shape}, needs (n, d), one row a sample")
        values = varied(values.reshape(len(values), -1), "array")
        table = arrays.finite(arrays.numbers(table, "factors"), "factors")
        if table.ndim != 2 or len(table) != len(values) or not table.shape[1]:
            raise RequestError(
                f"factors: got a table of shape {table.shape} for {len(values)} samples, needs one row for each sample "
                "and a column for each factor"
            )
        if len(factors) != table.shape[1]:
            raise RequestError(f"factors: got {table.shape[1]} columns, needs one for each of {len(factors)} factors")
        if isinstance(factors, FactorSpace):
            table = factors.check(table)
            given = [(Axis(f.name, f.kind, None, f.period), f.rounding, (f.low, f.high)) for f in factors.factors]
        else:
            axes = [one if isinstance(one, Axis) else Axis(one) for one in factors]
            spans = zip(axes, ROUNDING * np.ptp(table, axis=0), strict=True)
            given = [(replace(axis, values=None), float(rounding), None) for axis, rounding in spans]
        coded = [_coded(column, *one) for column, one in zip(table.T, given, strict=True)]
        return cls(
            values, np.stack([codes for codes, _ in coded], axis=1), tuple(levels for _, levels in coded),
            tuple(_placed(axis, levels) for (axis, *_), (_, levels) in zip(given, coded, strict=True)),
        )  # fmt: skip

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each factor."""
        return tuple(len(levels) for levels in self.levels)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the factors."""
        return tuple(axis.name for axis in self.axes)

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The conditions that are there (c, k), the condition of each row, and the rows of each condition."""
        found, of_row, counts = np.unique(self.codes, axis=0, return_inverse=True, return_counts=True)
        return found, of_row.ravel(), counts

    @property
    def conditions(self) -> Int[np.ndarray, "c k"]:
        """The conditions that are there, as codes, the last factor varying fastest."""
        return self._cells[0]

    @property
    def counts(self) -> Int[np.ndarray, " c"]:
        """The number of rows of each of these conditions."""
        return self._cells[2]

    @cached_property
    def means(self) -> Float[np.ndarray, "c d"]:
        """The mean of the rows of each condition that is there."""
        _, of_row, counts = self._cells
        total = np.zeros((len(counts), self.values.shape[1]))
        np.add.at(total, of_row, self.values)
        return total / counts[:, None]

    @property
    def missing(self) -> int:
        """The number of conditions of the lattice that are not there."""
        return math.prod(self.sizes) - len(self.counts)

    def complete(self) -> Representation:
        """Return the lattice.

        If all conditions have the same number of rows, each row is a reading; otherwise each condition is the mean of
        its rows. Which rows of different conditions are one reading is drawn at random, whatever their order: in a
        sorted table they may share the value of a factor that is not told.

        Raises
        ------
        RequestError
            If a condition is missing.
        """
        if self.missing:
            values = ", ".join(f"{name} {value:g}" for name, value in zip(self.names, self._absent(), strict=True))
            lattice = " x ".join(map(str, self.sizes))
            raise RequestError(
                f"lattice: got {len(self.counts)} of {lattice} conditions ({values} is missing), needs all of them"
            )
        shape, repeats = (*self.sizes, -1), int(self.counts[0])
        if repeats == 1 or (self.counts != repeats).any():
            return Representation.of(self.means.reshape(shape), self.axes, name="array")
        along = self.values @ rng.stream(0, "sampled.order").normal(size=self.values.shape[1])
        rows = np.lexsort((along, self._cells[1])).reshape(-1, repeats)
        rows = rng.stream(0, "sampled.readings").permuted(rows, axis=1)
        return Representation.of([self.values[of].reshape(shape) for of in rows.T], self.axes, name="array")

    def _absent(self) -> list[float]:
        """Return the factor values of the first missing condition."""
        there = set(map(tuple, self.conditions.tolist()))
        code = next(code for code in np.ndindex(*self.sizes) if code not in there)
        return [float(levels[i]) for levels, i in zip(self.levels, code, strict=True)]


def _coded(
    values: Float[np.ndarray, " n"], axis: Axis, rounding: float, ends: tuple[float, float] | None
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " m"]]:
    """Number the different values, and return the numbers and the values; values within `rounding` are the same."""
    if axis.kind == "periodic" and ends is not None:
        values = np.where(values >= ends[1] - rounding, ends[0], values)
    elif axis.kind == "periodic" and axis.period:
        low = values.min()
        folded = (values - low) % axis.period
        values = low + np.where(folded >= axis.period - rounding, 0.0, folded)
    order = np.argsort(values, kind="stable")
    begins = np.diff(values[order], prepend=-np.inf) > rounding
    codes = np.empty(len(values), dtype=np.intp)
    codes[order] = np.cumsum(begins) - 1
    levels = values[order][begins]
    if len(levels) < 2:
        raise RequestError(f"factor {axis.name}: got a single value, {levels[0]:g}, needs at least 2")
    return codes, levels


def _placed(axis: Axis, levels: Float[np.ndarray, " m"]) -> Axis:
    """Give an axis its values if its kind allows: those of a periodic factor mean nothing without its period."""
    known = axis.kind != "periodic" or axis.period is not None
    return replace(axis, values=tuple(map(float, levels)) if known else None)
