"""Analyses that are kept in the store, so that no question is computed twice.

    STORE/.results/<key>    claims, tables and arrays of one analysis: a SHA-256 sum, and an npz file

The key is a hash of the experiment's name, the ids of its runs by role, the source of this package as far as it
computes, and the versions of what it computes with: other runs, other code or other packages make another key.
What cannot be read, or not be written, is computed again.
"""

import hashlib
import io
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hyperfactor.errors import MachineError, StoreError, WriteError
from hyperfactor.experiments.claims import Bound, Claim
from hyperfactor.runs.files import Files

Ids = Mapping[str, Sequence[str]]  # role -> the id of each seed's run
Analysis = tuple[list[Claim], dict[str, pl.DataFrame], dict[str, np.ndarray]]
FOLDER = ".results"


SHOWS = ("cli.py", "figures", "report", "explorer")  # what shows results and changes none
COMPUTES = (
    "torch", "diffusers", "numpy", "scipy", "gudhi", "umap-learn", "pynndescent", "scikit-learn", "scikit-dimension",
    "numba", "polars",
)  # fmt: skip


@cache
def _source() -> str:
    """A hash of every line of this package that computes."""
    root = Path(__file__).parents[1]
    content = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in SHOWS:
            content.update(place.as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


@cache
def _versions() -> tuple[str, ...]:
    """Of Python, the processor's kind, and the packages that an analysis computes with."""
    return (platform.python_version(), platform.machine(), *(f"{name} {version(name)}" for name in COMPUTES))


def _name(experiment: str, ids: Ids) -> str:
    about = [experiment, {role: list(of_role) for role, of_role in ids.items()}, _source(), _versions()]
    return f"{FOLDER}/{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}"


def load(files: Files, experiment: str, ids: Ids) -> Analysis | None:
    """An analysis that was kept; None where there is none, or it is damaged."""
    try:
        content = files.read(_name(experiment, ids))
    except (FileNotFoundError, MachineError, StoreError):
        return None
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    with np.load(io.BytesIO(content[32:]), allow_pickle=False) as file:
        found = {key: file[key] for key in file.files}
    claims = [_claim(data) for data in json.loads(found.pop("claims").tobytes())]
    tables = {key[6:]: pl.read_parquet(io.BytesIO(v.tobytes())) for key, v in found.items() if key[:6] == "table."}
    return claims, tables, {key[6:]: value for key, value in found.items() if key[:6] == "array."}


def save(files: Files, experiment: str, ids: Ids, analysis: Analysis) -> None:
    """Keep an analysis, where the store can be written."""
    claims, tables, arrays = analysis
    content = {"claims": np.frombuffer(json.dumps([asdict(claim) for claim in claims]).encode(), np.uint8)}
    for key, table in tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        content[f"table.{key}"] = np.frombuffer(buffer.getvalue(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **content, **{f"array.{key}": value for key, value in arrays.items()})  # pyright: ignore[reportArgumentType]
    with suppress(MachineError, WriteError):
        files.write(_name(experiment, ids), hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())


def _claim(data: dict[str, Any]) -> Claim:
    interval = None if data["interval"] is None else tuple(data["interval"])
    return Claim(**{**data, "interval": interval, "seeds": tuple(data["seeds"]), "bound": Bound(**data["bound"])})
