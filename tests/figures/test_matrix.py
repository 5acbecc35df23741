"""The figure of a matrix of verdicts shows each of them once, and its text fits, for any number of choices."""

import matplotlib.colors
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hyperfactor.experiments.base import Result
from hyperfactor.figures import matrix, style

VERDICTS = ("holds", "fails", "undecided", "not measured")
STATEMENTS = {
    "a": "right",
    "b": "hyper-factorized, x-on-x orthogonality: distance to the Clifford torus's x-on-x less distance to the 3D "
    "torus's x-on-y",
    "c": "drawings of the lattice that are right",
}
LONGEST = "every pixel weighted alike"


def made(choices: list[str]) -> Result:
    """Two experiments; the second has the third claim alone, and was not repeated with the last choice."""
    rows = [
        {
            "choice": choice, "experiment": "second" if claim == "c" else "first", "claim": claim,
            "statement": statement, "bound": "> 0" if claim == "a" else ">= 0.95",
            "measured": None if (k + j) % 4 == 3 else (-0.5, 12.34)[k % 2] + 0.01 * k,
            "verdict": VERDICTS[(k + j) % 4],
        }
        for k, choice in enumerate(choices) for j, (claim, statement) in enumerate(STATEMENTS.items())
        if not (claim == "c" and k == len(choices) - 1)
    ]  # fmt: skip
    return Result("recipes", "laptop", (0, 1, 2), 1.0, (), {"matrix": pl.DataFrame(rows, infer_schema_length=None)})


def drawn(result: Result) -> Figure:
    with style.context():
        figure = matrix.figure_recipes(result)
        FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.parametrize("count", [2, 7, 21])
def test_each_verdict_is_shown_once_and_fits_its_place(count: int):
    choices = [LONGEST, *(f"choice {k}" for k in range(1, count))]
    result = made(choices)
    figure = drawn(result)
    (axes,) = figure.axes
    cells = {}
    for text in axes.texts:
        around = text.get_window_extent()
        at = (around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2
        for patch in axes.patches:
            box = patch.get_window_extent()
            if box.contains(*at):
                assert box.x0 <= around.x0 <= around.x1 <= box.x1
                assert box.y0 <= around.y0 <= around.y1 <= box.y1
                cells[patch] = text.get_text().replace("\n", " ")
    shown = sorted(
        (cells[patch], matplotlib.colors.to_hex(patch.get_facecolor()))
        for patch in axes.patches
        if isinstance(patch, Rectangle)
    )
    expected = []
    for row in result.tables["matrix"].to_dicts():
        value = "" if row["measured"] is None else f" {row['measured']:.{1 if row['measured'] > 9 else 2}f}"
        colour = matplotlib.colors.to_hex(matrix.COLOURS[row["verdict"]])
        expected.append((f"{row['verdict'][0].upper()}{value}", colour))
    assert shown == sorted(expected)


@pytest.mark.parametrize("count", [2, 7, 21])
def test_no_text_overlaps_another_or_leaves_the_figure(count: int):
    figure = drawn(made([*(f"choice {k}" for k in range(1, count)), LONGEST]))
    (axes,) = figure.axes
    assert {"first", "second", LONGEST} <= {text.get_text().replace("\n", " ") for text in axes.texts}
    boxes = [(text, text.get_window_extent()) for text in axes.texts if not text.get_rotation()]
    for k, (text, box) in enumerate(boxes):
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1, text
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.y1, text
        assert not [other for other, of_other in boxes[:k] if box.overlaps(of_other)], text
    slanted = [text.get_window_extent() for text in axes.texts if text.get_rotation()]
    assert len(slanted) == (count if count == 21 else 0)
    assert all(0 <= box.x0 <= box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in slanted)
