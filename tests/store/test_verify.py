"""Damage to any byte of a store is found, and repaired without loss."""

import json
import random
import shutil
from pathlib import Path

import pytest

from hyperfactor import Run, RunSpec, Store, train
from hyperfactor.store.documents import MANIFEST, SPEC
from hyperfactor.store.files import files_at
from hyperfactor.store.lease import Leases, _machine
from hyperfactor.store.store import CHECKPOINT, QUARANTINE
from hyperfactor.store.verify import repair, verify


@pytest.fixture
def copied(run: Run, place: str) -> Store:
    """A finished run, copied into a folder or a bucket."""
    files = files_at(place)
    for name, _ in run._store.files.sizes(run.id).items():
        files.write(f"{run.id}/{name}", run._store.files.read(f"{run.id}/{name}"))
    return Store(place)


def test_a_whole_store_has_no_problem(copied: Store):
    assert list(verify(copied)) == []


def test_a_flipped_byte_in_any_file_is_found(run: Run, tmp_path: Path):
    """In each file of a run, the first byte, the last byte, and 40 random bytes."""
    store, moments = Store(tmp_path), random.Random(0)
    names = list(run._store.files.sizes(run.id))
    assert {MANIFEST, SPEC, "weights.safetensors", "snapshot-5.safetensors", "history.parquet"} <= set(names)
    contents = {name: run._store.files.read(f"{run.id}/{name}") for name in names}
    for name, content in contents.items():
        store.files.write(f"{run.id}/{name}", content)
    assert list(verify(store)) == []
    missed = []
    for name, content in contents.items():
        for place in [0, len(content) - 1, *moments.sample(range(len(content)), 40)]:
            flipped = bytearray(content)
            flipped[place] ^= 1 << moments.randrange(8)
            (tmp_path / run.id / name).write_bytes(flipped)
            same = name.endswith(".json") and _same(flipped, content)  # another way to write the same JSON
            if not same and not [problem for problem in verify(store) if problem.file == name]:
                missed.append((name, place))
        (tmp_path / run.id / name).write_bytes(content)
    assert missed == []


def _same(a: bytes | bytearray, b: bytes) -> bool:
    try:
        return json.loads(bytes(a)) == json.loads(b)
    except ValueError:
        return False


def test_a_truncated_and_a_missing_artifact_are_found_and_the_run_is_trained_again(copied: Store, tiny: RunSpec):
    weights = copied.read(tiny.id, "weights.safetensors")
    copied.files.write(f"{tiny.id}/weights.safetensors", weights[:-1])
    copied.files.delete(f"{tiny.id}/evaluation.parquet")
    problems = list(verify(copied))
    assert [str(problem) for problem in problems] == [
        f"{tiny.id}/evaluation.parquet: missing",
        f"{tiny.id}/weights.safetensors: got {len(weights) - 1} bytes, needs the {len(weights)} that were written",
    ]
    assert [repair(copied, problem) for problem in problems] == [
        "set aside; the run will be trained again",
        "set aside with the run",
    ]
    assert copied.files.read(f"{QUARANTINE}/{tiny.id}.1/weights.safetensors") == weights[:-1]  # nothing is lost
    assert list(verify(copied)) == []
    assert copied.ids() == []
    again = train(tiny, copied.url)
    assert again.accuracy().equals(Run(copied, tiny.id).accuracy())
    assert copied.read(tiny.id, "weights.safetensors") == weights


def test_what_a_killed_process_left_is_cleared_up_by_the_next(copied: Store, tiny: RunSpec):
    """A process killed just after it wrote the manifest, and one killed in a write, which leaves a temporary file."""
    lease = Leases(copied.files).take(tiny.id)
    assert lease
    dead = json.loads(lease.content()) | {"pid": 2**22 + 1}  # above the largest process number
    lease.release()
    left = [f"{tiny.id}/{CHECKPOINT}", f".leases/{tiny.id}.1", f".leases/.{tiny.id}.1.abc.tmp", f"{tiny.id}/.x.abc.tmp"]
    for manifest_too in (False, True):
        for name in left:
            copied.files.write(name, json.dumps(dead).encode())
        assert {problem.remedy for problem in verify(copied)} == {"delete"}
        if manifest_too:
            copied.files.delete(f"{tiny.id}/{CHECKPOINT}")
            copied.files.delete(f"{tiny.id}/{MANIFEST}")
        train(tiny, copied.url)
        assert list(verify(copied)) == []
        assert not {name.rpartition("/")[2] for name in left} & {
            *copied.files.sizes(tiny.id),
            *copied.files.children(".leases"),
        }


