"""Where and when does a model keep its factors apart: in which layer, from which step of training and of a drawing?

The models are those of the torus experiment, so nothing more is trained. Each is examined after each of the training
steps that it kept. Every other value of each factor is drawn twice, with different noise, and each drawing serves all
layers and all timesteps of the sampler. The statistics of a layer are these:

    interaction    share of the variance that x and y explain only together
    cross          mean magnitude of the cosine between a step of x and a step of y from the same point
    within         mean cosine of neighbouring steps of one factor
    dimension      effective dimension (participation ratio)
    torus          whether the Betti numbers are those of a torus, (1, 2, 1), and are told from noise

Interaction, within and dimension are corrected for noise (see `measures.readings`); cross is read from the mean of the
two drawings. The torus is read from finished pictures of all values, as in the torus experiment. A layer has no values
if its noise is more than NOISY of the variance.

A statistic *sets in* where it has covered half of the way from the first training step that gives it a value to the end
of training, by a line between the two nearest steps that are examined. These two steps are the ends of its interval.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.experiments import torus
from hyperfactor.experiments.base import Analysis, Experiment, Runs, is_smoke
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim, less
from hyperfactor.experiments.lattice import every, over_lines, stride
from hyperfactor.measures.dimension import participation_ratio
from hyperfactor.measures.geometry import additivity, displacement_cosines
from hyperfactor.measures.representation import Representation
from hyperfactor.measures.topology import persistence
from hyperfactor.networks.unet import LAYERS
from hyperfactor.process import all_cores
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import judge

LAYER = "up1"
LATE = "up3"  # the last layer that is compared with LAYER
STATISTICS = ("interaction", "cross", "within", "dimension", "torus")
READINGS = 2
NOISY = 0.5  # share of noise up to which the corrections are tested
LEAST = 0.25  # a statistic has changed if it changes by this share of its larger end
BOOTSTRAP = 100


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return the model that the torus experiment trains on two periodic factors."""
    return {"torus": torus.specs(preset, seed)["torus"]}


@dataclass(frozen=True)
class Examined:
    """The measurements of a model.

    Attributes
    ----------
    seed : int
        Its seed.
    accuracy : tuple of dict
        The share of drawings that are right, by training step.
    cells : tuple of dict
        The statistics, by training step, timestep and layer.
    timesteps : Estimate
        Cross of LAYER at the first timestep of a drawing less that of the finished picture, after training.
    layers : Estimate
        Interaction of LATE less that of LAYER, after training.
    """

    seed: int
    accuracy: tuple[dict[str, Any], ...]
    cells: tuple[dict[str, Any], ...]
    timesteps: Estimate
    layers: Estimate


def examine(run: Run, pool: ThreadPoolExecutor) -> Examined:
    """Examine a model at every step of its training that it kept."""
    data, last = run.spec.data, run.spec.training.steps
    apart = stride(data)
    points, sides = every(data, max(torus.STRIDE, apart))
    timesteps = (0, *sorted(run.spec.sampling.timesteps(run.model.timesteps)))
    landmarks = torus.landmarks(run, torus.UNTRAINED)
    accuracy, cells, after = [], [], {}
    for step in sorted({*run.spec.training.snapshots, last}):
        right = judge(run.spec.task, "lattice", points, run.sample(points, run.spec.seed, step))["right"]
        accuracy.append({"step": step, "right": float(right.to_numpy().mean()), "n": len(right)})
        after = _readings(run, step, points, sides, timesteps)
        tori: dict[str, float | None] = dict.fromkeys(LAYERS)
        if step == last or not is_smoke(run):  # homology takes a second a layer
            clouds = _whole(run, step, apart)
            tori.update(zip(LAYERS, pool.map(partial(_is_torus, run.spec.seed, landmarks), clouds), strict=True))
        asked = [(timestep, layer) for timestep in timesteps for layer in LAYERS]
        found = pool.map(lambda at, of=after: statistics(of[at[0]][at[1]]), asked)
        cells += [
            {"step": step, "timestep": timestep, "layer": layer, **values, "torus": None if timestep else tori[layer]}
            for (timestep, layer), values in zip(asked, found, strict=True)
        ]
    seed = run.spec.seed
    return Examined(
        seed, tuple(accuracy), tuple(cells),
        less(_cross(after[timesteps[-1]][LAYER], seed), _cross(after[0][LAYER], seed)),
        less(_interaction(after[0][LATE], seed), _interaction(after[0][LAYER], seed)),
    )  # fmt: skip


