"""Check every byte of a store, and repair what can be repaired safely."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hyperfactor.errors import BusyError, DamagedError, MachineError, StoreError
from hyperfactor.store import documents, lease, results
from hyperfactor.store.disk import is_temporary
from hyperfactor.store.documents import FAILURE, MANIFEST, SPEC, OtherSchemaError
from hyperfactor.store.store import CHECKPOINT, QUARANTINE, RUN, SNAPSHOT, Store, described, said, unreadable

LEFT = "left behind by a process that was killed"
Remedy = Literal["set aside the run", "set aside", "delete", "write again", "leave"]
Check = Callable[[str, Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Problem:
    """A problem that `verify` found.

    Attributes
    ----------
    run : str
        The run's id, or the folder of leases or results.
    file : str
        The file's name in this folder; empty for the whole run.
    what : str
        What is wrong.
    remedy : str
        What `repair` does about it.
    """

    run: str
    file: str
    what: str
    remedy: Remedy

    def __str__(self) -> str:
        return f"{self.run}{'/' * bool(self.file)}{self.file}: {self.what}"


def verify(
    store: Store, runs: Sequence[str] | None = None, check: Check = lambda _run, _spec: None
) -> Iterator[Problem]:
    """Read every byte, and report what differs from what was written.

    Parameters
    ----------
    store : Store
        The store to check.
    runs : sequence of str, optional
        Ids of runs. Default: all runs, and the kept results.
    check : callable
        check(id, spec): called with the recorded spec of each run. Returns one line if the spec is intact but is not a
        spec of this id for the caller, else None.

    Yields
    ------
    Problem
        First those of leases, then those of runs, then those of results.
    """
    yield from _leases(store, None if runs is None else set(runs))
    for run in store.ids() if runs is None else runs:
        try:
            yield from _run(store, run, check)
        except (StoreError, MachineError) as error:
            yield Problem(run, "", unreadable(error), "leave")
    if runs is None:
        yield from _results(store)


def _leases(store: Store, runs: set[str] | None) -> Iterator[Problem]:
    try:
        names = store.files.children(lease.FOLDER)
    except (StoreError, MachineError) as error:
        yield Problem(lease.FOLDER, "", unreadable(error), "leave")
        return
    for name in names:
        run = lease.run_of(name)
        if not RUN.fullmatch(run) or (runs is not None and run not in runs):
            continue
        try:
            if not is_temporary(name) and not lease.can_be_read(store.files, name):
                yield Problem(lease.FOLDER, name, "a lease that cannot be read", "delete")
            elif store.leases.holder(run) is None:
                yield Problem(lease.FOLDER, name, "the lease of a process that has ended", "delete")
        except (StoreError, MachineError) as error:
            yield Problem(lease.FOLDER, name, unreadable(error), "leave")


def _run(store: Store, run: str, check: Check) -> Iterator[Problem]:
    sizes = store.files.sizes(run)
    busy = store.is_trained(run) is not False
    left = [] if busy else [name for name in sizes if is_temporary(name)]
    yield from (Problem(run, name, LEFT, "delete") for name in left)
    if not busy and set(store.files.children(run)) <= set(left):
        if run not in store.files.sizes(""):  # a file of this name does not belong to the store
            yield Problem(run, "", "an empty folder", "delete")
        return
    manifest, problem = _document(store, run, MANIFEST, "set aside the run")
    if problem:
        yield problem
        return
    if manifest is not None and CHECKPOINT in sizes and not busy:
        yield Problem(run, CHECKPOINT, LEFT, "delete")
    yield from _spec(store, run, manifest, check)
    if manifest is not None:
        yield from _artifacts(store, run, manifest, sizes)
    elif not busy:
        yield from _unfinished(store, run, sizes)


def _spec(store: Store, run: str, recorded: dict[str, Any] | None, check: Check) -> Iterator[Problem]:
    """Problems of the failure and the spec of a run. `recorded` is its manifest, if it has one."""
    if recorded is None:
        recorded, problem = _document(store, run, FAILURE, "set aside")
        if problem:
            yield problem
    spec, problem = _document(store, run, SPEC, "write again" if recorded else "set aside")
    if problem:
        yield problem
    elif spec is None and recorded:
        yield Problem(run, SPEC, "missing", "write again")
    if (found := spec or recorded) and (line := check(run, found["spec"])):
        yield Problem(run, SPEC, line, "leave")


def _unfinished(store: Store, run: str, sizes: dict[str, int]) -> Iterator[Problem]:
    for name in store.files.children(run):
        try:
            store.check_unfinished(run, name, sizes)
        except DamagedError:
            # a snapshot is older than the checkpoint, so it is written again only if the run starts from the beginning
            remedy: Remedy = "set aside the run" if name.startswith(SNAPSHOT) else "set aside"
            yield Problem(run, name, "not as it was written", remedy)
        except (StoreError, MachineError) as error:
            yield Problem(run, name, unreadable(error), "leave")


def _artifacts(store: Store, run: str, manifest: dict[str, Any], sizes: dict[str, int]) -> Iterator[Problem]:
    for name, recorded in sorted(manifest["artifacts"].items()):
        if name not in sizes:
            yield Problem(run, name, "missing", "set aside the run")
        elif sizes[name] != recorded["bytes"]:
            what = f"got {sizes[name]} bytes, needs the {recorded['bytes']} that were written"
            yield Problem(run, name, what, "set aside the run")
        else:
            try:
                if described(store.files.read(f"{run}/{name}")) != recorded:
                    yield Problem(run, name, "differs from its checksum", "set aside the run")
            except (StoreError, MachineError) as error:
                yield Problem(run, name, unreadable(error), "leave")


def _results(store: Store) -> Iterator[Problem]:
    try:
        for name, error in results.damaged(store.files):
            if error is None:
                yield Problem(results.FOLDER, name, "not as it was written", "delete")
            else:
                yield Problem(results.FOLDER, name, unreadable(error), "leave")
    except (StoreError, MachineError) as error:
        yield Problem(results.FOLDER, "", unreadable(error), "leave")


def _document(store: Store, run: str, name: str, remedy: Remedy) -> tuple[dict[str, Any] | None, Problem | None]:
    """A document of a run, or the problem with it."""
    try:
        return documents.read(store.files, run, name), None
    except OtherSchemaError as error:
        return None, Problem(run, name, error.what, "leave")
    except DamagedError as error:
        return None, Problem(run, name, said(error), remedy)
    except (StoreError, MachineError) as error:
        return None, Problem(run, name, unreadable(error), "leave")


def repair(store: Store, problem: Problem) -> str:
    """Repair what can be repaired safely.

    What can be made again (a temporary file, a dead lease, the copy of the spec, a kept result) is deleted or written
    again. A damaged run or checkpoint is moved to the quarantine, and the next command that needs the run trains it
    again.

    Parameters
    ----------
    store : Store
        The store.
    problem : Problem
        A problem that `verify` found.

    Returns
    -------
    str
        What was done.
    """
    if problem.remedy == "leave":
        return "left alone"
    try:
        if problem.run == lease.FOLDER:
            return _repair_lease(store, problem.file)
        if problem.run == results.FOLDER:
            return _delete(store, f"{results.FOLDER}/{problem.file}")
        if store.files.children(problem.run) and problem not in list(_run(store, problem.run, lambda *_: None)):
            return "gone"  # another process has repaired the run, and may have trained it again
        with store.lease(problem.run, wait=False):
            return _repair_run(store, problem)
    except BusyError:
        return "left alone: the run is being trained"
    except (StoreError, MachineError) as error:
        return f"left alone: {error}"


def _repair_lease(store: Store, name: str) -> str:
    if lease.can_be_read(store.files, name) and store.leases.holder(lease.run_of(name)):
        return "left alone: the run is being trained"
    return _delete(store, f"{lease.FOLDER}/{name}")


def _delete(store: Store, path: str) -> str:
    """Delete a file, or a folder of this name."""
    folder, _, name = path.rpartition("/")
    if name in store.files.sizes(folder):
        store.files.delete(path)
    else:
        store.files.delete_folder(path)
    return "deleted"


def _repair_run(store: Store, problem: Problem) -> str:
    run, name = problem.run, problem.file
    if not store.files.children(run):
        store.files.delete_folder(run)
        return "deleted" if problem.remedy == "delete" else "set aside with the run"
    if problem.remedy in ("delete", "set aside") and name not in store.files.children(run):
        return "gone"
    match problem.remedy:
        case "delete":
            store.files.delete(f"{run}/{name}")
            return "deleted"
        case "write again":
            return _write_again(store, run)
        case "set aside":
            _set_aside(store, run, name)
            return "set aside; the run begins again" if name == CHECKPOINT else "set aside"
        case _:
            _set_aside(store, run)
            return "set aside; the run will be trained again"


def _write_again(store: Store, run: str) -> str:
    """Write a missing or damaged spec again, from the manifest or the record of a failure."""
    for name in (MANIFEST, FAILURE):
        if recorded := documents.read(store.files, run, name):
            if SPEC in store.files.children(run):
                _set_aside(store, run, SPEC)
            store.write(run, SPEC, documents.pack(run, {key: recorded[key] for key in ("spec", "source")}))
            return f"written again from the {name.removesuffix('.json')}"
    return "gone"  # another process has set it aside in the meantime


def _set_aside(store: Store, run: str, name: str = "") -> None:
    """Move a file of a run, or the whole run, to the quarantine."""
    earlier = [of.rpartition(".") for of in store.files.children(QUARANTINE)]
    number = 1 + max((int(k) for of, _, k in earlier if of == run and k.isdecimal()), default=0)
    below = f"/{name}" * bool(name)
    store.files.move(f"{run}{below}", f"{QUARANTINE}/{run}.{number}{below}")
