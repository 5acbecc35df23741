"""A set of pictures that is too large for memory is trained on at once."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from hyperfactor import RunSpec, train
from hyperfactor.images import Shapes
from hyperfactor.runs.cost import memory

MANY = Path(__file__).parents[2] / "examples" / "many.yaml"
QUICK = [
    "model={width: 4, attention: []}", "sampling.steps=2", "data.test_points=3",
    "training={steps: 4, batch: 5, warmup: 1, record_every: 2, evaluate_every: 0, checkpoint_every: 2}",
]  # fmt: skip


def test_a_run_of_737_280_pictures_renders_those_of_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rendered, while_training, render = [], [], Shapes.render

    def counted(self: Shapes, points: np.ndarray) -> np.ndarray:
        rendered.append(len(points))
        return render(self, points)

    monkeypatch.setattr(Shapes, "render", counted)
    spec = RunSpec.load(MANY, QUICK)
    run = train(spec, tmp_path, report=lambda _step: while_training.append(sum(rendered)))
    assert run.manifest["trained_points"] == len(spec.task) == 737_280
    assert while_training == [2 * 5, 4 * 5]
    assert sum(rendered) < 100  # those that are judged too


def test_737_280_pictures_take_36_gb_and_their_points_a_hundredth():
    tracemalloc.start()
    try:
        spec = RunSpec.load(MANY)
        images, conditions = spec.task.batch(np.array([0, 737_279]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(spec.task) * images[0].nbytes > 36e9
    assert len(np.unique(conditions, axis=0)) == 2
    assert peak < 36e9 / 100
    assert memory(spec).total < 2e9
