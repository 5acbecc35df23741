"""Does the signature of figure 3 depend on how pictures are drawn?

The models of the hyperfactorization experiment are drawn by 20 steps of DDIM, in which only the first noise differs
between drawings. The paper draws by 1,000 steps of DDPM (ancestral sampling), each of which adds noise, at fifty times
the cost. Here the same models draw a part of the lattice both ways, twice, and the signature is computed from one
drawing a point and without noise (see `measures.readings`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import scipy  # imports scipy.stats when it is needed: a second

from hyperfactor.experiments.base import LEARNT, Analysis, Experiment, is_smoke
from hyperfactor.experiments.claims import CONFIDENCE, Bound, Claim, Estimate, claim
from hyperfactor.experiments.hyperfactorization import specs
from hyperfactor.experiments.signature import DRAWN, FEWEST, LAYER, as_row, draw_readings, measure, one_by_one
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.runs.run import Run

ANCESTRAL = SamplingSpec(sampler="ddpm", steps=1000)
SIDE = 8  # lattice values of each factor that are drawn
APART = 0.1  # signatures that differ by less are alike
READ = {"plain": "one drawing a point", "corrected": "without noise"}


def examine(role: str, run: Run) -> Analysis:
    """Draw a part of the lattice by DDIM and by DDPM, and measure each from one drawing a point and without noise."""
    apart = max(1, run.spec.data.picture.shape[1] // SIDE)
    rows = []
    for sampling in (DRAWN, ANCESTRAL):
        if is_smoke(run):
            sampling = SamplingSpec(sampler=sampling.sampler, steps=run.spec.sampling.steps)
        drawn = draw_readings(run, run.spec.training.steps, FEWEST, apart, [LAYER], sampling)
        for kind, count, geometry in measure(drawn, LAYER):
            rows.append({**as_row(role, drawn, LAYER, kind, count, geometry), "sampler": sampling.sampler})
    return [], {"geometry": pl.DataFrame(rows, infer_schema_length=None)}, {}


def _join(analysed: Mapping[str, Sequence[Analysis]]) -> Analysis:
    """Return the claims, and a table of the measurements."""
    tables = [tables["geometry"] for of_role in analysed.values() for _, tables, _ in of_role]
    table = pl.concat(tables, how="vertical_relaxed")
    return _claims(table), {"geometry": table}, {}


def _claims(table: pl.DataFrame) -> list[Claim]:
    """Make the claims that the signature is alike, from one drawing a point and without noise."""
    placed = table.group_by("recipe", "seed", maintain_order=True).agg(pl.col("both").min())
    unless = [
        f"model {recipe!r} of seed {seed} draws {both:.2f} of the lattice at the right place, needs {LEARNT:g}"
        for recipe, seed, both in placed.iter_rows()
        if not both >= LEARNT
    ]
    return [
        claim(
            f"ancestral.{kind}", "ancestral",
            f"{words}: distance of the signature by DDPM from that by DDIM, mean over recipes",
            Bound("<=", APART), lambda kind=kind: _apart(table.filter(pl.col("kind") == kind)), unless=unless,
        )
        for kind, words in READ.items()
    ]  # fmt: skip


def _apart(table: pl.DataFrame) -> list[Estimate]:
    """Return for each seed the mean over recipes of the absolute difference."""
    by_sampler = table.pivot("sampler", index=["seed", "recipe"], values="signature", maintain_order=True)
    apart = by_sampler.with_columns((pl.col("ddpm") - pl.col("ddim")).abs().alias("apart"))
    return [_mean(of_seed["apart"].to_numpy()) for of_seed in apart.partition_by("seed", maintain_order=True)]


def _mean(values: Sequence[float] | np.ndarray) -> Estimate:
    """Return the mean of recipes with Student's interval."""
    values, count = np.asarray(values), len(values)
    half = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(ddof=1) / count**0.5)
    mean = float(values.mean())
    return Estimate(mean, max(0.0, mean - half), mean + half, f"Student over {count} recipes", (0.0, np.inf))


EXPERIMENT = Experiment(
    name="ancestral",
    question="Does the signature of figure 3 depend on how pictures are drawn: by DDPM or by DDIM?",
    figures=("ancestral",),
    specs=specs,
    analyse=one_by_one(examine, _join, lambda _side: 44_000),
    beyond=True,
)
