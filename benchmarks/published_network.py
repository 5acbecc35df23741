"""The geometry of the published network's representations, with and without noise.

    python benchmarks/published_network.py [SPEC.yaml] [--device cuda] [--threads 1] [--drawings 4] [--stride 1]
        [--out FOLDER]

Trains the spec (default: examples/published.yaml) on a GPU, or a narrower one on a CPU. Draws each lattice point
several times with the model of the last step, and twice with the model of each snapshot before, and reads the layer
up1. Finished runs are not trained again. Writes two files:

- FOLDER/geometry.json has two rows for each training step, one of a single drawing a point and one without noise. The
  last step comes first. A row has the share of drawings that are right, the share of the variance that is noise, and
  the statistics of figure 3.
- FOLDER/readings.npz has the readings of two drawings of the last step, in float16, in the smallest number of
  dimensions that preserves all distances.

Two more shares of the variance of true pictures tell whether the layer shows the code of the condition itself, which
every block adds equally to all pixels: `even` is the same at all pixels, `linear` is linear in the silu of the code.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from hyperfactor import RunSpec, strict, train
from hyperfactor.experiments.lattice import every
from hyperfactor.experiments.signature import LAYER, Geometry
from hyperfactor.runs.run import Run, draw
from hyperfactor.subjects.judge import judge

HERE = Path(__file__).parent


def read(run: Run, step: int, drawings: int, stride: int, device: str) -> tuple[list[np.ndarray], dict[str, float]]:
    """The readings (n_1, n_2, d) of a step, and the shares of drawings at the right place and right."""
    spec = run.spec
    points, sides = every(spec.data, stride)
    model = run.model_at(step).to(device)
    readings, shares = [], []
    for seed in range(drawings):
        images = draw(model, spec, points, seed)
        shares.append(judge(spec.task, "lattice", points, images).select("all", "right").mean().row(0))
        found = run.activations(LAYER, factors=points, step=step, pictures=images, seed=seed)[LAYER]
        readings.append(found.reshape(*sides, -1).astype(np.float64))
    both, right = np.mean(shares, axis=0)
    return readings, {"both": float(both), "right": float(right)}


def in_few_dimensions(readings: list[np.ndarray]) -> list[np.ndarray]:
    """The readings in the span of all their points, which preserves all distances."""
    flat = np.stack(readings).reshape(-1, readings[0].shape[-1])
    flat = flat - flat.mean(axis=0)
    values, axes = np.linalg.eigh(flat @ flat.T)
    spanned = values > values[-1] * len(flat) * np.finfo(float).eps
    coordinates = axes[:, spanned][:, ::-1] * np.sqrt(values[spanned][::-1])
    return list(coordinates.reshape(len(readings), *readings[0].shape[:-1], -1))


def of_the_code(run: Run, step: int) -> dict[str, float]:
    """The shares of the layer's variance that are even over pixels, and linear in what blocks project."""
    points, task = run.spec.data.test_lattice(), run.spec.task
    asked = {"factors": points, "step": step, "pictures": task.render(points)}
    whole, even = (run.activations(LAYER, pool=pool, **asked)[LAYER].astype(np.float64) for pool in (None, "mean"))
    pixels = whole.shape[1] // even.shape[1]
    code = task.encode(points).astype(np.float64)
    regressors = np.c_[np.ones(len(code)), code / (1 + np.exp(-code))]
    left = whole - regressors @ np.linalg.lstsq(regressors, whole, rcond=None)[0]
    total = whole.var(axis=0).sum()
    return {"even": float(pixels * even.var(axis=0).sum() / total), "linear": float(1 - left.var(axis=0).sum() / total)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", nargs="?", default=HERE.parent / "examples" / "published.yaml")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--threads", type=int, default=1, help="of torch, on the CPU")
    parser.add_argument("--drawings", type=int, default=4)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--store", default="hyperfactor-store")
    parser.add_argument("--out", type=Path, default=Path("published-network"))
    parser.add_argument("--set", nargs="*", default=[], help="keys of the spec, such as training.steps=100")
    given = parser.parse_args()
    run = train(
        RunSpec.load(given.spec, given.set), given.store, device=given.device, threads=given.threads, report=print
    )
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    rows, last = [], run.spec.training.steps
    for step in sorted({*run.spec.training.snapshots, last}, reverse=True):
        count = given.drawings if step == last else min(2, given.drawings)
        readings, shares = read(run, step, count, given.stride, given.device)
        shares |= of_the_code(run, step)
        if step == last:
            kept = np.stack(in_few_dimensions(readings[:2]))
            np.savez_compressed(given.out / "readings.npz", readings=kept.astype(np.float16))
        readings = in_few_dimensions(readings)
        for kind, some in (("plain", readings[:1]), ("corrected", readings)):
            rows.append(
                {"step": step, "kind": kind, **shares, **Geometry(run.spec.seed, some, run.spec.task.space).row()}
            )
            print(rows[-1], flush=True)
        (given.out / "geometry.json").write_text(strict.dump_json(rows))


if __name__ == "__main__":
    main()
