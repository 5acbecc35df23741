"""Numbers of any type and layout are taken exactly or refused; no scale, shift, rotation, order or repetition
matters."""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import torch

from hyperfactor.errors import RequestError
from hyperfactor.measures import arrays
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum, two_nn
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.representation import Representation, checked_points

R = np.round(np.random.default_rng(0).normal(size=(5, 6, 7)) * 32) / 32  # exact in float16 and bfloat16
WHOLE = (R * 32).astype(int)
CLOUD = np.random.default_rng(0).normal(size=(120, 3)) @ np.random.default_rng(1).normal(size=(3, 30))

TAKEN = {
    "float32": R.astype(np.float32),
    "float16": R.astype(np.float16),
    "big endian": R.astype(">f8"),
    "longdouble": R.astype(np.longdouble),
    "Fortran": np.asfortranarray(R),
    "reversed": R[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": np.broadcast_to(R, R.shape),
    "list": R.tolist(),
    "objects": R.astype(object),
    "list of arrays": list(R.astype(np.float16)),
    "tensor": torch.tensor(R),
    "tensor with a gradient": torch.tensor(R, requires_grad=True),
    "bfloat16": torch.tensor(R).bfloat16(),
    "float16 tensor": torch.tensor(R).half(),
    "transposed tensor": torch.tensor(R).transpose(0, 1).contiguous().transpose(0, 1),
    "sparse tensor": torch.tensor(R).to_sparse(),
    "list of tensors": list(torch.tensor(R, requires_grad=True)),
    "masked array with nothing masked": np.ma.masked_array(R, mask=np.zeros(R.shape, bool)),
    "polars": pl.DataFrame(R.reshape(30, 7)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_values_do_not_depend_on_type_or_layout(name):
    expected = R if name != "polars" else R.reshape(30, 7)
    taken = arrays.numbers(TAKEN[name], "R")
    assert np.array_equal(taken, expected)
    assert taken.dtype == np.float64


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int64, np.uint64, bool, object])
def test_integers_have_the_values_of_the_same_floats(kind):
    given = np.abs(WHOLE).clip(0, 100).astype(kind)
    assert np.array_equal(Representation.of(given).values, given.astype(np.float64))
    assert np.array_equal(Representation.of(torch.tensor(given.astype(np.uint8))).values, given.astype(np.uint8))
    points = given.reshape(30, 7)
    assert participation_ratio(points) == participation_ratio(points.astype(np.float64))


def masked(row: int) -> np.ndarray:
    array = np.ma.masked_array(R.copy())
    array[row] = np.ma.masked
    return array


REFUSED = {
    "masked": (masked(2), r"^R: got a masked array with 42 numbers masked, needs none masked$"),
    "masked in a list": ([masked(0)[0], masked(0)[1]], "got a masked array with 42"),
    "complex": (R + 0j, "^R: got what is not an array of numbers but of complex numbers, needs real numbers$"),
    "complex list": ([[1j, 2.0], [1.0, 2.0]], "of complex numbers"),
    "complex tensor": (torch.tensor(R) + 0j, "of complex numbers"),
    "text": (R.astype(str), "of text"),
    "bytes": (R.astype("S"), "of text"),
    "dates": (WHOLE.astype("datetime64[D]"), "of values of type datetime64"),
    "records": (np.zeros(4, dtype=[("a", float), ("b", int)]), "of values of type"),
    "None last": ([[1.0, None], [2.0, 3.0]], r"but None at \(0, 1\), needs real numbers"),
    "None": ([[None, 1.0], [2.0, 3.0]], r"but None at \(0, 0\), needs real numbers"),
    "fractions": ([[Fraction(1, 3), 1], [2, 3]], r"but Fraction at \(0, 0\)"),
    "complex object": (np.array([[1j, 2], [3, 4]], dtype=object), r"but complex at \(0, 0\)"),
    "large integers": ([[2**53 + 1, 0], [1, 2]], r"got 9007199254740993 at \(0, 0\), needs numbers that float64 holds"),
    "large unsigned": (np.array([[0, 1], [2**64 - 1, 2]], dtype=np.uint64), r"at \(1, 0\), needs numbers that float64"),
    "huge integers": ([[10**400, 0], [1, 2]], "an integer that float64 does not hold"),
    "ragged": ([[1.0], [1.0, 2.0]], "got what is not an array of numbers, needs one"),
    "infinite": (np.full(R.shape, np.inf), r"^R: got inf at \(0, 0, 0\), needs finite numbers$"),
    "null": (pl.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]}), r"got nan at \(1, 0\), needs finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_lose_something_is_refused(name):
    given, said = REFUSED[name]
    with pytest.raises(RequestError, match=said):
        Representation.of(given)


