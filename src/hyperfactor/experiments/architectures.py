"""Who composes, who interpolates, and whose code keeps its factors apart: the same questions to every kind of model.

Generators of several kinds, with as many weights as the U-Net to within a tenth, are trained on the pictures of the
experiments composition, torus and interpolation. Interpolation has lesions of WIDTHS values. Each claim of these
experiments is judged for each generator. The recipes are those of the experiments, except for the number of steps and
for the optimizer of the GAN. Both were chosen on a seed that no table reports: see docs/architectures.md.

A plain decoder has no noise and draws in one call, so it has no sampler and no timesteps.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from hyperfactor.experiments import composition, interpolation, torus
from hyperfactor.experiments.base import Experiment
from hyperfactor.experiments.matrix import Choice, Matrix
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec

WIDTHS = (1, 4, 8)
TESTED: dict[str, Experiment] = {
    "composition": composition.EXPERIMENT,
    "torus": torus.EXPERIMENT,
    "interpolation": replace(interpolation.EXPERIMENT, specs=partial(interpolation.specs, widths=WIDTHS)),
}


def _longer(composition: float, torus: float, interpolation: float) -> dict[str, float]:
    """Return factors of the number of training steps, by experiment."""
    return {"composition": composition, "torus": torus, "interpolation": interpolation}


def _decoder(model: dict[str, Any], longer: dict[str, float], training: dict[str, Any] | None = None) -> Choice:
    """Return the choice of a model that draws in one call and obeys no section on noise."""
    plain = {"diffusion": DiffusionSpec().model_dump(), "sampling": SamplingSpec().model_dump()}
    return Choice(model["kind"], {"model": model, "training": training or {}, **plain}, longer=longer)


FLOW = {"schedule": "straight", "prediction": "velocity", "time_bias": 1.0}
ADVERSARIAL = {"optimizer": "adamw", "betas": [0.0, 0.99], "ema": 0.98}
GENERATORS = (
    Choice("unet, diffusion"),
    Choice("unet, flow matching", {"diffusion": FLOW, "sampling": {"steps": 10}}, longer=_longer(1, 1, 2)),
    Choice("transformer, diffusion", {"model": {"kind": "transformer"}}, longer=_longer(1, 1, 2)),
    _decoder({"kind": "decoder", "hidden": 224}, _longer(1, 1, 1)),
    _decoder({"kind": "mlp"}, _longer(1, 2, 6)),
    _decoder({"kind": "vae"}, _longer(1, 1, 1)),
    _decoder({"kind": "gan"}, _longer(2, 3, 6), ADVERSARIAL),
)

MATRIX = Matrix("architectures", GENERATORS, TESTED)
EXPERIMENT = MATRIX.experiment("Which kinds of models compose, interpolate, and keep their factors apart?")
