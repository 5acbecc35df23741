import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hyperfactor.errors import RequestError
from hyperfactor.measures import comparison, steps, subspaces
from hyperfactor.measures.geometry import (
    additivity,
    clifford_torus,
    compare,
    displacement_cosines,
    hyper_factorized_torus,
    subspace_overlap,
    torus_3d,
)

N = 12


def one_hot(n: int = N) -> np.ndarray:
    return hyper_factorized_torus(n, 0)


def embedded(R: np.ndarray, seed: int, dimensions: int = 40) -> np.ndarray:
    """R rotated into more dimensions, shifted and scaled."""
    generator = np.random.default_rng(seed)
    axes = np.linalg.qr(generator.normal(size=(dimensions, R.shape[-1])))[0]
    return generator.uniform(0.1, 10) * (R @ axes.T) + generator.normal(size=dimensions)


def chord(separation: np.ndarray, n: int) -> np.ndarray:
    return np.cos(2 * np.pi * separation / n)


# ---- additivity ----


@pytest.mark.parametrize("R", [clifford_torus(N), one_hot(), hyper_factorized_torus(N, 2.0)])
def test_products_of_curves_are_wholly_additive(R):
    found = additivity(R)
    assert found.main == pytest.approx((0.5, 0.5), abs=1e-12)
    assert found.interaction == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("major", "minor"), [(2.0, 1.0), (3.0, 0.5), (1.0, 1.0)])
def test_the_doughnut_has_the_interaction_of_its_closed_form(major, minor):
    # R has mean square major^2 + minor^2; the ring explains major^2, the height minor^2 / 2
    found = additivity(torus_3d(N, major, minor))
    total = major**2 + minor**2
    assert found.main == pytest.approx((major**2 / total, minor**2 / 2 / total), abs=1e-12)
    assert found.interaction == pytest.approx(minor**2 / 2 / total, abs=1e-12)


def test_a_product_of_two_factors_is_pure_interaction():
    a = np.array([-1.0, 1.0])
    assert additivity((a[:, None] * a)[..., None]).interaction == pytest.approx(1)


def test_three_factors_are_told_apart():
    R = clifford_torus((4, 5, 6)) * np.repeat([1.0, 2.0, 3.0], 2)
    assert additivity(R).main == pytest.approx((1 / 14, 4 / 14, 9 / 14), abs=1e-12)


# ---- displacement cosines ----


