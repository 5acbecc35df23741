"""What shape does a model make of two periodic factors?

Figures 2, 3 and 8 of the paper. All models draw one bump on a periodic canvas of 32 x 32, trained on centres half a
pixel apart. One layer is recorded while they draw the lattice of whole pixels, at several steps of training.

    torus       the condition wraps round, as the factors do: three harmonics of each
    no wrap     the condition is a positional code that does not wrap round

The representation is R (32, 32, d) at timestep 0 of the model's own drawings. Betti numbers over two fields tell a
torus from a Klein bottle: over 2 alone they are the same.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import polars as pl

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.experiments.base import LEARNT, PRESETS, Analysis, Experiment, Runs, is_smoke, preset_spec
from hyperfactor.experiments.claims import (
    Bound,
    Claim,
    Estimate,
    Terms,
    claim,
    over_seeds,
    proportion,
    unlike,
)
from hyperfactor.experiments.lattice import (
    dimension_over_lines,
    drawn,
    every,
    interaction_over_lines,
    over_lines,
    read,
    stride,
)
from hyperfactor.images.gaussian import Bump
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.geometry import (
    Comparison,
    clifford_torus,
    compare,
    displacement_cosines,
    torus_3d,
)
from hyperfactor.measures.normalised import varies
from hyperfactor.measures.representation import Representation
from hyperfactor.measures.topology import FIELDS, Persistence, bottleneck, over_landmarks, persistence
from hyperfactor.process import all_cores
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import judge

PICTURE = Bump(boundary="periodic")
SPACING = {"spacing": 0.5, "test_spacing": 1.0}  # pixels; with one value a pixel seeds agree less, see docs/torus.md
TRAINING = {"steps": 700, "batch": 16, "optimizer": "muon", "evaluate_every": 0}
ENCODINGS: dict[str, dict[str, Any]] = {
    "torus": {"kind": "periodic", "harmonics": 3},
    "no wrap": {"kind": "sinusoidal"},
}
WATCHED = (0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.7, 1.0)  # shares of training after which a model is examined
SHOWN = (0.0, 0.2, 1.0)  # shares of training in figures 2 (e-g)
STRIDE = 2  # step between the lattice points that are drawn during training
TORUS = (1, 2, 1)
READINGS = 5  # readings of Betti numbers; 5 of 5 show a share above one half
LANDMARKS = 450  # of 1,024 points, after training: with 300 the gaps between them are half as long as the loops
UNTRAINED = 300  # a cloud without a shape takes far longer and shows less
FEW_LANDMARKS = 60  # for `smoke`
AXES = 15  # entries of the spectrum that are kept
BOOTSTRAP = 200


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return the specs of the two models of one seed."""
    steps = PRESETS.get(preset, {}).get("training", {}).get("steps", TRAINING["steps"])
    watched = SHOWN if preset == "smoke" else WATCHED
    training = {**TRAINING, "snapshots": sorted({round(part * steps) for part in watched})}
    shared = {"data": {"picture": PICTURE, **SPACING}, "training": training, "sampling": {"steps": 5}}
    return {role: preset_spec(preset, seed, encoding=encoding, **shared) for role, encoding in ENCODINGS.items()}


