import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from torch import nn

from hyperfactor import DivergedError, RequestError, Run, RunSpec, Store, StoreError, train
from hyperfactor.generators.decoder import Decoder, PerceptronSpec
from hyperfactor.generators.denoiser import Denoiser
from hyperfactor.store.store import CHECKPOINT
from hyperfactor.store.verify import verify


def weights(run: Run) -> bytes:
    return (run._store.folder(run.id) / "weights.safetensors").read_bytes()


def test_a_finished_run_is_returned_at_once(run: Run, tiny: RunSpec, store: Path):
    before = (store / tiny.id / "manifest.json").stat().st_mtime_ns
    assert train(tiny, store).id == run.id
    assert (store / tiny.id / "manifest.json").stat().st_mtime_ns == before


def test_the_same_spec_gives_the_same_bits(run: Run, tiny: RunSpec, tmp_path: Path):
    assert weights(train(tiny, tmp_path / "again", threads=1)) == weights(run)
    assert weights(train(tiny.model_copy(update={"seed": 1}), tmp_path)) != weights(run)


def test_the_manifest_says_how_the_run_was_made(run: Run):
    assert run.manifest["trained_points"] == (22 - 3) ** 2
    assert run.manifest["parameters"] == sum(p.numel() for p in run.model.parameters())
    assert set(run.manifest["versions"]) == {"python", "hyperfactor", "torch", "diffusers", "numpy"}
    assert not (run._store.folder(run.id) / CHECKPOINT).exists()


KILLED = """
import json, os, signal, sys
from hyperfactor import RunSpec, train
from hyperfactor.generators.decoder import Decoder, PerceptronSpec
from hyperfactor.generators.denoiser import Denoiser

spec, store, moments = RunSpec.model_validate_json(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])

def dies_at(moment):
    left = [moment]
    def tick():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def counted(function):
        def call(*arguments, **options):
            tick()
            result = function(*arguments, **options)
            tick()
            return result
        return call
    for where, name in ((os, "fsync"), (os, "replace"), (os, "unlink"), (Denoiser, "loss")):
        setattr(where, name, counted(getattr(where, name)))

killed = 0
for moment in [*moments, 0]:
    child = os.fork()
    if not child:
        dies_at(moment)
        train(spec, store, threads=1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    killed += status == signal.SIGKILL
print(killed)
"""


