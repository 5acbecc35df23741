"""The store: one folder a run, named by the spec's id, safe against crashes.

    STORE/<id>/spec.json                 what the run is
    STORE/<id>/checkpoint.safetensors    how far an unfinished run has come
    STORE/<id>/<artifact>                what a finished run left
    STORE/<id>/failure.json              why a run cannot be finished
    STORE/<id>/manifest.json             the spec, the artifacts with their checksums, the accuracy; written last
    STORE/.claims/                       who is training what; see `claims`
    STORE/.quarantine/                   what `repair` has set aside
    STORE/.results/                      analyses, which can be computed again; see `experiments.kept`

STORE is a folder or a bucket (see `files`).  The rules:

- Who may write.  In a run's folder, only the holder of the run's claim, who looks before each write
  whether the claim is still held.  A dead holder's claim is taken over.
- When a reader may trust.  A run is finished if and only if its manifest is there.  The manifest is
  the last file to be written and the first to be removed, so all that it lists is there, whole.
- Every write is whole or did not happen; a reader sees the old file, the new one, or none.
- Every byte that counts is under a checksum: the artifacts and the manifest by the manifest, the spec by
  the id, tensors of a checkpoint by its own seal.  What is read is checked.
- A write that the system refuses loses nothing that was written before.  What an interrupted one leaves is
  deleted by the next holder of the claim.
- Each file says the schema of the store that wrote it; another's is recognised and not touched.
- Nothing is pickled.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import from_json

from hyperfactor.errors import BusyError, MachineError, RequestError, StoreError, WriteError
from hyperfactor.runs import claims, files
from hyperfactor.runs.claims import Claim, Claims
from hyperfactor.runs.files import files_at

if TYPE_CHECKING:  # they bring torch, which takes seconds, and listing a store must not
    from torch import Tensor

    from hyperfactor.runs.spec import RunSpec

MANIFEST, SPEC, CHECKPOINT, FAILURE = "manifest.json", "spec.json", "checkpoint.safetensors", "failure.json"
QUARANTINE = ".quarantine"
SCHEMA = 2  # of the store's files; not of the spec, whose own is part of the id
State = Literal["finished", "failed", "training", "unfinished", "other schema", "damaged"]


@dataclass(frozen=True)
class Entry:
    """A line of the store's contents.  `about` is what the manifest says, the failure's file, or the spec's."""

    id: str
    state: State
    about: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something that `verify` found.  file: below the run's folder, or "" for the whole run."""

    run: str
    file: str
    what: str
    remedy: Literal["set aside the run", "set aside", "delete", "write again", "leave"]

    def __str__(self) -> str:
        return f"{self.run}{'/' * bool(self.file)}{self.file}: {self.what}"


