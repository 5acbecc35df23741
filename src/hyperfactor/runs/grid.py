"""Many specs from one: combinations, rows and lists of changed keys."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperfactor.errors import RequestError
from hyperfactor.runs.spec import RunSpec, override, read_yaml, set_key

Changes = Mapping[str, Any]  # dotted key -> value


def grid(
    base: Mapping[str, Any],
    product: Mapping[str, Sequence[Any]] | None = None,
    zip: Mapping[str, Sequence[Any]] | None = None,
    list: Sequence[Changes] | None = None,
) -> tuple[tuple[RunSpec, ...], tuple[str, ...]]:
    """Specs of `base`, plain data, with keys changed; equal ones once.

    product: every combination of the keys' values.  zip: the first value of each key, then the second, ...
    list: changes one by one.  Where several are given, each of one is combined with each of the others.

    Returns the specs, and what is wrong with each combination that is no spec.  Raises RequestError where the
    request itself is malformed.
    """
    for name, columns in (("product", product), ("zip", zip)):
        for key, values in (columns or {}).items():
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise RequestError(f"{name}.{key}: got {values!r}, needs a list of values")
    if zip and len({len(values) for values in zip.values()}) > 1:
        lengths = ", ".join(f"{key} {len(values)}" for key, values in zip.items())
        raise RequestError(f"zip: got lists of different lengths ({lengths}), needs equal ones")
    if list is not None and (not list or not all(isinstance(changes, Mapping) for changes in list)):
        raise RequestError(f"list: got {list!r}, needs a list of mappings from keys to values")
    axes: Sequence[Sequence[Changes]] = [
        *([{key: value} for value in values] for key, values in (product or {}).items()),
        *([_rows(zip)] if zip else []),
        *([list] if list else []),
    ]
    specs: dict[str, RunSpec] = {}
    wrong: dict[str, None] = {}
    for parts in itertools.product(*axes):
        changes = {key: value for part in parts for key, value in part.items()}
        data: Mapping[str, Any] = base
        try:
            for key, value in changes.items():
                data = set_key(data, key, value)
            spec = RunSpec.parse(data)
        except RequestError as error:
            wrong[f"{', '.join(f'{key}={value}' for key, value in changes.items()) or 'base'}: {error}"] = None
        else:
            specs[spec.id] = spec
    return tuple(specs.values()), tuple(wrong)


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[Changes]:
    count = min(map(len, columns.values()))
    return [{key: values[row] for key, values in columns.items()} for row in range(count)]


def load_grid(path: str | Path, overrides: Sequence[str] = ()) -> tuple[tuple[RunSpec, ...], tuple[str, ...]]:
    """`grid` of a YAML file with the keys `base` (a spec, or the name of a spec's file beside this one),
    `product`, `zip` and `list`; overrides change the base.  RequestError for what cannot be read."""
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
