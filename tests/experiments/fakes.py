"""Runs whose behaviour is known: they stand in for trained models, and draw in closed form what a rule says.

A rule is a function of a spec, the requests (n, k) and a generator, and returns the factor values drawn (n, k); NaN in
a row is an empty picture.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import torch

from hyperfactor import RunSpec
from hyperfactor.experiments import composition
from hyperfactor.measures.geometry import hyper_factorized_torus
from hyperfactor.subjects.judge import judge

Rule = Callable[[RunSpec, np.ndarray, np.random.Generator], np.ndarray]


def interpolates(spec: RunSpec, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws every request right."""
    return points


def composes(spec: RunSpec, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws of each factor the nearest value that was trained on, in whatever pair."""
    trained, space = spec.task.points, spec.task.space
    drawn = np.empty_like(points)
    for k, factor in enumerate(space.factors):
        values = np.unique(trained[:, k])
        drawn[:, k] = values[np.abs(factor.difference(points[:, k, None], values)).argmin(axis=1)]
    return drawn


def copies(spec: RunSpec, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws the nearest trained picture."""
    trained, space = spec.task.points, spec.task.space
    nearest = [(space.difference(point[None], trained) ** 2).sum(axis=1).argmin() for point in points]
    return trained[nearest]


def scrambles(spec: RunSpec, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws pictures of the family that have nothing to do with the requests."""
    return generator.permutation(spec.data.lattice())[np.arange(len(points)) % len(spec.data.lattice())]


def fails(spec: RunSpec, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws nothing."""
    return np.full_like(points, np.nan)


def right_in(share: float) -> Rule:
    """Draws a share of the requests right, and nothing for the others."""

    def rule(spec: RunSpec, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        drawn = points.copy()
        drawn[round(share * len(points)) :] = np.nan
        return drawn

    return rule


class FakeRun:
    """A run of a spec that draws by a rule.

    shapes: for each training step, the representation of points, (n, k) -> (n, d), for any layer; the trained one is
    under None. noise: standard deviation of the noise of drawings in each pixel.
    """

    device = torch.device("cpu")
    default_layer = "up1"
    timesteps = 1000

    def __init__(
        self, spec: RunSpec, rule: Rule, shapes: Mapping[int | None, Callable[[np.ndarray], np.ndarray]] | None = None,
        noise: float = 1e-4,
    ):  # fmt: skip
        self._noise = noise
        self.spec, self.id, self._rule, self._shapes = spec, spec.id, rule, shapes or {}
        self.manifest = {
            "seconds": {"train": 0.0, "evaluate": 0.0}, "device": "cpu", "finished": "2026-01-01T00:00:00+00:00",
            "trained_points": 0, "parameters": 0, "threads": 1,
        }  # fmt: skip

    def sample(self, factors: np.ndarray, seed: int = 0, step: int | None = None, **_: Any) -> np.ndarray:
        picture = self.spec.data.picture
        generator = np.random.default_rng(seed)
        drawn = self._rule(self.spec, factors, generator)
        empty = np.asarray(np.isnan(drawn).any(axis=1))
        images = picture.render(np.where(empty[:, None], factors, drawn))
        images += self._noise * generator.normal(size=images.shape)
        images[empty] = picture.background
        return images.astype(np.float32)

    @cached_property
    def pictures(self) -> tuple[np.ndarray, np.ndarray]:
        points = np.unique(np.concatenate(list(self._regions.values())), axis=0)
        return points, self.sample(points, self.spec.seed)

    @cached_property
    def _regions(self) -> dict[str, np.ndarray]:
        return self.spec.task.regions()

    @cached_property
    def _judged(self) -> pl.DataFrame:
        points, images = self.pictures
        row = {tuple(point): k for k, point in enumerate(points.tolist())}
        return pl.concat(
            judge(self.spec.task, name, some, images[[row[tuple(point)] for point in some.tolist()]])
            for name, some in self._regions.items()
        )

    def evaluate(self, region: str | None = None, step: int | None = None) -> pl.DataFrame:
        return self._judged if region is None else self._judged.filter(pl.col("region") == region)

    def activations(self, layers: str, factors: np.ndarray, step: int | None = None, **_: Any) -> dict[str, np.ndarray]:
        last = step is None or step == self.spec.training.steps
        return {layers: self._shapes[None if last else step](factors)}

    @property
    def model(self) -> "FakeRun":
        return self

    def loss(self, images: torch.Tensor, condition: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return torch.tensor(0.25)


def stand_in(specs: Sequence[Mapping[str, RunSpec]], rules: Rule | Mapping[str, Rule]) -> Any:
    """The runs of an experiment, from the specs of each seed by role: all by one rule, or each role by its own."""
    return {
        role: [FakeRun(of_seed[role], rules[role] if isinstance(rules, Mapping) else rules) for of_seed in specs]
        for role in specs[0]
    }


def composition_under(rules: Mapping[str, Rule]) -> Any:
    """Runs of the composition experiment under the choices of a matrix, each of which draws by a rule."""
    specs = coarser(composition.specs("laptop", 0), spacing=1.0)
    return {
        f"{choice} / composition / {role}": [FakeRun(spec, rule)]
        for choice, rule in rules.items()
        for role, spec in specs.items()
    }


def coarser(specs: Mapping[str, RunSpec], **data: Any) -> dict[str, RunSpec]:
    """The specs with some keys of their data section changed."""
    return {
        role: RunSpec.parse({**(plain := spec.model_dump()), "data": {**plain["data"], **data}})
        for role, spec in specs.items()
    }


def place_code(side: int) -> np.ndarray:
    """A unit for each pair of values, with its neighbours: the paper's signature, without noise."""
    ring = hyper_factorized_torus(side, 1.0)[:, 0, :side]
    return np.einsum("iu,jv->ijuv", ring, ring).reshape(side, side, -1)
