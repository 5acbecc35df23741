"""Which choice decides which verdict?

The paper does not state all choices of its recipe. Here one choice is changed at a time, around the recipes of the
experiments torus, composition and data_efficiency, and each of their claims is judged again. Data efficiency has the
values SIZES of N.

Predictions that are learnt more slowly have twice the steps. A model that does not learn leaves its claims unmeasured.
Data efficiency takes most of the time, and is repeated with the choices that may decide how its exponent comes about:
the prediction, the weights of the loss, the code, and epochs. There, "100 epochs" shows each picture EPOCHS times, as
the paper counts training, and all others show as many pictures whatever the amount of data. The composition experiment
trains in passes over its sets already; there, "equal steps" gives all four models the steps of the largest set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import polars as pl

from hyperfactor.experiments import composition, data_efficiency, torus
from hyperfactor.experiments.base import Analysis, Experiment, Runs, few
from hyperfactor.experiments.claims import Claim
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec

SIZES = (8, 16, 24)
EPOCHS = 100
BETWEEN = " / "  # between the parts of a role: choice, experiment, role in that experiment

TESTED: dict[str, Experiment] = {
    "torus": torus.EXPERIMENT,
    "composition": composition.EXPERIMENT,
    "data_efficiency": replace(data_efficiency.EXPERIMENT, specs=partial(data_efficiency.specs, sizes=SIZES)),
}
ALL = tuple(TESTED)
PAIRS = ("composition", "data_efficiency")  # those whose code does not wrap round
DRAWN = ("torus", "composition")  # those that take minutes; a search for the data needed takes longer


@dataclass(frozen=True)
class Choice:
    """A choice that is changed.

    Attributes
    ----------
    name : str
        The choice in words: "epsilon prediction".
    sections : mapping of str to mapping
        Keys of a spec that it sets, by section.
    tests : sequence of str
        The experiments that are repeated with it.
    longer : float
        Factor of the number of training steps.
    steps : callable, optional
        steps(spec): the number of training steps, in place of `longer` times that of the spec.
    """

    name: str
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tests: tuple[str, ...] = ALL
    longer: float = 1.0
    steps: Callable[[RunSpec], int] | None = None

    def change(self, spec: RunSpec, recode: bool = True) -> RunSpec:
        """Return the spec with this choice. An encoding is replaced as a whole; snapshots move with the steps.

        Parameters
        ----------
        spec : RunSpec
            The spec.
        recode : bool
            Whether the encoding is a choice for this model.
        """
        plain = spec.model_dump()
        for name, keys in self.sections.items():
            if name == "encoding" and not recode:
                continue
            plain[name] = {**({} if name == "encoding" else plain[name]), **keys}
        before = spec.training.steps
        after = self.steps(spec) if self.steps else round(self.longer * before)
        snapshots = sorted({round(step * after / before) for step in spec.training.snapshots})
        plain["training"] = {**plain["training"], "steps": after, "snapshots": snapshots}
        return RunSpec.parse(plain)


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
    Choice("every pixel weighted alike", {"diffusion": {"signal_weight": 0.0}}),
    Choice("uniform timesteps", {"diffusion": {"time_bias": 1.0}}),
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
    Choice(f"{EPOCHS} epochs", tests=PAIRS[1:], steps=_epochs),
    Choice("equal steps", tests=PAIRS[:1], steps=_most),
    Choice("20 steps of DDIM", {"sampling": {"steps": 20}}, DRAWN),
)


def _of(role: str) -> tuple[Choice, str, str]:
    """Return the choice, the experiment, and the role in it."""
    name, test, inner = role.split(BETWEEN, 2)
    return next(choice for choice in CHOICES if choice.name == name), test, inner


def _outer(choice: Choice, test: str, specs: Mapping[str, RunSpec]) -> dict[str, RunSpec]:
    """Return specs with a choice. The control of the torus experiment keeps its code, which is what it controls."""
    return {
        BETWEEN.join((choice.name, test, role)): choice.change(spec, recode=role != "no wrap")
        for role, spec in specs.items()
    }


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return the models of each choice and experiment, with roles such as "v prediction / composition / 2d"."""
    found = {}
    for choice in few(preset, CHOICES):
        for test in choice.tests:
            found |= _outer(choice, test, TESTED[test].specs(preset, seed))
    return found


def search(role: str) -> str:
    """Return the choice, the experiment and the search in it."""
    choice, test, inner = _of(role)
    return BETWEEN.join((choice.name, test, TESTED[test].search(inner)))


def more(preset: str, seed: int, runs: Mapping[str, Run]) -> dict[str, RunSpec]:
    """Return what a search of an experiment requests next, with its choice."""
    choice, test, _ = _of(next(iter(runs)))
    inner = {_of(role)[2]: run for role, run in runs.items()}
    return _outer(choice, test, TESTED[test].more(preset, seed, inner))


def searched(preset: str) -> int:
    """Return about how many models a search requests."""
    return data_efficiency.searched(preset)


def analyse(runs: Runs) -> Analysis:
    """Return every claim of every experiment under every choice, and a table of them."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for role, of_role in runs.items():
        choice, test, inner = _of(role)
        groups.setdefault((choice.name, test), {})[inner] = of_role
    claims, rows = [], []
    for (name, test), of_group in groups.items():
        for found in TESTED[test].analyse(of_group)[0]:
            claims.append(_named(found, name))
            low, high = found.interval or (None, None)
            rows.append(
                {
                    "choice": name, "experiment": test, "claim": found.id, "statement": found.statement,
                    "bound": str(found.bound), "measured": found.measured, "low": low, "high": high,
                    "verdict": found.verdict, "reason": found.reason,
                }
            )  # fmt: skip
    return claims, {"matrix": pl.DataFrame(rows, infer_schema_length=None)}, {}


def _named(found: Claim, choice: str) -> Claim:
    return replace(found, id=f"{choice}: {found.id}", statement=f"{choice}: {found.statement}", figure="recipes")


EXPERIMENT = Experiment(
    name="recipes",
    question="Which choice of the recipe decides which verdict?",
    figures=("recipes",),
    specs=specs,
    analyse=analyse,
    search=search,
    more=more,
    searched=searched,
    analysis=lambda preset: sum(TESTED[test].analysis(preset) for choice in CHOICES for test in choice.tests),
    beyond=True,
)
