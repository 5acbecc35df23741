import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

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
    lattice = SPACE.lattice({SPACE.names[0]: 3})
    assert lattice.shape == (4 * 6 * 3, 3)
    assert len(np.unique(lattice, axis=0)) == len(lattice)
    assert lattice[:4].tolist() == [[0, -2, 0], [0, -2, 1], [0, -2, 2], [0, -1, 0]]


@pytest.mark.parametrize(
    ("factor", "spacing", "count"),
    [
        (Factor("x", 0, 31), 0.1, 311),
        (Factor("x", 0, 31), 1 / 3, 94),
        (Factor("x", 0, 31), 0.7, 45),  # the last is 30.8
        (Factor("x", -6, 14), 0.1, 201),
        (Factor("x", 0.1, 0.7), 0.1, 7),
        (Factor("x", 0, 31), 100, 1),
        (Factor("angle", 0, 32, "periodic"), 0.1, 320),
        (Factor("angle", 0, 2 * np.pi, "periodic"), 2 * np.pi / 7, 7),
        (Factor("angle", 0.3, 1.3, "periodic"), 0.1, 10),
    ],
)
def test_a_lattice_has_every_value_once_whatever_the_spacing(factor: Factor, spacing: float, count: int):
    values = factor.lattice(spacing)
    assert len(values) == factor.count(spacing) == count
    assert values == pytest.approx([factor.low + k * spacing for k in range(count)], rel=1e-12)
    assert values.min() >= factor.low
    assert values.max() <= factor.high  # and no seam twice:
    assert len(values) == 1 or np.abs(factor.difference(values, np.roll(values, 1))).min() > spacing / 2
    assert FactorSpace((factor,)).check(values[:, None])[:, 0].tolist() == values.tolist()


@pytest.mark.parametrize("spacing", [5, 24, 1e-12 + 5, 1e12, 12.1, 0, -1, np.nan, np.inf])
def test_spacings_that_a_periodic_factor_cannot_have(spacing: float):
    with pytest.raises(RequestError, match="factor angle: got spacing"):
        WHEEL.lattice(spacing)


def test_values_beyond_an_end_by_rounding_are_moved_onto_it():
    line = FactorSpace((Factor("x", 0, 0.3),))
    assert line.check([[0.1 + 0.2], [-1e-17]])[:, 0].tolist() == [0.3, 0.0]  # 0.1 + 0.2 > 0.3
    with pytest.raises(RequestError, match="row 1, x: got 0.301"):
        line.check([[0.3], [0.301]])
    given = np.array([[0.1 + 0.2]])
    line.check(given)
    assert given[0, 0] > 0.3  # the caller's array is left alone


def test_between_goes_all_the_way_round_where_the_bounds_are_a_turn_apart():
    values = np.arange(12.0)
    assert WHEEL.between(values, 0, 12).all()
    assert WHEEL.between(values, -3, 30).all()
    assert np.flatnonzero(WHEEL.between(values, 5, 5)).tolist() == [5]
    assert np.flatnonzero(WHEEL.between(values, 12, 0)).tolist() == [0]
    assert np.flatnonzero(WHEEL.between(values, 0.1 + 0.2 + 4.7, 5)).tolist() == [5]  # low above high by rounding
    assert np.flatnonzero(WHEEL.between(values, 12 + 1e-13, 0)).tolist() == [0]


def test_among_finds_equal_points_over_the_seam_and_no_others():
    trained = np.array([[0.0, 0.1 + 0.2, 1.0], [6.0, -2.0, 0.0]])
    asked = [[12.0, 0.3, 1], [12 - 1e-13, 0.3, 1], [6, -2, 0], [6, -2, 1], [6, -2 + 1e-4, 0], [5.999, -2, 0]]
    assert SPACE.among(np.array(asked), trained).tolist() == [True, True, True, False, False, False]
    assert SPACE.among(np.array(asked), trained[:0]).sum() == 0
    assert SPACE.among(np.zeros((0, 3)), trained).shape == (0,)


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
        ([["1", "2", "0"]], "factors: got text, needs an array of real numbers"),
        (None, "got None"),
        ([[1, 2, 0], [3]], "factors: got list of unequal parts, needs an array of real numbers"),
        ([[1, None, 0]], r"got None at \(0, 1\), needs an array of real numbers"),
        (np.array([[1 + 2j, 0, 0]]), "got complex numbers, needs an array of real numbers"),
        (np.ma.masked_array([[1.0, 0, 0]], [[True, False, False]]), "got an array with 1 masked numbers"),
        ([1.0, 2.0, 0.0], r"got an array of shape \(3,\), needs \(n, 3\)"),
    ],
)
def test_points_outside_are_named(points, message: str):
    with pytest.raises(RequestError, match=message) as caught:
        SPACE.check(points)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spacing", [1e-3, 1e-9, 1e-300, 5e-324])
