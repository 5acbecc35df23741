"""Figures 6, 13, 14 and 15 show the numbers of a result that was made by hand."""

import numpy as np
import polars as pl
import pytest

from hyperfactor import colours
from hyperfactor.experiments.base import Result
from hyperfactor.figures import percolation_onset, style

from . import reading

SIGMAS, LAMBDAS, SEEDS = (0.5, 2.0), (0.05, 0.1, 1.0), (4, 6)
AT = {0.5: (0.3, 0.4, 0.5), 2.0: (0.02, 0.03, 0.04)}  # percolation thresholds at three overlaps


def right(sigma: float, fraction: float, seed: int) -> float:
    return 0.8 * fraction**0.5 + 0.05 * sigma + 0.02 * (seed == 6)


def loss(sigma: float, fraction: float, seed: int) -> float:
    return sigma / fraction / 100 * (1 if seed == 4 else 3)


def made(seeds: tuple[int, ...] = SEEDS) -> Result:
    """Losses on other points are twice those on trained ones, and none at lambda 1. Onsets are 0.1 and 0.2 for sigma
    0.5, and for sigma 2 0.04 and none."""
    rows = [
        {"sigma": s, "fraction": f, "seed": seed, "n": 1024, "right": right(s, f, seed), "copied": f / 2, "error": 0.1,
         "training_loss": loss(s, f, seed), "validation_loss": 2 * loss(s, f, seed) if f < 1 else None}
        for f in reversed(LAMBDAS) for s in SIGMAS for seed in seeds
    ]  # fmt: skip
    onset = {(0.5, 4): 0.1, (0.5, 6): 0.2, (2.0, 4): 0.04, (2.0, 6): None}
    onsets = [
        {"sigma": s, "seed": seed, "onset": onset[s, seed], "steepness": 1.0}
        | dict(zip(("at 0.005", "at 0.05", "at 0.3"), AT[s], strict=True))
        for s in SIGMAS for seed in seeds
    ]  # fmt: skip
    curves = [
        {"sigma": s, "threshold": t, "side": 64, "lattices": 20, "fraction": f, "ratio": f * t * s}
        for f in (1.0, 0.0, 0.5) for s in SIGMAS for t in (0.005, 0.05, 0.3)
    ]  # fmt: skip
    arrays = {"distance": np.array([0.0, 1.0, 8.0]), "steps": np.array([0.0, 1.0])}
    for k, sigma in enumerate(SIGMAS):
        arrays |= {
            f"overlap.{sigma:g}": np.array([1.0, 0.5 + k / 4, 0.1 * k]),
            f"drawn.{sigma:g}": np.array([1.0, 0.4 + k / 4]),
        }
    for k, sigma in enumerate((0.1, *SIGMAS)):
        arrays[f"bump.{sigma:g}"] = np.full((4, 4), k / 2)
    for k, (sigma, fraction) in enumerate((s, f) for s in SIGMAS for f in (0.1, 1.0)):
        arrays[f"umap.{sigma:g} | {fraction:g}"] = np.array([[0.0, k], [1.0, 2.0]])
        arrays[f"points.{sigma:g} | {fraction:g}"] = np.array([[0.0, 9.0], [31.0 if k else 10.0, 9.0]])
    tables = {
        "accuracy": pl.DataFrame(rows, infer_schema_length=None),
        "onset": pl.DataFrame(onsets, infer_schema_length=None),
        "simulated": pl.DataFrame(curves),
    }  # fmt: skip
    return Result("percolation_onset", "laptop", seeds, 1.0, (), tables, arrays)


def colour(sigma: float) -> str:
    return reading.colours(style.colours("viridis", np.array([0.85 * sigma / 2])))[0]


def test_figure_6_shows_overlaps_and_clusters():
    result = made()
    with style.context():
        figure = percolation_onset.figure_6(result)
    closed, drawn, clusters, bump, *_ = reading.panels(figure)
    for sigma in SIGMAS:
        (line,) = reading.lines(closed, colour(sigma))
        assert reading.points(line) == [*zip((0, 1, 8), result.arrays[f"overlap.{sigma:g}"], strict=True)]
        (line,) = reading.lines(drawn, colour(sigma))
        assert reading.points(line) == [*zip((0, 1), result.arrays[f"drawn.{sigma:g}"], strict=True)]
        assert reading.points(reading.named(clusters, f"sigma {sigma:g}")) == [
            (f, pytest.approx(f * 0.005 * sigma)) for f in (0, 0.5, 1)
        ]
    assert reading.legend(closed) == ["0.5", "2"]
    assert closed.get_xlabel() == "distance (pixels)"
    assert clusters.get_title() == "overlap of 0.005"
    assert np.array_equal(reading.image(bump), result.arrays["bump.0.1"])
    assert "mean over 20 periodic lattices of side 64" in reading.note(figure)


