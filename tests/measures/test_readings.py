"""Readings = a known signal + independent noise: corrected measures give the signal's values, plain ones drift as
derived."""

import json

import numpy as np
import pytest
import torch

from hyperfactor.errors import RequestError
from hyperfactor.measures.comparison import statistics
from hyperfactor.measures.dimension import participation_ratio
from hyperfactor.measures.geometry import (
    additivity,
    clifford_torus,
    compare,
    displacement_cosines,
    hyper_factorized_torus,
    torus_3d,
)
from hyperfactor.measures.readings import inner, noise_share, noise_variance, products, squared_lengths

N, D = 16, 256


def readings(
    S: np.ndarray, share: float, seed: int, count: int = 2, dimensions: int = D, noisy: int | None = None
) -> list[np.ndarray]:
    """S in more dimensions, with isotropic noise in the first `noisy`: a share of the variance of a reading."""
    R = np.zeros((*S.shape[:-1], dimensions))
    R[..., : S.shape[-1]] = S - S.mean(axis=(0, 1))
    variance = np.mean(np.sum(R**2, axis=-1))
    noisy = noisy or dimensions
    each = np.sqrt(variance * share / (1 - share) / noisy) * (np.arange(dimensions) < noisy)
    generator = np.random.default_rng(seed)
    return [R + each * generator.normal(size=R.shape) for _ in range(count)]


def conjunctive(seed: int = 0, dimensions: int = 40) -> np.ndarray:
    """A random vector for each pair of values: all interaction, and no noise."""
    return np.random.default_rng(seed).normal(size=(N, N, dimensions))


SHAPES = {
    "Clifford torus": clifford_torus(N),
    "3D torus": torus_3d(N),
    "hyper-factorized torus": hyper_factorized_torus(N, 1.0),
    "conjunctive code": conjunctive(),
    "conjunctive code, 10 dimensions": conjunctive(dimensions=10),
    "Clifford torus with a weak conjunctive code": np.concatenate([clifford_torus(N), 0.15 * conjunctive()], axis=-1),
}
KINDS = ("x-on-y", "x-on-x", "y-on-y")


def means(R) -> dict[str, float]:
    found = compare(R, bootstrap=2)
    values = {f"{kind} {test}": found.statistics[f"{kind} {test}"].mean() for kind in KINDS for test in
              ("orthogonality", "parallelism")}  # fmt: skip
    values |= {"interaction": additivity(R).interaction, "x main": additivity(R).main[0]}
    values["dimension"] = participation_ratio(R if isinstance(R, list) else R.reshape(-1, R.shape[-1]))
    return {name: float(value) for name, value in values.items()}


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2])
@pytest.mark.parametrize("name", SHAPES)
def test_corrected_measures_are_those_of_the_signal(name, share):
    """Without bias to 0.02 with two drawings a point at 20 % noise; twelve seeds, so that what is left is bias."""
    S = SHAPES[name]
    true = means(S)
    found = [means(readings(S, share, seed)) for seed in range(1 if share == 0 else 12)]
    for key, value in true.items():
        within = 0.02 * value if key == "dimension" else 0.02
        assert np.mean([of_seed[key] for of_seed in found]) == pytest.approx(value, abs=within), key


def test_where_the_correction_has_a_bias():
    """Noise in the few directions of the signal turns them by more than the correction knows, and noise hides the short
    steps of a curve: the limits that docs/noise.md states."""
    angles = 2 * np.pi * np.arange(N) / N
    warped = angles + 0.6 * np.sin(angles)
    ring = np.stack([np.cos(warped), np.sin(warped)], axis=-1)
    torus = np.concatenate(np.broadcast_arrays(ring[:, None], ring[None]), axis=-1)
    for S, noisy, name, largest in (
        (hyper_factorized_torus(N, 0.6), 12, "x-on-x orthogonality", 0.16),
        (torus, None, "y-on-y parallelism", 0.09),
    ):
        found = [means(readings(S, 0.2, seed, noisy=noisy))[name] for seed in range(6)]
        assert 0.02 < abs(np.mean(found) - means(S)[name]) < largest


def test_at_half_noise_a_clifford_torus_stays_one():
    found = [means(readings(clifford_torus(N), 0.5, seed)) for seed in range(8)]
    mean = {key: np.mean([of_seed[key] for of_seed in found]) for key in found[0]}
    assert mean["x-on-x parallelism"] == pytest.approx(1, abs=0.1)
    assert mean["x-on-y parallelism"] == pytest.approx(0, abs=0.1)
    assert mean["x-on-x orthogonality"] == pytest.approx(0, abs=0.02)
    assert mean["x-on-y orthogonality"] == pytest.approx(1, abs=0.02)
    assert mean["interaction"] == pytest.approx(0, abs=0.02)
    assert mean["dimension"] == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize(("share", "lag"), [(0.005, 1), (0.02, 1), (0.1, 1), (0.02, 4), (0.2, 4), (0.5, 8)])
