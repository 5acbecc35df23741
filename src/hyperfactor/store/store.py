"""The store: one folder a run, named by the run's id, safe against crashes.

    STORE/<id>/spec.json                 what the run is
    STORE/<id>/checkpoint.safetensors    how far an unfinished run has come
    STORE/<id>/<artifact>                what a finished run left
    STORE/<id>/failure.json              why a run cannot be finished
    STORE/<id>/manifest.json             the spec, the artifacts with their checksums, the accuracy; written last
    STORE/.leases/                       who trains what; see `lease`
    STORE/.quarantine/                   what `repair` has set aside; see `verify`
    STORE/.results/                      what experiments found; see `results`

Everything else in STORE belongs to somebody else. A folder whose name is not an id is passed over.

The store keeps documents. The spec of a run is a mapping that the caller hands in and gets back; what its keys mean is
the caller's affair.

STORE is a folder or a bucket (see `files`). The rules:

- Only the holder of a run's lease writes in the run's folder. Before each write it checks that it still holds the
  lease. The lease of a dead holder is taken over.
- A run is finished if and only if its manifest is there. The manifest is the last file to be written and the first to
  be removed, so everything that it lists is there and whole.
- Every write is whole or did not happen. A reader sees the old file, the new one, or none.
- Every byte that counts is under a checksum: documents under their own, artifacts under the manifest's, the tensors of
  a checkpoint under a seal. What is read is checked.
- A write that the system refuses loses nothing that was written before. The next holder of the lease deletes what an
  interrupted write has left.
- Damage is reported before anything is trained, and `repair` sets the damaged file aside. A file that may not be read
  is reported too, and left alone.
- Each document names the schema of the store that wrote it. A document of another schema is recognised and not touched.
- Nothing is pickled.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hyperfactor.errors import BusyError, DamagedError, MachineError, RequestError, StoreError
from hyperfactor.store import documents, lease, results, tensors
from hyperfactor.store.disk import is_temporary
from hyperfactor.store.documents import FAILURE, MANIFEST, SPEC, OtherSchemaError
from hyperfactor.store.files import files_at
from hyperfactor.store.lease import Lease, Leases
from hyperfactor.store.provenance import source

if TYPE_CHECKING:  # torch takes seconds to import, and listing a store must not need it
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
QUARANTINE = ".quarantine"
SNAPSHOT, WRITTEN = "snapshot-", (".safetensors", ".parquet")
RUN = re.compile(r"[0-9a-f]{16}")  # an id
State = Literal["finished", "failed", "training", "unfinished", "other schema", "damaged", "unreadable"]


@dataclass(frozen=True)
class Entry:
    """A run in the contents of a store.

    Attributes
    ----------
    id : str
        The run's id.
    state : str
        One of `State`.
    about : dict
        The manifest, the failure's document, or the spec's. For a run that cannot be read, the reason.
    """

    id: str
    state: State
    about: dict[str, Any]


class Store:
    """A folder or bucket of runs. A folder is made when the first run is written to it."""

    def __init__(self, where: str | Path):
        self.files = files_at(where)
        self.leases = Leases(self.files)
        self._held: dict[str, Lease] = {}

    @property
    def url(self) -> str:
        """The address with which `Store` opens this store."""
        return self.files.url

    @property
    def path(self) -> Path:
        """The folder, where the store is one."""
        return Path(self.files.url)

    def folder(self, run: str) -> Path:
        """The folder of a run, where the store is a folder."""
        return self.path / run

    @contextmanager
    def lease(
        self, run: str, wait: bool = True, tell: Callable[[str], None] = lambda _: None, dead: int = 0
    ) -> Iterator[None]:
        """Hold the lease of a run.

        Parameters
        ----------
        run : str
            The run's id.
        wait : bool
            Whether to wait while somebody else holds the run.
        tell : callable
            Called with a line when there is something to wait for.
        dead : int
            The number of a lease that the caller has found dead.

        Raises
        ------
        BusyError
            Where somebody else holds the run and `wait` is False.
        WriteError, MachineError
            Where the store cannot be written.
        """
        held = self.leases.wait(run, tell) if wait else self.leases.take(run, dead)
        if held is None:
            holder = self.leases.holder(run)
            raise BusyError(f"run {run}: {'another process' if holder is None else lease.describe(holder)} trains it")
        self._held[run] = held
        try:
            yield
        finally:
            del self._held[run]
            held.release()

    def is_trained(self, run: str) -> bool | None:
        """Whether somebody trains a run; None where its lease may not be read."""
        try:
            return bool(self.leases.holder(run))
        except (StoreError, MachineError):
            return None

    def write(self, run: str, name: str, content: bytes) -> dict[str, Any]:
        """Write a file of a run; returns its checksum and size for the manifest."""
        if held := self._held.get(run):
            held.check()
        self.files.write(f"{run}/{name}", content)
        return described(content)

    def has(self, run: str, name: str) -> bool:
        """Whether a run has left a file of this name."""
        return name in self.files.sizes(run)

    def start(self, run: str, spec: Mapping[str, Any]) -> None:
        """Record what a run is, before it is trained."""
        self._clear_up(run)
        if documents.read(self.files, run, SPEC) is None:
            self.write(run, SPEC, documents.pack(run, {"spec": spec, "source": source()}))

    def finish(
        self, run: str, spec: Mapping[str, Any], artifacts: dict[str, dict[str, Any]], about: Mapping[str, Any]
    ) -> None:
        """Write the manifest, which makes the run finished, and delete the checkpoint.

        Parameters
        ----------
        run : str
            The run's id.
        spec : mapping
            What the run is.
        artifacts : dict
            For each file of the run, what `write` returned.
        about : mapping
            What else the manifest says.
        """
        content = {"spec": spec, "source": source(), "artifacts": artifacts, **about}
        self.write(run, MANIFEST, documents.pack(run, content))
        self.files.delete(f"{run}/{CHECKPOINT}")

    def fail(self, run: str, spec: Mapping[str, Any], reason: str, about: Mapping[str, Any]) -> None:
        """Record why a run cannot be finished."""
        content = {"spec": spec, "source": source(), "reason": reason, **about}
        self.write(run, FAILURE, documents.pack(run, content))

    def failure(self, run: str) -> dict[str, Any] | None:
        """What was recorded of a run that could not be finished; None where it could, or was not tried."""
        return documents.read(self.files, run, FAILURE)

    def manifest(self, run: str) -> dict[str, Any] | None:
        """What a finished run recorded; None for a run that is not finished."""
        return documents.read(self.files, run, MANIFEST)

    def finished(self, run: str) -> dict[str, Any] | None:
        """The manifest of a finished run after one look at its folder; None for a run that is not finished.

        Raises
        ------
        DamagedError
            Where a file that the manifest relies on is missing or of another size.
        """
        manifest = self.manifest(run)
        if manifest is None:
            return None
        sizes = self.files.sizes(run)
        needed = {name: said["bytes"] for name, said in manifest["artifacts"].items()}
        if not sizes.get(SPEC):
            needed[SPEC] = "some"
        for name, size in needed.items():
            if sizes.get(name) != size:
                raise DamagedError(
                    f"{self.files.path(f'{run}/{name}')}: got {sizes.get(name, 'no')} bytes, "
                    f"needs the {size} that were written; {self.files.remedy}"
                )
        return manifest

    def spec(self, run: str) -> dict[str, Any] | None:
        """The spec that was recorded for a run, as it was handed in; None where none was recorded."""
        document = documents.read(self.files, run, SPEC)
        return None if document is None else document["spec"]

    def read(self, run: str, name: str) -> bytes:
        """An artifact of a finished run; StoreError where it is missing or not as it was written."""
        manifest, path = self.manifest(run), self.files.path(f"{run}/{name}")
        if manifest is None or name not in manifest["artifacts"]:
            raise StoreError(f"{path}: no such artifact, needs a finished run")
        content = self._must_read(run, name, "the artifact that the manifest lists")
        said = manifest["artifacts"][name]
        if described(content)["sha256"] != said["sha256"]:
            raise DamagedError(
                f"{path}: got {len(content)} bytes that differ from the manifest's checksum, "
                f"needs the {said['bytes']} bytes that were written; {self.files.remedy}"
            )
        return content

    def _must_read(self, run: str, name: str, needs: str) -> bytes:
        try:
            return self.files.read(f"{run}/{name}")
        except FileNotFoundError:
            path = self.files.path(f"{run}/{name}")
            raise DamagedError(f"{path}: No such file or directory, needs {needs}; {self.files.remedy}") from None

    def describe(self, run: str, name: str) -> dict[str, Any]:
        """The checksum and size of a sealed file that an earlier process may have written."""
        content = self._must_read(run, name, "the file that training wrote")
        self._unsealed(run, name, content)
        return described(content)

    def write_tensors(
        self, run: str, name: str, values: dict[str, "Tensor"], text: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Write tensors, and text beside them, under a seal; returns checksum and size."""
        return self.write(run, name, tensors.seal(values, text or {}))

    def save_checkpoint(self, run: str, values: dict[str, "Tensor"], text: dict[str, str]) -> None:
        """Replace the run's checkpoint."""
        self.write_tensors(run, CHECKPOINT, values, text)

    def checkpoint(self, run: str) -> tuple[dict[str, "Tensor"], dict[str, str]] | None:
        """The run's checkpoint, or None; DamagedError where it is damaged."""
        try:
            content = self.files.read(f"{run}/{CHECKPOINT}")
        except FileNotFoundError:
            return None
        return self._unsealed(run, CHECKPOINT, content)

    def _unsealed(self, run: str, name: str, content: bytes) -> tuple[dict[str, "Tensor"], dict[str, str]]:
        try:
            return tensors.unseal(content)
        except ValueError as error:
            what = "checkpoint" if name == CHECKPOINT else "file of tensors"
            raise DamagedError(
                f"{self.files.path(f'{run}/{name}')}: {error}, needs a whole {what}; "
                f"{self.files.remedy}, and the run begins again"
            ) from None

    def resume(self, run: str) -> tuple[dict[str, "Tensor"], dict[str, str]] | None:
        """The checkpoint that an unfinished run goes on from, if there is one.

        Raises
        ------
        DamagedError
            Where any file that the run has left is not as it was written.
        """
        documents.read(self.files, run, SPEC)
        sizes = self.files.sizes(run)
        for name in self.files.children(run):
            self.check_unfinished(run, name, sizes)
        return self.checkpoint(run)

    def check_unfinished(self, run: str, name: str, sizes: dict[str, int]) -> None:
        """Raise DamagedError for a file of an unfinished run that training reads, or cannot replace.

        Parameters
        ----------
        run, name : str
            The run's id and the name of its file.
        sizes : dict
            The sizes of the run's files, by name.
        """
        if name == CHECKPOINT or name.startswith(SNAPSHOT):
            self.describe(run, name)
        elif name.endswith(WRITTEN) and name not in sizes:
            self.files.read(f"{run}/{name}")

    def _clear_up(self, run: str) -> None:
        names = self.files.sizes(run)
        for name in names:
            if is_temporary(name) or (name == CHECKPOINT and MANIFEST in names):
                self.files.delete(f"{run}/{name}")

    def clear_up(self, runs: Iterable[str]) -> None:
        """For finished runs, delete what a process left that was killed after it wrote the manifest."""
        for run in self._leased().intersection(runs):
            with suppress(BusyError, MachineError, StoreError), self.lease(run, wait=False):
                self._clear_up(run)

    def _leased(self) -> set[str]:
        """The runs that somebody holds or held; none where leases may not be read, such as another user's."""
        try:
            return {lease.run_of(name) for name in self.files.children(lease.FOLDER)}
        except (StoreError, MachineError):
            return set()

    def ids(self) -> list[str]:
        """The runs in the store, finished or not, in the order of their ids."""
        return [name for name in self.files.children() if RUN.fullmatch(name)]

    def entries(self) -> Iterator[Entry]:
        """The contents of the store, in the order of the ids. One file of a finished run is read, and not checked."""
        leased = self._leased()
        return (entry for run in self.ids() if (entry := self._entry(run, leased)))

    def entry(self, run: str) -> Entry:
        """The entry of one run; RequestError where there is no such run."""
        if (entry := self._entry(run, {run})) is None:
            raise RequestError(f"run: got {run!r}, needs one that is in {self.files.where}")
        return entry

    def _entry(self, run: str, leased: set[str]) -> Entry | None:
        states: dict[str, State] = {MANIFEST: "finished", FAILURE: "failed", SPEC: "unfinished"}
        for name, state in states.items():
            try:
                about = documents.glance(self.files, run, name)
            except OtherSchemaError:
                return Entry(run, "other schema", {})
            except DamagedError:
                return Entry(run, "damaged", {})
            except (StoreError, MachineError) as error:
                return Entry(run, "unreadable", {"reason": unreadable(error)})
            if about is None:
                continue
            if state == "unfinished" and run in leased and self.is_trained(run):
                state = "training"
            return Entry(run, state, about)
        return Entry(run, "unfinished", {}) if CHECKPOINT in self.files.sizes(run) else None

    def resolve(self, prefix: str) -> str:
        """The one id that begins with `prefix`; RequestError where none or several do."""
        found = [run for run in self.ids() if prefix and run.startswith(prefix)]
        if len(found) != 1:
            what = "no run" if not found else f"{len(found)} runs"
            raise RequestError(
                f"run: got {prefix!r}, which names {what} in {self.files.where}, needs the beginning of one id"
            )
        return found[0]

    def remove(self, run: str) -> None:
        """Delete a run. The manifest goes first, so an interrupted removal leaves an unfinished run."""
        with self.lease(run, wait=False):
            if self.has(run, MANIFEST):
                self.files.delete(f"{run}/{MANIFEST}")
            self.files.delete_folder(run)

    def results(self) -> list[results.Kept]:
        """What experiments found and this store keeps, the oldest first. `hyperfactor.Result.open` loads one."""
        return results.kept(self.files)


def described(content: bytes) -> dict[str, Any]:
    """The checksum and size of a file, as a manifest has them."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def said(error: Exception) -> str:
    """What a message says is wrong, without the place and the remedy."""
    return str(error).partition(": ")[2].rpartition(", needs ")[0]


def unreadable(error: Exception) -> str:
    """What a contents line says of something that cannot be read."""
    return f"cannot be read ({said(error)})"
