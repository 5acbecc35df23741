import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfactor import RequestError
from hyperfactor.images.gaussian import Picture
from hyperfactor.measures.accuracy import RESOLUTION, copying_baseline, estimate_centres, measure

SOS = Picture(family="sos", canvas=45)
PICTURES = [
    SOS,
    Picture(family="bump"),
    Picture(family="bump", boundary="periodic"),
    Picture(family="sos", sigma=(2.0, 0.8), polarity="dark"),
]
ids = ["sos", "bump", "torus", "dark"]


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
@given(x=st.floats(0, 31), y=st.floats(0, 31))
@settings(max_examples=50)
def test_the_centre_of_a_true_picture_is_found_to_the_resolution(picture: Picture, x: float, y: float):
    found = estimate_centres(picture.render(np.array([[x, y]])), picture)
    assert np.abs(picture.space().difference(found, np.array([[x, y]]))).max() <= RESOLUTION


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
def test_truth_scores_full_and_noise_scores_little(picture: Picture):
    points = np.random.default_rng(0).uniform(0, 31, (200, 2))
    truth = measure(picture.render(points), points, picture)
    assert truth.right.all()
    assert truth.error.max() == 0
    noise = measure(np.random.default_rng(1).uniform(0, 1, (200, 32, 32)), points, picture)
    assert not noise.valid.any()
    assert noise.both.mean() < 0.05
    assert noise.error.min() > 1


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
def test_a_drawing_beside_the_request_is_valid_and_wrong_in_that_factor_only(picture: Picture):
    asked = np.array([[10.0, 20.0]] * 3)
    drawn = picture.render(np.array([[10.8, 20.0], [11.5, 20.0], [10.0, 18.5]]))
    found = measure(drawn, asked, picture)
    assert found.correct.tolist() == [[True, True], [False, True], [True, False]]
    assert found.both.tolist() == [True, False, False]
    assert found.valid.all()


def test_wrap_around_is_respected():
    torus = Picture(boundary="periodic")
    found = measure(torus.render(np.array([[31.7, 0.2]])), np.array([[0.2, 31.6]]), torus)
    assert found.both.all()
    flat = Picture()
    assert not measure(flat.render(np.array([[31.0, 0.0]])), np.array([[0.0, 31.0]]), flat).both.any()


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_two_bumps_nothing_and_a_missing_stripe_are_not_valid(family):
    picture = Picture(family=family, canvas=45)
    at, other = np.array([[8.0, 8.0]]), np.array([[22.0, 20.0]])
    one, two = picture.render(at), np.clip(picture.render(at) + picture.render(other), 0, 1)
    stripe = picture.render(np.array([[8.0, -4.0]]))
    for drawn, valid in ((one, True), (two, False), (np.zeros_like(one), False), (stripe, False)):
        assert measure(drawn, at, picture).valid.tolist() == [valid]


def test_a_faint_drawing_is_valid_and_its_error_says_how_faint():
    at = np.array([[8.0, 8.0]])
    found = measure(0.7 * SOS.render(at), at, SOS)
    assert found.right.all()
    assert found.error[0] == pytest.approx(0.3**2)


def test_a_factor_outside_the_window_cannot_be_wrong_but_must_not_be_drawn():
    at = np.array([[12.0, -3.0]])
    good = measure(SOS.render(at), at, SOS)
    assert good.right.all()
    drawn_too = measure(SOS.render(np.array([[12.0, 5.0]])), at, SOS)
    assert drawn_too.both.all()
    assert not drawn_too.valid.any()


def test_tolerance_is_inclusive_and_in_pixels():
    asked = np.array([[10.0, 10.0]])
    drawn = SOS.render(np.array([[12.0, 10.0]]))
    assert not measure(drawn, asked, SOS).both.any()
    assert measure(drawn, asked, SOS, tolerance=2.05).both.all()


def test_nothing_has_no_centre_and_a_copy_at_just_the_tolerance_counts():
    assert np.isnan(estimate_centres(np.zeros((1, 32, 32)), SOS)).all()
    assert not measure(np.zeros((1, 32, 32)), np.array([[0.0, 0.0]]), SOS).correct.any()
    lattice = np.array([[x, y] for x in range(31) for y in (0.0, 15.0, 31.0)])
    assert measure(SOS.render(lattice + np.array([1.0, 0.0])), lattice, SOS).both.all()


def test_copying_the_edge_of_a_lesion_of_seven_scores_two_sevenths():
    picture = Picture()
    lattice = picture.space().lattice()
    lesion = (lattice[:, 0] >= 13) & (lattice[:, 0] <= 19)
    copied = copying_baseline(lattice[lesion], lattice[~lesion], picture)
    assert copied.mean(axis=0).tolist() == [2 / 7, 1]


def test_copying_a_stripe_does_not_draw_the_other():
    copied = copying_baseline(np.array([[0.0, 5.0]]), np.array([[-1.0, 5.0]]), SOS)
    assert copied.tolist() == [[False, True]]


def test_wrong_shapes_are_refused():
    with pytest.raises(RequestError, match=r"images: got an array of shape \(2, 16, 16\), needs \(2, 32, 32\)"):
        measure(np.zeros((2, 16, 16)), np.zeros((2, 2)), SOS)
