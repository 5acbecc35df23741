"""An array that a user brings: a complete lattice, or a table of samples with their factor values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from hyperfactor import arrays
from hyperfactor.errors import RequestError
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.measures.representation import Axis, Factors, Representation
from hyperfactor.subjects.sampled import Sampled

LAYER = "values"


class ArraySubject:
    """A saved representation.

    Parameters
    ----------
    values : (n_1, ..., n_k, d) or (n, d)
        A vector at each lattice point, or one row a sample. A list of two or more lattices is a list of readings whose
        noise differs.
    factors : FactorSpace, sequence of str or Axis, (n, k), mapping or polars.DataFrame, optional
        For a lattice its factors, as for `Representation.of`. For samples the table of their factor values: an array,
        or named columns.
    axes : FactorSpace or sequence of str or Axis, optional
        The factors in the columns of a table. Default: the names of the columns, or x, y, z, ...; as with a plain
        lattice, they are taken to be periodic.

    Raises
    ------
    RequestError
        As `Representation.of` and `Sampled.of` do.
    """

    def __init__(self, values: Any, factors: Any = None, axes: Factors | None = None):
        self.given: Representation | Sampled
        rows = isinstance(factors, list | tuple) and any(isinstance(row, list | tuple | np.ndarray) for row in factors)
        if rows or hasattr(factors, "detach"):  # a tensor of torch
            factors = arrays.numbers(factors, "factors")
        if not _is_table(factors):
            if axes is not None:
                raise RequestError(
                    "axes: got axes without a table of factor values, needs the axes of a lattice as `factors`"
                )
            self.given = Representation.of(values, factors, name="array")
            return
        names, table = _table(factors)
        self.given = Sampled.of(values, table, names if axes is None else axes)

    @property
    def space(self) -> FactorSpace:
        """The factors. Lattice steps stand for values that are not known, and for categories that are no integers."""
        pairs = zip(self.given.axes, self.given.sizes, strict=True)
        return FactorSpace(tuple(_factor(axis, size) for axis, size in pairs))

    def activations(
        self, layers: str | tuple[str, ...] = LAYER, timestep: int = 0, factors: None = None, step: None = None
    ) -> dict[str, Float[np.ndarray, "*n d"]]:
        """Return the values under the name "values"; for samples, the mean of each condition that is there.

        Raises
        ------
        RequestError
            For another layer, and for a timestep, factors or a step: an array has none.
        """
        names = (layers,) if isinstance(layers, str) else tuple(layers)
        if names != (LAYER,) or timestep != 0 or factors is not None or step is not None:
            raise RequestError(
                f"array: got a layer, timestep, factors or step, needs the layer {LAYER!r} and nothing else"
            )
        return {LAYER: self.given.means if isinstance(self.given, Sampled) else self.given.values}

    def __repr__(self) -> str:
        shape = self.given.values.shape
        of = "samples" if isinstance(self.given, Sampled) else "lattice"
        return f"array of {' x '.join(map(str, shape))} ({of})"


def _is_table(factors: Any) -> bool:
    numbers = isinstance(factors, np.ndarray) and factors.dtype.kind in "fiub"
    return numbers or isinstance(factors, Mapping | pl.DataFrame)


def _table(factors: Any) -> tuple[list[str], Any]:
    """Return the names of the columns, and the values (n, k)."""
    if isinstance(factors, np.ndarray) and (factors.ndim != 2 or factors.shape[1]):
        count = factors.shape[1] if factors.ndim == 2 else 0
        return list("xyzuvw"[:count]) if count <= 6 else [str(k) for k in range(count)], factors
    columns = {str(name): np.asarray(factors[name]) for name in (getattr(factors, "columns", None) or factors)}
    if not columns or len({column.shape for column in columns.values()}) > 1:
        raise RequestError("factors: got no columns, or columns of different lengths, needs one column for each factor")
    return list(columns), np.stack(list(columns.values()), axis=-1)


def _factor(axis: Axis, size: int) -> Factor:
    categories = axis.kind == "categorical" and not all(float(value).is_integer() for value in axis.values or ())
    if axis.values is None or categories:
        return Factor(axis.name, 0, size if axis.kind == "periodic" else size - 1, axis.kind)
    low = min(axis.values)
    return Factor(axis.name, low, low + axis.period if axis.period else max(axis.values), axis.kind)
