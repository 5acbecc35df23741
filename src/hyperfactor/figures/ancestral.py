"""The signature from DDPM against that from DDIM, from the result of the ancestral experiment."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperfactor.colours import GREY
from hyperfactor.experiments.ancestral import APART, READ, SIDE
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.signature import LAYER
from hyperfactor.figures import style
from hyperfactor.figures.hyperfactorization import PREDICTIONS

MARKS = {("16", "wraps"): "o", ("16", "sinusoidal"): "s", ("32", "wraps"): "^", ("32", "sinusoidal"): "D"}


def figure_ancestral(result: Result) -> Figure:
    """The same models drawn by 1,000 steps of DDPM and by 20 steps of DDIM, one mark a model. (a, b) The paper's
    signature (0: a Clifford torus; 1: x-on-x and y-on-y are like the 3D torus's x-on-y) from one drawing a point, and
    without noise. (c) The share of the variance that is noise. Solid grey: equal; dotted grey: 0.1 apart.
    """
    table = result.tables["geometry"]
    note = f"{style.about(result)}; layer {LAYER}; {SIDE} x {SIDE} points, 2 drawings of each"
    figure = style.new(style.PAGE, 2.9, note)
    panels = figure.subplots(1, 3)
    for axes, kind, letter in zip(panels, READ, "ab", strict=False):
        _against(axes, table.filter(pl.col("kind") == kind), "signature")
        axes.set_title(READ[kind])
        style.letter(axes, letter)
    _against(panels[2], table.filter(pl.col("kind") == "corrected"), "noise")
    panels[2].set_title("share of noise")
    panels[2].set(xscale="log", yscale="log")
    style.letter(panels[2], "c")
    handles = [
        *(Line2D([], [], color=colour, linestyle="", marker="o", markersize=4, markerfacecolor="none", label=name)
          for name, colour in PREDICTIONS.items()),
        *(Line2D([], [], color=GREY, linestyle="", marker=mark, markersize=4, markerfacecolor="none",
                 label=f"{side} pixels, {code}") for (side, code), mark in MARKS.items()),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=7, fontsize=6, handletextpad=0.1)
    return figure


def _against(axes: Axes, table: pl.DataFrame, name: str) -> None:
    """Draw one mark a model: a value from DDPM against that from DDIM."""
    both = table.pivot("sampler", index=["recipe", "seed"], values=name, maintain_order=True)
    both = both.fill_nan(None).drop_nulls()
    if name == "noise":
        both = both.filter((pl.col("ddim") > 0) & (pl.col("ddpm") > 0))
    values = np.concatenate([both["ddim"].to_numpy(), both["ddpm"].to_numpy(), [0.001 if name == "noise" else 0.0]])
    low, high = float(values.min()), float(values.max())
    low, high = (low / 2, high * 2) if name == "noise" else (low - 0.08, high + 0.08)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.6)
    if name != "noise":
        for shift in (APART, -APART):
            axes.plot([low, high], [low + shift, high + shift], ":", color=GREY, linewidth=0.6)
    for recipe, _, ddim, ddpm in both.select("recipe", "seed", "ddim", "ddpm").iter_rows():
        prediction, side, code = recipe.split()
        axes.plot(ddim, ddpm, MARKS[side, code], color=PREDICTIONS[prediction], markersize=4, markerfacecolor="none")
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=_drawn_by(table, "ddim"), ylabel=_drawn_by(table, "ddpm"))


def _drawn_by(table: pl.DataFrame, sampler: str) -> str:
    steps = table.filter(pl.col("sampler") == sampler)["source"][0].split()[1]
    return f"{int(steps):,} steps of {sampler.upper()}"
