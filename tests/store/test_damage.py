"""Files emptied by a power cut, or damaged in another way, are reported before training, repaired, and not lost."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch

from hyperfactor import DivergedError, Run, RunSpec, Store, cli, train
from hyperfactor.errors import BusyError, DamagedError, RunError, StoreError
from hyperfactor.runs.execute import snapshot_name
from hyperfactor.runs.sweep import train_all
from hyperfactor.store.documents import FAILURE, MANIFEST, SPEC
from hyperfactor.store.lease import FOLDER
from hyperfactor.store.store import CHECKPOINT, QUARANTINE
from hyperfactor.store.verify import repair, verify

CUT: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda _: b"",
    "zeros": lambda whole: bytes(len(whole)),
    "truncated": lambda whole: whole[: len(whole) // 2],
    "junk": lambda whole: random.Random(0).randbytes(len(whole)),
    "another": lambda _: b"[1, 2]",
    "folder": lambda _: None,
}
FILES = [
    ("unfinished", SPEC), ("unfinished", CHECKPOINT), ("unfinished", snapshot_name(0)), ("failed", FAILURE),
    ("failed", SPEC), ("finished", MANIFEST),
]  # fmt: skip


class ReachedError(Exception):
    """Training was reached."""


def begin(spec: RunSpec, path: Path) -> None:
    """Call `train` up to the start of training."""
    with mock.patch("hyperfactor.runs.execute.fit", side_effect=ReachedError):
        train(spec, path)


def put(spec: RunSpec, path: Path, state: str) -> Store:
    """Make a run in some state, as an earlier process would have left it."""
    store = Store(path)
    with store.lease(spec.id):
        store.start(spec.id, spec.model_dump(mode="json"))
        for step in (0, 5):
            store.write_tensors(spec.id, snapshot_name(step), {"w": torch.ones(3)})
        if state == "finished":
            store.finish(spec.id, spec.model_dump(mode="json"), {"w": store.write(spec.id, "w", b"123")}, {})
        else:
            store.save_checkpoint(spec.id, {"w": torch.ones(3)}, {"step": "6", "history": "[]"})
        if state == "failed":
            store.fail(spec.id, spec.model_dump(mode="json"), "it diverged", {})
    return store


def damage(path: Path, cut: Callable[[bytes], bytes | None]) -> bytes | None:
    found = cut(path.read_bytes())
    path.unlink()
    path.mkdir() if found is None else path.write_bytes(found)
    return found


@pytest.mark.parametrize("cut", CUT)
@pytest.mark.parametrize(("state", "name"), FILES)
def test_a_damaged_file_is_told_at_once_and_repaired(state: str, name: str, cut: str, tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, state)
    content = damage(tmp_path / tiny.id / name, CUT[cut])
    if (state, name) != ("failed", SPEC):  # a failure is told in any case
        with pytest.raises(DamagedError, match=f"{name}: .*`hyperfactor runs repair --store .*` sets aside"):
            begin(tiny, tmp_path)
    assert store.entry(tiny.id).state in ("damaged", state)
    for problem in list(verify(store)):
        assert not repair(store, problem).startswith("left alone")
    assert list(verify(store)) == []
    kept = list((tmp_path / QUARANTINE).glob(f"{tiny.id}.*/{name}"))
    assert [None if path.is_dir() else path.read_bytes() for path in kept] == [content]  # nothing is lost
    with pytest.raises(DivergedError if (state, name) == ("failed", SPEC) else ReachedError):
        begin(tiny, tmp_path)


@pytest.mark.parametrize("name", ["w", SPEC])
@pytest.mark.parametrize("cut", ["empty", "truncated", "folder"])
def test_what_a_finished_run_lacks_is_told_at_once(name: str, cut: str, tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, "finished")
    begin(tiny, tmp_path)  # it is returned
    damage(tmp_path / tiny.id / name, CUT[cut])
    if (name, cut) != (SPEC, "truncated"):  # that one is told when it is read
        with pytest.raises(
            DamagedError, match=f"{name}: got (no|0|1) bytes, needs the .* that were written; .*runs repair"
        ):
            begin(tiny, tmp_path)
    for problem in list(verify(store)):
        assert not repair(store, problem).startswith("left alone")
    assert list(verify(store)) == []
    if name == SPEC:
        assert Run(store, tiny.id).spec == tiny
    else:
        with pytest.raises(ReachedError):
            begin(tiny, tmp_path)


def test_a_run_whose_spec_was_emptied_goes_on_from_its_checkpoint(tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, "unfinished")
    (tmp_path / tiny.id / SPEC).write_bytes(b"")
    for problem in list(verify(store)):
        repair(store, problem)
    with mock.patch("hyperfactor.runs.execute.fit", side_effect=ReachedError) as fit, pytest.raises(ReachedError):
        train(tiny, tmp_path)
    assert fit.call_args.args[4][1]["step"] == "6"
    assert store.spec(tiny.id) == tiny.model_dump(mode="json")


@pytest.mark.parametrize("cut", CUT)
def test_a_checkpoint_without_its_spec_is_set_aside_when_it_is_damaged(cut: str, tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, "unfinished")
    for name in (SPEC, snapshot_name(0), snapshot_name(5)):
        (tmp_path / tiny.id / name).unlink()
    assert store.entry(tiny.id).state == "unfinished"
    damage(tmp_path / tiny.id / CHECKPOINT, CUT[cut])
    (problem,) = verify(store)
    assert repair(store, problem) == "set aside; the run begins again"
    for problem in list(verify(store)):
        assert repair(store, problem) == "deleted"  # the empty folder
    assert list(verify(store)) == []
    with pytest.raises(ReachedError):
        begin(tiny, tmp_path)


def test_a_damaged_run_stops_no_other_of_a_sweep(tiny: RunSpec, run: Run, tmp_path: Path):
    other = tiny.model_copy(update={"seed": 1})
    store = put(other, tmp_path, "finished")
    for name in run._store.files.sizes(run.id):
        store.files.write(f"{run.id}/{name}", run._store.files.read(f"{run.id}/{name}"))
    (store.folder(other.id) / MANIFEST).write_bytes(b"")
    done, failures = train_all([other, tiny], tmp_path, workers=1)
    assert list(done) == [tiny.id]
    assert list(failures) == [other.id]
    assert "runs repair" in str(failures[other.id])


def test_a_run_without_enough_memory_stops_no_other_of_a_sweep(tiny: RunSpec, tmp_path: Path):
    specs = [tiny.model_copy(update={"seed": seed}) for seed in (0, 1, 2)]
    errors = [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 96 bytes."),
        None,
    ]

    def instead(spec: RunSpec, *_: object, **__: object) -> object:
        if error := errors[spec.seed]:
            raise error
        put(spec, tmp_path, "finished")
        return None

    with mock.patch("hyperfactor.runs.sweep.train", side_effect=instead):
        done, failures = train_all(specs, tmp_path, workers=1)
    assert list(done) == [specs[2].id]
    assert [type(error) for error in failures.values()] == [RunError, RunError]
    assert "out of memory (the request of 96 bytes was refused)" in str(failures[specs[1].id])


def test_a_failure_without_its_spec_gives_it_back(tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, "failed")
    (tmp_path / tiny.id / SPEC).unlink()
    (problem,) = verify(store)
    assert repair(store, problem) == "written again from the failure"
    assert store.spec(tiny.id) == tiny.model_dump(mode="json")
    with pytest.raises(DivergedError, match="it diverged"):
        begin(tiny, tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "evaluation.parquet"])
def test_what_a_run_left_before_its_manifest_is_replaced(name: str, tiny: RunSpec, tmp_path: Path):
    """An incomplete or empty file does no harm. A folder of its name does, and is reported before training."""
    store = put(tiny, tmp_path, "unfinished")
    (tmp_path / tiny.id / name).write_bytes(b"")
    assert list(verify(store)) == []
    with pytest.raises(ReachedError):
        begin(tiny, tmp_path)
    damage(tmp_path / tiny.id / name, CUT["folder"])
    with pytest.raises(DamagedError, match=f"{name}: got a folder.*runs repair"):
        begin(tiny, tmp_path)
    (problem,) = verify(store)
    assert repair(store, problem) == "set aside"
    with pytest.raises(ReachedError):
        begin(tiny, tmp_path)


def test_a_snapshot_that_is_gone_is_told_at_once(tiny: RunSpec, tmp_path: Path):
    put(tiny, tmp_path, "unfinished")
    (tmp_path / tiny.id / snapshot_name(5)).unlink()
    with pytest.raises(DamagedError, match=f"got no snapshot-5.*runs remove {tiny.id}"):
        begin(tiny, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", bytes(90), b"[]", b"{}", b'{"machine": 3}', b'{"machine": "a", "pid": -1}', None]
)
def test_a_lease_that_cannot_be_read_is_told_and_deleted(content: bytes | None, tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, "unfinished")
    lease = tmp_path / FOLDER / f"{tiny.id}.1"
    lease.mkdir() if content is None else lease.write_bytes(content)
    (tmp_path / tiny.id / CHECKPOINT).write_bytes(b"")
    with pytest.raises(BusyError, match=f"run {tiny.id}: a process whose lease cannot be read is training it"):
        train(tiny, tmp_path, wait=False)
    assert store.entry(tiny.id).state == "unfinished"
    problems = list(verify(store))
    assert [(problem.run, problem.what) for problem in problems] == [
        (FOLDER, "a lease that cannot be read"),
        (tiny.id, "not as it was written"),
    ]
    assert [repair(store, problem) for problem in problems] == ["deleted", "set aside; the run begins again"]
    with pytest.raises(ReachedError):
        begin(tiny, tmp_path)


def test_a_lease_that_cannot_be_read_is_taken_over_in_time(
    tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / f"{tiny.id}.1").mkdir()  # not even a file
    store, said = Store(tmp_path), []
    monkeypatch.setattr(store.leases, "_dead", 0.0)
    monkeypatch.setattr("hyperfactor.store.lease.POLL", 0.0)
    with store.lease(tiny.id, tell=said.append):
        assert store.files.children(FOLDER) == [f"{tiny.id}.1", f"{tiny.id}.2"]
    monkeypatch.setattr(store.leases, "_dead", 30.0)
    monkeypatch.setattr("hyperfactor.store.lease.time.sleep", mock.Mock(side_effect=ReachedError))
    with pytest.raises(ReachedError), Store(tmp_path).lease(tiny.id, tell=said.append):
        pass
    assert len(said) == 1
    assert "its lease cannot be read, waiting up to 30 s for a heartbeat" in said[0]


def test_what_a_finished_run_left_is_set_aside_as_a_whole(run: Run, tiny: RunSpec, tmp_path: Path):
    for name in ("evaluation.parquet", "weights.safetensors"):
        store = Store(tmp_path / name)
        for part, content in {
            part: run._store.files.read(f"{run.id}/{part}") for part in run._store.files.sizes(run.id)
        }.items():
            store.files.write(f"{run.id}/{part}", content)
        (store.folder(run.id) / name).write_bytes(b"")
        (store.folder(run.id) / "figures").mkdir()
        (store.folder(run.id) / "figures" / "mine.txt").write_text("mine")  # somebody else's, and not lost
        with pytest.raises(DamagedError, match=f"{name}: got 0 bytes .*runs repair"):
            _ = Run(store, run.id).accuracy(), Run(store, run.id).model
        (problem,) = verify(store)
        repair(store, problem)
        assert (store.path / QUARANTINE / f"{run.id}.1" / "figures" / "mine.txt").read_text() == "mine"
        with pytest.raises(ReachedError):
            begin(tiny, store.path)


def test_an_empty_folder_of_a_run_is_deleted_and_a_file_of_its_name_is_not(tiny: RunSpec, tmp_path: Path):
    store = Store(tmp_path)
    (tmp_path / tiny.id).write_text("somebody else's")
    assert list(verify(store)) == []
    (tmp_path / tiny.id).unlink()
    (tmp_path / tiny.id).mkdir()
    (problem,) = verify(store)
    assert repair(store, problem) == "deleted"
    assert store.ids() == []


def test_other_peoples_things_in_a_store_are_passed_over(tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, "finished")
    for name in ("lost+found", "figures", ".Trash-1000", "@eaDir", tiny.id.upper(), tiny.id + "0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    for name in (
        "README.txt",
        "Thumbs.db",
        ".DS_Store",
        f"{tiny.id}/.DS_Store",
        f"{tiny.id}/notes.tmp",
        ".leases/.nfs0001",
    ):
        (tmp_path / name).write_text("mine")
    before = sorted(path for path in tmp_path.rglob("*"))
    assert store.ids() == [tiny.id]
    assert [entry.state for entry in store.entries()] == ["finished"]
    assert list(verify(store)) == []
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.fixture
def shut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make the system refuse a place to everybody, as it refuses another user's files to all but root."""

    def shut(place: Path) -> None:
        for name in ("open", "listdir", "scandir", "unlink", "rename", "replace", "mkdir", "link"):
            real = getattr(os, name)

            def refuse(path, *rest, real=real, **named):
                if isinstance(path, str | os.PathLike) and f"{os.fspath(path)}/".startswith(f"{place}/"):
                    raise PermissionError(13, "Permission denied", os.fspath(path))
                return real(path, *rest, **named)

            monkeypatch.setattr(os, name, refuse)

    return shut


