"""The store: one folder a run, named by the spec's id, safe against crashes.

    STORE/<id>/spec.json                 what the run is
    STORE/<id>/checkpoint.safetensors    how far an unfinished run has come
    STORE/<id>/<artifact>                what a finished run left
    STORE/<id>/manifest.json             the artifacts with their checksums; written last
    STORE/.locks/<id>                    held by the process that trains the run; never deleted

The rules:
- A run is finished if and only if its manifest is there.  A reader trusts nothing else.
- Only the holder of a run's lock writes in its folder.  The operating system frees the lock when
  the holder dies, so a dead process blocks nobody.
- Every write goes to a temporary name in the same folder, is flushed to the disk, and is renamed;
  a reader sees the old file, the new one, or none, and never half a file.
- Every artifact is checked against its checksum when it is read.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import filelock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from hyperfactor.errors import RequestError, StoreError
from hyperfactor.runs.spec import SCHEMA, RunSpec

MANIFEST, SPEC, CHECKPOINT, LOCKS = "manifest.json", "spec.json", "checkpoint.safetensors", ".locks"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, making its folder; StoreError where it cannot be done."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(f"{path}: {error.strerror or error}, needs a disk with room that can be written") from None


@dataclass(frozen=True)
class Entry:
    """A line of the store's contents."""

    id: str
    state: Literal["finished", "unfinished"]
    spec: RunSpec
    manifest: dict[str, Any]
    bytes: int


class Store:
    """A folder of runs.  It is made when the first run is written to it."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def folder(self, run: str) -> Path:
        return self.path / run

    @contextmanager
    def claim(self, run: str) -> Iterator[None]:
        """Hold the run's lock; waits while another process holds it.

        Raises StoreError where the store cannot be written.
        """
        try:
            (self.path / LOCKS).mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / LOCKS / run)
            lock.acquire()
        except OSError as error:
            raise StoreError(
                f"store {self.path}: {error.strerror or error}, needs a folder that can be written"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def write(self, run: str, name: str, content: bytes) -> dict[str, Any]:
        """Write a file of a run; returns its checksum and size for the manifest."""
        write_whole(self.folder(run) / name, content)
        return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def describe(self, run: str, name: str) -> dict[str, Any]:
        """The checksum and size of a file that an earlier process may have written."""
        path = self.folder(run) / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}, needs the file that training wrote") from None
        return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}

    def start(self, spec: RunSpec) -> None:
        """Record what the run is, before it is trained."""
        if not (self.folder(spec.id) / SPEC).exists():
            self.write(spec.id, SPEC, _json({"schema": SCHEMA, "id": spec.id, "spec": spec.model_dump(mode="json")}))

    def finish(self, run: str, artifacts: dict[str, dict[str, Any]], about: dict[str, Any]) -> None:
        """Write the manifest, which makes the run finished, and drop the checkpoint."""
        self.write(run, MANIFEST, _json({"schema": SCHEMA, "id": run, "artifacts": artifacts, **about}))
        (self.folder(run) / CHECKPOINT).unlink(missing_ok=True)

    def manifest(self, run: str) -> dict[str, Any] | None:
        """What a finished run recorded of itself; None for one that is not finished."""
        path = self.folder(run) / MANIFEST
        return _read_json(path) if path.exists() else None

    def spec(self, run: str) -> RunSpec:
        """The spec that was recorded for a run."""
        path = self.folder(run) / SPEC
        data = _read_json(path)
        if data.get("schema") != SCHEMA:
            raise StoreError(f"{path}: got schema {data.get('schema')}, needs {SCHEMA}")
        return RunSpec.parse(data.get("spec"))

    def read(self, run: str, name: str) -> bytes:
        """An artifact of a finished run; StoreError where it is missing or not as it was written."""
        manifest, path = self.manifest(run), self.folder(run) / name
        if manifest is None or name not in manifest["artifacts"]:
            raise StoreError(f"{path}: no such artifact, needs a finished run")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}, needs the artifact that the manifest lists") from None
        if hashlib.sha256(content).hexdigest() != manifest["artifacts"][name]["sha256"]:
            raise StoreError(
                f"{path}: got {len(content)} bytes that differ from the manifest's checksum, needs the "
                f"{manifest['artifacts'][name]['bytes']} bytes that were written; "
                f"`hyperfactor runs remove {run}` clears the way to train it again"
            )
        return content

    def save_checkpoint(self, run: str, tensors: dict[str, Tensor], text: dict[str, str]) -> None:
        """Replace the run's checkpoint."""
        self.write(run, CHECKPOINT, safetensors_bytes({k: v.contiguous() for k, v in tensors.items()}, metadata=text))

    def checkpoint(self, run: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """The run's checkpoint, or None; StoreError where it is damaged."""
        path = self.folder(run) / CHECKPOINT
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise StoreError(
                f"{path}: {error}, needs a whole checkpoint; `hyperfactor runs remove {run}` clears the way "
                "to train it from the start"
            ) from None

    def ids(self) -> list[str]:
        """The runs in the store, finished or not, in the order of their ids."""
        if not self.path.is_dir():
            return []
        return sorted(folder.name for folder in self.path.iterdir() if (folder / SPEC).exists())

    def entries(self) -> list[Entry]:
        """What is in the store."""
        return [self.entry(run) for run in self.ids()]

    def entry(self, run: str) -> Entry:
        manifest = self.manifest(run)
        size = sum(file.stat().st_size for file in self.folder(run).iterdir())
        return Entry(run, "finished" if manifest else "unfinished", self.spec(run), manifest or {}, size)

    def resolve(self, prefix: str) -> str:
        """The one id that begins with `prefix`; RequestError where none or several do."""
        found = [run for run in self.ids() if prefix and run.startswith(prefix)]
        if len(found) != 1:
            what = "no run" if not found else f"{len(found)} runs"
            raise RequestError(f"run: got {prefix!r}, which names {what} in {self.path}, needs the beginning of one id")
        return found[0]

    def remove(self, run: str) -> None:
        """Delete a run.  The manifest goes first, so what is left by an interruption is unfinished."""
        with self.claim(run):
            try:
                (self.folder(run) / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(self.folder(run))
            except OSError as error:
                raise StoreError(f"{self.folder(run)}: {error.strerror}, needs a store that can be written") from None


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: {error}, needs the JSON that was written") from None
