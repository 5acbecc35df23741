"""The signature of figure 3, from drawings of a lattice: from one drawing a point, their mean, or without noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.experiments.base import Analysis, Part, Parts, Runs
from hyperfactor.experiments.claims import Estimate
from hyperfactor.experiments.lattice import dimension_over_lines, every
from hyperfactor.factors.space import FactorSpace
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.measures.comparison import Statistics, statistics
from hyperfactor.measures.dimension import participation_ratio
from hyperfactor.measures.geometry import Comparison, additivity
from hyperfactor.measures.references import references
from hyperfactor.measures.representation import Representation
from hyperfactor.runs.run import Run
from hyperfactor.subjects.judge import judge

LAYER = "up1"
DRAWN = SamplingSpec(sampler="ddim", steps=20)
DRAWINGS = 8  # drawings of each lattice point at the end of training
FEWEST = 2  # drawings before, and the fewest that can be corrected
KINDS = ("x-on-y", "x-on-x", "y-on-y")
TESTS = ("orthogonality", "parallelism")
# The ideal statistics: of the 3D torus, which the paper's models resemble in every kind, and of the Clifford torus.
PAPER = {test: ("3D torus", f"x-on-y {test}") for test in TESTS}
HALF = 0.5  # orthogonality of the 3D torus's x-on-y curves
LINES = 100  # bootstrap samples over lattice lines


@dataclass(frozen=True)
class Drawn:
    """Drawings of a lattice, repeated with other noise, and the outputs of the layers.

    Attributes
    ----------
    seed, step : int
        Seed of the run, and step of its training.
    source : str
        How pictures were drawn: "ddim 20" for 20 steps of DDIM, "truth" for true pictures.
    stride : int
        Lattice steps between the points.
    both, right : (drawings, n)
        Outcomes of each drawing.
    readings : mapping of str to sequence of (n_1, n_2, d)
        For each layer one array a drawing.
    space : FactorSpace
        The factors.
    """

    seed: int
    step: int
    source: str
    stride: int
    both: np.ndarray
    right: np.ndarray
    readings: Mapping[str, Sequence[np.ndarray]]
    space: FactorSpace

    def part(self, count: int, apart: int, layers: Sequence[str]) -> "Drawn":
        """Return the first drawings of every apart-th value of each factor.

        They equal new drawings of these points, because neither the other points nor the other drawings change the
        noise of one.
        """
        sides = self.readings[layers[0]][0].shape[:2]
        both, right = (
            of.reshape(-1, *sides)[:count, ::apart, ::apart].reshape(min(count, len(of)), -1)
            for of in (self.both, self.right)
        )
        readings = {layer: [R[::apart, ::apart] for R in self.readings[layer][:count]] for layer in layers}
        return replace(self, stride=self.stride * apart, both=both, right=right, readings=readings)


@dataclass(frozen=True)
class Geometry:
    """Figure 3's statistics of one representation: of a single reading, or corrected, of several."""

    seed: int
    readings: Sequence[np.ndarray]
    space: FactorSpace

    @cached_property
    def representation(self) -> Representation:
        """The single reading, or several that are corrected for noise."""
        return Representation.of(self.readings[0] if len(self.readings) == 1 else list(self.readings), self.space)

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics alone, without intervals."""
        return statistics(self.representation, seed=self.seed)

    @cached_property
    def compared(self) -> Comparison:
        """The comparison with the ideal shapes."""
        ideal = references(self.representation.axes, self.representation.sizes)
        return self.statistics.compared(against=ideal)

    def mean(self, name: str) -> Estimate:
        """Return a statistic's mean, with its interval (see `geometry.compare`)."""
        return self._sum({name: 1.0})

    def _sum(self, weights: Mapping[str, float], constant: float = 0.0) -> Estimate:
        """Return a weighted sum of the means of statistics, with its interval."""
        found = self.compared
        value = constant + sum(weight * float(found.statistics[name].mean()) for name, weight in weights.items())
        drawn = np.sum([weight * found.resampled[name].mean(axis=1) for name, weight in weights.items()], axis=0)
        low, high = value + np.quantile(drawn, [0.025, 0.975]) - drawn.mean()
        return Estimate(value, float(low), float(high), self._method)

    @property
    def _method(self) -> str:
        return "bootstrap over curves and steps" if len(self.readings) == 1 else "jackknife over curves, or bootstrap"

    def margin(self, test: str) -> Estimate:
        """Return how much nearer x-on-x and y-on-y are to the paper's signature than to the Clifford torus.

        This is the mean over x-on-x and y-on-y of the distance to the Clifford torus's statistic, minus the distance to
        the 3D torus's x-on-y.
        """
        margins = [
            Estimate(*self.compared.margin(f"{kind} {test}", PAPER[test], ("Clifford torus", f"{kind} {test}")),
                     self._method)
            for kind in KINDS[1:]
        ]  # fmt: skip
        return _average(margins)

    def signature(self) -> Estimate:
        """Return the mean over x-on-x and y-on-y of orthogonality / HALF and 1 - parallelism.

        It is 0 for a Clifford torus. It is 1 if x-on-x and y-on-y have the values of the 3D torus's x-on-y.
        """
        weights = {"orthogonality": 0.5 / HALF, "parallelism": -0.5}
        return _average([self._sum({f"{kind} {test}": weights[test] for test in TESTS}, 0.5) for kind in KINDS[1:]])

    def dimension(self) -> Estimate:
        """Return the participation ratio, with its bootstrap interval over lattice lines."""
        return dimension_over_lines(self.readings, rng.stream(self.seed, "hyperfactorization.lines"), LINES)

    def row(self) -> dict[str, float]:
        """Return the means of the statistics, additivity, dimension, noise and ceilings.

        Noise and ceilings of a single reading are NaN.
        """
        found, parts = self.statistics, additivity(self.representation)
        names = [f"{kind} {test}" for test in TESTS for kind in KINDS]
        means = {name: float(found.values[name].mean()) if name in found.values else np.nan for name in names}
        of_test = [sum(means[f"{kind} {test}"] for kind in KINDS[1:]) / 2 for test in TESTS]
        return {
            "noise": np.nan if found.noise is None else found.noise,
            **means,
            **{f"ceiling {name}": found.ceiling.get(name, np.nan) for name in names},
            "interaction": parts.interaction,
            "dimension": participation_ratio(self.representation),
            "signature": (of_test[0] / HALF + 1 - of_test[1]) / 2,
        }

    def claimed(self) -> dict[str, Estimate]:
        """Return what is claimed: the margin of each test, the dimension and the signature."""
        margins = {test: self.margin(test) for test in TESTS}
        return {**margins, "dimension": self.dimension(), "signature": self.signature()}


