"""Figures 2, 3 and 8, from the result of the torus experiment."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperfactor.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from hyperfactor.experiments.base import Result
from hyperfactor.figures import style
from hyperfactor.figures.style import PAGE

CYCLE = "twilight"  # a colour map that ends where it begins
SHAPES = {"3D torus": PURPLE, "model": BLUE, "Clifford torus": ORANGE, "hyper-factorized torus": GREEN}
KINDS = {"x-on-y": BLUE, "x-on-x": ORANGE, "y-on-y": GREEN}
HOMOLOGY = {0: GREY, 1: BLUE, 2: VERMILION}


def figure_2(result: Result) -> Figure:
    """A torus is learnt. (a) Ideal tori, coloured by x; the Clifford torus is projected from four dimensions to three.
    (b) Persistence diagrams of an ideal torus and of the learnt representation; features that never die are on the
    dashed line. (c) Accuracy (solid) and effective dimension (dashed) during training, one line for each seed. (d) The
    leading 15 shares of the variance at each step. (e-g) The representation along its first three principal axes (the
    third is upright) at the start, part way and at the end, coloured by x. All but c show the first seed.
    """
    steps = result.arrays["steps"]
    drawn = result.tables["training"].filter(pl.col("model") == "torus")["n"]
    text = f"c: a line is a seed; b, d-g: seed {result.seeds[0]}; layer up1 at timestep 0"
    figure = style.new(PAGE, 6.4, f"{style.about(result, drawn, 'a step and seed')}; {text}")
    upper, lower = np.ravel(figure.subfigures(2, 1, squeeze=False, height_ratios=[1.15, 1]))
    left, right = np.ravel(upper.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.15]))
    for k, (name, title) in enumerate({"3D": "3D torus", "Clifford": "Clifford torus"}.items()):
        axes = left.add_subplot(2, 1, k + 1, projection="3d")
        _surface(axes, result.arrays[f"ideal.{name}"], title)
        if k == 0:
            style.corner(axes, "a")
    panels = right.subplots(2, 2)
    for axes, name, title in zip(panels[0], ("ideal", "learned"), ("ideal torus", "learned"), strict=True):
        diagrams(axes, [result.arrays[f"diagram.{name}.{dim}"] for dim in range(3)], title)
    style.letter(panels[0, 0], "b")
    panels[0, 1].legend(
        handles=[
            Line2D([], [], marker="o", linestyle="", markersize=3, color=c, label=f"H{d}") for d, c in HOMOLOGY.items()
        ],
        loc="lower right", handletextpad=0.1,
    )  # fmt: skip
    _course(panels[1, 0], result)
    style.letter(panels[1, 0], "c")
    _spectra(panels[1, 1], result)
    style.letter(panels[1, 1], "d")
    shown = result.arrays["shown"]
    for k, step in enumerate(shown):
        axes = lower.add_subplot(1, len(shown), k + 1, projection="3d")
        right_share = result.arrays["right"][steps.tolist().index(step)]
        cloud(axes, result.arrays[f"pca.{step}"], f"step {step}, right {right_share:.2f}")
        style.corner(axes, "efg"[k])
    return figure


def figure_3(result: Result) -> Figure:
    """Orthogonality (1 - subspace overlap of two curves) and parallelism (cosine of their steps) of curves of the same
    factor and of different factors, for an ideal 3D torus, the model of the first seed, and an ideal Clifford torus.
    """
    shapes = ("3D torus", "model", "Clifford torus")
    sides = result.arrays[f"pca.{result.arrays['shown'][-1]}"].shape[:2]
    counts = {
        test: [
            len(v) for name, v in result.arrays.items() if name.startswith("statistic.model.") and name.endswith(test)
        ]
        for test in ("orthogonality", "parallelism")
    }
    curves, steps = (style.spread(counts[test]) for test in ("orthogonality", "parallelism"))
    text = f"a: {curves} pairs of curves, b: {steps} pairs of steps"
    figure = style.new(
        PAGE,
        3.9,
        f"preset {result.preset}, seed {result.seeds[0]}; lattice of {sides[0]} x {sides[1]}; {text} for each kind",
    )
    panels = figure.subplots(2, len(shapes), sharex="row", sharey="row")
    for row, (test, low) in enumerate({"orthogonality": 0.0, "parallelism": -1.0}.items()):
        bins = np.linspace(low, 1, 41)
        for axes, shape in zip(panels[row], shapes, strict=True):
            for kind, colour in KINDS.items():
                values, line = _statistic(result, shape, f"{kind} {test}"), "--" if kind == "y-on-y" else "-"
                histogram(axes, values, bins, colour, kind, line)
            axes.set_xlabel(test)
            if row == 0:
                axes.set_title(shape)
        panels[row, 0].set_ylabel("share of pairs")
        style.letter(panels[row, 0], "ab"[row])
    panels[0, 2].legend(loc="upper center")
    return figure


def figure_8(result: Result) -> Figure:
    """Steps within one factor, and the distance of the model from each ideal shape. (a, b) Distribution of the cosines
    between the steps of x, and of y, at two of its values, for the first seed. (c) Wasserstein distance of each
    statistic from each reference: a bar is the mean over seeds, a dot is one seed.
    """
    n = style.spread([len(_statistic(result, "model", f"{name} within")) for name in "xy"])
    text = f"a, b: seed {result.seeds[0]}, {n} pairs of steps; c: bar: mean over seeds, dot: a seed"
    figure = style.new(PAGE, 3.2, f"{style.about(result)}; {text}")
    left, right = np.ravel(figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 1.25]))
    panels = left.subplots(2, 1, sharex=True)
    for axes, name, letter in zip(panels, "xy", "ab", strict=True):
        for shape, colour in SHAPES.items():
            values = _statistic(result, shape, f"{name} within")
            if shape != "3D torus" and len(values):
                axes.ecdf(values, color=colour, label=shape, linewidth=1)
        axes.set_ylabel("share of pairs below")
        axes.set_title(f"{name} within")
        style.letter(axes, letter)
    panels[1].set_xlabel("cosine between steps")
    panels[0].legend(loc="upper left", fontsize=5.5)
    axes = right.subplots()
    _distances(axes, result)
    style.letter(axes, "c")
    return figure


def _statistic(result: Result, shape: str, name: str) -> np.ndarray:
    """Return the values of a statistic of a shape; none if the model has no such curves or steps."""
    return result.arrays.get(f"statistic.{shape}.{name}", np.zeros(0))


def _surface(axes: Any, coordinates: np.ndarray, title: str) -> None:
    """Draw a closed surface (n, n, 3), coloured along its first axis."""
    closed = np.pad(coordinates, ((0, 1), (0, 1), (0, 0)), mode="wrap")
    colours = style.colours(CYCLE, np.linspace(0, 1, len(closed)))[:, None].repeat(len(closed), axis=1)
    axes.plot_surface(*np.moveaxis(closed, -1, 0), facecolors=colours, rstride=1, cstride=1, linewidth=0, shade=True)
    _bare(axes, coordinates)
    axes.set_title(title, pad=-4)


def cloud(axes: Any, coordinates: np.ndarray, title: str) -> None:
    """Draw lattice points in a 3D panel, coloured by x, with lines along y at equal x.

    Parameters
    ----------
    axes : Axes
        The panel.
    coordinates : (n_1, n_2, 3)
        The points.
    title : str
        Title of the panel.
    """
    colours = style.colours(CYCLE, np.linspace(0, 1, len(coordinates), endpoint=False))
    for curve, colour in zip(coordinates, colours, strict=True):
        axes.plot(*np.append(curve, curve[:1], axis=0).T, "-", color=colour, linewidth=0.5, alpha=0.6)
        axes.scatter(*curve.T, color=colour, s=3, linewidths=0, depthshade=False)
    _bare(axes, coordinates)
    axes.set_xlabel("PC 1", labelpad=-14)
    axes.set_ylabel("PC 2", labelpad=-14)
    axes.set_title(title, pad=0)


def _bare(axes: Any, coordinates: np.ndarray) -> None:
    """Remove ticks and panes; use equal units along the axes, and show none below a third of the longest."""
    sides = np.ptp(coordinates.reshape(-1, 3), axis=0)
    axes.set(xticks=[], yticks=[], zticks=[])
    axes.set_box_aspect(np.maximum(sides, sides.max() / 3), zoom=1.25)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_visible(False)


def diagrams(axes: Axes, by_dim: list[np.ndarray], title: str) -> None:
    """Draw births and deaths; features that never die are on the dashed line.

    Parameters
    ----------
    axes : Axes
        The panel.
    by_dim : list of (bars, 2)
        Persistence diagram of each dimension, in radii of the cloud.
    title : str
        Title of the panel.
    """
    top = 1.1 * max(float(d[np.isfinite(d)].max(initial=0)) for d in by_dim) or 1.0
    for dim, diagram in enumerate(by_dim):
        deaths = np.where(np.isfinite(diagram[:, 1]), diagram[:, 1], top)
        colour = HOMOLOGY.get(dim, GREEN)
        axes.plot(diagram[:, 0], deaths, "o", color=colour, markersize=2.2, markeredgewidth=0, label=f"H{dim}")
    axes.axline((0, 0), slope=1, color=BLACK, linewidth=0.5)
    axes.axhline(top, color=GREY, linewidth=0.5, linestyle=(0, (4, 2)))
    axes.set(xlim=(-0.05 * top, top), ylim=(-0.05 * top, 1.05 * top), xlabel="birth (radii)", ylabel="death (radii)")
    axes.set_title(title)


def _course(axes: Axes, result: Result) -> None:
    """Draw accuracy (left) and effective dimension (right) against training steps, for every seed."""
    table = result.tables["training"]
    other = axes.twinx()
    for seed in result.seeds:
        rows = table.filter((table["model"] == "torus") & (table["seed"] == seed))
        axes.plot(rows["step"], rows["right"], ".-", color=BLUE, linewidth=0.9, markersize=3)
        other.plot(rows["step"], rows["participation_ratio"], ".--", color=VERMILION, linewidth=0.9, markersize=3)
    axes.set(xlabel="training step", ylim=(-0.03, 1.03))
    axes.set_ylabel("share right", color=BLUE)
    other.set_ylabel("effective dimension", color=VERMILION)
    other.set_ylim(bottom=0)
    other.spines["right"].set_visible(True)


def _spectra(axes: Axes, result: Result) -> None:
    steps, right, spectra = (result.arrays[name] for name in ("steps", "right", "spectra"))
    colours = style.colours("viridis", np.linspace(0, 0.9, len(steps)))
    for step, share, values, colour in zip(steps, right, spectra, colours, strict=True):
        named = step in result.arrays["shown"]
        label = f"{step}: {share:.2f}, {values[:4].sum():.2f}" if named else None
        axes.plot(np.arange(1, len(values) + 1), values, ".-", color=colour, linewidth=0.8, markersize=2.5, label=label)
    axes.set_yscale("log")
    axes.set(xlabel="principal component", ylabel="share of variance", ylim=(None, 20))  # room for the legend
    axes.legend(
        title="step: right, 4 PCs", title_fontsize=5.5, fontsize=5.5, loc="upper right", labelspacing=0.1,
        handlelength=1, borderaxespad=0.1,
    )  # fmt: skip


def histogram(axes: Axes, values: np.ndarray, bins: np.ndarray, colour: str, label: str, line: str = "-") -> None:
    """Draw shares by bin.

    Parameters
    ----------
    axes : Axes
        The panel.
    values : (n,)
        Values. One beyond the ends by rounding counts in the last bin.
    bins : (b + 1,)
        Edges of the bins.
    colour, label, line : str
        Colour, label and style of the line.
    """
    if not len(values):
        axes.plot([], [], color=colour, linewidth=1, label=f"{label}: none")
        return
    axes.hist(
        values.clip(bins[0], bins[-1]), bins.tolist(), weights=np.full(len(values), 1 / len(values)), histtype="step",
        color=colour, label=label, linewidth=1, linestyle=line,
    )  # fmt: skip


def _distances(axes: Axes, result: Result) -> None:
    table = result.tables["geometry"]
    table = table.filter(table["model"] == "torus")
    names = table["statistic"].unique(maintain_order=True).to_list()
    place = pl.col("statistic").replace_strict(names, range(len(names)), return_dtype=pl.Float64)
    shapes = [shape for shape in SHAPES if shape != "model" and shape in table.columns]
    mean = table.group_by("statistic", maintain_order=True).agg(pl.col(shapes).mean())
    width = 0.8 / len(shapes)
    for k, shape in enumerate(shapes):
        below = (k - (len(shapes) - 1) / 2) * width
        axes.barh(np.arange(len(names)) + below, mean[shape], width * 0.92, color=SHAPES[shape], label=shape)
        if len(result.seeds) > 1:
            axes.plot(table[shape], table.select(place)["statistic"] + below, ".", color=BLACK, markersize=2.5)
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Wasserstein distance")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=6, columnspacing=1)
