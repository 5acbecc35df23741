"""Figures 6, 13, 14 and 15, from the result of the percolation onset experiment."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from hyperfactor.experiments.base import Result
from hyperfactor.figures import style
from hyperfactor.figures.style import BLACK, GREY

MARKERS = "^os"  # of figure 6 (f), a threshold each
FRACTION = "fraction trained on (lambda)"


def _colour(sigma: float) -> str:
    """The same in every panel: from a scale of sigma, 0 to 2 pixels."""
    return to_hex(style.colours("viridis", np.array([0.85 * sigma / 2]))[0])


def figure_6(result: Result) -> Figure:
    """Overlap of two bumps, closed form and on pixels; simulated clusters; a tiny bump; accuracy of the models."""
    figure = style.new(
        style.PAGE, 4.3, f"{style.about(result)}, {_n(result)}; c: overlap threshold 0.005; dashed in e: onset"
    )
    panels = figure.subplots(2, 3)
    sigmas = sorted(float(name.partition(".")[2]) for name in result.arrays if name.startswith("overlap."))
    for sigma in sigmas:
        colour = _colour(sigma)
        panels[0, 0].plot(
            result.arrays["distance"], result.arrays[f"overlap.{sigma:g}"], color=colour, label=f"{sigma:g}"
        )
        panels[0, 1].plot(result.arrays["steps"], result.arrays[f"drawn.{sigma:g}"], ".-", color=colour, linewidth=0.8)
    panels[0, 0].legend(title="sigma (pixels)", title_fontsize=7)
    panels[0, 0].set(xlabel="distance (pixels)", ylabel="overlap", title="closed form")
    panels[0, 1].set(xlabel="spacing (pixels)", ylabel="overlap", title="on pixels")
    _clusters(panels[0, 2], result, 0.005)
    style.picture(panels[1, 0], result.arrays["bump.0.1"], "sigma 0.1")
    _accuracy(panels[1, 1], result)
    _against(panels[1, 2], result)
    for axes, letter in zip(panels.ravel(), "abcdef", strict=True):
        style.letter(axes, letter)
    return figure


def figure_13(result: Result) -> Figure:
    """The largest cluster's share of the occupied sites, for several widths of the bumps and overlap thresholds."""
    thresholds = sorted(result.tables["simulated"]["threshold"].unique())
    figure = style.new(style.PAGE, 2.3, "periodic lattices; mean over lattices; spacing 1 pixel")
    for k, (axes, threshold) in enumerate(
        zip(figure.subplots(1, len(thresholds), sharey=True), thresholds, strict=True)
    ):
        _clusters(axes, result, threshold)
        style.letter(axes, "abc"[k])
        if k:
            axes.set_ylabel("")
        if k == len(thresholds) - 1:
            axes.legend(loc="lower right")
    return figure


def figure_14(result: Result) -> Figure:
    """The bumps of each width, simulated clusters at threshold 0.05, and the final losses."""
    table = result.tables["accuracy"]
    sigmas = sorted(table["sigma"].unique())
    figure = style.new(
        style.PAGE,
        4.0,
        f"{style.about(result)}; b: overlap threshold 0.05; c: solid on trained points, dotted on others",
    )
    upper, lower = np.ravel(figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.5]))
    for k, (axes, sigma) in enumerate(
        zip(np.ravel(upper.subplots(1, len(sigmas), squeeze=False)), sigmas, strict=True)
    ):
        style.picture(axes, result.arrays[f"bump.{sigma:g}"], f"sigma {sigma:g}")
        if k == 0:
            style.letter(axes, "a")
    left, right = lower.subplots(1, 2)
    _clusters(left, result, 0.05)
    style.letter(left, "b")
    mean = table.group_by("sigma", "fraction").agg(pl.col("training_loss", "validation_loss").mean()).sort("fraction")
    for sigma in sigmas:
        of_sigma, colour = mean.filter(pl.col("sigma") == sigma), _colour(sigma)
        right.plot(of_sigma["fraction"], of_sigma["training_loss"], color=colour, label=f"sigma {sigma:g}")
        right.plot(of_sigma["fraction"], of_sigma["validation_loss"], ":", color=colour)
    right.set(xlabel=FRACTION, ylabel="loss", xscale="log", yscale="log")
    right.legend()
    style.letter(right, "c")
    return figure


