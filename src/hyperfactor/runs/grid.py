"""Many specs from one base, by changes of keys: combinations, rows, and lists."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from hyperfactor.errors import RequestError, quoted
from hyperfactor.runs.spec import RunSpec, override, read_yaml, set_key

Changes = Mapping[str, Any]  # dotted key -> value
MOST = 100_000  # largest number of values of a key, and of combinations


def grid(
    base: Mapping[str, Any],
    product: Mapping[str, Iterable[Any]] | None = None,
    zip: Mapping[str, Iterable[Any]] | None = None,
    list: Iterable[Changes] | None = None,
) -> tuple[tuple[RunSpec, ...], tuple[str, ...]]:
    """Specs made from a base by changes of keys. Equal specs are listed once.

    If several kinds of changes are given, each change of one kind is combined with each change of the others. Values
    may be lists, tuples, ranges, arrays of numpy, or iterators.

    Parameters
    ----------
    base : mapping
        A spec as plain data.
    product : mapping, optional
        Values for each key. All combinations are made.
    zip : mapping, optional
        Values for each key, in lists of equal length. The k-th values of all keys form the k-th change.
    list : iterable of mapping, optional
        Changes, each a mapping from keys to values.

    Returns
    -------
    tuple of RunSpec
        The specs.
    tuple of str
        One line for each combination that is not a valid spec.

    Raises
    ------
    RequestError
        If the request is malformed, or asks for more than `MOST` combinations.
    """
    if not isinstance(base, Mapping):
        raise RequestError(f"base: got {type(base).__name__}, needs a mapping of keys to values")
    crossed, together = _columns("product", product), _columns("zip", zip)
    if len({len(values) for values in together.values()}) > 1:
        lengths = ", ".join(f"{key} {len(values)}" for key, values in together.items())
        raise RequestError(f"zip: got lists of different lengths ({lengths}), needs equal ones")
    rows = None if list is None else _values("list", list, "a list of mappings from keys to values")
    if rows and not all(isinstance(changes, Mapping) for changes in rows):
        raise RequestError(f"list: got {rows!r}, needs a list of mappings from keys to values")
    keys = [*crossed, *together, *{key: None for row in rows or () for key in row}]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise RequestError(f"grid: got {quoted(twice[0])} in two of product, zip and list, needs it in one")
    axes: Sequence[Sequence[Changes]] = [
        *([{key: value} for value in values] for key, values in crossed.items()),
        *([_rows(together)] if together else []),
        *([rows] if rows else []),
    ]
    if (count := math.prod(map(len, axes))) > MOST:
        raise RequestError(f"grid: got {count:,} combinations, needs at most {MOST:,}")
    specs: dict[str, RunSpec] = {}
    wrong: dict[str, None] = {}
    for parts in itertools.product(*axes):
        changes = {key: value for part in parts for key, value in part.items()}
        data: Mapping[str, Any] = base
        try:
            for key, value in sorted(changes.items(), key=lambda change: str(change[0]).count(".")):  # sections first
                data = set_key(data, key, value)
            spec = RunSpec.parse(data)
        except RequestError as error:
            where = " ".join(", ".join(f"{key}={value}" for key, value in changes.items()).split())
            wrong[f"{where or 'base'}: {error}"] = None
        else:
            specs[spec.id] = spec
    return tuple(specs.values()), tuple(wrong)


def _columns(name: str, columns: Mapping[str, Iterable[Any]] | None) -> dict[str, list[Any]]:
    """The values of each key as lists."""
    if not isinstance(columns, Mapping | None):
        raise RequestError(f"{name}: got {type(columns).__name__}, needs a mapping from keys to lists")
    return {key: _values(f"{name}.{key}", values, "a list of values") for key, values in (columns or {}).items()}


def _values(name: str, given: Iterable[Any], needs: str) -> list[Any]:
    """The given values as a list, with at least one and at most `MOST` values."""
    try:
        if isinstance(given, str | bytes | Mapping | Set):
            raise TypeError
        values = list(itertools.islice(given, MOST + 1))
    except TypeError:  # not iterable, such as a number or an array without axes
        values = []
    if not values:
        raise RequestError(f"{name}: got {quoted(given)}, needs {needs}")
    if len(values) > MOST:
        raise RequestError(f"{name}: got over {MOST:,} values, needs at most {MOST:,}")
    return values


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[Changes]:
    count = min(map(len, columns.values()))
    return [{key: values[row] for key, values in columns.items()} for row in range(count)]


def load_grid(path: str | Path, overrides: Sequence[str] = ()) -> tuple[tuple[RunSpec, ...], tuple[str, ...]]:
    """Read a grid from a YAML file with the keys `base`, `product`, `zip` and `list`.

    Parameters
    ----------
    path : str or Path
        The file. Its `base` is a spec, or the name of a spec's file, relative to this file.
    overrides : sequence of str
        Changes of the base, such as "training.steps=100".

    Returns
    -------
    tuple of RunSpec, tuple of str
        What `grid` returns.

    Raises
    ------
    RequestError
        If a file cannot be read, or `grid` refuses the request.
    """
    data = read_yaml(path)
    allowed = ("base", "product", "zip", "list")
    if unknown := [key for key in data if key not in allowed]:
        raise RequestError(f"{path}: got an unknown key {unknown[0]!r}, needs one of {', '.join(allowed)}")
    base = data.pop("base", {})
    if isinstance(base, str):
        base = read_yaml(Path(path).parent / base)
    for name, kind in (("product", dict), ("zip", dict), ("list", list)):
        if name in data and not isinstance(data[name], kind):
            what = "a mapping from keys to lists" if kind is dict else "a list of mappings"
            raise RequestError(f"{path}: {name}: got {data[name]!r}, needs {what}")
    if not isinstance(base, dict):
        raise RequestError(f"{path}: base: got {base!r}, needs a spec or the name of its file")
    return grid(override(base, overrides), **data)