@pytest.mark.parametrize("name", ["", MANIFEST, "w"])
def test_a_run_that_cannot_be_read_is_said_as_that(name: str, tiny: RunSpec, tmp_path: Path, shut):
    store = put(tiny, tmp_path, "finished")
    other = tiny.model_copy(update={"seed": 1})
    put(other, tmp_path, "finished")
    shut(tmp_path / tiny.id / name)
    states = {entry.id: entry for entry in store.entries()}
    if name != "w":
        assert states[tiny.id].state == "unreadable"
        assert states[tiny.id].about == {"reason": "cannot be read (Permission denied)"}
        with pytest.raises(StoreError, match="Permission denied, needs a file that can be read"):
            begin(tiny, tmp_path)
    assert states[other.id].state == "finished"
    (problem,) = verify(store)
    assert str(problem) == f"{tiny.id}{f'/{name}' if name else ''}: cannot be read (Permission denied)"
    assert repair(store, problem) == "left alone"
    assert not (tmp_path / QUARANTINE).exists()
    if name != "w":
        with pytest.raises(StoreError, match="Permission denied"):
            store.remove(tiny.id)


def test_leases_that_cannot_be_read_are_in_nobodys_way(tiny: RunSpec, tmp_path: Path, shut):
    """If the folder of leases belongs to another user and may not be read, finished runs can still be opened."""
    store = put(tiny, tmp_path, "finished")
    other = tiny.model_copy(update={"seed": 1})
    put(other, tmp_path, "unfinished")
    for place in (tmp_path / FOLDER / f"{tiny.id}.1", tmp_path / FOLDER):
        (tmp_path / FOLDER / f"{tiny.id}.1").write_text("{}")
        shut(place)
        assert {entry.id: entry.state for entry in store.entries()} == {tiny.id: "finished", other.id: "unfinished"}
        assert train(tiny, tmp_path).id == tiny.id
        (problem,) = verify(store)
        assert (problem.run, problem.what) == (FOLDER, "cannot be read (Permission denied)")
        assert repair(store, problem) == "left alone"
    with pytest.raises(StoreError, match="Permission denied"):
        begin(other, tmp_path)


