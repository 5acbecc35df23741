"""Files and modules of the user's run once, are reported in one line if they are wrong, and are carried to workers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from hyperfactor import RequestError, Run, RunSpec, StoreError, plugins
from hyperfactor.factors import Region
from hyperfactor.plugins import Plugin
from hyperfactor.store import results
from hyperfactor.store.provenance import source

from .forgetting import forgetting
from .shell import hyperfactor, one_line

EXAMPLES = Path(__file__).parents[1] / "examples"
RING = """
from typing import Literal
from hyperfactor.factors import Region
from beside import RADIUS

class Ring(Region):
    kind: Literal["ring"] = "ring"
    radius: float = RADIUS

    def contains(self, points, space):
        return (points**2).sum(axis=1) <= self.radius**2
"""
SMOKE = {
    "data": {
        "picture": {"family": "grating"}, "spacing": {"phase": 2, "contrast": 0.4},
        "train": {
            "kind": "difference", "of": {"kind": "everything"},
            "without": {"kind": "ellipse", "centre": {"phase": 7, "contrast": 0.6},
                        "radius": {"phase": 1.5, "contrast": 0.1}},
        },
        "test": {"low": {"kind": "ellipse", "centre": {"phase": 0}, "radius": {"phase": 3}}},
    },
    "encoding": {"phase": {"kind": "periodic"}, "contrast": {"kind": "ramp"}},
    "model": {"width": 4, "attention": []},
    "training": {"steps": 4, "batch": 2, "warmup": 1, "record_every": 2, "evaluate_every": 0, "checkpoint_every": 2},
    "sampling": {"steps": 2},
}  # fmt: skip


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("RADIUS = 2.0\n")
    (tmp_path / "my_ring.py").write_text(RING)
    return tmp_path / "my_ring.py"


def test_a_file_that_imports_torch_first_is_loaded_from_its_own_folder(tmp_path: Path):
    """torch.ops and torch.classes name their files without a folder, as if these were in the current one."""
    (tmp_path / "mine.py").write_text("import torch\n")
    program = "from hyperfactor import plugins; plugins.load('mine.py'); print(*(p.module for p in plugins.loaded()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("mine\n", "")


def test_the_kind_of_a_file_works_in_specs(ring: Path):
    module = plugins.load(ring)
    assert plugins.load(str(ring)) is module
    assert [plugin.module for plugin in plugins.loaded()] == ["my_ring", "beside"]
    spec = RunSpec.parse({"data": {"train": {"kind": "ring"}}})
    assert isinstance(spec.data.train, module.Ring)
    assert spec.task.points.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [2, 0]]
    assert __import__("my_ring") is module  # as another file of the user's imports it


def test_a_file_that_the_program_has_imported_is_not_run_again(ring: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ring.parent))
    module = __import__("my_ring")
    assert plugins.load(ring) is module
    assert Region.kinds["ring"] is module.Ring
    del sys.modules["my_ring"], sys.modules["beside"]


def test_a_module_is_imported_by_its_name():
    assert plugins.load("xml.dom") is sys.modules["xml.dom"]
    assert plugins.loaded() == (Plugin("xml.dom"),)


def test_a_name_that_python_cannot_import_is_made_one(ring: Path):
    assert plugins.load(ring.rename(ring.with_name("my-ring 2.py"))).__name__ == "my_ring_2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero, needs a file that can be run"),
        ("x = (", "SyntaxError: '(' was never closed"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import absent_module", "ModuleNotFoundError: No module named 'absent_module'"),
        ("from hyperfactor import RunSpec; RunSpec(seed=-1)", "seed: got -1, needs an integer of at least 0"),
    ],
)
def test_a_file_that_fails_is_told_in_one_line_and_may_be_mended(tmp_path: Path, text: str, words: str):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(RequestError) as caught:
        plugins.load(file)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    file.write_text("found = 1")
    assert plugins.load(file).found == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.py", "^absent.py: got no file, needs a Python file$"),
        ("absent_module", "^import absent_module: ModuleNotFoundError: .*, needs FILE.py, or a module that"),
        ("./spec.yaml", "^./spec.yaml: got a file of another kind, needs a Python file"),
        ("json.py", "json.py: got the name of another module .*json.*, needs another name"),
        ("umap.py", "umap.py: got the name of another module .*umap.*, needs another name"),
        ("sys.py", "sys.py: got the name of another module"),
        ("utf.py", "utf.py: SyntaxError"),
        ("", "^import : ValueError"),
    ],
)
def test_what_cannot_be_loaded(name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for file in ("spec.yaml", "json.py", "umap.py", "sys.py"):
        Path(file).write_text("")
    Path("utf.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(RequestError, match=words):
        plugins.load(name)
    assert plugins.loaded() == ()


def test_another_file_of_the_name_and_a_changed_file_are_refused(ring: Path):
    plugins.load(ring)
    (ring.parent / "other").mkdir()
    (ring.parent / "other" / "my_ring.py").write_text("")
    with pytest.raises(RequestError, match=r"other/my_ring.py: got the name of .*/my_ring.py, needs another name"):
        plugins.load(ring.parent / "other" / "my_ring.py")
    ring.write_text(RING + "#")
    with pytest.raises(
        RequestError, match="my_ring.py: got a file that has changed since it was loaded, needs a new p"
    ):
        plugins.load(ring)


CARRIED = """
import sys
from hyperfactor import RequestError, RunSpec, plugins
from hyperfactor.plugins import Plugin

