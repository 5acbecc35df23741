from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hyperfactor import RequestError, RunSpec
from hyperfactor.factors.encoding import Ramp
from hyperfactor.generators.paths import DiffusionSpec
from hyperfactor.images.gaussian import Bump
from hyperfactor.images.task import DataSpec
from hyperfactor.runs.spec import dump_yaml, parse_yaml
from hyperfactor.strict import Integer
from hyperfactor.training.loop import TrainingSpec


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_id_depends_on_the_content_and_on_nothing_else(tmp_path: Path):
    a = RunSpec.load(write(tmp_path / "a.yaml", "seed: 3\ntraining: {learning_rate: 1e-3, steps: 1200}\n"))
    b = RunSpec.load(write(tmp_path / "b.yaml", "training:\n  steps: 1200\nseed: 3\n"))
    assert a == b
    assert a.id == b.id  # order, spelling of numbers and stated defaults do not matter
    assert a.id != RunSpec(seed=4).id
    assert RunSpec.model_validate_json(a.model_dump_json()).id == a.id


def test_the_id_is_the_same_everywhere():
    """If these values change, every store starts anew: raise SCHEMA, and say so in the CHANGELOG."""
    assert RunSpec().id == "213945f77af2a51e"


def test_a_new_key_with_a_default_moves_no_id():
    class Training(TrainingSpec):
        later: Integer = 7

    class Later(RunSpec):
        training: TrainingSpec = Training()
        another: str = "default"

    for section in ({}, {"training": {"steps": 10}}, {"data": {"picture": {"sigma": 2.0}}}):
        assert Later.parse({"seed": 3, **section}).id == RunSpec.parse({"seed": 3, **section}).id
    assert Later(another="given").id != RunSpec().id


def test_numbers_with_exponents_are_numbers():
    assert parse_yaml("[1e-3, 1E3, -2.5e+1, .5e2]", "test") == [1e-3, 1000.0, -25.0, 50.0]
    assert parse_yaml("[1e, e3, 1e-3x, '1e-3']", "test") == ["1e", "e3", "1e-3x", "1e-3"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"), ("1:30:00.5", "1:30:00.5"), ("010", 10), ("08", 8), ("0o7", 7), ("0o8", "0o8"), ("0x1F", 31),
        ("0b11", "0b11"), ("1_000", "1_000"), ("1,000", "1,000"), ("+5", 5), ("-0", 0), ("1.", 1.0), ("+.5", 0.5),
        ("12e3", 12e3),
        ("yes", "yes"), ("No", "No"), ("on", "on"), ("y", "y"), ("tRue", "tRue"), ("true", True), ("FALSE", False),
        ("~", None), ("Null", None), ("", None), ("2026-11-26", "2026-11-26"), ("=", "="), ("<<", "<<"),
        ("'010'", "010"), (".inf", float("inf")), ("-.INF", float("-inf")), ("!!str 010", "010"), ("!!float 1", 1.0),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(text: str, value):
    """YAML 1.2.2, section 10.3.2."""
    found = parse_yaml(f"a: {text}", "test")["a"]
    assert found == value
    assert type(found) is type(value)


def test_anchors_and_merge_keys():
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: [*b, {z: 4}], x: 5}\nd: *a"
    a = {"x": 1, "y": 2}
    assert parse_yaml(text, "test") == {"a": a, "b": {"x": 1, "y": 3}, "c": {"x": 5, "y": 3, "z": 4}, "d": a}


def test_what_is_written_is_read_back_also_by_readers_of_yaml_1_1():
    text = [
        "yes",
        "010",
        "1:30",
        "1e3",
        "0o7",
        "null",
        "~",
        "",
        "<<",
        "x: y",
        "1_0",
        "2026-11-26",
        ".",
        "0b1",
        "=",
        "- a",
    ]
    data = {name: [1e-5, 1e22, 0.1, 3, None, True, name] for name in text}
    assert parse_yaml(dump_yaml(data), "test") == data
    assert yaml.safe_load(dump_yaml(data)) == data


@pytest.mark.parametrize("name", ["held out", "held_out", "1e3", "0o7", "a+b-c", "2d", "außen"])
def test_a_shown_spec_is_the_same_whatever_its_regions_are_called(name: str, tmp_path: Path):
    spec = RunSpec.parse({"data": {"test": {name: {"kind": "everything"}}}})
    path = write(tmp_path / "spec.yaml", dump_yaml(spec.model_dump(mode="json")))
    assert RunSpec.load(path) == spec


