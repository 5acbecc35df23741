"""What shape does a model make of two periodic factors?

Figures 2, 3 and 8 of the paper.  All models draw one bump on a periodic canvas of 32 x 32, trained on
centres half a pixel apart, and are looked at in one layer while they draw the lattice of whole pixels, at several
steps of training.

    torus       the condition wraps round, as the factors do: three harmonics of each
    no wrap     the condition is a positional code that does not wrap round

The representation is R (32, 32, d) at timestep 0 of the model's own drawings.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from hyperfactor import rng
from hyperfactor.experiments.base import PRESETS, Analysis, Experiment, Runs, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, claim, exactly, mean_interval, proportion
from hyperfactor.images.dataset import DataSpec
from hyperfactor.images.gaussian import Picture
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.geometry import (
    Additivity,
    Comparison,
    DisplacementCosines,
    additivity,
    clifford_torus,
    compare,
    displacement_cosines,
    torus_3d,
)
from hyperfactor.measures.topology import Persistence, bottleneck, persistence
from hyperfactor.runs.run import Run, judge
from hyperfactor.runs.spec import RunSpec

LAYER = "up1"
PICTURE = Picture(family="bump", boundary="periodic")
SPACING = {"spacing": 0.5, "test_spacing": 1.0}  # pixels; with one value a pixel seeds agree less, see docs/torus.md
TRAINING = {"steps": 1500, "batch": 16, "evaluate_every": 0}
ENCODINGS: dict[str, dict[str, Any]] = {
    "torus": {"kind": "periodic", "harmonics": 3},
    "no wrap": {"kind": "sinusoidal"},
}
WATCHED = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0)  # of training
SHOWN = (0.0, 0.2, 1.0)  # in figures 2 (e-g)
STRIDE = 2  # between the lattice points that are drawn part way
TORUS = (1, 2, 1)
LANDMARKS = 450  # of 1,024 points, once trained: with 300 the gaps between them are half as long as the loops
UNTRAINED = 300  # a cloud without a shape takes far longer, and has the less to show
AXES = 15  # of the spectrum that is kept
BOOTSTRAP = 200


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """The two models of one seed."""
    steps = PRESETS.get(preset, {}).get("training", {}).get("steps", TRAINING["steps"])
    training = {**TRAINING, "snapshots": sorted({round(part * steps) for part in WATCHED})}
    return {
        role: preset_spec(preset, seed, data={"picture": PICTURE, **SPACING}, encoding=encoding, training=training)
        for role, encoding in ENCODINGS.items()
    }


@dataclass(frozen=True)
class View:
    """A model at one step of training: drawings right in both factors and valid, (n,), of the lattice or
    every STRIDE-th point of it, and their representation, (n_1, n_2, d)."""

    step: int
    right: np.ndarray
    representation: np.ndarray

    @property
    def points(self) -> np.ndarray:
        return self.representation.reshape(-1, self.representation.shape[-1])

    @cached_property
    def shares(self) -> np.ndarray:
        """Of the variance along the principal axes."""
        return spectrum(self.points)


def look(run: Run, step: int, stride: int = 1) -> View:
    """Draw the lattice with the model of a step, judge the drawings, and read the layer."""
    spec = run.spec
    axes = [axis[::stride] for axis in spec.data.test_axes()]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    images = run.sample(points, spec.seed, step)
    right = judge(spec, "lattice", points, images)["right"].to_numpy()
    found = run.activations(LAYER, factors=points, step=step, pictures=images)[LAYER]
    return View(step, right, found.reshape(*map(len, axes), -1).astype(np.float64))


@dataclass(frozen=True)
class Trained:
    """What is measured of one trained model."""

    first: View
    last: View
    between: tuple[View, ...]
    start: Persistence
    end: Persistence
    additivity: Additivity
    cosines: DisplacementCosines
    comparison: Comparison

    @property
    def views(self) -> tuple[View, ...]:
        return (self.first, *self.between, self.last)


def examine(run: Run, part_way: bool) -> Trained:
    """Measure a model at both ends of its training, and, where asked, more coarsely between."""
    steps = sorted({*run.spec.training.snapshots, run.spec.training.steps})
    stride = _stride(run.spec.data)
    first, last = look(run, steps[0], stride), look(run, steps[-1], stride)
    width = PICTURE.sigma[0] / run.spec.data.looked_at()[0]  # of the reference's tuning curves: that of a bump
    return Trained(
        first,
        last,
        tuple(look(run, step, max(STRIDE, stride)) for step in steps[1:-1]) if part_way else (),
        persistence(first.points, landmarks=UNTRAINED, seed=run.spec.seed),
        persistence(last.points, landmarks=LANDMARKS, seed=run.spec.seed),
        additivity(last.representation),
        displacement_cosines(last.representation, periodic=True),
        compare(last.representation, width=width, seed=run.spec.seed),
    )


def _stride(data: DataSpec) -> int:
    """Between lattice points: 1, or where `test_points` is set the widest that leaves as many points."""
    side, stride = PICTURE.size, 1
    while data.test_points and (side // (2 * stride)) ** 2 >= data.test_points:
        stride *= 2
    return stride


def analyse(runs: Runs) -> Analysis:
    """The claims of figures 2, 3 and 8, tables over training and of the shapes, and what the figures draw."""
    found = {role: [examine(run, role == "torus") for run in of_role] for role, of_role in runs.items()}
    seeds = [run.spec.seed for run in runs["torus"]]
    sides = found["torus"][0].last.representation.shape[:-1]
    ideal = persistence(clifford_torus(sides).reshape(-1, 2 * len(sides)), landmarks=LANDMARKS)
    tables = {
        "training": _training(found, seeds),
        "topology": _topology(found, seeds, ideal),
        "geometry": _geometry(found, seeds),
    }
    return _claims(found), tables, _arrays(found["torus"][0], ideal)


def off_torus(found: Persistence) -> int:
    """By how much the Betti numbers differ from those of a torus, summed over dimensions."""
    return sum(abs(a - b) for a, b in zip(found.betti(), TORUS, strict=True))


def _dimension(points: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Participation ratio with a 95 % bootstrap interval over lattice points, taken in the axes that hold
    all but a thousandth of the variance."""
    shares = spectrum(points)
    kept = int(np.searchsorted(shares.cumsum(), 0.999)) + 1
    small = pca(points, kept).coordinates
    generator = rng.stream(seed, "torus.bootstrap")
    drawn = [participation_ratio(small[generator.integers(len(small), size=len(small))]) for _ in range(BOOTSTRAP)]
    measured = participation_ratio(points)
    # repeated points lower the ratio, so the spread of the samples is set around the value
    low, high = measured + np.quantile(drawn, [0.025, 0.975]) - np.mean(drawn)
    return measured, float(low), float(high)


