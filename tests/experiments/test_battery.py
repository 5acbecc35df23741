"""The battery on representations of which something cannot be measured, and what it prints."""

import json

import numpy as np
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.experiments.battery import battery
from hyperfactor.figures import style
from hyperfactor.figures.battery import figure
from hyperfactor.measures.geometry import clifford_torus


def cell() -> np.ndarray:
    R = np.zeros((6, 6, 4))
    R[3, 5] = [1, 2, 3, 4]
    return R


def gate() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(6, 1, 4)) * (np.arange(6) == 2)[None, :, None]
    return x + np.random.default_rng(1).normal(size=(1, 6, 4))


def ring(n: int) -> np.ndarray:
    return clifford_torus((n,))


GIVEN = {
    "cell": cell(),
    "gate": gate(),
    "one unit": (np.arange(5.0)[:, None] ** 2 + np.arange(4.0))[..., None],
    "two values": np.random.default_rng(0).normal(size=(2, 2, 3)),
    "ring": ring(8),
    "one-hot": np.eye(25),
    "integers": (clifford_torus(5) * 64).astype(np.int8),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_cannot_be_measured_is_said_everywhere(name):
    found = battery(GIVEN[name], max_dim=1)
    json.dumps(found.to_json(), allow_nan=False)
    values, texts = dict(found.table().iter_rows()), dict(found.printed().iter_rows())
    assert list(values) == list(texts)
    for measure, value in values.items():
        assert (value is None) == (texts[measure].startswith(("not measured: ", "cannot be told")))
        assert value is None or float(texts[measure]) == pytest.approx(value, abs=0.0006)
    with style.context():
        style.save(figure(found, name), "svg")


def test_counts_are_printed_as_whole_numbers_and_too_few_points_are_named():
    texts = dict(battery(clifford_torus(20), landmarks=150).printed().iter_rows())
    assert [texts[f"Betti number {dim}"] for dim in range(3)] == ["1", "2", "1"]
    assert texts["variance explained by x"] == "0.500"
    few = battery(ring(8), max_dim=1)
    assert dict(few.printed().iter_rows())["Betti number 1"] == "cannot be told from so few points"
    assert dict(few.table().iter_rows())["Betti number 1"] is None
    assert few.to_json()["topology"]["betti"] == [None, None]
    assert few.to_json()["intrinsic_dimension"] is None


def test_a_cell_names_what_is_left_out():
    texts = dict(battery(cell(), max_dim=1).printed().iter_rows())
    assert texts["steps of x, another factor differs: mean cosine"] == "not measured: too few steps that have a length"
    assert "   left out of the distances: x-on-x parallelism" in texts
    assert texts["steps of x at two values: mean magnitude of the cosine"] == "1.000"


def test_a_factor_without_effect_is_refused_in_one_line():
    R = np.broadcast_to(np.arange(4.0)[None, :, None], (4, 4, 2))
    with pytest.raises(RequestError, match="^R, factor 0: got points that do not depend on it, needs some that do$"):
        battery(R, max_dim=1)
