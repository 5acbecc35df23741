"""Figures look the same whatever their users have set, and show any name as it is."""

import xml.dom.minidom

import matplotlib
import numpy as np
import polars as pl
import pytest
from cycler import cycler
from matplotlib.axes import Axes

from hyperfactor import colours
from hyperfactor.figures import style

from . import reading

NAMES = ["cost_$1_to_$2.npy", "50%_a^b_{x}\\alpha.npy", "日本.npy", "a--b <&> ]]>", "line\nand \x01 \udcff", "x" * 500]


def drawn(note: str, kind: str = "svg") -> bytes:
    with style.context():
        figure = style.new(style.PAGE, 2.0, note)
        axes = figure.subplots()
        axes.plot([1, 10, 100], [0.5, 1.5, 2.5], label="line")
        axes.set(xscale="log", title="title")
        axes.legend()
    return style.save(figure, kind)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_can_stand_at_the_foot_of_a_figure(name: str):
    assert xml.dom.minidom.parseString(drawn(name))
    assert drawn(name, "pdf").startswith(b"%PDF")


def test_a_name_is_not_read_as_mathematics():
    assert b"<!-- cost_$1_to_$2.npy -->" in drawn(NAMES[0])


def test_a_long_note_stays_within_the_page():
    with style.context():
        figure = style.new(style.COLUMN, 2.0, "word " * 300)
    figure.canvas.draw()
    box = reading.foot(figure).get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert reading.foot(figure).get_text().count("\n") == 3


@pytest.mark.filterwarnings("ignore:.*constrained_layout:UserWarning")
@pytest.mark.parametrize(
    "own",
    [
        {"text.usetex": True},
        {"savefig.bbox": "tight", "savefig.pad_inches": 2.0, "figure.dpi": 300},
        {"font.family": ["no such font"], "font.size": 30, "axes.formatter.use_locale": True},
        {"axes.prop_cycle": cycler(color="k"), "figure.facecolor": "black", "svg.fonttype": "none"},
        {"figure.autolayout": True, "axes.grid": True, "path.sketch": (1, 100, 2)},
    ],
    ids=str,
)
def test_the_settings_of_a_user_change_nothing(own: dict):
    plain = drawn("note")
    with matplotlib.rc_context(own):
        assert drawn("note") == plain
        assert {key: matplotlib.rcParams[key] for key in own} == own  # and are left as they were


def test_a_picture_of_an_array_needs_no_display(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with matplotlib.rc_context(), style.context():
        axes = style.new(2.0, 2.0).subplots()
        style.picture(axes, np.eye(3))
        assert style.save(axes.figure, "pdf").startswith(b"%PDF")  # pyright: ignore[reportArgumentType]


def empty() -> Axes:
    with style.context():
        return style.new(style.COLUMN, 2.0).subplots()


SEEN = pl.DataFrame({
    "x": [4, 1, 2, 1, 2, 4], "seed": [0, 1, 0, 0, 1, 1], "y": [0.9, 0.3, None, 0.1, None, 0.5], "z": [1.0] * 6,
})  # fmt: skip


def test_lines_are_means_over_seeds_with_a_mark_for_each():
    axes = empty()
    style.lines(axes, SEEN, "x", {"z": ("z", colours.BLUE), "y": ("y", colours.BLACK)})
    assert reading.points(reading.named(axes, "z")) == [(1, 1), (2, 1), (4, 1)]
    assert reading.marks(axes, ".", colours.BLUE) == [(1, 1), (1, 1), (2, 1), (2, 1), (4, 1), (4, 1)]
    assert reading.marks(axes, ".", colours.BLACK) == [(1, 0.1), (1, 0.3), (4, 0.5), (4, 0.9)]


def test_a_missing_value_is_a_gap_in_a_line_and_no_mark():
    axes = empty()
    style.lines(axes, SEEN, "x", {"y": ("y", colours.BLACK)})
    first, last = reading.pieces(reading.named(axes, "y"))
    assert first == [(1, pytest.approx(0.2))]
    assert last == [(4, pytest.approx(0.7))]
    nothing = empty()
    style.lines(nothing, SEEN.with_columns(y=pl.lit(None)), "x", {"y": ("y", colours.BLACK)})
    assert reading.points(reading.named(nothing, "y")) == reading.marks(nothing) == []


def test_lines_join_no_points_that_are_far_apart():
    axes = empty()
    style.lines(axes, pl.DataFrame({"x": [0.01, 0.02, 0.03, 0.1, 0.2], "y": [1.0, 2.0, 3.0, 4.0, 5.0]}), "x",
                {"y": ("y", colours.BLACK)}, apart=2.0)  # fmt: skip
    assert [[x for x, _ in piece] for piece in reading.pieces(reading.named(axes, "y"))] == [
        [0.01, 0.02, 0.03],
        [0.1, 0.2],
    ]


def test_bars_are_means_over_seeds_with_a_dot_for_each_and_a_dash_for_copying():
    axes = empty()
    values = np.array([[0.1, 0.5], [0.3, 0.7]])  # seeds, groups
    style.bars(axes, ["one", "two"], {"right": (colours.BLUE, values)}, {"right": np.array([0.25, 0.9])})
    assert reading.bars(axes) == [("right", [pytest.approx(0.2), pytest.approx(0.6)])]
    assert [y for _, y in reading.marks(axes)] == [0.1, 0.3, 0.5, 0.7]
    assert reading.dashes(axes) == [[0.25, 0.9]]
    assert [text.get_text() for text in axes.texts] == ["0.20", "0.60"]
    assert [text.get_position()[1] for text in axes.texts] == [
        pytest.approx(0.32),
        pytest.approx(0.92),
    ]  # above all else
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["one", "two"]


def test_bars_of_one_seed_have_no_dots():
    axes = empty()
    style.bars(axes, ["one"], {"x": (colours.BLUE, np.array([[0.1]])), "y": (colours.SKY, np.array([[0.2]]))}, {})
    assert reading.bars(axes) == [("x", [0.1]), ("y", [0.2])]
    assert reading.marks(axes) == reading.dashes(axes) == []