def figure_15(result: Result) -> Figure:
    """The representation (UMAP of up1) for each width of the bumps and some lambdas, coloured by x."""
    roles = [name.partition(".")[2] for name in result.arrays if name.startswith("umap.")]
    sigmas = sorted({float(role.split(" | ")[0]) for role in roles})
    fractions = sorted({float(role.split(" | ")[1]) for role in roles})
    figure = style.new(
        style.PAGE, 0.6 + 1.5 * len(sigmas), f"preset {result.preset}, seed 0; one dot a lattice point; colour: x"
    )
    panels = figure.subplots(len(sigmas), len(fractions), squeeze=False)
    for row, sigma in zip(panels, sigmas, strict=True):
        for axes, fraction in zip(row, fractions, strict=True):
            role = f"{sigma:g} | {fraction:g}"
            points = result.arrays[f"points.{role}"]
            axes.scatter(*result.arrays[f"umap.{role}"].T, c=points[:, 0], s=1.5, cmap="cividis", linewidths=0)
            axes.set(xticks=[], yticks=[])
            if sigma == sigmas[0]:
                axes.set_title(f"lambda {fraction:g}")
        row[0].set_ylabel(f"sigma {sigma:g}")
    return figure


def _n(result: Result) -> str:
    return f"n = {result.tables['accuracy']['n'].min()} drawings a point and seed"


def _clusters(axes: Axes, result: Result, threshold: float) -> None:
    table = result.tables["simulated"].filter(pl.col("threshold") == threshold)
    sigmas = sorted(table["sigma"].unique())
    for sigma in sigmas:
        of_sigma = table.filter(pl.col("sigma") == sigma).sort("fraction")
        axes.plot(of_sigma["fraction"], of_sigma["ratio"], color=_colour(sigma), label=f"sigma {sigma:g}")
    axes.set(xlabel="fraction occupied", ylabel="largest cluster / occupied", title=f"overlap of {threshold:g}")


def _accuracy(axes: Axes, result: Result) -> None:
    table = result.tables["accuracy"]
    sigmas = sorted(table["sigma"].unique())
    for sigma in sigmas:
        colour = _colour(sigma)
        style.lines(axes, table.filter(pl.col("sigma") == sigma), "fraction", {"right": (f"sigma {sigma:g}", colour)})
        onset = result.tables["onset"].filter(pl.col("sigma") == sigma)["onset"].mean()
        if isinstance(onset, float):
            axes.axvline(onset, color=colour, linewidth=0.6, linestyle="--")
    axes.set(xlabel=FRACTION, ylabel="right", xscale="log", ylim=(-0.03, 1.05))
    axes.legend(fontsize=6)


def _against(axes: Axes, result: Result) -> None:
    table = result.tables["onset"]
    hollow: dict[str, Any] = {"markersize": 3.5, "markerfacecolor": "none"}
    for marker, name in zip(MARKERS, [name for name in table.columns if name.startswith("at ")], strict=True):
        for sigma, onset, at in table.drop_nulls("onset").select("sigma", "onset", name).iter_rows():
            axes.plot(at, onset, marker, color=_colour(sigma), **hollow)
        axes.plot([], [], marker, color=GREY, label=name.replace("at", "overlap"), **hollow)
    ends = (0.005, 1.2)
    axes.plot(ends, ends, color=GREY, linewidth=0.6)
    axes.legend(fontsize=6, loc="upper left")
    axes.set(xlabel="percolation threshold", ylabel="onset of learning (lambda)", xlim=ends, ylim=ends)
    axes.set(xscale="log", yscale="log")
    axes.spines[:].set_color(BLACK)