def _claims(found: dict[str, list[Trained]]) -> list[Claim]:
    torus, control = found["torus"], found["no wrap"]
    return [
        claim("torus.accuracy", "2", "drawings of the lattice that are right",
              Bound(">=", 0.98), [proportion(t.last.right) for t in torus]),
        claim("torus.betti.end", "2", "trained: Betti numbers that differ from a torus's (1, 2, 1)",
              Bound("<=", 0), [exactly(off_torus(t.end)) for t in torus]),
        claim("torus.betti.start", "2", "untrained: Betti numbers that differ from a torus's",
              Bound(">=", 1), [exactly(off_torus(t.start)) for t in torus]),
        claim("torus.dimension", "2", "effective dimension (participation ratio)",
              Bound(">", 4), [_dimension(t.last.points, k) for k, t in enumerate(torus)]),
        claim("torus.cross", "3", "steps of x and y: mean magnitude of the cosine",
              Bound("<=", 0.15), [mean_interval(np.abs(t.cosines.cross)) for t in torus]),
        claim("torus.interaction", "3", "share of the variance that x and y explain only together",
              Bound("<=", 0.1), [exactly(t.additivity.interaction) for t in torus]),
        *(
            claim(f"torus.within.{name}", "3", f"steps of {name} at two of its values: distance to those of a circle less "
                  "distance to those of a ring of tuning curves", Bound(">", 0),
                  [t.comparison.margin(f"{name} within", ("hyper-factorized torus", f"{name} within"),
                                       ("Clifford torus", f"{name} within")) for t in torus])
            for name in "xy"
        ),
        claim("control.betti", "2", "code that does not wrap: Betti numbers that differ from a torus's",
              Bound(">=", 1), [exactly(off_torus(t.end)) for t in control]),
    ]  # fmt: skip