@dataclass(frozen=True, eq=False)
class View:
    """A model of one seed at one step of training.

    Attributes
    ----------
    seed, step : int
        Seed of the run, and step of its training.
    right : (n,)
        Whether each drawing of the lattice, or of every STRIDE-th point of it, is right.
    representation : Representation
        The representation of that lattice.
    width : float
        Width of a bump, in steps of that lattice.
    landmarks : int
        Number of landmarks for persistent homology.
    kept : list of dict of int to Persistence
        The first readings, as far as `readings` has been asked for them, by field.
    """

    seed: int
    step: int
    right: np.ndarray
    representation: Representation
    width: float = 1.0
    landmarks: int = LANDMARKS
    kept: list[dict[int, Persistence]] = field(default_factory=list, init=False)

    @property
    def points(self) -> np.ndarray:
        """The representation as a cloud of points."""
        return self.representation.points

    @cached_property
    def shares(self) -> np.ndarray:
        """Shares of the variance along the principal axes."""
        return spectrum(self.points)

    def readings(self, count: int) -> list[dict[int, Persistence]]:
        """Return persistent homology over both fields, of the landmarks of the first of the READINGS."""
        if missing := range(READINGS * self.seed + len(self.kept), READINGS * self.seed + count):
            self.kept.extend(over_landmarks(self.points, missing, FIELDS, landmarks=self.landmarks))
        return self.kept[:count]

    @property
    def shape(self) -> Persistence:
        """Persistent homology over the field of 2 elements, of the first reading."""
        return self.readings(1)[0][2]

    @cached_property
    def compared(self) -> Comparison:
        """The comparison with the ideal shapes."""
        return compare(self.representation, width=self.width, seed=self.seed)

    @property
    def tori(self) -> Estimate:
        """The share of READINGS that show a torus: its Betti numbers over both fields, told from noise."""
        found = [
            all(shape.betti() == TORUS and all(shape.told) for shape in of_fields.values())
            for of_fields in self.readings(READINGS)
        ]
        return _share(found)

    def margin(self, name: str, nearer: tuple[str, str], farther: tuple[str, str]) -> Estimate:
        """Return `Comparison.margin` as an estimate."""
        return Estimate(*self.compared.margin(name, nearer, farther), "bootstrap over curves and steps")

    def dimension(self) -> Estimate:
        """Return the participation ratio."""
        return dimension_over_lines([self.representation.values], rng.stream(self.seed, "torus.lines"), BOOTSTRAP)

    def cross(self) -> Estimate:
        """Return the mean magnitude of the cosine between the steps of x and of y from one lattice point."""
        cosines = np.abs(displacement_cosines(self.representation).cross)
        table = cosines.reshape(self.representation.sizes)
        return self._over_lines(lambda x, y: float(table[np.ix_(x, y)].mean()))

    def interaction(self) -> Estimate:
        """Return the share of the variance that x and y explain only together."""
        return interaction_over_lines(self.representation.values, rng.stream(self.seed, "torus.lines"), BOOTSTRAP)

    def _over_lines(self, statistic: Callable[[np.ndarray, np.ndarray], float]) -> Estimate:
        sides = self.representation.sizes
        return over_lines(statistic, (sides[0], sides[1]), rng.stream(self.seed, "torus.lines"), BOOTSTRAP)


def _share(tori: list[bool]) -> Estimate:
    return replace(proportion(np.array(tori)), method="Wilson over readings")


def look(run: Run, step: int, apart: int, landmarks: int = LANDMARKS) -> View | None:
    """Draw the lattice with the model of a training step, judge the drawings, and record the layer.

    Parameters
    ----------
    run : Run
        The run.
    step : int
        Step of training, one that was kept.
    apart : int
        Lattice steps between the points.
    landmarks : int
        Number of landmarks for persistent homology.

    Returns
    -------
    View or None
        None if the layer has the same output for all points, and therefore no shape. The untrained transformer is such
        a network.
    """
    spec = run.spec
    points, sides = every(spec.data, apart)
    images = drawn(run, points, step)
    right = judge(spec.task, "lattice", points, images)["right"].to_numpy()
    found = np.asarray(read(run, points, images, step), dtype=np.float64)
    if not varies(found):
        return None
    apart_pixels = float(np.diff(spec.data.test_axes()[0])[0]) * apart
    R = Representation.of(found.reshape(*sides, -1), spec.data.picture.space())
    width = PICTURE.widths[0] / apart_pixels  # width of a bump, in steps of this lattice
    return View(spec.seed, step, right, R, width, landmarks)


