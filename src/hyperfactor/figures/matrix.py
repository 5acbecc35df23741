"""The matrices of verdicts, from the results of the experiments architectures and recipes."""

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from hyperfactor.colours import BLACK, GREEN, PALE, VERMILION, YELLOW
from hyperfactor.experiments.base import Result
from hyperfactor.figures import style

COLOURS = {
    "holds": GREEN,
    "fails": VERMILION,
    "undecided": YELLOW,
    "not measured": PALE,
}
TYPE = 6  # points
SLANT, SLANT_AT = math.pi / 3, 0.35
# Inches:
LINE, LETTER, GAP = 0.105, 0.045, 0.05  # height of a line, mean width of a letter, space between parts
STATEMENT, BOUND = 2.4, 0.4  # widths of a claim and of its bound
NARROWEST, ONE_LINE, WIDEST = 0.25, 0.4, 1.2  # widths of a column; from ONE_LINE verdict and value share a line
TITLE, FOOT = 0.3, 0.35  # heights of the name of an experiment and of the legend


def figure_architectures(result: Result) -> Figure:
    """Each claim (rows) for each kind of model (columns). Colour and first letter are the verdict: Holds, Fails,
    Undecided, or Not measured; the number is the value. A claim is not measured if the model has not learnt what it was
    trained on, or if the value is that of the untrained network.
    """
    return _figure(result)


def figure_recipes(result: Result) -> Figure:
    """Each claim (rows) under each choice (columns), one choice changed at a time. Colour and first letter are the
    verdict: Holds, Fails, Undecided, or Not measured; the number is the value. An empty place is a choice with which
    the experiment was not repeated.
    """
    return _figure(result)


def _figure(result: Result) -> Figure:
    matrix = result.tables["matrix"]
    choices = matrix["choice"].unique(maintain_order=True).to_list()
    width = max(style.PAGE, STATEMENT + BOUND + NARROWEST * len(choices))
    each = min((width - STATEMENT - BOUND) / len(choices), WIDEST)
    between = " " if each >= ONE_LINE else "\n"
    groups = [_Group.of(group, between) for group in matrix.partition_by("experiment", maintain_order=True)]
    head = _Head.of(choices, each)
    height = head.height + sum(group.height for group in groups) + FOOT
    width += head.beyond
    figure = style.new(width, height, style.about(result))
    figure.set_layout_engine(None)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))  # inches, from the upper left corner
    axes.axis("off")
    places = {choice: STATEMENT + BOUND + each * k for k, choice in enumerate(choices)}
    head.draw(axes, places, each)
    top = head.height
    for group in groups:
        group.draw(axes, top, places, each)
        top += group.height
    figure.legend(
        handles=[Patch(color=colour, label=verdict) for verdict, colour in COLOURS.items()],
        loc="lower right", ncols=len(COLOURS),
    )  # fmt: skip
    return figure


@dataclass(frozen=True)
class _Head:
    """The names of the choices, above their columns: upright if they fit, else slanted.

    A slanted name begins at SLANT_AT of the width of its column. `beyond` is the width that slanted names take beyond
    the last column.
    """

    labels: list[str]
    height: float
    upright: bool
    beyond: float = 0.0

    @classmethod
    def of(cls, choices: list[str], each: float) -> Self:
        letters = int((each - GAP) / LETTER)
        labels = [textwrap.fill(choice, max(letters, 1), break_long_words=False) for choice in choices]
        if all(len(line) <= letters for label in labels for line in label.split("\n")):
            return cls(labels, LINE * max(label.count("\n") + 1 for label in labels) + 2 * GAP, upright=True)
        lengths = LETTER * np.array([len(choice) for choice in choices])
        begins = each * (np.arange(len(choices)) + SLANT_AT)
        beyond = float(np.max(begins + lengths * math.cos(SLANT) + LINE)) - each * len(choices)
        return cls(choices, float(lengths.max()) * math.sin(SLANT) + 4 * GAP, upright=False, beyond=max(beyond, 0.0))

    def draw(self, axes: Axes, places: Mapping[str, float], each: float) -> None:
        """Draw the names above columns that begin at the places."""
        at, align, rotation = (0.5, "center", 0.0) if self.upright else (SLANT_AT, "left", math.degrees(SLANT))
        for label, place in zip(self.labels, places.values(), strict=True):
            axes.text(
                place + each * at, self.height - GAP, label, fontsize=TYPE, ha=align, va="bottom", rotation=rotation,
                rotation_mode="anchor",
            )  # fmt: skip


@dataclass(frozen=True)
class _Group:
    """The claims of one experiment: the text and the height of each row, in inches, and the cells.

    `between` stands between the verdict and the value of a cell.
    """

    name: str
    statements: dict[str, str]
    bounds: dict[str, str]
    heights: dict[str, float]
    cells: list[dict[str, Any]]
    between: str

    @classmethod
    def of(cls, table: pl.DataFrame, between: str) -> Self:
        claims = table.unique("claim", maintain_order=True)
        letters = int((STATEMENT - 2 * GAP) / LETTER)
        statements = {
            claim: textwrap.fill(textwrap.shorten(statement, 3 * letters, placeholder=" ..."), letters)
            for claim, statement in claims.select("claim", "statement").iter_rows()
        }
        bounds = dict(claims.select("claim", "bound").iter_rows())
        least = between.count("\n")
        heights = {claim: LINE * (1 + max(least, text.count("\n"))) + 1.5 * GAP for claim, text in statements.items()}
        return cls(table["experiment"][0], statements, bounds, heights, table.to_dicts(), between)

    @property
    def height(self) -> float:
        return TITLE + sum(self.heights.values())

    def draw(self, axes: Axes, top: float, places: Mapping[str, float], each: float) -> None:
        """Draw the rows below a height, with a column at each of the places."""
        axes.text(GAP, top + TITLE - GAP, self.name, fontsize=8, va="bottom", fontweight="bold")
        tops, below = {}, top + TITLE
        for claim, height in self.heights.items():
            tops[claim], middle = below, below + height / 2
            axes.text(STATEMENT - GAP, middle, self.statements[claim], fontsize=TYPE, ha="right", va="center")
            bound = self.bounds[claim].replace(">=", "\u2265").replace("<=", "\u2264")
            axes.text(STATEMENT + BOUND - GAP, middle, bound, fontsize=TYPE, ha="right", va="center")
            below += height
        for cell in self.cells:
            x, y, height = places[cell["choice"]], tops[cell["claim"]], self.heights[cell["claim"]]
            axes.add_patch(
                Rectangle((x, y), each - GAP / 2, height - GAP / 2, color=COLOURS[cell["verdict"]], linewidth=0)
            )
            value = cell["measured"]
            shown = "" if value is None else f"{self.between}{value:.{1 if abs(value) >= 10 else 2}f}"
            axes.text(
                x + (each - GAP / 2) / 2, y + (height - GAP / 2) / 2, f"{cell['verdict'][0].upper()}{shown}",
                ha="center", va="center", fontsize=TYPE, linespacing=1.1,
                color="white" if cell["verdict"] in ("holds", "fails") else BLACK,
            )  # fmt: skip
