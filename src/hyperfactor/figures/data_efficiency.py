"""Figures 4 (g) and 5, from the result of the data efficiency experiment."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter, ScalarFormatter

from hyperfactor.colours import BLACK, BLUE, GREY, ORANGE, SKY
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.data_efficiency import NEEDED
from hyperfactor.figures import style

FAMILIES = {"bumps": BLUE, "bumps + stripes": ORANGE}
JOINED = 2.0  # largest ratio of the fractions of joined models: that of the first steps of a search
CLAIMS = {"bumps": "efficiency.bumps", "bumps + stripes": "efficiency.both"}  # claims about the exponents


def figure_4g(result: Result) -> Figure:
    """Accuracy in x, in y and in both when the set of bumps and stripes is subsampled. A marker is one model; a line
    joins models of one seed whose fractions differ by a factor of at most two. The dotted line is a model that copies
    the nearest trained picture.
    """
    table = _largest(result, "bumps + stripes", 32)
    figure = style.new(
        style.COLUMN, 2.4, f"{style.about(result, table['n'])}; N = {table['size'][0]}; marker: one model; "
        "line: joins models of one seed; dotted: copying, both"
    )  # fmt: skip
    axes = figure.subplots()
    series = {
        "x": ("right in x", BLUE, "^"),
        "y": ("right in y", SKY, "v"),
        "all": ("right in both", BLACK, "."),
    }
    for column, (label, colour, marker) in series.items():
        _models(axes, table, column, label, colour, marker)
    _fractions(axes, table)
    axes.set(xlabel="fraction of the set", ylabel="share right")
    axes.legend(loc="lower right")
    return figure


def figure_5(result: Result) -> Figure:
    """(a, b) Accuracy against the trained fraction, for bumps alone and with stripes. A dot is one model; a line joins
    models of one seed whose fractions differ by a factor of at most two. The dotted line is a model that copies the
    nearest trained picture. (c) The number of pictures with which 0.6 of the drawings are right, against N: a dot is
    one seed, its bar reaches to the two nearest models, and the line is the fitted power over all seeds. The grey lines
    are N and N^2 through the mean of all dots.
    """
    figure = style.new(
        style.PAGE, 2.5, f"{style.about(result, result.tables['accuracy']['n'])}; a, b: dot: one model, line: joins "
        f"models of one seed, dotted: copying; c: pictures with which {NEEDED} of the drawings are right, dot: a "
        "seed, bar: the two nearest models",
    )  # fmt: skip
    panels = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    for k, (family, colour) in enumerate(FAMILIES.items()):
        table = _largest(result, family, 32)
        _models(panels[k], table, "right", None, colour)
        panels[k].axhline(NEEDED, color=GREY, linewidth=0.6)
        _fractions(panels[k], table)
        panels[k].set(xlabel="fraction trained on", title=f"{family}, N = {table['size'][0]}")
        style.letter(panels[k], "ab"[k])
    panels[0].set_ylabel("share right in both and valid")
    _needed(panels[2], result)
    style.letter(panels[2], "c")
    return figure


def _largest(result: Result, family: str, size: int) -> pl.DataFrame:
    """Return the accuracy of a family at N = size, or at the largest N if that was not tried."""
    table = result.tables["accuracy"].filter(pl.col("family") == family)
    sizes = table["size"].unique(maintain_order=True)
    return table.filter(pl.col("size") == (size if size in sizes else sizes.max())).sort("seed", "fraction")


def _models(axes: Axes, table: pl.DataFrame, column: str, label: str | None, colour: str, marker: str = ".") -> None:
    """Draw a marker for each model, and join those of one seed.

    Each seed has its own fractions, so there is no mean.
    """
    for k, of_seed in enumerate(table.partition_by("seed", maintain_order=True)):
        named = {column: (label if k == 0 else None, colour)}
        style.lines(axes, of_seed, "fraction", named, seeds=marker, apart=JOINED)


def _fractions(axes: Axes, table: pl.DataFrame) -> None:
    """Set up the axes of shares against fractions, with the shares of a model that copies."""
    style.lines(axes, table, "fraction", {"all_copied": (None, GREY)}, line=":", seeds="", apart=JOINED)
    axes.set(ylim=(-0.03, 1.05), xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _needed(axes: Axes, result: Result) -> None:
    """Draw the pictures needed against N, with the fitted powers and, through all points, N and N squared."""
    axes.set(xlabel="N (values of a factor)", ylabel="pictures needed")
    table = result.tables["needed"].filter(pl.col("needed").is_not_null()).sort("size", "seed")
    if not len(table):
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, f"no models on both sides of {NEEDED}", ha="center", color=GREY, transform=axes.transAxes)
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
        name = "N" if power == 1 else f"N^{power}"
        axes.annotate(name, (ends[1], guide[1]), (6, -2), textcoords="offset points", color=GREY, fontsize=6)
    axes.set(xscale="log", yscale="log", ylim=(counts.min() / 2, counts.max() * 4))
    axes.set_xticks(sorted(set(sizes)))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left", fontsize=6)


def _power(sizes: np.ndarray, counts: np.ndarray, power: float, at: np.ndarray) -> np.ndarray:
    """Return the line of a slope through the mean of the points, on logarithmic axes."""
    return np.exp(np.log(counts).mean() + power * (np.log(at) - np.log(sizes).mean()))
