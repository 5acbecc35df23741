"""Pairs of *time to 95 %*: seconds of one-thread training until 95 % of 1,024 periodic bumps are right in x and y.

Seconds are processor time, which other processes disturb little.

Our figure is that of the smallest planned training that gets there. Each planned number of steps is a whole training
with its own cosine, and only the training is timed, not the drawings by which it is judged. A network of another
package with our recipe is treated in the same way. The share that a planned training reaches does not depend on how
busy the machine is, so that shares are kept in a file, and an interrupted search can continue.

A peer with its own recipe is trained once, with the schedule of its documentation, planned for LIMIT times our time.
Its averaged weights are examined PEEKS times on the way, by EXAMINED drawings. A peer that has not arrived after LIMIT
times our time is stopped.
"""

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.networks import around, bumps
from benchmarks.peers import Diffusers, Lucidrains, lucidrains
from benchmarks.ratios import AtLeast, Pair
from hyperfactor import RunSpec, rng
from hyperfactor.generators.base import Generator
from hyperfactor.runs.run import build_model, draw
from hyperfactor.subjects.judge import judge
from hyperfactor.training.loop import fit

# Muon and a larger start of the condition's projections, which a peer's network does not have, take fewer steps.
RECIPE: dict[str, Any] = {"training": {"optimizer": "muon", "ema": 0.98}, "model": {"condition_gain": 3.0}}
SHARE = 0.95
LIMIT = 30.0
PLANNED = (100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 1000, 1200, 1500, 2000, 3000)  # steps
PEEKS, EXAMINED = 10, 64
PROBED = 2  # steps that measure the rate of a peer with its own recipe
RATED = 10  # steps that measure the rate of a peer with our recipe
DRAWN_IN = 10  # DDIM steps of a peer's drawings
Draw = Callable[[np.ndarray], np.ndarray]
Build = Callable[[RunSpec], Generator]


def share(spec: RunSpec, drawing: Draw, points: np.ndarray) -> float:
    """The share of drawings of points that are right in both factors."""
    return float(judge(spec.task, "lattice", points, drawing(points))["all"].mean())  # pyright: ignore


def examined(spec: RunSpec, count: int) -> np.ndarray:
    """Some of the points, drawn at random."""
    return rng.stream(0, "benchmark.examined").permutation(spec.task.points)[:count]


def planned(steps: int, build: Build) -> tuple[RunSpec, Generator, float]:
    """A whole training of that many steps: its spec, the model, and the seconds that it took."""
    spec = bumps(steps, **RECIPE)
    model = build(spec)
    spec.task.batch(np.arange(1))  # render
    began = time.process_time()
    model, _ = fit(model, spec.task, spec.training, spec.seed)
    return spec, model, time.process_time() - began


def smallest(arrives: Callable[[int], bool], plans: Sequence[int], first: int) -> int | None:
    """The smallest plan that arrives; None if none does. A plan is taken to arrive if a smaller one does.

    Looks at plan number `first`. If it arrives, looks at smaller ones until one does not; else at larger ones until one
    does.
    """
    if first >= len(plans):
        return None
    if not arrives(plans[first]):
        return next((plan for plan in plans[first + 1 :] if arrives(plan)), None)
    while first and arrives(plans[first - 1]):
        first -= 1
    return plans[first]


@dataclass
class Search:
    """The search for the smallest planned training that reaches a share.

    Attributes
    ----------
    needed : float
        The share.
    plans : sequence of int
        Numbers of steps, in increasing order.
    file : Path
        Where the shares that planned trainings reached are kept.
    shares : dict of str to float
        Those that are known, by network and spec.
    """

    needed: float
    plans: Sequence[int]
    file: Path
    shares: dict[str, float]

    def reached(self, steps: int, name: str, build: Build) -> float:
        """The share that is right after a planned training."""
        key = f"{name}, {steps} steps, spec {bumps(steps, **RECIPE).id}"
        if key not in self.shares:
            spec, model, _ = planned(steps, build)
            self.shares[key] = share(spec, lambda points: draw(model, spec, points, 0), spec.task.points)
            self.file.write_text(json.dumps(self.shares, indent=1) + "\n")
        return self.shares[key]

    def steps(self, name: str, build: Build, plans: Sequence[int], first: int = 0) -> int | None:
        """The number of steps of the smallest plan that arrives."""
        return smallest(lambda steps: self.reached(steps, name, build) >= self.needed, plans, first)

    def our_steps(self) -> int:
        """Ours. RuntimeError if no plan arrives."""
        if found := self.steps("ours", build_model, self.plans):
            return found
        raise RuntimeError(f"learning: got less than {self.needed} after {self.plans[-1]} steps")

    def ours(self) -> float:
        """Our time to the share."""
        return planned(self.our_steps(), build_model)[2]

    def same_recipe(self, limit: float, kind: Callable[[int], nn.Module]) -> float:
        """The time to the share of another network with our recipe, or the limit if it does not arrive by then."""

        def build(spec: RunSpec) -> Generator:
            return around(spec, kind)

        most = limit / planned(RATED, build)[2] * RATED
        longer = [round(self.plans[-1] * 1.5**k) for k in range(1, 20)]
        plans = [steps for steps in (*self.plans, *longer) if steps <= most]
        steps = self.steps(kind.__name__, build, plans, self.plans.index(self.our_steps()))
        seconds = planned(steps, build)[2] if steps else math.inf
        return seconds if seconds <= limit else AtLeast(limit)