def test_plain_parallelism_drifts_with_noise_and_step_as_derived(share, lag):
    R = readings(clifford_torus(N), share, 0, dimensions=4000)
    step, noise = (
        (2 * np.sin(np.pi * lag / N)) ** 2,
        2 * share / (1 - share),
    )  # |step|^2, tau^2: the torus has variance 2
    expected = step / (step + 2 * noise)
    plain = displacement_cosines(R[0], lag, periodic=True)
    assert plain.across[0].mean() == pytest.approx(expected, abs=0.02)
    corrected = displacement_cosines(R, lag, periodic=True)
    assert corrected.across[0].mean() == pytest.approx(1, abs=0.02)
    assert corrected.ceiling == pytest.approx((expected, expected), abs=0.02)  # equal steps are all that noise spares
    assert corrected.noise == pytest.approx(share, abs=0.005)


def test_plain_interaction_and_dimension_drift_and_corrected_do_not():
    R = readings(clifford_torus(N), 0.2, 0)
    assert additivity(R[0]).interaction == pytest.approx(0.2 * (N - 1) ** 2 / (N * N - 1), abs=0.01)
    assert additivity(R[0]).noise is None
    assert participation_ratio(R[0].reshape(-1, D)) > 5.5
    assert participation_ratio([R[0].reshape(-1, D), R[1].reshape(-1, D)]) == participation_ratio(R)


def test_six_percent_of_noise_shows_the_signature_in_a_clifford_torus_and_the_correction_takes_it_away():
    R = readings(clifford_torus(32), 0.06, 0)
    nearer, farther = ("3D torus", "x-on-y parallelism"), ("Clifford torus", "x-on-x parallelism")
    assert (
        compare(R[0], bootstrap=20).margin("x-on-x parallelism", nearer, farther)[1] > 0.3
    )  # hyper-factorized, it seems
    assert compare(R, bootstrap=20).margin("x-on-x parallelism", nearer, farther)[2] < -0.9


@pytest.mark.parametrize("S", [*SHAPES.values(), torus_3d(N)], ids=[*SHAPES, "3D torus"])
def test_equal_readings_say_what_one_says(S):
    one, two = compare(S, bootstrap=5), compare([S, S.copy()], bootstrap=5)
    for name, values in one.statistics.items():
        assert two.statistics[name].mean() == pytest.approx(values.mean(), abs=1e-6)
    assert two.noise == pytest.approx(0, abs=1e-12)
    a, b = displacement_cosines(S, periodic=True), displacement_cosines([S, S], periodic=True)
    for p, q in zip((a.cross, *a.across, *a.within), (b.cross, *b.across, *b.within), strict=True):
        assert q == pytest.approx(p, abs=1e-6)
    assert b.ceiling == pytest.approx((1, 1))
    assert additivity([S, S]).interaction == pytest.approx(additivity(S).interaction, abs=1e-12)
    assert participation_ratio([S, S]) == pytest.approx(participation_ratio(S.reshape(-1, S.shape[-1])))


def test_a_conjunctive_code_is_not_called_noise():
    R = readings(conjunctive(), 0.3, 0, count=3)
    found = additivity(R)
    assert found.interaction > 0.85
    assert found.noise == pytest.approx(0.3, abs=0.01)
    assert compare(R, bootstrap=2).noise == pytest.approx(0.3, abs=0.01)


def test_more_readings_say_it_more_precisely():
    def spread(count):
        found = [
            displacement_cosines(readings(clifford_torus(N), 0.4, seed, count, 40), periodic=True) for seed in range(6)
        ]
        return np.std([of_seed.across[0].mean() for of_seed in found])

    assert spread(8) < 0.5 * spread(2)


def test_the_ceiling_says_what_noise_leaves_of_equal_curves():
    found = compare(readings(clifford_torus(N), 0.2, 0), bootstrap=2)
    assert 0.2 < found.ceiling["x-on-x orthogonality"] < 0.45
    assert found.statistics["x-on-x orthogonality"].mean() == pytest.approx(0, abs=0.02)
    assert found.ceiling["x-on-x parallelism"] == found.ceiling["x within"] < 0.2
    json.dumps([found.to_json(), additivity(readings(clifford_torus(N), 0.2, 0)).to_json()], allow_nan=False)