def test_values_of_numpy_are_those_of_python():
    plain = {
        "seed": 3,
        "training": {"learning_rate": 0.5, "snapshots": [0, 3]},
        "data": {"picture": {"sigma": {"x": 1.5, "y": 2.5}}},
    }
    plain["data"]["train"] = {"kind": "rectangle", "bounds": {"x": [0, 5]}}
    for whole, real in (
        (np.int64, np.float64),
        (np.uint8, np.float32),
        (np.int32, np.longdouble),
        (np.float64, np.float16),
    ):
        given = {
            "seed": whole(3),
            "training": {"learning_rate": real(0.5), "snapshots": np.array([0, 3], whole)},
            "data": {
                "picture": {"sigma": {"x": real(1.5), "y": real(2.5)}},
                "train": {"kind": "rectangle", "bounds": {"x": (whole(0), real(5))}},
            },
        }
        spec = RunSpec.parse(given)
        assert (spec.id, spec) == (RunSpec.parse(plain).id, RunSpec.parse(plain))
        assert RunSpec(**given) == spec
        assert type(spec.seed) is int
        assert isinstance(spec.data.picture, Bump)
        assert {type(value) for value in (*spec.data.picture.widths, spec.training.learning_rate)} == {float}
    assert DataSpec(spacing=np.float64(0.5)).spacing == 0.5
    assert TrainingSpec(learning_rate=np.float32(1e-3)).learning_rate == 0.0010000000474974513  # what float32 holds


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "seed: got -1, needs an integer of at least 0"),
        ({"data": {"spacing": -1}}, "data.spacing: got -1, needs a number above 0"),
        ({"diffusion": {"timesteps": 10**30}}, "needs an integer of at most 1e"),
        ({"sed": 1}, "spec: got an unknown key 'sed'"),
        ({"seed": np.array([1, 2])}, r"seed: got \[1, 2\], needs an integer"),
        ({"seed": np.bool_(True)}, "seed: got True, needs an integer"),
        ({"seed": np.str_("3")}, "seed: got .*3.*, needs an integer"),
        ({"seed": np.complex128(1)}, "seed: got .*, needs an integer"),
        ({"seed": torch.zeros(3, 3)}, r"seed: got tensor\(.*, needs an integer"),
        ({"training": {"steps": 0.5}, "model": 3}, "model: got 3, needs a mapping.*; training.steps: got 0.5"),
    ],
)
def test_the_constructor_and_copies_say_the_same_one_line_as_parse(values, message: str):
    for make in (lambda: RunSpec(**values), lambda: RunSpec.parse(values), lambda: RunSpec().model_copy(update=values)):
        with pytest.raises(RequestError, match=message) as caught:
            make()
        assert "\n" not in str(caught.value)


def test_copies_are_validated_and_sections_are_kept():
    spec = RunSpec().model_copy(update={"seed": np.int64(4)})
    assert (spec.id, spec.data) == (RunSpec(seed=4).id, RunSpec().data)
    assert RunSpec().model_copy() == RunSpec()
    with pytest.raises(RequestError, match="steps: got 0, needs an integer of at least 1"):
        TrainingSpec().model_copy(update={"steps": 0})
    with pytest.raises(RequestError, match="sampling.steps: got 10, needs at most diffusion.timesteps, 4"):
        RunSpec().model_copy(update={"diffusion": DiffusionSpec(timesteps=4)})


def test_0_and_minus_0_are_the_same_run():
    def spec(low: float) -> RunSpec:
        regions = {"a": {"kind": "strip", "factor": "x", "low": low, "high": 3}}
        regions["b"] = {"kind": "rectangle", "bounds": {"x": [low, 3]}}
        return RunSpec.parse({"data": {"test": regions}, "diffusion": {"signal_weight": low}})

    assert spec(0.0).id == spec(-0.0).id == spec(0).id