@pytest.mark.skipif(np.finfo(np.longdouble).eps == np.finfo(float).eps, reason="a longdouble here is a float64")
def test_digits_beyond_float64_are_refused():
    with pytest.raises(RequestError, match="needs numbers that float64 holds exactly"):
        Representation.of(R.astype(np.longdouble) / 3)


def test_powers_of_two_in_large_integers_are_exact():
    assert np.array_equal(Representation.of([[2**70, 0], [1, 2**60]]).values, [[2.0**70, 0], [1, 2.0**60]])


# ---- normalised values ----


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-160, 1e160, 1e300, 1.7e308])
def test_normalised_values_are_of_order_one_and_keep_their_unit(scale):
    values = np.array([[-1.0, 0.5], [1.0, 0.25], [0.0, -0.75]]) * scale
    found = arrays.normalised(values)
    assert 0.9 < np.abs(found.values).max() <= 4
    assert found.values.mean(axis=0) == pytest.approx([0, 0], abs=1e-15)
    assert np.log2(found.unit) == round(np.log2(found.unit))
    assert found.values[0] - found.values[2] == pytest.approx(
        (values[0] / found.unit - values[2] / found.unit), rel=1e-12
    )


def test_points_that_differ_by_rounding_alone_are_equal():
    turned = np.ones((30, 3)) + np.random.default_rng(0).choice([0, 2.0**-52], size=(30, 3))
    with pytest.raises(RequestError, match="all equal but for the rounding of float64"):
        checked_points(turned)
    checked_points(1 + 1e-12 * CLOUD)


def test_distinct_points_count_once_in_any_order():
    generator = np.random.default_rng(0)
    twins = CLOUD + 1e-7 * generator.normal(size=CLOUD.shape)
    cloud = arrays.normalised(np.concatenate([CLOUD, twins, CLOUD[:7]])).values
    kept = arrays.distinct(cloud)
    assert sorted(kept % 120) == list(range(120))
    order = generator.permutation(len(cloud))
    assert np.array_equal(cloud[order][arrays.distinct(cloud[order])], cloud[kept])
    chain = arrays.normalised(np.arange(200)[:, None] * 0.4e-5 + np.array([[0.0], [1e3]]).repeat(100, 0)).values
    assert len(arrays.distinct(chain)) == 2  # all of a half are far nearer than NEAR
    spaced = arrays.normalised(np.concatenate([np.linspace(-1, 1, 200), np.arange(100) * 0.3e-5])[:, None]).values
    assert 200 + 35 < len(arrays.distinct(spaced)) < 200 + 60  # of a chain, those apart by more than NEAR


# ---- measures that promise not to change ----


def changed(points: np.ndarray, how: str) -> np.ndarray:
    generator = np.random.default_rng(5)
    turn = np.linalg.qr(generator.normal(size=(30, 30)))[0]
    return {
        "rotated": lambda: points @ turn,
        "shifted": lambda: points + 1e4 * generator.normal(size=30),
        "1e-300": lambda: points * 1e-300,
        "1e-160": lambda: points * 1e-160,
        "1e160": lambda: points * 1e160,
        "1e300": lambda: points * 1e300,
        "repeated": lambda: np.concatenate([points, points[::-1]]),
        "repeated nearly": lambda: np.concatenate([points, points + 1e-8 * generator.normal(size=points.shape)]),
        "one repeated": lambda: np.concatenate([points, points[:1] + 1e-9]),
        "reordered": lambda: generator.permutation(points),
    }[how]()


@pytest.mark.parametrize("how", ["rotated", "shifted", "1e-300", "1e-160", "1e160", "1e300", "repeated", "repeated nearly",
                                 "one repeated", "reordered"])  # fmt: skip
def test_dimensions_do_not_change(how):
    other = changed(CLOUD, how)
    assert levina_bickel(other) == pytest.approx(levina_bickel(CLOUD), rel=1e-6)
    assert two_nn(other) == pytest.approx(two_nn(CLOUD), rel=1e-6)
    if how != "one repeated":  # a weight of 2 for a point
        assert participation_ratio(other) == pytest.approx(participation_ratio(CLOUD), rel=1e-6)
        assert spectrum(other) == pytest.approx(spectrum(CLOUD), rel=1e-6, abs=1e-12)
        assert pca(other).shares == pytest.approx(pca(CLOUD).shares, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_principal_coordinates_keep_their_unit(scale):
    found, expected = pca(CLOUD * scale), pca(CLOUD)
    assert found.coordinates / scale == pytest.approx(expected.coordinates)
    assert found.axes == pytest.approx(expected.axes)
