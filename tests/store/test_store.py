import json
import multiprocessing
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

from hyperfactor import MachineError, RequestError, Run, RunSpec, Store, StoreError, train
from hyperfactor.store.documents import MANIFEST
from hyperfactor.store.named import write_whole
from hyperfactor.store.store import CHECKPOINT


@pytest.fixture
def finished(tiny: RunSpec, tmp_path: Path) -> tuple[Store, str]:
    store = Store(tmp_path / "store")
    with store.lease(tiny.id):
        store.start(tiny.id, tiny.model_dump(mode="json"))
        artifact = store.write(tiny.id, "numbers.bin", b"12345")
        store.finish(tiny.id, tiny.model_dump(mode="json"), {"numbers.bin": artifact}, {"seconds": 1})
    return store, tiny.id


def test_what_was_written_is_read(finished, tiny: RunSpec):
    store, run = finished
    assert store.read(run, "numbers.bin") == b"12345"
    assert store.spec(run) == tiny.model_dump(mode="json")
    assert store.ids() == [run]
    assert store.entry(run).state == "finished"
    assert store.resolve(run[:6]) == run


@pytest.mark.parametrize("damage", [b"12346", b"1234", None])
def test_a_flipped_short_or_missing_artifact_is_found(finished, damage):
    store, run = finished
    path = store.folder(run) / "numbers.bin"
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(StoreError, match=r"numbers.bin: .*needs the"):
        store.read(run, "numbers.bin")


def test_without_a_manifest_nothing_is_read(finished):
    store, run = finished
    (store.folder(run) / MANIFEST).unlink()
    assert store.entry(run).state == "unfinished"
    with pytest.raises(StoreError, match="needs a finished run"):
        store.read(run, "numbers.bin")
    with pytest.raises(RequestError, match="not finished"):
        Run(store, run)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(finished, monkeypatch):
    store, run = finished

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match=r"numbers.bin: No space left on device, needs a disk with room"):
        store.write(run, "numbers.bin", b"67890")
    assert store.read(run, "numbers.bin") == b"12345"
    assert sorted(p.name for p in store.folder(run).iterdir()) == [MANIFEST, "numbers.bin", "spec.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path):
    path, contents = tmp_path / "file", [bytes([k]) * 200_000 for k in range(2)]
    write_whole(path, contents[0])
    stop = threading.Event()

    def writer() -> None:
        while not stop.is_set():
            for content in contents:
                write_whole(path, content)

    thread = threading.Thread(target=writer)
    thread.start()
    seen, reads = set(), 0
    try:
        while reads < 300 or not set(contents) <= seen:  # both files, however seldom the writer has its turn
            seen.add(path.read_bytes())
            reads += 1
    finally:
        stop.set()
        thread.join()
    assert seen == set(contents)


def test_checkpoints_come_back_to_the_bit_and_a_damaged_one_is_told(finished):
    store, run = finished
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5)}
    store.save_checkpoint(run, tensors, {"step": "7"})
    back, text = store.checkpoint(run) or ({}, {})
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert text == {"step": "7"}
    path = store.folder(run) / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreError, match=r"checkpoint.safetensors: .*needs a whole checkpoint"):
        store.checkpoint(run)


def test_a_spec_of_another_schema_is_recognised(finished):
    store, run = finished
    path = store.folder(run) / "spec.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 0}))
    with pytest.raises(StoreError, match="got schema 0, needs 3"):
        store.spec(run)


def test_ids_are_found_by_their_beginning_only_if_it_is_one(finished):
    store, _ = finished
    for prefix in ("zz", ""):
        with pytest.raises(RequestError, match="which names no run"):
            store.resolve(prefix)


def test_remove(finished):
    store, run = finished
    store.remove(run)
    assert store.ids() == []
    with pytest.raises(RequestError):
        store.resolve(run)


def test_a_store_that_cannot_be_written_is_told(tmp_path: Path, tiny: RunSpec):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"store .*file/store: Not a directory, needs a folder that can be written"):
        train(tiny, tmp_path / "file" / "store")


def _hold(path: Path, run: str, held, release) -> None:
    with Store(path).lease(run):
        held.set()
        release.wait(600)


def test_a_lease_excludes_others_and_dies_with_its_holder(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, "run", held, release))
    holder.start()
    assert held.wait(600)
    entered = threading.Event()

    def wait_for_it() -> None:
        with Store(tmp_path).lease("run"):
            entered.set()

    thread = threading.Thread(target=wait_for_it, daemon=True)
    thread.start()
    assert not entered.wait(0.5)
    holder.kill()
    assert entered.wait(600)
    thread.join()
    holder.join()


def test_removing_a_linked_run_removes_the_link(tiny: RunSpec, run: Run, store: Path, tmp_path: Path):
    original = shutil.copytree(store / run.id, tmp_path / "original")
    (tmp_path / "st").mkdir()
    (tmp_path / "st" / run.id).symlink_to("../original")
    Store(tmp_path / "st").remove(run.id)
    assert not (tmp_path / "st" / run.id).is_symlink()
    assert (original / MANIFEST).exists()
