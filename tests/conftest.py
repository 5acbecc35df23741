"""What several tests share: a tiny spec, and a finished run of it."""

from pathlib import Path

import pytest
import torch

from hyperfactor import Run, RunSpec, train

torch.set_num_threads(1)

TINY = {
    "data": {
        "picture": {"family": "sos", "size": 16, "canvas": 22},
        "train": {"kind": "difference", "of": {"kind": "everything"}, "without": {"kind": "cross", "low": 6, "high": 8}},
        "test": {"held_out": {"kind": "rectangle", "bounds": {"x": [6, 8], "y": [0, 15]}}},
        "test_points": 7,
    },
    "model": {"width": 4, "attention": [4]},
    "training": {
        "steps": 12, "batch": 4, "warmup": 2, "record_every": 2, "evaluate_every": 6, "checkpoint_every": 2,
        "snapshots": [0, 5, 12],
    },
    "sampling": {"steps": 3},
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny() -> RunSpec:
    return RunSpec.parse(TINY)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def run(tiny: RunSpec, store: Path) -> Run:
    return train(tiny, store)
