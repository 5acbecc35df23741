"""An experiment of one's own: hyperfactor --import examples/my_experiment.py reproduce gratings"""

import numpy as np
import polars as pl
from my_family import Ellipse, Grating

from hyperfactor import colours, figures
from hyperfactor.experiments import Bound, Experiment, claim, preset_spec, register, share, unmet
from hyperfactor.factors import Everything
from hyperfactor.figures import style

HOLE = Ellipse(centre={"phase": 4, "contrast": 0.6}, radius={"phase": 1.5, "contrast": 0.25})


def specs(preset, seed):
    """The runs, by role."""
    data = {"picture": Grating(), "spacing": {"phase": 0.5, "contrast": 0.1}, "train": Everything() - HOLE}
    encoding = {"phase": {"kind": "periodic"}, "contrast": {"kind": "ramp"}}
    training = {"steps": 1500, "evaluate_every": 0}
    return {
        "model": preset_spec(preset, seed, data={**data, "test": {"hole": HOLE}}, encoding=encoding, training=training)
    }


def analyse(runs):
    """Claims, tables and arrays, of the runs of each role."""
    held_out = claim(
        "gratings.hole", "1", "right in the hole", Bound(">=", 0.9), lambda: share(runs["model"], "hole", "right"),
        roles=["model"], unless=unmet(runs, ["model"], "hole"),
    )  # fmt: skip
    accuracy = pl.concat(run.accuracy().with_columns(seed=run.spec.seed) for run in runs["model"])
    return [held_out], {"accuracy": accuracy}, {}


def figure(result):
    """The share of drawings that are right, by region: a bar is the mean over seeds, a dot a seed."""
    table = result.tables["accuracy"]
    drawn = style.new(style.COLUMN, 2.4, style.about(result, table["n"]))
    regions = table["region"].unique(maintain_order=True).to_list()
    shares = np.stack([table.filter(pl.col("region") == region)["right"].to_numpy() for region in regions], axis=1)
    axes = drawn.subplots()
    style.bars(axes, regions, {"right": (colours.BLUE, shares)}, {})
    axes.set(xticks=range(len(regions)), xticklabels=regions, ylim=(0, 1.1), ylabel="share right")
    return drawn


register(Experiment("gratings", "Are phase and contrast combined where they were held out?", ("1",), specs, analyse))
figures.FIGURES["gratings"] = {"1": figure}
