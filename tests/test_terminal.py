"""What commands print in terminals of several widths, and where there are no colours."""

import re
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import typer

from hyperfactor import Run, RunSpec, cli, train, train_all
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.claims import Bound, claim, proportion
from hyperfactor.measures.geometry import clifford_torus
from hyperfactor.store.files import files_at
from hyperfactor.store.results import Content, Question, save

from .shell import hyperfactor, in_a_terminal, one_line, terminal

EXAMPLES = Path(__file__).parents[1] / "examples"
CODE = re.compile(r"\x1b\[[^@-~]*[@-~]")  # an escape sequence of ECMA-48
COMMANDS = [
    "list", "runs list", "runs list --columns *", "runs verify", "runs repair", "report",
    "percolate --size 32 --seeds 2",
    "sweep sweep.yaml --dry-run --rate 4000", "reproduce composition torus --preset smoke --dry-run",
    "analyse array.npy --landmarks 40 --max-dim 1", "study array.npy --landmarks 40 --max-dim 1", "runs show RUN",
    "sample RUN --factors points.csv --out images.npz", "train spec.yaml", "train none.yaml", "runs list --where seed",
]  # fmt: skip


def names(app: Any, before: tuple[str, ...] = ()) -> list[str]:
    """All commands, with the groups that they are in."""
    below = getattr(app, "commands", {})
    return [" ".join(before), *(one for name, command in below.items() for one in names(command, (*before, name)))]