class Recipe:
    """A peer with the training of its own documentation.

    Parameters
    ----------
    module : Module
        What is trained.
    loss : callable
        loss(images, conditions): the loss of true pictures in [0, 1].
    drawing : callable
        drawing(module, conditions): pictures in [0, 1].
    rate, warmup, cosine, betas, ema, clip
        AdamW's rate; steps of linear warm-up; whether a cosine to 0 follows; its betas; the decay of the running mean;
        the largest norm of the gradient.
    batch : int
        Pictures in a batch.
    """

    def __init__(
        self, module: nn.Module, loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
        drawing: Callable[[nn.Module, Tensor], Tensor], rate: float, warmup: int = 0, cosine: bool = False,
        betas: tuple[float, float] = (0.9, 0.999), ema: float = 0.995, clip: float = 1.0, batch: int = 16,
    ):  # fmt: skip
        self.module, self.average = module, copy.deepcopy(module)
        self.loss, self.drawing, self.batch, self.ema, self.clip = loss, drawing, batch, ema, clip
        self.optimizer = torch.optim.AdamW(module.parameters(), lr=rate, betas=betas)
        self.rate, self.warmup, self.cosine = rate, warmup, cosine

    def step(self, step: int, steps: int, images: Tensor, conditions: Tensor) -> None:
        done = max(0, step - self.warmup) / max(1, steps - self.warmup)
        factor = (1 + math.cos(math.pi * min(1.0, done))) / 2 if self.cosine else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (step + 1) / max(1, self.warmup)) * factor
        self.loss(self.module, images, conditions).backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            decay = min(self.ema, (1 + step) / (10 + step))
            for of_average, weight in zip(self.average.parameters(), self.module.parameters(), strict=True):
                of_average.lerp_(weight, 1 - decay)

    @torch.no_grad()
    def draw(self, spec: RunSpec, points: np.ndarray) -> np.ndarray:
        return self.drawing(self.average, torch.from_numpy(spec.task.encode(points))).clamp(0, 1).numpy()


