import math

import numpy as np
import pytest
from scipy.stats import t as student

from hyperfactor.errors import RequestError
from hyperfactor.experiments.claims import (
    Bound,
    Claim,
    Estimate,
    claim,
    combine,
    less,
    over_seeds,
    proportion,
    summary,
    unlike,
)


def shares(*counts: tuple[int, int]) -> list[Estimate]:
    return [proportion(np.arange(n) < k) for k, n in counts]


def test_wilson_s_interval_has_its_published_values():
    """Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    for k, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        (found,) = shares((k, n))
        assert (found.value, *found.interval) == pytest.approx((k / n, low, high), abs=5e-5)


def test_a_difference_of_shares_has_its_published_interval():
    """Newcombe, Statistics in Medicine 17 (1998) 873, table II, method 10: 56/70 - 48/80, 9/10 - 3/10, 10/10 - 0/10."""
    for a, m, b, n, low, high in (
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (10, 10, 0, 10, 0.6075, 1.0),
    ):
        found = less(*shares((a, m), (b, n)))
        assert (found.value, *found.interval) == pytest.approx((a / m - b / n, low, high), abs=5e-5)
        assert found.span == (-1, 1)


def test_a_weighted_sum_of_symmetric_intervals_adds_variances():
    """Half-widths 3 and 4, weights 1 and -2: sqrt(3^2 + 8^2)."""
    a, b = Estimate(1.0, -2.0, 4.0, "a"), Estimate(5.0, 1.0, 9.0, "b")
    found = combine((a, b), (1, -2))
    half = math.hypot(3, 8)
    assert (found.value, *found.interval) == pytest.approx((-9, -9 - half, -9 + half))
    assert found.method == "a and b"


def test_one_seed_has_the_interval_of_its_drawings_and_two_that_of_both():
    one, other = shares((45, 50), (40, 50))
    assert over_seeds([one]) is one
    both = over_seeds([one, other])
    assert both.value == pytest.approx(0.85)
    assert both.low == pytest.approx(0.85 - math.hypot(one.value - one.low, other.value - other.low) / 2)
    assert both.method == "Wilson over drawings of 2 seeds"


def test_three_seeds_have_students_interval_of_their_values():
    """0.1, 0.2, 0.6: mean 0.3, deviation 0.264575, t(0.975, 2) = 4.302653; a share is never below 0."""
    found = over_seeds(shares((100, 1000), (200, 1000), (600, 1000)))
    half = 4.302653 * 0.264575 / math.sqrt(3)
    assert (found.value, *found.interval) == pytest.approx((0.3, 0.0, 0.3 + half), abs=1e-5)
    free = over_seeds([Estimate(value, value, value, "exact") for value in (0.1, 0.2, 0.6)])
    assert free.interval == pytest.approx((0.3 - half, 0.3 + half), abs=1e-5)


def test_seeds_that_agree_keep_the_interval_of_their_drawings():
    """Three times 49 of 49: not an interval of length 0. It is narrower than that of one of them, by the root of 3."""
    (one,) = shares((49, 49))
    found = over_seeds([one] * 3)
    assert found.interval == pytest.approx((1 - (1 - one.low) / math.sqrt(3), 1))


def test_an_interval_of_seeds_covers_the_truth_as_often_as_it_says():
    """Models whose share scatters about 0.7 with a deviation of 0.05, 300 drawings each, three seeds."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        share = generator.normal(0.7, 0.05, 3).clip(0, 1)
        found = over_seeds([proportion(generator.random(300) < p) for p in share])
        covered += found.low <= 0.7 <= found.high
    low, high = student.interval(0.999, 1e9, 0.95, math.sqrt(0.95 * 0.05 / 400))
    assert low <= covered / 400 <= high + 0.02


@pytest.mark.parametrize(
    ("relation", "verdicts"),
    [
        (">=", ["fails", "undecided", "holds", "holds", "undecided"]),
        ("<=", ["holds", "holds", "undecided", "fails", "undecided"]),
        (">", ["fails", "fails", "undecided", "holds", "undecided"]),
    ],
)
def test_a_bound_is_within_outside_or_in_the_interval(relation, verdicts):
    intervals = [(0.1, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 0.7), (0.4, 0.6)]
    assert [Bound(relation, 0.5).verdict(*ends) for ends in intervals] == verdicts


def test_an_exact_value_at_its_bound():
    assert [Bound(relation, 0.5).verdict(0.5, 0.5) for relation in (">=", "<=", ">")] == ["holds", "holds", "fails"]


def asked(values, **more) -> Claim:
    return claim("id", "4", "text", Bound(">=", 0.95), lambda: values, **more)


def test_a_claim_in_words_and_in_json():
    found = asked([Estimate(0.97, 0.96, 0.99, "by hand")], terms="paper")
    assert found.cells() == ("0.970", "0.960 to 0.990", "by hand", "0.970")
    document = found.to_json()
    assert (document["bound"], document["verdict"], document["holds"]) == (">= 0.95", "holds", True)
    assert document["interval"] == (0.96, 0.99)
    assert asked([Estimate(0.9, 0.8, 0.94, "by hand")]).to_json()["holds"] is False
    assert asked([Estimate(0.9, 0.8, 0.99, "by hand")]).to_json()["holds"] is None
    assert asked([Estimate(0.97, 0.96, 0.99, "by hand")], of_all=True).cells()[3] == "together"


def test_a_claim_whose_precondition_fails_is_not_measured_and_not_computed():
    def never():
        raise AssertionError

    found = claim("id", "4", "text", Bound(">", 0), never, unless=[None, "the model has not learnt", "nor this"])
    assert (found.verdict, found.reason, found.measured, found.interval) == (
        "not measured", "the model has not learnt", None, None,
    )  # fmt: skip
    assert found.to_json()["holds"] is None
    assert found.cells() == ("", "", "", "")
    assert asked([Estimate(math.nan, 0, 1, "by hand")]).verdict == "not measured"


def test_a_value_that_training_did_not_change():
    start, end = shares((10, 100), (10, 100), (12, 100)), shares((80, 100), (85, 100), (90, 100))
    assert unlike(end, start) is None
    said = unlike(start, start)
    assert said is not None
    assert said.startswith(
        "the trained value, 0.107, does not differ from that of the untrained network, 0.107 (difference -0."
    )


def test_the_count_of_verdicts():
    claims = [asked([Estimate(v, v - 0.01, v + 0.01, "")]) for v in (0.97, 0.98, 0.95, 0.5)]
    claims.append(asked([], unless=["no model"]))
    assert summary(claims) == "2 of 5 claims hold; 1 fails, 1 is undecided, 1 was not measured"
    assert summary(claims[:1]) == "1 of 1 claims hold; 0 fail, 0 are undecided, 0 were not measured"


def test_no_estimates_and_no_outcomes_are_refused():
    with pytest.raises(RequestError, match="values: got no estimates"):
        claim("id", "4", "text", Bound(">", 0), list)
    for outcomes in (np.zeros(0, bool), np.array([1.0, np.nan])):
        with pytest.raises(RequestError, match="outcomes: got"):
            proportion(outcomes)
