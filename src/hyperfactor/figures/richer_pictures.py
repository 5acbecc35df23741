"""Composition and factors of digits and coloured shapes, from the result of the experiment richer_pictures."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from hyperfactor.colours import BLUE, GREY, ORANGE
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.richer_pictures import KINDS, SEEN, UNSEEN
from hyperfactor.figures import style

COLOURS = dict(zip(KINDS, (BLUE, ORANGE), strict=True))
APART = 0.22  # distance of the marks of two kinds, in sets


def figure_richer_pictures(result: Result) -> Figure:
    """(a) Requests with upper values of all factors, which were held out, as the first seed draws them (below) and as
    they should be (above). (b) The share of held-out requests that is right in all factors; a dot is a seed, a bar its
    mean, and a cross a model that copies the nearest trained picture. (c) The share of the variance of the
    representation that each factor explains alone and that they explain only together, without noise; mean over seeds,
    with a dot for each.
    """
    held_out = result.tables["accuracy"].filter((pl.col("region") == "held out") & (pl.col("factor") == "all"))
    figure = style.new(style.PAGE, 4.2, f"{style.about(result, held_out['n'], 'a set and seed')}; dot: a seed")
    above, below = figure.add_gridspec(2, 1, height_ratios=[1, 1.6])
    _pictures(figure, above, result)
    sides = below.subgridspec(1, 2, width_ratios=[1.2, 1])
    shares, variance = (figure.add_subplot(side) for side in sides)
    _held_out(shares, held_out)
    _variance(variance, result.tables["variance"])
    style.letter(shares, "b")
    style.letter(variance, "c")
    return figure


def _pictures(figure: Figure, part: SubplotSpec, result: Result) -> None:
    count = len(result.arrays[f"{next(iter(KINDS))}.true"])
    grid = part.subgridspec(2, count * len(KINDS))
    for row, of in enumerate(("true", "drawn")):
        images = [image for kind in KINDS for image in result.arrays[f"{kind}.{of}"]]
        for column, image in enumerate(images):
            axes = figure.add_subplot(grid[row, column])
            style.picture(axes, image[0] if len(image) == 1 else np.moveaxis(image, 0, -1).clip(0, 1))
            if column == 0:
                axes.set_ylabel(of)
                style.letter(axes, "a" if row == 0 else "")


def _held_out(axes: Axes, table: pl.DataFrame) -> None:
    sets = [of for of in (*SEEN, *UNSEEN) if of in table["set"]]
    for k, kind in enumerate(KINDS):
        for at, of in enumerate(sets):
            rows = table.filter((pl.col("kind") == kind) & (pl.col("set") == of))
            x = at + (k - (len(KINDS) - 1) / 2) * APART * 1.5
            name = kind if at == 0 else None
            axes.bar(x, rows["correct"].mean(), APART * 1.3, color=COLOURS[kind], label=name)  # pyright: ignore
            axes.plot(x + 0.06 * (np.arange(len(rows)) - (len(rows) - 1) / 2), rows["correct"], "k.", markersize=2.5)
            axes.plot(x, rows["copied"].mean(), "x", color=GREY, markersize=4)  # pyright: ignore
    axes.set_xticks(np.arange(len(sets)), sets, fontsize=6)
    axes.set(ylabel="held out: right in all factors", ylim=(-0.03, 1.05))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(KINDS), fontsize=6)


def _variance(axes: Axes, table: pl.DataFrame) -> None:
    labels = []
    for kind in KINDS:
        of_kind = table.filter(pl.col("kind") == kind)
        for name in of_kind["of"].unique(maintain_order=True):
            shares = of_kind.filter(pl.col("of") == name)["share"].to_numpy()
            at = len(labels)
            axes.barh(at, shares.mean(), color=COLOURS[kind])
            axes.plot(shares, np.full(len(shares), at), "k.", markersize=2.5)
            labels.append(f"{kind}: {name}")
    axes.set_yticks(np.arange(len(labels)), labels, fontsize=6)
    axes.invert_yaxis()
    axes.set(xlabel="share of the variance", xlim=(0, 1))
