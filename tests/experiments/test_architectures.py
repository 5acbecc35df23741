"""Every kind of model is asked the same questions, by the claims of the experiments themselves."""

import numpy as np
import pytest

import hyperfactor
from hyperfactor import RunSpec
from hyperfactor.experiments import composition, torus
from hyperfactor.experiments.architectures import EXPERIMENT, GENERATORS, TESTED
from hyperfactor.experiments.lattice import read
from hyperfactor.experiments.matrix import Choice
from hyperfactor.runs.run import build_model

from .fakes import composes, composition_under, copies


def drawing_weights(spec: RunSpec) -> int:
    return sum(weights.numel() for weights in build_model(spec).network.parameters())


def test_the_first_is_the_model_of_the_experiments():
    found = EXPERIMENT.specs("laptop", 2)
    for test, module in (("torus", torus), ("composition", composition)):
        for role, spec in module.specs("laptop", 2).items():
            assert found[f"unet, diffusion / {test} / {role}"].id == spec.id


@pytest.mark.parametrize("choice", GENERATORS[1:], ids=lambda choice: choice.name)
def test_kinds_are_matched_in_weights_and_see_the_same_pictures(choice: Choice):
    for name, test in TESTED.items():
        for spec in test.specs("laptop", 0).values():
            other = choice.change(spec, name)
            assert (other.data, other.encoding, other.seed) == (spec.data, spec.encoding, spec.seed)
            assert other.training.batch == spec.training.batch
            assert drawing_weights(other) == pytest.approx(drawing_weights(spec), rel=0.1)


def test_claims_are_those_of_the_experiments_by_kind():
    claims, tables, _ = EXPERIMENT.analyse(composition_under({"unet, diffusion": composes, "mlp": copies}))
    found = {claim.id: claim.verdict for claim in claims}
    assert found["unet, diffusion: 2d+1d.intersection.both"] == "holds"
    assert found["mlp: 2d+1d.intersection.both"] == "fails"
    assert tables["matrix"].height == len(claims)


@pytest.mark.parametrize("kind", ["unet", "mlp"])
def test_what_is_read_is_what_the_model_has_at_its_finished_drawings(kind: str, tmp_path):
    """A denoiser sees its drawings again. A decoder draws them again, with the same noise."""
    model = {"kind": "unet", "width": 4, "attention": []} if kind == "unet" else {"kind": "mlp", "width": 8}
    spec = RunSpec.parse({
        "seed": 3, "model": model, "data": {"picture": {"family": "bump", "size": 8}},
        "training": {"steps": 2, "batch": 4, "evaluate_every": 0},
    })  # fmt: skip
    run = hyperfactor.train(spec, tmp_path)
    points = spec.data.lattice()[:5]
    layer = run.model.default_layer
    drawn = run.activations(layer, factors=points, seed=3)[layer]
    assert np.allclose(read(run, points, run.sample(points, 3)), drawn, atol=1e-5)