@dataclass(frozen=True)
class Trained:
    """A model at the start and at the end of training and, if requested, on a coarser lattice between.

    There is no view of a step at which the layer has the same output for all points.
    """

    first: View | None
    last: View
    between: tuple[View, ...] = ()

    @property
    def ends(self) -> tuple[View, ...]:
        """The views of the start and of the end."""
        return (self.last,) if self.first is None else (self.first, self.last)

    @property
    def views(self) -> tuple[View, ...]:
        """All views, in the order of training."""
        return (*self.ends[:-1], *self.between, self.last)


def landmarks(run: Run, most: int) -> int:
    """Return the number of landmarks for a run: `most`, and fewer for the smoke preset."""
    return min(most, FEW_LANDMARKS) if is_smoke(run) else most


def examine(run: Run, part_way: bool, pool: ThreadPoolExecutor) -> Trained:
    """Examine a model at both ends of its training and, if `part_way`, on a coarser lattice between."""
    start, *between, end = sorted({*run.spec.training.snapshots, run.spec.training.steps})
    before, after = landmarks(run, UNTRAINED), landmarks(run, LANDMARKS)
    apart = stride(run.spec.data)
    asked = [(start, apart, before), (end, apart, after)]
    asked += [(step, max(STRIDE, apart), after) for step in between if part_way]
    first, last, *views = pool.map(lambda one: look(run, *one), asked)
    if last is None:
        raise RequestError(f"run {run.id}: got a layer with the same output for all points, needs outputs that differ")
    return Trained(first, last, tuple(view for view in views if view))


def analyse(runs: Runs) -> Analysis:
    """Return the claims of figures 2, 3 and 8, tables over training and of the shapes, and drawn arrays."""
    seeds = [run.spec.seed for run in runs["torus"]]
    with all_cores() as pool:
        found = {role: [examine(run, role == "torus", pool) for run in of_role] for role, of_role in runs.items()}
        sides = found["torus"][0].last.representation.sizes
        torus = clifford_torus(sides).reshape(-1, 2 * len(sides))
        ideal = pool.submit(persistence, torus, landmarks=landmarks(runs["torus"][0], LANDMARKS))
        list(pool.map(lambda call: call(), _slow(found)))
    shape = ideal.result()
    tables = {
        "training": _training(found, seeds),
        "topology": _topology(found, seeds, shape),
        "geometry": _geometry(found, seeds),
    }
    return _claims(found), tables, _arrays(found["torus"][0], shape)


def _slow(found: dict[str, list[Trained]]) -> list[Callable[[], object]]:
    """List the calls that take seconds and whose results are kept, longest first: all cores share them.

    Persistent homology runs in child processes, the rest in numpy.
    """
    every = [trained for of_role in found.values() for trained in of_role]
    tori = [trained.first for trained in found["torus"] if trained.first]
    tori += [trained.last for role, of_role in found.items() if not _unlearnt(role, of_role) for trained in of_role]
    shapes = [view for trained in every for view in trained.ends if view not in tori]
    readings = [(view, READINGS) for view in tori] + [(view, 1) for view in shapes]
    return [
        *(partial(view.readings, count) for view, count in sorted(readings, key=lambda one: -one[0].landmarks)),
        *(partial(getattr, trained.last, "compared") for trained in every),
    ]


Made = Callable[[str, str, str, Bound, Callable[[View], Estimate], Terms], Claim]


def _unlearnt(role: str, models: Sequence[Trained]) -> list[str]:
    """List the reasons against judging models: those that do not draw the lattice."""
    shares = [(trained.last.seed, float(trained.last.right.mean())) for trained in models]
    return [
        f"model {role!r} of seed {seed} draws {share:.2f} of the lattice right, needs {LEARNT:g}"
        for seed, share in shares
        if not share >= LEARNT
    ]


