import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import chdir
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import polars as pl
import pytest
import typer
import yaml

from hyperfactor import RequestError, Run, RunSpec, Store, cli, train
from hyperfactor.experiments import EXPERIMENTS, of_the_paper
from hyperfactor.measures.geometry import additivity, clifford_torus
from hyperfactor.runs import cost
from hyperfactor.store.files import files_at
from hyperfactor.store.results import Content, Question, save
from hyperfactor.store.store import CHECKPOINT

from .shell import from_a_shell, hyperfactor, one_line

# Packages that take time to import, and what imports them in turn.
HEAVY = {
    "torch", "numpy", "scipy", "polars", "matplotlib", "numba", "gudhi", "sklearn", "umap", "diffusers", "distributed",
    "fsspec", "s3fs", "yaml", "jinja2",
}  # fmt: skip


@pytest.fixture(scope="module")
def spec_file(tiny: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "spec.yaml"
    path.write_text(yaml.safe_dump(tiny.model_dump(mode="json")))
    return path


IMPORTS = """
import io, sys
from contextlib import redirect_stdout
from hyperfactor import cli

sys.argv = ["hyperfactor", *sys.argv[1:]]
try:
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        cli.main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(*{name.partition(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("--help", set()),
        ("runs --help", set()),
        ("runs list", {"polars"}),
        ("runs verify", set()),
    ],
)
def test_quick_commands_import_nothing_heavy(command: str, needed: set[str], tmp_path: Path):
    words = [sys.executable, "-c", IMPORTS, *command.split()]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stdout.split()) == needed


def test_the_experiments_are_imported_without_the_statistics_of_scipy():
    """They take a second; only a claim needs them."""
    words = [sys.executable, "-c", "import sys, hyperfactor.experiments; print('scipy.stats' in sys.modules)"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\n"


def test_list_names_each_experiment(tmp_path: Path):
    lines = hyperfactor("list", cwd=tmp_path).stdout.splitlines()
    expected = [
        (
            name,
            "beyond the paper" if e.beyond else f"figure{'s'[: len(e.figures) - 1]} {', '.join(e.figures)}",
            e.question,
        )
        for name, e in EXPERIMENTS.items()
    ]
    found = [
        (*name.split(maxsplit=1), question.strip()) for name, question in zip(lines[::2], lines[1::2], strict=True)
    ]
    assert found == expected
    assert {line.find(about) for line, (_, about, _) in zip(lines[::2], expected, strict=True)} == {21}


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproduce")
    done = from_a_shell("reproduce", "composition", "--preset", "smoke", "--seeds", 2, "--json", "out.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "hyperfactor-report/report.html\n" in done.stdout
    assert done.stderr.count("trained in") == 8
    return folder


def test_reproduce_writes_what_the_contract_says(reproduced: Path):
    document = json.loads((reproduced / "out.json").read_text())
    assert {"experiment", "preset", "seconds", "claims", "tables"} <= set(document)
    assert document["experiment"] == "composition"
    for claim in document["claims"]:
        assert {"id", "statement", "measured", "interval", "bound", "verdict", "holds"} <= set(claim)
        assert (claim["verdict"], claim["interval"], claim["holds"]) == ("not measured", None, None)
    assert {row["model"] for row in document["tables"]["accuracy"]} == {"2d", "1d", "2d+1d", "1d+rim"}
    figures = sorted(path.name for path in (reproduced / "hyperfactor-report" / "figures").iterdir())
    assert figures == sorted(f"composition-figure-{n}.{kind}" for n in (1, 4, 9, 10) for kind in ("svg", "pdf"))


def test_reproduce_again_trains_nothing_and_draws_the_same_bits(reproduced: Path):
    before = {path: path.read_bytes() for path in (reproduced / "hyperfactor-report" / "figures").iterdir()}
    done = hyperfactor("reproduce", "composition", "--preset", "smoke", "--seeds", 2, "--quiet", cwd=reproduced)
    assert done.returncode == 0
    assert done.stderr == ""
    assert {path: path.read_bytes() for path in before} == before


def test_report_draws_an_earlier_result_without_its_runs(reproduced: Path, tmp_path: Path):
    shutil.copytree(reproduced / "hyperfactor-store" / ".results", tmp_path / "s" / ".results")
    (kept,) = Store(tmp_path / "s").results()
    with mock.patch("hyperfactor.experiments.base.Experiment.result", side_effect=AssertionError):
        done = hyperfactor("report", "--store", "s", "--out", "again", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert kept.key in done.stdout
    before, after = (json.loads((folder / "out.json").read_text()) for folder in (reproduced, tmp_path))
    assert {**after, "seconds": 0} == {**before, "seconds": 0}
    for path in (reproduced / "hyperfactor-report" / "figures").iterdir():
        if path.suffix == ".svg":
            assert (tmp_path / "again" / "figures" / path.name).read_bytes() == path.read_bytes()
    one_line(hyperfactor("report", "--store", "none", cwd=tmp_path), "store none: got no kept result")
    one_line(hyperfactor("report", "zz", "--store", "s", cwd=tmp_path), "result: got 'zz', which names no result")


def test_a_result_that_cannot_be_shown_any_more_is_told(tmp_path: Path):
    """A result of an experiment that no longer exists, and a result of other code with other tables."""
    for name, words in (
        ("gone", "got experiment 'gone', needs one of"),
        ("interpolation", "got one that other code kept"),
    ):
        question = Question(name, "smoke", (0,), {})
        with mock.patch("hyperfactor.store.results.code", return_value={"source": "another"}):
            save(files_at(tmp_path / name), question, Content({"claims": [], "runs": []}, {}, {}))
        one_line(hyperfactor("report", "--store", name, cwd=tmp_path), words)


def test_a_gpu_that_is_not_there_is_told(run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "f.csv").write_text("x,y\n1,2\n")
    sample = ["sample", run.id, "--gpu", "--factors", "f.csv", "--out", "o.npz", "--store", store]
    one_line(hyperfactor(*sample, cwd=tmp_path), "device: got 'cuda'")
    reproduce = ["reproduce", "composition", "--preset", "smoke", "--gpu"]
    one_line(hyperfactor(*reproduce, cwd=tmp_path), "gpu: got no GPU on this machine")


def test_train_then_sample_then_look(spec_file: Path, run: Run, store: Path, tmp_path: Path):
    done = hyperfactor("train", spec_file, "--store", store, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run.id in done.stdout
    assert "held_out" in done.stdout

    (tmp_path / "points.csv").write_text("y,note,x\n2,a,1\n4.25,b,3.5\n")
    done = hyperfactor(
        "sample", run.id[:5], "--factors", "points.csv", "--out", "deep/images.npz", "--seed", 4, "--store", store,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "deep" / "images.npz", allow_pickle=False) as file:
        assert file["factors"].tolist() == [[1, 2], [3.5, 4.25]]  # in the order of the factor space
        assert file["images"].shape == (2, 1, 16, 16)
        assert np.abs(file["images"] - run.sample(file["factors"], seed=4)).max() < 1e-4

    assert run.id in hyperfactor("runs", "list", "--store", store, cwd=tmp_path).stdout
    shown = hyperfactor("runs", "show", run.id[:5], "--store", store, cwd=tmp_path).stdout
    (tmp_path / "again.yaml").write_text(shown)  # a spec as it is: what else is recorded stands in comments
    assert RunSpec.load(tmp_path / "again.yaml") == run.spec
    assert "# finished: " in shown
    assert "\n# held_out" in shown


def test_set_changes_the_spec_and_remove_removes(spec_file: Path, tmp_path: Path):
    done = hyperfactor(
        "train", spec_file, "--set", "training.steps=2", "--set", "training.snapshots=[0]", "--set", "seed=9",
        "--store", "s", "-q", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = (path.name for path in (tmp_path / "s").iterdir() if not path.name.startswith("."))
    assert f"removed {run}" in hyperfactor("runs", "remove", run[:4], "--store", "s", cwd=tmp_path).stdout
    assert "no runs" in hyperfactor("runs", "list", "--store", "s", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reproduce", "everything"], ["experiment: got 'everything', needs one of torus, hyperfactorization"]),
        (["reproduce", "composition", "--preset", "huge"], ["preset: got 'huge', needs one of smoke, laptop, paper"]),
        (["reproduce", "composition", "--seeds", "0"], ["seeds: got 0"]),
        (["reproduce", "composition", "--only", "2d"], ["only: got experiment composition, needs one whose analysis"]),
        (["reproduce", "composition", "--preset", "smoke", "--workers", "0"], ["workers: got 0"]),
        (["reproduce", "composition", "--preset", "smoke", "--workers", "-1", "--dry-run"], ["workers: got -1"]),
        (["reproduce", "composition", "--out", "SPEC"], ["/report.html: Not a directory, needs a file that can be"]),
        (["runs", "list", "--store", "SPEC"], ["Not a directory, needs a folder that can be read"]),
        (["reproduce", "torus", "--dry-run", "--json", "x.json"], ["json: got x.json with --dry-run"]),
        (["reproduce", "torus", "--json", "--quiet"], ["--json: got the option --quiet, needs a value"]),
        (["reproduce", "torus", "--json", "-q"], ["--json: got the option -q, needs a value"]),
        (["train", "none.yaml"], ["none.yaml: No such file or directory"]),
        (["train", "SPEC", "--set", "training.steps=-5"], ["training.steps: got -5, needs an integer of at least 1"]),
        (["train", "SPEC", "--set", "data.train.foo=1"], ["got an unknown key 'foo'"]),
        (["train", "SPEC", "--set", "data.fraction=1e-9"], ["data.train: got 0 of the 484 lattice points"]),
        (["train", "SPEC", "--store", "/proc/store"], ["store /proc/store: ", "needs a folder that can be written"]),
        (["train", "SPEC", "--threads", "0"], ["threads: got 0"]),
        (["sample", "abc", "--factors", "f.csv", "--out", "o.npz"], ["run: got 'abc', which names no run"]),
        (["reproduce", "--seeds", "many"], ["Invalid value for '--seeds'"]),
        (["paint"], ["No such command 'paint'"]),
        (["runs", "show", "abc"], ["run: got 'abc', which names no run"]),
        (["analyse", "abc"], ["run: got 'abc', which names no run"]),
        (["analyse", "none.npy"], ["none.npy: "]),
        (["train", "SPEC", "--store", ""], ["store: got '', needs a name"]),
        (["runs", "list", "--store", " "], ["store: got ' ', needs a name"]),
        (["runs", "verify", "--store", "-"], ["store: got '-', needs a name"]),
        (["reproduce", "composition", "--preset", "smoke", "--store", ""], ["store: got '', needs a name"]),
        (["reproduce", "composition", "--json", "."], [".: Is a directory, needs a file that can be written"]),
        (["reproduce", "composition", "--out", "/dev/null"], ["/dev/null/report.html: Not a directory"]),
        (["analyse", "none.npy", "--json", "/proc/x.json"], ["/proc/x.json: "]),
        (["percolate", "--size", "999999", "--json", "."], [".: Is a directory"]),
        (["runs", "remove", "abc"], ["run: got 'abc', which names no run"]),
    ],
)  # fmt: skip
def test_wrong_requests_get_one_line_and_status_2(arguments, words, spec_file: Path, tmp_path: Path):
    done = hyperfactor(*(spec_file if a == "SPEC" else a for a in arguments), cwd=tmp_path)
    one_line(done, *words)
    assert not list(tmp_path.glob("hyperfactor-store/*/spec.json"))


@pytest.mark.parametrize("command", [["list"], ["train", "spec.yaml"], ["runs", "list"], ["percolate", "--size", "32"]])
def test_a_current_folder_that_was_deleted_gets_one_line(command: list[str], tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.setattr(sys, "argv", ["hyperfactor", *command])
    with chdir(tmp_path):
        os.chdir("gone")
        os.rmdir(tmp_path / "gone")
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "hyperfactor: current folder: No such file or directory\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (None, "No such file"),
        ("x\n1\n", "got columns x with no y, needs y once"),
        ("x,x,y\n1,2,3\n", "got columns x, x, y with x 2 times, needs x once"),
        ("x,y\n\n1,two\n", "f.csv, row 3, y: got 'two', needs a number"),
        ("x,y\n1,1_0\n", "f.csv, row 2, y: got '1_0', needs a number"),
        ("x;y\n1,5;2\n", "f.csv, row 2, x: got '1,5', needs a number"),
        ("x,y\n1,2,3\n", "f.csv, row 2: got 3 values, needs 2, one a column"),
        ('x,y\n"1,2\n', "f.csv, row 2: unexpected end of data"),
        ("", "got an empty file"),
        ("# mine\nx,y\n1,2\n", "got columns # mine with no x"),
        ("x,y\ninf,2\n", "factors row 0, x: got inf"),
        ("x,y\n1,99\n", "factors row 0, y: got 99, needs a value in -3..18"),
        ("x,y\n1,\n", "f.csv, row 2, y: got '', needs a number"),
        ("x,y\nnan,2\n", "factors row 0, x: got nan"),
    ],
)
def test_wrong_factors(text, word, run: Run, store: Path, tmp_path: Path):
    if text is not None:
        (tmp_path / "f.csv").write_text(text)
    done = hyperfactor("sample", run.id, "--factors", "f.csv", "--out", "o.npz", "--store", store, cwd=tmp_path)
    one_line(done, word)
    assert not (tmp_path / "o.npz").exists()


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("late.csv", b"x,y\n" + b"1,2\n" * 100 + b"3.5,4\n", 101),
        ("text in a column not asked for.csv", b"n,x,y\n" + b"1,3.5,4\n" * 100 + b"abc,3.5,4\n", 101),
        ("points[1].csv", b"y,x\r\n4,3.5\r\n", 1),
        ("a*b?.csv", b"x,y\n\n1,2\n,\n3.5,4\n\n", 2),
        ("marked.csv", "x,y\n3.5,4\n".encode("utf-8-sig"), 1),
        ("wide.csv", "x,y\n3.5,4\n".encode("utf-16"), 1),
        ("tabs.csv", b"x\ty\n3.5\t4\n", 1),
        ("semicolons.csv", b'"x"; "y"\n3.5;"4e0"\n', 1),
        ("header.csv", b"x,y\n", 0),
        ("decoy.csv", b'x,y,"a;x;y"\n3.5,4,"1\n2"\n', 1),
    ],
)
def test_factors_in_files_of_many_kinds(name: str, content: bytes, rows: int, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    points = cli._read_factors(tmp_path / name, ("x", "y"))
    assert points.shape == (rows, 2)
    assert points[-1:].tolist() == [[3.5, 4.0]] * bool(rows)


def test_a_truncated_checkpoint_gets_one_line(spec_file: Path, tiny: RunSpec, tmp_path: Path):
    folder = tmp_path / "s" / tiny.id
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    one_line(hyperfactor("train", spec_file, "--store", "s", cwd=tmp_path), "needs a whole checkpoint")


def test_a_run_that_fails_has_status_1(spec_file: Path, tmp_path: Path):
    done = hyperfactor(
        "train", spec_file, "--set", "training.learning_rate=1e30", "--set", "training.steps=100", cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs a finite one" in done.stderr


def test_a_full_disk_gets_one_line_and_loses_nothing(spec_file: Path, run: Run, tiny: RunSpec, tmp_path: Path):
    """The kernel refuses files above 100 kB, such as the weights. A finished run existed before."""
    import resource
    import shutil
    import signal

    shutil.copytree(run._store.folder(run.id), tmp_path / "store" / run.id)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "hyperfactor.cli", "train", str(spec_file), "--set", "seed=3", "--store", "store"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, preexec_fn=limit)
    one_line(done, "safetensors: File too large, needs a disk with room that can be written", status=1)
    assert "no problems" in hyperfactor("runs", "verify", "--store", "store", cwd=tmp_path).stdout
    assert Run.open(tmp_path / "store", run.id).accuracy().equals(run.accuracy())
    assert hyperfactor("train", spec_file, "--set", "seed=3", "--store", "store", cwd=tmp_path).returncode == 0


def test_sweep_then_list_then_verify_and_repair(spec_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sweep.yaml").write_text(f"base: {spec_file}\nproduct: {{seed: [0, 1], training.batch: [4, -4]}}\n")
    measured(monkeypatch)
    plan = hyperfactor("sweep", "sweep.yaml", "--dry-run", "--workers", 2, cwd=tmp_path)
    assert plan.stdout.count(" to train ") == 2
    assert "2 runs, 2 to train" in plan.stdout
    assert "with 2 workers on this machine's CPU" in plan.stdout
    done = hyperfactor("sweep", "sweep.yaml", "--workers", 1, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("training.batch: got -4, needs an integer of at least 1") == 2
    assert "2 of 4 runs are finished" in done.stdout
    columns = ("--columns", "seed,training.batch,accuracy.train.n", "--where", "seed = 1")
    table = hyperfactor("runs", "list", *columns, "--format", "json", cwd=tmp_path)
    (row,) = json.loads(table.stdout)
    assert (row["seed"], row["training.batch"], row["accuracy.train.n"]) == (1, 4, 7)
    csv = hyperfactor("runs", "list", *columns, "--format", "csv", cwd=tmp_path).stdout
    assert csv.splitlines() == ["seed,training.batch,accuracy.train.n", "1,4,7"]
    hyperfactor("runs", "list", "--columns", "*", "--format", "parquet", "--out", "all.parquet", cwd=tmp_path)
    assert len(pl.read_parquet(tmp_path / "all.parquet")) == 2
    one_line(hyperfactor("runs", "list", "--where", "seed >", cwd=tmp_path), "where: got 'seed >'")
    one_line(hyperfactor("runs", "list", "--format", "xml", cwd=tmp_path), "needs table, csv, json or parquet")
    star = (["a.yaml", "b.yaml"], ["sweep.yaml"], ["hyperfactor-store", "sweep.yaml", "x"])  # as a shell expands it
    for files in star:
        done = hyperfactor("runs", "list", "--columns", *files, "--format", "csv", cwd=tmp_path)
        one_line(done, f"got '{files[0]}", "quotes, --columns '*'")
    (tmp_path / "seed").touch()
    assert hyperfactor("runs", "list", "--columns", "seed", cwd=tmp_path).returncode == 0  # a column all the same
    hyperfactor("runs", "list", *columns, "--format", "json", "--out", "/dev/null", cwd=tmp_path)
    one_line(hyperfactor("runs", "list", "--out", ".", cwd=tmp_path), ".: Is a directory")
    run = next(path.parent for path in (tmp_path / "hyperfactor-store").glob("*/history.parquet"))
    (run / "history.parquet").write_bytes(b"PAR1")
    found = hyperfactor("runs", "verify", cwd=tmp_path)
    assert found.returncode == 1
    assert f"{run.name}/history.parquet: got 4 bytes" in found.stdout
    assert "set aside; the run will be trained again" in hyperfactor("runs", "repair", cwd=tmp_path).stdout
    assert "no problems" in hyperfactor("runs", "verify", cwd=tmp_path).stdout


def test_reproduce_torus_draws_its_figures(tmp_path: Path):
    done = hyperfactor("reproduce", "torus", "--preset", "smoke", "--workers", 1, "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    assert {row["model"] for row in document["tables"]["topology"]} == {"torus", "no wrap"}
    said = {claim["id"]: claim["verdict"] for claim in document["claims"]}
    assert said.pop("torus.betti.start") == "holds"  # of the untrained network
    assert said.pop("torus.accuracy") == "fails"
    assert set(said.values()) == {"not measured"}
    figures = sorted(path.name for path in (tmp_path / "hyperfactor-report" / "figures").iterdir())
    assert figures == sorted(f"torus-figure-{n}.{kind}" for n in (2, 3, 8) for kind in ("svg", "pdf"))


def measured(monkeypatch: pytest.MonkeyPatch, rate: float = 100.0) -> list[int]:
    """Let every worker have this rate, because measuring takes seconds. Returns the numbers of workers asked for."""
    asked: list[int] = []
    monkeypatch.setattr(
        "hyperfactor.runs.cost.rates",
        lambda specs, workers: asked.append(workers) or {spec.id: rate for spec in specs},
    )
    return asked


def test_a_dry_run_names_runs_and_their_cost_and_trains_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    measured(monkeypatch)
    words = ("reproduce", "interpolation", "data_efficiency", "--dry-run", "--store", "store")
    plan = hyperfactor(*words, "--preset", "paper", "--seeds", 2, cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.count("to train") == 1 + 2 * (8 + 2 * (4 + 1))
    assert "interpolation 8, seed 1" in plan.stdout
    assert "Searches will ask for about 32 more runs" in plan.stdout
    assert " 7000 " in plan.stdout
    for spec in EXPERIMENTS["interpolation"].specs("smoke", 0).values():
        train(spec, tmp_path / "store")
    half = hyperfactor("reproduce", "interpolation", "exterior", "--preset", "smoke", *words[3:], cwd=tmp_path)
    assert (half.stdout.count(" finished "), half.stdout.count(" to train ")) == (2, 8)
    assert "earches" not in half.stdout
    done = hyperfactor("reproduce", "interpolation", "--preset", "smoke", *words[3:], cwd=tmp_path)
    assert "2 runs, 0 to train" in done.stdout
    assert "Everything is finished." in done.stdout
    part = ("--only", "unet, diffusion / interpolation", *words[3:])
    some = hyperfactor("reproduce", "architectures", "--preset", "smoke", *part, cwd=tmp_path)
    assert "2 runs, 0 to train" in some.stdout  # those of the interpolation experiment


def test_a_dry_run_says_how_long_it_takes_here_and_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By hand, from pictures of 4 runs without an analysis, 1,000 a second here."""
    asked = measured(monkeypatch, 1000.0)
    experiment = replace(EXPERIMENTS["composition"], analysis=lambda _preset: 0)
    monkeypatch.setitem(EXPERIMENTS, "composition", experiment)
    pictures = sorted(map(cost.pictures, experiment.specs("laptop", 0).values()))
    words = ("reproduce", "composition", "--dry-run", "--store", "store")
    plan = hyperfactor(*words, "--workers", 1, "--rate", 200, cwd=tmp_path)
    minutes = sum(pictures) / 1000 / 60
    said = f"{minutes:.0f} minutes" if minutes >= 100 / 60 else f"{60 * minutes:.0f} s"
    assert f"about {said} with 1 worker on this machine's CPU" in plan.stdout
    assert "1,000 pictures/s, measured now." in plan.stdout
    assert f"{sum(pictures) / 200 / 3600:.3g} GPU hours at 200 pictures/s of the largest network." in plan.stdout
    monkeypatch.setitem(EXPERIMENTS, "composition", replace(experiment, analysis=lambda _preset: 10**7))
    examined = hyperfactor(*words, "--workers", 9, cwd=tmp_path)
    assert "with 4 workers" in examined.stdout  # one a run
    assert "analyses take about 42 minutes" in examined.stdout  # 10^7 / 1000 / 4 seconds
    assert "GPU" not in examined.stdout
    assert asked == [1, 4]


def test_a_dry_run_of_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: RunSpec):
    measured(monkeypatch, 1000.0)
    (tmp_path / "tiny.yaml").write_text(tiny.model_dump_json())
    words = ("train", "tiny.yaml", "--dry-run", "--store", "store")
    longer = hyperfactor(*words, "--set", "training.steps=90000", "--rate", 200, cwd=tmp_path)
    pictures = cost.pictures(RunSpec.load(tmp_path / "tiny.yaml", ["training.steps=90000"]))
    assert "1 run, 1 to train" in longer.stdout
    assert f"about {pictures / 1000 / 60:.0f} minutes with 1 worker on this machine's CPU. Each" in longer.stdout
    assert f"{pictures / 200 / 3600:.3g} GPU hours" in longer.stdout
    assert not (tmp_path / "store").exists()
    train(tiny, tmp_path / "store")
    assert "Everything is finished." in hyperfactor(*words, cwd=tmp_path).stdout
    refused = hyperfactor("train", "tiny.yaml", "--rate", 5, cwd=tmp_path)
    one_line(refused, "rate: got 5, needs a number above 0, and --dry-run")