def test_statistics_alone_are_those_of_the_comparison():
    for R in (readings(torus_3d(N), 0.1, 0, count=3), torus_3d(N)):
        alone, found = statistics(R), compare(R, bootstrap=2)
        assert list(alone.values) == list(found.statistics)
        for name, values in alone.values.items():
            assert np.array_equal(values, found.statistics[name])
        assert (alone.noise, alone.ceiling) == (found.noise, found.ceiling)


# ---- inner products ----


def test_products_across_readings_have_no_noise_in_expectation():
    generator = np.random.default_rng(0)
    u, v = generator.normal(size=(2, 50))
    noise = generator.normal(size=(2, 4, 20_000, 50))
    A, B = u + noise[0], v + noise[1]
    for mean, true in ((inner(A, A).mean(), u @ u), (inner(A, B).mean(), u @ v), (inner(A, 2 * A).mean(), 2 * u @ u)):
        assert mean == pytest.approx(true, abs=0.3)  # within a reading u @ u is 50 too large
    assert noise_variance(A[:2, :4000]) == pytest.approx(np.var(inner(A[:2], A[:2])), rel=0.1)
    assert noise_variance(A) == pytest.approx(np.var(inner(A, A)), rel=0.1)


def test_products_are_those_of_each_pair_of_rows():
    A, B = np.random.default_rng(0).normal(size=(2, 3, 5, 4, 7))
    found = products(A, B)
    for i in range(4):
        for j in range(4):
            assert found[:, i, j] == pytest.approx(inner(A[:, :, i], B[:, :, j]))
    assert products(A[:1], B[:1]) == pytest.approx(A[0] @ B[0].swapaxes(1, 2))


def test_lengths_without_noise_are_exact_and_with_much_noise_alike():
    u = np.random.default_rng(0).normal(size=(6, 9, 30)) * np.arange(1, 7)[:, None, None]
    assert squared_lengths(np.stack([u, u])) == pytest.approx(np.sum(u**2, axis=-1))
    noisy = u + 100 * np.random.default_rng(1).normal(size=(2, 6, 9, 30))
    assert np.ptp(squared_lengths(noisy)) < 0.4 * np.ptp(inner(noisy, noisy))
    assert noise_share(u[None] - u.mean(axis=(0, 1))) is None


def test_short_steps_that_noise_hides_have_no_length_and_long_ones_keep_theirs():
    u = (
        np.random.default_rng(0).normal(size=(8, 40, 30))
        * np.array([10.0, 10, 10, 10, 1e-3, 1e-3, 1e-3, 1e-3])[:, None, None]
    )
    found = squared_lengths(u + 0.3 * np.random.default_rng(1).normal(size=(2, 8, 40, 30)))
    assert found[:4] == pytest.approx(np.sum(u[:4] ** 2, axis=-1), rel=0.2)
    assert np.mean(found[4:] == 0) > 0.6  # the others are by chance longer than their error


@pytest.mark.parametrize("name", ["Clifford torus", "hyper-factorized torus"])
def test_intervals_cover_the_noise_that_all_cosines_share(name):
    """A bootstrap over pairs of steps alone has a third of the width, and contains the truth in a half of these."""
    found = [compare(readings(SHAPES[name], 0.2, seed, dimensions=128), seed=seed) for seed in range(12)]
    for kind in KINDS[1:]:
        values, ends = [], []
        for of_seed in found:
            drawn = of_seed.resampled[f"{kind} parallelism"].mean(axis=1)
            values.append(of_seed.statistics[f"{kind} parallelism"].mean())
            ends.append(values[-1] + np.quantile(drawn, [0.025, 0.975]) - drawn.mean())
        assert sum(low <= 1 <= high for low, high in ends) >= 10
        needed = 2 * 1.96 * np.std(values, ddof=1)
        assert 0.6 < np.mean(np.diff(ends)) / needed < 2


# ---- what is taken ----


def test_readings_of_any_type_and_scale():
    R = readings(clifford_torus(6), 0.1, 0, dimensions=10)
    expected = means(R)
    for given in (tuple(R), [torch.tensor(part) for part in R], [part * 1e200 + 1e201 for part in R]):
        assert means(list(given)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("given", "said"), [
    ([clifford_torus(6)], "R: got a list of 1 reading, needs two or more, or the array itself"),
    ([clifford_torus(6), clifford_torus(7)], r"R\[1\]: got shape \(7, 7, 4\), needs that of the first"),
    ([clifford_torus(6), np.full((6, 6, 4), np.inf)], r"R\[1\]: got inf at \(0, 0, 0\)"),
])  # fmt: skip
def test_bad_readings(given, said):
    for measure in (additivity, displacement_cosines, compare):
        with pytest.raises(RequestError, match=said):
            measure(given)


