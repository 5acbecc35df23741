import numpy as np
import pytest
from hypothesis import given, strategies as st

from hyperfactor.images.gaussian import Bump, Gaussian, Sos

inner = st.floats(6, 25)
FAMILIES: dict[str, type[Gaussian]] = {"bump": Bump, "sos": Sos}


def direct(x: float, y: float, sx: float, sy: float, family: str) -> np.ndarray:
    """The formula, pixel by pixel."""
    image = np.zeros((32, 32))
    for row in range(32):
        for column in range(32):
            gx, gy = np.exp(-((column - x) ** 2) / (2 * sx**2)), np.exp(-((row - y) ** 2) / (2 * sy**2))
            image[row, column] = gx * gy if family == "bump" else (gx + gy) / 2
    return image


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_against_the_formula_pixel_by_pixel(family):
    picture = FAMILIES[family](sigma={"x": 1.5, "y": 0.7})
    assert np.allclose(picture.render(np.array([[20.25, 9.5]]))[0, 0], direct(20.25, 9.5, 1.5, 0.7, family))


def test_a_bump_has_its_mass_centre_and_widths():
    image = Bump(sigma={"x": 2.0, "y": 3.0}).render(np.array([[15.3, 14.1]]))[0, 0]
    mass, pixels = image.sum(), np.arange(32)
    assert np.isclose(mass, 2 * np.pi * 2 * 3, rtol=1e-4)  # the integral of the Gaussian
    x, y = image.sum(0) @ pixels / mass, image.sum(1) @ pixels / mass
    assert np.allclose([x, y], [15.3, 14.1], atol=1e-3)
    assert np.isclose(image.sum(0) @ (pixels - x) ** 2 / mass, 4, rtol=1e-3)
    assert np.isclose(image.sum(1) @ (pixels - y) ** 2 / mass, 9, rtol=1e-3)


@given(inner, inner)
def test_an_sos_is_the_sum_of_its_two_stripes(x: float, y: float):
    picture = Sos(canvas=45)
    sos, vertical, horizontal = picture.render(np.array([[x, y], [x, -3], [-3, y]]))[:, 0]
    assert np.allclose(sos, vertical + horizontal)
    assert np.allclose(vertical, vertical[:1])  # the same in every row
    assert np.allclose(horizontal, horizontal[:, :1])


@given(inner, inner)
def test_polarity_and_transposition(x: float, y: float):
    bright, dark = Bump(), Bump(polarity="dark")
    at = np.array([[x, y]])
    assert np.allclose(bright.render(at), 1 - dark.render(at))
    assert np.allclose(bright.render(at)[0, 0].T, bright.render(at[:, ::-1])[0, 0])


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_periodic_pictures_roll(family):
    picture = FAMILIES[family](boundary="periodic", sigma=2)
    a, b, c = picture.render(np.array([[3.0, 30.0], [10.0, 2.0], [35.0, -2.0]]))[:, 0]
    assert np.allclose(np.roll(a, (4, 7), (0, 1)), b)
    assert np.allclose(a, c)  # a turn changes nothing


def test_the_canvas_has_the_published_size_and_regions():
    picture = Sos(canvas=45)
    space = picture.space()
    points = space.lattice()
    assert [(f.low, f.high) for f in space.factors] == [(-6, 38), (-6, 38)]
    assert picture.window().contains(points, space).sum() == 32**2  # 2D
    assert picture.outside_one().contains(points, space).sum() == 2 * 32 * 13  # 1D
    visible = picture.shown(points).sum(axis=1)
    images = picture.render(points)
    assert (images[visible == 0] == 0).all()
    assert (picture.window().contains(points, space) == (visible == 2)).all()
    assert (picture.outside_one().contains(points, space) == (visible == 1)).all()
    half = space.lattice(0.5)  # a centre at -0.5 is visible, and not inside
    assert (picture.shown(half[picture.outside_one().contains(half, space)]).sum(axis=1) == 1).all()


def test_in_the_bump_family_the_canvas_holds_whole_stripes():
    image = Bump(canvas=45).render(np.array([[12.0, -3.0]]))[0, 0]
    assert np.allclose(image, np.exp(-((np.arange(32) - 12.0) ** 2) / 2))


@pytest.mark.parametrize(
    "change",
    [
        {"canvas": 31},
        {"canvas": 45, "boundary": "periodic"},
        {"size": 30},
        {"sigma": 0},
        {"sigma": 1e200},
        {"sigma": 1e-200},
        {"sigma": [1, 2]},
        {"sigma": {"x": 1}},
        {"sigma": {"x": 1, "y": 1, "z": 1}},
        {"sigma": {"x": 1, "y": 0}},
    ],
)
def test_wrong_pictures_are_refused(change):
    with pytest.raises(ValueError, match="canvas|size|sigma"):
        Bump.model_validate(change)


def test_the_edge_of_the_window_allows_for_rounding():
    """-0.5 is inside and 7.5 is outside, and the same holds for values that differ from them by rounding."""
    edges = np.array([-0.5 - 1e-13, -0.5 + 1e-13, 7.5 - 1e-13, 7.5 + 1e-13, -0.501, 7.499])
    shown = Bump(size=8, canvas=21).shown(np.stack([edges, edges], axis=1))
    assert shown[:, 0].tolist() == shown[:, 1].tolist() == [True, True, False, False, False, True]
