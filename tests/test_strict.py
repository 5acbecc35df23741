import json
import math

import pytest

from hyperfactor.strict import dump_json, finite


def refuse(constant: str) -> None:
    raise ValueError(constant)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_wherever_it_stands(value: float):
    data = {
        "a": value,
        "b": [1, value, {"c": (value, 2.5)}],
        "d": {"e": value},
        "f": True,
        "g": None,
        "h": "NaN",
        "i": 3,
    }
    again = json.loads(dump_json(data), parse_constant=refuse)
    assert again == {
        "a": None, "b": [1, None, {"c": [None, 2.5]}], "d": {"e": None}, "f": True, "g": None, "h": "NaN", "i": 3,
    }  # fmt: skip
    assert finite(data)["f"] is True


def test_finite_numbers_come_back_to_the_bit():
    values = [0.1, 1e-310, 1.7976931348623157e308, -0.0, 2**70]
    again = json.loads(dump_json(values, indent=1, sort_keys=True))
    assert list(map(repr, again)) == list(map(repr, values))