class Store:
    """A folder or bucket of runs.  A folder is made when the first run is written to it."""

    def __init__(self, where: str | Path):
        self.files = files_at(where)
        self.claims = Claims(self.files)
        self._held: dict[str, Claim] = {}

    @property
    def url(self) -> str:
        """What `Store` opens this store with."""
        return self.files.url

    @property
    def path(self) -> Path:
        """The folder, where it is one."""
        return Path(self.files.where)

    def folder(self, run: str) -> Path:
        return self.path / run

    @contextmanager
    def claim(
        self, run: str, wait: bool = True, tell: Callable[[str], None] = lambda _: None, dead: int = 0
    ) -> Iterator[None]:
        """Hold the run's claim; while somebody else does, wait, or raise BusyError.

        dead: the number of a claim that another watcher has found dead.  tell: called with a line when there is something to wait for.  Raises WriteError or MachineError where
        the store cannot be written.
        """
        claim = self.claims.wait(run, tell) if wait else self.claims.take(run, dead)
        if claim is None:
            holder = self.claims.holder(run)
            who = claims.describe(holder) if holder else "another process"
            raise BusyError(f"run {run}: {who} trains it")
        self._held[run] = claim
        try:
            yield
        finally:
            del self._held[run]
            claim.release()

    def write(self, run: str, name: str, content: bytes) -> dict[str, Any]:
        """Write a file of a run; returns its checksum and size for the manifest."""
        if claim := self._held.get(run):
            claim.check()
        self.files.write(f"{run}/{name}", content)
        return _described(content)

    def describe(self, run: str, name: str) -> dict[str, Any]:
        """The checksum and size of a sealed file that an earlier process may have written."""
        content = self._must_read(run, name, "the file that training wrote")
        self._unsealed(run, name, content)
        return _described(content)

    def start(self, spec: "RunSpec") -> None:
        """Record what the run is, before it is trained."""
        self._clear_up(spec.id)
        if SPEC not in self.files.sizes(spec.id):
            self.write(spec.id, SPEC, _json({"schema": SCHEMA, "id": spec.id, "spec": spec.model_dump(mode="json")}))

    def _clear_up(self, run: str) -> None:
        for name in self._left(run, self.files.sizes(run)):
            self.files.delete(f"{run}/{name}")

    def _left(self, run: str, names: Iterable[str]) -> list[str]:
        """Of a run's files, what a process that was killed has left and nobody needs."""
        finished = MANIFEST in names
        return [name for name in names if files.is_temporary(name) or (finished and name == CHECKPOINT)]

    def clear_up(self, runs: Iterable[str]) -> None:
        """Of finished runs, delete what a process has left that was killed after it wrote the manifest."""
        held = {claims.run_of(name) for name in self.files.children(claims.FOLDER)}
        for run in held.intersection(runs):
            with suppress(BusyError, MachineError, WriteError), self.claim(run, wait=False):
                self._clear_up(run)

    def finish(self, spec: "RunSpec", artifacts: dict[str, dict[str, Any]], about: dict[str, Any]) -> None:
        """Write the manifest, which makes the run finished, and drop the checkpoint."""
        manifest = {
            "schema": SCHEMA, "id": spec.id, "spec": spec.model_dump(mode="json"), "artifacts": artifacts, **about,
        }  # fmt: skip
        self.write(spec.id, MANIFEST, _json({**manifest, "checksum": _checksum(manifest)}))
        self.files.delete(f"{spec.id}/{CHECKPOINT}")

    def fail(self, spec: "RunSpec", reason: str, about: dict[str, Any]) -> None:
        """Record why a run cannot be finished."""
        failure = {"schema": SCHEMA, "id": spec.id, "spec": spec.model_dump(mode="json"), "reason": reason}
        self.write(spec.id, FAILURE, _json({**failure, **about}))

    def failure(self, run: str) -> str | None:
        """Why a run could not be finished; None where it could, or was not tried."""
        found = self._json(run, FAILURE)
        return None if found is None else str(found.get("reason"))

    def manifest(self, run: str) -> dict[str, Any] | None:
        """What a finished run recorded of itself; None for one that is not finished."""
        return self._json(run, MANIFEST)

    def spec(self, run: str) -> "RunSpec":
        """The spec that was recorded for a run."""
        from hyperfactor.runs.spec import RunSpec

        data = self._json(run, SPEC)
        if data is None:
            raise StoreError(f"{self.files.path(f'{run}/{SPEC}')}: got no file, needs the one that was written")
        return RunSpec.parse(data.get("spec"))

    def _json(self, run: str, name: str) -> dict[str, Any] | None:
        """A JSON file of this schema; None where there is none."""
        path = f"{run}/{name}"
        try:
            data = from_json(self.files.read(path))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StoreError(f"{self.files.path(path)}: {error}, needs the JSON that was written") from None
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            got = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise StoreError(f"{self.files.path(path)}: got schema {got}, needs {SCHEMA}, which this version writes")
        return data

    def read(self, run: str, name: str) -> bytes:
        """An artifact of a finished run; StoreError where it is missing or not as it was written."""
        manifest, path = self.manifest(run), self.files.path(f"{run}/{name}")
        if manifest is None or name not in manifest["artifacts"]:
            raise StoreError(f"{path}: no such artifact, needs a finished run")
        content = self._must_read(run, name, "the artifact that the manifest lists")
        if hashlib.sha256(content).hexdigest() != manifest["artifacts"][name]["sha256"]:
            raise StoreError(
                f"{path}: got {len(content)} bytes that differ from the manifest's checksum, needs the "
                f"{manifest['artifacts'][name]['bytes']} bytes that were written; "
                "`hyperfactor runs repair` sets the run aside, to be trained again"
            )
        return content

    def _must_read(self, run: str, name: str, needs: str) -> bytes:
        try:
            return self.files.read(f"{run}/{name}")
        except FileNotFoundError:
            path = self.files.path(f"{run}/{name}")
            raise StoreError(f"{path}: No such file or directory, needs {needs}") from None

    def write_tensors(self, run: str, name: str, tensors: dict[str, "Tensor"], text: dict[str, str] | None = None):
        """Write tensors, and text beside them, under a seal; returns checksum and size."""
        from safetensors.torch import save

        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        text = dict(text or {})
        return self.write(run, name, save(tensors, metadata={**text, "seal": _seal(tensors, text)}))

    def save_checkpoint(self, run: str, tensors: dict[str, "Tensor"], text: dict[str, str]) -> None:
        """Replace the run's checkpoint."""
        self.write_tensors(run, CHECKPOINT, tensors, text)

    def checkpoint(self, run: str) -> tuple[dict[str, "Tensor"], dict[str, str]] | None:
        """The run's checkpoint, or None; StoreError where it is damaged."""
        try:
            content = self.files.read(f"{run}/{CHECKPOINT}")
        except FileNotFoundError:
            return None
        return self._unsealed(run, CHECKPOINT, content)

    def _unsealed(self, run: str, name: str, content: bytes) -> tuple[dict[str, "Tensor"], dict[str, str]]:
        """The tensors and the text under a seal; StoreError where they are not as they were sealed."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            tensors = load(content)
            text = dict(from_json(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {}))
            if text.pop("seal", None) != _seal(tensors, text):
                raise ValueError("got tensors that differ from its seal")
        except (SafetensorError, ValueError, KeyError, AttributeError) as error:
            raise StoreError(
                f"{self.files.path(f'{run}/{name}')}: {error}, needs a whole checkpoint; `hyperfactor runs repair` "
                "sets it aside, and the run begins again"
            ) from None
        return tensors, text

    def ids(self) -> list[str]:
        """The runs in the store, finished or not, in the order of their ids."""
        return [name for name in self.files.children() if not name.startswith(".")]

    def entries(self) -> Iterator[Entry]:
        """What is in the store, in the order of the ids.  It reads one file of a finished run, and checks nothing."""
        held = {name.rpartition(".")[0] for name in self.files.children(claims.FOLDER)}
        return (entry for run in self.ids() if (entry := self._entry(run, held)))

    def entry(self, run: str) -> Entry:
        """A run's line; RequestError where there is no such run."""
        held = {run} if self.claims.holder(run) else set()
        if (entry := self._entry(run, held)) is None:
            raise RequestError(f"run: got {run!r}, needs one that is in {self.files.where}")
        return entry

    def _entry(self, run: str, held: set[str]) -> Entry | None:
        states: dict[str, State] = {MANIFEST: "finished", FAILURE: "failed", SPEC: "unfinished"}
        for name, state in states.items():
            try:
                about = from_json(self.files.read(f"{run}/{name}"))
            except FileNotFoundError:
                continue
            except ValueError:
                return Entry(run, "damaged", {})
            if about.get("schema") != SCHEMA:
                return Entry(run, "other schema", about)
            if state == "unfinished" and run in held and self.claims.holder(run):
                state = "training"
            return Entry(run, state, about)
        return None

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
        """Delete a run.  The manifest goes first, so what is left by an interruption is unfinished."""
        with self.claim(run, wait=False):
            self.files.delete(f"{run}/{MANIFEST}")
            self.files.delete_folder(run)

    def verify(self, runs: Sequence[str] | None = None) -> Iterator[Problem]:
        """Read every byte, of all runs where none are given, and tell what is not as it was written."""
        for run in self.ids() if runs is None else runs:
            yield from self._verify(run)
        if runs is None:
            for name in self.files.children(claims.FOLDER):
                of = name.rpartition(".")[0]
                if files.is_temporary(name) or not self.claims.holder(of):
                    yield Problem(claims.FOLDER, name, "the claim of a process that has ended", "delete")

    def _verify(self, run: str) -> Iterator[Problem]:
        sizes = self.files.sizes(run)
        busy = self.claims.holder(run) is not None
        if not busy:
            yield from (
                Problem(run, name, "what a process left that was killed", "delete") for name in self._left(run, sizes)
            )
        manifest, problem = self._checked(run, MANIFEST, _check_manifest)
        if problem:
            yield problem
            return
        spec, problem = self._checked(run, SPEC, _check_spec)
        if problem and manifest is None:
            yield problem
            return
        if problem and problem.remedy != "leave":
            yield Problem(run, SPEC, problem.what, "write again")
        if spec is None and manifest is None and not problem:
            yield Problem(run, "", "a folder without a spec", "leave")
            return
        if manifest is not None:
            yield from self._verify_artifacts(run, manifest, sizes)
        elif CHECKPOINT in sizes and not busy:
            try:
                self.checkpoint(run)
            except StoreError:
                yield Problem(run, CHECKPOINT, "not as it was written", "set aside")

    def _verify_artifacts(self, run: str, manifest: dict[str, Any], sizes: dict[str, int]) -> Iterator[Problem]:
        for name, said in manifest["artifacts"].items():
            if name not in sizes:
                yield Problem(run, name, "missing", "set aside the run")
            elif sizes[name] != said["bytes"]:
                what = f"got {sizes[name]} bytes, needs the {said['bytes']} that were written"
                yield Problem(run, name, what, "set aside the run")
            elif _described(self.files.read(f"{run}/{name}")) != said:
                yield Problem(run, name, "differs from its checksum", "set aside the run")

    def _checked(
        self, run: str, name: str, check: Callable[[str, dict[str, Any]], str | None]
    ) -> tuple[dict[str, Any] | None, Problem | None]:
        """A JSON file, and what is wrong with it."""
        try:
            data = from_json(self.files.read(f"{run}/{name}"))
        except FileNotFoundError:
            return None, None
        except ValueError:
            return None, Problem(run, name, "cannot be read as JSON", "set aside the run")
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, int) and schema != SCHEMA and 0 <= schema < 1000:
            return None, Problem(run, name, f"written by schema {schema} of the store, this is {SCHEMA}", "leave")
        wrong = check(run, data) if schema == SCHEMA else "has no schema"
        return data, Problem(run, name, wrong, "set aside the run") if wrong else None

    def repair(self, problem: Problem) -> str:
        """Do what is safe about a problem; returns what was done.

        What can be had again (a temporary file, a dead claim, the copy of the spec) is deleted or written again.
        A damaged run or checkpoint is moved to the quarantine, and the next command that wants the run
        trains it again.
        """
        if problem.remedy == "leave":
            return "left alone"
        if problem.run == claims.FOLDER:
            self.files.delete(f"{claims.FOLDER}/{problem.file}")
            return "deleted"
        try:
            with self.claim(problem.run, wait=False):
                return self._repair(problem)
        except BusyError:
            return "left alone: the run is being trained"

    def _repair(self, problem: Problem) -> str:
        run, name = problem.run, problem.file
        match problem.remedy:
            case "delete":
                self.files.delete(f"{run}/{name}")
                return "deleted"
            case "write again":
                manifest = self.manifest(run)
                if manifest is None:  # set aside in the meantime
                    return "gone"
                self.write(run, SPEC, _json({"schema": SCHEMA, "id": run, "spec": manifest["spec"]}))
                return "written again from the manifest"
            case "set aside":
                self._set_aside(run, [name])
                return "set aside; the run begins again"
            case _:
                if not self.files.sizes(run):
                    return "set aside with the run"
                # the manifest first: what is left by an interruption is unfinished
                self._set_aside(run, sorted(self.files.sizes(run), key=lambda file: file != MANIFEST))
                self.files.delete_folder(run)
                return "set aside; the run will be trained again"

    def _set_aside(self, run: str, names: Sequence[str]) -> None:
        number = 1 + sum(name.startswith(f"{run}.") for name in self.files.children(QUARANTINE))
        for name in names:
            self.files.write(f"{QUARANTINE}/{run}.{number}/{name}", self.files.read(f"{run}/{name}"))
            self.files.delete(f"{run}/{name}")


def _check_manifest(run: str, data: dict[str, Any]) -> str | None:
    checksum = data.pop("checksum", None)
    return None if checksum == _checksum(data) and data.get("id") == run else "differs from its checksum"


def _check_spec(run: str, data: dict[str, Any]) -> str | None:
    from hyperfactor.runs.spec import RunSpec

    try:
        spec = RunSpec.parse(data.get("spec"))
    except RequestError as error:
        return f"is not a spec: {error}"
    return None if run == data.get("id") == spec.id else "is not the spec of this id"


def _described(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _checksum(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _seal(tensors: dict[str, "Tensor"], text: dict[str, str]) -> str:
    """A hash of names, types, shapes, values and text."""
    seal = hashlib.sha256(json.dumps(text, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        seal.update(f"{name}:{value.dtype}:{tuple(value.shape)}:".encode())
        seal.update(value.reshape(-1).numpy().tobytes())
    return seal.hexdigest()


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()
