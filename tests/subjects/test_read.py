"""A reading that is learnt from labelled pictures, against the closed form."""

import numpy as np
import pytest
from torch import nn

from hyperfactor import RequestError, TorchSubject, study
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.gaussian import Bump
from hyperfactor.subjects.read import fitted

FAMILY = Bump(size=8, sigma=1.5, boundary="periodic")
POINTS = FAMILY.space().lattice(0.5)


def test_true_pictures_are_read():
    found = fitted(FAMILY.render(POINTS), POINTS, FAMILY.space())
    assert found.error_rates == {"x": 0, "y": 0, "all": 0, "valid": 0}
    assert found.held_out == round(0.2 * len(POINTS))
    others = POINTS[::7] + 0.2
    reading = found(FAMILY.render(others))
    assert np.abs(FAMILY.space().difference(reading.values, others)).max() < 0.5
    assert reading.fit.min() > 0.9
    assert found(np.random.default_rng(0).random((20, 1, 8, 8))).fit.max() < 0.9


def test_the_pictures_of_all_labels_are_read_right():
    """Bumps a pixel apart are less alike than what counts as valid, so the held-out ones must be known in the end."""
    family = Bump(size=8, boundary="periodic")
    points = family.space().lattice()
    found = fitted(family.render(points), points, family.space())
    assert found.error_rates["valid"] > 0.9
    reading = found(family.render(points))
    assert reading.fit.min() == pytest.approx(1)
    assert found(family.render(points)[:0]).values.shape == (0, 2)


def test_labels_without_a_relation_to_the_pictures_are_read_wrong():
    shuffled = np.random.default_rng(0).permutation(POINTS)
    rates = fitted(FAMILY.render(POINTS), shuffled, FAMILY.space()).error_rates
    assert rates["x"] == pytest.approx(1 - 2 / 8, abs=0.15)  # a pixel to each side, of 8
    assert rates["all"] > rates["x"]


def test_categories_and_open_factors():
    space = FactorSpace((Factor("kind", 0, 2, "categorical"), Factor("grey", 0.0, 1.0, tolerance=0.05)))
    points = space.lattice({"grey": 0.02})
    images = np.zeros((len(points), 1, 3, 3))
    images[np.arange(len(points)), 0, points[:, 0].astype(int)] = points[:, 1:] + 0.1
    found = fitted(images, points, space)
    assert found.error_rates["kind"] == 0
    assert found.error_rates["grey"] < 0.1
    assert set(found(images).values[:, 0]) == {0, 1, 2}


def test_the_error_rate_stands_in_the_study():
    read = fitted(FAMILY.render(POINTS), POINTS, FAMILY.space())
    subject = TorchSubject(nn.Identity(), FAMILY.space(), lambda _, points: FAMILY.render(points), read)
    found = study(subject, layers=[]).drawings
    assert found is not None
    assert found.right == 1
    assert found.to_json()["reading_errors"] == read.error_rates


def test_what_cannot_be_learnt_from_is_refused():
    with pytest.raises(RequestError, match="n at least 25"):
        fitted(FAMILY.render(POINTS[:9]), POINTS[:9], FAMILY.space())
    with pytest.raises(RequestError, match="needs a value in 0..8"):
        fitted(FAMILY.render(POINTS), POINTS + 8, FAMILY.space())
