import numpy as np
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.measures.dimension import (
    levina_bickel,
    participation_ratio,
    participation_ratio_of_weighted,
    spectrum,
    two_nn,
)
from hyperfactor.measures.geometry import clifford_torus, hyper_factorized_torus, torus_3d
from hyperfactor.measures.readings import noise_variance


def flat(R):
    return R.reshape(-1, R.shape[-1])


def on_a_torus(n, seed=0):
    a, b = np.random.default_rng(seed).uniform(0, 2 * np.pi, (2, n))
    return np.stack([np.cos(a), np.sin(a), np.cos(b), np.sin(b)], axis=1)


def test_participation_ratio_of_known_shapes():
    assert participation_ratio(flat(clifford_torus(12))) == pytest.approx(4)
    # variances of the doughnut: (M^2 + m^2 / 2) / 2 twice, and m^2 / 2
    plane, height = (4 + 0.5) / 2, 0.5
    expected = (2 * plane + height) ** 2 / (2 * plane**2 + height**2)
    assert participation_ratio(flat(torus_3d(12, 2, 1))) == pytest.approx(expected)
    assert participation_ratio(flat(hyper_factorized_torus(12, 0))) == pytest.approx(2 * 11)  # one-hot: centred
    assert participation_ratio(np.outer(np.arange(9.0), np.ones(5))) == pytest.approx(1)


def test_participation_ratio_lies_between_for_uneven_axes():
    points = flat(clifford_torus(12)) * [1, 1, 0.5, 0.5]
    assert participation_ratio(points) == pytest.approx((2 + 0.5) ** 2 / (2 + 2 / 16))


def test_weights_stand_for_repeated_points():
    points, times = np.random.default_rng(0).normal(size=(20, 6)), np.random.default_rng(1).integers(0, 4, 20)
    weighted = participation_ratio_of_weighted([points])
    assert weighted(times) == pytest.approx(participation_ratio(np.repeat(points, times, axis=0)))
    assert weighted(7.0 * times) == pytest.approx(weighted(times))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_weights_of_many_samples_give_the_ratio_of_each(count):
    """Repeated points are whole numbers of weights, and the sums over pairs of readings are taken one by one here."""
    generator = np.random.default_rng(3)
    readings = np.pad(flat(clifford_torus(4)), ((0, 0), (0, 3))) + 0.1 * generator.normal(size=(count, 16, 7))
    times = generator.integers(0, 3, (5, 16))
    weighted = participation_ratio_of_weighted(list(readings))
    centred = readings - readings.mean(axis=1, keepdims=True)
    luck = noise_variance(centred) if count > 1 else 0.0
    for w, found in zip(times, weighted(times), strict=True):
        assert weighted(w) == pytest.approx(found)
        assert found == pytest.approx(by_pairs(readings, w / w.sum(), luck, centred))


def by_pairs(readings, w, luck, centred):
    """The ratio of `participation_ratio_of_weighted`, from every product of points and of readings."""
    count = len(readings)
    X = readings - np.tensordot(w, readings, (0, 1))[:, None]
    apart = [(a, b) for a in range(count) for b in range(count) if a != b or count == 1]
    lengths = np.mean([np.sum(X[a] * X[b], axis=1) for a, b in apart], axis=0)
    squares = np.mean([(X[a] @ X[b].T) * (X[c] @ X[d].T) for a, c in apart for b, d in apart], axis=0)
    np.fill_diagonal(squares, lengths**2 - luck)
    return (w @ lengths) ** 2 / (w @ squares @ w)


@pytest.mark.parametrize("count", [2, 3])
def test_few_and_many_dimensions_give_readings_the_same_ratio(count):
    """Where there are more points than dimensions the covariance is used, else inner products."""
    generator = np.random.default_rng(0)
    R = [flat(clifford_torus(6)) @ np.eye(4, 30) + 0.2 * generator.normal(size=(36, 30)) for _ in range(count)]
    wide = [np.pad(of_drawing, ((0, 0), (0, 10))) for of_drawing in R]
    assert participation_ratio(R) == pytest.approx(participation_ratio(wide))
    assert participation_ratio(R) == pytest.approx(participation_ratio_of_weighted(R)(np.ones(36)))


