"""Figure 11 shows the numbers of a result that was made by hand."""

import numpy as np
import polars as pl
import pytest

from hyperfactor import colours
from hyperfactor.experiments.base import Result
from hyperfactor.figures import interpolation, style

from . import reading


def made(seeds: tuple[int, ...] = (2, 5)) -> Result:
    """Right in x: 0.8, 0.6 and 0.2 for widths 1, 4 and 8; the second seed has 0.1 less, and copies 0.2 more."""
    rows = [
        {"width": width, "seed": seed, "region": region, "n": 32 * width,
         "x": (x - 0.1 * k) if region == "lesion" else 0.99, "y": 0.9,
         "x_copied": 2 / max(width, 2) * (1 - 0.2 * (1 - k)), "y_copied": 1.0, "all_copied": 0.5}
        for width, x in ((8, 0.2), (1, 0.8), (4, 0.6)) for region in ("train", "lesion") for k, seed in enumerate(seeds)
    ]  # fmt: skip
    arrays = {}
    for width, top in ((1, 31.0), (8, 20.0)):
        arrays[f"umap.{width}"] = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, float(width)]])
        arrays[f"points.{width}"] = np.array([[0.0, 5.0], [15.5, 5.0], [top, 31.0]])
    return Result("interpolation", "laptop", seeds, 1.0, (), {"accuracy": pl.DataFrame(rows)}, arrays)


def test_figure_11_shows_shares_against_the_width_of_the_lesion():
    with style.context():
        figure = interpolation.figure_11(made())
    axes = reading.panels(figure)[0]
    assert reading.points(reading.named(axes, "x (held out)")) == [
        (1, pytest.approx(0.75)), (4, pytest.approx(0.55)), (8, pytest.approx(0.15)),
    ]  # fmt: skip
    assert reading.marks(axes, ".", colours.BLUE) == [
        (1, pytest.approx(0.7)), (1, 0.8), (4, 0.5), (4, 0.6), (8, pytest.approx(0.1)), (8, 0.2),
    ]  # fmt: skip
    assert reading.points(reading.named(axes, "y")) == [(1, 0.9), (4, 0.9), (8, 0.9)]
    assert [y for _, y in reading.points(reading.named(axes, "x, copying"))] == pytest.approx([0.9, 0.45, 0.225])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width of the lesion (pixels)", "share right")
    assert reading.legend(axes) == ["x (held out)", "y", "x, copying"]
    note = (
        "preset laptop, 2 seeds, n = 32 to 256 drawings a point and seed; a: line is the mean, dot a seed; b-c: seed 2"
    )
    assert reading.note(figure) == note


def test_figure_11_colours_representations_by_x_on_one_scale():
    result = made()
    with style.context():
        figure = interpolation.figure_11(result)
    _, one, eight, bar = reading.panels(figure)
    scale = style.colours("cividis", np.array([0, 15.5 / 31, 20 / 31]))
    for axes, width in ((one, 1), (eight, 8)):
        (dots,) = axes.collections
        assert np.array_equal(dots.get_offsets(), result.arrays[f"umap.{width}"])
        assert axes.get_title() == f"lesion of {width}"
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("UMAP 1", "UMAP 2")
    assert reading.colours(eight.collections[0].get_facecolor()) == reading.colours(scale)
    assert bar.get_ylim() == (0, 31)
    assert bar.get_ylabel() == "x (pixels)"


def test_figure_11_of_one_seed():
    with style.context():
        figure = interpolation.figure_11(made((4,)))
    axes = reading.panels(figure)[0]
    assert reading.marks(axes, ".", colours.BLUE) == [(1, 0.8), (4, 0.6), (8, 0.2)]
    assert reading.note(figure).startswith("preset laptop, 1 seed, ")
    assert reading.note(figure).endswith("b-c: seed 4")
