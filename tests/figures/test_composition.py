"""Figures 1, 4, 9 and 10 show the numbers of a result that was made by hand."""

import numpy as np
import polars as pl
import pytest

from hyperfactor import colours
from hyperfactor.experiments.base import Result
from hyperfactor.figures import composition, style

from . import reading

ROLES = ("2d", "1d", "2d+1d", "1d+rim")
REGIONS = ("train", "intersection", "ood", "vertical", "overall", "horizontal")  # in none of the figures' orders
BASE = {"vertical": 0.1, "horizontal": 0.2, "intersection": 0.3, "train": 0.4, "overall": 0.5, "ood": 0.6}
SEEDS = (3, 7)


def share(role: str, region: str, seed: int) -> float:
    """Right in x; right in y is 0.1 more, right and valid 0.05 less. Copying: 0.2 more, 0.3 more, and in both 0.25
    more. Seed 7 has 0.04 more than seed 3, for copying 0.02."""
    return BASE[region] + 0.01 * ROLES.index(role) + 0.04 * (seed == 7)


def made(seeds: tuple[int, ...] = SEEDS) -> Result:
    rows = []
    for role in ROLES:
        for region in REGIONS:
            for seed in reversed(seeds):
                x = share(role, region, seed)
                copied = share(role, region, 3) + 0.02 * (seed == 7)
                rows.append({
                    "model": role, "seed": seed, "region": region,
                    "n": 1000 * (role == "1d+rim") + 100 * REGIONS.index(region) + 50,
                    "x": x, "y": x + 0.1, "all": x, "right": x - 0.05,
                    "x_copied": copied + 0.2, "y_copied": copied + 0.3, "all_copied": copied + 0.25,
                })  # fmt: skip
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {name: random.random((32, 32)) for name in ("bump", "sos", "empty", "stripe")}
    arrays["visible"] = random.integers(0, 3, (45, 45))
    for role in ROLES:
        arrays[f"{role}.trained"] = random.random((45, 45)) > 0.5
        arrays[f"{role}.requests"] = np.array([[0.0, 31.0], [13.0, 19.0], [5.0, 6.0]])
        arrays[f"{role}.outcome"] = np.array([True, False, True])
        arrays[f"{role}.shown"] = np.array([1, 0, 2] + [0] * 22)
        arrays[f"{role}.drawn"] = random.random((25, 32, 32))
    return Result("composition", "laptop", seeds, 1.0, (), {"accuracy": pl.DataFrame(rows)}, arrays)


@pytest.fixture(scope="module")
def result() -> Result:
    return made()


def test_figure_1_shows_the_two_pictures(result: Result):
    with style.context():
        figure = composition.figure_1(result)
    assert [axes.get_title() for axes in figure.axes] == ["2D bump", "sum of stripes"]
    for axes, name in zip(figure.axes, ("bump", "sos"), strict=True):
        assert np.array_equal(reading.image(axes), result.arrays[name])
        assert axes.images[0].get_clim() == (0, 1)
    assert "32 x 32 pixels" in reading.note(figure)


def test_figure_4_shows_shares_by_region_beside_copying(result: Result):
    with style.context():
        figure = composition.figure_4(result)
    panels = reading.panels(figure)
    for axes, role in zip(panels[3:], ("2d", "1d", "2d+1d"), strict=True):
        x = [share(role, region, 3) for region in ("vertical", "horizontal", "intersection", "train")]
        means = [pytest.approx(value + 0.02) for value in x], [pytest.approx(value + 0.12) for value in x]
        assert reading.bars(axes) == [("right in x", means[0]), ("right in y", means[1])]
        dots = sorted(value + more for value in x for more in (0, 0.04, 0.1, 0.14))
        assert sorted(y for _, y in reading.marks(axes)) == pytest.approx(dots)
        assert reading.dashes(axes) == [pytest.approx([v + 0.21 for v in x]), pytest.approx([v + 0.31 for v in x])]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["vert.", "horiz.", "inters.", "ID"]
    assert panels[3].get_ylabel() == "share right"
    assert reading.legend(panels[5]) == ["right in x", "right in y"]
    note = reading.note(figure)
    assert note.startswith("preset laptop, 2 seeds, n = 50 to 550 drawings a bar and seed; maps: seed 3; ")
    assert "bar: mean over seeds, dot: a seed, dashed: copying the nearest trained point" in note


