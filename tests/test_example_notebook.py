"""The example notebook runs, and its cells show what they should."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

SOURCE = Path(__file__).parents[1] / "examples" / "first.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[nbformat.NotebookNode]]:
    """The outputs of each cell, by its last line."""
    folder = tmp_path_factory.mktemp("notebook")
    book = nbformat.read(SOURCE, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder))  # the user's own settings stay out
        patch.delenv("NO_COLOR", raising=False)
        where = {"metadata": {"path": str(folder)}}
        NotebookClient(book, timeout=300, startup_timeout=300, kernel_name="python3", resources=where).execute()
    assert not any(folder.glob("hyperfactor-*"))
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    return {cell.source.splitlines()[-1].partition("(")[0]: cell.outputs for cell in cells}


def html(outputs: list[nbformat.NotebookNode]) -> str:
    return "".join(one.data.get("text/html", "") for one in outputs if "data" in one)


def test_it_is_kept_without_outputs():
    book = nbformat.read(SOURCE, as_version=4)
    assert [cell for cell in book.cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_nothing_is_an_error_or_a_warning(outputs: dict[str, list[nbformat.NotebookNode]]):
    every = [one for shown in outputs.values() for one in shown]
    assert {one.output_type for one in every} == {"display_data", "execute_result"}  # no stream, no error


def test_training_shows_its_progress_without_widgets(outputs: dict[str, list[nbformat.NotebookNode]]):
    bar, line = outputs["run = train"]
    assert re.search("training .*━.* 100 %", re.sub("<[^>]*>", "", html([bar])))
    assert re.search(r"run 1 of 1: trained in \d+ s, judged in \d+ s", html([line]))
    assert not any("widget" in kind for one in (bar, line) for kind in one.data)


def test_objects_show_themselves(outputs: dict[str, list[nbformat.NotebookNode]]):
    (run,) = re.findall(r"\((\w{16})\)", html(outputs["run = train"]))
    shown = html(outputs["run"])
    assert f"run {run}: sos, 40 steps" in shown
    right = re.findall(r"<tr><td>(\w+)</td><td>\d+</td><td>([\d.]+)</td>", shown)
    assert [region for region, _ in right] == ["train", "held_out"]
    assert all(0 <= float(share) <= 1 for _, share in right)
    (drawn,) = outputs["images.shape, float"]
    low, high = map(float, re.findall(r"0?\.\d+|1\.0", drawn.data["text/plain"]))
    assert 0 <= low < high <= 1
    assert "nearest: " in html(outputs["compare"])
    assert "persistent homology of 80 landmarks" in html(outputs["persistence"])
    assert all(html(outputs[name]).count("<svg") == 1 for name in ("compare", "persistence"))