def _average(parts: Sequence[Estimate]) -> Estimate:
    """Average estimates from the same drawings. Their errors may be equal, so the widths of intervals are averaged."""
    value, low, high = (float(np.mean([getattr(part, name) for part in parts])) for name in ("value", "low", "high"))
    return Estimate(value, low, high, parts[0].method)


def draw_readings(
    run: Run, step: int, count: int, apart: int, layers: Sequence[str], sampling: SamplingSpec | None
) -> Drawn:
    """Draw a part of the lattice several times, and record the layers.

    Parameters
    ----------
    run : Run
        The model.
    step : int
        Step of training, one that was kept.
    count : int
        Number of drawings of each point.
    apart : int
        Lattice steps between the points.
    layers : sequence of str
        Layers that are recorded.
    sampling : SamplingSpec or None
        How pictures are drawn. With None the true pictures are used; at timestep 0 they have no noise, so one reading
        is enough.
    """
    spec = run.spec
    points, sides = every(spec.data, apart)
    both, right, readings = [], [], {layer: [] for layer in layers}
    for k in range(count):
        seed = DRAWINGS * spec.seed + k
        images = spec.task.render(points) if sampling is None else run.sample(points, seed, step, sampling=sampling)
        judged = judge(spec.task, "lattice", points, images)
        both.append(judged["all"].to_numpy())
        right.append(judged["right"].to_numpy())
        found = run.activations(layers, factors=points, step=step, pictures=images, seed=seed)
        for layer in layers:
            readings[layer].append(found[layer].reshape(*sides, -1))
    source = "truth" if sampling is None else f"{sampling.sampler} {sampling.steps}"
    return Drawn(spec.seed, step, source, apart, np.array(both), np.array(right), readings, spec.data.picture.space())


