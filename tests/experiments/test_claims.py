import numpy as np
import pytest

from hyperfactor.experiments.claims import Bound, claim, exactly, paired_difference, proportion


def test_wilson_s_interval_has_its_published_values():
    """Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    for k, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = proportion(np.arange(n) < k)
        assert found == pytest.approx((k / n, low, high), abs=5e-5)


def test_a_paired_difference_by_hand():
    a, b = np.array([1, 1, 1, 0], dtype=bool), np.array([0, 1, 0, 0], dtype=bool)
    mean, low, high = paired_difference(a, b)  # differences 1, 0, 1, 0; deviation 1 / sqrt 3
    assert mean == 0.5
    assert (low, high) == pytest.approx((0.5 - 1.96 / np.sqrt(12), 0.5 + 1.96 / np.sqrt(12)))


def test_a_claim_holds_when_every_seed_is_within_the_bound():
    seeds = [(0.97, 0.95, 0.99), (0.94, 0.9, 0.96)]
    found = claim("id", "4", "text", Bound(">=", 0.95), seeds)
    assert found.measured == pytest.approx(0.955)
    assert found.interval == (0.9, 0.99)
    assert not found.holds
    assert claim("id", "4", "text", Bound(">=", 0.94), seeds).holds
    assert found.to_json()["bound"] == ">= 0.95"


def test_a_claim_in_words():
    found = claim("id", "4", "text", Bound(">", 0), [(0.97, 0.95, 0.99), (0.94, 0.9, 0.96)])
    assert (found.spread, found.each(2)) == ("0.900 to 0.990", "0.970, 0.940")
    of_all = claim("id", "5", "text", Bound(">", 0), [exactly(0.189)])
    assert (of_all.spread, of_all.each(2), of_all.each(1)) == ("none", "together", "0.189")


@pytest.mark.parametrize(("relation", "below", "at", "above"), [(">=", 0, 1, 1), ("<=", 1, 1, 0), (">", 0, 0, 1)])
def test_bounds(relation, below, at, above):
    bound = Bound(relation, 0.5)
    assert [bound.holds(value) for value in (0.4, 0.5, 0.6)] == [below, at, above]