def test_a_lattice_that_no_memory_holds_is_refused_before_it_is_made(spacing: float):
    square = FactorSpace((Factor("x", 0, 31), Factor("y", 0, 31)))
    with pytest.raises(RequestError, match="got .*, needs .*at most 1,048,576"):
        square.lattice(spacing)
    with pytest.raises(
        RequestError, match=r"31 x 100,001 = 3,100,031 points, needs at most 1,048,576; a larger spacing, or fixed"
    ):
        FactorSpace((Factor("x", 0, 30), Factor("y", 0, 1))).lattice({"y": 1e-5})
    with pytest.raises(RequestError, match="factor shape: got spacing 1, which makes 1e\\+12 values"):
        Factor("shape", 0, 10**12, "categorical").lattice()


def test_wrong_factors_are_refused():
    with pytest.raises(RequestError, match="x: got the range 1..0"):
        Factor("x", 1, 0)
    with pytest.raises(RequestError, match=r"x: got the range 0\.\.inf, needs finite ends"):
        Factor("x", 0, float("inf"))
    with pytest.raises(RequestError, match="^factor x: got kind 'Periodic', needs one of open, periodic, categorical$"):
        Factor("x", 0, 1, "Periodic")  # pyright: ignore[reportArgumentType]
    for low, high in ((0.5, 3.5), (0, 3.5), (0.5, 3)):
        with pytest.raises(RequestError, match="^factor c: got the range .*, needs whole numbers$"):
            Factor("c", low, high, "categorical")
    with pytest.raises(RequestError, match="^factors: got x, y, x, needs names that differ$"):
        FactorSpace((Factor("x", 0, 1), Factor("y", 0, 1), Factor("x", 0, 3)))
    with pytest.raises(RequestError, match="^lattice: got a space without factors, needs at least one$"):
        FactorSpace(()).lattice()
    with pytest.raises(RequestError, match="got spacing 5, needs one that divides the period 12"):
        WHEEL.lattice(5)
    with pytest.raises(RequestError, match="got 'z', needs one of angle, x, shape"):
        SPACE.index("z")


def test_values_are_close_by_their_own_factor():
    line, wheel = Factor("x", 0, 31, tolerance=0.5), Factor("hue", 0, 360, "periodic", 10)
    shape = Factor("shape", 0, 3, "categorical", 5)
    assert line.close(np.array([0.5, -0.5, 0.51, np.nan])).tolist() == [True, True, False, False]
    assert line.close(np.array([0.51]), resolution=0.02).tolist() == [True]
    assert wheel.close(wheel.difference(np.array([355.0, 349.0]), np.array([4.0, 0.0]))).tolist() == [True, False]
    assert shape.close(shape.difference(np.array([1.0, 2.0]), np.array([1.0, 1.0]))).tolist() == [True, False]
    with pytest.raises(RequestError, match="factor x: got tolerance -1, needs a number of at least 0"):
        Factor("x", 0, 1, tolerance=-1)


def test_a_factor_with_the_single_value_0_is_compared_with_itself():
    space = FactorSpace((Factor("kind", 0, 0, "categorical"), Factor("x", 0, 3)))
    points = space.lattice()
    assert space.among(points, points).all()
    assert space.among(points + np.array([0, 0.5]), points).tolist() == [False] * len(points)


def test_the_columns_of_a_frame_are_found_by_name():
    space = FactorSpace((Factor("x", 0, 9), Factor("y", 0, 9)))
    assert space.check(pl.DataFrame({"y": [1, 2], "x": [3.5, 4]})).tolist() == [[3.5, 1], [4, 2]]
    for wrong in ({"x": [1], "z": [2]}, {"x": [1]}, {"x": [1], "y": [2], "z": [3]}):
        with pytest.raises(RequestError, match="factors: got columns x.*, needs x, y"):
            space.check(pl.DataFrame(wrong))