def test_overrides_reach_into_sections(tmp_path: Path):
    path = write(tmp_path / "spec.yaml", "training: {steps: 10}\n")
    spec = RunSpec.load(path, ["training.batch=2", "encoding.kind=ramp", "data.picture.sigma={x: 1, y: 2}", "seed=7"])
    assert (spec.training.steps, spec.training.batch, spec.seed) == (10, 2, 7)
    assert spec.encoding == Ramp()
    assert spec.data.picture == Bump(sigma={"x": 1, "y": 2})


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
        ("diffusion: {prediction: x0}", "prediction: got 'x0', needs one of 'sample', 'epsilon', 'v' or 'velocity'"),
        ("sampling: {steps: 2000}", "sampling.steps: got 2000, needs at most diffusion.timesteps, 1000"),
        ("model: {attention: [up9]}", "model.attention.0: got 'up9', needs one of 'down1', 'down2', 'down3'"),
        ("model: {attention: [8, 4]}", "model.attention.0: got 8, needs one of 'down1'"),
        ("model: {kind: gp}", "model.kind: got 'gp', needs one of 'decoder', 'mlp', "),
        ("model: {kind: decoder, attention: []}", "model: got an unknown key 'attention', needs one of kind, width"),
        ("{model: {kind: decoder}, sampling: {steps: 5}}", "sampling: got settings, needs none: a model of kind"),
        ("diffusion: {prediction: v, schedule: straight}", "diffusion: prediction: got 'v' on the straight"),
        (
            "{diffusion: {prediction: velocity, schedule: straight}, sampling: {sampler: ddpm}}",
            "sampling.sampler: got 'ddpm', needs 'ddim' on the straight schedule",
        ),
        ("model: {width: 6}", "model.width: got 6, needs an integer that is a multiple of 4"),
        ("data: {train: {kind: corner, bounds: [0, 31], width: 99}}", "data.train: got width 99, needs at most 32"),
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
        ("data: {spacing: 0.001}", r"lattice: got 31,001 x 31,001 = 961,062,001 points, needs at most"),
        ("data: {picture: {canvas: 100000}}", "lattice: got 100,000 x 100,000 = 10,000,000,000 points"),
        ("data: {picture: {size: 8000000}}", "factor x: got spacing 1, which makes 8e.06 values"),
        ("data: {test_spacing: 1e-300}", r"data.test_spacing: .*got spacing 1e-300, which makes 3.1e\+301 values"),
        ("encoding: {kind: one-hot, spacing: 1e-9}", "factor x: got spacing 1e-09, which makes .* values, needs one"),
        ("encoding: {kind: bump, spacing: 1e-9}", "factor x: got spacing 1e-09, which makes .* values, needs one"),
        ("data: {test_spacing: 7, train: {kind: strip, factor: x, low: 1, high: 6}}",
         "data.test_spacing: the training region: region: got none of the 25 lattice points"),
        ("seed: '3'", "seed: got '3', needs an integer"),
        ("seed: true", "seed: got True, needs an integer"),
        ("seed: 1_0", "seed: got '1_0', needs an integer"),
        ("seed: 1:30", "seed: got '1:30', needs an integer"),
        ("seed: yes", "seed: got 'yes', needs an integer"),
        ("seed: 2026-11-26", "seed: got '2026-11-26', needs an integer"),
        ("training: {learning_rate: 1:30}", "training.learning_rate: got '1:30', needs a number"),
        ("training: {betas: [0.9, '0.95']}", "training.betas.1: got '0.95', needs a number"),
        ("data: {fraction: true}", "data.fraction: got True, needs a number"),
        ("data: {picture: {sigma: {x: 1, y: yes}}}", "data.picture.sigma.y: got 'yes', needs a number"),
        ("data: {test: {train: {kind: everything}}}", "data.test: got the name 'train', which is that of the training"),
        *((f"data: {{test: {{{name!r}: {{kind: everything}}}}}}", "data.test: got the name .*, needs words of letters")
          for name in ("a.b", "", " a", "a ", "a  b", "a,b", "a'b", "a*", "a/b", "a:b")),
        ("data: {test: {3: {kind: everything}}}", "data.test.3.* got 3, needs text"),
        ("seed: 1\ndata: {}\nseed: 2", "spec.yaml line 3: got the key 'seed' again after line 1, needs valid YAML"),
        ("data:\n  spacing: 1\n  'spacing': 2", "line 3: got the key 'spacing' again after line 2, needs valid YAML"),
        ("seed: !!int 1:30", "spec.yaml: got invalid literal .*, needs valid YAML"),
        ("seed: !!bool maybe", "spec.yaml: got 'maybe', needs valid YAML"),
        ("seed: !!timestamp x", "line 1: could not determine a constructor for the tag .*, needs valid YAML"),
        ("seed: \x01", "spec.yaml: unacceptable character #x0001: .*, needs valid YAML"),
        ("[" * 3000, "spec.yaml: got lists or mappings too deep within each other, needs valid YAML"),
        ("data: {train: &a {kind: union, of: [*a]}}", "data.train.of.0: got .*, needs a value that is not within"),
        ("data: &a {picture: *a}", "data.picture: got an unknown key 'picture'"),
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
    [
        ("training.steps", "needs key=value"),
        ("=3", "needs key=value"),
        ("training..steps=3", "got the key 'training..steps', needs one such as training.steps"),
        ("seed.x=3", "which holds 1, needs a section"),
        ("seed=1:30", "seed: got '1:30', needs an integer"),
        ("data={spacing: 1, spacing: 2}", "data line 1: got the key 'spacing' again after line 1"),
    ],
)
def test_wrong_overrides(override: str, message: str, tmp_path: Path):
    with pytest.raises(RequestError, match=message):
        RunSpec.load(write(tmp_path / "spec.yaml", "seed: 1"), [override])


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(RequestError, match=r"none.yaml: No such file or directory, needs a YAML file"):
        RunSpec.load(tmp_path / "none.yaml")