def test_figure_4_maps_what_was_trained_on_and_what_came_right(result: Result):
    with style.context():
        figure = composition.figure_4(result)
    panels = reading.panels(figure)
    for axes, role, title in zip(panels, ("2d", "1d", "2d+1d"), ("2D", "1D", "2D+1D"), strict=False):
        assert axes.get_title() == f"{title} model"
        assert np.array_equal(reading.image(axes), result.arrays[f"{role}.trained"])
        assert axes.images[0].get_extent() == [-6.5, 38.5, 38.5, -6.5]  # pixel 0 at 0, rows downwards
        right, wrong = [(0.0, 31.0), (5.0, 6.0)], [(13.0, 19.0)]
        assert reading.scattered(axes) == [(colours.VERMILION, wrong), (colours.GREEN, right)]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("x (pixels)", "y (pixels)")
    assert reading.legend(panels[4]) == ["trained on", "drawn right", "drawn wrong"]


def test_figure_9_maps_the_canvas(result: Result):
    with style.context():
        figure = composition.figure_9(result)
    panels = reading.panels(figure)
    assert np.array_equal(reading.image(panels[0]), result.arrays["visible"])
    assert reading.shades(panels[0], 0, 1, 2) == [colours.PALE, colours.SKY, colours.BLUE]
    for axes, name, title in zip(panels[1:4], ("empty", "stripe", "sos"), ("0D", "1D", "2D"), strict=True):
        assert np.array_equal(reading.image(axes), result.arrays[name])
        assert axes.get_title() == title
    for axes, role in zip(panels[4:], ROLES, strict=True):
        assert np.array_equal(reading.image(axes), result.arrays[f"{role}.trained"])
        assert reading.shades(axes, 0, 1) == ["#FFFFFF", colours.ORANGE]
    assert [axes.get_title() for axes in panels[4:]] == ["2D data", "1D data", "2D+1D data", "1D + rim data"]


def test_figure_10_shows_accuracy_and_drawings(result: Result):
    with style.context():
        figure = composition.figure_10(result)
    panels = reading.panels(figure)
    for role, accuracy, map_ in (("1d", panels[1], panels[0]), ("1d+rim", panels[4], panels[3])):
        right = [share(role, region, 3) - 0.05 for region in ("overall", "train", "ood")]
        assert reading.bars(accuracy) == [("right", [pytest.approx(value + 0.02) for value in right])]
        assert sorted(y for _, y in reading.marks(accuracy)) == pytest.approx(
            sorted(v + m for v in right for m in (0, 0.04))
        )
        assert reading.dashes(accuracy) == [pytest.approx([value + 0.31 for value in right])]
        assert [text.get_text() for text in accuracy.texts][:-1] == [f"{value + 0.02:.2f}" for value in right]
        assert [tick.get_text() for tick in accuracy.get_xticklabels()] == ["overall", "ID", "OOD"]
        assert np.array_equal(reading.image(map_), result.arrays[f"{role}.trained"])
    for half, role in zip(figure.subfigs, ("1d", "1d+rim"), strict=True):
        drawn = half.subfigs[1].axes
        assert len(drawn) == 25
        for axes, picture in zip(drawn, result.arrays[f"{role}.drawn"], strict=True):
            assert np.array_equal(reading.image(axes), picture)
        assert [axes.get_title() for axes in drawn[:4]] == ["13, 19", "0, 31", "5, 6", "0, 31"]
        frames = reading.colours(axes.spines["left"].get_edgecolor() for axes in drawn[:3])
        assert frames == [colours.VERMILION, colours.GREEN, colours.GREEN]
    assert reading.note(figure).startswith("preset laptop, 2 seeds, n = 50 to 1450 drawings a bar and seed; ")
    assert "a, c, d, f: seed 3, green: right, red: wrong" in reading.note(figure)


def test_one_seed_has_no_dots_and_says_so():
    with style.context():
        figure = composition.figure_4(made((7,)))
    panels = reading.panels(figure)
    assert reading.bars(panels[3])[0][1] == pytest.approx([0.14, 0.24, 0.34, 0.44])
    assert reading.marks(panels[3]) == []
    assert reading.note(figure).startswith("preset laptop, 1 seed, ")
    assert "maps: seed 7" in reading.note(figure)