def test_a_run_killed_at_any_moment_ends_in_the_same_weights(run: Run, tiny: RunSpec, tmp_path: Path):
    """SIGKILL before or after a file is flushed, renamed or deleted, or a loss is computed, several times in a row."""
    random_ = random.Random(0)
    moments = [1, 2, 3, *(random_.randrange(1, 24) for _ in range(9))]
    command = [sys.executable, "-c", KILLED, tiny.model_dump_json(), str(tmp_path / "killed"), json.dumps(moments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 6  # of a run that takes about 100 such steps
    store = Store(tmp_path / "killed")
    again = Run(store, tiny.id)
    assert weights(again) == weights(run)
    assert again.history.drop("seconds").equals(run.history.drop("seconds"))
    assert again.evaluate().equals(run.evaluate())
    assert list(verify(store)) == []


def test_a_run_interrupted_in_this_process_ends_in_the_same_weights(run: Run, tiny: RunSpec, tmp_path: Path):
    store = interrupted(tiny, tmp_path / "interrupted")
    checkpoint = store.checkpoint(tiny.id)
    assert checkpoint is not None
    earlier = json.loads(checkpoint[1]["history"])[-1]["seconds"]
    again = train(tiny, store.path, threads=1)
    assert weights(again) == weights(run)
    assert again.manifest["seconds"]["train"] == again.history["seconds"][-1] > earlier  # of both sittings


TWICE = """
import os, sys
from hyperfactor import RunSpec, train

spec, steps = RunSpec.model_validate_json(sys.argv[1]), []
others = []
for _ in range(2):
    child = os.fork()
    if not child:
        train(spec, sys.argv[2], threads=1, report=steps.append)
        os._exit(len(steps))
    others.append(child)
print(*sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in others))
"""


def test_two_processes_that_want_a_run_train_it_once(tiny: RunSpec, tmp_path: Path):
    command = [sys.executable, "-c", TWICE, tiny.model_dump_json(), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "6"], done.stderr  # reports of steps
    assert list(verify(Store(tmp_path))) == []  # which finds temporary files too
    assert Run(Store(tmp_path), tiny.id).manifest["artifacts"]


def test_divergence_fails_once_keeps_the_checkpoint_and_records_the_reason(
    tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls, loss = [], Denoiser.loss

    def diverges(self: Denoiser, images: torch.Tensor, *others) -> torch.Tensor:
        if len(images) == tiny.training.batch:  # the memory of training is estimated from the loss of one picture
            calls.append(1)
        return loss(self, images, *others) * (float("nan") if len(calls) == 5 else 1)

    monkeypatch.setattr(Denoiser, "loss", diverges)
    with pytest.raises(
        DivergedError, match=f"run {tiny.id}: training: got a loss of nan by step 6.*; the last good checkpoint is kept"
    ):
        train(tiny, tmp_path)
    store = Store(tmp_path)
    assert store.entry(tiny.id).state == "failed"
    assert store.manifest(tiny.id) is None
    tensors, text = store.checkpoint(tiny.id) or ({}, {})
    assert text["step"] == "4"
    assert all(value.isfinite().all() for value in tensors.values())
    with pytest.raises(DivergedError, match=f"`hyperfactor runs remove {tiny.id}` lets it be tried again"):
        train(tiny, tmp_path)
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("training", "reason"),
    [
        ({"evaluate_every": 0, "learning_rate": 1e30}, "drawing: got a picture that is not finite"),
        ({"evaluate_every": 1, "learning_rate": 1e30}, "drawing: got a picture that is not finite"),
        (
            {"evaluate_every": 0, "learning_rate": 1e38, "weight_decay": 10.0},
            "training: got weights that are not finite by step 1",
        ),
    ],
)
def test_a_run_whose_pictures_are_not_finite_has_failed(tiny: RunSpec, tmp_path: Path, training, reason: str):
    """One step with a learning rate so large that it destroys the weights, although the loss before it was finite."""
    changes = {"steps": 1, "warmup": 0, "record_every": 1, "checkpoint_every": 0}
    spec = RunSpec.parse({**tiny.model_dump(), "training": {**changes, **training}})
    with pytest.raises(DivergedError, match=f"run {spec.id}: {reason}"):
        train(spec, tmp_path)
    store = Store(tmp_path)
    assert store.manifest(spec.id) is None
    assert reason in (store.failure(spec.id) or {})["reason"]
    with pytest.raises(DivergedError, match=f"{reason}.*`hyperfactor runs remove {spec.id}` lets it be tried again"):
        train(spec, tmp_path)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"data": {"spacing": 0.2, "test_points": 5}, "encoding": {"kind": "one-hot", "spacing": 0.01}},
            r"pictures trained on \(data.spacing, encoding\)",
        ),
        ({"model": {"width": 40000}}, r"weights \(model.width, encoding\)"),
        ({"training": {"batch": 10**6}}, r"training steps \(training.batch, model.width\)"),
        ({"data": {"spacing": 0.1, "fraction": 1e-3}}, r"judging \(data.test_points, data.test_spacing\)"),
    ],
)
def test_a_run_that_takes_more_memory_than_there_is_is_refused(changes, what: str, tmp_path: Path):
    spec = RunSpec.parse(changes)
    with (
        mock.patch("hyperfactor.runs.execute.room", return_value=10**9),
        pytest.raises(
            RequestError, match=rf"run {spec.id}: got a spec that takes about .* GB .* for {what}; needs at most 1 GB"
        ),
    ):
        train(spec, tmp_path)
    assert list(Store(tmp_path).ids()) == []


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_truncated_checkpoint_is_told(tiny: RunSpec, tmp_path: Path, keep: float):
    store = interrupted(tiny, tmp_path)
    path = store.folder(tiny.id) / CHECKPOINT
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(StoreError, match="needs a whole checkpoint"):
        train(tiny, tmp_path)
    assert store.manifest(tiny.id) is None


