from pathlib import Path

import pytest
import yaml

from hyperfactor import RequestError, RunSpec
from hyperfactor.runs.spec import parse_yaml


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_id_depends_on_the_content_and_on_nothing_else(tmp_path: Path):
    a = RunSpec.load(write(tmp_path / "a.yaml", "seed: 3\ntraining: {learning_rate: 1e-3, steps: 1200}\n"))
    b = RunSpec.load(write(tmp_path / "b.yaml", "training:\n  steps: 1200\nseed: 3\n"))
    assert a == b
    assert a.id == b.id  # order, spelling of numbers and stated defaults do not matter
    assert a.id != RunSpec(seed=4).id
    assert RunSpec.model_validate_json(a.canonical()).id == a.id


def test_the_id_is_the_same_everywhere():
    """A change of this value makes every store start anew: raise SCHEMA and say so in the CHANGELOG."""
    assert RunSpec().id == "600d9418ca103440"


def test_numbers_with_exponents_are_numbers():
    assert parse_yaml("[1e-3, 1E3, -2.5e+1, .5e2]", "test") == [1e-3, 1000.0, -25.0, 50.0]
    assert parse_yaml("[1e, e3, 1e-3x, '1e-3']", "test") == ["1e", "e3", "1e-3x", "1e-3"]


def test_overrides_reach_into_sections(tmp_path: Path):
    path = write(tmp_path / "spec.yaml", "training: {steps: 10}\n")
    spec = RunSpec.load(path, ["training.batch=2", "encoding.kind=ramp", "data.picture.sigma=[1, 2]", "seed=7"])
    assert (spec.training.steps, spec.training.batch, spec.seed) == (10, 2, 7)
    assert spec.encoding.kind == "ramp"
    assert spec.data.picture.sigma == (1, 2)


def test_a_spec_goes_through_yaml_and_back(tiny: RunSpec, tmp_path: Path):
    path = write(tmp_path / "spec.yaml", yaml.safe_dump(tiny.model_dump(mode="json")))
    assert RunSpec.load(path) == tiny


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {steps: -5}", "training.steps: got -5, needs an integer of at least 1"),
        ("training: {steps: 2.5}", "training.steps: got 2.5, needs an integer"),
        ("training: {steps: many}", "training.steps: got 'many', needs an integer"),
        ("training: {stepz: 5}", "training: got an unknown key 'stepz', needs one of steps, batch"),
        ("trainin: {}", "spec: got an unknown key 'trainin', needs one of seed, data, encoding"),
        ("training: 5", "training: got 5, needs a mapping"),
        ("training: {learning_rate: .nan}", "training.learning_rate: got nan, needs a finite number"),
        ("training: {evaluate_every: 7}", "training: evaluate_every: got 7, needs a multiple of record_every, 50"),
        ("encoding: {kind: morse}", "encoding.kind: got 'morse', needs one of 'sinusoidal', 'periodic'"),
        ("encoding: {dimensions: 8}", "encoding: got .*, needs a key 'kind'"),
        ("encoding: {kind: periodic}", "encoding periodic: got factor x, which is open, needs periodic"),
        ("diffusion: {prediction: x0}", "diffusion.prediction: got 'x0', needs one of 'sample', 'epsilon' or 'v'"),
        ("sampling: {steps: 2000}", "sampling.steps: got 2000, needs at most diffusion.timesteps, 1000"),
        ("model: {attention: [5]}", r"model.attention: got \[5\], needs sizes among \[32, 16, 8, 4\]"),
        ("model: {width: 6}", "model.width: got 6, needs an integer that is a multiple of 4"),
        ("data: {train: {kind: corner, low: 0, high: 31, width: 99}}", "data.train.corner: got width 99, needs at most 32"),
        ("data: {train: {kind: rectangle, bounds: {z: [0, 1]}}}", "factor: got 'z', needs one of x, y"),
        (
            "data: {train: {kind: difference, of: {kind: everything}, without: {kind: everything}}}",
            "data.train: got 0 of the 1024 lattice points, needs a region",
        ),
        (
            "data: {test: {gap: {kind: strip, factor: x, low: 3.2, high: 3.8}}}",
            "data.test.gap: region: got none of the 1024 lattice points",
        ),
        ("data: {picture: {canvas: 20}}", "data.picture: canvas: got 20, needs an integer of at least size, 32"),
        ("seed: -1", "seed: got -1, needs an integer of at least 0"),
        ("- a\n- b", "got list, needs a mapping"),
        ("a: [1", "line 1: .*needs valid YAML"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(text: str, message: str, tmp_path: Path):
    with pytest.raises(RequestError, match=message) as caught:
        RunSpec.load(write(tmp_path / "spec.yaml", text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [("training.steps", "needs key=value"), ("=3", "needs key=value"), ("seed.x=3", "which holds 1, needs a section")],
)
def test_wrong_overrides(override: str, message: str, tmp_path: Path):
    with pytest.raises(RequestError, match=message):
        RunSpec.load(write(tmp_path / "spec.yaml", "seed: 1"), [override])


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(RequestError, match=r"none.yaml: No such file or directory, needs a YAML file"):
        RunSpec.load(tmp_path / "none.yaml")
