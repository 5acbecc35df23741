"""Every code block in the documents runs as it is written."""

import io
import os
import re
import shlex
import shutil
import subprocess
from contextlib import chdir, redirect_stdout
from pathlib import Path

import pytest

from hyperfactor import RunSpec, plugins
from hyperfactor.runs.grid import load_grid
from hyperfactor.runs.spec import read_yaml

from .shell import hyperfactor

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(path.name, language, text, id=f"{path.name}-{number}")
    for path in DOCUMENTS
    for number, (language, text) in enumerate(re.findall(r"^```(\S*)\n(.*?)^```$", path.read_text(), re.S | re.M))
    if not language.startswith("{")  # a directive of Sphinx
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that all code blocks share, so that a run which several blocks name is trained once."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def folder(runs: Path, tmp_path: Path) -> Path:
    """The files of a clone and the store, without what the set-up makes."""
    for name in ("examples", "Makefile", "pyproject.toml", "constraints.txt"):
        source = ROOT / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    (tmp_path / "hyperfactor-store").symlink_to(runs)
    return tmp_path


@pytest.mark.parametrize(("document", "language", "text"), BLOCKS)
def test_block(document: str, language: str, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
    if document == "extending.md":  # its runs have kinds that other blocks do not know, and their `runs verify` says so
        (folder / "hyperfactor-store").unlink()
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # runs are trained in this process, and no worker is started
    if language == "python":
        out = io.StringIO()
        with chdir(folder), redirect_stdout(out):
            exec(compile(text, "block", "exec"), {"__name__": "__main__"})
        assert out.getvalue()
    elif language == "yaml":
        (folder / "block.yaml").write_text(text)
        assert RunSpec.load(folder / "block.yaml")
    elif language == "bash":
        for line in text.splitlines():
            run_line(line, folder)
    elif language == "text":
        return  # commands that need a machine of the reader's; none of them is a claim
    else:
        pytest.fail(f"a block of {language or 'no language'} cannot be run")


def run_line(line: str, folder: Path) -> None:
    command, *words = shlex.split(line)
    if command == "hyperfactor":
        done = hyperfactor(*words, cwd=folder)
    else:
        if command == "make":  # the set-up and the tests themselves: only that the targets are there
            words.insert(0, "-n")
        environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
        done = subprocess.run([command, *words], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, (line, done.stderr)


def test_links_lead_somewhere():
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.yaml")) if "kind: Deployment" not in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_spec_or_a_sweep(path: Path):
    if path.stem.startswith("my_"):
        plugins.load(path.with_suffix(".py"))
    if "base" in read_yaml(path):
        specs, wrong = load_grid(path)
        assert len(specs) == 8
        assert wrong == ()
    else:
        assert len(RunSpec.load(path).task) > 0


def test_the_stated_defaults_are_the_defaults(folder: Path):
    """docs/specs.md lists every key. A key that it does not change must have its default."""
    text = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "specs.md").read_text(), re.S | re.M)[0]
    (folder / "block.yaml").write_text(text)
    spec, default = RunSpec.load(folder / "block.yaml"), RunSpec()
    for section in ("encoding", "model", "diffusion", "training", "sampling", "seed"):
        assert getattr(spec, section) == getattr(default, section)


def test_every_key_is_documented():
    from hyperfactor.generators.decoder import DecoderSpec, PerceptronSpec
    from hyperfactor.generators.denoiser import UNetSpec
    from hyperfactor.generators.gan import GANSpec
    from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
    from hyperfactor.generators.transformer import TransformerSpec
    from hyperfactor.generators.vae import VAESpec
    from hyperfactor.images.gaussian import Bump
    from hyperfactor.images.task import DataSpec
    from hyperfactor.training.loop import TrainingSpec

    text = (ROOT / "docs" / "specs.md").read_text()
    models = (UNetSpec, TransformerSpec, DecoderSpec, PerceptronSpec, VAESpec, GANSpec)
    for section in (RunSpec, DataSpec, Bump, *models, DiffusionSpec, TrainingSpec, SamplingSpec):
        for key in section.model_fields:
            assert re.search(rf"\b{key}\b", text), key