def _made_by(torus: Sequence[Trained]) -> Made:
    """Return a function that makes claims about what training has produced.

    Such a claim is not measured if a network has not learnt, or if the value equals that of the untrained network. A
    value outside the bound fails, whatever the untrained network shows.
    """

    def made(
        id: str, figure: str, statement: str, bound: Bound, measure: Callable[[View], Estimate], terms: Terms
    ) -> Claim:
        unless: list[str | None] = [*_unlearnt("torus", torus)]
        last = [] if unless else [measure(trained.last) for trained in torus]
        if last and bound.verdict(*over_seeds(last).interval) != "fails":
            first = [measure(trained.first) for trained in torus if trained.first]
            unless = [unlike(last, first)] if len(first) == len(last) else []  # a network without a shape has no value
        return claim(id, figure, statement, bound, lambda: last, terms=terms, roles=["torus"], unless=unless)

    return made


def _nearer(name: str, to: tuple[str, str], than: tuple[str, str]) -> Callable[[View], Estimate]:
    return lambda view: view.margin(name, to, than)


def _claims(found: dict[str, list[Trained]]) -> list[Claim]:
    torus, control = found["torus"], found["no wrap"]
    made, most, half = _made_by(torus), Bound(">", 0.5), Bound("<=", 0.5)
    return [
        claim("torus.accuracy", "2", "drawings of the lattice that are right", Bound(">=", 0.98),
              lambda: [proportion(t.last.right) for t in torus], roles=["torus"]),
        made("torus.betti.end", "2",
             "trained: readings that show a torus, Betti numbers (1, 2, 1) over the fields of 2 and of 3", most,
             lambda view: view.tori, "paper"),
        claim("torus.betti.start", "2", "untrained: readings that show a torus", half,
              lambda: [t.first.tori if t.first else _share([False] * READINGS) for t in torus], terms="paper",
              roles=["torus"]),
        made("torus.dimension", "2", "effective dimension (participation ratio)", Bound(">", 4), View.dimension,
             "paper"),
        *_of_figure_3(made),
        made("torus.cross", "3", "steps of x and y: mean magnitude of the cosine", Bound("<=", 0.15), View.cross,
             "ours"),
        made("torus.interaction", "3", "share of the variance that x and y explain only together", Bound("<=", 0.1),
             View.interaction, "ours"),
        claim("control.betti", "2", "code that does not wrap: readings that show a torus", half,
              lambda: [t.last.tori for t in control], roles=["no wrap"], unless=_unlearnt("no wrap", control)),
    ]  # fmt: skip


def _of_figure_3(made: Made) -> list[Claim]:
    """Make the claims about the ideal shape to which the statistics of figure 3 are nearer."""
    apart = Bound(">", 0)
    claims = [
        made("torus.xy.orthogonality", "3", "x-on-y orthogonality: distance to the 3D torus's x-on-y less distance to "
             "the Clifford torus's x-on-y", apart,
             _nearer("x-on-y orthogonality", ("Clifford torus", "x-on-y orthogonality"),
                     ("3D torus", "x-on-y orthogonality")), "paper"),
    ]  # fmt: skip
    for name in ("x-on-x", "y-on-y"):
        for kind in ("orthogonality", "parallelism"):
            paper = (("3D torus", f"x-on-y {kind}"), ("Clifford torus", f"{name} {kind}"))
            statement = (
                f"hyper-factorized, {name} {kind}: distance to the Clifford torus's {name} less distance to the "
                "3D torus's x-on-y"
            )
            measure = _nearer(f"{name} {kind}", *paper)
            claims.append(made(f"torus.{name[0]}{name[-1]}.{kind}", "3", statement, apart, measure, "paper"))
    for name in "xy":
        ideal = (("hyper-factorized torus", f"{name} within"), ("Clifford torus", f"{name} within"))
        statement = (
            f"steps of {name} at two of its values: distance to those of a circle less distance to those of a ring of "
            "tuning curves"
        )
        claims.append(made(f"torus.within.{name}", "3", statement, apart, _nearer(f"{name} within", *ideal), "ours"))
    return claims


