import numpy as np
import pytest

from hyperfactor import RequestError
from hyperfactor.factors.regions import Corner, Cross, Everything, Strip
from hyperfactor.images.dataset import DataSpec, region_points, trained_on, training_points, training_set
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


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_what_was_trained_on_is_found_within_rounding(boundary):
    train = Everything() - Strip(factor="x", low=0.2, high=0.6)
    spec = DataSpec(picture=Picture(size=8, boundary=boundary), spacing=(0.1, 2.0), train=train)
    tenths = np.array([[k / 10, 2.0] for k in range(71)])  # the lattice's are 0.1 x k
    assert np.flatnonzero(~trained_on(tenths, spec, 0)).tolist() == [2, 3, 4, 5, 6]
    assert not trained_on(tenths[:70] + np.array([0.05, 0]), spec, 0).any()
    assert not trained_on(tenths[:70] + np.array([1e-5, 0]), spec, 0).any()
    if boundary == "periodic":
        assert trained_on(np.array([[8.0, 8.0], [0.0, 8.0]]), spec, 0).all()


def test_what_a_fraction_left_out_was_not_trained_on():
    spec = DataSpec(picture=Picture(size=8), fraction=0.3)
    lattice = spec.lattice()
    chosen = {tuple(point) for point in training_points(spec, 4)}
    assert [tuple(p) in chosen for p in lattice] == trained_on(lattice, spec, 4).tolist()
    with pytest.raises(RequestError, match="row 0, x: got 99"):
        trained_on(np.array([[99.0, 0]]), spec, 4)


def test_a_fraction_of_a_half_point_does_not_depend_on_rounding():
    """0.575 x 100 is 57.49999999999999 in floating point; halves go to the even number."""
    square = Strip(factor="x", low=0, high=9)
    for fraction, n in ((0.575, 184), (0.3, 96), (1.0, 320)):
        assert len(training_points(DataSpec(train=square, fraction=fraction), 0)) == n
    hundred = DataSpec(train=Corner(low=0, high=31, width=10), fraction=0.575)
    assert len(training_points(hundred, 0)) == 58
