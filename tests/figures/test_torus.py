"""Figures 2, 3 and 8 show the numbers of a result that was made by hand."""

import numpy as np
import polars as pl
import pytest

from hyperfactor import colours
from hyperfactor.experiments.base import Result
from hyperfactor.figures import style, torus

from . import reading

SEEDS, STEPS = (3, 5), (0, 40, 200)
SHAPES = ("3D torus", "model", "Clifford torus", "hyper-factorized torus")
STATISTICS = ("x-on-y orthogonality", "x-on-x orthogonality", "y-on-y orthogonality", "x-on-y parallelism",
              "x-on-x parallelism", "y-on-y parallelism", "x within", "y within")  # fmt: skip


def made(seeds: tuple[int, ...] = SEEDS) -> Result:
    """Each statistic has eight values: two at the lower end by rounding, two in the middle, and of the model four at
    the upper end by rounding, of the ideal shapes four at a half."""
    random = np.random.default_rng(0)
    arrays = {
        "steps": np.array(STEPS), "right": np.array([0.0, 0.25, 1.0]), "shown": np.array(STEPS),
        "spectra": np.array([[0.2] * 5, [0.4, 0.3, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25, 1e-4]]),
        "ideal.3D": random.normal(size=(4, 4, 3)), "ideal.Clifford": random.normal(size=(4, 4, 3)),
    }  # fmt: skip
    arrays |= {f"pca.{step}": random.normal(size=(4, 6, 3)) for step in STEPS}
    for name, birth in (("ideal", 0.0), ("learned", 0.1)):
        arrays[f"diagram.{name}.0"] = np.array([[birth, 0.3], [birth, np.inf]])
        arrays[f"diagram.{name}.1"] = np.array([[birth + 0.2, 1.0], [birth + 0.2, 2.0]])
        arrays[f"diagram.{name}.2"] = np.zeros((0, 2))
    for name in STATISTICS:
        low = 0.0 if name.endswith("orthogonality") else -1.0
        for shape in SHAPES:
            end = 1 + 1e-15 if shape == "model" else 0.5
            arrays[f"statistic.{shape}.{name}"] = np.array([low - 1e-15, low, 0.26, 0.26, end, end, end, end])
    training = [
        {"model": model, "seed": seed, "step": step, "n": 64 if step == 40 else 256, "right": 0.5 * k + 0.01 * seed,
         "participation_ratio": 2.0 * k + seed + 10 * (model == "no wrap"), "intrinsic_dimension": 2.0,
         "variance_4": 0.9}
        for model in ("no wrap", "torus") for seed in seeds for k, step in enumerate(STEPS)
    ]  # fmt: skip
    geometry = [
        {"model": model, "seed": seed, "statistic": name, "mean": 0.1}
        | {
            shape: 0.1 * k + 0.02 * m + 0.01 * s + (model == "no wrap")
            for m, shape in enumerate(SHAPES) if shape != "model"
        }
        for model in ("torus", "no wrap") for s, seed in enumerate(seeds) for k, name in enumerate((*STATISTICS, "all"))
    ]  # fmt: skip
    tables = {"training": pl.DataFrame(training), "geometry": pl.DataFrame(geometry)}
    return Result("torus", "laptop", seeds, 1.0, (), tables, arrays)


@pytest.fixture(scope="module")
def figure_2():
    with style.context():
        return torus.figure_2(made())


def panel(figure, **about: str):
    (axes,) = (axes for axes in figure.axes if all(getattr(axes, f"get_{k}")() == v for k, v in about.items()))
    return axes


@pytest.mark.parametrize(("title", "birth"), [("ideal torus", 0.0), ("learned", 0.1)])
def test_figure_2_shows_births_and_deaths(figure_2, title: str, birth: float):
    """What never dies stands on the dashed line, a tenth above the last death."""
    axes = panel(figure_2, title=title)
    assert reading.marks(axes, "o", colours.GREY) == [(birth, 0.3), (birth, pytest.approx(2.2))]
    assert reading.marks(axes, "o", colours.BLUE) == [(birth + 0.2, 1.0), (birth + 0.2, 2.0)]
    assert reading.marks(axes, "o", colours.VERMILION) == []
    (never,) = (line for line in axes.get_lines() if line.get_linestyle() == "--")
    assert never.get_ydata() == pytest.approx([2.2, 2.2])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("birth (radii)", "death (radii)")


def test_figure_2_shows_accuracy_and_dimension_of_every_seed(figure_2):
    shares, dimensions = panel(figure_2, ylabel="share right"), panel(figure_2, ylabel="effective dimension")
    assert [reading.points(line) for line in shares.get_lines()] == [
        [(step, pytest.approx(0.5 * k + 0.01 * seed)) for k, step in enumerate(STEPS)] for seed in SEEDS
    ]
    assert [reading.points(line) for line in dimensions.get_lines()] == [
        [(step, 2 * k + seed) for k, step in enumerate(STEPS)] for seed in SEEDS
    ]
    assert shares.get_xlabel() == "training step"
    assert dimensions.get_ylim()[0] == 0
    note = "preset laptop, 2 seeds, n = 64 to 256 drawings a step and seed; c: a line is a seed; b, d-g: seed 3; "
    assert reading.note(figure_2).startswith(note)


def test_figure_2_shows_the_spectrum_of_each_step(figure_2):
    axes = panel(figure_2, ylabel="share of variance")
    assert [[y for _, y in reading.points(line)] for line in axes.get_lines()] == made().arrays["spectra"].tolist()
    assert [x for x, _ in reading.points(axes.get_lines()[0])] == [1, 2, 3, 4, 5]
    assert axes.get_yscale() == "log"
    assert reading.legend(axes) == ["0: 0.00, 0.80", "40: 0.25, 0.90", "200: 1.00, 1.00"]