def _training(found: dict[str, list[Trained]], seeds: list[int]) -> pl.DataFrame:
    """Tabulate, by model, seed and step, the drawings, the share right, dimensions, and the variance along 4 axes."""
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
    """Tabulate the topology at both ends of training.

    Returns
    -------
    polars.DataFrame
        One row a model, seed, step and dimension: Betti number, its clarity, the p-value of the last bar counted, the
        three longest bars in units of the cloud's radius, and the bottleneck distance to an ideal torus in the same
        units.
    """
    rows = []
    for role, of_role in found.items():
        for seed, trained in zip(seeds, of_role, strict=True):
            for step, shape in ((view.step, view.shape) for view in trained.ends):
                for dim, (count, clear, apart) in enumerate(
                    zip(shape.betti(), shape.clarity(), bottleneck(shape, ideal), strict=True)
                ):
                    bars = [*(shape.lifetimes(dim)[:3] / shape.radius).tolist(), 0.0, 0.0, 0.0][:3]
                    p = shape.p_values(dim) if dim else np.zeros(0)
                    last = float(p[count - 1]) if 0 < count <= len(p) else None
                    rows.append({
                        "model": role, "seed": seed, "step": step, "dim": dim, "betti": count,
                        "told": shape.told[dim], "clarity": clear if np.isfinite(clear) else None, "p": last,
                        "bar_1": bars[0], "bar_2": bars[1], "bar_3": bars[2], "bottleneck": apart,
                    })  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def _geometry(found: dict[str, list[Trained]], seeds: list[int]) -> pl.DataFrame:
    """Tabulate the geometry at the end of training.

    Returns
    -------
    polars.DataFrame
        One row a model, seed and statistic: its mean, and its Wasserstein distance to each reference. The mean over
        statistics is called "all".
    """
    rows = []
    for role, of_role in found.items():
        for seed, trained in zip(seeds, of_role, strict=True):
            compared = trained.last.compared
            for name, values in compared.statistics.items():
                away = {shape: compared.distances[shape][name] for shape in compared.references}
                rows.append({"model": role, "seed": seed, "statistic": name, "mean": float(values.mean()), **away})
            rows.append({"model": role, "seed": seed, "statistic": "all", "mean": None, **compared.total})
    return pl.DataFrame(rows, infer_schema_length=None)


def _arrays(trained: Trained, ideal: Persistence) -> dict[str, np.ndarray]:
    """Collect what the figures draw of the first seed.

    These are spectra and accuracy by step, principal coordinates at three steps, persistence diagrams, and the values
    of each statistic for the model and each reference.
    """
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
            sides = view.representation.sizes
            arrays[f"pca.{view.step}"] = pca(view.points, 3).coordinates.reshape(*sides, 3)
    sides = trained.last.representation.sizes
    arrays["ideal.3D"] = torus_3d(sides[0])
    arrays["ideal.Clifford"] = _stereographic(clifford_torus(sides))
    for name, shape in (("ideal", ideal), ("learned", trained.last.shape)):
        for dim, diagram in enumerate(shape.diagrams):
            arrays[f"diagram.{name}.{dim}"] = diagram / shape.radius
    for name, values in trained.last.compared.statistics.items():
        arrays[f"statistic.model.{name}"] = values
        for shape, of_shape in trained.last.compared.references.items():
            arrays[f"statistic.{shape}.{name}"] = of_shape[name]
    return arrays


def _stereographic(R: np.ndarray) -> np.ndarray:
    """Project a Clifford torus, which lies in the 3-sphere, to 3 dimensions.

    The projection is from the pole (0, 0, 0, 1), which the torus does not meet.
    """
    unit = R / np.linalg.norm(R, axis=-1, keepdims=True)
    return unit[..., :3] / (1.0 - unit[..., 3:])


EXPERIMENT = Experiment(
    name="torus",
    question="What shape does a model make of two periodic factors, and does it keep them apart?",
    figures=("2", "3", "8"),
    specs=specs,
    analyse=analyse,
    analysis=lambda preset: 0 if preset == "smoke" else 60_000,
)
