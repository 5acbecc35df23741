import numpy as np
import pytest
from hypothesis import given, strategies as st

from hyperfactor import RequestError, RunSpec
from hyperfactor.factors.encoding import Bump, ByFactor, Encoding, OneHot, Periodic, Ramp, Sinusoidal
from hyperfactor.factors.space import Factor, FactorSpace

OPEN = FactorSpace((Factor("x", 0, 31), Factor("y", 0, 31)))
TORUS = FactorSpace((Factor("x", 0, 32, "periodic"), Factor("y", 0, 32, "periodic")))
ALL = [Sinusoidal(dimensions=8), OneHot(), Ramp(), Bump()]


@pytest.mark.parametrize("encoding", ALL, ids=lambda e: e.kind)
def test_each_factor_has_its_own_part(encoding):
    a, b = encoding.encode(np.array([[3.0, 7.0], [3.0, 20.0]]), OPEN)
    half = encoding.width(OPEN) // 2
    assert a.dtype == np.float32
    assert (a[:half] == b[:half]).all()
    assert not (a[half:] == b[half:]).all()


@pytest.mark.parametrize("encoding", [Periodic(), OneHot(), Bump()], ids=lambda e: e.kind)
def test_codes_that_wrap_are_the_same_after_a_turn(encoding):
    ends = encoding.encode(np.array([[0.0, 0.0], [32.0, 32.0]]), TORUS)
    assert np.allclose(ends[0], ends[1], atol=1e-6)


@pytest.mark.parametrize("encoding", [Periodic(), OneHot(), Bump(sigma=3)], ids=lambda e: e.kind)
def test_a_turn_of_the_wheel_keeps_all_distances(encoding):
    values = np.arange(32.0)
    code = encoding.code(values, TORUS.factors[0])
    distance = np.linalg.norm(code[:, None] - code[None], axis=2)
    assert np.allclose(distance, np.roll(distance, (5, 5), (0, 1)), atol=1e-6)


@pytest.mark.parametrize("encoding", [Sinusoidal(), Ramp()], ids=lambda e: e.kind)
def test_codes_that_do_not_wrap_tell_the_seam_apart(encoding):
    code = encoding.code(np.array([0.0, 16.0, 32.0]), TORUS.factors[0])
    assert np.linalg.norm(code[0] - code[2]) > np.linalg.norm(code[0] - code[1]) / 2


@given(st.floats(0, 32))
def test_periodic_code_is_the_stated_formula(v: float):
    code = Periodic(harmonics=2).code(np.array([v]), TORUS.factors[0])[0]
    phase = 2 * np.pi * v / 32
    assert np.allclose(code, [np.sin(phase), np.sin(2 * phase), np.cos(phase), np.cos(2 * phase)])


def test_known_values():
    x = OPEN.factors[0]
    assert np.allclose(
        Sinusoidal(dimensions=4, shortest=1, longest=100).code(np.array([5.0]), x),
        [np.sin([5, 0.5]).tolist() + np.cos([5, 0.5]).tolist()],
    )
    assert OneHot().code(np.array([4.4]), x).argmax() == 4
    assert OneHot().code(np.array([4.4]), x).sum() == 1
    assert Ramp().code(np.array([0.0, 15.5, 31.0]), x).ravel().tolist() == [-1, 0, 1]
    assert np.isclose(Bump(sigma=2).code(np.array([4.0]), x)[0, 6], np.exp(-0.5))


@pytest.mark.parametrize("factor", [Factor("x", 0, 2), Factor("x", 0, 2, "periodic"), Factor("x", -1, 1)])
def test_half_way_between_two_values_the_lower_one_is_coded(factor: Factor):
    """0.15 is a little less than half-way from 0.1 to 0.2 in floating point, 0.35 a little more."""
    halves = factor.low + 0.1 * np.arange(20) + 0.05
    assert OneHot(spacing=0.1).code(halves, factor).argmax(axis=1).tolist() == list(range(20))
    beside = np.concatenate([halves - 0.01, halves + 0.01])
    last = 0 if factor.period else 20
    expected = [*range(20), *range(1, 20), last]
    assert OneHot(spacing=0.1).code(beside, factor).argmax(axis=1).tolist() == expected


def test_codes_that_a_factor_cannot_have_are_refused():
    with pytest.raises(RequestError, match="got factor x, which is open, needs periodic"):
        Periodic().width(OPEN)
    with pytest.raises(RequestError, match="categorical"):
        ByFactor(factors={"shape": Ramp()}).width(FactorSpace((Factor("shape", 0, 3, "categorical"),)))
    with pytest.raises(
        RequestError, match="sinusoidal: got factor shape, which is categorical, needs open or periodic"
    ):
        ByFactor(factors={"shape": Sinusoidal()}).width(FactorSpace((Factor("shape", 0, 3, "categorical"),)))


def test_codes_of_categories_have_no_order():
    factor = Factor("shape", 0, 3, "categorical")
    for encoding in (OneHot(), Bump(sigma=2)):
        code = encoding.code(factor.lattice(), factor)
        apart = np.linalg.norm(code[:, None] - code[None], axis=2)
        assert apart == pytest.approx(apart[0, 1] * (1 - np.eye(4)))


SHAPES = FactorSpace((Factor("x", 0, 31), Factor("shape", 0, 2, "categorical")))


def test_categories_are_coded_one_hot_unless_they_have_an_encoding_of_their_own():
    code = Sinusoidal(dimensions=4).encode(np.array([[5.0, 0.0], [5.0, 2.0]]), SHAPES)
    assert code[:, 4:].tolist() == [[1, 0, 0], [0, 0, 1]]
    own = Encoding.parse({"x": {"kind": "ramp"}, "shape": {"kind": "bump", "sigma": 1.0}})
    assert own.encode(np.array([[31.0, 0.0]]), SHAPES)[0] == pytest.approx([1, 1, np.exp(-0.5), np.exp(-0.5)])


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"x": {"kind": "ramp"}}, "encoding: got none for factor shape, needs one for each factor"),
        (
            {"x": {"kind": "ramp"}, "shape": {"kind": "one-hot"}, "hue": {"kind": "ramp"}},
            "factor: got 'hue', needs one of x",
        ),
        ({"x": {"kind": "ramp", "sigma": 1}}, "factors.x: got an unknown key 'sigma'"),
        ({"dimensions": 4}, "needs a key 'kind'"),
        ({}, "needs a key 'kind'"),
    ],
)
def test_wrong_encodings_by_factor_are_told(given: dict, line: str):
    with pytest.raises(RequestError, match=line):
        Encoding.parse(given).width(SHAPES)


def test_an_encoding_by_factor_has_none_by_factor_within():
    within = {"x": {"x": {"kind": "ramp"}}, "y": {"kind": "ramp"}}
    with pytest.raises(RequestError, match="x: got an encoding by factor, needs that of one factor"):
        RunSpec.parse({"encoding": within})
