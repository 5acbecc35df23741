import numpy as np
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.percolation.overlap import discrete_overlap, overlap, reach


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_the_closed_form_is_the_integral(sigma: float):
    """The integral of the product of two Gaussians of unit norm, as a sum over a fine grid of the plane."""
    step = sigma / 20
    axis = np.arange(-8 * sigma, 8 * sigma, step)
    x, y = np.meshgrid(axis, axis)

    def bump(centre: float):
        values = np.exp(-((x - centre) ** 2 + y**2) / (2 * sigma**2))
        return values / np.linalg.norm(values)

    for distance in (0.0, 0.5 * sigma, 2 * sigma):
        assert overlap(distance, sigma) == pytest.approx((bump(0) * bump(distance)).sum(), abs=1e-6)


def test_the_reach_of_a_threshold_overlaps_by_it():
    for sigma in (0.1, 1.0, 3.0):
        for threshold in (0.005, 0.05, 0.5, 1.0):
            assert overlap(reach(sigma, threshold), sigma) == pytest.approx(threshold)


def test_pictures_of_wide_bumps_overlap_as_in_the_plane_and_of_tiny_ones_do_not():
    for step in ((1.0, 0.0), (1.0, 1.0), (2.0, 0.0)):
        assert discrete_overlap(step, 1.0) == pytest.approx(overlap(float(np.hypot(*step)), 1.0), abs=1e-4)
    # half a pixel from two pixels' centres, a tiny bump is drawn on both, and so is its neighbour
    assert discrete_overlap((1.0, 0.0), 0.2) > 10 * overlap(1.0, 0.2)


@pytest.mark.parametrize(
    ("step", "sigma", "line"),
    [
        ((1.0, 0.0), 0.01, "^sigma: got 0.01, needs at least 0.027: the pixels of narrower bumps may all be dark$"),
        ((1.0, 0.0), 0.02, "^sigma: got 0.02, needs at least 0.027"),
        ((0.5, 0.0), 0.025, "^sigma: got 0.025, needs at least 0.027"),
        ((float("nan"), 0.0), 1.0, r"^step: got nan at \(0,\), needs finite numbers$"),
        ((0.0, float("inf")), 1.0, r"^step: got inf at \(1,\), needs finite numbers$"),
        ((1.0, 0.0, 0.0), 1.0, "^step: got .*, needs one number along x and one along y$"),
    ],
)
def test_pictures_that_have_no_overlap_are_refused(step, sigma: float, line: str):
    with pytest.raises(RequestError, match=line):
        discrete_overlap(step, sigma)


def test_the_narrowest_bumps_are_drawn_on_the_nearest_pixels_alone():
    """Half-way between pixels a bump is drawn on all nearest ones: 1 pixel, 2 of a row, 2 of a column, or 4."""
    assert discrete_overlap((1.0, 0.0), 0.027) == pytest.approx((0 + 1 / 2 + 0 + 1 / 2) / 4)
    assert discrete_overlap((0.5, 0.0), 0.027) == pytest.approx(1 / 2**0.5)


@pytest.mark.parametrize(("sigma", "threshold"), [(0, 0.5), (-1, 0.5), (1, 0), (1, 1.5), (1, "half")])
def test_bad_requests(sigma: float, threshold: float):
    with pytest.raises(RequestError, match="needs a number"):
        reach(sigma, threshold)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.float16, np.float32, np.longdouble])
def test_small_types_overlap_as_float64_does(kind):
    distances = np.array([0, 1, 20, 100])
    assert np.array_equal(overlap(distances.astype(kind), 50.0), overlap(distances.astype(float), 50.0))
    assert overlap(kind(100), kind(50)) == overlap(100.0, 50.0)
    assert reach(kind(100), 0.5) == reach(100.0, 0.5)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_the_unit_of_length_does_not_matter(scale):
    assert overlap(np.array([0.5, 1.0, 3.0]) * scale, scale) == pytest.approx(overlap(np.array([0.5, 1.0, 3.0]), 1.0))


@pytest.mark.parametrize("distance", [1j, np.ma.masked_array([1.0, 2.0], [True, False]), "far", None])
def test_distances_that_are_no_numbers_are_refused(distance):
    with pytest.raises(RequestError, match="^distance: got "):
        overlap(distance, 1.0)


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf"), None, "wide"])
def test_widths_that_are_no_numbers_are_refused(sigma):
    with pytest.raises(RequestError, match="^sigma: got .*, needs a number above 0$"):
        overlap(1.0, sigma)
