"""Objects show themselves in a notebook as a small table or figure."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from hyperfactor import Run, notebook
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.claims import Bound, claim, proportion
from hyperfactor.measures.geometry import clifford_torus, compare
from hyperfactor.measures.topology import persistence


class Cells(HTMLParser):
    """The text of each row of a table."""

    def __init__(self, page: str):
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False  # a cell
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def test_text_is_not_taken_for_markup():
    page = notebook.table("a < b", ("x & y",), [("<script>",), (1 / 3,), (None,)])
    assert "a &lt; b" in page
    assert Cells(page).rows == [["x & y"], ["<script>"], ["0.333"], [""]]


def test_a_long_table_is_cut_and_says_so():
    page = notebook.table("", ("n",), [(n,) for n in range(notebook.WIDEST + 7)])
    assert "and 7 more" in page
    assert page.count("<tr>") == notebook.WIDEST + 1


def test_a_run_shows_its_accuracy(run: Run):
    heading, *rows = Cells(run._repr_html_()).rows
    assert heading[:3] == ["region", "n", "right"]
    assert [row[0] for row in rows] == run.accuracy()["region"].to_list()


def test_measures_show_what_they_found():
    angles = 2 * np.pi * np.arange(60) / 60
    circle = persistence(np.stack([np.cos(angles), np.sin(angles)], axis=1), max_dim=1)
    assert [row[:2] for row in Cells(circle._repr_html_()).rows[1:]] == [["H0", "1"], ["H1", "1"]]
    compared = compare(clifford_torus((8, 8)))
    heading, *rows = Cells(compared._repr_html_()).rows
    assert heading[2:] == list(compared.references)
    nearest = heading.index(compared.nearest)
    assert all(float(rows[-1][nearest]) <= float(cell) for cell in rows[-1][2:])


def marks(page: str) -> list[tuple[float, float]]:
    """Where the marks of a figure are, in pixels from its left and from its top."""
    return [
        (float(x), float(y))
        for x, y in re.findall(r'class="mark" d="[^"]*" transform="translate\(([\d.]+) ([\d.]+)\)"', page)
    ]


def test_a_persistence_diagram_has_a_mark_for_each_bar():
    bars = [(0.0, math.inf), (0.0, 1.0), (1.0, 2.0), (0.0, 4.0)]
    found = marks(notebook.diagram("d", [("H0", bars[:2]), ("H1", bars[2:])]))
    width, bottom = 180, 190
    assert found == [
        (40 + width * birth / 4, bottom - width * min(death / 4, 1)) for birth, death in (*bars[:2], bars[3], bars[2])
    ]
    assert len(marks(notebook.diagram("d", [("H0", bars * 100)]))) == notebook.WIDEST
    assert marks(notebook.diagram("d", [("H0", [])])) == []


def test_a_comparison_shows_its_distances_to_scale():
    compared = compare(clifford_torus((8, 8)))
    shapes = list(compared.references)
    compared = replace(
        compared, total=dict(zip(shapes, (0.1, 0.2, 0.3, 0.4), strict=True)), nearest=shapes[0],
        interval=dict.fromkeys(shapes, (0.1, 0.5)),
    )  # fmt: skip
    page = compared._repr_html_()
    at = [x for x, _ in marks(page)]
    assert np.allclose(np.diff(at), 220 * 0.1 / 0.5, atol=0.11)
    assert page.count(notebook.INK[1]) == 1  # the nearest shape
    assert all(shape in page for shape in shapes)


def test_figures_take_the_colour_of_the_text_around_them():
    page = notebook.diagram("a < b", [("H0", [(0.0, 1.0)])]) + notebook.intervals("i", [("x", 1, (0, 2))], "x")
    assert "a &lt; b" in page
    colours = set(re.findall(r'(?:fill|stroke)="([^"]*)"', page)) - {"none", "currentColor"}
    assert colours <= set(notebook.INK)
    for colour in notebook.INK:
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))  # WCAG 2.2, which asks for a contrast of 3
        assert 1.05 / (luminance + 0.05) >= 3
        assert (luminance + 0.05) / 0.05 >= 3


def test_a_result_shows_its_claims():
    made = claim("a", "1", "half are right", Bound("<=", 0.9), lambda: [proportion(np.arange(100) < 50)])
    result = Result("composition", "laptop", (0,), 1.0, (made,), {})
    _, row = Cells(result._repr_html_()).rows
    assert row == ["half are right", "<= 0.9", "0.500", "0.404 to 0.596", "holds"]
