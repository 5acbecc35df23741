"""The store: one folder a run, named by the spec's id, safe against crashes.

    STORE/<id>/spec.json                 what the run is
    STORE/<id>/checkpoint.safetensors    how far an unfinished run has come
    STORE/<id>/<artifact>                what a finished run left
    STORE/<id>/failure.json              why a run cannot be finished
    STORE/<id>/manifest.json             the spec, the artifacts with their checksums, the accuracy; written last
    STORE/.claims/                       who is training what; see `claims`
    STORE/.quarantine/                   what `repair` has set aside
    STORE/.results/                      analyses, which can be computed again; see `experiments.kept`

Whatever else is in STORE is somebody else's: what is not named like a run is passed over.

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
- What is damaged is told before anything is trained, and `repair` sets it aside.  What may not be read is told too,
  and left alone.
- Each file says the schema of the store that wrote it; another's is recognised and not touched.
- Nothing is pickled.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import from_json

from hyperfactor.errors import BusyError, DamagedError, MachineError, RequestError, StoreError
from hyperfactor.runs import claims, files
from hyperfactor.runs.claims import Claim, Claims
from hyperfactor.runs.files import files_at
from hyperfactor.strict import dump_json, finite

if TYPE_CHECKING:  # they bring torch, which takes seconds, and listing a store must not
    from torch import Tensor

    from hyperfactor.runs.spec import RunSpec

MANIFEST, SPEC, CHECKPOINT, FAILURE = "manifest.json", "spec.json", "checkpoint.safetensors", "failure.json"
QUARANTINE = ".quarantine"
LEFT = "what a process left that was killed"
SNAPSHOT, WRITTEN = "snapshot-", (".safetensors", ".parquet")
SCHEMA = 2  # of the store's files; not of the spec, whose own is part of the id
State = Literal["finished", "failed", "training", "unfinished", "other schema", "damaged", "unreadable"]
_RUN = re.compile(r"[0-9a-f]{16}")  # what `RunSpec.id` makes


Remedy = Literal["set aside the run", "set aside", "delete", "write again", "leave"]


@dataclass(frozen=True)
class Entry:
    """A line of the store's contents.

    about: what the manifest says, the failure's file, or the spec's; for a run that cannot be read, the reason.
    """

    id: str
    state: State
    about: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something that `verify` found.  file: below the run's folder, or "" for the whole run."""

    run: str
    file: str
    what: str
    remedy: Remedy

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
        return Path(self.files.url)

    def folder(self, run: str) -> Path:
        return self.path / run

    @contextmanager
    def claim(
        self, run: str, wait: bool = True, tell: Callable[[str], None] = lambda _: None, dead: int = 0
    ) -> Iterator[None]:
        """Hold the run's claim; while somebody else does, wait, or raise BusyError.

        dead: the number of a claim that another watcher has found dead.  tell: called with a line when there is
        something to wait for.  Raises WriteError or MachineError where the store cannot be written.
        """
        claim = self.claims.wait(run, tell) if wait else self.claims.take(run, dead)
        if claim is None:
            holder = self.claims.holder(run)
            who = "another process" if holder is None else claims.describe(holder)
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

    def has(self, run: str, name: str) -> bool:
        """Whether a run has left a file of this name."""
        return name in self.files.sizes(run)

    def describe(self, run: str, name: str) -> dict[str, Any]:
        """The checksum and size of a sealed file that an earlier process may have written."""
        content = self._must_read(run, name, "the file that training wrote")
        self._unsealed(run, name, content)
        return _described(content)

    def resume(self, spec: "RunSpec") -> tuple[dict[str, "Tensor"], dict[str, str]] | None:
        """The checkpoint that an unfinished run goes on from, if there is one.

        Raises DamagedError where any file that the run has left is not as it was written.
        """
        run = spec.id
        self._json(run, SPEC, _check_spec)
        sizes = self.files.sizes(run)
        for name in self.files.children(run):
            self._look_at(run, name, sizes)
        return self.checkpoint(run)

    def _look_at(self, run: str, name: str, sizes: dict[str, int]) -> None:
        """Raise DamagedError for a file of an unfinished run that training reads, or cannot replace."""
        if name == CHECKPOINT or name.startswith(SNAPSHOT):
            self.describe(run, name)
        elif name.endswith(WRITTEN) and name not in sizes:
            self.files.read(f"{run}/{name}")

    def start(self, spec: "RunSpec") -> None:
        """Record what the run is, before it is trained."""
        self._clear_up(spec.id)
        if self._json(spec.id, SPEC, _check_spec) is None:
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
        for run in self._claimed().intersection(runs):
            with suppress(BusyError, MachineError, StoreError), self.claim(run, wait=False):
                self._clear_up(run)

    def _claimed(self) -> set[str]:
        """The runs that somebody holds or held; none where claims may not be read, as another user's."""
        try:
            return {claims.run_of(name) for name in self.files.children(claims.FOLDER)}
        except (StoreError, MachineError):
            return set()

    def _is_trained(self, run: str) -> bool | None:
        """Whether somebody trains a run; None where it cannot be told."""
        try:
            return bool(self.claims.holder(run))
        except (StoreError, MachineError):
            return None

    def finish(self, spec: "RunSpec", artifacts: dict[str, dict[str, Any]], about: dict[str, Any]) -> None:
        """Write the manifest, which makes the run finished, and drop the checkpoint."""
        manifest = finite({
            "schema": SCHEMA, "id": spec.id, "spec": spec.model_dump(mode="json"), "artifacts": artifacts, **about,
        })  # fmt: skip
        self.write(spec.id, MANIFEST, _json({**manifest, "checksum": _checksum(manifest)}))
        self.files.delete(f"{spec.id}/{CHECKPOINT}")

    def fail(self, spec: "RunSpec", reason: str, about: dict[str, Any]) -> None:
        """Record why a run cannot be finished."""
        failure = {"schema": SCHEMA, "id": spec.id, "spec": spec.model_dump(mode="json"), "reason": reason}
        self.write(spec.id, FAILURE, _json({**failure, **about}))

    def failure(self, run: str) -> str | None:
        """Why a run could not be finished; None where it could, or was not tried."""
        found = self._json(run, FAILURE, _check_failure)
        return None if found is None else found["reason"]

    def manifest(self, run: str) -> dict[str, Any] | None:
        """What a finished run recorded of itself; None for one that is not finished."""
        return self._json(run, MANIFEST, _check_manifest)

    def finished(self, run: str) -> bool:
        """Whether a run is finished, by its manifest and one look at its folder.

        Raises DamagedError where a file that the manifest relies on is missing or of another size.
        """
        manifest = self.manifest(run)
        if manifest is None:
            return False
        sizes = self.files.sizes(run)
        needed = {name: said["bytes"] for name, said in manifest["artifacts"].items()}
        if not sizes.get(SPEC):
            needed[SPEC] = "some"
        for name, size in needed.items():
            if sizes.get(name) != size:
                raise DamagedError(
                    f"{self.files.path(f'{run}/{name}')}: got {sizes.get(name, 'no')} bytes, needs the {size} that were written; "
                    f"{self.files.remedy}"
                )
        return True

    def spec(self, run: str) -> "RunSpec":
        """The spec that was recorded for a run."""
        from hyperfactor.runs.spec import RunSpec

        data = self._json(run, SPEC, _check_readable)
        if data is None:
            raise DamagedError(
                f"{self.files.path(f'{run}/{SPEC}')}: got no file, needs the one that was written; {self.files.remedy}"
            )
        return RunSpec.parse(data["spec"])

    def _json(
        self, run: str, name: str, check: Callable[[str, dict[str, Any]], str | None] = lambda _run, _data: None
    ) -> dict[str, Any] | None:
        """A JSON file of this schema; None where there is none.

        check: what is wrong with the content, if anything.  Raises DamagedError for a file that is not as it was
        written, and StoreError for one of another schema or one that cannot be read.
        """
        path = f"{run}/{name}"
        try:
            content = self.files.read(path)
        except FileNotFoundError:
            return None
        try:
            data = from_json(content)
        except ValueError as error:
            empty = f"got {len(content)} zero bytes" if content else "got an empty file"
            said = error if content.strip(b"\0") else empty
            raise DamagedError(
                f"{self.files.path(path)}: {said}, needs the JSON that was written; {self.files.remedy}"
            ) from None
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, int) and schema != SCHEMA and 0 <= schema < 1000:
            raise _OtherSchemaError(self.files.path(path), schema)
        wrong = check(run, data) if schema == SCHEMA else "has no schema"
        if wrong:
            raise DamagedError(
                f"{self.files.path(path)}: {wrong}, needs the content that was written; {self.files.remedy}"
            )
        return data

    def read(self, run: str, name: str) -> bytes:
        """An artifact of a finished run; StoreError where it is missing or not as it was written."""
        manifest, path = self.manifest(run), self.files.path(f"{run}/{name}")
        if manifest is None or name not in manifest["artifacts"]:
            raise StoreError(f"{path}: no such artifact, needs a finished run")
        content = self._must_read(run, name, "the artifact that the manifest lists")
        if hashlib.sha256(content).hexdigest() != manifest["artifacts"][name]["sha256"]:
            raise DamagedError(
                f"{path}: got {len(content)} bytes that differ from the manifest's checksum, needs the "
                f"{manifest['artifacts'][name]['bytes']} bytes that were written; "
                f"{self.files.remedy}"
            )
        return content

    def _must_read(self, run: str, name: str, needs: str) -> bytes:
        try:
            return self.files.read(f"{run}/{name}")
        except FileNotFoundError:
            path = self.files.path(f"{run}/{name}")
            raise DamagedError(f"{path}: No such file or directory, needs {needs}; {self.files.remedy}") from None

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
        """The run's checkpoint, or None; DamagedError where it is damaged."""
        try:
            content = self.files.read(f"{run}/{CHECKPOINT}")
        except FileNotFoundError:
            return None
        return self._unsealed(run, CHECKPOINT, content)

    def _unsealed(self, run: str, name: str, content: bytes) -> tuple[dict[str, "Tensor"], dict[str, str]]:
        """The tensors and the text under a seal; DamagedError where they are not as they were sealed."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            tensors = load(content)
            text = dict(from_json(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {}))
            if text.pop("seal", None) != _seal(tensors, text):
                raise ValueError("got tensors that differ from its seal")
        except (SafetensorError, ValueError, KeyError, AttributeError) as error:
            what = "checkpoint" if name == CHECKPOINT else "file of tensors"
            raise DamagedError(
                f"{self.files.path(f'{run}/{name}')}: {error}, needs a whole {what}; {self.files.remedy}, and the run begins again"
            ) from None
        return tensors, text

    def ids(self) -> list[str]:
        """The runs in the store, finished or not, in the order of their ids."""
        return [name for name in self.files.children() if _RUN.fullmatch(name)]

    def entries(self) -> Iterator[Entry]:
        """What is in the store, in the order of the ids.  It reads one file of a finished run, and checks nothing."""
        held = self._claimed()
        return (entry for run in self.ids() if (entry := self._entry(run, held)))

    def entry(self, run: str) -> Entry:
        """A run's line; RequestError where there is no such run."""
        if (entry := self._entry(run, {run})) is None:
            raise RequestError(f"run: got {run!r}, needs one that is in {self.files.where}")
        return entry

    def _entry(self, run: str, held: set[str]) -> Entry | None:
        states: dict[str, State] = {MANIFEST: "finished", FAILURE: "failed", SPEC: "unfinished"}
        for name, state in states.items():
            try:
                about = self._json(run, name, _check_shape)
            except _OtherSchemaError:
                return Entry(run, "other schema", {})
            except DamagedError:
                return Entry(run, "damaged", {})
            except (StoreError, MachineError) as error:
                return Entry(run, "unreadable", {"reason": _unreadable(error)})
            if about is None:
                continue
            if state == "unfinished" and run in held and self._is_trained(run):
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
        """Delete a run.  The manifest goes first, so what is left by an interruption is unfinished."""
        with self.claim(run, wait=False):
            if self.has(run, MANIFEST):
                self.files.delete(f"{run}/{MANIFEST}")
            self.files.delete_folder(run)

    def verify(self, runs: Sequence[str] | None = None) -> Iterator[Problem]:
        """Read every byte, of all runs where none are given, and tell what is not as it was written."""
        chosen = self.ids() if runs is None else runs
        yield from self._verify_claims(None if runs is None else set(runs))
        for run in chosen:
            try:
                yield from self._verify(run)
            except (StoreError, MachineError) as error:
                yield Problem(run, "", _unreadable(error), "leave")

    def _verify_claims(self, runs: set[str] | None) -> Iterator[Problem]:
        try:
            names = self.files.children(claims.FOLDER)
        except (StoreError, MachineError) as error:
            yield Problem(claims.FOLDER, "", _unreadable(error), "leave")
            return
        for name in names:
            of = claims.run_of(name)
            if not _RUN.fullmatch(of) or (runs is not None and of not in runs):
                continue
            try:
                if not files.is_temporary(name) and not claims.can_be_read(self.files, name):
                    yield Problem(claims.FOLDER, name, "a claim that cannot be read", "delete")
                elif self.claims.holder(of) is None:
                    yield Problem(claims.FOLDER, name, "the claim of a process that has ended", "delete")
            except (StoreError, MachineError) as error:
                yield Problem(claims.FOLDER, name, _unreadable(error), "leave")

    def _verify(self, run: str) -> Iterator[Problem]:
        sizes = self.files.sizes(run)
        busy = self._is_trained(run) is not False
        left = [] if busy else [name for name in sizes if files.is_temporary(name)]
        yield from (Problem(run, name, LEFT, "delete") for name in left)
        if not busy and set(self.files.children(run)) <= set(left):
            if run not in self.files.sizes(""):  # a file of this name is somebody else's
                yield Problem(run, "", "an empty folder", "delete")
            return
        manifest, problem = self._checked(run, MANIFEST, _check_manifest, "set aside the run")
        if problem:
            yield problem
            return
        if manifest is not None and CHECKPOINT in sizes and not busy:
            yield Problem(run, CHECKPOINT, LEFT, "delete")
        recorded = manifest
        if manifest is None:
            recorded, problem = self._checked(run, FAILURE, _check_failure, "set aside")
            if problem:
                yield problem
        spec, problem = self._checked(run, SPEC, _check_spec, "write again" if recorded else "set aside")
        if problem:
            yield problem
        elif spec is None and recorded:
            yield Problem(run, SPEC, "missing", "write again")
        if manifest is not None:
            yield from self._verify_artifacts(run, manifest, sizes)
        elif not busy:
            yield from self._verify_unfinished(run)

    def _verify_unfinished(self, run: str) -> Iterator[Problem]:
        sizes = self.files.sizes(run)
        for name in self.files.children(run):
            try:
                self._look_at(run, name, sizes)
            except DamagedError:
                # a snapshot lies behind the checkpoint, and only a run that begins again makes it
                remedy: Remedy = "set aside the run" if name.startswith(SNAPSHOT) else "set aside"
                yield Problem(run, name, "not as it was written", remedy)
            except (StoreError, MachineError) as error:
                yield Problem(run, name, _unreadable(error), "leave")

    def _verify_artifacts(self, run: str, manifest: dict[str, Any], sizes: dict[str, int]) -> Iterator[Problem]:
        for name, said in manifest["artifacts"].items():
            if name not in sizes:
                yield Problem(run, name, "missing", "set aside the run")
            elif sizes[name] != said["bytes"]:
                what = f"got {sizes[name]} bytes, needs the {said['bytes']} that were written"
                yield Problem(run, name, what, "set aside the run")
            else:
                try:
                    if _described(self.files.read(f"{run}/{name}")) != said:
                        yield Problem(run, name, "differs from its checksum", "set aside the run")
                except (StoreError, MachineError) as error:
                    yield Problem(run, name, _unreadable(error), "leave")

    def _checked(
        self, run: str, name: str, check: Callable[[str, dict[str, Any]], str | None], remedy: Remedy
    ) -> tuple[dict[str, Any] | None, Problem | None]:
        """A JSON file, and what is wrong with it."""
        try:
            return self._json(run, name, check), None
        except _OtherSchemaError as error:
            return None, Problem(run, name, error.what, "leave")
        except DamagedError as error:
            return None, Problem(run, name, _said(error), remedy)
        except (StoreError, MachineError) as error:
            return None, Problem(run, name, _unreadable(error), "leave")

    def repair(self, problem: Problem) -> str:
        """Do what is safe about a problem; returns what was done.

        What can be had again (a temporary file, a dead claim, the copy of the spec) is deleted or written again.
        A damaged run or checkpoint is moved to the quarantine, and the next command that wants the run
        trains it again.
        """
        if problem.remedy == "leave":
            return "left alone"
        try:
            if problem.run == claims.FOLDER:
                return self._repair_claim(problem.file)
            with self.claim(problem.run, wait=False):
                return self._repair(problem)
        except BusyError:
            return "left alone: the run is being trained"
        except (StoreError, MachineError) as error:
            return f"left alone: {error}"

    def _repair_claim(self, name: str) -> str:
        if claims.can_be_read(self.files, name) and self.claims.holder(claims.run_of(name)):
            return "left alone: the run is being trained"
        path = f"{claims.FOLDER}/{name}"
        if name in self.files.sizes(claims.FOLDER):
            self.files.delete(path)
            return "deleted"
        self.files.delete_folder(path)
        return "deleted"

    def _repair(self, problem: Problem) -> str:
        run, name = problem.run, problem.file
        if not self.files.children(run):
            self.files.delete_folder(run)
            return "deleted" if problem.remedy == "delete" else "set aside with the run"
        if problem.remedy in ("delete", "set aside") and name not in self.files.children(run):
            return "gone"
        match problem.remedy:
            case "delete":
                self.files.delete(f"{run}/{name}")
                return "deleted"
            case "write again":
                return self._write_again(run)
            case "set aside":
                self._set_aside(run, name)
                return "set aside; the run begins again" if name == CHECKPOINT else "set aside"
            case _:
                self._set_aside(run)
                return "set aside; the run will be trained again"

    def _write_again(self, run: str) -> str:
        """Write a spec that is lost or damaged as the manifest, or the record of a failure, has it."""
        for name, check in ((MANIFEST, _check_manifest), (FAILURE, _check_failure)):
            if recorded := self._json(run, name, check):
                if SPEC in self.files.children(run):
                    self._set_aside(run, SPEC)
                self.write(run, SPEC, _json({"schema": SCHEMA, "id": run, "spec": recorded["spec"]}))
                return f"written again from the {name.removesuffix('.json')}"
        return "gone"  # set aside in the meantime

    def _set_aside(self, run: str, name: str = "") -> None:
        """Move a file of a run, or the whole run, to the quarantine."""
        earlier = [of.rpartition(".") for of in self.files.children(QUARANTINE)]
        number = 1 + max((int(k) for of, _, k in earlier if of == run and k.isdecimal()), default=0)
        below = f"/{name}" * bool(name)
        self.files.move(f"{run}{below}", f"{QUARANTINE}/{run}.{number}{below}")