def _readings(
    run: Run, step: int, points: np.ndarray, sides: tuple[int, ...], timesteps: Sequence[int]
) -> dict[int, dict[str, Representation]]:
    """Return the layers by timestep and name, each with READINGS readings."""
    seeds = [READINGS * run.spec.seed + k for k in range(READINGS)]
    found = run.activations(LAYERS, timesteps, points, step, seed=seeds)
    space = run.spec.data.picture.space()
    return {
        timestep: {
            layer: Representation.of([R.reshape(*sides, -1).astype(np.float64) for R in readings], space)
            for layer, readings in of_timestep.items()
        }
        for timestep, of_timestep in found.items()
    }


def _is_torus(seed: int, landmarks: int, points: np.ndarray) -> float | None:
    """Return 1 for a torus, 0 for another shape; None if all points are the same."""
    try:
        found = persistence(points, landmarks=landmarks, seed=seed)
    except RequestError:
        return None
    return float(found.betti() == torus.TORUS and all(found.told))


def _mean(R: Representation) -> Representation:
    return Representation.of(R.readings.mean(axis=0), R.axes)


def _whole(run: Run, step: int, apart: int) -> list[np.ndarray]:
    """Return the layers of finished pictures of the whole lattice, (n, d)."""
    points, _ = every(run.spec.data, apart)
    found = run.activations(LAYERS, 0, points, step, seed=run.spec.seed)
    return [found[layer] for layer in LAYERS]


def statistics(R: Representation) -> dict[str, float | None]:
    """Measure a layer.

    Parameters
    ----------
    R : Representation
        The layer in several drawings.

    Returns
    -------
    dict of str to float or None
        "noise" and STATISTICS but the torus; None for what cannot be measured.
    """
    missing: dict[str, float | None] = dict.fromkeys(("noise", *STATISTICS[:-1]))
    mean = _mean(R)
    try:
        parts = additivity(R)
        if parts.noise is None or parts.noise > NOISY:
            return {**missing, "noise": parts.noise}
        steps = displacement_cosines(R)
        near = np.concatenate([w[s == 1] for w, s in zip(steps.within, steps.separation, strict=True)])
        return {
            "noise": parts.noise,
            "interaction": parts.interaction,
            "cross": float(np.abs(displacement_cosines(mean).cross).mean()),
            "within": float(near.mean()),
            "dimension": participation_ratio(R),
        }
    except RequestError:  # nothing in common but noise, or no step along a factor
        return missing


def _cross(R: Representation, seed: int) -> Estimate:
    table = np.abs(displacement_cosines(_mean(R)).cross).reshape(R.sizes)
    return _over_lines(lambda x, y: float(table[np.ix_(x, y)].mean()), R, seed)


def _interaction(R: Representation, seed: int) -> Estimate:
    return _over_lines(lambda x, y: additivity([of[np.ix_(x, y)] for of in R.readings]).interaction, R, seed)


def _over_lines(statistic: Callable[[np.ndarray, np.ndarray], float], R: Representation, seed: int) -> Estimate:
    return over_lines(statistic, (R.sizes[0], R.sizes[1]), rng.stream(seed, "emergence.lines"), BOOTSTRAP)


