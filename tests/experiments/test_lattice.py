import numpy as np
import pytest

from hyperfactor import Run
from hyperfactor.experiments import torus
from hyperfactor.experiments.lattice import (
    dimension_over_lines,
    drawn,
    every,
    interaction_over_lines,
    over_lines,
    stride,
)
from hyperfactor.measures.dimension import participation_ratio
from hyperfactor.measures.geometry import additivity, clifford_torus, torus_3d

DATA = torus.specs("laptop", 0)["torus"].data


def test_few_test_points_thin_the_lattice():
    found = [stride(DATA.model_copy(update={"test_points": n})) for n in (None, 1024, 256, 100, 40, 1)]
    assert found == [1, 1, 2, 2, 4, 32]


def test_every_fourth_value_of_each_factor():
    points, sides = every(DATA, 4)
    assert sides == (8, 8)
    assert np.array_equal(points.reshape(8, 8, 2)[3, 5], [12, 20])


def test_recorded_drawings_are_those_that_the_run_draws_again(run: Run, monkeypatch: pytest.MonkeyPatch):
    recorded, pictures = run.pictures
    rows, last = [5, 0, 3], run.spec.training.steps
    points = recorded[rows]
    missing = np.concatenate([points, recorded[:1] + 0.25])
    expected = run.sample(missing, run.spec.seed)
    assert np.array_equal(drawn(run, missing, last), expected)
    assert expected[:3] == pytest.approx(pictures[rows], abs=1e-4)  # a batch of another size rounds otherwise
    monkeypatch.setattr(Run, "sample", None)  # nothing is drawn
    assert np.array_equal(drawn(run, points, last), pictures[rows])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_dimension_over_lines_is_the_participation_ratio(count):
    generator = np.random.default_rng(0)
    flat = np.pad(clifford_torus(8), ((0, 0), (0, 0), (0, 20)))
    R = [flat + 0.1 * generator.normal(size=flat.shape) for _ in range(count)]
    found = dimension_over_lines(R, np.random.default_rng(1), 50)
    assert found.value == pytest.approx(participation_ratio(R if count > 1 else R[0].reshape(64, -1)))
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    "shape", [clifford_torus((5, 7)), torus_3d(6), np.random.default_rng(0).normal(size=(4, 3, 9))]
)
def test_the_interaction_over_lines_is_that_of_the_lines_that_are_drawn(shape):
    n_1, n_2, _ = shape.shape
    found = interaction_over_lines(shape + 5, np.random.default_rng(1), 30)
    expected = over_lines(
        lambda x, y: additivity(shape[np.ix_(x, y)]).interaction, (n_1, n_2), np.random.default_rng(1), 30
    )
    assert (found.value, *found.interval) == pytest.approx((expected.value, *expected.interval), abs=1e-9)
