"""Does learning set in where the training pictures hang together, whatever the pictures show?

The paper's account of sudden onset (claim 6) was made for bumps, whose overlaps form a lattice. Here it is asked of
bumps, sums of stripes and a handwritten digit at positions. Random parts of each kind's pictures are trained on, with
the recipe of percolation_onset, and the bumps are its models. Two pictures are neighbours if they overlap by a
threshold. The prediction is the number of random pictures above which half are in one cluster of this graph, which is
made of the pictures themselves.

Sums of stripes are the test: two that share one stripe overlap by a half, so few of them hang together as a whole,
where bumps of the same width need many.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from hyperfactor.experiments.base import LEARNT, Analysis, Experiment, Runs, few, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim
from hyperfactor.experiments.data_efficiency import exponent
from hyperfactor.experiments.percolation_onset import (
    LAMBDAS,
    PREDICTED,
    THRESHOLDS,
    TRAINING,
    Curve,
    curves,
    onset,
    resampled,
)
from hyperfactor.factors.regions import Everything
from hyperfactor.images.digits import Digits
from hyperfactor.images.gaussian import Bump, Sos
from hyperfactor.percolation.graph import giant_component
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import summarize

SIGMAS = (0.5, 1.0, 2.0)
KINDS: dict[str, dict[str, Any]] = {
    **{f"bump {sigma:g}": {"picture": Bump(sigma=sigma)} for sigma in SIGMAS},
    **{f"stripes {sigma:g}": {"picture": Sos(sigma=sigma)} for sigma in SIGMAS},
    "digit": {"picture": Digits(), "fixed": {"digit": 3}},
}
FRACTIONS = (*LAMBDAS[:-1], 0.3, LAMBDAS[-1])  # of the pictures; narrow bumps are predicted between 0.1 and 1
NEAR = 2.0  # factor within which an onset is near its prediction


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return a model for each kind of picture and each lambda, with roles such as "stripes 1 | 0.02"."""
    return {
        f"{kind} | {fraction:g}": preset_spec(
            preset, seed, training=TRAINING,
            data={**KINDS[kind], "fraction": fraction, "test": {"lattice": Everything()}},
        )
        for kind in few(preset, list(KINDS)) for fraction in few(preset, FRACTIONS)
    }  # fmt: skip


@cache
def predicted(kind: str) -> dict[float, float]:
    """Return, by threshold, the fraction of a kind's pictures of which half hang together; 1 if they never do."""
    data = preset_spec("laptop", 0, data=KINDS[kind]).data
    images = data.picture.render(data.lattice())
    found = giant_component(images, THRESHOLDS)
    return {threshold: (number or len(images)) / len(images) for threshold, number in found.items()}


def analyse(runs: Runs) -> Analysis:
    """Return the claims, the accuracy of every model, and the onset of each kind with its predictions."""
    rows = []
    for role, of_role in runs.items():
        kind, fraction = role.split(" | ")
        for run in of_role:
            names = run.spec.data.picture.space().names
            judged = {row["region"]: row for row in summarize(run.evaluate(), names).to_dicts()}["lattice"]
            rows.append({
                "kind": kind, "fraction": float(fraction), "trained": len(run.spec.task.points), "seed": run.spec.seed,
                "n": judged["n"], "right": judged["right"], "copied": judged["all_copied"],
            })  # fmt: skip
    accuracy = pl.DataFrame(rows, infer_schema_length=None).sort("kind", "fraction", "seed")
    onsets = pl.DataFrame(
        [
            {"kind": kind, "seed": seed,
             "onset": onset(of_one["fraction"].to_numpy(), of_one["right"].to_numpy()),
             **{f"at {threshold:g}": at for threshold, at in predicted(str(kind)).items()}}
            for (kind, seed), of_one in accuracy.group_by("kind", "seed", maintain_order=True)
        ],
        schema_overrides={"onset": pl.Float64},
    )  # fmt: skip
    return _claims(accuracy), {"accuracy": accuracy, "onset": onsets}, {}


def _claims(accuracy: pl.DataFrame) -> list[Claim]:
    seeds, kinds = sorted(accuracy["seed"].unique()), sorted(accuracy["kind"].unique())
    unlearnt = [
        f"{row['kind']}: the model of all pictures of seed {row['seed']} draws {row['right']:.2f} right, "
        f"needs {LEARNT:g}"
        for row in accuracy.filter((pl.col("fraction") == FRACTIONS[-1]) & (pl.col("right") < LEARNT)).to_dicts()
    ]
    unless = [f"this preset has no models of {kind}" for kind in KINDS if kind not in kinds] + unlearnt
    expected = np.array([predicted(kind)[PREDICTED] for kind in kinds]) if not unless else np.ones(0)

    def measure(
        statistic: Callable[[np.ndarray], float], span: tuple[float, float] = (-math.inf, math.inf)
    ) -> list[Estimate]:
        return [resampled(accuracy, seed, lambda found: statistic(_onsets(found)), span, "kind") for seed in seeds]

    def correlation(found: np.ndarray) -> float:
        return float(np.corrcoef(np.log(found), np.log(expected))[0, 1])

    def away(found: np.ndarray) -> float:
        return float(np.exp(np.abs(np.log(found / expected)).max()))

    def power() -> list[Estimate]:
        found = [_onsets([curve[:2] for curve in curves(accuracy, seed, "kind")]) for seed in seeds]
        return [exponent(expected, np.exp(np.mean(np.log(found), axis=0)))]

    figure = "percolation_families"
    return [
        claim("families.predicted", figure,
              f"correlation of ln onset and ln prediction (overlap {PREDICTED:g}) over kinds of pictures",
              Bound(">=", 0.9), lambda: measure(correlation, (-1.0, 1.0)), unless=unless),
        claim("families.near", figure, "largest factor between the onset of a kind and its prediction",
              Bound("<=", NEAR), lambda: measure(away, (1.0, math.inf)), unless=unless),
        claim("families.exponent", figure,
              "exponent of the onset in the prediction (1 if learning follows percolation)", Bound(">", 0),
              power, unless=unless, of_all=True),
        *(
            claim(f"families.stripes.{sigma:g}", figure,
                  f"sigma {sigma:g}: onset of bumps less that of sums of stripes (lambda)", Bound(">", 0),
                  lambda sigma=sigma: measure(_earlier(kinds, sigma)), unless=unless,
                  roles=[f"{of} {sigma:g} | {at:g}" for of in ("bump", "stripes") for at in FRACTIONS])
            for sigma in SIGMAS
        ),
    ]  # fmt: skip


def _earlier(kinds: Sequence[str], sigma: float) -> Callable[[np.ndarray], float]:
    """Return a function that subtracts the onset of stripes from that of bumps."""
    bump, stripes = (kinds.index(f"{of} {sigma:g}") for of in ("bump", "stripes"))
    return lambda found: float(found[bump] - found[stripes])


def _onsets(found: Sequence[Curve]) -> np.ndarray:
    """Return the onset of each curve; 1 for a curve that has none."""
    return np.array([onset(*curve) or 1.0 for curve in found])


EXPERIMENT = Experiment(
    name="percolation_families",
    question="Does learning set in where the training pictures hang together, whatever they show?",
    figures=("percolation_families",),
    specs=specs,
    analyse=analyse,
    beyond=True,
)
