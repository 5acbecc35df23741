"""Onset of learning against percolation for several kinds of pictures, from the result of percolation_families."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperfactor.colours import BLUE, GREEN, GREY, ORANGE
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.percolation_families import NEAR
from hyperfactor.experiments.percolation_onset import HALF, PREDICTED
from hyperfactor.figures import style

COLOURS = {"bump": BLUE, "stripes": ORANGE, "digit": GREEN}
STYLES = {"0.5": ("-", "o"), "1": ("--", "s"), "2": (":", "^")}  # by sigma


def figure_percolation_families(result: Result) -> Figure:
    """(a) The share of the lattice that models draw right, against the fraction of its pictures that they were trained
    on, mean over seeds. (b) The onset, the fraction with which half are right, against the fraction above which half of
    the pictures hang together at an overlap of 0.05. A mark is a seed; a seed without an onset is left out. Solid grey:
    equal; dotted grey: a factor of two.
    """
    table = result.tables["accuracy"]
    figure = style.new(style.PAGE, 2.8, f"{style.about(result, table['n'])}; b: a mark is a seed")
    curves, against = figure.subplots(1, 2)
    _accuracy(curves, table)
    _against(against, result.tables["onset"])
    for axes, letter in zip((curves, against), "ab", strict=True):
        style.letter(axes, letter)
    return figure


def _look(kind: str) -> tuple[str, str, str]:
    """Return the colour, the line and the mark of a kind of pictures."""
    of, _, sigma = kind.partition(" ")
    line, mark = STYLES.get(sigma, ("-.", "D"))
    return COLOURS[of], line, mark


def _named(kind: str) -> str:
    of, _, sigma = kind.partition(" ")
    return f"{of}, sigma {sigma} px" if sigma else of


def _accuracy(axes: Axes, table: pl.DataFrame) -> None:
    for kind in sorted(table["kind"].unique()):
        colour, line, mark = _look(kind)
        mean = (
            table.filter(pl.col("kind") == kind)
            .group_by("fraction", maintain_order=True)
            .agg(pl.col("right").mean())
            .sort("fraction")
        )
        axes.plot(mean["fraction"], mean["right"], line, marker=mark, markersize=3, color=colour, label=_named(kind))
    axes.axhline(HALF, color=GREY, linewidth=0.6)
    axes.set(xlabel="fraction trained on (lambda)", ylabel="share right", xscale="log", ylim=(-0.03, 1.05))
    axes.legend(fontsize=5.5)


def _against(axes: Axes, table: pl.DataFrame) -> None:
    ends = np.array([0.0007, 1.4])
    axes.plot(ends, ends, color=GREY, linewidth=0.6)
    for factor in (NEAR, 1 / NEAR):
        axes.plot(ends, factor * ends, color=GREY, linewidth=0.6, linestyle=":")
    for kind, onset, at in table.drop_nulls("onset").select("kind", "onset", f"at {PREDICTED:g}").iter_rows():
        colour, _, mark = _look(kind)
        axes.plot(at, onset, mark, color=colour, markersize=4, markerfacecolor="none")
    axes.set(xlabel="percolation: half in one cluster (lambda)", ylabel="onset of learning (lambda)")
    axes.set(xlim=ends, ylim=(0.007, 1.4), xscale="log", yscale="log")
