"""The documents of a run: JSON files with the schema of the store, the run's id, and a checksum of their content."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from hyperfactor.errors import DamagedError, StoreError
from hyperfactor.store.files import Files
from hyperfactor.strict import dump_json, finite

MANIFEST, SPEC, FAILURE = "manifest.json", "spec.json", "failure.json"
SCHEMA = 3  # version of the store's files; the schema of specs is separate, and is part of a run's id


class OtherSchemaError(StoreError):
    """A document was written by another version of the store.

    Parameters
    ----------
    path : str
        The document's place, for the message.
    schema : int
        The version that wrote it.
    """

    def __init__(self, path: str, schema: int):
        super().__init__(f"{path}: got schema {schema}, needs {SCHEMA}, which this version writes")
        self.what = f"written by schema {schema} of the store, this is {SCHEMA}"


def pack(run: str, content: Mapping[str, Any]) -> bytes:
    """The bytes of a document.

    Parameters
    ----------
    run : str
        The run's id.
    content : mapping
        Keys and values. A number that is not finite becomes null, because JSON cannot express it.

    Returns
    -------
    bytes
        JSON.
    """
    document = finite({"schema": SCHEMA, "id": run, **content})
    return (dump_json({**document, "checksum": _checksum(document)}, indent=1) + "\n").encode()


def read(files: Files, run: str, name: str) -> dict[str, Any] | None:
    """Read a document of a run, and check it.

    Parameters
    ----------
    files : Files
        The files of the store.
    run : str
        The run's id.
    name : str
        MANIFEST, SPEC or FAILURE.

    Returns
    -------
    dict or None
        None if there is no such file.

    Raises
    ------
    DamagedError
        If the file differs from what was written.
    OtherSchemaError
        If another version of the store wrote it.
    StoreError, MachineError
        If it cannot be read.
    """
    document = _load(files, run, name)
    if document is None:
        return None
    rest = {key: value for key, value in document.items() if key != "checksum"}
    if document.get("checksum") != _checksum(rest) or document.get("id") != run:
        raise _damaged(files, f"{run}/{name}", "differs from its checksum", "content")
    return document


def glance(files: Files, run: str, name: str) -> dict[str, Any] | None:
    """Read a document as `read` does, but without a check of its checksum, because listing a store reads many."""
    document = _load(files, run, name)
    if document is not None and (wrong := _misshapen(document)):
        raise _damaged(files, f"{run}/{name}", wrong, "content")
    return document


def _load(files: Files, run: str, name: str) -> dict[str, Any] | None:
    path = f"{run}/{name}"
    try:
        content = files.read(path)
    except FileNotFoundError:
        return None
    try:
        document = from_json(content)
    except ValueError as error:
        empty = f"got {len(content)} zero bytes" if content else "got an empty file"
        raise _damaged(files, path, str(error) if content.strip(b"\0") else empty, "JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema != SCHEMA and 0 <= schema < 1000:
        raise OtherSchemaError(files.path(path), schema)
    if schema != SCHEMA:
        raise _damaged(files, path, "has no schema", "content")
    return document


def _damaged(files: Files, path: str, wrong: str, needs: str) -> DamagedError:
    return DamagedError(f"{files.path(path)}: {wrong}, needs the {needs} that was written; {files.remedy}")


def _misshapen(document: dict[str, Any]) -> str | None:
    """What is missing that a listing relies on, or None."""
    artifacts = document.get("artifacts", {})
    if not isinstance(document.get("spec"), dict) or not isinstance(artifacts, dict):
        return "has no spec"
    whole = all(isinstance(said, dict) and isinstance(said.get("bytes"), int) for said in artifacts.values())
    return None if whole else "has artifacts without a size"


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
