"""Figures 1, 4, 9 and 10, from the result of the composition experiment."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from hyperfactor.colours import BLUE, GREEN, ORANGE, PALE, SKY, VERMILION
from hyperfactor.experiments.base import Result
from hyperfactor.figures import style
from hyperfactor.figures.style import PAGE

TITLES = {"2d": "2D", "1d": "1D", "2d+1d": "2D+1D", "1d+rim": "1D + rim"}


def figure_1(result: Result) -> Figure:
    """The two families of pictures: one bump, one sum of stripes."""
    figure = style.new(style.COLUMN, 1.9, "closed form, 32 x 32 pixels, sigma 1 pixel")
    for axes, name, title in zip(figure.subplots(1, 2), ("bump", "sos"), ("2D bump", "sum of stripes"), strict=True):
        style.picture(axes, result.arrays[name], title)
    return figure


def figure_9(result: Result) -> Figure:
    """The canvas of factor values; the window's edge is black. (a) The number of visible stripe centres: none (grey),
    one (light blue), both (blue). (b-d) A picture of each kind. (e-h) The points that each model was trained on
    (orange).
    """
    figure = style.new(PAGE, 3.7, "canvas 45 x 45 factor values (pixels), window 32 x 32; closed form")
    axes = figure.subplots(2, 4)
    _canvas(axes[0, 0], result.arrays["visible"], [PALE, SKY, BLUE])
    axes[0, 0].set_title("centres seen: 0, 1, 2")
    style.letter(axes[0, 0], "a")
    for k, (name, title) in enumerate({"empty": "0D", "stripe": "1D", "sos": "2D"}.items(), start=1):
        style.picture(axes[0, k], result.arrays[name], title)
        style.letter(axes[0, k], "abcd"[k])
    for k, (role, title) in enumerate(TITLES.items()):
        _canvas(axes[1, k], result.arrays[f"{role}.trained"], ["white", ORANGE])
        axes[1, k].set_title(f"{title} data")
        style.letter(axes[1, k], "efgh"[k])
    return figure


def figure_4(result: Result) -> Figure:
    """Three models. (a-c) The points that each was trained on, and the requests that the first seed's model drew right
    and wrong. (d-f) Accuracy by region: a bar is the mean over seeds, a dot is one seed, and a short dashed line is a
    model that copies the nearest trained point.
    """
    roles, groups = ("2d", "1d", "2d+1d"), ["vertical", "horizontal", "intersection", "train"]
    text = f"maps: seed {result.seeds[0]}; bar: mean over seeds, dot: a seed, dashed: copying the nearest trained point"
    figure = style.new(PAGE, 4.3, _note(result, roles, groups, text))
    axes = figure.subplots(2, 3, gridspec_kw={"height_ratios": [1.5, 1]})
    for k, role in enumerate(roles):
        _outcomes(axes[0, k], result, role)
        axes[0, k].set_title(f"{TITLES[role]} model")
        style.letter(axes[0, k], "abc"[k])
        shares, copied = _shares(result, role, groups, ("x", "y"))
        series = {"right in x": (BLUE, shares["x"]), "right in y": (SKY, shares["y"])}
        style.bars(
            axes[1, k],
            ["vert.", "horiz.", "inters.", "ID"],
            series,
            {"right in x": copied["x"], "right in y": copied["y"]},
        )
        style.letter(axes[1, k], "def"[k])
    axes[1, 0].set_ylabel("share right")
    axes[1, 0].set_xlabel("test region")
    axes[1, 2].legend(*axes[1, 0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    handles = [
        Patch(color=PALE, label="trained on"),
        Line2D([], [], marker="s", linestyle="", markersize=3, color=GREEN, label="drawn right"),
        Line2D([], [], marker="s", linestyle="", markersize=3, color=VERMILION, label="drawn wrong"),
    ]
    axes[1, 1].legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, columnspacing=1, handletextpad=0.4
    )
    return figure


def figure_10(result: Result) -> Figure:
    """Stripes alone (a-c) and with a rim of pairs (d-f). (a, d) The points that the model was trained on (grey), and
    the requests that the first seed's model drew right (green) and wrong (red). (b, e) Share of drawings that are right
    in both factors and valid: a bar is the mean over seeds, a dot is one seed, and the short dashed line is a model
    that copies the nearest trained point. (c, f) 25 drawings of the first seed, with the requested x and y; a green
    frame is right, a red frame wrong.
    """
    roles, regions = ("1d", "1d+rim"), ["overall", "train", "ood"]
    text = (
        f"bar: mean over seeds, dot: a seed, dashed: copying the nearest trained point; a, c, d, f: seed "
        f"{result.seeds[0]}, green: right, red: wrong, grey: trained on; above a drawing: the requested x, y (pixels)"
    )
    figure = style.new(PAGE, 5.6, _note(result, roles, regions, text))
    halves = np.ravel(figure.subfigures(1, 2, squeeze=False))
    for k, role in enumerate(roles):
        upper, lower = halves[k].subfigures(2, 1, height_ratios=[1, 2.1])
        left, right = upper.subplots(1, 2)
        _outcomes(left, result, role)
        left.set(xticks=[0, 31], yticks=[0, 31], title=f"{TITLES[role]} model")
        style.letter(left, "ad"[k])
        shares, copied = _shares(result, role, regions, ("right", "all"))
        style.bars(right, ["overall", "ID", "OOD"], {"right": (BLUE, shares["right"])}, {"right": copied["all"]})
        right.set_ylabel("share right")
        style.letter(right, "be"[k])
        panels = lower.subplots(5, 5).ravel()
        shown = result.arrays[f"{role}.shown"]
        points, right = result.arrays[f"{role}.requests"][shown], result.arrays[f"{role}.outcome"][shown]
        for axes, image, (x, y), ok in zip(panels, result.arrays[f"{role}.drawn"], points, right, strict=True):
            style.picture(axes, image, frame=GREEN if ok else VERMILION)
            axes.set_title(f"{x:.0f}, {y:.0f}", fontsize=6, pad=1.5)
        style.letter(panels[0], "cf"[k])
    return figure


def _canvas(axes: Axes, values: np.ndarray, colours: list[str]) -> None:
    """Draw a map (y, x) of the canvas, with the window's edge."""
    side = len(values)
    low = -((side - 32) // 2) - 0.5
    extent = (low, low + side, low + side, low)
    axes.imshow(
        values, cmap=ListedColormap(colours), vmin=0, vmax=len(colours) - 1, extent=extent, interpolation="nearest"
    )
    axes.add_patch(Rectangle((-0.5, -0.5), 32, 32, fill=False, edgecolor="black", linewidth=0.8))
    axes.set(xticks=[0, 13, 19, 31], yticks=[0, 13, 19, 31], xlabel="x (pixels)", ylabel="y (pixels)")


def _outcomes(axes: Axes, result: Result, role: str) -> None:
    """Draw the canvas with the trained region, and each evaluated pair as right or wrong."""
    _canvas(axes, result.arrays[f"{role}.trained"], ["white", PALE])
    points, right = result.arrays[f"{role}.requests"], result.arrays[f"{role}.outcome"]
    for colour, chosen in ((VERMILION, ~right), (GREEN, right)):
        axes.scatter(*points[chosen].T, s=2.2, marker="s", color=colour, linewidths=0)


def _shares(
    result: Result, role: str, regions: list[str], columns: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Collect shares by region.

    Returns
    -------
    shares : dict of str to (seeds, regions)
        Shares of each column.
    copied : dict of str to (regions,)
        The copying baseline of the columns that have one, as a mean over seeds.
    """
    table = result.tables["accuracy"].filter((pl.col("model") == role) & pl.col("region").is_in(regions))
    order = table.with_columns(pl.col("region").replace_strict(regions, range(len(regions))).alias("order"))
    order = order.sort("seed", "order")
    shape = (len(result.seeds), len(regions))
    shares = {column: order[column].to_numpy().reshape(shape) for column in columns}
    copied = {
        c: order[f"{c}_copied"].to_numpy().reshape(shape).mean(axis=0)
        for c in columns
        if f"{c}_copied" in order.columns
    }
    return shares, copied


def _note(result: Result, roles: Sequence[str], regions: Sequence[str], text: str) -> str:
    shown = result.tables["accuracy"].filter(pl.col("model").is_in(roles) & pl.col("region").is_in(regions))
    return f"{style.about(result, shown['n'], 'a bar and seed')}; {text}"
