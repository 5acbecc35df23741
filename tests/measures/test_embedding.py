import numpy as np
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.measures.embedding import pca, umap

POINTS = np.random.default_rng(0).normal(size=(60, 8)) * np.arange(8, 0, -1)


def test_pca_equals_scikit_learn_up_to_the_fixed_signs():
    from sklearn.decomposition import PCA

    theirs = PCA(3).fit(POINTS)
    found = pca(POINTS, 3)
    assert found.shares == pytest.approx(theirs.explained_variance_ratio_)
    assert np.abs(found.coordinates) == pytest.approx(np.abs(theirs.transform(POINTS)))
    assert (found.axes[np.arange(3), np.abs(found.axes).argmax(axis=1)] > 0).all()


def test_pca_keeps_distances_when_no_component_is_left_out():
    from scipy.spatial.distance import pdist

    assert pdist(pca(POINTS, 8).coordinates) == pytest.approx(pdist(POINTS))


def test_the_sign_of_an_axis_depends_on_nothing_but_the_points():
    turned = POINTS[::-1] + 100
    assert pca(turned, 4).axes == pytest.approx(pca(POINTS, 4).axes)


def test_umap_keeps_clusters_apart_and_repeats_itself():
    from umap.utils import fast_knn_indices

    cloud = np.random.default_rng(0).normal(size=(120, 10))
    cloud[60:] += 20
    found = umap(cloud, neighbours=10)
    assert found.shape == (120, 2)
    assert np.array_equal(found, umap(cloud, neighbours=10))
    centres = found[:60].mean(axis=0), found[60:].mean(axis=0)
    nearer = np.linalg.norm(found - centres[0], axis=1) < np.linalg.norm(found - centres[1], axis=1)
    assert nearer.tolist() == [True] * 60 + [False] * 60
    assert fast_knn_indices.stats.cache_path  # compiling it again takes most of the time of an embedding


def test_mistakes():
    with pytest.raises(RequestError, match=r"components: got 9, needs an integer in 1\.\.8"):
        pca(POINTS, 9)
    with pytest.raises(RequestError, match="neighbours: got 60"):
        umap(POINTS, neighbours=60)
    for wrong in ({"neighbours": 3.5}, {"neighbours": "a"}, {"components": 0}, {"components": 2.5},
                  {"minimum_distance": 5}, {"minimum_distance": "a"}):  # fmt: skip
        (name,) = wrong
        with pytest.raises(RequestError, match=f"{name}: got"):
            umap(POINTS, **wrong)  # pyright: ignore
    with pytest.raises(RequestError, match="needs finite"):
        umap(POINTS * np.nan)