def test_clifford_torus_cosines():
    found = displacement_cosines(clifford_torus(N))
    assert found.cross == pytest.approx(np.zeros(N * N), abs=1e-12)
    for k in (0, 1):
        assert found.across[k] == pytest.approx(np.ones(N * N * (N - 1) // 2), abs=1e-12)
        assert found.within[k] == pytest.approx(chord(found.separation[k], N), abs=1e-12)
        assert found.within[k].size == N * N * (N - 1) // 2


def test_one_hot_cosines():
    found = displacement_cosines(one_hot())
    assert found.cross == pytest.approx(np.zeros(N * N), abs=1e-12)
    for k in (0, 1):
        assert found.across[k] == pytest.approx(np.ones(N * N * (N - 1) // 2), abs=1e-12)
        neighbours = found.separation[k] == 1  # the last value and the first among them
        assert found.within[k] == pytest.approx(np.where(neighbours, -0.5, 0.0), abs=1e-12)


def test_doughnut_cosines():
    major, minor, angle = 2.0, 1.0, 2 * np.pi * np.arange(N) / N
    found = displacement_cosines(torus_3d(N, major, minor), periodic=True)
    # a step of y grows the ring by r; the chord that x steps along makes an angle of pi / N with the tangent
    grows, rises = np.diff(np.cos(np.append(angle, 0))), np.diff(np.sin(np.append(angle, 0)))
    cross = -np.sin(np.pi / N) * grows / np.hypot(grows, rises)
    assert found.cross.reshape(N, N) == pytest.approx(np.tile(cross, (N, 1)), abs=1e-6)
    assert found.across[0] == pytest.approx(np.ones_like(found.across[0]), abs=1e-6)
    first, second = np.triu_indices(N, 1)
    turned = np.cos(angle[second] - angle[first])  # of the plane in which y turns
    flat, high = (grows / np.hypot(grows, rises)) ** 2, (rises / np.hypot(grows, rises)) ** 2
    assert found.across[1].reshape(N, -1) == pytest.approx(flat[:, None] * turned + high[:, None], abs=1e-6)
    for k in (0, 1):
        assert found.within[k] == pytest.approx(chord(found.separation[k], N), abs=1e-6)


def test_bump_codes_have_the_cosines_of_their_autocorrelation():
    n, width = 32, 1.5
    found = displacement_cosines(hyper_factorized_torus(n, width), periodic=True)

    def correlation(s):  # of two Gaussians s apart
        s = np.minimum(s % n, n - s % n)
        return np.exp(-(s**2) / (4 * width**2))

    s = found.separation[0]
    expected = (2 * correlation(s) - correlation(s + 1) - correlation(s - 1)) / (2 - 2 * correlation(np.array(1)))
    assert found.within[0] == pytest.approx(expected, abs=1e-6)


def test_an_open_factor_has_no_step_across_the_seam():
    line = np.arange(5.0)[:, None, None] * [1.0, 0.0] + np.arange(4.0)[None, :, None] * [0.0, 2.0]
    found = displacement_cosines(line, periodic=False)
    assert found.cross == pytest.approx(np.zeros(4 * 3))
    assert found.within[0] == pytest.approx(np.ones(4 * 6))
    assert found.within[1] == pytest.approx(np.ones(5 * 3))
    wrapped = displacement_cosines(line, periodic=(True, False))
    assert wrapped.within[0].min() == pytest.approx(-1)
    assert displacement_cosines(line, lag=2, periodic=False).within[0].size == 4 * 3


def test_a_step_of_no_length_is_left_out():
    R = np.zeros((4, 3, 2))
    R[..., 0], R[..., 1] = np.array([0.0, 0.0, 1.0, 2.0])[:, None], np.arange(3.0)
    found = displacement_cosines(R, periodic=False)
    assert found.within[0] == pytest.approx(np.ones(3))
    assert found.cross == pytest.approx(np.zeros(4))


# ---- subspace overlap ----


def test_overlap_of_circles():
    angle = 2 * np.pi * np.arange(N) / N
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    in_12 = circle @ np.eye(4)[:2]
    in_34, in_23 = circle @ np.eye(4)[2:], circle @ np.eye(4)[1:3]
    assert subspace_overlap(in_12, 3 * in_12[::-1] + 7) == pytest.approx(1)
    assert subspace_overlap(in_12, in_34) == pytest.approx(0, abs=1e-12)
    assert subspace_overlap(in_12, in_23) == pytest.approx(0.5)


def test_overlap_counts_only_the_leading_directions():
    long, short = np.linspace(-1, 1, 9), 0.1 * np.cos(np.linspace(0, 9, 9))
    B = np.stack([long, short], axis=1)
    A = np.stack([np.zeros(9), long], axis=1)
    assert subspace_overlap(A, B, variance=0.95) < 0.01
    assert subspace_overlap(A, B, variance=1.0) == pytest.approx(1)


# ---- compare ----


@pytest.mark.parametrize(
    ("R", "nearest"),
    [
        (torus_3d(N), "3D torus"),
        (clifford_torus(N), "Clifford torus"),
        (hyper_factorized_torus(N, 1.0), "hyper-factorized torus"),
        (one_hot(), "hyper-factorized torus"),
        (torus_3d(N, 4, 1), "3D torus"),
    ],
)
def test_the_references_are_recognised_with_noise_and_without(R, nearest):
    noise = np.random.default_rng(0).normal(size=(N, N, 40)) * 0.02 * R.std()
    for given_ in (R, embedded(R, 3), embedded(R, 3) * 0 + np.pad(R, ((0, 0), (0, 0), (0, 40 - R.shape[-1]))) + noise):
        found = compare(given_, bootstrap=40)
        assert (found.nearest, found.support) == (nearest, 1.0)


def test_a_reference_is_at_no_distance_from_itself():
    found = compare(clifford_torus(N))
    assert found.total["Clifford torus"] == pytest.approx(0, abs=1e-9)
    for shape, (low, high) in found.interval.items():
        assert low <= found.total[shape] + 1e-12
        assert found.total[shape] <= high + 1e-12


def test_the_bootstrap_interval_grows_with_how_uneven_the_curves_are():
    generator = np.random.default_rng(1)
    even = clifford_torus(N) @ np.eye(4, 30)
    uneven = even + generator.normal(size=even.shape) * np.linspace(0, 0.3, N)[:, None, None]

    def width(R):
        low, high = compare(R).interval["Clifford torus"]
        return high - low

    assert width(uneven) > 3 * width(even)


def test_the_bootstrap_has_the_spread_of_new_curves():
    """Curve y is a circle in a plane of all curves, with weight cos(t), and in one of its own, with weight sin(t), for
    a random angle t. The cosine of matched steps of two curves is cos(t) cos(t'), so its mean has the truth (2 / pi)^2,
    and a spread over draws of curves that the bootstrap must tell from one draw. Drawing one curve of each pair again,
    instead of both, gives less than half of it."""
    generator, n, c = np.random.default_rng(0), 6, 16
    circle = np.stack([np.cos(np.arange(n) * 2 * np.pi / n), np.sin(np.arange(n) * 2 * np.pi / n)], axis=1)
    around = np.arange(c) * 2 * np.pi / c
    ideal = ("C", "x-on-y parallelism"), ("C", "x-on-x parallelism")
    found = []
    for seed in range(60):
        angle = generator.random(c) * np.pi / 2
        R = np.zeros((n, c, 4 + 2 * c))
        R[..., 2], R[..., 3] = 5 * np.cos(around), 5 * np.sin(around)
        for y in range(c):
            R[:, y, :2] = np.cos(angle[y]) * circle
            R[:, y, 4 + 2 * y : 6 + 2 * y] = np.sin(angle[y]) * circle
        found.append(compare(R, seed=seed, against={"C": clifford_torus((n, c))}).margin("x-on-x parallelism", *ideal))
    values, low, high = np.transpose(found)
    truth = 2 * (2 / np.pi) ** 2 - 1  # of the margin: distances to cosines of 1 and of 0
    assert values.mean() == pytest.approx(-truth, abs=3 * values.std() / 60**0.5)
    assert 0.7 < np.mean(high - low) / (2 * 1.96 * values.std(ddof=1)) < 1.3
    assert np.mean((low <= -truth) & (-truth <= high)) > 0.8


def test_curves_without_signal_are_left_out_of_several_readings():
    """x is not visible for half of the values of y: what those curves show is noise, however small."""
    generator, n = np.random.default_rng(0), 12
    R = np.pad(clifford_torus(n), ((0, 0), (0, 0), (0, 26)))
    R[:, n // 2 :, :2] = 0
    alone = compare(R, bootstrap=2)
    for noise in (1e-6, 0.03):
        found = compare([R + noise * generator.normal(size=R.shape) for _ in range(3)], bootstrap=2)
        for name in ("x-on-x orthogonality", "x-on-y orthogonality"):
            assert len(found.statistics[name]) == len(alone.statistics[name])
            assert found.statistics[name].mean() == pytest.approx(alone.statistics[name].mean(), abs=0.02)


def test_three_values_of_one_factor_in_three_readings_have_steps():
    """Steps that are compared for their noise share a point then, which made their variance negative."""
    generator = np.random.default_rng(0)
    for share in (0.02, 0.1, 0.3):
        R = np.eye(3, 400)
        noise = np.sqrt(2 / 3 * share / (1 - share) / 400)
        readings = [R + noise * generator.normal(size=R.shape) for _ in range(3)]
        assert displacement_cosines(readings).within[0].size == 3


@pytest.mark.parametrize("name", ["x within", "y within"])
def test_the_margin_between_two_references(name):
    """Of a hyper-factorized torus it is the whole distance between the two references; of a Clifford torus the
    opposite."""
    ideal = (("hyper-factorized torus", name), ("Clifford torus", name))
    found = compare(hyper_factorized_torus(N, 1.0))
    measured, low, high = found.margin(name, *ideal)
    assert measured == pytest.approx(found.distances["Clifford torus"][name])
    assert 0.2 < low <= measured <= high
    opposite = compare(clifford_torus(N))
    measured, low, high = opposite.margin(name, *ideal)
    assert measured == pytest.approx(-opposite.distances["hyper-factorized torus"][name])
    assert low <= measured <= high < -0.2


def test_the_margin_between_two_statistics_of_references():
    """The curves of x on a Clifford torus are as its own x-on-x, 0 and 1; the 3D torus's x-on-y are 1/2 and 0."""
    found = compare(clifford_torus(N))
    for kind, apart in (("orthogonality", 0.5), ("parallelism", 1.0)):
        paper = (("3D torus", f"x-on-y {kind}"), ("Clifford torus", f"x-on-x {kind}"))
        assert found.margin(f"x-on-x {kind}", *paper)[0] == pytest.approx(-apart, abs=0.15)


def test_three_factors_compare_with_what_they_can():
    found = compare(clifford_torus((4, 5, 6)), bootstrap=10)
    assert found.nearest == "Clifford torus"
    assert set(found.total) == {"Clifford torus", "hyper-factorized torus", "shuffled points"}
    assert "x-on-z orthogonality" in found.statistics
    assert found.statistics["y within"].size == 4 * 6 * 5 * 4


# ---- invariance ----


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rotation_shift_scale_and_more_dimensions_change_nothing(seed):
    generator = np.random.default_rng(seed)
    R = generator.normal(size=(5, 6, 7))
    other = embedded(R, seed)
    assert additivity(other).main == pytest.approx(additivity(R).main, abs=1e-9)
    a, b = displacement_cosines(R, periodic=True), displacement_cosines(other, periodic=True)
    for p, q in zip((a.cross, *a.across, *a.within), (b.cross, *b.across, *b.within), strict=True):
        assert q == pytest.approx(p, abs=1e-9)
    assert subspace_overlap(other[:, 0], other[:, 1]) == pytest.approx(subspace_overlap(R[:, 0], R[:, 1]), abs=1e-9)
    assert compare(other, bootstrap=2).total == pytest.approx(compare(R, bootstrap=2).total, abs=1e-9)


def test_swapping_the_factors_swaps_the_answers():
    R = torus_3d(N)
    a, b = displacement_cosines(R, periodic=True), displacement_cosines(R.swapaxes(0, 1), periodic=True)
    assert np.sort(b.within[1]) == pytest.approx(np.sort(a.within[0]))
    assert additivity(R.swapaxes(0, 1)).main == pytest.approx(additivity(R).main[::-1])


# ---- mistakes ----


@pytest.mark.parametrize(
    ("R", "said"),
    [
        (np.full((4, 4, 3), np.nan), r"R: got nan at \(0, 0, 0\), needs finite numbers"),
        (np.ones((4, 4, 3)), "R: got points that are all equal"),
        (np.ones(4), r"R: got an array of shape \(4,\), needs \(n_1, ..., n_k, d\)"),
        (np.ones((4, 1, 3)), "R, factor 1: got 1 lattice value, needs at least 2"),
        ("text", "R: got text, needs an array of real numbers"),
    ],
)
def test_bad_lattices_are_refused(R, said):
    for measure in (additivity, displacement_cosines, compare):
        with pytest.raises(RequestError, match=said):
            measure(R)


def test_bad_requests_are_refused():
    R = clifford_torus(4)
    with pytest.raises(RequestError, match="lag: got 0"):
        displacement_cosines(R, lag=0)
    with pytest.raises(RequestError, match="factor 0: got 4 lattice values, needs at least 5 at lag 3"):
        displacement_cosines(R, lag=3, periodic=False)
    with pytest.raises(RequestError, match="periodic: got 3 values"):
        displacement_cosines(R, periodic=(True, True, False))
    flat = np.broadcast_to(np.arange(4.0)[None, :, None], (4, 4, 2))
    with pytest.raises(RequestError, match="factor 0: got points that do not depend on it"):
        displacement_cosines(flat)
    with pytest.raises(RequestError, match="dimensions, needs the same"):
        subspace_overlap(np.eye(3), np.eye(4))
    with pytest.raises(RequestError, match="variance: got 0"):
        subspace_overlap(np.eye(3), np.eye(3), variance=0)
    with pytest.raises(RequestError, match="radii"):
        torus_3d(4, 1, 2)
    for lag in (1.5, True, "1"):
        with pytest.raises(RequestError, match="lag: got .*, needs an integer of at least 1"):
            displacement_cosines(R, lag=lag)  # pyright: ignore[reportArgumentType]
    with pytest.raises(RequestError, match="bootstrap: got 0"):
        compare(R, bootstrap=0)
    with pytest.raises(RequestError, match="n: got 1"):
        clifford_torus(1)
    with pytest.raises(RequestError, match="width"):
        hyper_factorized_torus(4, -1)


# ---- units, types, and what does not vary ----


def cell() -> np.ndarray:
    """A unit that answers to one conjunction of values."""
    R = np.zeros((8, 8, 4))
    R[3, 5] = [1, 2, 3, 4]
    return R


def gate() -> np.ndarray:
    """x matters at one value of y only."""
    x = np.random.default_rng(0).normal(size=(8, 1, 4)) * (np.arange(8) == 2)[None, :, None]
    return x + np.random.default_rng(1).normal(size=(1, 8, 4))


def one_unit() -> np.ndarray:
    return (np.cos(np.arange(6))[:, None] + np.sin(np.arange(5) ** 2))[..., None] * [0, 1, 0]


def two_values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 2, 3))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-60, 1e30, 1e160, 1e300])
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_no_scale_changes_anything(scale, shift):
    R = torus_3d(6) + 0.1 * np.random.default_rng(0).normal(size=(6, 6, 3))
    other = (R + shift) * scale
    assert additivity(other).main == pytest.approx(additivity(R).main, abs=1e-9)
    a, b = displacement_cosines(R, periodic=True), displacement_cosines(other, periodic=True)
    for p, q in zip((a.cross, *a.across, *a.within), (b.cross, *b.across, *b.within), strict=True):
        assert q == pytest.approx(p, abs=1e-9)
    assert subspace_overlap(other[:, 0], R[:, 1]) == pytest.approx(subspace_overlap(R[:, 0], R[:, 1]), abs=1e-9)
    found, expected = compare(other, bootstrap=5), compare(R, bootstrap=5)
    assert found.total == pytest.approx(expected.total, abs=1e-9)
    assert found.nearest == expected.nearest


@pytest.mark.parametrize(
    ("R", "missing"),
    [
        (cell(), {"x-on-x orthogonality", "y-on-y orthogonality", "x-on-x parallelism", "y-on-y parallelism"}),
        (gate(), {"x-on-x orthogonality", "x-on-x parallelism"}),
        (one_unit(), set()),
        (two_values(), set()),
    ],
)
def test_what_has_no_length_is_left_out_and_named(R, missing):
    found = compare(R, bootstrap=10)
    assert set(found.missing) == missing == set(found.to_json()["not_measured"])
    assert not set(found.statistics) & missing
    every = set(compare(clifford_torus(4), bootstrap=1).statistics) | set(found.missing)
    assert every == set(found.statistics) | missing
    for shape, total in found.total.items():
        assert set(found.distances[shape]) == set(found.statistics)
        assert total == pytest.approx(np.mean(list(found.distances[shape].values())))
    json.dumps(found.to_json(), allow_nan=False)
    json.dumps(displacement_cosines(R, periodic=True).to_json(), allow_nan=False)
    turned = compare(embedded(R, 0), bootstrap=10)
    assert turned.missing == found.missing
    assert turned.total == pytest.approx(found.total, abs=1e-6)
    if missing:
        with pytest.raises(
            RequestError, match="statistic: got 'x-on-x orthogonality', needs one that has values: x-on-y"
        ):
            found.margin("x-on-x orthogonality", ("3D torus", "x within"), ("3D torus", "y within"))


def test_the_steps_of_a_cell_are_those_into_it_and_out_of_it():
    found = displacement_cosines(cell(), periodic=True)
    assert found.cross == pytest.approx([1.0])  # the two steps from its value
    assert [values.size for values in found.across] == [0, 0]
    assert [values.tolist() for values in found.within] == [pytest.approx([-1]), pytest.approx([-1])]
    assert found.to_json()["across"][0] == {"n": 0, "mean": None, "mean_magnitude": None}


def test_a_single_step_is_refused_in_one_line():
    corner = np.zeros((5, 2))
    corner[0] = 1
    with pytest.raises(
        RequestError, match="R: got too few curves and steps that have a length, needs two of one factor"
    ):
        compare(corner, periodic=False)


# ---- large lattices ----


def test_a_random_part_of_a_large_lattice_stands_for_all(monkeypatch):
    generator = np.random.default_rng(0)
    R = clifford_torus((8, 9, 10)) + 0.05 * generator.normal(size=(8, 9, 10, 6))
    whole, cosines = compare(R, bootstrap=5), displacement_cosines(R, periodic=True)
    monkeypatch.setattr(steps, "PAIRS", 1000)
    monkeypatch.setattr(comparison, "CURVES", 20)
    monkeypatch.setattr(subspaces, "BLOCK", 5000)
    part = compare(R, bootstrap=5)
    assert part.total == pytest.approx(whole.total, abs=0.02)
    assert all(values.size <= 2000 for name, values in part.statistics.items() if "-on-y parallelism" not in name[1:])
    assert part.statistics["x-on-y orthogonality"].size == 20 * 20
    some = displacement_cosines(R, periodic=True)
    for few, every in zip((*some.across, *some.within), (*cosines.across, *cosines.within), strict=True):
        assert few.size <= 1000 < every.size
        assert set(few.round(9)) <= set(every.round(9))
        assert few.mean() == pytest.approx(every.mean(), abs=0.05)
    for values, apart, n in zip(some.within, some.separation, (8, 9, 10), strict=True):
        assert np.abs(values - chord(apart, n)).mean() < 0.1
    assert np.array_equal(some.across[0], displacement_cosines(R, periodic=True).across[0])
    assert not np.array_equal(some.across[0], displacement_cosines(R, periodic=True, seed=1).across[0])


def test_a_curve_of_very_many_values_is_thinned(monkeypatch):
    monkeypatch.setattr(steps, "PAIRS", 500)
    found = displacement_cosines(clifford_torus((64,)), periodic=True)
    assert found.within[0].size <= 500
    assert found.within[0] == pytest.approx(chord(found.separation[0], 64), abs=1e-9)


def test_a_large_lattice_takes_little_memory():
    R = clifford_torus((40, 40, 40))
    tracemalloc.start()
    found = displacement_cosines(R, periodic=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * R.nbytes + 2**26
    assert max(values.size for values in found.across) <= steps.PAIRS
