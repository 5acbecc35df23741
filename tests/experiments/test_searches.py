"""The arithmetic of onsets, brackets and exponents, on curves whose answer is known."""

import numpy as np
import polars as pl
import pytest

from hyperfactor.experiments import data_efficiency, exterior, interpolation, percolation_onset
from hyperfactor.experiments.claims import over_seeds
from hyperfactor.experiments.data_efficiency import exponent, following, needed, steeper
from hyperfactor.experiments.percolation_onset import onset, predicted, resampled, steepness
from hyperfactor.images.gaussian import Bump


@pytest.mark.parametrize("begin", [1 / 64, 1 / 16, 1.0])
@pytest.mark.parametrize("step", [0.003, 0.137, 0.9])
def test_a_search_closes_in_on_a_step_from_wherever_it_begins(begin: float, step: float):
    """Enough from `step` on: the trials go there by doubling or halving, then close in, with none twice."""
    tried = [(begin, float(begin >= step))]
    while fraction := following(tried):
        tried.append((fraction, float(fraction >= step)))
    amounts = [fraction for fraction, _ in tried]
    assert len(set(amounts)) == len(amounts)
    _, low, high = needed(tried)  # pyright: ignore[reportGeneralTypeIssues]
    assert low < step <= high < data_efficiency.CLOSE * low
    assert len(tried) <= 3 + abs(np.log2(step / begin))


def test_a_search_ends_where_the_whole_set_is_too_small():
    assert following([(0.5, 0.1)]) == 1
    assert following([(0.5, 0.1), (1.0, 0.2)]) is None
    assert following([(0.1, 0.1), (1.0, 0.9)]) == pytest.approx(0.2)  # doubled, as if the whole had not been tried
    assert following([(0.1, 0.1), (0.2, 0.9), (1.0, 0.9)]) == pytest.approx(0.1 * 2**0.5)


def test_the_number_needed_is_read_between_two_trials():
    count, low, high = needed([(400.0, 0.8), (100.0, 0.4), (50.0, 0.1)])  # pyright: ignore[reportGeneralTypeIssues]
    assert (count, low, high) == (pytest.approx(200.0), 100.0, 400.0)  # half way in the logarithm
    assert needed([(100.0, 0.4)]) is None
    assert needed([(100.0, 0.9)]) is None  # it may be any number below


def test_the_exponent_of_a_power_law():
    sizes = np.array([16.0, 24, 32, 40])
    exact = exponent(sizes, 0.3 * sizes**2)
    assert (exact.value, *exact.interval) == pytest.approx((2, 2, 2))
    found = exponent(sizes, sizes * np.array([1.1, 0.95, 1.0, 1.05]))
    assert found.low < found.value < found.high
    assert found.low < 1 < found.high


def test_intervals_of_exponents_contain_the_truth_where_seeds_share_what_a_line_does_not_fit():
    """Sizes deviate from a power by 20 % each, alike for three seeds, whose own scatter is 3 %. The slope through these
    sizes is the truth over seeds; the power itself is that over sizes, of which the means over seeds are a sample."""
    generator, sizes, within = np.random.default_rng(0), np.array([8.0, 16, 24, 32]), np.zeros(2)
    for _ in range(300):
        shared = sizes**1.5 * np.exp(0.2 * generator.normal(size=4))
        counts = shared * np.exp(0.03 * generator.normal(size=(3, 4)))
        of_seeds = over_seeds([exponent(sizes, of_seed) for of_seed in counts])
        of_means = exponent(sizes, np.exp(np.log(counts).mean(axis=0)))
        assert of_seeds.value == pytest.approx(of_means.value)
        slope = np.polyfit(np.log(sizes), np.log(shared), 1)[0]
        within += (of_seeds.low <= slope <= of_seeds.high, of_means.low <= 1.5 <= of_means.high)
    assert within[0] / 300 > 0.93
    assert within[1] / 300 == pytest.approx(0.95, abs=0.04)


def test_a_difference_of_exponents_has_welchs_interval():
    """The same scatter about two powers: the error grows by the root of 2 and the degrees of freedom add up. Beside a
    power without scatter it is the interval of the other exponent."""
    sizes = np.array([8.0, 16, 32, 64])
    scatter = np.array([1.1, 0.95, 1.0, 1.05])
    one = exponent(sizes, sizes * scatter)
    error = (one.high - one.low) / 2 / 4.302653  # Student's t at 0.975 with 2 degrees of freedom
    found = steeper((sizes, 5 * sizes**2 * scatter), (sizes, sizes * scatter))
    half = 2.776445 * 2**0.5 * error  # 4 degrees of freedom
    assert (found.value, *found.interval) == pytest.approx((1, 1 - half, 1 + half))
    alone = steeper((sizes, sizes * scatter), (sizes, 3 * sizes))
    assert (alone.value, *alone.interval) == pytest.approx((one.value - 1, one.low - 1, one.high - 1))


