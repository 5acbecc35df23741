"""Figures 4 (g) and 5 show the numbers of a result that was made by hand."""

from typing import Any

import polars as pl
import pytest

from hyperfactor import colours
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.claims import Bound, Claim
from hyperfactor.figures import data_efficiency, style

from . import reading

FAMILIES = ("bumps", "bumps + stripes")
TRIED = {0: [(0.02, 0.1), (0.04, 0.5), (0.05, 0.7), (1.0, 1.0)], 1: [(0.02, 0.2), (0.04, 0.9), (1.0, 0.8)]}

MORE = {"x": 0.01, "y": 0.02, "all": -0.01, "right": 0.0}


def claims(measured: bool) -> tuple[Claim, ...]:
    found = [
        ("efficiency.bumps", 2.0, (1.75, 2.25)),
        ("efficiency.both", 1.0, (0.5, 1.5)),
        ("efficiency.steeper", 1.0, (0.4, 1.6)),
    ]
    about: dict[str, Any] = {"figure": "5", "statement": "", "terms": "paper", "bound": Bound(">", 1.5), "seeds": ()}
    return tuple(
        Claim(id=name, **about, measured=value, interval=interval, method="by hand", verdict="holds", reason="")
        if measured
        else Claim(id=name, **about, measured=None, interval=None, method="", verdict="not measured", reason="by hand")
        for name, value, interval in found
    )


def made(
    seeds: tuple[int, ...] = (0, 1), sizes: tuple[int, ...] = (8, 32), measured: bool = True, preset: str = "laptop"
) -> Result:
    """At N = 32 right as TRIED; in both 0.01 less and in x and y 0.01 and 0.02 more; copying scores half of the
    fraction. Bumps need N^2 / 4 pictures, bumps + stripes 2 N; the second seed found none at N = 8."""
    rows, counts = [], []
    for family in FAMILIES:
        for size in sizes:
            for seed in reversed(seeds):
                for fraction, right in reversed(TRIED[seed]):
                    rows.append({
                        "family": family, "size": size, "seed": seed, "fraction": fraction,
                        "n": 64 if size == 8 else 300, "x": right + 0.01, "y": right + 0.02, "all": right - 0.01,
                        "right": right if size == 32 else 0.33, "all_copied": fraction / 2,
                    })  # fmt: skip
                needed = size**2 / 4 if family == "bumps" else 2.0 * size
                found = (needed, 0.75 * needed, 1.5 * needed) if (seed, size) != (1, 8) else (None, None, None)
                counts.append({"family": family, "size": size, "seed": seed}
                              | dict(zip(("needed", "too_few", "enough"), found, strict=True)))  # fmt: skip
    tables = {"accuracy": pl.DataFrame(rows), "needed": pl.DataFrame(counts, infer_schema_length=None)}
    return Result("data_efficiency", preset, seeds, 1.0, claims(measured), tables)


def trials(line: str) -> list[list[list[Any]]]:
    """The joined trials of each seed, shifted by what a column has more."""
    more = MORE[line]
    return [
        [[(f, pytest.approx(r + more)) for f, r in TRIED[seed][:-1]],
         [(f, pytest.approx(r + more)) for f, r in TRIED[seed][-1:]]]
        for seed in (0, 1)
    ]  # fmt: skip


def test_figure_4g_shows_each_model_of_the_largest_set():
    with style.context():
        figure = data_efficiency.figure_4g(made())
    (axes,) = figure.axes
    for column, colour, marker in (("x", colours.BLUE, "^"), ("y", colours.SKY, "v"), ("all", colours.BLACK, ".")):
        assert [reading.pieces(line) for line in reading.lines(axes, colour)] == trials(column)
        dots = [(f, pytest.approx(r + MORE[column])) for f, r in sorted(TRIED[0] + TRIED[1])]
        assert reading.marks(axes, marker, colour) == dots
    (copying,) = reading.lines(axes, colours.GREY, ":")
    assert reading.pieces(copying) == [[(0.02, 0.01), (0.04, 0.02), (0.05, 0.025)], [(1.0, 0.5)]]
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("fraction of the set", "share right")
    assert reading.legend(axes) == ["right in x", "right in y", "right in both"]
    assert reading.note(figure).startswith(
        "preset laptop, 2 seeds, n = 300 drawings a point and seed; N = 32; marker: one model"
    )


