"""Validation of the arrays and integers that users pass to functions.

Numbers of any type and layout are accepted if float64 holds them exactly. Refused are masked numbers, complex numbers,
text, and integers beyond 2^53 that float64 would round.
"""

import math
import operator
import sys
from typing import Any

import numpy as np

from hyperfactor.errors import RequestError, quoted

EXACT = 2**53  # float64 holds every integer up to this one


def numbers(array: Any, name: str) -> np.ndarray:
    """Convert numbers to an array of float64, finite or not.

    Parameters
    ----------
    array : Any
        An array, a tensor, or a list of numbers or arrays.
    name : str
        What error messages call it.

    Returns
    -------
    numpy.ndarray
        float64, in the shape of the array.

    Raises
    ------
    RequestError
        If this is not an array of real numbers, a number is masked, or float64 does not hold it exactly.
    """
    try:
        given = _plain(array, name)
    except (TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(
            f"{name}: got {type(array).__name__} of unequal parts, needs an array of real numbers"
        ) from None
    if given.dtype.kind == "O":
        _check_objects(given, name)
    elif given.dtype.kind not in "fiub":
        kind = {"U": "text", "S": "text", "c": "complex numbers"}.get(given.dtype.kind, f"values of type {given.dtype}")
        raise RequestError(f"{name}: got {kind}, needs an array of real numbers")
    try:
        with np.errstate(over="ignore"):
            values = given.astype(np.float64)
    except OverflowError:
        raise RequestError(f"{name}: got an integer beyond the range of float64, needs smaller numbers") from None
    if (rounded := _rounded(given, values)).any():
        where = _first(rounded)
        raise RequestError(f"{name}: got {given[where]} at {where}, needs numbers that float64 holds exactly")
    return values


def integer(value: Any) -> int | None:
    """The value as an integer of Python, or None if it is not an integer. Truth values are not integers here."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def real(value: Any) -> float:
    """The value as a float of Python, or NaN if it is not a real number. Truth values and text are not numbers here."""
    if isinstance(value, bool | np.bool_ | str | bytes):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return math.nan


def whole(value: Any, name: str, least: int) -> int:
    """Validate an integer.

    Parameters
    ----------
    value : Any
        An integer of Python, numpy or torch.
    name : str
        What error messages call it.
    least : int
        The smallest allowed value.

    Returns
    -------
    int
        The value as an integer of Python.

    Raises
    ------
    RequestError
        If the value is not an integer of at least `least`.
    """
    number = integer(value)
    if number is None or number < least:
        raise RequestError(f"{name}: got {quoted(value)}, needs an integer of at least {least}")
    return number


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """The given values. Raises `RequestError` with the first that is not finite; `name` is what messages call them."""
    bad = ~np.isfinite(values)
    if bad.any():
        where = _first(bad)
        raise RequestError(f"{name}: got {values[where]} at {where}, needs finite numbers")
    return values


def _plain(array: Any, name: str) -> np.ndarray:
    """Convert arrays, tensors of torch, masked arrays and lists of them to a numpy array."""
    tensor_type = getattr(sys.modules.get("torch"), "Tensor", None)  # None too while another thread imports torch
    tensors = () if tensor_type is None else (tensor_type,)
    if isinstance(array, tensors):
        tensor = array.detach().cpu()
        tensor = tensor.to_dense() if str(tensor.layout) != "torch.strided" else tensor
        return (tensor.double() if tensor.is_floating_point() else tensor.resolve_conj()).numpy()
    if isinstance(array, np.ma.MaskedArray):
        if hidden := int(np.ma.getmaskarray(array).sum()):
            raise RequestError(f"{name}: got an array with {hidden} masked numbers, needs none")
        return np.asarray(array.data)
    if isinstance(array, list | tuple):
        checked = (list, tuple, np.ma.MaskedArray, *tensors)
        array = [_plain(part, name) if isinstance(part, checked) else part for part in array]
    found = np.asarray(array)
    if isinstance(array, list) and found.dtype == np.float64 and (np.abs(found) >= EXACT).any():
        return np.asarray(array, dtype=object)  # integers among floats keep all of their digits
    return found


def _check_objects(given: np.ndarray, name: str) -> None:
    for where, value in np.ndenumerate(given):
        if not isinstance(value, int | float | np.integer | np.floating | np.bool_):
            what = "None" if value is None else type(value).__name__
            raise RequestError(f"{name}: got {what}{f' at {where}' if where else ''}, needs an array of real numbers")


def _rounded(given: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mark the numbers that the conversion to float64 has changed."""
    if given.dtype.kind == "f":
        return (values.astype(given.dtype) != given) & ~np.isnan(values)
    changed = np.zeros(values.shape, dtype=bool)
    for where in map(tuple, np.argwhere(np.abs(values) >= EXACT)):
        whole = isinstance(given[where], int | np.integer)
        changed[where] = int(given[where]) != int(values[where]) if whole else given[where] != values[where]
    return changed


def _first(where: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(where)[0])
