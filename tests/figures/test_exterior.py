"""Figure 12 shows the numbers of a result that was made by hand."""

import polars as pl
import pytest

from hyperfactor import colours
from hyperfactor.experiments.base import Result
from hyperfactor.figures import exterior, style

from . import reading

BOTH = {("bump", "interior"): 0.9, ("bump", "corner"): 0.5, ("sos", "interior"): 0.8, ("sos", "corner"): 0.4}


def made(seeds: tuple[int, ...] = (0, 1, 2)) -> Result:
    """Right in both: less by a hundredth for each pixel of width, and more by 0.03 for each seed; copying is half of
    it."""
    rows = [
        {"family": family, "place": place, "width": width, "seed": seed, "region": region, "n": width**2,
         "all": (value := both - width / 100 + 0.03 * k if region == "held out" else 1.0), "all_copied": value / 2}
        for width in (24, 4, 12) for (family, place), both in BOTH.items() for region in ("held out", "train")
        for k, seed in enumerate(seeds)
    ]  # fmt: skip
    return Result(
        "exterior", "laptop", seeds, 1.0, (), {"accuracy": pl.DataFrame(rows).sample(fraction=1, shuffle=True, seed=0)}
    )


def test_figure_12_shows_shares_against_the_width_of_the_square():
    with style.context():
        figure = exterior.figure_12(made())
    panels = reading.panels(figure)
    for axes, family, title in zip(panels, ("bump", "sos"), ("bumps", "sums of stripes"), strict=True):
        assert axes.get_title() == title
        assert axes.get_xlabel() == "side of the square held out (pixels)"
        for place, colour in (("interior", colours.BLUE), ("corner", colours.ORANGE)):
            values = [(width, BOTH[family, place] - width / 100) for width in (4, 12, 24)]
            mean = [(width, pytest.approx(value + 0.03)) for width, value in values]
            assert reading.points(reading.named(axes, place)) == mean
            copied = [(width, pytest.approx((value + 0.03) / 2)) for width, value in values]
            assert [reading.points(line) for line in reading.lines(axes, colour, ":")] == [copied]
            dots = [(width, pytest.approx(value + 0.03 * k)) for width, value in values for k in range(3)]
            assert reading.marks(axes, ".", colour) == dots
        assert axes.get_xticks().tolist() == [4, 12, 24]
    assert panels[0].get_ylabel() == "share right in x and y"
    assert reading.legend(panels[0]) == ["interior", "corner"]
    note = "line: mean over seeds, dot: a seed, dotted: copying the nearest trained picture"
    assert reading.note(figure) == f"preset laptop, 3 seeds, n = 16 to 576 drawings a point and seed; {note}"


def test_figure_12_of_one_seed_and_a_preset_with_fewer_widths():
    result = made((0,))
    few = result.tables["accuracy"].filter(pl.col("width") != 12)
    with style.context():
        figure = exterior.figure_12(Result("exterior", "smoke", (0,), 1.0, (), {"accuracy": few}))
    axes = reading.panels(figure)[0]
    assert reading.points(reading.named(axes, "corner")) == [(4, pytest.approx(0.46)), (24, pytest.approx(0.26))]
    assert len(reading.marks(axes, ".", colours.ORANGE)) == 2
    assert reading.note(figure).startswith("preset smoke, 1 seed, ")
