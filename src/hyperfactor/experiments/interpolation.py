"""How wide a gap in the values of one factor does a model fill?

Figure 11 of the paper.  Each model draws bumps on the 32 x 32 lattice, of which a vertical lesion was held out:
WIDTH values of x in the middle, with every y.  It is asked for the lesion.  Copying the nearest trained bump is
within the tolerance of 1 pixel for the two outer values, so its share is 2 / WIDTH, and 1 for widths 1 and 2.
"""

import numpy as np
import polars as pl

from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, claim, difference, proportion
from hyperfactor.factors.regions import Everything, Strip
from hyperfactor.images.gaussian import Picture
from hyperfactor.measures.embedding import umap
from hyperfactor.runs.run import summarize
from hyperfactor.runs.spec import RunSpec

LAYER = "up1"
PICTURE = Picture(family="bump")
WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8)
EMBEDDED = (1, 4, 8)  # of which the representation is shown
TRAINING = {"steps": 1000, "batch": 16, "evaluate_every": 0}


def lesion(width: int) -> Strip:
    """The values of x that are held out."""
    low = (PICTURE.size - width) // 2
    return Strip(factor="x", low=low, high=low + width - 1)


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """A model a width."""
    return {
        str(width): preset_spec(
            preset, seed, training=TRAINING,
            data={"picture": PICTURE, "train": Everything() - lesion(width), "test": {"lesion": lesion(width)}},
        )
        for width in few(preset, WIDTHS)
    }  # fmt: skip


def analyse(runs: Runs) -> Analysis:
    """The claims of figure 11, accuracy by width, seed and region, and the representations of the first seed."""
    accuracy = pl.concat(
        summarize(run.evaluate(), ("x", "y")).select(
            pl.lit(int(width)).alias("width"), pl.lit(run.spec.seed).alias("seed"), pl.all()
        )
        for width, of_width in runs.items()
        for run in of_width
    )
    return _claims(runs), {"accuracy": accuracy}, _embedded(runs)


def _claims(runs: Runs) -> list[Claim]:
    def outcomes(width: str, column: str) -> list[np.ndarray]:
        return [run.evaluate("lesion")[column].to_numpy() for run in runs[width]]

    narrow, *_, wide = runs
    falls = [difference(a, b) for a, b in zip(outcomes(narrow, "x_correct"), outcomes(wide, "x_correct"), strict=True)]
    y = [min(proportion(outcomes(width, "y_correct")[k]) for width in runs) for k in range(len(runs[wide]))]
    return [
        claim("interpolation.falls", "11", f"right in the held-out x: lesion of {narrow} less that of {wide}",
              Bound(">", 0), falls),
        claim("interpolation.weak", "11", f"lesion of {wide}: right in the held-out x",
              Bound("<=", 0.5), [proportion(of_seed) for of_seed in outcomes(wide, "x_correct")]),
        claim("interpolation.other", "11", "right in y, which was not held out, at the worst width",
              Bound(">=", 0.95), y),
    ]  # fmt: skip


def _embedded(runs: Runs) -> dict[str, np.ndarray]:
    """Of the first seed and some widths: UMAP coordinates of the representation, (n, 2), and the points, (n, 2)."""
    arrays = {}
    for width in (str(width) for width in EMBEDDED if str(width) in runs):
        run = runs[width][0]
        points, images = run.pictures
        found = run.activations(LAYER, factors=points, pictures=images)[LAYER]
        arrays[f"umap.{width}"], arrays[f"points.{width}"] = umap(found, seed=run.spec.seed), points
    return arrays


EXPERIMENT = Experiment(
    name="interpolation",
    question="How wide a gap in the values of one factor does a model fill?",
    figures=("11",),
    specs=specs,
    analyse=analyse,
)