@pytest.mark.parametrize(
    ("key", "value", "most"),
    [("model.width", 4 * 10**9, "at most 65536"), ("model.width", 2**63, "at most 65536"),
     ("training.matrix_rate", 1e39, "at most 1e+30")],
)  # fmt: skip
def test_a_number_that_no_machine_holds_is_refused(key: str, value: float, most: str, spec_file: Path, tmp_path: Path):
    done = hyperfactor("train", spec_file, "--set", f"{key}={value}", cwd=tmp_path)
    one_line(done, f"{key}: got", most)


def test_a_list_of_runs_replaces_no_file_of_a_run(run: Run, store: Path, tmp_path: Path):
    copied = shutil.copytree(store / run.id, tmp_path / run.id)
    before = (copied / "spec.json").read_bytes()
    done = hyperfactor("runs", "list", "--store", tmp_path, "--out", copied / "spec.json", cwd=tmp_path)
    one_line(done, "got a file of a run")
    assert (copied / "spec.json").read_bytes() == before


def test_a_store_with_a_name_that_is_no_text_is_listed(tmp_path: Path):
    done = hyperfactor("runs", "list", "--store", os.fsdecode(b"caf\xe9"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "caf\\udce9: no runs" in done.stdout


def test_an_interrupted_sweep_says_how_far_it_came_beside_a_damaged_run(
    spec_file: Path, run: Run, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(store / run.id, tmp_path / "store" / run.id)
    (tmp_path / "store" / run.id / "manifest.json").write_bytes(b"")

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hyperfactor.runs.sweep.train_all", interrupted)
    (tmp_path / "sweep.yaml").write_text(f"base: {spec_file}\nproduct: {{seed: [{run.spec.seed}, 7]}}\n")
    done = hyperfactor("sweep", "sweep.yaml", "--store", "store", cwd=tmp_path)
    one_line(done, "stopped; 1 of 2 runs are finished; the same command continues", status=130)


@pytest.mark.parametrize("words", [("--rate", 5), ("--rate", 0, "--dry-run"), ("--rate", "nan", "--dry-run")])
def test_a_stated_rate_is_positive_and_for_a_dry_run(words: tuple, tmp_path: Path):
    one_line(hyperfactor("reproduce", "composition", *words, cwd=tmp_path), "rate: got")


@pytest.mark.slow
def test_the_whole_paper(tmp_path: Path):
    """Without names, all experiments run. A second call trains nothing."""
    done = hyperfactor("reproduce", "--preset", "smoke", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {document["experiment"]: document for document in json.loads((tmp_path / "out.json").read_text())}
    assert set(found) == set(of_the_paper())
    drawn = {path.name for path in (tmp_path / "hyperfactor-report" / "figures").iterdir()}
    assert drawn == {
        f"{name}-figure-{n}.{kind}"
        for name in of_the_paper()
        for n in EXPERIMENTS[name].figures
        for kind in ("svg", "pdf")
    }
    again = hyperfactor("reproduce", "--preset", "smoke", cwd=tmp_path)
    assert "trained in" not in again.stderr


def test_percolate(tmp_path: Path):
    words = ("--sigma", 0.3, "--threshold", 0.05, "--size", 128, "--seeds", 40, "--json", "out.json")
    done = hyperfactor("percolate", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["reach"] == pytest.approx(2 * 0.3 * np.log(20) ** 0.5)  # 1.04 pixels: 4 neighbours
    assert found["neighbours"] == 4
    assert abs(found["critical_fraction"] - 0.592746) < 4 * found["error"]
    assert found["largest"][-1] == found["sites"] == 128**2
    alone = hyperfactor("percolate", "--sigma", 0.1, "--size", 32, cwd=tmp_path)
    assert "0 neighbours" in alone.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--threshold 2", "threshold: got 2.0, needs a number above 0"),
        ("--sigma nan", "sigma: got nan, needs a"),
        ("--sigma inf", "sigma: got inf, needs a"),
        ("--sigma 1e300", "reach: got 3.46164e+300, needs a number in 0..1023 for 2 dimensions"),
        ("--spacing inf", "spacing: got inf, needs a finite number above 0"),
        ("--spacing -1", "spacing: got -1.0, needs a finite number above 0"),
        ("--size 0", "size: got 0 for a reach of 3.462 lattice steps, needs an integer of at least 28"),
        ("--size 27", "size: got 27 for a reach"),
        ("--size 64 --sigma 100", "size: got 64 for a reach of 346.2 lattice steps, needs an integer of at least 2772"),
        ("--size 30000", "needs at most 1e+12, some hours: a smaller size, fewer seeds or a shorter reach"),
        ("--size 60000 --threshold 1", "fewer than 2^31 sites"),
        ("--seeds 1", "seeds: got 1, needs an integer of at least 2"),
        ("--seed -1 --size 32", "seed: got -1, needs an integer of at least 0"),
        ("--json file/out.json", "file/out.json: Not a directory, needs a file that can be written"),
    ],
)
def test_wrong_requests_to_percolate(arguments: str, words: str, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    one_line(hyperfactor("percolate", *arguments.split(), cwd=tmp_path), words)


def test_analyse_a_run_and_an_array(run: Run, store: Path, tmp_path: Path):
    done = hyperfactor(
        "analyse", run.id[:6], "--layer", "head", "--timestep", 300, "--step", 5, "--source", "truth",
        "--landmarks", 60, "--json", "run.json", "--store", store, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "homology takes at most about" in done.stderr
    assert json.loads((tmp_path / "run.json").read_text())["shape"] == [22, 22, 256]

    np.save(tmp_path / "ring.npy", clifford_torus(16))
    done = hyperfactor(
        "analyse", "ring.npy", "--landmarks", 256, "--json", "a.json", "--figure", "a.svg", "-q", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["comparison"]["nearest"] == "Clifford torus"
    assert found["participation_ratio"] == pytest.approx(4)
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")


def test_analyse_a_slice_of_a_run_of_other_layers(tiny: RunSpec, store: Path, tmp_path: Path):
    """Factors with one value are not axes of the representation. The generator chooses the layer."""
    plain = tiny.model_dump(mode="json")
    spec = RunSpec.parse({**plain, "data": {**plain["data"], "test": {}, "test_fixed": {"x": 3.0}}})
    run = train(spec, store, threads=1)
    done = hyperfactor(
        "analyse", run.id[:6], "--landmarks", 20, "--max-dim", 1, "--json", "run.json", "--store", store, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "run.json").read_text())
    assert document["shape"] == [22, 128]
    assert document["of"].endswith(f"layer {run.model.default_layer}, timestep 0")


def test_analyse_several_drawings_of_a_run(run: Run, store: Path, tmp_path: Path):
    done = hyperfactor(
        "analyse", run.id[:6], "--drawings", 2, "--timestep", 50, "--source", "truth", "--landmarks", 40,
        "--max-dim", 1, "--json", "run.json", "--figure", "run.svg", "--store", store, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "timestep 50, 2 drawings: 22 x 22 x 128, 1 MB" in done.stderr
    document = json.loads((tmp_path / "run.json").read_text())
    truth = run.spec.task.render(run.spec.data.test_lattice())
    found = additivity(run.activations("up1", 50, pictures=truth, seed=(0, 1))["up1"])
    assert document["additivity"] == found.to_json()
    printed = [line for line in done.stdout.splitlines() if "variance of a reading that is noise" in line]
    assert len(printed) == 1
    assert f"{found.noise:.3f}" in printed[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--layer", "up9"], ["layer: got 'up9', needs one of stem, down1"]),
        (["--timestep", "5000"], ["timestep: got 5000, needs an integer in 0..999"]),
        (["--step", "3"], ["step: got 3, needs one that run"]),
        (["--source", "dream"], ["source: got 'dream', needs trajectory or truth"]),
        (["--figure", "a.png"], ["figure: got a.png, needs a name that ends with .svg or .pdf"]),
        (["--figure", "/dev/null/a.svg"], ["/dev/null/a.svg: Not a directory, needs a file that can be written"]),
        (["--factors", "x:open"], ["factors: got 'x:open' for a run, needs an array"]),
        (["--drawings", "2", "--source", "truth"], ["drawings: got 2 of the true pictures at timestep 0, where they"]),
        (["--drawings", "0"], ["drawings: got 0, needs an integer of at least 1"]),
        (["--drawings", "1000000000000"], ["points and 1000000000000 seeds, needs at most 4.3 GB"]),
    ],
)  # fmt: skip
def test_wrong_requests_to_analyse(arguments, words, run: Run, store: Path, tmp_path: Path):
    one_line(hyperfactor("analyse", run.id, "--store", store, *arguments, cwd=tmp_path), *words)


def test_an_array_is_one_reading(tmp_path: Path):
    np.save(tmp_path / "R.npy", clifford_torus(6))
    done = hyperfactor("analyse", "R.npy", "--drawings", 2, cwd=tmp_path)
    one_line(done, "drawings: got 2 for an array, needs a run: an array is one reading")
    one_line(hyperfactor("analyse", "R.npy", "--drawings", -1, cwd=tmp_path), "drawings: got -1, needs an integer")
    for option, value in (("layer", "up1"), ("timestep", 5), ("step", 3), ("source", "truth")):
        done = hyperfactor("analyse", "R.npy", f"--{option}", value, cwd=tmp_path)
        one_line(done, f"{option}: got {value!r} for an array, needs a run")
    (tmp_path / "index.csv").write_text(",x\n0,1\n1,2\n")
    np.save(tmp_path / "S.npy", np.eye(2))
    done = hyperfactor("study", "S.npy", "--factors", "index.csv", cwd=tmp_path)
    one_line(done, "factors: got a column without a name in index.csv")


def test_factors_of_an_array(tmp_path: Path):
    np.save(tmp_path / "R.npy", clifford_torus(6))
    assert cli._read_lattice(tmp_path / "R.npy", None).wraps == (True, True)
    named = cli._read_lattice(tmp_path / "R.npy", "size:open, shape:categorical")
    assert [(axis.name, axis.kind) for axis in named.axes] == [("size", "open"), ("shape", "categorical")]
    for given in ("", "x", "x:round,y:open", ":open,y:open", "x:open:open,y:open"):
        with pytest.raises(RequestError, match=f"^factors: got '{given}', needs name:kind for each axis"):
            cli._read_lattice(tmp_path / "R.npy", given)
    with pytest.raises(RequestError, match="^factors: got 1, needs one for each of 2"):
        cli._read_lattice(tmp_path / "R.npy", "x:open")


@pytest.mark.parametrize("content", [b"", b"1,2\n", b"PK\x03\x04", b"\x93NUMPY"])
def test_files_that_are_no_arrays(content: bytes, tmp_path: Path):
    (tmp_path / "OTHER.NPY").write_bytes(content)
    one_line(hyperfactor("analyse", "OTHER.NPY", cwd=tmp_path), "OTHER.NPY: ", "needs a .npy file of numbers")


@pytest.mark.parametrize(("array", "word"), [
    (np.ones((4, 4, 2)), "all equal"),
    (np.full((4, 4, 2), np.nan), "needs finite numbers"),
    (np.ones((1, 4, 2)), "factor 0: got 1 lattice value"),
    (np.array([{}]), "needs a .npy file of numbers"),
])  # fmt: skip
def test_bad_arrays(array, word, tmp_path: Path):
    np.save(tmp_path / "bad.npy", array, allow_pickle=array.dtype == object)
    done = hyperfactor("analyse", "bad.npy", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">/dev/full", 1, "hyperfactor: standard output: No space left on device, needs room"),
        (">&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        ("| true", 0, ""),
        (">/dev/full 2>/dev/full", 1, ""),
    ],
)
def test_help_where_it_cannot_be_written(redirection: str, status: int, said: str, tmp_path: Path):
    command = f"{sys.executable} -m hyperfactor.cli --help {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == status
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == bool(said)


def test_work_goes_on_when_its_output_cannot_be_written():
    reading, writing = os.pipe()
    os.close(reading)
    out = cli._Output(writing, "wb")
    with io.TextIOWrapper(io.BufferedWriter(out), write_through=True) as text:
        print("a line that nobody reads", file=text)
        print("and another", file=text)
    assert isinstance(out.failure, BrokenPipeError)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_that_is_stopped_gets_one_line(
    number: int,
    status: int,
    spec_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
):
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore this signal
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, ours))
    handlers = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    monkeypatch.setattr("hyperfactor.runs.execute.train", lambda *_, **__: os.kill(os.getpid(), number))
    done = hyperfactor("train", spec_file, cwd=tmp_path)
    one_line(done, "stopped; the same command continues from the last checkpoint", status=status)
    monkeypatch.setattr("hyperfactor.runs.sweep.train_all", lambda *_, **__: os.kill(os.getpid(), number))
    (tmp_path / "sweep.yaml").write_text(f"base: {spec_file}\n")
    done = hyperfactor("sweep", "sweep.yaml", cwd=tmp_path)
    one_line(done, "stopped; 0 of 1 runs are finished", status=status)
    ended: list[int] = []
    monkeypatch.setattr(cli.os, "_exit", ended.append)
    monkeypatch.setattr(cli, "is_computing", lambda: True)  # as when an analysis is stopped
    one_line(hyperfactor("train", spec_file, cwd=tmp_path), "stopped;", status=status)
    assert ended == [status]
    assert handlers == [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]


def test_what_the_user_should_know_is_said_in_one_line_with_quiet_too(
    spec_file: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    line = "track: [wandb]:project does not work; " + "a long story " * 20

    def train(_spec: RunSpec, _store: str, tell, **_: object) -> Run:
        tell(line)
        return run

    monkeypatch.setattr("hyperfactor.runs.execute.train", train)
    assert hyperfactor("train", spec_file, "--quiet", cwd=tmp_path).stderr == line + "\n"


def commands() -> dict[str, Any]:
    """Every command by its words: "runs list"."""
    found, left = {}, {"": typer.main.get_command(cli.app)}
    while left:
        words, command = left.popitem()
        below = getattr(command, "commands", {})
        left |= {f"{words} {name}".strip(): one for name, one in below.items()}
        if not below:
            found[words] = command
    return found


@pytest.mark.parametrize(("words", "command"), commands().items(), ids=lambda one: one if isinstance(one, str) else "")
def test_every_help_has_an_example_that_the_command_accepts(words: str, command: Any):
    example = command.epilog.removeprefix("Example: ").split(" > ")[0]
    name, *given = shlex.split(example)
    assert (name, *given[: len(words.split())]) == ("hyperfactor", *words.split())
    command.make_context(words, given[len(words.split()) :])  # raises if an argument or option is wrong


def test_the_version_is_that_of_the_package(tmp_path: Path):
    assert hyperfactor("--version", cwd=tmp_path).stdout == f"hyperfactor {metadata.version('hyperfactor')}\n"


def test_a_shell_completes_commands():
    asked = {"_HYPERFACTOR_COMPLETE": "complete_bash", "COMP_WORDS": "hyperfactor re", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "hyperfactor.cli"], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["reproduce", "report"]