def test_a_damaged_spec_is_written_again_from_the_manifest(copied: Store, tiny: RunSpec):
    copied.files.write(f"{tiny.id}/{SPEC}", b"{}")
    (problem,) = verify(copied)
    assert repair(copied, problem) == "written again from the manifest"
    assert copied.spec(tiny.id) == tiny.model_dump(mode="json")
    assert list(verify(copied)) == []


def test_a_manifest_that_was_edited_is_found(copied: Store, tiny: RunSpec):
    manifest = json.loads(copied.files.read(f"{tiny.id}/{MANIFEST}"))
    manifest["accuracy"]["train"]["right"] = 1.0
    copied.files.write(f"{tiny.id}/{MANIFEST}", json.dumps(manifest).encode())
    (problem,) = verify(copied)
    assert (problem.file, problem.what) == (MANIFEST, "differs from its checksum")


def test_a_flipped_byte_of_a_checkpoint_is_found_when_it_is_read(tiny: RunSpec, tmp_path: Path, run: Run):
    store = Store(tmp_path)
    with store.lease(tiny.id):
        store.start(tiny.id, tiny.model_dump(mode="json"))
        store.save_checkpoint(tiny.id, dict(run.model.state_dict()), {"step": "2", "history": "[]"})
    path = tmp_path / tiny.id / CHECKPOINT
    content, moments = path.read_bytes(), random.Random(1)
    assert list(verify(store)) == []
    for place in moments.sample(range(len(content)), 60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << moments.randrange(8)
        path.write_bytes(flipped)
        assert [problem.file for problem in verify(store)] == [CHECKPOINT], place
    (problem,) = verify(store)
    assert repair(store, problem) == "set aside; the run begins again"
    assert train(tiny, tmp_path).history.height > 0


def test_what_interrupted_writes_and_dead_holders_left_is_cleared(tiny: RunSpec, run: Run, tmp_path: Path):
    store = Store(tmp_path)
    for name in run._store.files.sizes(run.id):
        store.files.write(f"{run.id}/{name}", run._store.files.read(f"{run.id}/{name}"))
    (tmp_path / tiny.id / ".weights.safetensors.0123456789ab.tmp").write_bytes(b"half")
    lease = json.dumps({"machine": Store(tmp_path).leases and _machine(), "pid": 1, "started": 0.0, "beats": 1})
    store.files.create(f".leases/{tiny.id}.3", lease.encode())
    problems = list(verify(store))
    assert [problem.remedy for problem in problems] == ["delete", "delete"]
    assert [repair(store, problem) for problem in problems] == ["deleted", "deleted"]
    assert list(verify(store)) == []
    assert Run(store, tiny.id).accuracy().equals(run.accuracy())


def test_a_run_that_is_being_trained_is_left_alone(copied: Store, tiny: RunSpec):
    copied.files.delete(f"{tiny.id}/history.parquet")
    (problem,) = verify(copied)
    with Store(copied.url).lease(tiny.id):
        assert repair(copied, problem) == "left alone: the run is being trained"


def test_another_schema_is_recognised_and_not_touched(copied: Store, tiny: RunSpec):
    for name in (MANIFEST, SPEC):
        old = json.loads(copied.files.read(f"{tiny.id}/{name}"))
        copied.files.write(f"{tiny.id}/{name}", json.dumps({**old, "schema": 1}).encode())
    problems = list(verify(copied))
    assert "written by schema 1 of the store, this is 3" in str(problems[0])
    assert [repair(copied, problem) for problem in problems] == ["left alone"] * len(problems)
    assert copied.entry(tiny.id).state == "other schema"
    assert json.loads(copied.files.read(f"{tiny.id}/{MANIFEST}"))["schema"] == 1


def test_a_problem_that_another_process_has_repaired_is_gone(tiny: RunSpec, run: Run, store: Path, tmp_path: Path):
    """Two processes see the same damage. The first sets the run aside, and it is trained again."""
    shutil.copytree(store / run.id, tmp_path / run.id)
    (tmp_path / run.id / "history.parquet").write_bytes(b"")
    seen = list(verify(Store(tmp_path)))
    assert repair(Store(tmp_path), seen[0]).startswith("set aside")
    shutil.copytree(store / run.id, tmp_path / run.id)
    assert {repair(Store(tmp_path), problem) for problem in seen} == {"gone"}
    assert list(verify(Store(tmp_path))) == []
