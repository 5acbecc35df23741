import numpy as np
import pytest
from pydantic import TypeAdapter

from hyperfactor import RequestError
from hyperfactor.factors.regions import (
    Corner,
    Cross,
    Difference,
    Everything,
    Interior,
    Rectangle,
    Region,
    Rim,
    Strip,
    Union,
)
from hyperfactor.factors.space import Factor, FactorSpace

SPACE = FactorSpace((Factor("x", 0, 31), Factor("y", 0, 31)))
LATTICE = SPACE.lattice()
X, Y = LATTICE.T


def inside(region) -> np.ndarray:
    return region.contains(LATTICE, SPACE)


@pytest.mark.parametrize(
    ("region", "count", "rule"),
    [
        (Everything(), 1024, X >= 0),
        (Rectangle(bounds={"x": (3, 5)}), 3 * 32, (X >= 3) & (X <= 5)),
        (Rectangle(bounds={"x": (3, 5), "y": (0, 1)}), 6, (X >= 3) & (X <= 5) & (Y <= 1)),
        (Strip(factor="y", low=13, high=19), 7 * 32, (Y >= 13) & (Y <= 19)),
        (Cross(low=13, high=19), 32**2 - 25**2, ((X >= 13) & (X <= 19)) | ((Y >= 13) & (Y <= 19))),
        (Rim(low=0, high=31, width=2), 32**2 - 28**2, np.minimum.reduce([X, Y, 31 - X, 31 - Y]) < 2),
        (Interior(low=0, high=31, width=6), 36, (abs(X - 15.5) < 3) & (abs(Y - 15.5) < 3)),
        (Corner(low=0, high=31, width=6), 36, (X >= 26) & (Y >= 26)),
    ],
)
def test_membership_against_a_rule_and_a_count_by_hand(region, count: int, rule: np.ndarray):
    assert inside(region).sum() == count
    assert (inside(region) == rule).all()


def test_odd_interior_has_its_width():
    assert inside(Interior(low=0, high=31, width=7)).sum() == 49


def test_union_and_difference_are_set_operations():
    a, b = Cross(low=3, high=9), Corner(low=0, high=31, width=25)
    assert (inside(a | b) == inside(a) | inside(b)).all()
    assert (inside(a - b) == inside(a) & ~inside(b)).all()
    assert not inside(a - a).any()


def test_three_factors():
    cube = FactorSpace(tuple(Factor(name, 0, 9) for name in "abc"))
    points = cube.lattice()
    assert Cross(low=2, high=3).contains(points, cube).sum() == 1000 - 8**3
    assert Rim(low=0, high=9, width=1).contains(points, cube).sum() == 1000 - 8**3
    assert Corner(low=0, high=9, width=2).contains(points, cube).sum() == 8


def test_strip_over_the_seam():
    torus = FactorSpace((Factor("x", 0, 32, "periodic"), Factor("y", 0, 32, "periodic")))
    assert Strip(factor="x", low=30, high=1).contains(torus.lattice(), torus).sum() == 4 * 32
    with pytest.raises(RequestError, match="low 30 above high 1"):
        inside(Strip(factor="x", low=30, high=1))
    with pytest.raises(RequestError, match="low 30 above high 1"):
        inside(Cross(low=30, high=1))


def test_a_region_goes_through_json_and_back():
    region = (Rectangle(bounds={"x": (0, 31)}) - Cross(low=13, high=19)) | Rim(low=0, high=31, width=2)
    adapter = TypeAdapter(Region)
    again = adapter.validate_json(adapter.dump_json(region))
    assert again == region
    assert isinstance(again, Union)
    assert isinstance(again.of[0], Difference)


def test_boxes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needs at most half of 0..31"):
        Rim(low=0, high=31, width=16)
    with pytest.raises(ValueError, match="needs at most 32 to fit"):
        Interior(low=0, high=31, width=33)