HELPS = names(typer.main.get_command(cli.app))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates are not measured, results are at hand, and a server that runs tests is no terminal."""
    monkeypatch.setattr("hyperfactor.runs.cost.rates", lambda specs, _: {spec.id: 1234.5 for spec in specs})
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", None)
    found = [Result("composition", "smoke", (0,), 1.0, CLAIMS, {})], Path("report.html")
    monkeypatch.setattr("hyperfactor.report.again.report_again", lambda *_: found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run: Run, store: Path, tiny: RunSpec) -> Path:
    """A folder with a store and files for every command."""
    folder = tmp_path_factory.mktemp("terminal")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    shutil.copytree(store / run.id, folder / "hyperfactor-store" / run.id)
    save(files_at(folder / "hyperfactor-store"), Question("composition", "smoke", (0,), {}), Content({}, {}, {}))
    np.save(folder / "array.npy", clifford_torus((6, 6)))
    (folder / "points.csv").write_text("x,y\n1,2\n")
    (folder / "spec.yaml").write_text(tiny.model_dump_json())
    return folder


TOLD = "pairs out of reach of copying, right: 1D model with a rim of pairs less 1D model"
CLAIMS = (
    claim("a", "1", TOLD, Bound("<=", 0.9), lambda: [proportion(np.arange(100) < 50)]),
    claim("b", "1", TOLD, Bound(">=", 0.9), list, unless=[f"model '1d+rim' does not draw {TOLD}"]),
)


def too_wide(shown: str, columns: int) -> list[str]:
    """The lines of more characters, unless they are one word. A bar that is drawn again counts as a line."""
    lines = re.split(r"[\r\n]+", CODE.sub("", shown))
    return [line for line in lines if len(line.rstrip()) > columns and " " in line.strip()]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_bar_fits_and_reaches_its_end(columns: int, folder: Path):
    (folder / "few.yaml").write_text(f"base: spec.yaml\nproduct: {{seed: [{columns}]}}\n")
    status, shown = in_a_terminal("sweep", "few.yaml", "--workers", 1, cwd=folder, columns=columns)
    assert status == 0, shown
    assert "training ━" in CODE.sub("", shown)
    assert "run 1 of 1: trained in" in shown
    assert "100 %" in shown
    assert too_wide(shown, columns) == []


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_lines_fit_the_terminal(command: str, columns: int, folder: Path, run: Run):
    words = [run.id if word == "RUN" else word for word in command.split()]
    status, shown = in_a_terminal(*words, cwd=folder, columns=columns)
    assert status == (2 if "none" in command or "where" in command else 0), shown
    assert too_wide(shown, columns) == []
    kept = hyperfactor(*words, cwd=folder)  # in a pipe nothing is wrapped, and in a terminal nothing is lost
    there, here = (set(text.split()) for text in (CODE.sub("", shown), kept.stdout + kept.stderr))
    assert [word for word in here - there if not re.fullmatch(r"-+|[\d.]+", word)] == []  # rules, and times


@pytest.mark.parametrize("command", HELPS)
def test_helps_fit_a_terminal_and_have_an_example(command: str, tmp_path: Path):
    status, shown = in_a_terminal(*command.split(), "--help", cwd=tmp_path)
    assert status == 0
    assert too_wide(shown, 80) == []
    assert ("Example: hyperfactor" in shown) == (command not in ("", "runs"))


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=lambda one: next(iter(one)))
@pytest.mark.parametrize("command", ["--help", "train spec.yaml --set seed=SEED", "report", "paint", "sweep --help"])
def test_no_escape_codes_where_they_are_not_wanted(command: str, environment: dict[str, str], folder: Path):
    words = command.replace("SEED", str(len("".join(environment)))).split()
    _, shown = in_a_terminal(*words, cwd=folder, columns=60, **environment)
    assert shown
    assert "\x1b" not in shown
    assert too_wide(shown, 60) == []


@pytest.mark.parametrize("command", [*COMMANDS[:6], "--help", "train spec.yaml --set seed=6", "paint"])
def test_no_escape_codes_in_a_pipe(command: str, folder: Path):
    done = hyperfactor(*command.split(), cwd=folder)
    assert "\x1b" not in done.stdout + done.stderr


def test_the_help_has_colours_in_a_terminal(tmp_path: Path):
    """Otherwise the tests above would show nothing."""
    assert "\x1b[" in in_a_terminal("--help", cwd=tmp_path)[1]


def test_a_table_wraps_text_and_continues_below():
    frame = pl.DataFrame({"id": ["aaaaaaaa"], "said": ["one two three four"], "a.long": [1.5], "number": [22]})
    assert cli._table(frame, 43).splitlines() == [
        "",
        "                                 a.",
        "id        said                 long  number",
        "--------  ------------------  -----  ------",
        "aaaaaaaa  one two three four  1.500      22",
    ]
    assert cli._table(frame, 34).splitlines() == [
        "",
        "                        a.",
        "id        said        long  number",
        "--------  ---------  -----  ------",
        "aaaaaaaa  one two    1.500      22",
        "            three",
        "            four",
    ]
    rows = [line for line in cli._table(frame, 20).splitlines() if "aaaaaaaa" in line]
    assert rows == ["aaaaaaaa  one two", "aaaaaaaa  1.500", "aaaaaaaa      22"]


def test_a_program_in_a_terminal_shows_its_progress(tiny: RunSpec, tmp_path: Path):
    specs = [tiny.model_copy(update={"seed": seed}) for seed in (21, 22)]
    with terminal() as shown:
        first = train(specs[0], tmp_path)
    assert "training" in shown[0]
    assert f"run 1 of 1: trained in 0 s, judged in 0 s ({first.id})" in re.sub(r"in \d+ s", "in 0 s", shown[0])
    with terminal() as shown:
        runs, failures = train_all(specs, tmp_path, workers=1)
    assert (len(runs), failures) == (2, {})
    assert "run 2 of 2: trained in" in shown[0]
    assert "run 1 of 2" not in shown[0]
    assert "100 %" in shown[0]
    with terminal() as shown:
        train(specs[0], tmp_path)
    assert shown == [""]


def test_a_program_without_a_terminal_shows_nothing(tiny: RunSpec, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    steps: list[int] = []
    train(tiny.model_copy(update={"seed": 23}), tmp_path)
    train_all([tiny.model_copy(update={"seed": 24})], tmp_path, workers=1)
    assert capfd.readouterr() == ("", "")
    with terminal() as shown:
        train(tiny.model_copy(update={"seed": 25}), tmp_path, report=steps.append)
    assert shown == [""]
    assert steps


@pytest.mark.parametrize(
    ("words", "module", "extra"),
    [("train spec.yaml --set seed=31 --track tensorboard:logs", "torch.utils.tensorboard", "track"),
     ("runs list --store s3://bucket/runs", "s3fs", "s3")],
)  # fmt: skip
def test_a_missing_extra_is_told_with_its_command(
    words: str, module: str, extra: str, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(import_module("fsspec.registry")._registry, "s3", raising=False)
    one_line(hyperfactor(*words.split(), cwd=folder), f"pip install 'hyperfactor[{extra}]'")