def sets_in(steps: Sequence[int], values: Sequence[float | None]) -> Estimate | None:
    """Return where a statistic has covered half of its way, as a share of training.

    Parameters
    ----------
    steps : sequence of int
        Training steps in increasing order; the last is the end of training.
    values : sequence of float or None
        The statistic at each; None where it is not known.

    Returns
    -------
    Estimate or None
        None if the end is not known, or the statistic has not changed (see LEAST).
    """
    first, last = next((v for v in values if v is not None), None), values[-1]
    if first is None or last is None or abs(last - first) <= LEAST * max(abs(first), abs(last)):
        return None
    known = [(step / steps[-1], (v - first) / (last - first)) for step, v in zip(steps, values, strict=True)
             if v is not None]  # fmt: skip
    k = next(k for k, (_, way) in enumerate(known) if way >= 0.5)
    (low, a), (high, b) = known[k - 1], known[k]
    return Estimate(low + (high - low) * (0.5 - a) / (b - a), low, high, "watched steps around it", (0.0, 1.0))


def analyse(runs: Runs) -> Analysis:
    """Return the claims, and tables of accuracy, of all cells, and of where each statistic sets in."""
    with all_cores() as pool:
        found = [examine(run, pool) for run in runs["torus"]]
    onsets = [row for one in found for row in _onsets(one)]
    tables = {
        "accuracy": pl.DataFrame([{"seed": one.seed, **row} for one in found for row in one.accuracy]),
        "cells": pl.DataFrame(
            [{"seed": one.seed, **row} for one in found for row in one.cells], infer_schema_length=None
        ),
        "onset": pl.DataFrame(onsets, infer_schema_length=None),
    }
    return _claims(found), tables, {}


def _course(one: Examined, layer: str, statistic: str) -> Estimate | None:
    """Return where a statistic of a layer sets in, at the finished picture."""
    of_layer = [row for row in one.cells if row["layer"] == layer and row["timestep"] == 0]
    return sets_in([row["step"] for row in of_layer], [row[statistic] for row in of_layer])


def _right(one: Examined) -> Estimate | None:
    return sets_in([row["step"] for row in one.accuracy], [row["right"] for row in one.accuracy])


def _onsets(one: Examined) -> Iterator[dict[str, Any]]:
    """Yield a row for the accuracy, and one for each layer and statistic."""
    asked = {("drawings", "right"): _right(one)} | {
        (layer, statistic): _course(one, layer, statistic) for layer in LAYERS for statistic in STATISTICS
    }
    for (layer, statistic), at in asked.items():
        value, low, high = (None, None, None) if at is None else (at.value, *at.interval)
        yield {"seed": one.seed, "layer": layer, "statistic": statistic, "share": value, "low": low, "high": high}


def _claims(found: Sequence[Examined]) -> list[Claim]:
    """Make claims about what sets in before drawings become right, and about timesteps and layers after training."""
    unlearnt = [
        f"the model of seed {one.seed} draws {one.accuracy[-1]['right']:.2f} of the lattice right, needs "
        f"{torus.LEARNT:g}"
        for one in found
        if not one.accuracy[-1]["right"] >= torus.LEARNT
    ]

    def before(statistic: str) -> Claim:
        at = [(one.seed, _right(one), _course(one, LAYER, statistic)) for one in found]
        unless = [
            f"{statistic} of {LAYER} of seed {seed} changes by less than {LEAST:g} of itself"
            for seed, _, course in at
            if course is None
        ]
        return claim(
            f"emergence.{statistic}", "emergence",
            f"share of training after which half of the drawings are right, less that after which {statistic} of "
            f"{LAYER} has covered half of its way", Bound(">", 0),
            lambda: [less(right, course) for _, right, course in at if right and course], unless=[*unlearnt, *unless],
        )  # fmt: skip

    return [
        *(before(statistic) for statistic in STATISTICS),
        claim("emergence.timesteps", "emergence",
              f"cross of {LAYER} after training: first timestep of a drawing less finished picture", Bound("<=", 0.05),
              lambda: [one.timesteps for one in found], unless=unlearnt),
        claim("emergence.layers", "emergence",
              f"share of the variance that x and y explain only together, after training: {LATE} less {LAYER}",
              Bound(">", 0), lambda: [one.layers for one in found], unless=unlearnt),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    name="emergence",
    question="Where and when does a model keep its factors apart: in which layer, and from which step?",
    figures=("emergence",),
    specs=specs,
    analyse=analyse,
    analysis=lambda preset: 0 if preset == "smoke" else 100_000,
    beyond=True,
)
