"""Numbers of any type and layout are taken exactly or refused."""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
import torch

from hyperfactor import arrays
from hyperfactor.errors import RequestError
from hyperfactor.measures.dimension import participation_ratio
from hyperfactor.measures.representation import Representation

R = np.round(np.random.default_rng(0).normal(size=(5, 6, 7)) * 32) / 32  # exact in float16 and bfloat16
WHOLE = (R * 32).astype(int)

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
    "masked": (masked(2), r"^R: got an array with 42 masked numbers, needs none$"),
    "masked in a list": ([masked(0)[0], masked(0)[1]], "got an array with 42 masked"),
    "complex": (R + 0j, "^R: got complex numbers, needs an array of real numbers$"),
    "complex list": ([[1j, 2.0], [1.0, 2.0]], "got complex numbers, needs"),
    "complex tensor": (torch.tensor(R) + 0j, "got complex numbers, needs"),
    "text": (R.astype(str), "got text, needs"),
    "bytes": (R.astype("S"), "got text, needs"),
    "dates": (WHOLE.astype("datetime64[D]"), "got values of type datetime64"),
    "records": (np.zeros(4, dtype=[("a", float), ("b", int)]), "got values of type"),
    "None last": ([[1.0, None], [2.0, 3.0]], r"got None at \(0, 1\), needs an array of real numbers"),
    "None": ([[None, 1.0], [2.0, 3.0]], r"got None at \(0, 0\), needs an array of real numbers"),
    "fractions": ([[Fraction(1, 3), 1], [2, 3]], r"got Fraction at \(0, 0\)"),
    "complex object": (np.array([[1j, 2], [3, 4]], dtype=object), r"got complex at \(0, 0\)"),
    "large integers": ([[2**53 + 1, 0], [1, 2]], r"got 9007199254740993 at \(0, 0\), needs numbers that float64 holds"),
    "large unsigned": (np.array([[0, 1], [2**64 - 1, 2]], dtype=np.uint64), r"at \(1, 0\), needs numbers that float64"),
    "huge integers": ([[10**400, 0], [1, 2]], "an integer beyond the range of float64"),
    "ragged": ([[1.0], [1.0, 2.0]], "got list of unequal parts, needs an array of real numbers"),
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


@pytest.mark.parametrize("given", [[2**53 + 1, 0.5], [2**63 + 1, -1], [[2**53 + 1], [0.5]]])
def test_an_integer_beside_floats_keeps_its_digits_or_is_refused(given):
    with pytest.raises(RequestError, match="needs numbers that float64 holds exactly"):
        arrays.numbers(given, "R")
    assert arrays.numbers([2**54, 0.5], "R").tolist() == [2.0**54, 0.5]