def batches(spec: RunSpec, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    step = 0
    while True:
        chosen = rng.stream(0, "benchmark.batch", step).integers(len(spec.task), size=batch)
        images, conditions = spec.task.batch(chosen)
        yield torch.from_numpy(images), torch.from_numpy(conditions)
        step += 1


def own_recipe(needed: float, limit: float, make: Callable[[int], Recipe], looks: tuple[int, int]) -> float:
    """The time to a share of a peer with its own recipe, or the limit if it has not arrived by then.

    `looks` has the number of looks on the way and of drawings in each. The time of drawings is not counted.
    """
    peeks, count = looks
    spec, recipe = bumps(1), make(bumps(1).task.width)
    data = batches(spec, recipe.batch)
    began = time.process_time()
    for step in range(PROBED):
        recipe.step(step, 10**6, *next(data))
    spent = time.process_time() - began
    steps = max(PROBED + 1, int(limit / spent * PROBED))
    when = {max(PROBED, round(steps * (k + 1) / peeks)) for k in range(peeks)}
    for step in range(PROBED, 2 * steps):  # the rate may have been underestimated
        began = time.process_time()
        recipe.step(step, steps, *next(data))
        spent += time.process_time() - began
        if spent >= limit:
            break
        if step in when and share(spec, lambda points: recipe.draw(spec, points), examined(spec, count)) >= needed:
            return spent
    arrived = share(spec, lambda points: recipe.draw(spec, points), examined(spec, count)) >= needed
    return spent if arrived else AtLeast(spent)


def diffusers_recipe(code: int) -> Recipe:
    """The documented training of diffusers: AdamW at 1e-4, 500 steps of warm-up, a cosine, epsilon, batch 16."""
    from diffusers import DDIMScheduler, DDPMScheduler  # pyright: ignore[reportPrivateImportUsage]

    scheduler = DDPMScheduler(num_train_timesteps=1000)

    def loss(network: nn.Module, images: Tensor, conditions: Tensor) -> Tensor:
        x, noise, timesteps = 2 * images - 1, torch.randn_like(images), torch.randint(1000, (len(images),))
        noisy: Any = scheduler.add_noise(x, noise, timesteps)  # pyright: ignore[reportArgumentType]
        return nn.functional.mse_loss(network(noisy, timesteps, conditions), noise)

    def drawing(network: nn.Module, conditions: Tensor) -> Tensor:
        sampler: Any = DDIMScheduler.from_config(scheduler.config)
        sampler.set_timesteps(DRAWN_IN)
        x = torch.randn(len(conditions), 1, 32, 32)
        for timestep in sampler.timesteps:
            x = sampler.step(network(x, timestep.expand(len(x)), conditions), timestep, x).prev_sample
        return (x + 1) / 2

    return Recipe(Diffusers(code, full=True), loss, drawing, 1e-4, warmup=500, cosine=True)


def lucidrains_recipe(code: int) -> Recipe:
    """The training of the README of denoising-diffusion-pytorch: a rate of 8e-5, batches of 32, no schedule."""
    network = Lucidrains(code, full=True)
    diffusion = lucidrains().GaussianDiffusion(network, image_size=32, timesteps=1000, sampling_timesteps=DRAWN_IN)

    def loss(module: Any, images: Tensor, conditions: Tensor) -> Tensor:
        module.model.embedding.condition = conditions
        return module(images)

    def drawing(module: Any, conditions: Tensor) -> Tensor:
        module.model.embedding.condition = conditions
        return module.sample(batch_size=len(conditions))

    return Recipe(diffusion, loss, drawing, 8e-5, betas=(0.9, 0.99), batch=32)


def published(code: int) -> Recipe:
    """The published network with the recipe of examples/published.yaml: width 64, epsilon, batch 64."""
    model: Any = {"width": 64, "attention": ["down1", "down2", "down3", "up1", "up2", "up3"]}
    diffusion = {"prediction": "epsilon", "time_bias": 1.0, "signal_weight": 0.0}
    spec = bumps(1, model=model, diffusion=diffusion, sampling={"sampler": "ddim", "steps": DRAWN_IN})
    noise = rng.torch_stream(0, "benchmark.published")

    def loss(generator: Any, images: Tensor, conditions: Tensor) -> Tensor:
        return generator.loss(images, conditions, noise)

    def drawing(generator: Any, conditions: Tensor) -> Tensor:
        streams = [rng.torch_stream(0, "benchmark.draw", k) for k in range(len(conditions))]
        return generator.sample(conditions, streams)

    return Recipe(build_model(spec), loss, drawing, 4e-4, warmup=200, cosine=True, ema=0.999, batch=64)


def pairs(quick: bool, folder: Path, resume: bool) -> list[Pair]:
    """The pairs of this module.

    Parameters
    ----------
    quick : bool
        Whether a training counts after 20 steps.
    folder : Path
        Where shares are kept, in learning.json.
    resume : bool
        Whether the shares that are there hold.
    """
    needed, plans, looks = (0.0, (20,), (1000, 2)) if quick else (SHARE, PLANNED, (PEEKS, EXAMINED))
    file = folder / "learning.json"
    search = Search(needed, plans, file, json.loads(file.read_text()) if resume and file.exists() else {})
    same = {"diffusers": Diffusers, "denoising-diffusion-pytorch": Lucidrains}
    own = {
        "diffusers": diffusers_recipe, "denoising-diffusion-pytorch": lucidrains_recipe, "published network": published
    }  # fmt: skip
    return [
        *(
            Pair(
                f"learning: {name}, our recipe", "s", f"{name}, as many weights, our recipe",
                search.ours, lambda seconds, kind=kind: search.same_recipe(LIMIT * seconds, kind), 1,
            )
            for name, kind in same.items()
        ),
        *(
            Pair(
                f"learning: {name}, own recipe", "s", f"{name}, its documented network and recipe",
                search.ours, lambda seconds, make=make: own_recipe(needed, LIMIT * seconds, make, looks), 1,
            )
            for name, make in own.items()
        ),
    ]  # fmt: skip
