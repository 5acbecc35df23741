"""Drawings of a trained model, judged by code from outside this package. Slow, because it trains a laptop model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binomtest

from hyperfactor import Run
from hyperfactor.experiments.composition import specs
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.runs.run import evaluate

pytestmark = pytest.mark.slow


def hyperfactor(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "hyperfactor.cli", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("trained")
    spec = specs("laptop", 0)["2d+1d"]
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    hyperfactor("train", folder / "spec.yaml", "--store", folder / "store", "--threads", 1)
    return folder, Run.open(folder / "store", spec.id)


def peak(profile: np.ndarray) -> float:
    """The maximum of a smoothed profile, from a parabola through its logarithm, without code of this package."""
    smooth = gaussian_filter1d(profile - np.median(profile), 0.7).clip(1e-6)
    k = int(np.clip(smooth.argmax(), 1, len(profile) - 2))
    a, b, c = np.log(smooth[k - 1 : k + 2])
    return k + 0.5 * (a - c) / (a - 2 * b + c)


def test_an_outside_program_finds_the_stripes_where_they_were_asked_for(trained: tuple[Path, Run]):
    """At requests off the lattice, over the whole window, including the held-out cross."""
    folder, run = trained
    points = np.random.default_rng(0).uniform(2, 29, (60, 2)).round(2)
    (folder / "points.csv").write_text("x,y\n" + "\n".join(f"{x},{y}" for x, y in points))
    hyperfactor(
        "sample", run.id, "--factors", folder / "points.csv", "--out", folder / "out.npz", "--store", folder / "store"
    )
    with np.load(folder / "out.npz", allow_pickle=False) as file:
        images = file["images"][:, 0]
        assert np.allclose(file["factors"], points)
    found = np.array([[peak(image.mean(axis=0)), peak(image.mean(axis=1))] for image in images])
    distance = np.abs(found - points)
    assert np.median(distance) < 0.3
    assert (distance.max(axis=1) <= 1).mean() >= 0.95


def test_20_deterministic_steps_lose_no_accuracy_against_1000_of_ddpm(trained: tuple[Path, Run]):
    """McNemar's exact test on the requests that exactly one of the two samplers gets right."""
    _, run = trained

    def right(sampler: str, steps: int) -> np.ndarray:
        model = run.model.drawing_by(SamplingSpec.parse({"sampler": sampler, "steps": steps}))
        return evaluate(model, run.spec, most=24)[0]["right"].to_numpy()

    slow = right("ddpm", 1000)
    assert slow.mean() > 0.9
    for fast in (right("ddim", 20), right("dpm-solver++", 20)):
        lost, won = int((slow & ~fast).sum()), int((fast & ~slow).sum())
        assert lost + won == 0 or binomtest(lost, lost + won, alternative="greater").pvalue > 0.01, (lost, won)