def _training(found: dict[str, list[Trained]], seeds: list[int]) -> pl.DataFrame:
    """A row a model, seed and step: n drawings, the share right, effective dimension, intrinsic dimension, and
    the share of the variance along 4 axes."""
    return pl.DataFrame([
        {
            "model": role, "seed": seed, "step": view.step, "n": len(view.right), "right": float(view.right.mean()),
            "participation_ratio": participation_ratio(view.points),
            "intrinsic_dimension": levina_bickel(view.points),
            "variance_4": float(view.shares[:4].sum()),
        }
        for role, of_role in found.items()
        for seed, trained in zip(seeds, of_role, strict=True)
        for view in trained.views
    ])  # fmt: skip


def _topology(found: dict[str, list[Trained]], seeds: list[int], ideal: Persistence) -> pl.DataFrame:
    """A row a model, seed, end of training and dimension: Betti number, how clear it is, the p-value of the last
    bar counted, the three longest bars in units of the cloud's radius, and the bottleneck distance to an
    ideal torus in the same units."""
    rows = []
    for role, of_role in found.items():
        for seed, trained in zip(seeds, of_role, strict=True):
            for step, shape in ((trained.first.step, trained.start), (trained.last.step, trained.end)):
                for dim, (count, clear, apart) in enumerate(
                    zip(shape.betti(), shape.clarity(), bottleneck(shape, ideal), strict=True)
                ):
                    bars = [*(shape.lifetimes(dim)[:3] / shape.radius).tolist(), 0.0, 0.0, 0.0][:3]
                    p = shape.p_values(dim) if dim else np.zeros(0)
                    last = float(p[count - 1]) if 0 < count <= len(p) else None
                    rows.append({
                        "model": role, "seed": seed, "step": step, "dim": dim, "betti": count,
                        "clarity": None if np.isnan(clear) else clear, "p": last,
                        "bar_1": bars[0], "bar_2": bars[1], "bar_3": bars[2], "bottleneck": apart,
                    })  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def _geometry(found: dict[str, list[Trained]], seeds: list[int]) -> pl.DataFrame:
    """A row a model, seed and statistic: its mean, and its Wasserstein distance to each reference; the mean over
    statistics is called "all"."""
    rows = []
    for role, of_role in found.items():
        for seed, trained in zip(seeds, of_role, strict=True):
            compared = trained.comparison
            for name, values in compared.statistics.items():
                away = {shape: compared.distances[shape][name] for shape in compared.references}
                rows.append({"model": role, "seed": seed, "statistic": name, "mean": float(values.mean()), **away})
            rows.append({"model": role, "seed": seed, "statistic": "all", "mean": None, **compared.total})
    return pl.DataFrame(rows, infer_schema_length=None)


def _arrays(trained: Trained, ideal: Persistence) -> dict[str, np.ndarray]:
    """Of the first seed: spectra and accuracy by step, principal coordinates at three steps, diagrams, and the
    values of each statistic for the model and each reference."""
    views = trained.views
    chosen = [min(views, key=lambda view: abs(view.step / trained.last.step - part)).step for part in SHOWN]
    arrays = {
        "steps": np.array([view.step for view in views]),
        "right": np.array([view.right.mean() for view in views]),
        "spectra": np.stack([view.shares[:AXES] for view in views]),
        "shown": np.array(chosen),
    }
    for view in views:
        if view.step in chosen:
            sides = view.representation.shape[:-1]
            arrays[f"pca.{view.step}"] = pca(view.points, 3).coordinates.reshape(*sides, 3)
    sides = trained.last.representation.shape[:-1]
    arrays["ideal.3D"] = torus_3d(sides[0])
    arrays["ideal.Clifford"] = _stereographic(clifford_torus(sides))
    for name, shape in (("ideal", ideal), ("learned", trained.end)):
        for dim, diagram in enumerate(shape.diagrams):
            arrays[f"diagram.{name}.{dim}"] = diagram / shape.radius
    for name, values in trained.comparison.statistics.items():
        arrays[f"statistic.model.{name}"] = values
        for shape, of_shape in trained.comparison.references.items():
            arrays[f"statistic.{shape}.{name}"] = of_shape[name]
    return arrays


def _stereographic(R: np.ndarray) -> np.ndarray:
    """A Clifford torus, which lies in the 3-sphere, as a surface in 3 dimensions: projected from the
    pole (0, 0, 0, 1), which the torus does not meet."""
    unit = R / np.linalg.norm(R, axis=-1, keepdims=True)
    return unit[..., :3] / (1.0 - unit[..., 3:])


EXPERIMENT = Experiment(
    name="torus",
    question="What shape does a model make of two periodic factors, and does it keep them apart?",
    figures=("2", "3", "8"),
    specs=specs,
    analyse=analyse,
)
