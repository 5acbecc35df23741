"""Which choice decides which verdict?

The paper does not state all choices of its recipe. Here one choice is changed at a time, around the recipes of the
experiments torus, composition, data_efficiency and percolation_onset, and each of their claims is judged again. Data
efficiency has the values SIZES of N.

Predictions that are learnt more slowly have twice the steps. A model that does not learn leaves its claims unmeasured.
Data efficiency takes most of the time, and is repeated with the choices that may decide how its exponent comes about:
the prediction, the weights of the loss, the code, and epochs. The onset of learning, in percolation_onset, is repeated
with epsilon prediction, a code that cannot interpolate, and epochs. In both, "100 epochs" shows each picture EPOCHS
times, as the paper counts training, and all others show as many pictures whatever the amount of data. The composition
experiment trains in passes over its sets already; there, "equal steps" gives all four models the steps of the largest
set.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from hyperfactor.experiments import composition, data_efficiency, percolation_onset, torus
from hyperfactor.experiments.base import Experiment
from hyperfactor.experiments.matrix import Choice, Matrix
from hyperfactor.runs.spec import RunSpec

SIZES = (8, 16, 24)
EPOCHS = 100

TESTED: dict[str, Experiment] = {
    "torus": torus.EXPERIMENT,
    "composition": composition.EXPERIMENT,
    "data_efficiency": replace(data_efficiency.EXPERIMENT, specs=partial(data_efficiency.specs, sizes=SIZES)),
    "percolation_onset": percolation_onset.EXPERIMENT,
}
PAIRS = ("composition", "data_efficiency")  # those whose code does not wrap round
DRAWN = ("torus", "composition")  # those that train few models
AMOUNTS = ("data_efficiency", "percolation_onset")  # those that vary the number of pictures


def _epochs(spec: RunSpec) -> int:
    return max(1, round(EPOCHS * len(spec.task.points) / spec.training.batch))


def _most(spec: RunSpec) -> int:
    """Return the steps of the composition model with the largest set; those of the spec if a preset sets them."""
    laptop = composition.specs("laptop", spec.seed).values()
    own = next(one.training.steps for one in laptop if one.data.train == spec.data.train)
    return max(one.training.steps for one in laptop) if spec.training.steps == own else spec.training.steps


def _sinusoidal(shortest: float) -> dict[str, dict[str, Any]]:
    return {"encoding": {"kind": "sinusoidal", "shortest": shortest}}


CHOICES = (
    Choice("laptop recipe"),
    Choice("epsilon prediction", {"diffusion": {"prediction": "epsilon"}}, longer=2),
    Choice("v prediction", {"diffusion": {"prediction": "v"}}, DRAWN, longer=2),
    Choice("every pixel weighted alike", {"diffusion": {"signal_weight": 0.0}}, ("torus", *PAIRS)),
    Choice("uniform timesteps", {"diffusion": {"time_bias": 1.0}}, ("torus", *PAIRS)),
    Choice("code: shortest 0.5", _sinusoidal(0.5), PAIRS),
    Choice("code: shortest 1", _sinusoidal(1.0), PAIRS[1:]),
    Choice("code: shortest 2", _sinusoidal(2.0), PAIRS[:1]),
    Choice("code: shortest 3", _sinusoidal(3.0), PAIRS[:1]),
    Choice("code: one-hot", {"encoding": {"kind": "one-hot"}, "data": {"spacing": 1.0}}),
    *(
        Choice(f"code: {count} harmonics", {"encoding": {"kind": "periodic", "harmonics": count}}, ("torus",))
        for count in (2, 4, 8)
    ),
    Choice("a training value a pixel", {"data": {"spacing": 1.0}}, DRAWN),
    Choice("weight decay 0", {"training": {"weight_decay": 0.0}}, DRAWN),
    Choice("weight decay 1", {"training": {"weight_decay": 1.0}}, DRAWN),
    Choice("half of the width", {"model": {"width": 4}}, DRAWN),
    Choice("no attention", {"model": {"attention": []}}, DRAWN),
    Choice("condition gain 1", {"model": {"condition_gain": 1.0}}, PAIRS[:1]),
    Choice(f"{EPOCHS} epochs", tests=AMOUNTS, steps=_epochs),
    Choice("equal steps", tests=PAIRS[:1], steps=_most),
    Choice("20 steps of DDIM", {"sampling": {"steps": 20}}, DRAWN),
)

MATRIX = Matrix("recipes", CHOICES, TESTED)
EXPERIMENT = MATRIX.experiment("Which choice of the recipe decides which verdict?")
