"""The analysis on representations whose shape is known, and the way through a smoke run."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from hyperfactor import RequestError
from hyperfactor.experiments import torus
from hyperfactor.experiments.battery import battery
from hyperfactor.experiments.torus import Trained, View, off_torus, specs
from hyperfactor.measures.geometry import (
    additivity,
    clifford_torus,
    compare,
    displacement_cosines,
    hyper_factorized_torus,
)
from hyperfactor.measures.topology import persistence


def trained(R: np.ndarray, right: float = 1.0) -> Trained:
    """A model that begins as noise and ends with representation R."""
    n = R.shape[0] * R.shape[1]
    outcome = np.arange(n) < right * n
    noise = np.random.default_rng(0).normal(size=(*R.shape[:2], 40))
    first, last = View(0, ~outcome, noise), View(100, outcome, R)
    return Trained(
        first, last, (), persistence(first.points, landmarks=150), persistence(last.points, landmarks=150),
        additivity(R), displacement_cosines(R, periodic=True), compare(R, bootstrap=20),
    )  # fmt: skip


@pytest.fixture(scope="module")
def flat() -> Trained:
    return trained(clifford_torus(20))


@pytest.fixture(scope="module")
def hyper() -> Trained:
    return trained(hyper_factorized_torus(20, 2.0))


def test_claims_tell_a_hyper_factorized_torus_from_a_flat_one(flat: Trained, hyper: Trained):
    def holds(end: Trained) -> dict[str, bool]:
        claims = torus._claims({"torus": [end], "no wrap": [flat]})
        return {claim.id: claim.holds for claim in claims}

    curved = holds(hyper)
    assert not curved["control.betti"]  # the control given here is a torus
    assert all(
        curved[f"torus.{name}"] for name in ("dimension", "within.x", "within.y", "cross", "interaction", "betti.start")
    )
    plain = holds(flat)
    assert plain["torus.accuracy"]
    assert plain["torus.betti.end"]
    assert not plain["torus.dimension"]  # exactly 4
    assert not plain["torus.within.x"]


def test_a_model_that_draws_badly_fails_the_claim_of_accuracy():
    claims = torus._claims({role: [trained(clifford_torus(12), 0.5)] for role in ("torus", "no wrap")})
    accuracy = next(claim for claim in claims if claim.id == "torus.accuracy")
    assert accuracy.measured == 0.5
    assert not accuracy.holds


def test_off_torus_counts_the_missing_and_the_surplus():
    def betti(*numbers):
        return SimpleNamespace(betti=lambda: numbers)

    assert [off_torus(betti(*b)) for b in ((1, 2, 1), (1, 0, 0), (2, 2, 2))] == [0, 3, 2]  # pyright: ignore[reportArgumentType]


def test_the_interval_of_the_dimension_holds_it_and_narrows_with_points():
    points = np.random.default_rng(0).normal(size=(2000, 6))
    value, low, high = torus._dimension(points, 0)
    assert low < value < high
    some, few_low, few_high = torus._dimension(points[:200], 0)
    assert few_high - few_low > 2 * (high - low)
    assert few_low < some < few_high


def test_models_differ_in_their_code_alone():
    found = specs("laptop", 1)
    assert all(spec.training == found["torus"].training for spec in found.values())
    assert all(spec.data == found["torus"].data for spec in found.values())
    assert len({spec.id for spec in found.values()}) == 2
    assert found["torus"].data.picture.boundary == "periodic"
    assert found["torus"].training.snapshots[0] == 0
    assert found["torus"].training.snapshots[-1] == found["torus"].training.steps
    assert max(specs("smoke", 0)["torus"].training.snapshots) == specs("smoke", 0)["torus"].training.steps
    with pytest.raises(RequestError, match="preset"):
        specs("none", 0)


def test_few_test_points_thin_the_lattice():
    data = specs("laptop", 0)["torus"].data
    strides = [torus._stride(data.model_copy(update={"test_points": n})) for n in (None, 1024, 256, 100, 40, 1)]
    assert strides == [1, 1, 2, 2, 4, 32]


def test_the_battery_of_a_known_shape():
    found = battery(clifford_torus(20), landmarks=150)
    assert found.persistence.betti() == (1, 2, 1)
    assert found.comparison.nearest == "Clifford torus"
    assert found.participation_ratio == pytest.approx(4)
    values = dict(found.table().iter_rows())
    assert values["variance explained by x"] == pytest.approx(0.5)
    assert values["Betti number 1"] == 2
    assert found.to_json()["topology"]["betti"] == [1, 2, 1]
    assert isinstance(found.table(), pl.DataFrame)


def test_the_battery_takes_one_factor_and_three():
    angle = 2 * np.pi * np.arange(30) / 30
    ring = battery(np.stack([np.cos(angle), np.sin(angle)], axis=1), max_dim=1)
    assert ring.persistence.betti() == (1, 1)
    assert battery(clifford_torus((4, 5, 6)), landmarks=60, max_dim=1).names == ("x", "y", "z")
    with pytest.raises(RequestError, match="names: got 1, needs one for each of 2 factors"):
        battery(clifford_torus(6), names=("x",))
