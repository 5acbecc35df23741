# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalSubscript=false
"""The page of one representation shows the numbers of a flat torus, which are known."""

import numpy as np
import pytest

from hyperfactor import colours
from hyperfactor.figures import style
from hyperfactor.figures.layout import figure
from hyperfactor.measures.geometry import clifford_torus
from hyperfactor.measures.representation import Representation
from hyperfactor.subjects.layout import laid_out

from . import reading

SIDE = 8


@pytest.fixture(scope="module")
def found():
    return laid_out(Representation.of(clifford_torus(SIDE)))


@pytest.fixture(scope="module")
def page(found):
    with style.context():
        return figure(found, "flat")


def test_the_title_says_what_was_measured(page):
    assert reading.note(page) == "flat; lattice 8 x 8, d = 4; 64 landmarks"


def test_the_variance_lies_along_four_axes(page, found):
    spectrum = reading.panels(page)[1]
    shares = [y for _, y in reading.points(spectrum.get_lines()[0])]
    assert shares[:4] == pytest.approx([0.25] * 4)
    assert spectrum.get_title() == "participation ratio 4.0"
    assert spectrum.get_yscale() == "log"


def test_shares_that_are_rounding_are_not_drawn():
    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0][:4]
    with style.context():
        page = figure(laid_out(Representation.of(clifford_torus(SIDE) @ frame)), "turned")
    spectrum = reading.panels(page)[1]
    assert len(reading.points(spectrum.get_lines()[0])) == 4
    assert spectrum.get_ylim()[0] > 1e-3


def test_the_cloud_lies_at_the_principal_coordinates(page, found):
    assert np.array_equal(reading.cloud(reading.panels(page)[0]), found.coordinates.reshape(SIDE, SIDE, 3))


def test_bars_are_in_radii_and_one_component_never_dies(page, found):
    """Neighbours are 2 sin(pi / 8) apart on each circle of radius 1; the radius of the cloud is sqrt 2."""
    axes = reading.panels(page)[2]
    components = reading.marks(axes, "o", colours.GREY)
    assert len(components) == SIDE**2
    step = 2 * np.sin(np.pi / SIDE) / np.sqrt(2)
    assert [y for _, y in components[:-1]] == pytest.approx([step] * (SIDE**2 - 1))
    assert components[-1][1] == max(y for _, y in reading.marks(axes, "o", colours.BLUE) + components)
    assert axes.get_title().startswith("Betti (1, ")


def test_steps_within_a_factor_turn_by_equal_angles(page):
    """Two steps on a circle of 8 values have the cosines 0, -1 and +-sqrt 1/2: shares 2, 1, 2 and 2 of 7."""
    axes = reading.panels(page)[3]
    for name in "xy":
        shares = reading.steps(axes, name)
        assert sum(shares.values()) == pytest.approx(1)
        lowest, *_, highest = shares
        assert (lowest, shares[lowest]) == (-1, pytest.approx(1 / 7))
        assert (highest, shares[highest]) == (pytest.approx(0.7), pytest.approx(2 / 7))
    assert reading.legend(axes) == ["x", "y"]
    assert axes.get_xlabel() == "cosine of steps within a factor"


def test_the_nearest_shape_is_the_flat_torus(page, found):
    axes = reading.panels(page)[4]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    lengths = dict(zip(names, reading.bars(axes)[0][1], strict=True))
    assert lengths == pytest.approx(found.comparison.total)
    assert lengths["Clifford torus"] == pytest.approx(0, abs=1e-9)
    assert min(lengths["3D torus"], lengths["hyper-factorized torus"]) > 0.05
    shades = dict(zip(names, reading.colours(bar.get_facecolor() for bar in axes.patches), strict=True))
    assert [name for name, shade in shades.items() if shade == colours.GREEN] == ["Clifford torus"]


def test_one_factor_is_drawn_flat():
    ring = laid_out(Representation.of(clifford_torus(24)[:, 0, :2]), max_dim=1)
    with style.context():
        page = figure(ring, "ring")
    axes = reading.panels(page)[0]
    radii = [np.hypot(x, y) for x, y in reading.points(axes.get_lines()[0])]
    assert radii == pytest.approx([1] * 24)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("PC 1", "PC 2")
    assert reading.note(page).startswith("ring; lattice 24, d = 2")


def test_of_several_readings_the_steps_are_means():
    generator = np.random.default_rng(0)
    R = np.pad(clifford_torus(SIDE), ((0, 0), (0, 0), (0, 60)))
    found = laid_out(Representation.of([R + 0.09 * generator.normal(size=R.shape) for _ in range(2)]))
    assert max(np.abs(values).max() for values in found.cosines.within) > 1.2
    with style.context():
        axes = reading.panels(figure(found, "noisy"))[3]
    for name in "xy":
        means = found.comparison.statistics[f"{name} within"]
        counts, _ = np.histogram(means.clip(-1, 1), np.linspace(-1, 1, 41))
        assert list(reading.steps(axes, name).values()) == pytest.approx(list(counts[counts > 0] / len(means)))


def test_names_of_factors_are_no_mathematics(tmp_path):
    """matplotlib would set what is between two dollars as mathematics, and leave a name with a first _ out."""
    names = ["$a_$", "_hue"]
    drawn = figure(laid_out(Representation.of(clifford_torus(6), names), landmarks=20, max_dim=1), "an array")
    drawn.savefig(tmp_path / "figure.svg")
    legends = [axes.get_legend() for axes in drawn.axes if axes.get_legend()]
    shown = [text.get_text() for legend in legends for text in legend.get_texts()]
    assert [text.strip().replace("\\$", "$") for text in shown][-2:] == names
