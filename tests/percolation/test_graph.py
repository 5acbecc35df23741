"""The overlap graph of pictures, against all pairs, the lattice model and scipy's connected components."""

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.images.family import Family
from hyperfactor.images.gaussian import Bump
from hyperfactor.percolation import giant_component, graph_percolation, overlap_graph, site_percolation

FAMILIES = [
    {"family": "bump", "sigma": 1.0},
    {"family": "bump", "sigma": 2.5, "boundary": "periodic"},
    {"family": "sos", "sigma": 1.0},
    {"family": "shapes"},
]


def some(family: dict, count: int) -> np.ndarray:
    """Pictures of a family at random points of its space."""
    picture = Family.parse(family)
    space, generator = picture.space(), rng.stream(0, "test.graph")
    return picture.render(np.stack([generator.choice(axis, count) for axis in space.axes()], axis=1))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: "-".join(map(str, family.values())))
@pytest.mark.parametrize("threshold", [0.02, 0.3, 0.9])
def test_neighbours_are_the_pairs_whose_inner_product_reaches_the_threshold(family: dict, threshold: float):
    images = some(family, 150)
    graph = overlap_graph(images, threshold)
    flat = images.reshape(len(images), -1).astype(float)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    every = flat @ flat.T
    np.fill_diagonal(every, 0)
    np.testing.assert_array_equal(graph.toarray() > 0, every >= threshold)
    assert graph.toarray()[every >= threshold] == pytest.approx(every[every >= threshold])


@pytest.mark.parametrize(("sigma", "threshold"), [(1.0, 0.3), (1.0, 0.05), (2.0, 0.5)])
def test_bumps_on_a_periodic_lattice_percolate_as_the_lattice_of_the_same_reach(sigma: float, threshold: float):
    picture = Bump(size=16, boundary="periodic", sigma=sigma)
    points = np.stack(np.meshgrid(np.arange(16.0), np.arange(16.0), indexing="ij"), axis=-1).reshape(-1, 2)
    graph = overlap_graph(picture.render(points), threshold)
    near = max(d for d in {np.hypot(a, b) for a in range(8) for b in range(8)} if overlaps(d, sigma) >= threshold)
    lattice = site_percolation((16, 16), near, 5)
    curve = graph_percolation(graph, 5)
    np.testing.assert_array_equal(curve.largest, lattice.largest)
    np.testing.assert_allclose(curve.second_moment, lattice.second_moment)


def overlaps(distance: float, sigma: float) -> float:
    """The overlap of bumps in the plane; exp(-d^2 / 4 sigma^2)."""
    return float(np.exp(-(distance**2) / (4 * sigma**2)))


@pytest.mark.parametrize("seed", [0, 1])
def test_clusters_are_those_of_scipy_at_every_occupation(seed: int):
    generator = rng.stream(seed, "test.graph")
    pairs = sparse.random_array((60, 60), density=0.03, rng=generator)
    graph = sparse.csr_array(pairs + pairs.T)
    order = np.arange(60, dtype=np.int32)
    rng.stream(seed, "percolation.order").shuffle(order)
    curve = graph_percolation(graph, seed)
    assert curve.occupied.tolist() == list(range(61))
    for count in range(1, 61):
        _, labels = connected_components(graph[order[:count]][:, order[:count]])
        sizes = np.bincount(labels)
        assert curve.largest[count] == sizes.max()
        assert curve.second_moment[count] == pytest.approx((sizes**2).sum() / 60)


@pytest.mark.parametrize(
    ("images", "threshold", "said"),
    [
        (np.ones((3, 1, 4, 4)), 0.0, "threshold: got 0.0, needs a number above 0 and at most 1"),
        (np.ones((3, 1, 4, 4)), 1.5, "threshold: got 1.5"),
        (np.stack([np.ones((4, 4)), np.zeros((4, 4))]), 0.5, "images: got an empty picture, number 1"),
        (np.ones((3, 0)), 0.5, "images: got an empty picture, number 0"),
        (np.ones((0, 4, 4)), 0.5, r"images: got an array of shape \(0, 4, 4\), needs .* at least one picture"),
        (1.0, 0.5, r"images: got an array of shape \(\), needs .* at least one picture"),
        ([[1.0, np.nan], [1.0, 0.0]], 0.5, r"images: got nan at \(0, 1\), needs finite numbers"),
        ([[1.0, 0.0], [np.inf, 0.0]], 0.5, r"images: got inf at \(1, 0\), needs finite numbers"),
    ],
)
def test_requests_are_checked(images, threshold, said):
    with pytest.raises(RequestError, match=said):
        overlap_graph(images, threshold)
    with pytest.raises(RequestError, match="square"):
        graph_percolation(sparse.csr_array(np.ones((2, 3))))


