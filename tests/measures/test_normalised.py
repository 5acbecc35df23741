"""Normalised values; no scale, shift, rotation, order or repetition matters."""

import numpy as np
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum, two_nn
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.normalised import distinct, normalised
from hyperfactor.measures.representation import checked_points

CLOUD = np.random.default_rng(0).normal(size=(120, 3)) @ np.random.default_rng(1).normal(size=(3, 30))


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-160, 1e160, 1e300, 1.7e308])
def test_normalised_values_are_of_order_one_and_keep_their_unit(scale):
    values = np.array([[-1.0, 0.5], [1.0, 0.25], [0.0, -0.75]]) * scale
    found = normalised(values)
    assert 0.9 < np.abs(found.values).max() <= 4
    assert found.values.mean(axis=0) == pytest.approx([0, 0], abs=1e-15)
    assert np.log2(found.unit) == round(np.log2(found.unit))
    assert found.values[0] - found.values[2] == pytest.approx(
        (values[0] / found.unit - values[2] / found.unit), rel=1e-12
    )


def test_points_that_differ_by_rounding_alone_are_equal():
    turned = np.ones((30, 3)) + np.random.default_rng(0).choice([0, 2.0**-52], size=(30, 3))
    with pytest.raises(RequestError, match="all equal but for the rounding of float64"):
        checked_points(turned)
    checked_points(1 + 1e-12 * CLOUD)


def test_distinct_points_count_once_in_any_order():
    generator = np.random.default_rng(0)
    twins = CLOUD + 1e-7 * generator.normal(size=CLOUD.shape)
    cloud = normalised(np.concatenate([CLOUD, twins, CLOUD[:7]])).values
    kept = distinct(cloud)
    assert sorted(kept % 120) == list(range(120))
    order = generator.permutation(len(cloud))
    assert np.array_equal(cloud[order][distinct(cloud[order])], cloud[kept])
    chain = normalised(np.arange(200)[:, None] * 0.4e-5 + np.array([[0.0], [1e3]]).repeat(100, 0)).values
    assert len(distinct(chain)) == 2  # all of a half are far nearer than NEAR
    spaced = normalised(np.concatenate([np.linspace(-1, 1, 200), np.arange(100) * 0.3e-5])[:, None]).values
    assert 200 + 35 < len(distinct(spaced)) < 200 + 60  # of a chain, those apart by more than NEAR


# ---- measures that promise not to change ----


def changed(points: np.ndarray, how: str) -> np.ndarray:
    generator = np.random.default_rng(5)
    turn = np.linalg.qr(generator.normal(size=(30, 30)))[0]
    return {
        "rotated": lambda: points @ turn,
        "shifted": lambda: points + 1e4 * generator.normal(size=30),
        "1e-300": lambda: points * 1e-300,
        "1e-160": lambda: points * 1e-160,
        "1e160": lambda: points * 1e160,
        "1e300": lambda: points * 1e300,
        "repeated": lambda: np.concatenate([points, points[::-1]]),
        "repeated nearly": lambda: np.concatenate([points, points + 1e-8 * generator.normal(size=points.shape)]),
        "one repeated": lambda: np.concatenate([points, points[:1] + 1e-9]),
        "reordered": lambda: generator.permutation(points),
    }[how]()


@pytest.mark.parametrize(
    "how",
    [
        "rotated", "shifted", "1e-300", "1e-160", "1e160", "1e300", "repeated", "repeated nearly", "one repeated",
        "reordered",
    ],
)  # fmt: skip
def test_dimensions_do_not_change(how):
    other = changed(CLOUD, how)
    assert levina_bickel(other) == pytest.approx(levina_bickel(CLOUD), rel=1e-6)
    assert two_nn(other) == pytest.approx(two_nn(CLOUD), rel=1e-6)
    if how != "one repeated":  # a weight of 2 for a point
        assert participation_ratio(other) == pytest.approx(participation_ratio(CLOUD), rel=1e-6)
        assert spectrum(other) == pytest.approx(spectrum(CLOUD), rel=1e-6, abs=1e-12)
        assert pca(other).shares == pytest.approx(pca(CLOUD).shares, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_principal_coordinates_keep_their_unit(scale):
    found, expected = pca(CLOUD * scale), pca(CLOUD)
    assert found.coordinates / scale == pytest.approx(expected.coordinates)
    assert found.axes == pytest.approx(expected.axes)
