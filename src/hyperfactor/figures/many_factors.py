"""Findings and pictures needed by number of factors, from the result of the experiment many_factors."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperfactor.colours import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILION
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.many_factors import PREDICTED, SETS, SPLITS, VALUES
from hyperfactor.figures import style

COLOURS = {"combinations": BLUE, "with axes": ORANGE}
OF_SPLIT = {"composition": GREEN, "interpolation": VERMILION}
APART = 0.06  # distance of the dots of two series, in factors


def figure_many_factors(result: Result) -> Figure:
    """(a) The number of pictures with which 0.6 of the requests are right, against the number of factors, for random
    combinations alone and together with the pictures along the axes. A dot is a seed; its bar reaches to the two
    nearest models. Grey: all combinations, and two pictures for each value of a factor. Black: the number of random
    pictures of which half hang together. (b) The share of requests that no training picture answers and that come right
    in all factors; crosses: a model that copies the nearest trained picture. (c) The share of the variance of the
    representation that factors explain only together, and its effective dimension.
    """
    n = result.tables["accuracy"].filter(pl.col("region") != "train")["n"]
    figure = style.new(style.PAGE, 2.6, f"{style.about(result, n)}; dot: a seed")
    panels = figure.subplots(1, 3, width_ratios=[1.3, 1, 1])
    _needed(panels[0], result)
    _held_out(panels[1], result.tables["accuracy"])
    _geometry(panels[2], result.tables["geometry"])
    counts = sorted(result.tables["geometry"]["factors"].unique())
    for axes, letter in zip(panels, "abc", strict=True):
        axes.set(xlabel="number of factors", xticks=counts, xlim=(counts[0] - 0.4, counts[-1] + 0.4))
        style.letter(axes, letter)
    return figure


def _needed(axes: Axes, result: Result) -> None:
    table, counts = result.tables["needed"], np.array(sorted(result.tables["geometry"]["factors"].unique()))
    axes.plot(counts, float(VALUES) ** counts, color=GREY, linewidth=0.8, linestyle="--", label="all combinations")
    axes.plot(counts, 2 * VALUES * counts, color=GREY, linewidth=0.8, label="2 a value of a factor")
    of_claim = result.tables["percolation"].filter(pl.col("threshold") == PREDICTED)
    axes.plot(
        of_claim["factors"], of_claim["pictures"].cast(pl.Float64), "s--", color=BLACK, markersize=3, linewidth=0.6,
        label=f"hang together (overlap {PREDICTED:g})",
    )  # fmt: skip
    for k, of in enumerate(SETS):
        rows = table.filter((pl.col("set") == of) & pl.col("needed").is_not_null())
        if rows.height:
            n, low, high = (rows[name].to_numpy().astype(float) for name in ("needed", "too_few", "enough"))
            axes.errorbar(
                rows["factors"] + (2 * k - 1) * APART, n, yerr=[n - low, high - n], fmt=".", color=COLOURS[of],
                elinewidth=0.7, label=of,
            )  # fmt: skip
    axes.set(ylabel="pictures needed", yscale="log")
    axes.legend(loc="upper left", fontsize=5.5)


def _held_out(axes: Axes, table: pl.DataFrame) -> None:
    for k, of in enumerate(SPLITS):
        rows = table.filter((pl.col("set") == of) & (pl.col("region") == "held out"))
        at = rows["factors"] + (2 * k - 1) * APART
        axes.plot(at, rows["all"], ".", color=OF_SPLIT[of], label=of)
        axes.plot(at, rows["all_copied"], "x", color=OF_SPLIT[of], markersize=4)
    axes.set(ylabel="held out: right in all factors", ylim=(-0.04, 1.04))
    axes.legend(loc="center left", fontsize=5.5)


def _geometry(axes: Axes, table: pl.DataFrame) -> None:
    axes.plot(table["factors"] - APART, table["interaction"], ".", color=BLUE)
    axes.set_ylabel("variance explained only together", color=BLUE)
    axes.set_ylim(0, max(0.2, 1.1 * float(table["interaction"].to_numpy().max())))
    other = axes.twinx()
    other.plot(table["factors"] + APART, table["dimension"], ".", color=SKY)
    other.set_ylabel("effective dimension", color=SKY)
    other.set_ylim(0, None)
    other.spines["right"].set_visible(True)
