"""Runs recorded by another version: with another default, with a key that is gone, without a key that was added."""

import json
from pathlib import Path
from unittest import mock

import pytest

from hyperfactor import Run, RunSpec, Store, StoreError, train
from hyperfactor.runs.recorded import CHECKED, check_same, remark, unlike
from hyperfactor.runs.sweep import train_all
from hyperfactor.store.verify import repair, verify

from ..shell import hyperfactor, one_line


def recorded(spec: RunSpec, **changes: object) -> dict:
    """The spec as a version with these keys in its training section would have recorded it; None for a missing key."""
    data = spec.model_dump(mode="json")
    training = {key: value for key, value in {**data["training"], **changes}.items() if value is not None}
    return {**data, "training": training}


def put(path: Path, run: str, spec: dict, state: str) -> Store:
    store = Store(path)
    with mock.patch("hyperfactor.store.store.source", return_value="another"), store.lease(run):
        store.start(run, spec)
        if state == "finished":
            store.finish(run, spec, {}, {"accuracy": {"train": {"n": 7, "right": 0.5}}})
        if state == "failed":
            store.fail(run, spec, "it diverged", {})
    return store


MOVED = {"clip": 0.123}  # a default when the run was recorded
GONE = {"inertia": 0.9}  # a key of another version
ADDED = {"clip": None}  # a key that the version did not have


@pytest.mark.parametrize("state", ["finished", "failed", "unfinished"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (MOVED, "recorded with training.clip = 0.123, a default that is {clip} today, needs another store"),
        (GONE, "recorded by a version with other keys .*unknown key 'inertia'.*runs remove"),
    ],
)  # fmt: skip
def test_a_run_of_the_same_id_and_other_values_is_refused(tiny: RunSpec, tmp_path: Path, changes, words, state: str):
    put(tmp_path, tiny.id, recorded(tiny, **changes), state)
    words = words.format(clip=tiny.training.clip)
    with pytest.raises(StoreError, match=f"run {tiny.id}: {words}"):
        train(tiny, tmp_path)
    done, failures = train_all([tiny], tmp_path, workers=1)
    assert done == {}
    assert isinstance(failures[tiny.id], StoreError)


def test_a_key_that_was_added_since_makes_no_difference(tiny: RunSpec, tmp_path: Path):
    store = put(tmp_path, tiny.id, recorded(tiny, **ADDED), "finished")
    assert train(tiny, tmp_path).spec == tiny
    assert list(verify(store, check=unlike)) == []
    check_same(tiny, recorded(tiny, **ADDED))


def test_a_default_that_moved_is_named_and_the_recorded_value_counts(tiny: RunSpec, tmp_path: Path):
    store = put(tmp_path, tiny.id, recorded(tiny, **MOVED), "finished")
    said = f"recorded with training.clip = 0.123, a default that is {tiny.training.clip} today"
    assert unlike(tiny.id, recorded(tiny, **MOVED)) == said
    assert Run(store, tiny.id).spec.training.clip == 0.123
    two = recorded(tiny, clip=0.123, ema=0.5)
    other = RunSpec.parse(two).id
    assert unlike(tiny.id, two) == (
        f"recorded under another schema or with other defaults; today a run of these values has the id {other}"
    )
    assert unlike(other, two) is None


def test_each_command_says_it_in_one_line(tiny: RunSpec, tmp_path: Path):
    other = tiny.model_copy(update={"seed": 1})
    store = put(tmp_path / "s", tiny.id, recorded(tiny, **MOVED), "finished")
    put(tmp_path / "s", other.id, recorded(other, **GONE), "finished")
    whole = tiny.model_copy(update={"seed": 2})
    put(tmp_path / "s", whole.id, recorded(whole), "finished")
    before = {path: path.read_bytes() for path in store.path.rglob("*.json")}

    listed = hyperfactor("runs", "list", "--store", "s", "--columns", "id,state", "--format", "json", cwd=tmp_path)
    assert {row["id"]: row["state"] for row in json.loads(listed.stdout)} == {
        spec.id: "finished" for spec in (tiny, other, whole)
    }
    one_line(listed, "2 of 3 runs that other code recorded are not runs of today's specs, such as", status=0)
    verified = hyperfactor("runs", "verify", "--store", "s", cwd=tmp_path)
    assert f"{tiny.id}/spec.json: recorded with training.clip = 0.123" in verified.stdout
    assert (
        f"{other.id}/spec.json: the recorded spec is not one of this version: training: got an unknown"
        in verified.stdout
    )
    assert "2 problems" in verified.stdout
    for run, words in ((tiny.id, "recorded with training.clip = 0.123"), (other.id, "unknown key 'inertia'")):
        shown = hyperfactor("runs", "show", run, "--store", "s", cwd=tmp_path)
        assert shown.returncode == 0
        (line,) = [line for line in shown.stdout.splitlines() if "not a run of today's specs" in line]
        assert words in line
        assert "0.500" in shown.stdout  # its accuracy
    one_line(
        hyperfactor("sample", other.id, "--factors", "none.csv", "--out", "x.npz", "--store", "s", cwd=tmp_path),
        f"run {other.id}: the recorded spec is not one of this version",
    )
    for problem in list(verify(store, check=unlike)):
        assert repair(store, problem) == "left alone"
    assert {path: path.read_bytes() for path in store.path.rglob("*.json")} == before


def test_what_this_code_recorded_is_not_read_again(tiny: RunSpec, tmp_path: Path):
    store = Store(tmp_path / "s")
    with store.lease(tiny.id):
        store.start(tiny.id, recorded(tiny, **MOVED))  # cannot be, and is not looked at
    with mock.patch("hyperfactor.runs.recorded.unlike", side_effect=AssertionError):
        done = hyperfactor("runs", "list", "--store", "s", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_large_store_is_read_in_part(tiny: RunSpec):
    specs = {f"{k:016x}": tiny.model_dump(mode="json") for k in range(CHECKED + 5)}
    said = remark(specs)
    assert said is not None
    assert said.startswith(f"{CHECKED} of the first {CHECKED} of {CHECKED + 5} runs that other code recorded")
    assert remark({tiny.id: tiny.model_dump(mode="json")}) is None
