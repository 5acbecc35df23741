"""Percolation of every family: shared models, predictions of known graphs, and verdicts of learners that are known."""

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
import pytest

from hyperfactor.experiments import percolation_families as families, percolation_onset
from hyperfactor.experiments.claims import Claim
from hyperfactor.experiments.percolation_families import EXPERIMENT, FRACTIONS, KINDS, SIGMAS
from hyperfactor.figures.percolation_families import figure_percolation_families

from .fakes import FakeRun, copies

EXPECTED = {
    "bump 0.5": 0.4, "bump 1": 0.08, "bump 2": 0.05, "stripes 0.5": 0.06, "stripes 1": 0.03, "stripes 2": 0.02,
    "digit": 0.04,
}  # fmt: skip


def test_bumps_are_the_models_of_percolation_onset():
    ours, theirs = EXPERIMENT.specs("laptop", 3), percolation_onset.specs("laptop", 3)
    for sigma in SIGMAS:
        for at in percolation_onset.LAMBDAS:
            assert ours[f"bump {sigma:g} | {at:g}"].id == theirs[f"{sigma:g} | {at:g}"].id


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_of_the_pictures_of_the_lattice(kind: str):
    spec = EXPERIMENT.specs("laptop", 0)[f"{kind} | 1"]
    assert len(spec.task.points) in (1024, 625)
    found = families.predicted(kind)
    pictures = [at * len(spec.task.points) for at in found.values()]
    assert pictures == pytest.approx([round(number) for number in pictures])
    assert sorted(found.values()) == [found[threshold] for threshold in sorted(found)]


def test_sums_of_wide_stripes_all_overlap():
    """Two that share no stripe cross at two points. On 32 pixels they overlap by 4 pi s^2 / (64 sqrt(pi) s + 4 pi s^2),
    0.18 for s = 2 pixels and 0.10 for 1, so that all are neighbours at 0.05.
    """
    for sigma in (1, 2):
        assert families.predicted(f"stripes {sigma}")[0.05] * 1024 == 1
        assert families.predicted(f"bump {sigma}")[0.05] > 0.01


def claims(at: Callable[[str], float], monkeypatch: pytest.MonkeyPatch, whole: float = 1.0) -> dict[str, Claim]:
    """The claims of three seeds whose share right is (lambda / onset)^2 / 2, up to 1."""
    monkeypatch.setattr(families, "predicted", lambda kind: dict.fromkeys(families.THRESHOLDS, EXPECTED[kind]))
    rows = [
        {"kind": kind, "fraction": fraction, "trained": 1, "seed": seed, "n": 1024, "copied": 0.0,
         "right": whole * min(1.0, (fraction / at(kind)) ** 2 / 2)}
        for kind in KINDS for fraction in FRACTIONS for seed in (0, 1, 2)
    ]  # fmt: skip
    return {claim.id: claim for claim in families._claims(pl.DataFrame(rows))}


def test_onsets_that_follow_percolation_and_onsets_that_do_not(monkeypatch: pytest.MonkeyPatch):
    follows = claims(EXPECTED.__getitem__, monkeypatch)
    assert follows["families.predicted"].verdict == "holds"
    assert follows["families.exponent"].verdict == "holds"
    assert follows["families.exponent"].measured == pytest.approx(1, abs=0.25)
    assert follows["families.near"].verdict == "holds"
    assert {follows[f"families.stripes.{sigma:g}"].verdict for sigma in SIGMAS} == {"holds"}
    turned = claims(lambda kind: 0.002 / EXPECTED[kind], monkeypatch)
    assert turned["families.predicted"].verdict == "fails"
    assert turned["families.exponent"].verdict == "fails"
    assert turned["families.near"].verdict == "fails"
    assert {turned[f"families.stripes.{sigma:g}"].verdict for sigma in SIGMAS} == {"fails"}


def test_nothing_is_measured_where_all_pictures_are_not_learnt(monkeypatch: pytest.MonkeyPatch):
    found = claims(EXPECTED.__getitem__, monkeypatch, whole=0.5)
    assert {claim.verdict for claim in found.values()} == {"not measured"}
    assert "the model of all pictures of seed 0 draws 0.50 right, needs 0.9" in str(found["families.near"].reason)


class Shown:
    """As much of a result as the figure reads."""

    preset, seeds = "laptop", (0,)

    def __init__(self, tables: Mapping[str, pl.DataFrame]):
        self.tables = tables


def test_models_that_copy_score_their_baseline_and_are_drawn():
    runs = {role: [FakeRun(spec, copies)] for role, spec in EXPERIMENT.specs("smoke", 0).items()}
    _, tables, _ = EXPERIMENT.analyse(runs)  # pyright: ignore
    accuracy = tables["accuracy"]
    assert accuracy["right"].to_list() == accuracy["copied"].to_list()
    whole = accuracy.filter(pl.col("fraction") == 1)
    assert whole["right"].to_list() == [1, 1]
    axes = figure_percolation_families(Shown(tables)).axes  # pyright: ignore
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in axes[0].lines}
    assert drawn["digit"].tolist() == pytest.approx(accuracy.filter(pl.col("kind") == "digit")["right"].to_list())