def test_the_correction_undoes_the_bias_of_few_samples():
    truth = 40.0  # normal samples with 40 equal variances
    found = np.array(
        [
            [participation_ratio(points), participation_ratio(points, corrected=True)]
            for points in (np.random.default_rng(seed).normal(size=(50, 40)) for seed in range(100))
        ]
    )
    plain, corrected = found.mean(axis=0)
    assert plain < 25
    assert corrected == pytest.approx(truth, rel=0.02)


def test_spectrum():
    points = flat(clifford_torus(12)) * [3, 3, 1, 1]
    assert spectrum(points) == pytest.approx([0.45, 0.45, 0.05, 0.05])
    assert spectrum(np.random.default_rng(0).normal(size=(5, 9))).sum() == pytest.approx(1)


def curve(t):
    return np.stack([np.cos(t), np.sin(t) ** 2], 1) ** 3


@pytest.mark.parametrize(("points", "truth"), [
    (on_a_torus(2000), 2),
    (np.random.default_rng(0).normal(size=(2000, 5)), 5),
    (curve(np.random.default_rng(0).random(500) * 6), 1),
])  # fmt: skip
def test_intrinsic_dimension(points, truth):
    generator = np.random.default_rng(1)
    wide = points @ np.linalg.qr(generator.normal(size=(60, points.shape[1])))[0].T * 7 + 3
    for measure in (levina_bickel, two_nn):
        assert measure(points) == pytest.approx(truth, rel=0.1)
        assert measure(wide) == pytest.approx(measure(points), rel=1e-4)


def test_numbers_at_random_have_one_dimension():
    assert two_nn(np.random.default_rng(0).random((500, 1))) == pytest.approx(1, abs=0.15)


def test_two_nn_says_that_a_lattice_is_none_of_its_business():
    with pytest.raises(RequestError, match="levina_bickel"):
        two_nn(flat(clifford_torus(16)))
    assert 2 < levina_bickel(flat(torus_3d(32))) < 2.6


def test_levina_bickel_equals_skdim():
    from skdim.id import MLE

    points = on_a_torus(300)
    for k in (5, 20):
        assert levina_bickel(points, k) == pytest.approx(MLE().fit(points, n_neighbors=k).dimension_, rel=1e-6)


def test_levina_bickel_of_random_points_does_not_depend_on_the_number_of_neighbours():
    """The sum of k - 1 logarithms has the mean (k - 1) / d, for any k, where points are dense."""
    generator = np.random.default_rng(2)
    for dimension in (2, 3):
        points = generator.random((4000, dimension))
        for k in (3, 5, 20):
            assert levina_bickel(points, k) == pytest.approx(dimension, rel=0.08)


def test_mistakes():
    for measure in (participation_ratio, spectrum, two_nn, levina_bickel):
        with pytest.raises(RequestError, match="needs finite numbers"):
            measure(np.array([[1.0, np.inf], [0.0, 0.0]]))
        with pytest.raises(RequestError, match="all equal"):
            measure(np.ones((30, 3)))
        with pytest.raises(RequestError, match="got 1, needs at least 2"):
            measure(np.ones((1, 3)))
        with pytest.raises(RequestError, match=r"needs \(n, d\)"):
            measure(np.ones((3, 3, 3)))
    with pytest.raises(RequestError, match="distinct points: got 9, needs at least 10"):
        two_nn(np.arange(9.0)[:, None] ** 2)
    with pytest.raises(RequestError, match="neighbours: got 2"):
        levina_bickel(np.eye(30), neighbours=2)
    with pytest.raises(RequestError, match="equally far apart"):
        levina_bickel(np.eye(30))