def test_a_checkpoint_of_another_run_is_told(tiny: RunSpec, tmp_path: Path):
    other = tiny.model_copy(update={"model": tiny.model.model_copy(update={"width": 8})})
    store = interrupted(other, tmp_path)
    with store.lease(tiny.id):
        store.start(tiny.id, tiny.model_dump(mode="json"))
    for name in (CHECKPOINT, "snapshot-0.safetensors"):
        (store.folder(tiny.id) / name).write_bytes((store.folder(other.id) / name).read_bytes())
    with pytest.raises(StoreError, match="the checkpoint does not fit the spec"):
        train(tiny, tmp_path)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), KeyError("x"), ValueError("no"), MemoryError()])
def test_what_fails_after_a_resume_is_not_the_checkpoint(tiny: RunSpec, tmp_path: Path, error: Exception):
    store = interrupted(tiny, tmp_path)
    with pytest.raises(type(error)) as caught, mock.patch("hyperfactor.training.loop.AdamW.step", side_effect=error):
        train(tiny, tmp_path)
    assert caught.value is error
    assert store.entry(tiny.id).state == "unfinished"
    assert list(verify(store)) == []


def interrupted(spec: RunSpec, path: Path) -> Store:
    """A store in which the run stopped after its first checkpoint."""

    class StopError(Exception):
        pass

    def stop(step: int) -> None:
        if step == 4:
            raise StopError

    with pytest.raises(StopError):
        train(spec, path, report=stop)
    return Store(path)


def test_nothing_in_the_store_is_a_pickle(run: Run):
    for path in run._store.folder(run.id).iterdir():
        content = path.read_bytes()
        if path.suffix == ".safetensors":
            assert load_tensors(content)
        elif path.suffix == ".parquet":
            assert content[:4] == content[-4:] == b"PAR1"
        else:
            assert path.suffix == ".json"


class Unusual(nn.Module):
    """A network of two layers with one weight, after a BatchNorm, which refuses a single picture in training."""

    def __init__(self, shape: tuple[int, ...], condition: int):
        super().__init__()
        self.shape, self.first, self.norm = shape, nn.Linear(condition, 8), nn.BatchNorm1d(8)
        self.second, self.third, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, math.prod(shape))
        self.third.weight = self.second.weight

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        found = self.third(self.second(self.norm(self.first(code)).relu()).relu()).relu()
        return self.last(found).reshape(-1, *self.shape)


def test_a_network_with_shared_weights_and_batch_statistics_is_trained_and_kept(
    tiny: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def build(_self, shape, condition, **_sections):
        return Decoder(Unusual(shape, condition), default_layer="second")

    monkeypatch.setattr(PerceptronSpec, "build", build)
    plain, point = tiny.model_dump(include={"data", "encoding", "training"}), np.array([[1.0, 2.0]])
    plain["training"] |= {"steps": 4, "checkpoint_every": 2, "snapshots": [2]}
    run = train(RunSpec.parse({**plain, "model": {"kind": "mlp"}}), tmp_path)
    again = Run.open(tmp_path, run.id)
    network = cast(Any, again.model).network
    assert torch.equal(network.third.weight, network.second.weight)
    assert again.sample(point).shape == again.sample(point, step=2).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("threads", [0, 513, 1.5, "2", True, None])
def test_a_wrong_number_of_threads_is_refused(tiny: RunSpec, tmp_path: Path, threads):
    with pytest.raises(RequestError, match=f"threads: got {threads!r}, needs an integer in 1..512"):
        train(tiny, tmp_path, threads=threads)
