"""Figures 4 (g) and 5, from the result of the data efficiency experiment."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from hyperfactor.experiments.base import Result
from hyperfactor.figures import style
from hyperfactor.figures.style import BLACK, BLUE, GREY, ORANGE

FAMILIES = {"bumps": BLUE, "bumps + stripes": ORANGE}


def figure_4g(result: Result) -> Figure:
    """Accuracy in x, in y and in both when the set of bumps and stripes is subsampled."""
    table = _largest(result, "bumps + stripes", 32)
    figure = style.new(
        style.COLUMN, 2.2, f"{style.about(result)}, n = {table['n'][0]} drawings a point; N = {table['size'][0]}"
    )
    axes = figure.subplots()
    series = {"x": ("right in x", BLUE), "y": ("right in y", style.SKY), "both": ("right in both", BLACK)}
    style.lines(axes, table, "fraction", series)
    axes.set(xlabel="fraction of the set", ylabel="share of drawings", ylim=(-0.03, 1.05), xscale="log")
    axes.legend(loc="lower right")
    return figure


def figure_5(result: Result) -> Figure:
    """Accuracy against the fraction trained on, for bumps alone and with stripes; and the pictures needed against N."""
    figure = style.new(
        style.PAGE, 2.4, f"{style.about(result)}, n = {result.tables['accuracy']['n'].min()} drawings a point; "
        "c: pictures with which 0.6 of the drawings are right, bars: the two trials around it",
    )  # fmt: skip
    panels = figure.subplots(1, 3)
    for k, (family, colour) in enumerate(FAMILIES.items()):
        table = _largest(result, family, 32)
        style.lines(panels[k], table, "fraction", {"right": (f"N = {table['size'][0]}", colour)})
        panels[k].axhline(0.6, color=GREY, linewidth=0.6, linestyle=":")
        panels[k].set(xlabel="fraction trained on", title=family, ylim=(-0.03, 1.05), xscale="log")
        style.letter(panels[k], "ab"[k])
    panels[0].set_ylabel("right in both, and valid")
    _needed(panels[2], result.tables["needed"])
    style.letter(panels[2], "c")
    return figure


def _largest(result: Result, family: str, size: int) -> pl.DataFrame:
    """The accuracy of a family at N = size, or the largest N where that was not tried."""
    table = result.tables["accuracy"].filter(pl.col("family") == family)
    sizes = table["size"].unique()
    return table.filter(pl.col("size") == (size if size in sizes else sizes.max())).sort("seed", "fraction")


def _needed(axes: Axes, table: pl.DataFrame) -> None:
    sizes = np.sort(table["size"].unique().to_numpy())
    for family, colour in FAMILIES.items():
        found = table.filter((pl.col("family") == family) & pl.col("needed").is_not_null()).sort("size")
        if not len(found):
            continue
        n = found["needed"].to_numpy()
        ends = np.abs(np.stack([n - found["too_few"].to_numpy(), found["enough"].to_numpy() - n]))
        axes.errorbar(found["size"], n, yerr=ends, fmt="o", color=colour, markersize=3, linewidth=0.8, label=family)
        power = {"bumps": 2, "bumps + stripes": 1}[family]
        scale = np.exp(np.mean(np.log(n) - power * np.log(found["size"].to_numpy())))
        axes.plot(sizes, scale * sizes.astype(float) ** power, ":", color=colour, linewidth=0.9, label=f"N^{power}")
    axes.set(xscale="log", yscale="log", xlabel="N (values of a factor)", ylabel="pictures needed")
    axes.set_xticks(sizes)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", fontsize=6)
