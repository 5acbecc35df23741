"""Pairs of *time to 95 %*: seconds of one-thread training until 95 % of 1,024 periodic bumps are right in x and y.

Our figure is that of the smallest planned training that gets there. Each planned number of steps is a whole training
with its own cosine, and only the training is timed, not the drawings by which it is judged. A network of another
package with our recipe is treated in the same way.

A peer with its own recipe is trained once, with the schedule of its documentation, planned for LIMIT times our time.
Its averaged weights are examined PEEKS times on the way, by EXAMINED drawings. A peer that has not arrived after LIMIT
times our time is stopped.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from functools import cache
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

SHARE = 0.95
LIMIT = 30.0
PLANNED = (200, 250, 300, 400, 500, 600, 700, 850, 1000, 1200, 1500, 2000, 3000)  # steps
PEEKS, EXAMINED = 10, 64
PROBED = 2  # steps that measure the rate of a peer
DRAWN_IN = 10  # DDIM steps of a peer's drawings
Draw = Callable[[np.ndarray], np.ndarray]


def share(spec: RunSpec, drawing: Draw, points: np.ndarray) -> float:
    """The share of drawings of points that are right in both factors."""
    return float(judge(spec.task, "lattice", points, drawing(points))["all"].mean())  # pyright: ignore


def examined(spec: RunSpec, count: int) -> np.ndarray:
    """Some of the points, drawn at random."""
    return rng.stream(0, "benchmark.examined").permutation(spec.task.points)[:count]


def planned(steps: int, build: Callable[[RunSpec], Generator]) -> tuple[float, float]:
    """Seconds of a whole training of that many steps, and the share that is right after it."""
    spec = bumps(steps)
    model = build(spec)
    spec.task.batch(np.arange(1))  # render
    began = time.perf_counter()
    model, _ = fit(model, spec.task, spec.training, spec.seed)
    seconds = time.perf_counter() - began
    return seconds, share(spec, lambda points: draw(model, spec, points, 0), spec.task.points)


@cache
def enough(needed: float) -> int:
    """The smallest planned number of steps of ours that reaches a share."""
    for steps in PLANNED if needed else (20,):
        if planned(steps, build_model)[1] >= needed:
            return steps
    raise RuntimeError(f"learning: got less than {needed} after {PLANNED[-1]} steps")


def ours(needed: float) -> float:
    """Our time to a share."""
    return planned(enough(needed), build_model)[0]


def same_recipe(needed: float, limit: float, kind: Callable[[int], nn.Module]) -> float:
    """The time to a share of another network with our recipe, or the limit if it has not arrived by then."""
    longer = (round(PLANNED[-1] * 1.5**k) for k in range(1, 20))
    for steps in (*PLANNED, *longer) if needed else (20,):
        seconds, right = planned(steps, lambda spec: around(spec, kind))
        if right >= needed and seconds <= limit:
            return seconds
        if seconds >= limit:
            return AtLeast(limit)
    return AtLeast(limit)


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
    began = time.perf_counter()
    for step in range(PROBED):
        recipe.step(step, 10**6, *next(data))
    spent = time.perf_counter() - began
    steps = max(PROBED + 1, int(limit / spent * PROBED))
    when = {max(PROBED, round(steps * (k + 1) / peeks)) for k in range(peeks)}
    for step in range(PROBED, 2 * steps):  # the rate may have been underestimated
        began = time.perf_counter()
        recipe.step(step, steps, *next(data))
        spent += time.perf_counter() - began
        if spent >= limit:
            break
        if step in when and share(spec, lambda points: recipe.draw(spec, points), examined(spec, count)) >= needed:
            return spent
    return AtLeast(limit)


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


def pairs(quick: bool) -> list[Pair]:
    """The pairs of this module. With `quick` a training counts after 20 steps."""
    needed, factor, looks = (0.0, LIMIT, (1000, 2)) if quick else (SHARE, LIMIT, (PEEKS, EXAMINED))
    same = {"diffusers": Diffusers, "denoising-diffusion-pytorch": Lucidrains}
    own = {
        "diffusers": diffusers_recipe, "denoising-diffusion-pytorch": lucidrains_recipe, "published network": published
    }  # fmt: skip
    return [
        *(
            Pair(
                f"learning: {name}, our recipe", "s", f"{name}, as many weights, our recipe",
                lambda: ours(needed), lambda seconds, kind=kind: same_recipe(needed, factor * seconds, kind), 1,
            )
            for name, kind in same.items()
        ),
        *(
            Pair(
                f"learning: {name}, own recipe", "s", f"{name}, its documented network and recipe",
                lambda: ours(needed), lambda seconds, make=make: own_recipe(needed, factor * seconds, make, looks), 1,
            )
            for name, make in own.items()
        ),
    ]  # fmt: skip