def test_figure_2_shows_the_cloud_at_three_steps(figure_2):
    result = made()
    clouds = [axes for axes in figure_2.axes if axes.get_title().startswith("step")]
    assert [axes.get_title() for axes in clouds] == [
        "step 0, right 0.00",
        "step 40, right 0.25",
        "step 200, right 1.00",
    ]
    for axes, step in zip(clouds, STEPS, strict=True):
        curves = reading.cloud(axes)
        assert np.allclose(curves, result.arrays[f"pca.{step}"])
        joined = np.stack([np.stack(line.get_data_3d(), axis=-1) for line in axes.get_lines()])
        assert np.allclose(joined[:, :-1], curves)
        assert np.allclose(joined[:, -1], curves[:, 0])  # y wraps round
        colours = [tuple(np.ravel(dots.get_facecolor())[:3]) for dots in axes.collections]
        assert colours == pytest.approx(style.colours("twilight", np.array([0, 0.25, 0.5, 0.75]))[:, :3])


def test_figure_3_shows_all_values_of_each_statistic():
    """Those that rounding puts beyond 0, -1 and 1 too."""
    with style.context():
        figure = torus.figure_3(made())
    for row, (name, low, middle) in enumerate((("orthogonality", 0.0, 0.25), ("parallelism", -1.0, 0.25))):
        for column, shape in enumerate(("3D torus", "model", "Clifford torus")):
            axes = figure.axes[3 * row + column]
            end = (0.975 if row == 0 else 0.95) if shape == "model" else 0.5
            for kind in ("x-on-y", "x-on-x", "y-on-y"):
                assert reading.steps(axes, kind) == {low: 0.25, middle: 0.25, end: 0.5}
            assert axes.get_xlabel() == name
    assert [axes.get_title() for axes in figure.axes[:3]] == ["3D torus", "model", "Clifford torus"]
    assert figure.axes[0].get_ylabel() == figure.axes[3].get_ylabel() == "share of pairs"
    assert reading.legend(figure.axes[2]) == ["x-on-y", "x-on-x", "y-on-y"]
    note = "preset laptop, seed 3; lattice of 4 x 6; a: 8 pairs of curves, b: 8 pairs of steps for each kind"
    assert reading.note(figure) == note


def test_figure_8_shows_distributions_and_distances():
    with style.context():
        figure = torus.figure_8(made())
    x, y, distances = reading.panels(figure)
    for axes, name in ((x, "x within"), (y, "y within")):
        for shape in ("model", "Clifford torus", "hyper-factorized torus"):
            values = np.asarray(reading.named(axes, shape).get_xdata())[1:]
            assert values == pytest.approx(np.sort(made().arrays[f"statistic.{shape}.{name}"]))
        assert axes.get_title() == name
    assert y.get_xlabel() == "cosine between steps"
    expected = [
        (shape, [pytest.approx(0.1 * k + 0.02 * m + 0.005) for k in range(9)])
        for m, shape in enumerate(SHAPES)
        if shape != "model"
    ]
    assert reading.bars(distances) == expected
    dots = sorted(0.1 * k + 0.02 * m + 0.01 * s for k in range(9) for m in (0, 2, 3) for s in (0, 1))
    assert [x for x, _ in reading.marks(distances)] == pytest.approx(dots)
    assert [tick.get_text() for tick in distances.get_yticklabels()] == [*STATISTICS, "all"]
    assert distances.yaxis_inverted()
    assert distances.get_xlabel() == "Wasserstein distance"
    note = "preset laptop, 2 seeds; a, b: seed 3, 8 pairs of steps; c: bar: mean over seeds, dot: a seed"
    assert reading.note(figure) == note


def test_a_statistic_that_one_seed_lacks_is_the_mean_of_the_others():
    result = made()
    lacking = ~((pl.col("statistic") == "x within") & (pl.col("seed") == 5))
    tables = result.tables | {"geometry": result.tables["geometry"].filter(lacking)}
    with style.context():
        figure = torus.figure_8(Result("torus", "laptop", SEEDS, 1.0, (), tables, result.arrays))
    axes = reading.panels(figure)[2]
    place = [tick.get_text() for tick in axes.get_yticklabels()].index("x within")
    assert reading.bars(axes)[0][1][place] == pytest.approx(0.6)
    assert len(reading.marks(axes)) == 3 * 17


def test_figures_of_one_seed_with_statistics_that_are_missing():
    """As of a representation that does not vary along y."""
    result = made((7,))
    arrays = {
        name: array for name, array in result.arrays.items() if "y-on-y" not in name and not name.endswith("y within")
    }
    lacking = ~pl.col("statistic").str.contains("y-on-y|y within")
    tables = result.tables | {"geometry": result.tables["geometry"].filter(lacking)}
    result = Result("torus", "smoke", (7,), 1.0, (), tables, arrays)
    with style.context():
        three, eight = torus.figure_3(result), torus.figure_8(result)
    assert reading.legend(three.axes[2]) == ["x-on-y", "x-on-x", "y-on-y: none"]
    assert reading.note(three).startswith("preset smoke, seed 7; ")
    _, y, distances = reading.panels(eight)
    assert y.get_lines() == []
    assert reading.marks(distances) == []
    assert [len(lengths) for _, lengths in reading.bars(distances)] == [6, 6, 6]
