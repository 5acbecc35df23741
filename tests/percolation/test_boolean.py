import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.percolation.boolean import DENSEST, _discs, boolean_model, critical_filling


def test_clusters_agree_with_a_graph_of_the_touching_discs():
    n = 300
    curve = boolean_model(n, seed=2)
    centres, side = _discs(n, rng.stream(2, "percolation.discs"))
    assert side**2 == pytest.approx(n * np.pi / 4 / DENSEST)
    for count in (1, 50, 150, 220, 300):
        pairs = KDTree(centres[:count], boxsize=side).query_pairs(1.0, output_type="ndarray")
        graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
        sizes = np.bincount(connected_components(graph, directed=False)[1])
        assert curve.largest[count] == sizes.max()
        assert curve.second_moment[count] == pytest.approx((sizes.astype(float) ** 2).sum() / n)
        assert curve.filling[count] == pytest.approx(DENSEST * count / n)


def test_the_published_threshold_of_discs():
    found = critical_filling(seeds=100)
    assert abs(found.value - 1.12809) < 3 * found.error
    assert abs(found.value - 1.12809) < 0.002
    assert found.error < 0.002


def test_few_discs_have_the_published_threshold_too():
    for sizes in ((18,), (64,), (256,)):
        found = critical_filling(sizes, seeds=300)
        assert abs(found.value - 1.12809) < 3 * found.error
        assert found.error < 0.04


def test_bad_requests():
    with pytest.raises(RequestError, match="n: got 0"):
        boolean_model(0)
    with pytest.raises(RequestError, match="needs at least 18: 3 diameters a side"):
        boolean_model(5)
    with pytest.raises(RequestError, match="n: got 'many', needs an integer"):
        boolean_model("many")  # pyright: ignore[reportArgumentType]
    with pytest.raises(RequestError, match="seeds: got 1, needs an integer of at least 2"):
        critical_filling(seeds=1)
    with pytest.raises(RequestError, match="sizes: got none"):
        critical_filling([])
    with pytest.raises(RequestError, match=r"sizes: got \[64, 64\], needs sizes that differ"):
        critical_filling([64, 64])
    with pytest.raises(RequestError, match=r"n: got 2147483648, needs an integer below 2\^31"):
        boolean_model(2**31)


def test_small_types_of_integers_count_as_many_discs():
    small = boolean_model(np.int8(100))  # pyright: ignore
    assert np.array_equal(small.second_moment, boolean_model(100).second_moment)
    assert critical_filling([np.int8(100)], 2) == critical_filling([100], 2)  # pyright: ignore
