"""Figures look the same whatever their users have set, and show any name as it is."""

import xml.dom.minidom

import matplotlib
import numpy as np
import pytest

from hyperfactor.figures import style

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
    assert figure._supxlabel is not None
    figure.canvas.draw()
    box = figure._supxlabel.get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert figure._supxlabel.get_text().count("\n") == 3


@pytest.mark.filterwarnings("ignore:.*constrained_layout:UserWarning")
@pytest.mark.parametrize(
    "own",
    [
        {"text.usetex": True},
        {"savefig.bbox": "tight", "savefig.pad_inches": 2.0, "figure.dpi": 300},
        {"font.family": ["no such font"], "font.size": 30, "axes.formatter.use_locale": True},
        {"axes.prop_cycle": matplotlib.cycler(color="k"), "figure.facecolor": "black", "svg.fonttype": "none"},
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
