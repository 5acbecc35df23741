"""Objects show themselves in a notebook as a small table."""

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
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
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


def test_a_result_shows_its_claims():
    made = claim("a", "1", "half are right", Bound("<=", 0.9), lambda: [proportion(np.arange(100) < 50)])
    result = Result("composition", "laptop", (0,), 1.0, (made,), {})
    _, row = Cells(result._repr_html_()).rows
    assert row == ["half are right", "<= 0.9", "0.500", "0.404 to 0.596", "holds"]