def test_an_onset_by_hand():
    assert onset(np.array([0.1, 0.2, 0.4]), np.array([0.0, 0.25, 0.75])) == pytest.approx(0.3)
    assert onset(np.array([0.1, 0.2]), np.array([1.0, 1.0])) == pytest.approx(0.05)
    assert onset(np.array([0.1, 1.0]), np.array([0.0, 0.4])) is None


def test_the_steepness_of_known_curves_does_not_depend_on_how_densely_they_are_sampled():
    """Of the power e it is e; of the logistic function of k ln(lambda) it is k / 2."""
    for count in (40, 400):
        at = np.geomspace(0.001, 1, count)
        assert steepness(at, at) == pytest.approx(1)
        assert steepness(at, at**2) == pytest.approx(2, rel=0.02)
        assert steepness(at, 1 / (1 + (0.05 / at) ** 4)) == pytest.approx(2, rel=0.05)
    assert steepness(np.array([0.01, 0.1, 1.0]), np.array([0.0, 0.0, 0.1])) == pytest.approx(np.log(3) / np.log(100))
    assert steepness(np.array([0.1, 0.2, 1.0]), np.array([0.0, 0.25, 0.5])) == pytest.approx(np.log(3) / np.log(5))


def test_a_crossing_between_distant_fractions_is_told():
    """A share of 5 lambda, 1 at most, reaches 3/4 between 0.1 and 1. The slope would be 0.46 in place of 1."""
    at = np.array(percolation_onset.LAMBDAS)
    assert percolation_onset._bracket(at, np.minimum(1, 5 * at), 0.75) == (0.1, 1.0)
    assert percolation_onset._bracket(at, np.minimum(1, 12 * at), 0.25) == (0.02, 0.03)
    assert percolation_onset._bracket(at, np.ones(6), 0.75) is None
    assert percolation_onset._bracket(at, np.zeros(6), 0.75) is None


def test_resampling_finds_the_interval_of_a_share():
    """Of one point of the curve: close to the normal interval p +- 1.96 sqrt(p (1 - p) / n)."""
    table = pl.DataFrame({"seed": 0, "sigma": [1.0, 1.0], "fraction": [0.1, 1.0], "right": [0.3, 1.0], "n": 1024})
    found = resampled(table, 0, lambda curves: float(curves[0][1][0]))
    half = 1.96 * (0.3 * 0.7 / 1024) ** 0.5
    assert (found.value, *found.interval) == pytest.approx((0.3, 0.3 - half, 0.3 + half), abs=0.004)


def test_predicted_onsets_are_the_published_thresholds():
    """At an overlap of 0.05 bumps of sigma 0.3 reach 1.04 pixels, 4 neighbours; of 0.5 reach 1.73, 8 neighbours."""
    assert predicted(0.3, 0.05) == pytest.approx(0.592746, abs=0.004)
    assert predicted(0.5, 0.05) == pytest.approx(0.407254, abs=0.004)
    assert predicted(0.1, 0.05) == 1


def test_what_is_held_out_is_not_trained_on():
    for spec in (*interpolation.specs("laptop", 0).values(), *exterior.specs("laptop", 0).values()):
        trained = {tuple(p) for p in spec.task.points.tolist()}
        (held_out,) = ({tuple(p) for p in spec.task.region(r).tolist()} for r in spec.data.test.values())
        assert not trained & held_out
        assert len(trained) + len(held_out) == 32**2


def test_a_lesion_has_its_width_and_squares_their_sides():
    for width in interpolation.WIDTHS:
        spec = interpolation.specs("laptop", 0)[str(width)]
        values = np.unique(spec.task.region("lesion")[:, 0])
        assert len(values) == width
        assert values[0] > 8
    found = {role: len(s.task.region("held out")) for role, s in exterior.specs("laptop", 0).items()}
    assert all(n == int(role.split()[2]) ** 2 for role, n in found.items())


def test_the_sets_of_the_search_have_their_sizes():
    found = data_efficiency.specs("laptop", 0)
    trained = {role: len(spec.task.points) for role, spec in found.items()}
    for size in data_efficiency.SIZES:
        assert trained[f"bumps | {size} | 0"] == trained[f"bumps + stripes | {size} | 0"] == 2 * size
    assert trained["bumps | 32 | 1"] == 32**2
    assert trained["bumps + stripes | 32 | 1"] == 32**2 + 2 * 32 * data_efficiency.MARGIN
    models = percolation_onset.specs("laptop", 0)
    assert len(models["2 | 0.1"].task.points) == round(0.1 * 32**2)
    assert models["2 | 0.1"].data.picture == Bump(sigma=2.0)
