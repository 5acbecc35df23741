"""How wide a gap in the values of one factor can a model fill?

Figure 11 of the paper. Each model draws bumps on the 32 x 32 lattice without a vertical lesion: WIDTH values of x in
the middle, with every y. It is then asked for the lesion. A copy of the nearest trained bump is within the tolerance of
1 pixel for the two outer values, so the share of correct copies is 2 / WIDTH, and 1 for widths 1 and 2.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl

from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, preset_spec, share, unmet
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim, less
from hyperfactor.experiments.lattice import read
from hyperfactor.factors.regions import Everything, Strip
from hyperfactor.images.gaussian import Bump
from hyperfactor.measures.embedding import umap
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import summarize

PICTURE = Bump()
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8)
CLAIMED = (4, 8)  # widths of the paper's claims; it shows 3.5 and 8
EMBEDDED = (1, 4, 8)  # widths whose representation is shown
TRAINING = {"steps": 350, "batch": 16, "optimizer": "muon", "evaluate_every": 0}


def lesion(width: int) -> Strip:
    """Return the held-out values of x."""
    low = (PICTURE.size - width) // 2
    return Strip(factor="x", low=low, high=low + width - 1)


def specs(preset: str, seed: int, widths: Sequence[int] = WIDTHS) -> dict[str, RunSpec]:
    """Return a model for each width."""
    return {
        str(width): preset_spec(
            preset, seed, training=TRAINING,
            data={"picture": PICTURE, "train": Everything() - lesion(width), "test": {"lesion": lesion(width)}},
        )
        for width in few(preset, widths)
    }  # fmt: skip


def analyse(runs: Runs) -> Analysis:
    """Return the claims of figure 11, the accuracy by width, seed and region, and the first seed's representations."""
    accuracy = pl.concat(
        summarize(run.evaluate(), ("x", "y")).select(
            pl.lit(int(width)).alias("width"), pl.lit(run.spec.seed).alias("seed"), pl.all()
        )
        for width, of_width in runs.items()
        for run in of_width
    )
    return _claims(runs), {"accuracy": accuracy}, _embedded(runs)


def _claims(runs: Runs) -> list[Claim]:
    def shares(width: int, column: str) -> list[Estimate]:
        return share(runs[str(width)], "lesion", column)

    def falls(width: int) -> list[Estimate]:
        return [less(a, b) for a, b in zip(shares(WIDTHS[0], "x_correct"), shares(width, "x_correct"), strict=True)]

    narrow, claims = WIDTHS[0], []
    for w in CLAIMED:
        claims += [
            claim(f"interpolation.falls.{w}", "11", f"right in the held-out x: lesion of {narrow} less lesion of {w}",
                  Bound(">", 0), partial(falls, w), terms="paper", roles=[str(narrow), str(w)],
                  unless=unmet(runs, [str(narrow), str(w)], "lesion")),
            claim(f"interpolation.weak.{w}", "11", f"lesion of {w}: right in the held-out x", Bound("<=", 0.5),
                  partial(shares, w, "x_correct"), terms="paper", roles=[str(w)],
                  unless=unmet(runs, [str(w)], "lesion")),
        ]  # fmt: skip
    return claims + [
        claim(f"interpolation.other.{w}", "11", f"lesion of {w}: right in y, which was not held out", Bound(">=", 0.95),
              partial(shares, w, "y_correct"), roles=[str(w)], unless=unmet(runs, [str(w)], "lesion"))
        for w in map(int, runs)
    ]  # fmt: skip


def _embedded(runs: Runs) -> dict[str, np.ndarray]:
    """For the first seed and some widths, return UMAP coordinates of the representation, and the points, (n, 2)."""
    arrays = {}
    for width in (str(width) for width in EMBEDDED if str(width) in runs):
        run = runs[width][0]
        points, images = run.pictures
        arrays[f"umap.{width}"] = umap(read(run, points, images), seed=run.spec.seed)
        arrays[f"points.{width}"] = points
    return arrays


EXPERIMENT = Experiment(
    name="interpolation",
    question="How wide a gap in the values of one factor does a model fill?",
    figures=("11",),
    specs=specs,
    analyse=analyse,
    analysis=lambda preset: 0 if preset == "smoke" else 27_000,
)
