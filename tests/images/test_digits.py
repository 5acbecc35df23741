import numpy as np
import pytest
from scipy.ndimage import shift
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from hyperfactor.images import Digits
from hyperfactor.images.digits import exemplars
from hyperfactor.measures.accuracy import measure

FAMILY = Digits(size=16)
LATTICE = FAMILY.space().lattice()


def test_each_exemplar_is_the_medoid_of_its_class():
    pictures, digits = load_digits(return_X_y=True)
    for digit, exemplar in enumerate(exemplars()):
        of_digit = pictures[digits == digit]
        medoid = of_digit[cdist(of_digit, of_digit, "sqeuclidean").sum(axis=1).argmin()]
        assert (16 * exemplar.ravel() == medoid).all()


def test_a_digit_fills_its_place_and_nothing_else():
    image = FAMILY.render(np.array([[3.0, 4.0, 10.0]]))[0, 0]
    assert np.allclose(image[6:14, 0:8], exemplars()[3])
    image[6:14, 0:8] = 0
    assert not image.any()


def test_between_pixels_a_digit_is_interpolated():
    whole, between = FAMILY.render(np.array([[8.0, 6.0, 7.0], [8.0, 6.3, 7.75]]))[:, 0]
    assert np.allclose(between, shift(whole, (0.75, 0.3), order=1))


def test_the_digit_read_is_the_one_that_correlates_most():
    generator = np.random.default_rng(0)
    images = FAMILY.render(LATTICE[generator.choice(len(LATTICE), 20)])
    images = 0.5 * images + generator.uniform(0, 1, images.shape)  # so noisy that many are misread
    truth = FAMILY.render(LATTICE).reshape(len(LATTICE), -1)
    correlations = np.corrcoef(images.reshape(20, -1), truth)[:20, 20:]
    read = FAMILY.read(images)
    assert (read.fit >= correlations.max(axis=1) - 1e-12).all()  # those in between are not on the lattice
    best = LATTICE[correlations.argmax(axis=1)]
    near = np.abs(read.values - best).max(axis=1) < 1
    assert near.mean() >= 0.8
    off = read.fit[~near] - correlations.max(axis=1)[~near]
    assert (off > 0).all()


def test_places_are_read_to_a_64th_of_a_pixel():
    points = np.array([[d, 4 + 7.9 * u, 4 + 7.9 * v] for d in range(10) for u, v in [(0, 1), (0.31, 0.62), (1, 0.11)]])
    read = FAMILY.read(FAMILY.render(points)).values
    assert (read[:, 0] == points[:, 0]).all()
    assert np.abs(read - points).max() <= FAMILY.resolution


def test_another_digit_is_wrong_and_two_digits_are_invalid():
    family = Digits()
    asked = np.array([[3.0, 8.0, 8.0]])
    other = measure(family.render(np.array([[5.0, 8.0, 8.0]])), asked, family)
    assert other.correct.tolist() == [[False, True, True]]
    both = family.render(asked) + family.render(np.array([[3.0, 24.0, 24.0]]))
    assert not measure(both, asked, family).valid.any()


def test_a_digit_needs_a_picture_that_is_larger():
    with pytest.raises(ValueError, match="size: got 8, needs an integer of at least 16"):
        Digits(size=8)
