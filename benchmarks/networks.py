"""Pairs of pictures per second: training and drawing, one thread, networks with about as many weights as ours.

Every network is trained and drawn from by this project's own code, so only the networks differ.
"""

import time
from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from benchmarks.machine import product_rate
from benchmarks.peers import Around, Diffusers, Lucidrains
from benchmarks.ratios import Pair
from hyperfactor import RunSpec, rng
from hyperfactor.generators.base import Generator
from hyperfactor.runs import cost
from hyperfactor.runs.run import build_model
from hyperfactor.training.loop import fit

DRAWN = 64  # pictures in a batch of drawings
KINDS = {"diffusers": Diffusers, "denoising-diffusion-pytorch": Lucidrains}


def bumps(steps: int, **sections: dict) -> RunSpec:
    """The spec of a training on 1,024 periodic bumps, one a pixel."""
    training = {"steps": steps, "batch": 16, "evaluate_every": 0, "checkpoint_every": 0, **sections.pop("training", {})}
    picture = {"family": "bump", "boundary": "periodic"}
    encoding = {"kind": "periodic", "harmonics": 3}
    data = {"picture": picture, "spacing": 1.0}
    return RunSpec.parse({"data": data, "encoding": encoding, "training": training, **sections})


def around(spec: RunSpec, kind: Callable[[int], nn.Module]) -> Generator:
    """The generator of a spec with a network of another package."""
    with rng.torch_seeded(spec.seed, "benchmark.weights"):
        network = kind(spec.task.width)
    return Around(network, spec.data.picture.shape, spec.diffusion, spec.sampling, spec.data.picture.background)


@cache
def model(kind: Callable[[int], nn.Module] | None = None) -> Generator:
    """An untrained generator: ours, or one with another network."""
    spec = bumps(1)
    return around(spec, kind) if kind else build_model(spec)


def trained(steps: int, kind: Callable[[int], nn.Module] | None = None) -> float:
    """Pictures a second in training."""
    spec, untrained = bumps(steps), model(kind)
    _ = spec.task.batch(torch.arange(1).numpy())  # render
    began = time.perf_counter()
    fit(untrained, spec.task, spec.training, spec.seed)
    return steps * spec.training.batch / (time.perf_counter() - began)


def drawn(batches: int, kind: Callable[[int], nn.Module] | None = None) -> float:
    """Pictures a second in drawing, with the steps of the spec."""
    spec, generator = bumps(1), model(kind)
    condition = torch.from_numpy(spec.task.encode(spec.task.points[:DRAWN]))
    began = time.perf_counter()
    for batch in range(batches):
        generator.sample(condition, [rng.torch_stream(batch, "benchmark.draw", k) for k in range(DRAWN)])
    return batches * DRAWN / (time.perf_counter() - began)


def training_gflops(steps: int) -> float:
    """GFLOP/s of our training: operations of convolutions and matrix products alone."""
    spec = bumps(steps)
    return cost.training(spec) / (steps * spec.training.batch) * trained(steps) / 1e9


def drawing_gflops(batches: int) -> float:
    """GFLOP/s of our drawing, counted in the same way."""
    spec = bumps(1)
    return cost.judging(spec) / len(spec.task.judged()) * drawn(batches) / 1e9


def pairs(quick: bool) -> list[Pair]:
    """The pairs of this module."""
    steps, batches, repeats = (1, 1, 1) if quick else (40, 1, 5)
    found = []
    for name, kind in KINDS.items():
        found += [
            Pair(
                f"training: {name}", "pictures/s", f"{name}, as many weights",
                lambda: trained(steps), lambda _, kind=kind: trained(steps, kind), repeats,
            ),
            Pair(
                f"drawing: {name}", "pictures/s", f"{name}, as many weights",
                lambda: drawn(batches), lambda _, kind=kind: drawn(batches, kind), repeats,
            ),
        ]  # fmt: skip
    for name, rate in {"training": lambda: training_gflops(steps), "drawing": lambda: drawing_gflops(batches)}.items():
        other = "matrix product"
        found.append(Pair(f"{name}: share of the peak", "GFLOP/s", other, rate, lambda _: product_rate(0.3), repeats))
    return found
