"""Each tracker is read back by its own software."""

from pathlib import Path

import pytest

from hyperfactor import RequestError, RunSpec, train
from hyperfactor.runs import track

from ..shell import hyperfactor, one_line


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
    run = train(tiny, tmp_path / "store", track="wandb:hyperfactor")
    (file,) = (tmp_path / "wandb").glob(f"offline-run-*/run-{tiny.id}.wandb")
    content = file.read_bytes()
    assert b"train.right" in content
    found = [repr(loss).encode() in content for loss in run.history["loss"]]
    assert sum(found) >= len(found) - 1  # one may be cut where a block of the file ends


def test_a_tracker_changes_no_bit(tiny: RunSpec, tmp_path: Path):
    plain = train(tiny, tmp_path / "plain", threads=1)
    watched = train(tiny, tmp_path / "watched", threads=1, track=f"tensorboard:{tmp_path / 'board'}")
    name = "weights.safetensors"
    assert plain._store.read(plain.id, name) == watched._store.read(watched.id, name)


def test_what_is_no_tracker_is_told(tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for target in ("paper", "tensorboard:", "nothing:x"):
        with pytest.raises(RequestError, match=f"track: got '{target}', needs tensorboard:FOLDER"):
            train(tiny, tmp_path, track=target)

    def missing(_place: str, _spec: RunSpec):
        raise ImportError("No module named 'wandb'")

    monkeypatch.setitem(track._KINDS, "wandb", missing)
    with pytest.raises(RequestError, match="No module named 'wandb'.*needs pip install 'hyperfactor\\[track\\]'"):
        train(tiny, tmp_path, track="wandb:x")


def test_the_commands_pass_the_tracker_on(tmp_path: Path):
    (tmp_path / "spec.yaml").write_text("seed: 0\n")
    for command in ("train", "sweep"):
        if command == "sweep":
            (tmp_path / "spec.yaml").write_text("base: {seed: 0}\n")
        done = hyperfactor(command, "spec.yaml", "--track", "paper:x", cwd=tmp_path)
        one_line(done, "track: got 'paper:x', needs tensorboard:FOLDER")
