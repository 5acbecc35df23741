"""Figures 4 (g) and 5, from the result of the data efficiency experiment."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from hyperfactor.experiments.base import Result
from hyperfactor.figures import style
from hyperfactor.figures.style import BLACK, BLUE, GREY, ORANGE

FAMILIES = {"bumps": BLUE, "bumps + stripes": ORANGE}
CLAIMS = {"bumps": "efficiency.bumps", "bumps + stripes": "efficiency.both"}  # on the exponents


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
    n = result.tables["accuracy"]["n"]
    drawings = f"{n.min()} to {n.max()}" if n.n_unique() > 1 else n[0]
    figure = style.new(
        style.PAGE, 2.4, f"{style.about(result)}, n = {drawings} drawings a point; "
        "c: pictures with which 0.6 of the drawings are right, bars: the two trials around it",
    )  # fmt: skip
    panels = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    for k, (family, colour) in enumerate(FAMILIES.items()):
        table = _largest(result, family, 32)
        style.lines(panels[k], table, "fraction", {"right": (f"N = {table['size'][0]}", colour)})
        panels[k].axhline(0.6, color=GREY, linewidth=0.6, linestyle=":")
        panels[k].set(xlabel="fraction trained on", title=family, ylim=(-0.03, 1.05), xscale="log")
        style.letter(panels[k], "ab"[k])
    panels[0].set_ylabel("right in both, and valid")
    _needed(panels[2], result)
    style.letter(panels[2], "c")
    return figure


def _largest(result: Result, family: str, size: int) -> pl.DataFrame:
    """The accuracy of a family at N = size, or the largest N where that was not tried."""
    table = result.tables["accuracy"].filter(pl.col("family") == family)
    sizes = table["size"].unique()
    return table.filter(pl.col("size") == (size if size in sizes else sizes.max())).sort("seed", "fraction")


def _needed(axes: Axes, result: Result) -> None:
    """Pictures needed against N, with the fitted powers and, through all points, N and N squared."""
    axes.set(xlabel="N (values of a factor)", ylabel="pictures needed")
    table = result.tables["needed"].filter(pl.col("needed").is_not_null()).sort("size", "seed")
    if not len(table):
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "none had 0.6 right", ha="center", color=GREY, transform=axes.transAxes)
        return
    sizes, counts = table["size"].to_numpy().astype(float), table["needed"].to_numpy()
    ends = np.array([sizes.min(), sizes.max()])
    exponents = {claim.id: claim for claim in result.claims}
    for family, colour in FAMILIES.items():
        found = table.filter(pl.col("family") == family)
        n, needed = found["size"].to_numpy().astype(float), found["needed"].to_numpy()
        bars = np.abs(np.stack([needed - found["too_few"].to_numpy(), found["enough"].to_numpy() - needed]))
        label = family
        claim = exponents[CLAIMS[family]]
        if claim.measured is not None and claim.interval is not None:
            axes.plot(ends, _power(n, needed, claim.measured, ends), color=colour, linewidth=0.9)
            label += f": N^{claim.measured:.2f} ({claim.interval[0]:.2f} to {claim.interval[1]:.2f})"
        axes.errorbar(n, needed, yerr=bars, fmt="o", color=colour, markersize=3, linewidth=0.8, label=label)
    for power in (1, 2):
        guide = _power(sizes, counts, power, ends)
        axes.plot(ends, guide, ":", color=GREY, linewidth=0.9)
        axes.annotate(f"N^{power}", (ends[1], guide[1]), (2, -2), textcoords="offset points", color=GREY, fontsize=6)
    axes.set(xscale="log", yscale="log", ylim=(counts.min() / 2, counts.max() * 4))
    axes.set_xticks(sorted(set(sizes)))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left", fontsize=6)


def _power(sizes: np.ndarray, counts: np.ndarray, power: float, at: np.ndarray) -> np.ndarray:
    """The line of a slope through the mean of the points, on logarithmic axes."""
    return np.exp(np.log(counts).mean() + power * (np.log(at) - np.log(sizes).mean()))