def test_a_run_that_cannot_be_read_gets_one_line_of_each_command(
    tiny: RunSpec, tmp_path: Path, shut, capfd, monkeypatch
):
    put(tiny, tmp_path, "finished")
    shut(tmp_path / tiny.id)
    for command, status in (
        ("list", 0),
        ("verify", 1),
        ("repair", 0),
        (f"show {tiny.id}", 2),
        (f"remove {tiny.id}", 2),
    ):
        monkeypatch.setattr("sys.argv", ["hyperfactor", "runs", *command.split(), "--store", str(tmp_path)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert (stop.value.code or 0) == status, command
        out, err = capfd.readouterr()
        assert len(err.splitlines()) == (status == 2), command
        assert ("unreadable" if command == "list" else "Permission denied") in out + err


def test_a_manifest_that_says_nothing_is_no_traceback(tiny: RunSpec, tmp_path: Path):
    store = put(tiny, tmp_path, "finished")
    for content in (
        {"schema": 3},
        {"schema": 3, "spec": [], "artifacts": {}},
        {"schema": 3, "spec": {}, "artifacts": [1]},
    ):
        (tmp_path / tiny.id / MANIFEST).write_text(json.dumps(content))
        assert store.entry(tiny.id).state == "damaged"
        with pytest.raises(DamagedError, match="runs repair"):
            begin(tiny, tmp_path)
