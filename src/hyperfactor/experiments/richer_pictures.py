"""Do the findings hold for richer pictures: handwritten digits at positions, and coloured shapes?

A digit has a category and a place. A shape has a category, a place and a hue, which wraps round; its scale and rotation
do not vary, because the laptop network needs hours to learn all six factors. A copy of the nearest trained picture is
wrong where a held-out picture differs from it in any factor.

    whole            all combinations; the representation is read from these models
    composition      combinations of upper values of all factors held out
    random           a random part of all combinations held out
    orthotopic       combinations of upper values of two factors or more held out
    extrapolation    upper values of the factors with ends held out
    interpolation    values in between held out, of every factor that is no category

About a share HELD_OUT of all combinations is held out (see `factors.split`). The first four sets contain every value of
each factor; the last two leave some values out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from hyperfactor import rng
from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, is_smoke, preset_spec, share, unmet
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim
from hyperfactor.experiments.lattice import every, over_lines
from hyperfactor.factors.split import Split, splits
from hyperfactor.images.digits import Digits
from hyperfactor.images.family import Family
from hyperfactor.images.shapes import Shapes
from hyperfactor.measures.additivity import additivity
from hyperfactor.measures.representation import Axis, Representation
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import summarize

HELD_OUT = 0.2
SEEN = ("composition", "random", "orthotopic")  # sets in which every value of a factor is trained on
UNSEEN = ("extrapolation", "interpolation")
TESTED = 300  # requests of each model
READINGS = 2  # drawings of each lattice point from which a representation is read
COARSE = 3  # step of the lattice that `smoke` reads
BOOTSTRAP = 200
SHOWN = 6  # held-out requests whose drawings are shown
MODEL = {"condition_gain": 3.0}
TRAINING = {"batch": 16, "optimizer": "muon", "evaluate_every": 0}
PLACE: dict[str, Any] = {"x": {"kind": "sinusoidal"}, "y": {"kind": "sinusoidal"}}


@dataclass(frozen=True)
class Kind:
    """A kind of pictures.

    Attributes
    ----------
    picture : Family
        The family.
    encoding : mapping
        Codes of the factors.
    steps : int
        Training steps.
    spacing : mapping
        Steps of the lattice, in each factor's unit.
    fixed : mapping
        The factors that do not vary, with their values.
    """

    picture: Family
    encoding: Mapping[str, Any]
    steps: int
    spacing: Mapping[str, float]
    fixed: Mapping[str, float] = field(default_factory=dict)


KINDS = {
    "digits": Kind(Digits(size=24), {"digit": {"kind": "one-hot"}, **PLACE}, 750, {"x": 2.0, "y": 2.0}),
    "shapes": Kind(
        Shapes(size=24),
        {
            "shape": {"kind": "one-hot"}, "scale": {"kind": "ramp"}, "rotation": {"kind": "periodic", "harmonics": 2},
            **PLACE, "hue": {"kind": "periodic", "harmonics": 2},
        },
        1500,
        {"scale": 0.25, "rotation": 30.0, "x": 2.0, "y": 2.0, "hue": 60.0},
        {"scale": 1.0, "rotation": 0.0},
    ),
}  # fmt: skip


@cache
def held_out(kind: str, of: Any) -> Split:
    """Return the split of a kind of pictures."""
    about = KINDS[kind]
    return splits(about.picture.space(), of, share=HELD_OUT, spacing=about.spacing, fixed=about.fixed)


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return the models of one seed, with roles such as "digits | composition"."""
    found = {}
    for kind, about in KINDS.items():
        for of in ("whole", *few(preset, (*SEEN, *UNSEEN))):
            data: dict[str, Any] = {
                "picture": about.picture, "spacing": about.spacing, "fixed": about.fixed, "test_points": TESTED,
            }  # fmt: skip
            if of != "whole":
                split = held_out(kind, of)
                data |= {"train": split.train, "test": {"held out": split.test}}
            found[f"{kind} | {of}"] = preset_spec(
                preset, seed, data=data, encoding=about.encoding, model=MODEL,
                training={**TRAINING, "steps": about.steps},
            )  # fmt: skip
    return found


def readings(run: Run, step: int = 1) -> Representation:
    """Return the representation of every step-th value of each factor, from READINGS drawings of each point."""
    points, sides = every(run.spec.data, step)
    layer, read = run.model.default_layer, []
    for k in range(READINGS):
        seed = READINGS * run.spec.seed + k
        images = run.sample(points, seed)
        found = run.activations(layer, factors=points, pictures=images, seed=seed)[layer]
        read.append(found.reshape(*(side for side in sides if side > 1), -1))
    factors = zip(run.spec.data.picture.space().factors, sides, strict=True)
    return Representation.of(read, [Axis(factor.name, factor.kind) for factor, side in factors if side > 1])


