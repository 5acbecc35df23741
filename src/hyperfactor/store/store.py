"""The store keeps each run in a folder named by the run's id, and survives crashes.

    STORE/<id>/spec.json                 the spec of the run
    STORE/<id>/checkpoint.safetensors    the state of an unfinished run
    STORE/<id>/<artifact>                the files of a finished run
    STORE/<id>/failure.json              why a run cannot be finished
    STORE/<id>/manifest.json             the spec, the checksums of the artifacts, the accuracy; written last
    STORE/.leases/                       which process writes which run; see `lease`
    STORE/.quarantine/                   what `repair` has set aside; see `verify`
    STORE/.results/                      what experiments found; see `results`

The store leaves all other files in STORE alone, and folders whose name is not an id.

The store keeps documents. The spec of a run is a mapping that the caller hands in and gets back; the store does not
interpret its keys.

STORE is a folder or a bucket (see `files`). The rules:

- Only the holder of a run's lease writes in the run's folder. Before each write it checks that it still holds the
  lease. The lease of a dead holder is taken over.
- A run is finished if and only if its manifest exists. The manifest is the last file to be written and the first to be
  removed, so all files that it lists exist and are complete.
- Every write is complete or has no effect. A reader sees the old file, the new file, or none.
- Checksums protect everything that matters: each document has its own, artifacts have theirs in the manifest, and the
  tensors of a checkpoint are sealed. They are checked when a file is read.
- A write that the system refuses loses nothing that was written before. The next holder of the lease deletes the
  remains of an interrupted write.
- Damage is reported before anything is trained, and `repair` sets the damaged file aside. A file that may not be read
  is also reported, and is left alone.
- Each document names the schema of the store that wrote it. A document of another schema is recognised and is not
  changed.
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

if TYPE_CHECKING:  # torch takes seconds to import, and listing a store does not need it
    from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
QUARANTINE = ".quarantine"
SNAPSHOT, WRITTEN = "snapshot-", (".safetensors", ".parquet")
RUN = re.compile(r"[0-9a-f]{16}")  # an id
State = Literal["finished", "failed", "training", "unfinished", "other schema", "damaged", "unreadable"]


@dataclass(frozen=True)
class Entry:
    """A run as the contents of a store list it.

    Attributes
    ----------
    id : str
        The run's id.
    state : str
        One of `State`.
    about : dict
        The manifest, the record of a failure, or the document of the spec. If the run cannot be read, the reason.
    """

    id: str
    state: State
    about: dict[str, Any]


class Store:
    """A folder or a bucket of runs.

    Parameters
    ----------
    where : str or Path
        A folder, or an address such as s3://bucket/prefix. A folder is made when the first run is written to it.

    Raises
    ------
    RequestError
        If this is neither an address nor the name of a folder.
    """

    def __init__(self, where: str | Path):
        self.files = files_at(where)
        self.leases = Leases(self.files)
        self._held: dict[str, Lease] = {}

    @property
    def url(self) -> str:
        """The address with which `Store` opens this store again."""
        return self.files.url

    @property
    def path(self) -> Path:
        """The folder, if the store is a folder."""
        return Path(self.files.url)

    def folder(self, run: str) -> Path:
        """The folder of a run, if the store is a folder."""
        return self.path / run

    @contextmanager
    def lease(
        self, run: str, wait: bool = True, tell: Callable[[str], None] = lambda _: None, dead: str = ""
    ) -> Iterator[None]:
        """Hold the lease of a run within the block.

        Parameters
        ----------
        run : str
            The run's id.
        wait : bool
            Whether to wait while another process holds the run.
        tell : callable
            tell(line): called if there is something to wait for.
        dead : str
            The mark of a lease that the caller has found dead (see `lease.Leases.dead`); "" for none.

        Raises
        ------
        BusyError
            If another process holds the run and `wait` is False.
        WriteError, MachineError
            If the store cannot be written.
        """
        held = self.leases.wait(run, tell) if wait else self.leases.take(run, dead)
        if held is None:
            holder = self.leases.holder(run)
            raise BusyError(
                f"run {run}: {'another process' if holder is None else lease.describe(holder)} is training it"
            )
        self._held[run] = held
        try:
            yield
        finally:
            del self._held[run]
            held.release()

    def is_trained(self, run: str) -> bool | None:
        """Whether a process trains a run. None if the run's lease may not be read."""
        try:
            return bool(self.leases.holder(run))
        except (StoreError, MachineError):
            return None

    def write(self, run: str, name: str, content: bytes) -> dict[str, Any]:
        """Write a file of a run.

        Parameters
        ----------
        run : str
            The run's id.
        name : str
            The file's name.
        content : bytes
            The whole content of the file.

        Returns
        -------
        dict
            Checksum and size, for the manifest.

        Raises
        ------
        BusyError
            If another process has taken the run over.
        WriteError, MachineError
            If the store cannot be written.
        """
        if held := self._held.get(run):
            held.check()
        self.files.write(f"{run}/{name}", content)
        return described(content)

    def has(self, run: str, name: str) -> bool:
        """Whether a run has a file of this name."""
        return name in self.files.sizes(run)

    def start(self, run: str, spec: Mapping[str, Any]) -> None:
        """Record the spec of a run before it is trained, and delete the remains of interrupted writes."""
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
            The spec of the run.
        artifacts : dict of str to dict
            What `write` returned for each file of the run.
        about : mapping
            Further keys of the manifest.

        Raises
        ------
        BusyError
            If another process has taken the run over.
        WriteError, MachineError
            If the store cannot be written.
        """
        content = {"spec": spec, "source": source(), "artifacts": artifacts, **about}
        self.write(run, MANIFEST, documents.pack(run, content))
        self.files.delete(f"{run}/{CHECKPOINT}")

    def fail(self, run: str, spec: Mapping[str, Any], reason: str, about: Mapping[str, Any]) -> None:
        """Record why a run cannot be finished.

        Parameters
        ----------
        run : str
            The run's id.
        spec : mapping
            The spec of the run.
        reason : str
            One line.
        about : mapping
            Further keys of the document.

        Raises
        ------
        BusyError
            If another process has taken the run over.
        WriteError, MachineError
            If the store cannot be written.
        """
        content = {"spec": spec, "source": source(), "reason": reason, **about}
        self.write(run, FAILURE, documents.pack(run, content))

    def failure(self, run: str) -> dict[str, Any] | None:
        """The record of a run that could not be finished; None if there is none."""
        return documents.read(self.files, run, FAILURE)

    def manifest(self, run: str) -> dict[str, Any] | None:
        """The manifest of a finished run; None if the run is not finished."""
        return documents.read(self.files, run, MANIFEST)

    def finished(self, run: str) -> dict[str, Any] | None:
        """The manifest of a finished run, after a check of the sizes of its files.

        Parameters
        ----------
        run : str
            The run's id.

        Returns
        -------
        dict or None
            None if the run is not finished.

        Raises
        ------
        DamagedError
            If a file that the manifest lists is missing or has another size.
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
        """The recorded spec of a run, as it was handed in; None if there is none."""
        document = documents.read(self.files, run, SPEC)
        return None if document is None else document["spec"]

    def read(self, run: str, name: str) -> bytes:
        """Read an artifact of a finished run, and check it.

        Parameters
        ----------
        run : str
            The run's id.
        name : str
            The artifact's name.

        Returns
        -------
        bytes
            The content.

        Raises
        ------
        StoreError
            If the run is not finished or has no such artifact.
        DamagedError
            If the artifact is missing or differs from what was written.
        """
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
        """Checksum and size of a sealed file, which an earlier process may have written.

        Parameters
        ----------
        run : str
            The run's id.
        name : str
            The file's name.

        Returns
        -------
        dict
            What `write` returned for this file.

        Raises
        ------
        DamagedError
            If the file is missing or differs from what was written.
        """
        content = self._must_read(run, name, "the file that training wrote")
        self._unsealed(run, name, content)
        return described(content)

    def write_tensors(
        self, run: str, name: str, values: dict[str, "Tensor"], text: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Write tensors and text to a sealed file.

        Parameters
        ----------
        run : str
            The run's id.
        name : str
            The file's name.
        values : dict of str to Tensor
            The tensors.
        text : dict of str to str, optional
            Texts that are stored with the tensors.

        Returns
        -------
        dict
            Checksum and size, for the manifest.

        Raises
        ------
        BusyError
            If another process has taken the run over.
        WriteError, MachineError
            If the store cannot be written.
        """
        return self.write(run, name, tensors.seal(values, text or {}))

    def save_checkpoint(self, run: str, values: dict[str, "Tensor"], text: dict[str, str]) -> None:
        """Replace the run's checkpoint. Parameters and errors are those of `write_tensors`."""
        self.write_tensors(run, CHECKPOINT, values, text)

    def checkpoint(self, run: str) -> tuple[dict[str, "Tensor"], dict[str, str]] | None:
        """Tensors and texts of the run's checkpoint; None if there is none. Raises `DamagedError` if it is damaged."""
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
        """The checkpoint from which an unfinished run continues, after a check of all its files.

        Parameters
        ----------
        run : str
            The run's id.

        Returns
        -------
        (dict of str to Tensor, dict of str to str) or None
            None if there is no checkpoint.

        Raises
        ------
        DamagedError
            If a file of the run differs from what was written.
        """
        documents.read(self.files, run, SPEC)
        sizes = self.files.sizes(run)
        for name in self.files.children(run):
            self.check_unfinished(run, name, sizes)
        return self.checkpoint(run)

    def check_unfinished(self, run: str, name: str, sizes: dict[str, int]) -> None:
        """Check a file of an unfinished run that training reads, or cannot replace.

        Parameters
        ----------
        run : str
            The run's id.
        name : str
            The file's name.
        sizes : dict of str to int
            The sizes of the run's files, in bytes.

        Raises
        ------
        DamagedError
            If the file differs from what was written.
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
        """Delete what is left of finished runs whose process was killed after it wrote the manifest."""
        for run in self._leased().intersection(runs):
            with suppress(BusyError, MachineError, StoreError), self.lease(run, wait=False):
                self._clear_up(run)

    def _leased(self) -> set[str]:
        """The runs with a lease, dead or alive; empty if leases may not be read, for example those of another user."""
        try:
            return {lease.run_of(name) for name in self.files.children(lease.FOLDER)}
        except (StoreError, MachineError):
            return set()

    def ids(self) -> list[str]:
        """The ids of all runs in the store, finished or not, in alphabetical order."""
        return [name for name in self.files.children() if RUN.fullmatch(name)]

    def entries(self) -> Iterator[Entry]:
        """The runs in the store, in the order of their ids. One file of each is read; its checksum is not checked."""
        leased = self._leased()
        return (entry for run in self.ids() if (entry := self._entry(run, leased)))

    def entry(self, run: str) -> Entry:
        """The entry of one run. Raises `RequestError` if there is no such run."""
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
        """The only id that begins with `prefix`. Raises `RequestError` if none or several do."""
        known = self.ids() if isinstance(prefix, str) and prefix else []
        found = [run for run in known if run.startswith(prefix)]
        if len(found) != 1:
            what = "no run" if not found else f"{len(found)} runs"
            raise RequestError(
                f"run: got {prefix!r}, which names {what} in {self.files.where}, needs the beginning of one id"
            )
        return found[0]

    def remove(self, run: str) -> None:
        """Delete a run. The manifest is deleted first, so an interrupted removal leaves an unfinished run.

        Where the run's folder is a symbolic link, only the link is deleted.

        Raises
        ------
        BusyError
            If another process trains the run.
        WriteError, MachineError
            If the store cannot be written.
        """
        with self.lease(run, wait=False):
            if not self.files.is_link(run) and self.has(run, MANIFEST):
                self.files.delete(f"{run}/{MANIFEST}")
            self.files.delete_folder(run)

    def results(self) -> list[results.Kept]:
        """The results of experiments that this store keeps, oldest first. `hyperfactor.Result.open` loads one."""
        return results.kept(self.files)


def described(content: bytes) -> dict[str, Any]:
    """Checksum and size of a file, as a manifest lists them."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def said(error: Exception) -> str:
    """The part of an error message that says what is wrong, without the place and the remedy."""
    return str(error).partition(": ")[2].rpartition(", needs ")[0]


def unreadable(error: Exception) -> str:
    """A remark for something that cannot be read."""
    return f"cannot be read ({said(error)})"