class _OtherSchemaError(StoreError):
    """A file that another version of the store wrote."""

    def __init__(self, path: str, schema: int):
        super().__init__(f"{path}: got schema {schema}, needs {SCHEMA}, which this version writes")
        self.what = f"written by schema {schema} of the store, this is {SCHEMA}"


def _said(error: Exception) -> str:
    """What a message says is wrong, without the place and the remedy."""
    return str(error).partition(": ")[2].rpartition(", needs ")[0]


def _unreadable(error: Exception) -> str:
    return f"cannot be read ({_said(error)})"


def _check_shape(_run: str, data: dict[str, Any]) -> str | None:
    """What listing a store relies on, and no more: it reads many files."""
    artifacts = data.get("artifacts", {})
    if not isinstance(data.get("spec"), dict) or not isinstance(artifacts, dict):
        return "has no spec"
    whole = all(isinstance(said, dict) and isinstance(said.get("bytes"), int) for said in artifacts.values())
    return None if whole else "has artifacts without a size"


def _check_manifest(run: str, data: dict[str, Any]) -> str | None:
    rest = {name: value for name, value in data.items() if name != "checksum"}
    sound = data.get("checksum") == _checksum(rest) and data.get("id") == run
    return None if sound else "differs from its checksum"


def _check_failure(run: str, data: dict[str, Any]) -> str | None:
    return _check_spec(run, data) or (None if isinstance(data.get("reason"), str) else "has no reason")


def _check_spec(run: str, data: dict[str, Any]) -> str | None:
    from hyperfactor.runs.spec import RunSpec

    if wrong := _check_readable(run, data):
        return wrong
    return None if RunSpec.parse(data["spec"]).id == run else "is not the spec of this id"


def _check_readable(run: str, data: dict[str, Any]) -> str | None:
    """Of a spec whose defaults may have been other ones when it was written."""
    from hyperfactor.runs.spec import RunSpec

    try:
        RunSpec.parse(data.get("spec"))
    except RequestError as error:
        return f"is not a spec: {error}"
    return None if data.get("id") == run else "is not the spec of this id"


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
    return (dump_json(data, indent=1, sort_keys=True) + "\n").encode()
