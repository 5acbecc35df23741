"""Percolation curves against scipy's labels at every occupation, and thresholds against published constants."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import binom

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.percolation.boolean import boolean_model
from hyperfactor.percolation.lattice import POINTS, Metric, compiled, critical_fraction, neighbours, site_percolation


def labelled(occupied: np.ndarray, steps: list[tuple[int, ...]], periodic: bool) -> np.ndarray:
    """Sizes of clusters from scipy's labels, joined across periodic edges."""
    structure = np.zeros((3,) * occupied.ndim, int)
    for step in [*steps, (0,) * occupied.ndim]:
        structure[tuple(np.array(step) + 1)] = 1
    labels: np.ndarray = np.asarray(ndimage.label(occupied, structure)[0])  # pyright: ignore
    parent = list(range(int(labels.max()) + 1))

    def root(label: int) -> int:
        while parent[label] != label:
            label = parent[label]
        return label

    for site in np.argwhere(labels) if periodic else ():
        for step in steps:
            other = labels[tuple((site + np.array(step)) % np.array(occupied.shape))]
            if other:
                parent[root(int(labels[tuple(site)]))] = root(int(other))
    sizes = np.bincount([root(label) for label in labels[labels > 0]], minlength=1)
    return sizes[sizes > 0]


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize(
    ("shape", "reach", "metric"),
    [
        ((9, 7), 1, "euclidean"),
        ((8, 9), 2**0.5, "euclidean"),
        ((7, 6), 1, "chebyshev"),
        ((5, 4, 6), 1, "euclidean"),
        ((4, 5, 4), 3**0.5, "euclidean"),
        ((30,), 1, "euclidean"),
    ],
)
def test_small_lattices_agree_with_labels_at_every_occupation(shape, reach, metric, periodic: bool):
    curve = site_percolation(shape, reach, 3, periodic, metric)
    sites = int(np.prod(shape))
    order = np.arange(sites, dtype=np.int32)
    rng.stream(3, "percolation.order").shuffle(order)
    steps = [tuple(step) for step in neighbours(len(shape), reach, metric).tolist()]
    assert curve.occupied.tolist() == list(range(sites + 1))
    occupied = np.zeros(sites, dtype=int)
    for count in range(sites + 1):
        occupied[order[:count]] = 1
        sizes = labelled(occupied.reshape(shape), steps, periodic)
        assert curve.largest[count] == sizes.max(initial=0)
        assert curve.second_moment[count] == pytest.approx((sizes**2).sum() / sites)


def test_neighbours_within_a_reach():
    assert [len(neighbours(2, reach)) for reach in (0, 1, 2**0.5, 2, 5**0.5)] == [0, 4, 8, 12, 20]
    assert [len(neighbours(3, reach)) for reach in (1, 2**0.5, 3**0.5)] == [6, 18, 26]
    assert len(neighbours(2, 2, "manhattan")) == 12
    assert len(neighbours(2, 2, "chebyshev")) == 24


@pytest.mark.parametrize(
    ("reach", "dimensions", "sizes", "known", "within"),
    [
        (1.0, 2, (64, 128, 256), 0.592746, 0.002),
        (2**0.5, 2, (64, 128, 256), 0.407254, 0.002),
        (2.0, 2, (64, 128, 256), 0.2891, 0.002),
        (1.0, 3, (16, 32, 48), 0.311608, 0.005),
    ],
)
def test_published_thresholds(reach: float, dimensions: int, sizes, known: float, within: float):
    found = critical_fraction(reach, sizes, seeds=100, dimensions=dimensions)
    assert abs(found.value - known) < within
    assert abs(found.value - known) < 3 * found.error
    assert found.error < within


@pytest.mark.parametrize("sizes", [(3,), (4,), (6,), (4, 64, 128)])
def test_small_lattices_have_the_published_threshold_too(sizes: tuple[int, ...]):
    """The numbers of sites of a small lattice lie on a coarse grid; the estimate does not, and has an error."""
    found = critical_fraction(1.0, sizes, seeds=200)
    assert abs(found.value - 0.592746) < 3 * found.error
    assert 1e-4 < found.error < 0.02


def test_a_line_percolates_only_when_full():
    curve = site_percolation((1000,), periodic=False)
    assert curve.largest[-1] == 1000
    assert curve.largest[950] < 400


def test_a_reach_over_the_whole_lattice_makes_one_cluster():
    curve = site_percolation((6, 6), reach=9, periodic=False)
    assert np.array_equal(curve.largest, curve.occupied)
    assert curve.second_moment == pytest.approx(curve.occupied**2 / 36)


def test_the_canonical_curve_is_the_average_over_the_binomial():
    curve = site_percolation((12, 12), seed=1)
    for p in (0.0, 0.3, 0.6, 1.0):
        by_hand = sum(binom.pmf(n, 144, p) * curve.largest[n] for n in range(145))
        assert curve.canonical(np.array([p]))[0] == pytest.approx(by_hand, abs=1e-9)