def interaction(R: Representation, seed: int) -> Estimate:
    """Return the share of the variance that the factors explain only together, without noise."""

    def of_lines(*lines: np.ndarray) -> float:
        return additivity([reading[np.ix_(*lines)] for reading in R.readings]).interaction

    return over_lines(of_lines, R.sizes, rng.stream(seed, "richer.lines"), BOOTSTRAP)


def analyse(runs: Runs) -> Analysis:
    """Return the claims, tables of accuracy and of variance, and drawings of held-out requests."""
    step = COARSE if is_smoke(*(run for of_role in runs.values() for run in of_role)) else 1
    read_of = {kind: [(run.spec.seed, readings(run, step)) for run in runs[f"{kind} | whole"]] for kind in KINDS}
    variance = [row for kind, of_kind in read_of.items() for seed, R in of_kind for row in _variance(kind, seed, R)]
    accuracy = pl.concat([_accuracy(role, run) for role, of_role in runs.items() for run in of_role])
    arrays = {name: array for kind in KINDS for name, array in _shown(kind, runs[f"{kind} | composition"][0]).items()}
    claims = [one for kind, of_kind in read_of.items() for one in _claims(kind, runs, of_kind)]
    return claims, {"accuracy": accuracy, "variance": pl.DataFrame(variance)}, arrays


def _accuracy(role: str, run: Run) -> pl.DataFrame:
    """Return rows of the table of accuracy: one a region and factor that varies, and one a region for all factors."""
    kind, of = role.split(" | ")
    names = [name for name in run.spec.data.picture.space().names if name not in KINDS[kind].fixed]
    about = {"kind": kind, "set": of, "seed": run.spec.seed, "trained": len(run.spec.task.points)}
    regions = summarize(run.evaluate(), run.spec.data.picture.space().names)
    rows = [
        {**about, "region": row["region"], "n": row["n"], "factor": name, "correct": row[name],
         "copied": row[f"{name}_copied"], "valid": row["valid"]}
        for row in regions.to_dicts() for name in (*names, "all")
    ]  # fmt: skip
    return pl.DataFrame(rows)


def _variance(kind: str, seed: int, R: Representation) -> list[dict[str, Any]]:
    """Return rows of the table of variance: the share of each factor, of them only together, and of noise."""
    parts = additivity(R)
    shares = {**dict(zip(R.names, parts.main, strict=True)), "only together": parts.interaction}
    about = {"kind": kind, "seed": seed, "noise": parts.noise}
    return [{**about, "of": name, "share": part} for name, part in shares.items()]


def _shown(kind: str, run: Run) -> dict[str, np.ndarray]:
    """Return requests that were held out, drawings of them and the true pictures, evenly spaced over the region."""
    points = run.spec.task.regions()["held out"]
    points = points[np.linspace(0, len(points) - 1, SHOWN).astype(int)]
    pictures = {"drawn": run.sample(points, run.spec.seed), "true": run.spec.task.render(points)}
    return {f"{kind}.{name}": np.asarray(images, dtype=np.float32) for name, images in pictures.items()}


def _claims(kind: str, runs: Runs, read_of: Sequence[tuple[int, Representation]]) -> list[Claim]:
    """Make the claims about one kind of pictures."""
    claims = []
    for of, words in (
        ("composition", "upper values of all factors held out"),
        ("random", "a random part held out"),
        ("orthotopic", "upper values of two factors or more held out"),
        ("extrapolation", "upper values of a factor left out"),
        ("interpolation", "values in between left out"),
    ):
        role, bound = f"{kind} | {of}", Bound(">=", 0.95) if of in SEEN else Bound("<=", 0.5)
        claims.append(claim(
            f"richer.{kind}.{of}", "richer_pictures", f"{kind}, {words}: right in all", bound,
            lambda role=role: share(runs[role], "held out", "all"),
            roles=[role], unless=unmet(runs, [role], "held out"),
        ))  # fmt: skip
    whole = f"{kind} | whole"
    claims.append(claim(
        f"richer.{kind}.interaction", "richer_pictures",
        f"{kind}: share of the variance that the factors explain only together, without noise", Bound("<=", 0.1),
        lambda: [interaction(R, seed) for seed, R in read_of], roles=[whole], unless=unmet(runs, [whole]),
    ))  # fmt: skip
    return claims


EXPERIMENT = Experiment(
    name="richer_pictures",
    question="Do models compose and keep factors apart in pictures of handwritten digits, and of coloured shapes?",
    figures=("richer_pictures",),
    specs=specs,
    analyse=analyse,
    analysis=lambda preset: 0 if preset == "smoke" else 15_000,
    beyond=True,
)