def test_readings_of_noise_alone_are_said_to_have_nothing_in_common():
    noise = np.random.default_rng(1).normal(size=(2, 6, 6, 30))
    for measure in (additivity, participation_ratio):
        with pytest.raises(
            RequestError, match="got readings that have no variance in common, needs more of them or less"
        ):
            measure([noise[0], -noise[0] + 0.1 * noise[1]])
    with pytest.raises(RequestError, match="got steps that are no longer than their noise, needs longer ones"):
        displacement_cosines([noise[0], -noise[0] + 0.1 * noise[1]])
    with pytest.raises(RequestError, match="corrected: got true for several readings"):
        participation_ratio(list(noise), corrected=True)


def test_noise_of_a_few_places_makes_no_step_of_no_length():
    """A tenth of the places have noise a hundred times as strong as the others: drawings at the wrong place."""
    generator = np.random.default_rng(0)
    S = np.pad(clifford_torus(N), ((0, 0), (0, 0), (0, D - 4)))
    found = []
    for _ in range(6):
        each = np.where(generator.random((2, N, N, 1)) < 0.1, 0.2, 0.002)
        found.append(compare(list(S + each * generator.normal(size=(2, *S.shape))), bootstrap=2).statistics)
    for name, true in (("x-on-x parallelism", 1), ("y-on-y parallelism", 1), ("x-on-y parallelism", 0)):
        assert np.mean([of[name].mean() for of in found]) == pytest.approx(true, abs=0.25)
    vectors = np.where(generator.random((1, 60, 60, 1)) < 0.1, 1, 0.01) * generator.normal(size=(2, 60, 60, 30))
    assert noise_variance(vectors) == pytest.approx(np.var(inner(vectors, vectors)), rel=0.5)


def test_the_noise_does_not_depend_on_the_order_of_readings():
    vectors = np.random.default_rng(0).normal(size=(4, 5, 6, 30))
    for apart in (0, 1):
        found = noise_variance(vectors, apart)
        assert noise_variance(vectors[[2, 0, 3, 1]], apart) == pytest.approx(found, rel=1e-12)


def test_the_noise_of_a_cloud_does_not_depend_on_the_order_of_its_points():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(2, 40, 30))
    assert noise_variance(vectors[:, generator.permutation(40)]) == pytest.approx(noise_variance(vectors), rel=1e-12)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("apart", [0, 1])
@pytest.mark.parametrize("shape", [(7, 9), (3,), (2, 1), (40, 3)])
def test_the_noise_is_that_of_all_pairs_of_places_that_share_none(shape: tuple[int, ...], apart: int, m: int):
    """By loops over the formula's pairs, with a vector that is not there."""
    d = 5
    vectors = np.random.default_rng(0).normal(size=(m, *shape, d)) + np.arange(d)
    if len(shape) == 2 and min(shape) > 2:
        vectors[:, 1, 2] = np.nan
    places = [place for place in np.ndindex(shape) if not np.isnan(vectors[(0, *place)]).any()]

    def share(p: tuple[int, ...], q: tuple[int, ...]) -> bool:
        return all(min((i - j) % n, (j - i) % n) <= apart for i, j, n in zip(p, q, shape, strict=True))

    paired = [(p, q) for p in places for q in places if not share(p, q)]
    paired = paired or [(p, q) for p in places for q in places if p != q]
    mean, with_vectors, with_noise, uneven = vectors.mean(axis=0), [], [], []
    for reading in vectors:
        noise = (reading - mean) * np.sqrt(m / (m - 1))
        with_vectors.append(np.mean([(noise[p] @ mean[q]) ** 2 for p, q in paired]))
        with_noise.append(np.mean([(noise[p] @ noise[q]) ** 2 for p, q in paired]))
        powers = np.array([noise[p] @ noise[p] for p in places])
        uneven.append(np.mean(powers**2) / (np.mean(powers) ** 2 + 2 * with_noise[-1]))
    expected = 4 / m * np.mean(with_vectors) + (2 / (m * (m - 1)) - 4 / m**2) * np.mean(with_noise)
    expected += 2 / (m * (m - 1)) * np.mean(with_noise) * max(0, np.mean(uneven) - 1)
    assert noise_variance(vectors, apart) == pytest.approx(max(expected, 0), rel=1e-9)
