"""`hyperfactor study` on files of the user's."""

import json
from pathlib import Path

import numpy as np
import pytest

from hyperfactor import Run
from hyperfactor.measures.geometry import clifford_torus

from ..shell import hyperfactor, one_line

QUICK = ("--landmarks", 16, "--max-dim", 1)
MODEL = """
import torch
from beside import SPACE
from hyperfactor import TorchSubject
from hyperfactor.images.family import Reading

def call(module, points):
    return module(torch.from_numpy(points)).reshape(-1, 1, 1, 2)

def read(images):
    return Reading(images[:, 0, 0], images[:, 0, 0, 0] * 0 + 1)

subject = TorchSubject(torch.nn.Sequential(torch.nn.Identity()), SPACE, call, read)

def make():
    return subject

def broken():
    return {}["key"]

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    factors = "Factor('x', 0, 4), Factor('y', 0, 3)"
    (tmp_path / "beside.py").write_text(
        f"from hyperfactor.factors.space import Factor, FactorSpace\nSPACE = FactorSpace(({factors}))\n"
    )
    (tmp_path / "points.csv").write_text("y,x\n0,1\n3,4\n2,0\n")
    np.save(tmp_path / "torus.npy", clifford_torus(6))
    np.save(tmp_path / "rows.npy", clifford_torus(6).reshape(36, 4)[:-1])
    rows = [f"{a},{b}" for a in range(6) for b in range(6)][:-1]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b", *rows]) + "\n")
    return tmp_path


def studied(folder: Path, *arguments: object) -> dict:
    done = hyperfactor("study", *arguments, *QUICK, "--json", "found.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "participation ratio" in done.stdout
    return json.loads((folder / "found.json").read_text())


def test_a_model(folder: Path):
    for name in ("model.py:subject", "model.py:make"):
        found = studied(folder, name)
        assert found["drawings"]["right"] == 1
        assert found["layers"]["0"]["sizes"] == [5, 4]
        assert found["layers"]["0"]["additivity"]["interaction"] == pytest.approx(0, abs=1e-9)
    assert studied(folder, "model.py:make", "--factors", "x:2")["layers"]["0"]["sizes"] == [3, 4]
    points = studied(folder, "model.py:make", "--factors", "points.csv", "--layer", "0")
    assert points["drawings"]["n"] == points["layers"]["0"]["conditions"] == 3


def test_an_array(folder: Path):
    lattice = studied(folder, "torus.npy", "--factors", "a:periodic,b:periodic")
    assert lattice["factors"] == ["a", "b"]
    assert lattice["layers"]["values"]["comparison"]["nearest"] == "Clifford torus"
    table = studied(folder, "rows.npy", "--factors", "rows.csv", "--factors", "b:open,a:open")
    assert table["factors"] == ["b", "a"]
    assert table["layers"]["values"]["conditions"] == 35
    assert table["layers"]["values"]["additivity"]["interaction"] == pytest.approx(0, abs=1e-9)
    assert "35 of 6 x 6" in table["layers"]["values"]["not_measured"]["displacement cosines"]


def test_a_run(run: Run, store: Path, tmp_path: Path):
    found = studied(tmp_path, run.id[:6], "--factors", "x:7,y:7", "--store", store)
    assert found["subject"] == f"Run({run.id})"
    assert found["layers"]["up1"]["sizes"] == [4, 4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.py:subject",), "nothing.py: got no file"),
        (("model.py:nothing",), "got no nothing"),
        (("model.py:number",), "got int, needs a subject"),
        (("model.py:broken",), "KeyError: 'key'"),
        (("points.csv:subject",), "needs a Python file"),
        (("model.py:make", "--factors", "x=2"), "needs a CSV file, or name:step"),
        (("model.py:make", "--factors", "z:2"), "got 'z', needs one of x, y"),
        (("model.py:make", "--layer", "up9"), "needs one of 0"),
        (("torus.npy", "--factors", "rows.csv"), "needs one row for each sample"),
        (("torus.npy", "--factors", "absent.csv"), "absent.csv"),
        (("torus.npy", "--layer", "up1"), "needs none"),
    ],
)
def test_what_is_refused_takes_one_line(folder: Path, arguments: tuple[str, ...], words: str):
    one_line(hyperfactor("study", *arguments, cwd=folder), words)


def test_a_file_that_fails_takes_one_line(folder: Path):
    (folder / "wrong.py").write_text("import absent_module\n")
    one_line(hyperfactor("study", "wrong.py:subject", cwd=folder), "wrong.py: ModuleNotFoundError")
    (folder / "wrong.py").write_text("subject = (\n")
    one_line(hyperfactor("study", "wrong.py:subject", cwd=folder), "wrong.py: SyntaxError")


def test_a_table_may_be_in_utf_16(folder: Path):
    rows = "\n".join(["x,y", *(f"{x},{y}" for x in range(3) for y in range(3))])
    (folder / "table.csv").write_bytes(rows.encode("utf-16"))
    np.save(folder / "samples.npy", np.random.default_rng(0).normal(size=(9, 4)))
    found = studied(folder, "samples.npy", "--factors", "table.csv", "--landmarks", 9, "--max-dim", 1)
    assert found["layers"]