def measure(drawn: Drawn, layer: str, means: Sequence[int] = (1,)) -> Iterator[tuple[str, int, Geometry]]:
    """Measure the geometry of a layer.

    Parameters
    ----------
    drawn : Drawn
        The drawings.
    layer : str
        The layer.
    means : sequence of int
        Numbers of drawings whose mean is measured.

    Yields
    ------
    name : str
        "plain" for the mean of the first drawings, once for each number in `means`; "corrected" for two drawings, and
        for all.
    count : int
        Number of drawings.
    geometry : Geometry
        What is measured.
    """
    readings = drawn.readings[layer]
    for count in means:
        if count <= len(readings):
            mean = np.asarray(np.mean(readings[:count], axis=0, dtype=np.float64))
            yield "plain", count, Geometry(drawn.seed, [mean], drawn.space)
    for count in sorted({FEWEST, len(readings)}) if len(readings) > 1 else ():
        yield "corrected", count, Geometry(drawn.seed, readings[:count], drawn.space)


def as_row(role: str, drawn: Drawn, layer: str, kind: str, count: int, geometry: Geometry) -> dict[str, Any]:
    """Return the row of one measurement, without values if the readings have nothing in common but noise."""
    about = {
        "recipe": role, "seed": drawn.seed, "step": drawn.step, "source": drawn.source, "layer": layer,
        "stride": drawn.stride, "kind": kind, "drawings": count, "both": float(drawn.both.mean()),
        "right": float(drawn.right.mean()),
    }  # fmt: skip
    try:
        return about | geometry.row()
    except RequestError:
        names = [f"{kind} {test}" for test in TESTS for kind in KINDS]
        ceilings = (f"ceiling {name}" for name in names)
        return about | dict.fromkeys(
            ("noise", *names, *ceilings, "interaction", "dimension", "signature"), float("nan")
        )


def one_by_one(
    examine: Callable[[str, Run], Analysis],
    join: Callable[[Mapping[str, Sequence[Analysis]]], Analysis],
    cost: Callable[[int], int],
) -> Parts:
    """Return an analysis whose parts are the examinations of single runs.

    Parameters
    ----------
    examine : callable
        examine(role, run) returns the analysis of one run.
    join : callable
        join(found) returns the whole, from the analyses of each role's runs.
    cost : callable
        cost(side) returns the cost of examining a run, by the side of its canvas, as pictures on which its network is
        trained meanwhile.
    """

    def split(of_roles: Mapping[str, Sequence[Any]]) -> dict[str, Part]:
        parts = {}
        for role, of_role in of_roles.items():
            pictures = cost(int(role.split()[1]))
            for k, one in enumerate(of_role):
                parts[f"{role}, model {k + 1}"] = Part(
                    {role: [one]},
                    lambda runs, role=role: examine(role, runs[role][0]),
                    lambda preset, pictures=pictures: 0 if preset == "smoke" else pictures,
                )
        return dict(reversed(parts.items()))  # the largest pictures first: all cores end together

    def joined(analysed: Mapping[str, tuple[Runs, Analysis]]) -> Analysis:
        found: dict[str, list[Analysis]] = {}
        for runs, analysis in reversed([*analysed.values()]):
            found.setdefault(next(iter(runs)), []).append(analysis)
        return join(found)

    return Parts(split, joined, at_once=True)
