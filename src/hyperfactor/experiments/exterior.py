"""Does a model compose inside the range of the pairs that it saw, and outside?

Figure 12 of the paper. A square of W x W pairs is held out of the 32 x 32 lattice, in the middle (interior) or at a
corner (exterior), for bumps and for sums of stripes. Every value of each factor is seen with others, so only pairs are
new. The model is asked for the held-out pairs.
"""

from functools import partial

import polars as pl

from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, preset_spec, share, unmet
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim, less
from hyperfactor.factors.regions import Corner, Everything, Interior
from hyperfactor.images.family import Family
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import summarize

SIZE = 32
WIDTHS = (4, 12, 24)
PLACES = {"interior": Interior, "corner": Corner}
FAMILIES = ("bump", "sos")
TRAINING = {"steps": 350, "batch": 16, "optimizer": "muon", "evaluate_every": 0}


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return a model for each family, place and width, with roles such as "bump interior 8"."""
    found = {}
    for family in FAMILIES:
        for place, square in PLACES.items():
            for width in few(preset, WIDTHS):
                held_out = square(bounds=(0, SIZE - 1), width=width)
                picture = Family.parse({"family": family, "size": SIZE})
                data = {"picture": picture, "train": Everything() - held_out, "test": {"held out": held_out}}
                found[f"{family} {place} {width}"] = preset_spec(preset, seed, data=data, training=TRAINING)
    return found


def analyse(runs: Runs) -> Analysis:
    """Return the claims of figure 12, and the accuracy by family, place, width, seed and region."""
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
    def shares(role: str) -> list[Estimate]:
        return share(runs[role], "held out", "all")

    def apart(role: str, other: str) -> list[Estimate]:
        return [less(a, b) for a, b in zip(shares(role), shares(other), strict=True)]

    least, most, claims = WIDTHS[0], WIDTHS[-1], []
    for family, name in (("bump", "bumps"), ("sos", "SOS")):
        small, large = f"{family} interior {least}", f"{family} interior {most}"
        claims += [
            claim(f"exterior.{family}.small", "12", f"{name}, interior of {least} x {least}: right in both",
                  Bound(">=", 0.9), partial(shares, small), terms="paper", roles=[small],
                  unless=unmet(runs, [small], "held out")),
            claim(f"exterior.{family}.width", "12",
                  f"{name}, interior: right in both, width {least} less width {most}", Bound(">", 0),
                  partial(apart, small, large), terms="paper", roles=[small, large],
                  unless=unmet(runs, [small, large], "held out")),
        ]  # fmt: skip
        for width in WIDTHS:
            inside, outside = f"{family} interior {width}", f"{family} corner {width}"
            claims.append(
                claim(f"exterior.{family}.place.{width}", "12",
                      f"{name}, width {width}: right in both, interior less corner", Bound(">", 0),
                      partial(apart, inside, outside), roles=[inside, outside],
                      unless=unmet(runs, [inside, outside], "held out"))
            )  # fmt: skip
    return claims


EXPERIMENT = Experiment(
    name="exterior",
    question="Does a model compose inside the pairs that it saw, and outside of them?",
    figures=("12",),
    specs=specs,
    analyse=analyse,
    analysis=lambda preset: 0 if preset == "smoke" else 17_000,
)
