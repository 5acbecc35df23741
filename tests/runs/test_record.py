# pyright: reportArgumentType=false
"""The stored data of a run, read without torch, and a run as a subject."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hyperfactor import Record, RequestError, Run, study
from hyperfactor.runs import run as run_module

READING = """
import sys
from hyperfactor import Record
record = Record.open(sys.argv[1], sys.argv[2])
print(len(record.history), len(record.evaluation), len(record.accuracy()), *record.pictures[1].shape)
print("torch" in sys.modules)
"""


def test_reading_a_record_does_not_import_torch(run: Run, store: Path):
    command = [sys.executable, "-c", READING, str(store), run.id]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    count = len(run.pictures[1])
    assert out.split() == [*map(str, (len(run.history), len(run.evaluate()), 2, count, 1, 16, 16)), "False"]


def test_a_record_says_what_the_run_says(run: Run, store: Path):
    record = Record.open(store, run.id)
    assert record.spec == run.spec
    assert record.history.equals(run.history)
    assert record.evaluation.equals(run.evaluate())
    assert record.accuracy().equals(run.accuracy())
    assert repr(record) == f"Record({run.id})"
    assert not hasattr(record, "sample")


def test_the_models_of_a_few_steps_are_loaded_once(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch):
    built = []
    make = run_module.build_model
    monkeypatch.setattr(run_module, "build_model", lambda *given: built.append(given) or make(*given))
    again = Run.open(store, run.id)
    for _ in range(3):
        for step in (None, 0, 5, 12):
            again.sample([[3, 4]], step=step)
    assert len(built) == 3  # 12 is the last step, which None stands for
    monkeypatch.setattr(run_module, "MODELS", 1)
    again.sample([[3, 4]], step=0)
    assert len(built) == 3
    again.sample([[3, 4]], step=5)
    assert len(built) == 4


def test_a_device_that_is_not_there_is_refused(run: Run, store: Path):
    for device in ("cuda:77", "nothing", 3.5):
        with pytest.raises(RequestError, match="device: got"):
            Run.open(store, run.id, device=device)  # pyright: ignore[reportArgumentType]
    assert str(Run.open(store, run.id, device="cpu").device) == "cpu"


def test_a_run_is_a_subject(run: Run):
    points = run.spec.task.region("held_out")
    found = study(run, factors=points, landmarks=12, max_dim=1)
    assert found.subject == repr(run)
    assert found.factors == ("x", "y")
    assert set(found.layers) == {"up1"}
    layer = run.activations("up1", factors=points)["up1"]
    centred = layer.astype(np.float64) - layer.mean(axis=0)
    axes = np.linalg.svd(centred, compute_uv=False) ** 2
    spectrum = found.layers["up1"].spectrum
    assert spectrum is not None
    assert spectrum[:5] == pytest.approx((axes / axes.sum())[:5], rel=1e-4)
    judged = run.evaluate("held_out")
    assert found.drawings is not None
    assert found.drawings.correct["x"] == judged["x_correct"].mean()
    assert found.drawings.reading_errors is not None
    assert found.drawings.reading_errors["x"] == 0
