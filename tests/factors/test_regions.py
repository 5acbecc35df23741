import math
from fractions import Fraction

import numpy as np
import pytest
from pydantic import TypeAdapter

from hyperfactor import RequestError
from hyperfactor.factors.regions import (
    AtLeast,
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
        (Cross(bounds=(13, 19)), 32**2 - 25**2, ((X >= 13) & (X <= 19)) | ((Y >= 13) & (Y <= 19))),
        (AtLeast(bounds=(13, 19), count=1), 32**2 - 25**2, ((X >= 13) & (X <= 19)) | ((Y >= 13) & (Y <= 19))),
        (AtLeast(bounds={"x": (13, 19), "y": (0, 1)}, count=2), 14, (X >= 13) & (X <= 19) & (Y <= 1)),
        (Rim(bounds=(0, 31), width=2), 32**2 - 28**2, np.minimum.reduce([X, Y, 31 - X, 31 - Y]) < 2),
        (Interior(bounds=(0, 31), width=6), 36, (abs(X - 15.5) < 3) & (abs(Y - 15.5) < 3)),
        (Corner(bounds=(0, 31), width=6), 36, (X >= 26) & (Y >= 26)),
    ],
)
def test_membership_against_a_rule_and_a_count_by_hand(region, count: int, rule: np.ndarray):
    assert inside(region).sum() == count
    assert (inside(region) == rule).all()


def test_odd_interior_has_its_width():
    assert inside(Interior(bounds=(0, 31), width=7)).sum() == 49


def test_union_and_difference_are_set_operations():
    a, b = Cross(bounds=(3, 9)), Corner(bounds=(0, 31), width=25)
    assert (inside(a | b) == inside(a) | inside(b)).all()
    assert (inside(a - b) == inside(a) & ~inside(b)).all()
    assert not inside(a - a).any()


def test_three_factors():
    cube = FactorSpace(tuple(Factor(name, 0, 9) for name in "abc"))
    points = cube.lattice()
    assert Cross(bounds=(2, 3)).contains(points, cube).sum() == 1000 - 8**3
    assert Rim(bounds=(0, 9), width=1).contains(points, cube).sum() == 1000 - 8**3
    assert Corner(bounds=(0, 9), width=2).contains(points, cube).sum() == 8
    assert AtLeast(bounds=(2, 3), count=2).contains(points, cube).sum() == 3 * 2**2 * 8 + 2**3
    with pytest.raises(RequestError, match="region at least: got count 4, needs at most 3, all bounded"):
        AtLeast(bounds=(2, 3), count=4).contains(points, cube)


def test_strip_over_the_seam():
    torus = FactorSpace((Factor("x", 0, 32, "periodic"), Factor("y", 0, 32, "periodic")))
    assert Strip(factor="x", low=30, high=1).contains(torus.lattice(), torus).sum() == 4 * 32
    with pytest.raises(RequestError, match="low 30 above high 1"):
        inside(Strip(factor="x", low=30, high=1))
    with pytest.raises(RequestError, match="low 30 above high 1"):
        inside(Cross(bounds=(30, 1)))


TORUS = FactorSpace((Factor("x", 0, 32, "periodic"), Factor("y", 0, 32, "periodic")))


@pytest.mark.parametrize("given", [lambda bounds: bounds, lambda bounds: {"x": bounds}, lambda bounds: {"y": bounds}])
def test_boxes_over_the_seam_are_the_same_boxes_moved(given):
    """A box from 28 to 4 is the box from 10 to 18, 18 further on."""
    points = TORUS.lattice()
    for make in (Rectangle, lambda **given: Rim(width=2, **given), lambda **given: Rim(width=4, **given)):
        assert_moved(points, make(bounds=given((28, 4))), make(bounds=given((10, 18))))
    for kind in (Interior, Corner):
        for width in (1, 3, 4, 9):
            over, within = (kind(bounds=given(bounds), width=width) for bounds in ((28, 4), (10, 18)))
            assert_moved(points, over, within)


def assert_moved(points: np.ndarray, over: Region, within: Region):
    inside = within.contains(points, TORUS)
    assert inside.any()
    assert over.contains((points + 18) % 32, TORUS).tolist() == inside.tolist()


@pytest.mark.parametrize("kind", [Rim, Interior, Corner])
def test_boxes_over_the_seam_that_do_not_fit_are_refused_where_the_period_is_known(kind):
    width = 5 if kind is Rim else 10
    with pytest.raises(RequestError, match=f"^region: got width {width}, needs at most (half of 28..36|9 to fit)$"):
        kind(bounds=(28, 4), width=width).contains(TORUS.lattice(), TORUS)
    with pytest.raises(RequestError, match="low 30 above high 1"):
        inside(kind(bounds=(30, 1), width=1))


def test_a_region_goes_through_json_and_back():
    region = (Rectangle(bounds={"x": (0, 31)}) - Cross(bounds=(13, 19))) | Rim(bounds=(0, 31), width=2)
    adapter = TypeAdapter(Region)
    again = adapter.validate_json(adapter.dump_json(region))
    assert again == region
    assert isinstance(again, Union)
    assert isinstance(again.of[0], Difference)


def test_boxes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needs at most half of 0..31"):
        Rim(bounds=(0, 31), width=16)
    with pytest.raises(ValueError, match="needs at most 32 to fit"):
        Interior(bounds=(0, 31), width=33)


