"""Flow matching, a transformer, plain decoders and a VAE, trained through specs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyperfactor import RequestError, Run, RunSpec, train
from hyperfactor.experiments.composition import specs
from hyperfactor.generators.decoder import Decoder
from hyperfactor.generators.denoiser import Denoiser

# Composition's pictures and regions, on 8 pixels: single stripes, and pairs but for a cross.
WINDOW = {"kind": "rectangle", "bounds": {"x": [0, 7], "y": [0, 7]}}
CROSS = {"kind": "cross", "bounds": [3, 4]}
DATA = {
    "picture": {"family": "sos", "size": 8, "canvas": 12},
    "train": {
        "kind": "union",
        "of": [
            {"kind": "difference", "of": WINDOW, "without": CROSS},
            {"kind": "difference", "of": {"kind": "cross", "bounds": [0, 7]}, "without": WINDOW},
        ],
    },
    "test": {"rest": {"kind": "difference", "of": WINDOW, "without": CROSS}},
    "test_points": 60,
}
MODELS = {
    "flow": {
        "model": {"width": 8, "attention": []},
        "diffusion": {"schedule": "straight", "prediction": "velocity"},
        "sampling": {"steps": 5},
        "training": {"steps": 150},
    },
    "transformer": {
        "model": {"kind": "transformer", "width": 32, "depth": 2, "patch": 2},
        "sampling": {"steps": 3},
        "training": {"steps": 150, "optimizer": "muon"},
    },
    "decoder": {"model": {"kind": "decoder", "width": 8}, "training": {"steps": 100}},
    "vae": {"model": {"kind": "vae", "hidden": 256, "latent": 4}, "training": {"steps": 100}},
    "mlp": {"model": {"kind": "mlp", "width": 64}, "training": {"steps": 150}},
}
POINTS = np.array([[1.0, 2.0], [3.5, 4.25], [1.0, 2.0]])


@pytest.fixture(scope="module", params=list(MODELS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    changes = MODELS[request.param]
    training = {
        "batch": 32, "learning_rate": 3e-3, "warmup": 10, "ema": 0.95, "record_every": 10, "evaluate_every": 0,
        "checkpoint_every": 0, "snapshots": [0], **changes["training"],
    }  # fmt: skip
    encoding = {"kind": "sinusoidal", "shortest": 1.0, "longest": 10.0}
    spec = RunSpec.parse({"data": DATA, "encoding": encoding, **changes, "training": training})
    return train(spec, tmp_path_factory.mktemp(request.param))


def test_the_loss_falls_and_drawings_come_nearer_to_the_truth(trained: Run):
    losses = trained.history["loss"].to_list()
    assert losses[-1] < losses[0] / 2
    untrained, learnt = (trained.evaluate("rest", step=step) for step in (0, None))
    error = np.median(learnt["error"].to_numpy())
    assert error < np.median(untrained["error"].to_numpy()) / 2
    assert error < 1  # the error of an empty picture


def test_a_position_is_found_oftener_than_by_chance(trained: Run):
    """In a window of 8 pixels, a random centre is within a pixel of the requested one in at most 3 of 8 cases."""
    found = trained.evaluate("rest")
    share = found.select("x_correct", "y_correct").to_numpy().mean()
    assert share > 2 * 3 / 8


def test_the_run_draws_and_is_looked_into_like_any_other(trained: Run):
    images = trained.sample(POINTS, seed=3)
    assert images.shape == (3, 1, 8, 8)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    decodes = isinstance(trained.model, Decoder) and not trained.model.latent
    assert np.array_equal(images[0], images[2]) == decodes  # a decoder has no noise
    layer = trained.model.default_layer
    found = trained.activations((layer, "head"), factors=POINTS)
    assert found["head"].shape == (3, 64)
    if decodes:
        assert found["head"].clip(0, 1) == pytest.approx(images.reshape(3, -1), abs=1e-6)


def test_what_a_decoder_has_not_is_refused(trained: Run):
    if isinstance(trained.model, Denoiser):
        layer, width = trained.model.default_layer, {"unet": 16 * 2 * 2, "transformer": 32 * 4 * 4}
        assert trained.activations(layer, 999, POINTS)[layer].shape == (
            3,
            width[trained.spec.model.model_dump()["kind"]],
        )
        return
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"timestep": 1}, r"timestep: got 1, needs an integer in 0\.\.0"),
        (
            {"pictures": np.zeros((3, 1, 8, 8))},
            "pictures: got some, needs none: a decoder sees only conditions",
        ),
    )
    for asked, message in cases:
        with pytest.raises(RequestError, match=message):
            trained.activations("head", factors=POINTS, **asked)  # pyright: ignore
    with pytest.raises(RequestError, match=r"sampling: got ddim, needs none: \w+ has no sampler"):
        trained.sample(POINTS, sampling=trained.spec.sampling)


@pytest.mark.parametrize("name", ["flow", "decoder"])
def test_the_examples_have_the_pictures_of_composition(name: str):
    spec = RunSpec.load(Path(__file__).parents[2] / "examples" / f"{name}.yaml")
    other = specs("laptop", 0)["2d+1d"]
    assert spec.data.picture == other.data.picture
    assert np.array_equal(spec.task.points, other.task.points)
    for region in spec.data.test:
        assert np.array_equal(spec.task.region(region), other.task.region(region))
    assert spec.model.build(spec.data.picture.shape, 8, background=0, diffusion=spec.diffusion, sampling=spec.sampling)
