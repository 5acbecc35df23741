"""Each tracker is read back by its own software."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyperfactor import RequestError, Run, RunSpec, train
from hyperfactor.runs import track
from hyperfactor.runs.sweep import train_all

from ..shell import hyperfactor, one_line


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give trackers as much time as a busy machine needs, and forget those that earlier tests gave up."""
    monkeypatch.setattr(track, "PATIENCE", 600.0)
    track._given_up.clear()
    yield
    track._given_up.clear()


def test_tensorboard_holds_the_history(tiny: RunSpec, tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train(tiny, tmp_path / "store", track=f"tensorboard:{tmp_path / 'board'}")
    events = EventAccumulator(str(tmp_path / "board" / tiny.id))
    events.Reload()
    losses = {event.step: event.value for event in events.Scalars("loss")}
    assert list(losses) == run.history["step"].to_list()
    assert list(losses.values()) == pytest.approx(run.history["loss"].to_list())
    assert "train.right" in events.Tags()["scalars"]


@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_the_history_and_the_spec(tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    address = f"file://{tmp_path / 'mlflow'}"
    run = train(tiny, tmp_path / "store", track=f"mlflow:{address}")
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("hyperfactor")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == tiny.id
    assert found.data.params["training.steps"] == "12"
    losses = client.get_metric_history(found.info.run_id, "loss")
    assert [metric.step for metric in losses] == run.history["step"].to_list()
    assert [metric.value for metric in losses] == pytest.approx(run.history["loss"].to_list())


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_holds_the_history(tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB__SERVICE_WAIT", "WANDB_INIT_TIMEOUT"):  # 30 s and 90 s, which a loaded machine may need
        monkeypatch.setenv(name, "900")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    run = train(tiny, tmp_path / "store", track="wandb:hyperfactor", tell=told.append)
    assert told == []
    (file,) = (tmp_path / "wandb").glob(f"offline-run-*/run-{tiny.id}.wandb")
    losses = [repr(loss).encode() for loss in run.history["loss"]]

    def complete() -> bool:
        """Whether the losses are there, except for one that may be cut where a block of the file ends."""
        content = file.read_bytes()
        return b"train.right" in content and sum(loss in content for loss in losses) >= len(losses) - 1

    # A process of its own writes the file, also after wandb says that it is done.
    deadline = time.monotonic() + 600
    while not complete() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert complete()


def test_a_tracker_changes_no_bit(tiny: RunSpec, tmp_path: Path):
    plain = train(tiny, tmp_path / "plain", threads=1)
    watched = train(tiny, tmp_path / "watched", threads=1, track=f"tensorboard:{tmp_path / 'board'}")
    name = "weights.safetensors"
    assert plain._store.read(plain.id, name) == watched._store.read(watched.id, name)


@pytest.mark.parametrize(
    ("target", "needs"),
    [
        ("paper", "needs tensorboard:FOLDER, wandb:PROJECT or mlflow:ADDRESS"),
        ("tensorboard:", "needs tensorboard:FOLDER"),
        ("nothing:x", "needs tensorboard:FOLDER"),
        ("tensorboard:file", "needs a folder that can be written"),
        ("tensorboard:file/deeper", "needs a folder that can be written"),
        ("wandb:team/project", "needs a project's name without /"),
        ("mlflow:nonsense", "needs the address of a server"),
        ("mlflow:http://", "needs the address of a server"),
        ("mlflow:ftp://host/x", "needs the address of a server"),
        ("mlflow:sqlite:///x.db", "No module named 'sqlalchemy'.*needs pip install mlflow"),
    ],
)
def test_trackers_that_cannot_work_are_told_before_training(
    target: str, needs: str, tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(track, "find_spec", lambda _name: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    for call in (train, lambda spec, store, track: train_all([spec], store, track=track)):
        with pytest.raises(RequestError, match=f"track: got '{target}'.*{needs}"):
            call(tiny, tmp_path / "store", track=target)
    assert not list(tmp_path.glob("store/*/spec.json"))


def test_a_tracker_without_its_package_is_told(tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(track._MODULES, "wandb", "a_package_that_is_not_there")
    with pytest.raises(RequestError, match="No module named 'a_package.*needs pip install 'hyperfactor\\[track\\]'"):
        train(tiny, tmp_path, track="wandb:x")


def _fails_at_once(_place: str, _spec: RunSpec):
    raise ConnectionError("no route to host\nand much more")


def _ends_the_process(_place: str, _spec: RunSpec):
    raise SystemExit(3)


def _fails_with_a_row(_place: str, _spec: RunSpec):
    def log(_row: track.Row, step: int) -> None:
        if step > 4:
            raise OSError(28, "No space left on device")

    return log, lambda: None


def _fails_at_the_end(_place: str, _spec: RunSpec):
    def close() -> None:
        raise RuntimeError("not sent")

    return lambda _row, _step: None, close


def _never_answers(_place: str, _spec: RunSpec):
    threading.Event().wait()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (_fails_at_once, "ConnectionError: no route to host"),
        (_ends_the_process, "SystemExit: 3"),
        (_fails_with_a_row, "OSError: .Errno 28. No space left on device"),
        (_fails_at_the_end, "RuntimeError: not sent"),
        (_never_answers, "no answer for 0 s"),
    ],
)
def test_a_tracker_that_does_not_work_is_told_once_and_stops_nothing(
    kind, said: str, run: Run, tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(track._KINDS, "wandb", kind)
    monkeypatch.setattr(track, "PATIENCE", 0.05)
    told: list[str] = []
    watched = train(tiny, tmp_path / "one", track="wandb:project", tell=told.append)
    (line,) = told
    assert re.fullmatch(rf"track: wandb:project does not work \({said}\); the store keeps the history", line)
    name = "weights.safetensors"
    assert run._store.read(run.id, name) == watched._store.read(watched.id, name)

    monkeypatch.setitem(track._KINDS, "wandb", lambda *_: pytest.fail("it is tried again in this process"))
    training = tiny.training.model_copy(update={"steps": 2, "evaluate_every": 0, "snapshots": ()})
    train(tiny.model_copy(update={"training": training}), tmp_path / "one", track="wandb:project", tell=told.append)
    assert told == [line]


def test_a_slow_tracker_gets_every_row(run: Run, tiny: RunSpec):
    """The end of a run waits as long as the tracker makes progress."""
    got: list[int] = []

    def slow(_place: str, _spec: RunSpec):
        return lambda _row, step: (time.sleep(0.02), got.append(step)), lambda: None

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(track._KINDS, "wandb", slow)
        with track.tracker("wandb:project", tiny) as record:
            for row in run.history.to_dicts():
                record(row)
    assert got == run.history["step"].to_list()


def test_the_commands_pass_the_tracker_on(tmp_path: Path):
    (tmp_path / "spec.yaml").write_text("seed: 0\n")
    for command in ("train", "sweep"):
        if command == "sweep":
            (tmp_path / "spec.yaml").write_text("base: {seed: 0}\n")
        done = hyperfactor(command, "spec.yaml", "--track", "paper:x", cwd=tmp_path)
        one_line(done, "track: got 'paper:x', needs tensorboard:FOLDER")
