"""The matrices of verdicts, from the results of the experiments architectures and recipes."""

import textwrap

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
LINE = 62  # letters of a claim in a line


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
    groups = matrix.partition_by("experiment", maintain_order=True)
    choices = matrix["choice"].unique(maintain_order=True).to_list()
    rows = [group["claim"].n_unique() for group in groups]
    figure = style.new(style.PAGE + 2.5, 2.0 + 0.24 * sum(rows), style.about(result))
    panels = figure.subplots(len(groups), 1, height_ratios=rows, squeeze=False)[:, 0]
    for k, (axes, group) in enumerate(zip(panels, groups, strict=True)):
        _matrix(axes, group, choices)
        axes.set_title(group["experiment"][0], loc="left")
        if k == 0:
            axes.xaxis.tick_top()
            axes.set_xticks(range(len(choices)), choices, rotation=60, ha="left", rotation_mode="anchor")
        else:
            axes.set_xticks([])
    figure.legend(
        handles=[Patch(color=colour, label=verdict) for verdict, colour in COLOURS.items()],
        loc="outside lower right", ncols=len(COLOURS),
    )  # fmt: skip
    return figure


def _matrix(axes: Axes, table: pl.DataFrame, choices: list[str]) -> None:
    claims = table.unique("claim", maintain_order=True)
    place = {claim: row for row, claim in enumerate(claims["claim"])}
    for cell in table.to_dicts():
        x, y = choices.index(cell["choice"]), place[cell["claim"]]
        axes.add_patch(Rectangle((x - 0.46, y - 0.44), 0.92, 0.88, color=COLOURS[cell["verdict"]], linewidth=0))
        value = "" if cell["measured"] is None else f" {cell['measured']:.2f}"
        dark = cell["verdict"] in ("holds", "fails")
        axes.text(
            x, y, f"{cell['verdict'][0].upper()}{value}", ha="center", va="center", fontsize=4.5,
            color="white" if dark else BLACK,
        )  # fmt: skip
    labels = [
        textwrap.shorten(f"{statement} {bound}", 2 * LINE, placeholder=" ...")
        for statement, bound in claims.select("statement", "bound").iter_rows()
    ]
    axes.set_yticks(range(len(place)), [textwrap.fill(label, LINE) for label in labels], fontsize=4.5)
    axes.set(xlim=(-0.5, len(choices) - 0.5), ylim=(len(place) - 0.5, -0.5))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
