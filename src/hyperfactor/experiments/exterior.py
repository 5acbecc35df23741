"""Does a model compose inside the pairs that it saw, and outside of them?

Figure 12 of the paper.  A square of W x W pairs is held out of the 32 x 32 lattice, in the middle (interior)
or at a corner (exterior), for bumps and for sums of stripes.  Every value of each factor is seen with others,
so only pairs are new; the model is asked for those held out.
"""

import numpy as np
import polars as pl

from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, claim, difference, proportion
from hyperfactor.factors.regions import Corner, Everything, Interior
from hyperfactor.images.gaussian import Picture
from hyperfactor.runs.run import summarize
from hyperfactor.runs.spec import RunSpec

SIZE = 32
WIDTHS = (4, 12, 24)
PLACES = {"interior": Interior, "corner": Corner}
FAMILIES = ("bump", "sos")
TRAINING = {"steps": 1000, "batch": 16, "evaluate_every": 0}


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """A model a family, place and width; roles such as "bump interior 8"."""
    found = {}
    for family in FAMILIES:
        for place, square in PLACES.items():
            for width in few(preset, WIDTHS):
                held_out = square(low=0, high=SIZE - 1, width=width)
                picture = Picture(family=family, size=SIZE)
                data = {"picture": picture, "train": Everything() - held_out, "test": {"held out": held_out}}
                found[f"{family} {place} {width}"] = preset_spec(preset, seed, data=data, training=TRAINING)
    return found


def analyse(runs: Runs) -> Analysis:
    """The claims of figure 12, and accuracy by family, place, width, seed and region."""
    tables = []
    for role, of_role in runs.items():
        family, place, width = role.split()
        about = {"family": family, "place": place, "width": int(width)}
        tables += [
            summarize(run.evaluate(), ("x", "y")).select(
                *(pl.lit(value).alias(name) for name, value in {**about, "seed": run.spec.seed}.items()), pl.all()
            )
            for run in of_role
        ]
    return _claims(runs), {"accuracy": pl.concat(tables)}, {}


def _claims(runs: Runs) -> list[Claim]:
    widths = sorted({int(role.split()[2]) for role in runs})

    def right(family: str, place: str, widths: list[int]) -> list[np.ndarray]:
        """Of each seed, the outcomes of all requests at these widths."""
        of_width = [
            [run.evaluate("held out")["both"].to_numpy() for run in runs[f"{family} {place} {w}"]] for w in widths
        ]
        return [np.concatenate(of_seed) for of_seed in zip(*of_width, strict=True)]

    claims = []
    for family, name in (("bump", "bumps"), ("sos", "SOS")):
        inside, outside = right(family, "interior", widths), right(family, "corner", widths)
        claims += [
            claim(f"exterior.{family}.small", "12", f"{name}, interior of {widths[0]} x {widths[0]}: right in both",
                  Bound(">=", 0.9), [proportion(o) for o in right(family, "interior", widths[:1])]),
            claim(f"exterior.{family}.place", "12", f"{name}, all widths: right in both, interior less corner",
                  Bound(">", 0), [difference(a, b) for a, b in zip(inside, outside, strict=True)]),
            claim(f"exterior.{family}.width", "12",
                  f"{name}, interior: right in both, width {widths[0]} less width {widths[-1]}", Bound(">", 0),
                  [difference(a, b) for a, b in zip(right(family, "interior", widths[:1]),
                                                    right(family, "interior", widths[-1:]), strict=True)]),
        ]  # fmt: skip
    return claims


EXPERIMENT = Experiment(
    name="exterior",
    question="Does a model compose inside the pairs that it saw, and outside of them?",
    figures=("12",),
    specs=specs,
    analyse=analyse,
)