def test_figure_6_shows_shares_and_onsets():
    with style.context():
        figure = percolation_onset.figure_6(made())
    axes, against = reading.panels(figure)[4:6]
    for sigma, onset in ((0.5, 0.15), (2.0, 0.04)):  # of sigma 2 one seed has an onset
        mean = [[(f, pytest.approx(right(sigma, f, 4) + 0.01)) for f in part] for part in ((0.05, 0.1), (1.0,))]
        assert reading.pieces(reading.named(axes, f"sigma {sigma:g}")) == mean
        dots = [(f, pytest.approx(right(sigma, f, seed))) for f in LAMBDAS for seed in SEEDS]
        assert reading.marks(axes, ".", colour(sigma)) == dots
        (dashed,) = reading.lines(axes, colour(sigma), "--")
        assert dashed.get_xdata() == [pytest.approx(onset)] * 2
    (copying,) = reading.lines(axes, colours.GREY, ":")
    assert reading.points(copying) == [(0.05, 0.025), (0.1, 0.05), (1, 0.5)]
    assert axes.get_xscale() == "log"
    assert reading.note(figure).startswith("preset laptop, 2 seeds, n = 1024 drawings a point and seed; ")
    for k, (marker, overlap) in enumerate(zip("^os", (0.005, 0.05, 0.3), strict=True)):
        assert reading.marks(against, marker, colour(0.5)) == [(AT[0.5][k], 0.1), (AT[0.5][k], 0.2)]
        assert reading.marks(against, marker, colour(2)) == [(AT[2.0][k], 0.04)]
        assert reading.legend(against)[k] == f"overlap {overlap:g}"
    (equal,) = reading.lines(against, colours.GREY)
    assert all(x == y for x, y in reading.points(equal))
    assert (against.get_xscale(), against.get_yscale()) == ("log", "log")


def test_figure_6_where_nothing_was_learnt():
    result = made((6,))
    tables = result.tables | {"onset": result.tables["onset"].with_columns(onset=pl.lit(None, pl.Float64))}
    with style.context():
        figure = percolation_onset.figure_6(Result("percolation_onset", "smoke", (6,), 1.0, (), tables, result.arrays))
    axes, against = reading.panels(figure)[4:6]
    assert reading.lines(axes, style="--") == []
    assert [reading.marks(against, marker) for marker in "^os"] == [[], [], []]
    assert len(reading.marks(axes)) == 6
    assert reading.note(figure).startswith("preset smoke, 1 seed, ")


def test_figure_13_shows_clusters_at_each_overlap():
    with style.context():
        figure = percolation_onset.figure_13(made())
    for axes, threshold in zip(reading.panels(figure), (0.005, 0.05, 0.3), strict=True):
        for sigma in SIGMAS:
            expected = [(f, pytest.approx(f * threshold * sigma)) for f in (0, 0.5, 1)]
            assert reading.points(reading.named(axes, f"sigma {sigma:g}")) == expected
        assert axes.get_title() == f"overlap of {threshold:g}"
        assert axes.get_xlabel() == "fraction occupied"
    assert reading.panels(figure)[0].get_ylabel() == "largest cluster / occupied"
    assert reading.legend(reading.panels(figure)[2]) == ["sigma 0.5", "sigma 2"]
    assert "clusters: mean over 20 periodic lattices of side 64" in reading.note(figure)


def test_figure_14_shows_losses_with_a_gap_where_no_other_points_are_left():
    result = made()
    with style.context():
        figure = percolation_onset.figure_14(result)
    first, clusters, losses, second = reading.panels(figure)
    for axes, sigma in ((first, 0.5), (second, 2)):
        assert np.array_equal(reading.image(axes), result.arrays[f"bump.{sigma:g}"])
        assert axes.get_title() == f"sigma {sigma:g}"
    assert clusters.get_title() == "overlap of 0.05"
    for sigma in SIGMAS:
        trained = [(f, pytest.approx(2 * loss(sigma, f, 4))) for f in LAMBDAS]
        assert reading.pieces(reading.named(losses, f"sigma {sigma:g}")) == [trained[:2], trained[2:]]
        (others,) = reading.lines(losses, colour(sigma), ":")
        assert reading.pieces(others) == [[(f, pytest.approx(4 * loss(sigma, f, 4))) for f in (0.05, 0.1)]]
        assert reading.marks(losses, ".", colour(sigma)) == [
            (f, pytest.approx(loss(sigma, f, seed))) for f in LAMBDAS for seed in SEEDS
        ]
        assert len(reading.marks(losses, "x", colour(sigma))) == 4
    assert (losses.get_xscale(), losses.get_yscale()) == ("log", "log")
    assert reading.note(figure).startswith("preset laptop, 2 seeds; sigma in pixels; ")


def test_figure_15_colours_every_representation_by_x_on_one_scale():
    result = made()
    with style.context():
        figure = percolation_onset.figure_15(result)
    *panels, bar = figure.axes
    roles = [(s, f) for s in SIGMAS for f in (0.1, 1.0)]
    for axes, (sigma, fraction) in zip(panels, roles, strict=True):
        (dots,) = axes.collections
        assert np.array_equal(dots.get_offsets(), result.arrays[f"umap.{sigma:g} | {fraction:g}"])
    ends = reading.colours(style.colours("cividis", np.array([10 / 31, 1.0])))
    assert [reading.colours(axes.collections[0].get_facecolor())[1] for axes in panels[:2]] == ends
    assert [axes.get_title() for axes in panels] == ["lambda 0.1", "lambda 1", "", ""]
    assert [axes.get_ylabel() for axes in panels] == ["sigma 0.5", "", "sigma 2", ""]
    assert (bar.get_ylabel(), bar.get_ylim()) == ("x (pixels)", (0, 31))
    assert reading.note(figure).startswith("preset laptop, seed 4; ")
