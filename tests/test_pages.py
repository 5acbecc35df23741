"""The documentation: what the check of built pages finds, what the pages cover, and that they are built."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import hyperfactor
from hyperfactor.figures import FIGURES

DOCS = Path(__file__).parents[1] / "docs"
sphinx = pytest.importorskip("sphinx")


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(DOCS)
    from extension import faults  # pyright: ignore[reportMissingImports]

    return faults


def test_dead_links_and_other_hosts_are_found(faults, tmp_path: Path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a> <a href="b.html#there">2</a> <a href="c.html">3</a> <a href="#top">4</a>'
        '<a href="https://example.org">5</a> <img src="https://example.org/i.png"> <script src="//example.org/s.js">'
        "</script>"
    )
    (tmp_path / "b.html").write_text(
        '<p id="here">there</p><a href="a.html">back</a><img src="data:image/png;base64,">'
    )
    (tmp_path / "s.css").write_text("body { background: url(https://example.org/i.png) }")
    assert list(faults(tmp_path)) == [
        "a.html: no such place as b.html#there",
        "a.html: nothing at c.html",
        "a.html: no such place as #top",
        "a.html loads https://example.org/i.png",
        "a.html loads //example.org/s.js",
        "s.css loads from another host",
    ]


def test_every_page_is_in_the_index():
    index = (DOCS / "index.md").read_text()
    listed = set(re.findall(r"^([\w/]+)$", index, re.M))
    assert {path.stem for path in DOCS.glob("*.md")} - {"index"} == listed - {
        "built/ideas/index",
        "built/gallery/index",
    }


def test_every_figure_has_a_page():
    drawn = {
        name
        for path in (DOCS / "gallery").glob("*.py")
        for name in re.findall(r"\w+\.(figure_\w+)\(", path.read_text())
    }
    every = {function.__name__ for of_one in FIGURES.values() for function in of_one.values()}
    assert every - {"figure_recipes"} == drawn  # which is drawn as figure_architectures is


def test_every_public_name_is_in_the_reference():
    reference = (DOCS / "api.md").read_text()
    for name in dir(hyperfactor):
        assert re.search(rf"hyperfactor(\.\w+)*\.{name}\b", reference) or name in ("networks", "report"), name


def test_the_limits_count_the_claims_as_the_results_do():
    counts = r"(\d+) of (\d+) claims hold[;,] (\d+) fail, (\d+) are undecided(?:,| and) (\d+) were not measured"
    said, true = (
        re.search(counts, " ".join((DOCS / name).read_text().split())) for name in ("limits.md", "results.md")
    )
    assert said
    assert true
    assert said.groups() == true.groups()


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path: Path):
    """The build itself fails for a dead link, and for a page that needs another host."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "--fail-on-warning", "--keep-going", DOCS, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "<math" in (tmp_path / "definitions.html").read_text()
    numbers = (tmp_path / "built" / "ideas" / "3_critical_fraction.html").read_text()
    found = re.search(r"four neighbours: (0\.\d+) \+- (0\.\d+)", numbers)
    assert found
    assert float(found[1]) == pytest.approx(0.592746, abs=4 * float(found[2]))
