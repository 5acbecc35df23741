"""Results that a store keeps, so that no analysis is computed twice and each result can be read again.

    STORE/.results/<key>.<checksum>.npz    the content: documents, tables and arrays
    STORE/.results/<key>.json              the question, and the checksum of the content; written last

The beginning of the checksum is in the name, so that two processes that keep the same result do not mix theirs.

The key is a hash of the question (see `Question`) and of the code that computes the result: the source of this package,
except the parts that only show results, and the versions of the packages. Other runs, other code or other packages give
another key.
"""

import hashlib
import io
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from hyperfactor.errors import DamagedError, MachineError, RequestError, StoreError
from hyperfactor.store.disk import is_temporary, meant_for
from hyperfactor.store.files import Files
from hyperfactor.store.provenance import source, versions
from hyperfactor.strict import dump_json

if TYPE_CHECKING:  # listing a store needs neither
    import numpy as np
    import polars as pl

FOLDER = ".results"
_NAME = re.compile(r"([0-9a-f]{16})(?:\.[0-9a-f]{16})?\.(json|npz)")
SCHEMA = 2
OLD = 600.0  # seconds after which the remains of a write belong to a process that is gone
COMPUTES = (
    "torch", "diffusers", "numpy", "scipy", "gudhi", "umap-learn", "pynndescent", "scikit-learn", "scikit-dimension",
    "numba", "polars",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What a result is the result of.

    Attributes
    ----------
    experiment : str
        Name of the experiment.
    preset : str
        Name of the preset.
    seeds : tuple of int
        Seeds of the runs.
    runs : dict of str to tuple of str
        For each role, the ids of its runs.
    part : str
        Name of a part of the experiment's analysis; empty for the whole.
    """

    experiment: str
    preset: str
    seeds: tuple[int, ...]
    runs: dict[str, tuple[str, ...]]
    part: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """A question from plain data. Raises `LookupError` or `TypeError` if the data is not a question."""
        runs = {role: tuple(ids) for role, ids in dict(data["runs"]).items()}
        return cls(data["experiment"], data["preset"], tuple(data["seeds"]), runs, data.get("part", ""))

    def key(self) -> str:
        """16 hexadecimal digits, which name the result of this question with today's code."""
        about = [asdict(self), code()]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Kept:
    """A result as the contents of a store list it.

    Attributes
    ----------
    key : str
        Name of the result.
    question : Question
        What it is the result of.
    made : str
        When it was computed: date and time in UTC, ISO 8601.
    versions : dict of str to str
        Versions of Python, the packages and this package's source, and the kind of processor.
    """

    key: str
    question: Question
    made: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Content:
    """The content of a result.

    Attributes
    ----------
    documents : dict
        Plain data that JSON can express, by name.
    tables : dict of str to polars.DataFrame
        Tables by name.
    arrays : dict of str to numpy.ndarray
        Arrays by name.
    """

    documents: dict[str, Any]
    tables: "dict[str, pl.DataFrame]"
    arrays: "dict[str, np.ndarray]"


def code() -> dict[str, str]:
    """The versions of everything that computes a result."""
    return _packages() | {"processor": platform.machine(), "source": source()}


@cache
def _packages() -> dict[str, str]:
    return versions(COMPUTES)


def save(files: Files, question: Question, content: Content) -> None:
    """Keep a result.

    Parameters
    ----------
    files : Files
        The files of the store.
    question : Question
        What it is the result of.
    content : Content
        The result.

    Raises
    ------
    WriteError, MachineError
        If the store cannot be written.
    """
    key, packed = question.key(), _pack(content)
    checksum = hashlib.sha256(packed).hexdigest()
    about = {
        "schema": SCHEMA, "key": key, "question": asdict(question), "versions": code(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"), "sha256": checksum,
    }  # fmt: skip
    files.write(f"{FOLDER}/{_content(key, checksum)}", packed)
    files.write(f"{FOLDER}/{key}.json", dump_json({**about, "checksum": _checksum(about)}, indent=1).encode())


def load(files: Files, key: str) -> Content:
    """Read a kept result.

    Parameters
    ----------
    files : Files
        The files of the store.
    key : str
        The result's key.

    Returns
    -------
    Content
        The result.

    Raises
    ------
    DamagedError
        If the result is missing or differs from what was written.
    StoreError, MachineError
        If it cannot be read.
    """
    checksum = _about(files, key)["sha256"]
    try:
        packed = files.read(f"{FOLDER}/{_content(key, checksum)}")
    except FileNotFoundError:
        packed = b""
    if hashlib.sha256(packed).hexdigest() != checksum:
        raise _damaged(files, _content(key, checksum))
    return _unpack(packed)


def _content(key: str, checksum: str) -> str:
    return f"{key}.{checksum[:16]}.npz"


def kept(files: Files) -> list[Kept]:
    """The results of a store, oldest first. Parts of results, and results that cannot be read, are left out."""
    found = []
    for key in sorted(keys(files)):
        try:
            found.append(_kept(_about(files, key)))
        except (StoreError, MachineError):
            continue
    return sorted((one for one in found if not one.question.part), key=lambda one: (one.made, one.key))


def keys(files: Files) -> set[str]:
    """The keys of the results of a store, and of parts of results. They are not read, so some may be damaged."""
    return {name.removesuffix(".json") for name in files.children(FOLDER) if name.endswith(".json")}


def resolve(files: Files, prefix: str) -> Kept:
    """The only result whose key begins with `prefix`. Raises `RequestError` if none or several do."""
    found = [one for one in kept(files) if prefix and one.key.startswith(prefix)]
    if len(found) != 1:
        what = "no result" if not found else f"{len(found)} results"
        raise RequestError(
            f"result: got {prefix!r}, which names {what} in {files.where}, needs the beginning of one key"
        )
    return found[0]


def choose(files: Files, keys: Sequence[str]) -> list[Kept]:
    """Kept results by their keys.

    Parameters
    ----------
    files : Files
        The files of the store.
    keys : sequence of str
        Keys or their beginnings. If it is empty, the newest result of each experiment is chosen.

    Returns
    -------
    list of Kept
        The results.

    Raises
    ------
    RequestError
        If a key names no result or several, two results are of the same experiment, or the store keeps no result.
    """
    if not keys:
        newest = {one.question.experiment: one for one in kept(files)}
        if not newest:
            raise RequestError(
                f"store {files.where}: got no kept result, needs some; `hyperfactor reproduce` makes them"
            )
        return list(newest.values())
    found = [resolve(files, key) for key in keys]
    names = [one.question.experiment for one in found]
    if double := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"result: got {names.count(double[0])} results of {double[0]}, needs one of each experiment")
    return found


def damaged(files: Files) -> Iterator[tuple[str, Exception | None]]:
    """The names of kept files that differ from what was written, and of the remains of interrupted writes.

    With the error of a file that cannot be read, and may be whole. Remains that are younger than OLD may be those of a
    process that is writing, and are not named.
    """
    for name in files.children(FOLDER):
        match = _NAME.fullmatch(meant_for(name) if is_temporary(name) else name)
        if match is None:
            continue
        key, error, damage = match[1], None, is_temporary(name)
        try:
            if match[2] == "json" and not damage:
                load(files, key)
            elif not damage:
                damage = name != _content(key, _about(files, key)["sha256"])
            damage = damage and files.age(f"{FOLDER}/{name}") > OLD
        except DamagedError:  # of the content, once; of the question also its content, which nothing names then
            damage = match[2] == "json" or files.age(f"{FOLDER}/{name}") > OLD
        except (StoreError, MachineError) as unread:
            error = unread if match[2] == "json" else None
        if damage or error:
            yield name, error


def _kept(about: Mapping[str, Any]) -> Kept:
    return Kept(about["key"], Question.parse(about["question"]), about["made"], about["versions"])


def _about(files: Files, key: str) -> dict[str, Any]:
    name = f"{key}.json"
    try:
        about = json.loads(files.read(f"{FOLDER}/{name}"))
        rest = {field: value for field, value in about.items() if field != "checksum"}
        whole = about.get("checksum") == _checksum(rest) and about.get("key") == key
    except (FileNotFoundError, ValueError, AttributeError):
        whole, about = False, {}
    if not whole:
        raise _damaged(files, name)
    if about["schema"] != SCHEMA:
        raise StoreError(f"{files.path(f'{FOLDER}/{name}')}: got schema {about['schema']}, needs {SCHEMA}")
    return about


def _damaged(files: Files, name: str) -> DamagedError:
    path = files.path(f"{FOLDER}/{name}")
    return DamagedError(f"{path}: got no whole file, needs the result that was written; {files.remedy}")


def _checksum(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _pack(content: Content) -> bytes:
    import numpy as np

    parts = {"documents": np.frombuffer(json.dumps(content.documents).encode(), np.uint8)}
    for name, table in content.tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        parts[f"table.{name}"] = np.frombuffer(buffer.getvalue(), np.uint8)
    arrays = {f"array.{name}": value for name, value in content.arrays.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **parts, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def _unpack(packed: bytes) -> Content:
    import numpy as np
    import polars as pl

    with np.load(io.BytesIO(packed), allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    documents = json.loads(found.pop("documents").tobytes())
    tables = {name[6:]: pl.read_parquet(io.BytesIO(v.tobytes())) for name, v in found.items() if name[:6] == "table."}
    return Content(documents, tables, {name[6:]: value for name, value in found.items() if name[:6] == "array."})
