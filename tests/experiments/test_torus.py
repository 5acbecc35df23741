"""The analysis on representations whose shape is known, and the way through a smoke run."""

from dataclasses import replace

import numpy as np
import pytest

from hyperfactor import RequestError
from hyperfactor.experiments import torus
from hyperfactor.experiments.torus import View, specs
from hyperfactor.images.gaussian import Bump
from hyperfactor.measures.dimension import participation_ratio
from hyperfactor.measures.geometry import (
    additivity,
    clifford_torus,
    displacement_cosines,
)
from hyperfactor.measures.representation import Representation


def view(R: np.ndarray) -> View:
    return View(seed=0, step=0, right=np.ones(R.shape[0] * R.shape[1], dtype=bool), representation=Representation.of(R))


def test_the_interval_of_the_dimension_holds_it_and_narrows_with_lines():
    R = np.random.default_rng(0).normal(size=(32, 32, 6))
    found, few = view(R).dimension(), view(R[:8, :8]).dimension()
    assert found.value == pytest.approx(participation_ratio(R.reshape(-1, 6)))
    assert found.low < found.value < found.high
    assert few.high - few.low > 2 * (found.high - found.low)


def test_estimates_over_lines_are_the_measures():
    R = np.random.default_rng(1).normal(size=(9, 9, 5)) + 3 * np.random.default_rng(2).normal(size=(9, 1, 5))
    assert view(R).interaction().value == pytest.approx(additivity(R).interaction)
    assert view(R).cross().value == pytest.approx(np.abs(displacement_cosines(R, periodic=True).cross).mean())
    flat = view(clifford_torus(8))
    assert flat.cross().interval == pytest.approx((0, 0), abs=1e-12)


def klein_bottle(n: int) -> np.ndarray:
    """(a, b) ~ (a + pi, -b), each point once, in five dimensions."""
    a, b = np.meshgrid(np.pi * np.arange(n) / n, 2 * np.pi * np.arange(n) / n, indexing="ij")
    return np.stack([np.cos(2 * a), np.sin(2 * a), np.cos(b), np.cos(a) * np.sin(b), np.sin(a) * np.sin(b)], axis=-1)


def test_a_klein_bottle_is_no_torus(monkeypatch: pytest.MonkeyPatch):
    """It has the Betti numbers of one over the field of 2, and not over that of 3."""
    monkeypatch.setattr(torus, "READINGS", 1)
    few = replace(view(klein_bottle(20)), landmarks=160)
    assert few.shape.betti() == torus.TORUS
    assert few.tori.value == 0
    assert replace(view(clifford_torus(20)), landmarks=160).tori.value == 1


def test_the_bootstrap_belongs_to_the_seed_of_the_run():
    R = np.random.default_rng(0).normal(size=(9, 9, 5))
    first, same, other = (replace(view(R), seed=seed).dimension() for seed in (1, 1, 2))
    assert first == same
    assert first.value == other.value
    assert first.interval != other.interval


def test_models_differ_in_their_code_alone():
    found = specs("laptop", 1)
    assert all(spec.training == found["torus"].training for spec in found.values())
    assert all(spec.data == found["torus"].data for spec in found.values())
    assert len({spec.id for spec in found.values()}) == 2
    assert found["torus"].data.picture == Bump(boundary="periodic")
    assert found["torus"].training.snapshots[0] == 0
    assert found["torus"].training.snapshots[-1] == found["torus"].training.steps
    assert max(specs("smoke", 0)["torus"].training.snapshots) == specs("smoke", 0)["torus"].training.steps
    with pytest.raises(RequestError, match="preset"):
        specs("none", 0)
