"""The runs of a store as a table, with a row for each run and a column for each key."""

import csv
import difflib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from hyperfactor.errors import RequestError
from hyperfactor.store.store import Entry
from hyperfactor.strict import dump_json, leaves

COLUMNS = (
    "id", "state", "seed", "data.picture.family", "training.steps", "accuracy.train.right", "seconds.train",
)  # fmt: skip
RECORDED = {*COLUMNS, "trained_points", "MB", "finished"}  # known in a store whose runs have none of them yet
_NOT_SHOWN = ("artifacts", "checksum", "schema", "spec")
FEW = 8  # columns that a message names
_WORD = re.compile(r"'[^']*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_][\w.]*")  # text, a quoted name, or a name in a condition


def table(entries: Iterable[Entry], columns: Sequence[str] | None = None, where: str | None = None) -> pl.DataFrame:
    """A table of runs.

    Parameters
    ----------
    entries : iterable of Entry
        The runs, as `Store.entries` gives them.
    columns : sequence of str, optional
        Names of columns. Each is `id`, `state`, `MB`, a key of the spec (`training.steps`),
        `accuracy.<region>.<measure>`, or another key of the manifest (`seconds.train`, `device`, `versions.torch`). "*"
        stands for every key. A key that a run lacks is null. Default: COLUMNS.
    where : str, optional
        A condition in SQL on such columns, for example "training.steps >= 100 and accuracy.train.right > 0.9". A name
        with characters other than letters, digits, dots and underscores needs double quotes.

    Returns
    -------
    polars.DataFrame
        One row a run, in the order of the entries.

    Raises
    ------
    RequestError
        If a column is unknown or is asked for twice, or the condition cannot be read.
    """
    documents: Iterable[dict[str, Any]] = map(_document, entries)
    wanted = list(columns or COLUMNS)
    if double := [name for name in wanted if wanted.count(name) > 1]:
        raise RequestError(f"columns: got {double[0]!r} {wanted.count(double[0])} times, needs each column once")
    needed = dict.fromkeys(wanted)
    if where or not needed.keys() <= RECORDED:  # else documents are read one at a time, which is faster
        documents = list(documents)
        known = {"id", "state", "MB", *(name for document in documents for name, _ in leaves(document))}
        if "*" in wanted:
            wanted = ["id", "state", *sorted(known - {"id", "state"})]
        if documents and (unknown := [name for name in wanted if name not in known | RECORDED]):
            raise RequestError(f"columns: got {unknown[0]!r}, needs {_like(unknown[0], sorted(known))}")
        needed = dict.fromkeys([*wanted, *(name for name in _names(where or "") if name in known)])
    rows = [[_value(document, name) for name in needed] for document in documents]
    frame = _frame(rows, list(needed))
    if not where or not rows:
        return frame.select(wanted)
    compared = zip(*(_comparable(column) for column in zip(*rows, strict=True)), strict=True)
    return frame.filter(_met(_frame(list(compared), list(needed)), where)).select(wanted)


def _like(name: str, known: Sequence[str]) -> str:
    """Name the columns that a name may stand for, or some of all; a run has hundreds."""
    near = [one for one in known if name in one] or difflib.get_close_matches(name, known, FEW)
    some = near[:FEW] or list(known[:FEW])
    others = len(known) - len(some)
    return f"one of {', '.join(some)}" + (f", or one of {others} more; '*' shows all" if others else "")


def _frame(rows: Sequence[Sequence[Any]], names: list[str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=names, orient="row", strict=False, infer_schema_length=None)


def _comparable(values: Sequence[Any]) -> Sequence[Any]:
    """Return a column as a condition compares it. A column with numbers keeps only these; others become None."""
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in values]
    if not any(numbers):
        return values
    return [value if number else None for value, number in zip(values, numbers, strict=True)]


def _document(entry: Entry) -> dict[str, Any]:
    about = entry.about
    spec: dict[str, Any] = about.get("spec") or {}
    size = sum(artifact["bytes"] for artifact in about.get("artifacts", {}).values()) / 1e6
    rest = {name: value for name, value in about.items() if name not in _NOT_SHOWN}
    return {**spec, **rest, "id": entry.id, "state": entry.state, "MB": size}


def _value(document: Mapping[str, Any], name: str) -> Any:
    """The value at a dotted key, or None. Parts of the key may contain dots."""
    found: Any = document
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            found = dict(leaves(document)).get(name)
            break
        found = found[part]
    return dump_json(found) if isinstance(found, list | dict) else found


def encode(frame: pl.DataFrame, format: str) -> bytes:
    """A table as the content of a file.

    Parameters
    ----------
    frame : polars.DataFrame
        The table.
    format : {"csv", "json", "parquet"}
        Format of the file.

    Returns
    -------
    bytes
        The content.
    """
    if format == "json":
        return dump_json(frame.to_dicts()).encode()
    buffer = io.BytesIO()
    {"csv": frame.write_csv, "parquet": frame.write_parquet}[format](buffer)
    return buffer.getvalue()


def column_names(text: str) -> list[str]:
    """The names in a text that separates them by commas.

    Parameters
    ----------
    text : str
        Names. A name with a comma or a double quote is written in double quotes.

    Returns
    -------
    list of str
        The names, without the blanks around them.

    Raises
    ------
    RequestError
        If double quotes do not match.
    """
    try:
        (names,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise RequestError(f"columns: got {text!r}, needs names joined by commas, in pairs of double quotes") from None
    return [name.strip() for name in names if name.strip()]


def _names(where: str) -> list[str]:
    return [
        word[1:-1].replace('""', '"') if word[0] == '"' else word for word in _WORD.findall(where) if word[0] != "'"
    ]


def _met(frame: pl.DataFrame, where: str) -> pl.Series:
    """Which rows meet a condition."""

    def quoted(match: re.Match[str]) -> str:
        word = match.group()
        return f'"{word}"' if "." in word and word[0] not in "'\"" else word

    try:
        there = frame.with_row_index("").filter(pl.sql_expr(_WORD.sub(quoted, where)))[""]
        return pl.int_range(len(frame), eager=True).is_in(there.implode())
    except (pl.exceptions.PolarsError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise RequestError(f"where: got {where!r}, needs a condition on columns of the runs ({said})") from None
