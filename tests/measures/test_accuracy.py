from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hyperfactor import RequestError
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.family import Family, Reading, correlation
from hyperfactor.images.gaussian import Bump, Gaussian, Sos
from hyperfactor.measures.accuracy import copying_baseline, measure

SOS = Sos(canvas=45)
PICTURES = [
    SOS,
    Bump(),
    Bump(boundary="periodic"),
    Sos(sigma={"x": 2.0, "y": 0.8}, polarity="dark"),
]
FAMILIES: dict[str, type[Gaussian]] = {"bump": Bump, "sos": Sos}
ids = ["sos", "bump", "torus", "dark"]


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
@given(x=st.floats(0, 31), y=st.floats(0, 31))
@settings(max_examples=50)
def test_the_centre_of_a_true_picture_is_found_to_the_resolution(picture: Gaussian, x: float, y: float):
    found = picture.read(picture.render(np.array([[x, y]])))
    assert np.abs(picture.difference(found.values, np.array([[x, y]]))).max() <= picture.resolution
    assert found.fit[0] > 0.999


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
def test_truth_scores_full_and_noise_scores_little(picture: Gaussian):
    points = np.random.default_rng(0).uniform(0, 31, (200, 2))
    truth = measure(picture.render(points), points, picture)
    assert truth.right.all()
    assert truth.error.max() == 0
    noise = measure(np.random.default_rng(1).uniform(0, 1, (200, 1, 32, 32)), points, picture)
    assert not noise.valid.any()
    assert noise.all.mean() < 0.05
    assert noise.error.min() > 1


@pytest.mark.parametrize("picture", PICTURES, ids=ids)
def test_a_drawing_beside_the_request_is_valid_and_wrong_in_that_factor_only(picture: Gaussian):
    asked = np.array([[10.0, 20.0]] * 3)
    drawn = picture.render(np.array([[10.8, 20.0], [11.5, 20.0], [10.0, 18.5]]))
    found = measure(drawn, asked, picture)
    assert found.correct.tolist() == [[True, True], [False, True], [True, False]]
    assert found.all.tolist() == [True, False, False]
    assert found.valid.all()


def test_wrap_around_is_respected():
    torus = Bump(boundary="periodic")
    found = measure(torus.render(np.array([[31.7, 0.2]])), np.array([[0.2, 31.6]]), torus)
    assert found.all.all()
    flat = Bump()
    assert not measure(flat.render(np.array([[31.0, 0.0]])), np.array([[0.0, 31.0]]), flat).all.any()


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_two_bumps_nothing_and_a_missing_stripe_are_not_valid(family):
    picture = FAMILIES[family](canvas=45)
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
    assert drawn_too.all.all()
    assert not drawn_too.valid.any()


def test_tolerance_is_inclusive_and_in_pixels():
    asked = np.array([[10.0, 10.0]])
    for x, correct in ((11.0, True), (11.0 + SOS.resolution, True), (11.01, False), (12.0, False)):
        assert measure(SOS.render(np.array([[x, 10.0]])), asked, SOS).correct.tolist() == [[correct, True]]


def test_nothing_has_no_centre_and_a_copy_at_just_the_tolerance_counts():
    assert np.isnan(SOS.read(np.zeros((1, 1, 32, 32))).values).all()
    assert not measure(np.zeros((1, 1, 32, 32)), np.array([[0.0, 0.0]]), SOS).correct.any()
    lattice = np.array([[x, y] for x in range(31) for y in (0.0, 15.0, 31.0)])
    assert measure(SOS.render(lattice + np.array([1.0, 0.0])), lattice, SOS).all.all()


def test_copying_the_edge_of_a_lesion_of_seven_scores_two_sevenths():
    picture = Bump()
    lattice = picture.space().lattice()
    lesion = (lattice[:, 0] >= 13) & (lattice[:, 0] <= 19)
    copied = copying_baseline(lattice[lesion], lattice[~lesion], picture)
    assert copied.mean(axis=0).tolist() == [2 / 7, 1]


def test_copying_a_stripe_does_not_draw_the_other():
    copied = copying_baseline(np.array([[0.0, 5.0]]), np.array([[-1.0, 5.0]]), SOS)
    assert copied.tolist() == [[False, True]]


def test_wrong_shapes_are_refused():
    with pytest.raises(RequestError, match=r"images: got an array of shape \(2, 1, 16, 16\), needs \(2, 1, 32, 32\)"):
        measure(np.zeros((2, 1, 16, 16)), np.zeros((2, 2)), SOS)


class Emblem(Family):
    """A category as the brightness of the left half, and an angle as that of the right one."""

    family: Literal["emblem"] = "emblem"

    @property
    def shape(self) -> tuple[int, int, int]:
        return 2, 4, 6

    def space(self) -> FactorSpace:
        return FactorSpace((Factor("sign", 0, 4, "categorical", 3.0), Factor("angle", 0, 360, "periodic", 10.0)))

    def render(self, points: np.ndarray) -> np.ndarray:
        images = np.empty((len(points), *self.shape))
        images[..., :3] = points[:, 0, None, None, None] / 5
        images[..., 3:] = points[:, 1, None, None, None] % 360 / 360
        images[:, 0, 0, 0] = 1
        return images

    def read(self, images: np.ndarray) -> Reading:
        values = np.stack([np.round(5 * images[:, 1, 0, 0]), 360 * images[:, 1, 0, 3]], axis=1)
        return Reading(values, correlation(images, self.render(values)))


def test_a_wrong_category_is_wrong_and_an_angle_wraps_round():
    family = Emblem()
    asked = np.array([[1.0, 5.0], [2.0, 5.0], [1.0, 355.0], [1.0, 20.0]])
    found = measure(family.render(np.array([[1.0, 5.0]] * 4)), asked, family)
    assert found.correct.tolist() == [[True, True], [False, True], [True, True], [True, False]]
    assert found.all.tolist() == found.right.tolist() == [True, False, True, False]


def test_a_copy_keeps_the_category_before_all_else():
    trained = np.array([[1.0, 180.0], [2.0, 0.0]])
    copied = copying_baseline(np.array([[1.0, 0.0], [2.0, 7.0], [3.0, 0.0]]), trained, Emblem())
    assert copied.tolist() == [[True, False], [True, True], [False, True]]
