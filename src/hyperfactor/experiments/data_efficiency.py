"""How many pictures does a model need, and how does that grow with the size of the picture?

Figures 4 (g) and 5 of the paper.  N is the number of values of a factor, and of pixels a side.

    bumps               all N x N bumps of the window
    bumps + stripes     these, and single stripes: the points of a canvas with one centre in the window

A model is trained on a fraction of its set, drawn at random, and asked for bumps of the whole window.  The
number of pictures with which NEEDED of them are right is found by halving: the first TRIED fractions are
those below, each later one lies between (in the logarithm) the largest that was too small and the
smallest that was enough.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import linregress, t

from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, claim, exactly
from hyperfactor.factors.regions import Region
from hyperfactor.images.dataset import training_points
from hyperfactor.images.gaussian import Picture
from hyperfactor.runs.run import Run, summarize
from hyperfactor.runs.spec import RunSpec

SIZES = (16, 24, 32, 40)
MARGIN = 13  # values of the canvas outside the window
TRIED = (1 / 16, 1 / 4, 1.0)
TRIES = 6
NEEDED = 0.6
FAMILIES = ("bumps", "bumps + stripes")
# With half as many, models of bumps and stripes drew stripes for bumps beside the window's edge: docs/experiments.md.
TRAINING = {"steps": 3000, "batch": 16, "evaluate_every": 0}
TESTED = 300  # requests


def _spec(preset: str, seed: int, family: str, size: int, fraction: float) -> RunSpec:
    picture = Picture(family="bump", size=size, canvas=size + MARGIN)
    train: Region = picture.window()
    if family == "bumps + stripes":
        train = train | picture.outside_one()
    data = {
        "picture": picture, "train": train, "fraction": fraction, "test": {"window": picture.window()},
        "test_points": TESTED,
    }  # fmt: skip
    return preset_spec(preset, seed, data=data, training=TRAINING)


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """The first models of each family and size; roles such as "bumps | 32 | 0"."""
    return {
        f"{family} | {size} | {k}": _spec(preset, seed, family, size, fraction)
        for family in FAMILIES
        for size in few(preset, SIZES)
        for k, fraction in enumerate(few(preset, TRIED))
    }


def more(preset: str, seed: int, runs: Mapping[str, Run]) -> dict[str, RunSpec]:
    """The next model of each family and size, until there are TRIES; none for `smoke`."""
    wanted = {}
    for family in FAMILIES:
        for size in few(preset, SIZES):
            tried = [run for role, run in runs.items() if role.startswith(f"{family} | {size} | ")]
            if preset != "smoke" and len(tried) < TRIES:
                low, high = bracket([(run.spec.data.fraction, right(run)) for run in tried])
                fraction = float((low * high) ** 0.5)
                wanted[f"{family} | {size} | {len(tried)}"] = _spec(preset, seed, family, size, fraction)
    return wanted


def searched(preset: str) -> int:
    """How many models of a seed `more` asks for."""
    return 0 if preset == "smoke" else len(FAMILIES) * len(SIZES) * (TRIES - len(TRIED))


def right(run: Run) -> float:
    """The share of the window's requests drawn right."""
    return float(run.evaluate("window")["right"].to_numpy().mean())


def bracket(tried: list[tuple[float, float]]) -> tuple[float, float]:
    """The largest fraction that was too small below the smallest that was enough, and that one; from
    (fraction, share right).  A quarter of the smallest tried, where all were enough; the two
    largest, where none was."""
    tried = sorted(tried)
    enough = next((k for k, (_, share) in enumerate(tried) if share >= NEEDED), len(tried) - 1)
    return (tried[enough - 1][0] if enough else tried[0][0] / 4), tried[enough][0]


def needed(tried: list[tuple[float, float]]) -> tuple[float, float, float] | None:
    """The number of pictures at which NEEDED of the requests come right, from (pictures, share right): in the logarithm
    between the two that bracket it, by a line through their shares; with these two.  None where none was enough."""
    tried = sorted(tried)
    enough = next((k for k, (_, share) in enumerate(tried) if share >= NEEDED), None)
    if not enough:
        return None
    (n0, a), (n1, b) = tried[enough - 1 : enough + 1]
    return float(n0 * (n1 / n0) ** ((NEEDED - a) / (b - a))), n0, n1


def exponent(sizes: np.ndarray, counts: np.ndarray) -> tuple[float, float, float]:
    """The slope of ln counts against ln sizes by least squares, with Student's 95 % interval."""
    found: Any = linregress(np.log(sizes), np.log(counts))
    half = t.ppf(0.975, len(sizes) - 2) * found.stderr
    return float(found.slope), float(found.slope - half), float(found.slope + half)


def analyse(runs: Runs) -> Analysis:
    """The claims of figure 5, accuracy of every model, and the number of pictures needed by family, size and seed."""
    tables, found = [], []
    groups: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    for role, of_role in runs.items():
        family, size, _ = role.split(" | ")
        for run in of_role:
            trained = len(training_points(run.spec.data, run.spec.seed))
            about = {
                "family": family, "size": int(size), "seed": run.spec.seed, "fraction": run.spec.data.fraction,
                "trained": trained,
            }  # fmt: skip
            window = summarize(run.evaluate("window"), ("x", "y"))
            tables.append(window.select(*(pl.lit(value).alias(name) for name, value in about.items()), pl.all()))
            groups.setdefault((family, int(size), run.spec.seed), []).append((float(trained), right(run)))
    for (family, size, seed), tried in groups.items():
        n, low, high = needed(tried) or (None, None, None)
        found.append({"family": family, "size": size, "seed": seed, "needed": n, "too_few": low, "enough": high})
    counts = pl.DataFrame(found, infer_schema_length=None)
    return _claims(counts), {"accuracy": pl.concat(tables), "needed": counts}, {}


def _claims(counts: pl.DataFrame) -> list[Claim]:
    def slope(family: str) -> tuple[float, float, float] | None:
        of_family = counts.filter((pl.col("family") == family) & pl.col("needed").is_not_null())
        if of_family["size"].n_unique() < 3:
            return None
        return exponent(of_family["size"].to_numpy().astype(float), of_family["needed"].to_numpy())

    alone, both = slope("bumps"), slope("bumps + stripes")
    if alone is None or both is None:
        return []
    return [
        claim("efficiency.bumps", "5", "bumps alone: exponent of the pictures needed in N", Bound(">", 1.5), [alone]),
        claim("efficiency.both", "5", "bumps + stripes: exponent of the pictures needed in N", Bound("<=", 1.5), [both]),
        claim(
            "efficiency.apart", "5", "lower end of the exponent of bumps less upper end of bumps + stripes",
            Bound(">", 0), [exactly(alone[1] - both[2])],
        ),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    name="data_efficiency",
    question="How many pictures does a model need, and how does that grow with the size of the picture?",
    figures=("4g", "5"),
    specs=specs,
    analyse=analyse,
    more=more,
    searched=searched,
)
