import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperfactor import RequestError
from hyperfactor.factors.space import Factor, FactorSpace

WHEEL = Factor("angle", 0, 12, "periodic")
LINE = Factor("x", -2, 3)
SHAPE = Factor("shape", 0, 2, "categorical")
SPACE = FactorSpace((WHEEL, LINE, SHAPE))


def test_lattice_of_each_kind():
    assert WHEEL.lattice(3).tolist() == [0, 3, 6, 9]  # 12 is 0 again
    assert LINE.lattice(2).tolist() == [-2, 0, 2]
    assert Factor("x", 0, 1).lattice(0.1).size == 11  # no end lost to rounding
    assert SHAPE.lattice(0.5).tolist() == [0, 1, 2]


def test_lattice_has_every_combination_once_and_the_last_factor_fastest():
    lattice = SPACE.lattice((3, 1, 1))
    assert lattice.shape == (4 * 6 * 3, 3)
    assert len(np.unique(lattice, axis=0)) == len(lattice)
    assert lattice[:4].tolist() == [[0, -2, 0], [0, -2, 1], [0, -2, 2], [0, -1, 0]]


@given(st.floats(0, 12), st.floats(0, 12), st.integers(-3, 3))
def test_periodic_difference_is_the_shorter_way_and_ignores_turns(a: float, b: float, turns: int):
    d = WHEEL.difference(np.array(a + 12 * turns), np.array(b))
    assert abs(d) <= 6 + 1e-9
    assert np.isclose(np.cos(2 * np.pi * (a - b) / 12), np.cos(2 * np.pi * d / 12), atol=1e-9)


def test_difference_of_open_and_categorical():
    assert LINE.difference(np.array(3.0), np.array(-2.0)) == 5
    assert SHAPE.difference(np.array([0, 1]), np.array([0, 0])).tolist() == [0, 1]


def test_between_crosses_the_seam_of_a_periodic_factor_only():
    values = np.arange(12.0)
    assert np.flatnonzero(WHEEL.between(values, 10, 1)).tolist() == [0, 1, 10, 11]
    assert np.flatnonzero(LINE.between(np.arange(-2, 4.0), 0, 1)).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((3, 2)), r"got an array of shape \(3, 2\), needs \(n, 3\)"),
        ([[0, 0, 0], [0, 3.5, 0]], "row 1, x: got 3.5, needs a value in -2..3"),
        ([[np.nan, 0, 0]], "row 0, angle: got nan"),
        ([[0, 0, 0.5]], "row 0, shape: got 0.5, needs a whole number in 0..2"),
    ],
)
def test_points_outside_are_named(points, message: str):
    with pytest.raises(RequestError, match=message):
        SPACE.check(np.array(points))


def test_wrong_factors_are_refused():
    with pytest.raises(RequestError, match="x: got the range 1..0"):
        Factor("x", 1, 0)
    with pytest.raises(RequestError, match="got spacing 5, needs one that divides the period 12"):
        WHEEL.lattice(5)
    with pytest.raises(RequestError, match="got 'z', needs one of angle, x, shape"):
        SPACE.index("z")
