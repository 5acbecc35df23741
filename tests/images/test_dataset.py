import numpy as np
import pytest

from hyperfactor import RequestError
from hyperfactor.factors.regions import Corner, Cross, Strip
from hyperfactor.images.dataset import DataSpec, region_points, training_points, training_set
from hyperfactor.images.gaussian import Picture

SPEC = DataSpec(train=Picture().window() - Cross(low=13, high=19))


def test_pictures_and_factors_belong_together():
    data = training_set(SPEC, 0)
    assert data.images.shape == (625, 1, 32, 32)
    assert data.images.dtype == np.float32
    row = 417
    peak = np.unravel_index(data.images[row, 0].argmax(), (32, 32))
    assert (peak[1], peak[0]) == tuple(data.factors[row])


def test_a_fraction_is_a_seeded_part_of_the_whole():
    spec = SPEC.model_copy(update={"fraction": 0.2})
    some, again, other = training_points(spec, 0), training_points(spec, 0), training_points(spec, 1)
    whole = {tuple(point) for point in training_points(SPEC, 0)}
    assert len(some) == 125
    assert {tuple(point) for point in some} < whole
    assert (some == again).all()
    assert not np.array_equal(some, other)


def test_spacing_thins_the_lattice():
    assert len(training_points(DataSpec(spacing=(2, 4)), 0)) == 16 * 8


def test_the_lattice_looked_at_may_be_another_one_than_the_lattice_trained_on():
    spec = DataSpec(spacing=(0.5, 0.5), test_spacing=(1, 2), train=Strip(factor="x", low=3, high=4))
    assert len(training_points(spec, 0)) == 3 * 63
    assert len(region_points(spec, spec.train, 0)) == 2 * 16
    assert [len(axis) for axis in spec.test_axes()] == [32, 16]
    assert len(spec.test_lattice()) == 32 * 16
    assert len(region_points(DataSpec(spacing=(0.5, 0.5)), spec.train, 0)) == 3 * 63


def test_an_empty_training_set_is_refused():
    with pytest.raises(RequestError, match="data.train: got 0 of the 1024 lattice points"):
        training_set(DataSpec(train=Cross(low=0, high=5) - Cross(low=0, high=31)), 0)
    with pytest.raises(RequestError, match="data.train"):
        training_set(DataSpec(fraction=1e-4), 0)


def test_test_points_caps_a_region():
    spec = DataSpec(test_points=10)
    assert len(region_points(spec, Strip(factor="x", low=3, high=9), 0)) == 10
    assert len(region_points(spec, Corner(low=0, high=31, width=2), 0)) == 4
    with pytest.raises(RequestError, match="region: got none"):
        region_points(spec, Strip(factor="x", low=3.2, high=3.8), 0)