def test_figure_5_shows_each_model_and_joins_only_neighbours():
    """The whole set is 20 times what was tried before it."""
    with style.context():
        figure = data_efficiency.figure_5(made())
    for axes, colour, family in zip(reading.panels(figure), (colours.BLUE, colours.ORANGE), FAMILIES, strict=False):
        assert [reading.pieces(line) for line in reading.lines(axes, colour)] == trials("right")
        (half,) = reading.lines(axes, colours.GREY)
        assert half.get_ydata() == [0.6, 0.6]
        (copying,) = reading.lines(axes, colours.GREY, ":")
        assert reading.points(copying) == [(0.02, 0.01), (0.04, 0.02), (0.05, 0.025), (1.0, 0.5)]
        assert axes.get_xscale() == "log"
        assert axes.get_title() == f"{family}, N = 32"
        assert axes.get_xlabel() == "fraction trained on"
    assert reading.note(figure).startswith("preset laptop, 2 seeds, n = 64 to 300 drawings a point and seed; ")


def test_figure_5_shows_the_pictures_needed_with_their_powers():
    with style.context():
        figure = data_efficiency.figure_5(made())
    axes = reading.panels(figure)[2]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlabel() == "N (values of a factor)"
    assert reading.marks(axes, "o", colours.BLUE) == [(8, 16), (32, 256), (32, 256)]
    assert reading.marks(axes, "o", colours.ORANGE) == [(8, 16), (32, 64), (32, 64)]
    ends = [sorted({(float(a[1]), float(b[1])) for a, b in bars.get_segments()}) for bars in axes.collections]  # pyright: ignore[reportAttributeAccessIssue]
    assert ends == [[(12, 24), (192, 384)], [(12, 24), (48, 96)]]
    for colour, at_32 in ((colours.BLUE, 256), (colours.ORANGE, None)):  # through all bumps exactly: N^2 / 4
        (power,) = reading.lines(axes, colour)
        (low, first), (high, last) = reading.points(power)
        assert (low, high) == (8, 32)
        assert last / first == pytest.approx(16 if at_32 else 4)
        assert last == pytest.approx(at_32 or 64)
    assert reading.legend(axes) == ["bumps: N^2.00 (1.75 to 2.25)", "bumps + stripes: N^1.00 (0.50 to 1.50)"]


def test_figure_5_has_guides_through_the_mean_of_all_points():
    """The mean of (8, 16) twice, (32, 256) twice and (32, 64) twice, in powers of two: N = 2^(13/3), 2^6 pictures."""
    with style.context():
        figure = data_efficiency.figure_5(made())
    axes = reading.panels(figure)[2]
    for line, power in zip(reading.lines(axes, colours.GREY, ":"), (1, 2), strict=True):
        expected = [(n, pytest.approx(2**6 * (n / 2 ** (13 / 3)) ** power)) for n in (8, 32)]
        assert reading.points(line) == expected
    assert [text.get_text() for text in axes.texts][:-1] == ["N", "N^2"]


def test_figure_5_of_claims_that_were_not_measured():
    with style.context():
        figure = data_efficiency.figure_5(made(measured=False))
    axes = reading.panels(figure)[2]
    assert reading.lines(axes, colours.BLUE) == reading.lines(axes, colours.ORANGE) == []
    assert reading.marks(axes, "o", colours.BLUE)
    assert reading.legend(axes) == ["bumps", "bumps + stripes"]


def test_figures_of_one_seed_and_one_size_where_nothing_was_needed():
    """The smoke preset."""
    result = made((1,), (8,), measured=False, preset="smoke")
    with style.context():
        five, four = data_efficiency.figure_5(result), data_efficiency.figure_4g(result)
    axes = reading.panels(five)[2]
    assert [text.get_text() for text in axes.texts] == ["no models on both sides of 0.6", "c"]
    assert reading.lines(axes) == []
    assert reading.points(reading.lines(four.axes[0], colours.BLACK)[0])[0] == (0.02, pytest.approx(0.19))
    for figure in (five, four):
        assert reading.note(figure).startswith("preset smoke, 1 seed, n = 64 drawings a point and seed; ")


def test_figure_5_of_one_size():
    with style.context():
        figure = data_efficiency.figure_5(made((0,), (32,)))
    assert reading.marks(reading.panels(figure)[2], "o", colours.BLUE) == [(32, 256)]