@pytest.mark.parametrize("wrong", [[], 0.05, [0.05, 1.5], [0.05, None]])
def test_thresholds_are_checked(wrong):
    with pytest.raises(RequestError, match="^thresholds?: got .*, needs a"):
        giant_component(np.eye(3), wrong)
    with pytest.raises(RequestError, match="^orders: got 0, needs an integer of at least 1"):
        giant_component(np.eye(3), [0.05], orders=0)


def test_a_graph_with_edges_of_one_direction_is_refused():
    chain = np.diag(np.ones(4), 1)
    for graph in (chain, chain.T):
        with pytest.raises(RequestError, match="graph: got 4 entries without their mirror image, needs a symmetric"):
            graph_percolation(sparse.csr_array(graph))
    assert graph_percolation(sparse.csr_array(chain + 2 * chain.T)).largest[-1] == 5  # where an entry is stored counts
    stored = sparse.csr_array((np.zeros(3), ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    assert graph_percolation(stored).largest.tolist() == [0, 1, 2]


@pytest.mark.parametrize("faint", [9e-4, 1e-4, 1e-8, 1e-12])
def test_pictures_that_share_faint_pixels_alone_are_neighbours_by_their_overlap(faint: float):
    images, overlap = [[1, faint, 0], [faint, 1, 0]], 2 * faint / (1 + faint**2)
    assert overlap_graph(np.array(images), 0.9 * overlap).toarray()[0] == pytest.approx([0, overlap])
    assert overlap_graph(np.array(images), 1.1 * overlap).nnz == 0


@pytest.mark.parametrize("seed", range(10))
def test_equal_pictures_are_neighbours_at_every_threshold(seed: int):
    """A quarter of the pictures are copies, some of them brighter: rounding must not tell them apart."""
    pictures = np.random.default_rng(seed).random((30, 17))
    images = np.concatenate([pictures, 3.7 * pictures[:10]])
    expected = np.zeros((40, 40), dtype=bool)
    expected[np.arange(10), np.arange(30, 40)] = expected[np.arange(30, 40), np.arange(10)] = True
    assert np.array_equal(overlap_graph(images, 1.0).toarray() > 0, expected)
    copies = np.outer([1.0, 3.7, 0.1, 7.0], pictures[0])
    assert giant_component(copies, [1.0, 0.5]) == {1.0: 1.0, 0.5: 1.0}


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-200, 1e200, 1e308])
def test_the_unit_of_brightness_does_not_matter(scale: float):
    images = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    expected = [[0, 1 / 2, 0], [1 / 2, 0, 2**-0.5], [0, 2**-0.5, 0]]
    assert overlap_graph(images * [[1.0], [scale], [1.0]], 0.4).toarray() == pytest.approx(np.array(expected))


SIDE = 8  # pictures, two pixels apart


def test_pictures_hang_together_as_the_overlap_of_bumps_says():
    """At an overlap of 0.05 bumps hang together with their 8 neighbours, on an open square of 8 x 8."""
    pictures = Bump(size=16).render(2.0 * np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1))
    generator, shares = np.random.default_rng(0), np.zeros(SIDE**2)
    for _ in range(200):
        order = generator.permutation(SIDE**2)
        for n in range(1, SIDE**2 + 1):
            square = np.isin(np.arange(SIDE**2), order[:n]).reshape(SIDE, SIDE)
            labels = np.asarray(ndimage.label(square, np.ones((3, 3)))[0])  # pyright: ignore
            shares[n - 1] += np.bincount(labels.ravel())[1:].max() / n / 200
    expected = np.flatnonzero(shares < 0.5)[-1] + 2
    found = giant_component(pictures, (0.05, 0.9, 1e-30))
    assert found[0.05] == pytest.approx(expected, abs=3)
    assert found[0.9] is None  # no two bumps overlap as much
    assert found[1e-30] == 1  # all do
