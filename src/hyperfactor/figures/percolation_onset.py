"""Figures 6, 13, 14 and 15, from the result of the percolation onset experiment."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure

from hyperfactor.colours import BLACK, GREY
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.percolation_onset import HALF, LOOKED
from hyperfactor.figures import style

MARKERS = "^os"  # of the thresholds in figure 6 (f)
JOINED = 2.0  # largest ratio of the fractions of joined models
FRACTION = "fraction trained on (lambda)"


def _colour(sigma: float) -> str:
    """Return a sigma's colour, the same in every panel, from a scale of 0 to 2 pixels."""
    return to_hex(style.colours("viridis", np.array([0.85 * sigma / 2]))[0])


def figure_6(result: Result) -> Figure:
    """(a, b) Overlap of two bumps, in closed form and on pixels. (c) The largest simulated cluster, mean over lattices.
    (d) A bump narrower than a pixel. (e) Accuracy of the models: a dot is one seed, and the line is the mean over seeds
    and joins lambdas that differ by a factor of at most two. The dashed line is the onset (mean over the seeds that
    reach one half), and the dotted grey line is a model that copies the nearest trained picture. (f) The onset of each
    seed against the percolation threshold for three overlaps; a seed without an onset is left out.
    """
    table = result.tables["accuracy"]
    figure = style.new(
        style.PAGE, 4.4, f"{style.about(result, table['n'])}; sigma in pixels; {_lattices(result)}; "
        "e: line: mean over seeds, dot: a seed, dashed: onset, dotted: copying; f: a mark is a seed",
    )  # fmt: skip
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
    """The largest cluster's share of the occupied sites of simulated lattices, mean over lattices, for several widths
    of the bumps and overlap thresholds.
    """
    thresholds = sorted(result.tables["simulated"]["threshold"].unique())
    figure = style.new(
        style.PAGE, 2.3, f"preset {result.preset}; {_lattices(result)}, spacing 1 pixel; sigma in pixels"
    )
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
    """(a) A bump of each width. (b) The largest simulated cluster at an overlap threshold of 0.05, mean over lattices.
    (c) The final loss on trained points (solid, dots) and on others (dotted, crosses): a mark is one seed, and the line
    is the mean over seeds and joins lambdas that differ by a factor of at most two.
    """
    table = result.tables["accuracy"]
    sigmas = sorted(table["sigma"].unique())
    figure = style.new(
        style.PAGE, 4.0, f"{style.about(result)}; sigma in pixels; b: {_lattices(result)}; "
        f"c: at most {LOOKED} points, line: mean over seeds, mark: a seed, solid: trained points, dotted: others",
    )  # fmt: skip
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
    for sigma in sigmas:
        of_sigma, colour = table.filter(pl.col("sigma") == sigma), _colour(sigma)
        trained, others = {"training_loss": (f"sigma {sigma:g}", colour)}, {"validation_loss": (None, colour)}
        style.lines(right, of_sigma, "fraction", trained, apart=JOINED)
        style.lines(right, of_sigma, "fraction", others, line=":", seeds="x", apart=JOINED)
    right.set(xlabel=FRACTION, ylabel="loss", xscale="log", yscale="log")
    right.legend()
    style.letter(right, "c")
    return figure


def figure_15(result: Result) -> Figure:
    """The representation of the first seed (UMAP of up1) for each width of the bumps and some lambdas: one dot for each
    lattice point, coloured by x.
    """
    roles = [name.partition(".")[2] for name in result.arrays if name.startswith("umap.")]
    sigmas = sorted({float(role.split(" | ")[0]) for role in roles})
    fractions = sorted({float(role.split(" | ")[1]) for role in roles})
    figure = style.new(
        style.PAGE, 0.6 + 1.5 * len(sigmas),
        f"preset {result.preset}, seed {result.seeds[0]}; UMAP coordinates, one dot a lattice point; sigma in pixels",
    )  # fmt: skip
    panels = figure.subplots(len(sigmas), len(fractions), squeeze=False)
    top = max(result.arrays[f"points.{role}"][:, 0].max() for role in roles)
    scale = ScalarMappable(Normalize(0, top), "cividis")
    for row, sigma in zip(panels, sigmas, strict=True):
        for axes, fraction in zip(row, fractions, strict=True):
            role = f"{sigma:g} | {fraction:g}"
            points = result.arrays[f"points.{role}"]
            axes.scatter(*result.arrays[f"umap.{role}"].T, c=scale.to_rgba(points[:, 0]), s=1.5, linewidths=0)
            axes.set(xticks=[], yticks=[])
            if sigma == sigmas[0]:
                axes.set_title(f"lambda {fraction:g}")
        row[0].set_ylabel(f"sigma {sigma:g}")
    figure.colorbar(scale, ax=panels, label="x (pixels)", shrink=0.6, aspect=30)
    return figure


def _lattices(result: Result) -> str:
    """Describe the simulated curves."""
    side, count = result.tables["simulated"].select("side", "lattices").row(0)
    return f"clusters: mean over {count} periodic lattices of side {side}"


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
        named = {"right": (f"sigma {sigma:g}", colour)}
        style.lines(axes, table.filter(pl.col("sigma") == sigma), "fraction", named, apart=JOINED)
        onset = result.tables["onset"].filter(pl.col("sigma") == sigma)["onset"].mean()
        if isinstance(onset, float):
            axes.axvline(onset, color=colour, linewidth=0.6, linestyle="--")
    style.lines(axes, table, "fraction", {"copied": (None, GREY)}, line=":", seeds="", apart=JOINED)
    axes.axhline(HALF, color=GREY, linewidth=0.6)
    axes.set(xlabel=FRACTION, ylabel="share right", xscale="log", ylim=(-0.03, 1.05))
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
    axes.legend(fontsize=6, loc="best")
    axes.set(xlabel="percolation threshold", ylabel="onset of learning (lambda)", xlim=ends, ylim=ends)
    axes.set(xscale="log", yscale="log")
    axes.spines[:].set_color(BLACK)