def exact(region: Region, point: tuple[Fraction, ...], low: Fraction, period: Fraction | None) -> bool:
    """Membership by the definitions of docs/specs.md, in exact fractions. Bounds are multiples of 1/100."""

    def number(value: float) -> Fraction:
        return Fraction(round(value * 900), 900)

    def within(value: Fraction, a: Fraction, b: Fraction) -> bool:
        if period is None:
            return a <= value <= b
        return b - a >= period or (value - a) % period <= (b - a) % period

    def inside(region: Rectangle | Cross) -> list[bool]:
        bounds = region.bounds if isinstance(region.bounds, dict) else dict.fromkeys("xy", region.bounds)
        return [within(v, *map(number, bounds[name])) for name, v in zip("xy", point, strict=True) if name in bounds]

    def cube(a: Fraction, b: Fraction) -> bool:
        return all(within(value, a, b) for value in point)

    match region:
        case Everything():
            return True
        case Rectangle():
            return all(inside(region))
        case Strip():
            return within(point["xy".index(region.factor)], number(region.low), number(region.high))
        case Cross():
            return any(inside(region))
        case Rim():
            a, b, width = *map(number, region.bounds), number(region.width)  # pyright: ignore[reportArgumentType]
            return cube(a, b) and not cube(a + width, b - width)
        case Interior():
            a, b, width = *map(number, region.bounds), number(region.width)  # pyright: ignore[reportArgumentType]
            start = a + math.ceil((b - a - width + 1) / 2)
            return cube(start, start + width - 1)
        case Corner():
            a, b, width = *map(number, region.bounds), number(region.width)  # pyright: ignore[reportArgumentType]
            return cube(b - width + 1, b)
        case Union():
            return any(exact(part, point, low, period) for part in region.of)
        case Difference():
            return exact(region.of, point, low, period) and not exact(region.without, point, low, period)
    raise AssertionError(region)


@pytest.mark.parametrize("kind", ["open", "periodic"])
@pytest.mark.parametrize("low", [0, -6])
@pytest.mark.parametrize("spacing", [Fraction(1, 10), Fraction(1, 3), Fraction(7, 10), Fraction(1, 5)])
def test_every_region_holds_the_values_at_its_bounds(spacing: Fraction, low: int, kind):
    """Bounds on lattice values that floating point does not represent exactly: 3 x 0.1 is not 0.3."""
    count = 13
    extent = spacing * (count if kind == "periodic" else count - 1)
    space = FactorSpace(tuple(Factor(name, low, float(low + extent), kind) for name in "xy"))
    lattice = space.lattice(float(spacing))
    points = [(low + i * spacing, low + j * spacing) for i in range(count) for j in range(count)]
    assert len(lattice) == len(points)
    period = extent if kind == "periodic" else None
    ticks = [float(low + k * spacing) for k in range(count + 1)]
    for a in (0, 1, 3):
        p, q = ticks[a], ticks[a + 7]
        strip, cross = Strip(factor="x", low=p, high=q), Cross(bounds=(p, q))
        regions = [strip, cross, Rectangle(bounds={"x": (p, q), "y": (ticks[1], ticks[a + 2])})]
        regions += [Rim(bounds=(p, q), width=float(2 * spacing)), Rim(bounds=(p, q), width=(q - p) / 2)]
        regions += [Interior(bounds=(p, q), width=1), Corner(bounds=(p, q), width=1)]
        regions += [Everything() - strip, strip | Corner(bounds=(p, q), width=1), cross - strip]
        if period:
            regions += [Strip(factor="x", low=q, high=p), Cross(bounds=(q, p)), Strip(factor="y", low=p, high=p)]
            regions += [Strip(factor="x", low=p, high=p + float(extent)), Rectangle(bounds={"y": (q, ticks[count])})]
        for region in regions:
            expected = [exact(region, point, Fraction(low), period) for point in points]
            assert region.contains(lattice, space).tolist() == expected, region


def test_what_is_held_out_is_never_left():
    space = FactorSpace(tuple(Factor(name, 0, 7) for name in "xy"))
    lattice = space.lattice({"x": 0.2, "y": 4.0})
    left = (Everything() - Strip(factor="x", low=0.2, high=0.6)).contains(lattice, space)
    assert np.unique(lattice[left, 0])[:2].tolist() == pytest.approx([0, 0.8])
    held_out = Rim(bounds=(0.1, 0.3), width=0.1)  # 2 x 0.1 > 0.3 - 0.1 in floating point
    fine = space.lattice(0.1)
    assert sorted(map(tuple, fine[held_out.contains(fine, space)].round(9))) == [
        (x, y) for x in (0.1, 0.2, 0.3) for y in (0.1, 0.2, 0.3) if (x, y) != (0.2, 0.2)
    ]


def test_bounds_by_name_leave_the_other_factors_free():
    assert (inside(Cross(bounds={"x": (13, 19)})) == inside(Strip(factor="x", low=13, high=19))).all()
    assert inside(Rim(bounds={"x": (0, 31)}, width=2)).sum() == 4 * 32
    assert inside(Corner(bounds={"y": (0, 31)}, width=3)).sum() == 3 * 32
    assert inside(Interior(bounds={"x": (0, 31), "y": (0, 9)}, width=4)).sum() == 16
    assert (inside(Rectangle(bounds=(3, 5))) == inside(Rectangle(bounds={"x": (3, 5), "y": (3, 5)}))).all()
    with pytest.raises(RequestError, match="factor: got 'z', needs one of x, y"):
        inside(Cross(bounds={"x": (1, 2), "z": (1, 2)}))


@pytest.mark.parametrize("width", range(1, 11))
def test_an_interior_has_its_width_on_a_lattice_of_halves(width: int):
    space = FactorSpace((Factor("x", 0.5, 9.5),))
    points = np.arange(0.5, 10)[:, None]
    inside = Interior(bounds=(0.5, 9.5), width=width).contains(points, space)
    assert len(points[inside]) == width
    assert abs(points[inside].mean() - 5) <= 0.5
