"""Statistics of layers of known shape, where a course sets in, and verdicts on models that learn in a known order."""

from typing import Any

import numpy as np
import pytest

from hyperfactor.experiments import emergence
from hyperfactor.experiments.emergence import STATISTICS, sets_in, statistics
from hyperfactor.measures.geometry import clifford_torus
from hyperfactor.measures.representation import Representation

from .fakes import FakeRun, coarser, interpolates

ORDER = {"code": 0.1, "drawings": 0.45}  # shares of training after which the shape and the drawings are there


def twice(shape: np.ndarray, noise: float) -> Representation:
    """Two readings of a lattice with independent noise of a standard deviation."""
    generator = np.random.default_rng(0)
    return Representation.of([shape + noise * generator.standard_normal(shape.shape) for _ in range(2)])


def test_a_clifford_torus_has_its_closed_form_values_with_noise_and_without():
    n, shape = 12, np.pad(clifford_torus(12), [(0, 0), (0, 0), (0, 60)])
    for noise, within in ((0.0, 1e-6), (0.08, 0.1)):
        found = statistics(twice(shape, noise))
        assert found["interaction"] == pytest.approx(0, abs=within)
        assert found["within"] == pytest.approx(np.cos(2 * np.pi / n), abs=within)
        assert found["dimension"] == pytest.approx(4, abs=max(1e-6, 5 * within))
    exact = statistics(twice(shape, 0.0))
    assert exact["cross"] == pytest.approx(0, abs=1e-9)


def test_a_code_of_pairs_interacts():
    """With a dimension of its own for each pair, the interaction is (n - 1)^2 of n^2 - 1 degrees of freedom."""
    found = statistics(twice(np.eye(64).reshape(8, 8, 64), 0.0))
    assert found["interaction"] == pytest.approx(49 / 63)


def test_noise_alone_has_no_values():
    generator = np.random.default_rng(0)
    readings = [generator.standard_normal((8, 8, 30)) for _ in range(2)]
    found = statistics(Representation.of(readings))
    assert all(found[name] is None for name in STATISTICS[:-1])


def test_a_statistic_sets_in_half_way_between_its_ends():
    found = sets_in([0, 100, 200, 400], [1.0, 0.9, 0.3, 0.0])
    assert found is not None
    assert (found.value, *found.interval) == pytest.approx((0.25 + 0.25 * 0.4 / 0.6, 0.25, 0.5))
    assert sets_in([0, 100, 200, 400], [1.0, None, 0.3, 0.0]).interval == (0.0, 0.5)  # pyright: ignore
    assert sets_in([0, 100, 200, 400], [None, 1.0, 0.3, 0.0]).interval == (0.25, 0.5)  # pyright: ignore
    assert sets_in([0, 100, 400], [1.0, 0.9, None]) is None
    assert sets_in([0, 400], [1.0, 0.8]) is None  # less than a quarter


class Learner(FakeRun):
    """A model whose drawings are right late in training, and whose layers form a Clifford torus early.

    Before, they show only the sum of the two angles: a step of x is a step of y.
    """

    timesteps = 1000

    def _share(self, step: int | None) -> float:
        return 1.0 if step is None else step / self.spec.training.steps

    def sample(self, factors: np.ndarray, seed: int = 0, step: int | None = None, **_: Any) -> np.ndarray:
        asked = factors if self._share(step) >= ORDER["drawings"] else (factors + 8) % 32
        return super().sample(asked, seed)

    def activations(self, layers, timestep, factors, step=None, *, seed, **_: Any) -> Any:  # pyright: ignore
        if isinstance(seed, int):
            found = self.activations(layers, [timestep], factors, step, seed=[seed])[timestep]
            return {layer: readings[0] for layer, readings in found.items()}
        n = round(len(factors) ** 0.5)
        shape = np.pad(clifford_torus(n), [(0, 0), (0, 0), (0, 12)]).reshape(n * n, -1)
        if self._share(step) < ORDER["code"]:
            angles = 2 * np.pi * np.add.outer(np.arange(n), np.arange(n)).ravel() / n
            shape = np.pad(np.stack([np.cos(angles), np.sin(angles)], axis=1), [(0, 0), (0, 14)])
        noisy = {k: shape + 1e-3 * np.random.default_rng(k).standard_normal(shape.shape) for k in seed}
        return {at: {layer: [noisy[k] for k in seed] for layer in layers} for at in timestep}


def elsewhere(spec: Any, points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws every request at another place."""
    return (points + 8) % 32


@pytest.fixture
def few(monkeypatch):
    """Two layers, six steps, and persistent homology of few points."""
    monkeypatch.setattr(emergence, "LAYERS", ("up1", "up3"))
    monkeypatch.setattr(emergence.torus, "UNTRAINED", 120)
    monkeypatch.setattr(emergence.torus, "WATCHED", (0.0, 0.05, *ORDER.values(), 0.3, 1.0))


def runs(rule: Any, spacing: float = 1.0) -> Any:
    specs = [coarser(emergence.specs("laptop", seed), test_spacing=spacing) for seed in (0,)]
    return {"torus": [Learner(spec["torus"], rule) for spec in specs]}


def test_a_code_that_forms_before_drawings_are_right_is_said_to(few):
    claims, tables, _ = emergence.analyse(runs(interpolates))
    found = {claim.id: claim for claim in claims}
    for statistic in ("interaction", "cross", "dimension", "torus"):
        claim = found[f"emergence.{statistic}"]
        assert claim.verdict == "holds"
        assert claim.measured == pytest.approx((0.3 + 0.45) / 2 - (0.05 + 0.1) / 2)
    assert found["emergence.timesteps"].verdict == "holds"
    assert found["emergence.layers"].measured == pytest.approx(0, abs=0.01)
    assert found["emergence.layers"].verdict == "undecided"
    assert found["emergence.within"].verdict == "not measured"  # both codes wrap round in equal steps
    assert tables["onset"].filter(seed=0).height == 1 + 2 * len(STATISTICS)


def test_nothing_is_claimed_of_a_model_that_has_not_learnt(few, monkeypatch):
    monkeypatch.setattr(emergence, "_is_torus", lambda seed, landmarks, points: None)  # takes seconds
    claims, _, _ = emergence.analyse(runs(elsewhere, spacing=2.0))
    assert {claim.verdict for claim in claims} == {"not measured"}