ring = Plugin("my_ring", "/elsewhere/my_ring.py", sys.argv[1].encode())
beside = Plugin("beside", "/elsewhere/beside.py", b"RADIUS = 2.0")
try:
    plugins.bring([ring])
except RequestError as error:
    print(error)
plugins.bring([ring, beside])
plugins.bring([ring, beside])
plugins.bring([Plugin("my_ring", "/other/my_ring.py", ring.content)])
print(RunSpec.parse({"data": {"train": {"kind": "ring"}}}).data.train)
for path in ("elsewhere", "other"):
    try:
        plugins.bring([Plugin("my_ring", f"/{path}/my_ring.py", b"")])
    except RequestError as error:
        print(error)
"""


def test_files_are_carried_with_what_they_import():
    """To a worker that has none of the files, with any path, and each file once."""
    done = subprocess.run([sys.executable, "-c", CARRIED, RING], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "/elsewhere/my_ring.py: ModuleNotFoundError: No module named 'beside', needs a file that can be run",
        "kind='ring' radius=2.0",
        "/elsewhere/my_ring.py: got a file that has changed since it was loaded, needs a new process or worker",
        "/other/my_ring.py: got the name of /elsewhere/my_ring.py, needs another name",
    ]


def test_results_of_other_plugins_are_other_results(ring: Path):
    question = results.Question("mine", "smoke", (0,), {})
    before = source(), question.key()
    plugins.load(ring)
    after = source(), question.key()
    plugins._LOADED["my_ring"] = Plugin("my_ring", str(ring), RING.encode() + b"#")
    assert len({before, after, (source(), question.key())}) == 3
    plugins._LOADED.clear()
    plugins._READ.clear()
    assert (source(), question.key()) == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SMOKE))
    (tmp_path / "sweep.yaml").write_text("base: spec.yaml\nproduct: {seed: [0, 1]}\n")
    (tmp_path / "points.csv").write_text("phase,contrast\n1,0.5\n")
    return tmp_path


def test_every_command_knows_the_users_kinds(folder: Path):
    """A sweep with two workers over a family and a region of the user's, and then all commands that read its runs."""
    with_mine = ("--import", EXAMPLES / "my_family.py")
    with forgetting():
        done = hyperfactor(*with_mine, "sweep", "sweep.yaml", "--workers", 2, "--store", "s", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 runs are finished" in done.stdout

    unknown = "got 'grating', needs one of 'bump', 'sos', "  # other tests may have registered more kinds
    one_line(
        hyperfactor("train", "spec.yaml", "--store", "s", cwd=folder),
        f"data.picture.family: {unknown}",
        "or a kind of your own (hyperfactor --import FILE.py ...)",
    )
    run = hyperfactor("runs", "list", "--store", "s", "--columns", "id", "--where", "seed = 0", cwd=folder)
    run = run.stdout.split()[-1]
    sample = ("sample", run, "--factors", "points.csv", "--out", "out.npz", "--store", "s")
    one_line(hyperfactor(*sample, cwd=folder), run, unknown)
    with pytest.raises(StoreError, match="or a kind of your own"):
        _ = Run.open(folder / "s", run).spec
    shown = hyperfactor("runs", "show", run, "--store", "s", cwd=folder).stdout
    assert unknown in shown
    assert hyperfactor("runs", "verify", "--store", "s", cwd=folder).returncode == 1

    for command in (
        sample,
        ("train", "spec.yaml", "--store", "s"),
        ("analyse", run, "--landmarks", 8, "--max-dim", 1, "--store", "s"),
        ("study", run, "--landmarks", 8, "--max-dim", 1, "--store", "s"),
        ("runs", "verify", "--store", "s"),
    ):
        done = hyperfactor(*with_mine, *command, cwd=folder)
        assert done.returncode == 0, (command, done.stderr)
    assert np.load(folder / "out.npz")["images"].shape == (1, 1, 16, 16)
    assert unknown not in hyperfactor(*with_mine, "runs", "show", run, "--store", "s", cwd=folder).stdout
    assert Run.open(folder / "s", run).spec == RunSpec.load(folder / "spec.yaml")


def test_an_experiment_of_the_users(folder: Path, monkeypatch: pytest.MonkeyPatch):
    request = ("reproduce", "gratings", "--preset", "smoke", "--workers", 1, "--quiet", "--json", "out.json")
    one_line(
        hyperfactor(*request, cwd=folder),
        "got 'gratings', needs one of torus",
        "your own (hyperfactor --import FILE.py ...)",
    )
    monkeypatch.setenv("HYPERFACTOR_IMPORT", f"{EXAMPLES / 'my_family.py'}:{EXAMPLES / 'my_experiment.py'}")
    done = hyperfactor(*request, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "right in the hole" in done.stdout
    page = (folder / "hyperfactor-report" / "report.html").read_text()
    assert "Are phase and contrast combined" in page
    assert (folder / "hyperfactor-report" / "figures" / "gratings-figure-1.svg").exists()
    assert "gratings" in hyperfactor("list", cwd=folder).stdout
    assert hyperfactor("report", "--out", "again", cwd=folder).returncode == 0


def test_a_wrong_import_takes_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "wrong.py").write_text("1 / 0")
    one_line(hyperfactor("--import", "absent.py", "list", cwd=folder), "absent.py: got no file")
    one_line(hyperfactor("--import", "wrong.py", "list", cwd=folder), "wrong.py: ZeroDivisionError")
    one_line(hyperfactor("--import", "absent_module", "list", cwd=folder), "import absent_module")
    assert hyperfactor("--import", "wrong.py", "--help", cwd=folder).returncode == 0
    for nothing in ("", ":"):
        monkeypatch.setenv("HYPERFACTOR_IMPORT", nothing)
        assert hyperfactor("list", cwd=folder).returncode == 0


def test_the_family_of_the_example_reads_what_it_renders():
    module = plugins.load(EXAMPLES / "my_family.py")
    family = module.Grating()
    points = np.array([[0.0, 1.0], [1.3, 0.2], [7.9, 0.55], [4.0, 0.9]])
    found = family.read(family.render(points))
    assert np.abs(family.space().difference(found.values, points)).max() < 1e-9
    assert found.fit == pytest.approx(1)
    spec = RunSpec.load(EXAMPLES / "my_family.yaml")
    away = (np.array([4, 0.6]) - spec.task.region("hole")) / np.array([1.5, 0.25])
    assert ((away**2).sum(axis=1) <= 1 + 1e-9).all()
    assert len(spec.task.points) + len(spec.task.region("hole")) == len(spec.data.lattice()) == 16 * 9


@pytest.mark.parametrize("given", ["lab_a", "lab_b.py", "lab_c"])
def test_results_depend_on_what_a_plug_in_imports_from_its_folder(given: str, tmp_path: Path):
    """A package, a file, and a module, which import a module of a package."""
    name = given.removesuffix(".py")
    package = name if name == "lab_a" else f"{name}_kinds"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("from . import part\n" if package == name else "")
    if package != name:
        (tmp_path / f"{name}.py").write_text(f"import {package}.part\n")
    code = (
        "import sys\n"
        "from hyperfactor import plugins\n"
        "plugins.load(sys.argv[1])\n"
        "print(plugins.digest().hex(), len(plugins._READ))\n"
    )
    digests = []
    for content in ("bound = 0.9\n", "bound = 0.8\n", "bound = 0.9\n"):
        (tmp_path / package / "part.py").write_text(content)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code, given], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout)
    assert digests[0] == digests[2] != digests[1]
    assert int(digests[0].split()[1]) == (2 if package == name else 3)  # and nothing of the environment