def test_a_large_lattice_keeps_some_occupations():
    curve = site_percolation((300, 300))
    assert len(curve.occupied) == POINTS + 1
    assert (curve.occupied[0], curve.occupied[-1], curve.largest[-1]) == (0, 90_000, 90_000)
    assert np.all(np.diff(curve.largest) >= 0)
    assert np.array_equal(curve.largest, site_percolation((300, 300)).largest)
    assert not np.array_equal(curve.largest, site_percolation((300, 300), seed=1).largest)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: site_percolation((0, 4)), "shape: got"),
        (lambda: site_percolation(8), "shape: got 8, needs 1 to 3 sides"),  # pyright: ignore
        (lambda: site_percolation(()), "shape: got"),
        (lambda: site_percolation((4.0, 4)), "shape: got"),  # pyright: ignore
        (lambda: site_percolation(np.array([2**16, 2**16], np.int32)), "fewer than 2\\^31"),  # pyright: ignore
        (lambda: site_percolation((2, 2, 2, 2)), "shape: got"),
        (lambda: site_percolation((2**16, 2**16)), "fewer than 2\\^31"),
        (lambda: site_percolation((4, 4), reach=4), "reach: got 4 for a periodic lattice"),
        (lambda: site_percolation((4, 4), reach=-1), "reach: got -1"),
        (lambda: site_percolation((4, 4), metric="cosine"), "metric: got 'cosine'"),  # pyright: ignore
        (lambda: critical_fraction(0.5), "reach: got 0.5, needs at least 1"),
        (lambda: critical_fraction(dimensions=1), "dimensions: got 1"),
        (lambda: critical_fraction(seeds=1), "seeds: got 1, needs an integer of at least 2"),
        (lambda: critical_fraction(sizes=()), "sizes: got none, needs at least one"),
        (lambda: critical_fraction(sizes=64), "sizes: got 64, needs a list of integers"),  # pyright: ignore
        (lambda: critical_fraction(sizes=(8, 8.5)), "sizes: got 8.5, needs an integer"),  # pyright: ignore
        (lambda: critical_fraction(sizes=(32, 16, 32)), r"sizes: got \[32, 16, 32\], needs sizes that differ"),
        (lambda: critical_fraction(dimensions="2"), "dimensions: got '2', needs 2 or 3"),  # pyright: ignore
        (lambda: site_percolation((4, 4), periodic=[True, False]), r"periodic: got \[True, F"),  # pyright: ignore
        (lambda: site_percolation((4, 4), periodic="no"), "periodic: got 'no', needs True or"),  # pyright: ignore
        (lambda: neighbours(0, 1.0), "dimensions: got 0, needs an integer of at least 1"),
        (lambda: neighbours(2, "far"), "reach: got 'far', needs a number in"),  # pyright: ignore
        (lambda: critical_fraction(8.0, sizes=(16, 64)), "reach of 8, needs sides of more than 16"),
        (lambda: site_percolation((4, 4)).canonical(np.array([0.5, -2.0])), "fractions: got -2, needs probabilities"),
        (lambda: site_percolation((4, 4)).canonical(0.5), r"fractions: got an array of shape \(\)"),  # pyright: ignore
        (lambda: site_percolation((4, 4)).canonical(np.array([np.nan])), "fractions: got nan, needs probabilities"),
    ],
)
def test_bad_requests(call, said: str):
    with pytest.raises(RequestError, match=said):
        call()


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_small_types_of_integers_do_not_overflow(kind):
    sides = kind(120)  # 120 x 120 is beyond int8 and uint8, 120^3 beyond int16
    curve = site_percolation(np.array([sides, sides]))  # pyright: ignore
    assert curve.sites == 14_400
    assert np.array_equal(curve.largest, site_percolation((120, 120)).largest)
    assert site_percolation((sides,) * 3, reach=0).sites == 1_728_000
    assert critical_fraction(1.0, [kind(20)], kind(3), kind(2)) == critical_fraction(1.0, [20], 3, 2)
    assert neighbours(kind(2), kind(1)).tolist() == neighbours(2, 1).tolist()


def test_functions_are_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch):
    """As in a container with a read-only installation and no home folder."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", refuse)
    assert compiled(lambda x: x + 1)(2) == 3


def test_a_lattice_that_is_larger_than_the_memory_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10_000))
    for request, given in (
        (lambda: site_percolation((40, 40)), "shape: got 1600 sites"),
        (lambda: critical_fraction(1.0, [40], 2), "sizes: got 40, which makes 1600 sites"),
        (lambda: boolean_model(1600), "n: got 1600 discs"),
    ):
        with pytest.raises(RequestError, match=given + r" \(0.0 GB\), needs at most \d+ on this machine now"):
            request()


@pytest.mark.parametrize(("dimensions", "farthest"), [(1, 2097151), (2, 1023), (3, 80)])
def test_far_neighbours_are_told(dimensions: int, farthest: int):
    for far in (farthest + 1, 1e300, np.inf, np.nan, -1):
        with pytest.raises(RequestError, match=f"reach: got .*, needs a number in 0..{farthest} for {dimensions} dim"):
            neighbours(dimensions, far)


def test_neighbours_by_a_list_of_all_steps():
    cases: list[tuple[int, float, Metric]] = [(1, 3.0, "manhattan"), (2, 2.3, "euclidean"), (3, 2.0, "chebyshev")]
    for dimensions, reach, metric in cases:
        order = {"euclidean": 2, "chebyshev": np.inf, "manhattan": 1}[metric]
        steps = itertools.product(range(-4, 5), repeat=dimensions)
        expected = [step for step in steps if any(step) and np.linalg.norm(step, order) <= reach]
        assert list(map(tuple, neighbours(dimensions, reach, metric).tolist())) == expected
