"""The nearest trained point, against a comparison of all points by hand."""

import numpy as np
import pytest

from hyperfactor import RequestError
from hyperfactor.factors.copying import copied
from hyperfactor.factors.space import Factor, FactorSpace


@pytest.mark.parametrize("tolerance", [1.0, 1e-3, 1e-7, 1e-12])
def test_a_mismatch_weighs_more_than_any_distance(tolerance: float):
    line = Factor("x", 0, 1000, tolerance=tolerance)
    category, exact = Factor("c", 0, 2, "categorical"), Factor("t", 0, 1, tolerance=0.0)
    for first in (category, exact):
        space = FactorSpace((first, line))
        nearest, correct = copied(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1000.0]]), space)
        assert nearest.tolist() == [1]
        assert correct.tolist() == [[True, False]]


def test_the_fewest_mismatches_come_first_then_the_distance_then_the_order():
    """The nearest by sorting all trained points by (mismatches, distance, number)."""
    space = FactorSpace((
        Factor("c", 0, 2, "categorical"), Factor("d", 0, 2, "categorical", 3.0),
        Factor("x", 0, 9, tolerance=0.5), Factor("y", 0, 8, "periodic", tolerance=1e-7),
    ))  # fmt: skip
    generator = np.random.default_rng(0)
    trained = np.stack([generator.integers(0, n, 60) for n in (2, 3, 10, 8)], axis=1).astype(float)
    asked = np.stack([generator.integers(0, n, 200) for n in (3, 3, 10, 8)], axis=1).astype(float)

    def key(point: np.ndarray, k: int) -> tuple[float, float, int]:
        c, d, x, y = trained[k] - point
        turned = min(abs(y), 8 - abs(y))
        return int(c != 0) + int(d != 0), (x / 0.5) ** 2 + (turned / 1e-7) ** 2, k

    expected = [min(range(60), key=lambda k, point=point: key(point, k)) for point in asked]
    assert copied(asked, trained, space)[0].tolist() == expected


def test_no_trained_point_is_told():
    space = FactorSpace((Factor("x", 0, 1),))
    with pytest.raises(RequestError, match=r"^trained: got an array of shape \(0, 1\), needs at least one point$"):
        copied(np.zeros((1, 1)), np.zeros((0, 1)), space)
