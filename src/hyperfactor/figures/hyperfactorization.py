"""Figures 3 and 8 without noise, and the signature against the noise, from the hyperfactorization experiment."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hyperfactor.colours import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.hyperfactorization import CORRECTS
from hyperfactor.experiments.signature import KINDS, LAYER, TESTS
from hyperfactor.figures import style
from hyperfactor.figures.style import PAGE

SHAPES = {"3D torus": PURPLE, "Clifford torus": ORANGE}
SHARED = "x-on-y parallelism"  # in one drawing both steps have the noise of their common point: no ceiling
LEVELS = 201  # points of a curve
READ = {"plain": (SKY, "one drawing a point"), "corrected": (BLUE, "without noise")}
PREDICTIONS = {"sample": GREEN, "v": ORANGE, "epsilon": BLUE}
LINES = {("16", "wraps"): "-", ("16", "sinusoidal"): "--", ("32", "wraps"): "-.", ("32", "sinusoidal"): ":"}


def figure_3(result: Result) -> Figure:
    """Figure 3 of the paper, with and without noise: how orthogonal (left) and how parallel (right) curves of the same
    factor and of different factors are, for the last recipe and the first seed. Each line is the share of pairs below a
    value, for an ideal 3D torus, an ideal Clifford torus, the model read from one drawing a point, and the model
    corrected for noise. The dashed grey line is the panel's noise ceiling: the value that one drawing a point shows for
    equal curves and equal steps. Steps of x and y from one point share its noise, so (b) has none.
    """
    role = _recipes(result)[-1]
    size = int(result.arrays[f"{role}.size"])
    table = _end(result).filter((pl.col("recipe") == role) & (pl.col("seed") == result.seeds[0]))
    corrected = table.filter(pl.col("kind") == "corrected").sort("drawings").row(-1, named=True)
    text = (
        f"{role}, preset {result.preset}, seed {result.seeds[0]}; {size} x {size} lattice points, "
        f"{corrected['drawings']} drawings of each; layer {LAYER}; noise is {corrected['noise']:.3f} of the variance"
    )
    figure = style.new(PAGE, 4.6, text)
    panels = figure.subplots(len(KINDS), len(TESTS), sharex="col")
    for column, test in enumerate(TESTS):
        for row, kind in enumerate(KINDS):
            axes = panels[row, column]
            for shape, colour in SHAPES.items():
                _below(axes, result.arrays[f"{size}.{shape}.{kind} {test}"], colour, shape, "-")
            for name, (colour, label) in READ.items():
                values = result.arrays.get(f"{role}.{name}.{kind} {test}", np.zeros(0))
                _below(axes, values, colour, label, "-" if name == "corrected" else "--")
            ceiling = corrected.get(f"ceiling {kind} {test}") if f"{kind} {test}" != SHARED else None
            if ceiling is not None and np.isfinite(ceiling):
                axes.axvline(ceiling, color=GREY, linewidth=0.7, linestyle=(0, (4, 2)))
            axes.set_title(kind)
            style.letter(axes, "abcdef"[2 * row + column])
        panels[-1, column].set_xlabel(test)
    for row in panels:
        row[0].set_ylabel("share of pairs below")
    panels[0, 1].legend(loc="center left")
    return figure


def figure_8(result: Result) -> Figure:
    """Figure 3's statistics for every recipe: their means at the end of training from one drawing a point (open) and
    without noise (filled), one mark for each seed. The vertical lines are the ideal 3D torus's x-on-y, which is the
    paper's signature, and the Clifford torus of the recipe's size. A short grey line is the noise ceiling, the value
    that one drawing a point shows for equal curves and equal steps, mean over seeds. Last column: effective dimension,
    with the 4 of a flat torus.
    """
    table, recipes = _end(result), _recipes(result)
    n = style.spread(table["drawings"].to_list())
    figure = style.new(
        PAGE, 0.9 + 0.32 * len(recipes), f"{style.about(result)}; layer {LAYER}; {n} drawings of each lattice point"
    )
    columns = [f"{kind} {test}" for test in TESTS for kind in KINDS] + ["dimension"]
    panels = figure.subplots(1, len(columns), sharey=True)
    for number, (axes, name) in enumerate(zip(panels, columns, strict=True)):
        test = name.split()[-1]
        if name != "dimension":
            ideal = {"3D torus": 0.5 if test == "orthogonality" else 0.0, "Clifford torus": _clifford(name)}
            for shape, value in ideal.items():
                axes.axvline(value, color=SHAPES[shape], linewidth=0.8)
        else:
            axes.axvline(4, color=SHAPES["Clifford torus"], linewidth=0.8)
        for place, role in enumerate(recipes):
            _ceiling(axes, _of(table.filter(pl.col("recipe") == role), "corrected"), name, place)
            for kind, (colour, _) in READ.items():
                rows = _of(table.filter(pl.col("recipe") == role), kind)
                axes.plot(
                    rows[name], np.full(len(rows), place + (0.13 if kind == "plain" else -0.13)), "o", color=colour,
                    markersize=3, markerfacecolor=colour if kind == "corrected" else "none", markeredgewidth=0.7,
                )  # fmt: skip
        axes.set_title(name.replace(" ", "\n"), fontsize=6.5)
        axes.tick_params(labelsize=6)
        style.letter(axes, "abcdefg"[number])
    panels[0].set_yticks(range(len(recipes)), recipes)
    panels[0].invert_yaxis()
    handles = [
        *(Line2D([], [], color=colour, linewidth=1, label=shape) for shape, colour in SHAPES.items()),
        *(Line2D([], [], linestyle="", marker="o", markersize=3, color=colour, label=label,
                 markerfacecolor=colour if kind == "corrected" else "none") for kind, (colour, label) in READ.items()),
        Line2D([], [], linestyle="", marker="|", color=GREY, label="noise ceiling"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
    return figure


def _ceiling(axes: Axes, rows: pl.DataFrame, name: str, place: float) -> None:
    """Mark the mean noise ceiling of a statistic, which the dimension does not have."""
    has = (column := f"ceiling {name}") in rows.columns and name != SHARED
    values = rows[column] if has else pl.Series(dtype=pl.Float64)
    if len(known := values.fill_nan(None).drop_nulls().to_numpy()):
        axes.plot([known.mean()], [place], "|", color=GREY, markersize=7, markeredgewidth=0.9)


def figure_noise(result: Result) -> Figure:
    """Code or noise? The paper's signature (0: a Clifford torus; 1: x-on-x and y-on-y are like the 3D torus's x-on-y)
    during training, against the share of the variance that is noise; one curve a recipe, mean over seeds. (a) Read from
    one drawing a point. (b) Without noise, up to a share of one half. The ring is the end of training, the small dot
    the first step shown (a: the untrained network).
    """
    fewest = pl.col("drawings") == pl.when(pl.col("kind") == "plain").then(1).otherwise(2)
    table = result.tables["geometry"].filter(
        (pl.col("layer") == LAYER) & pl.col("source").str.starts_with("ddim") & fewest
    )
    coarse = pl.col("stride").filter(pl.col("step") == 0).first().over("recipe")
    table = table.filter(pl.col("stride") == coarse)
    figure = style.new(
        PAGE, 3.3, f"{style.about(result)}; layer {LAYER}; 2 drawings of each lattice point, at most 16 x 16"
    )
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, kind, letter in zip(panels, READ, "ab", strict=True):
        for role in _recipes(result):
            _course(axes, table.filter(pl.col("recipe") == role), role, kind)
        for value, shape in ((0, "Clifford torus"), (1, "3D torus")):
            axes.axhline(value, color=SHAPES[shape], linewidth=0.8)
            axes.annotate(shape, (1, value), (-2, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                          ha="right", fontsize=6, color=SHAPES[shape])  # fmt: skip
        axes.set_xscale("symlog", linthresh=1e-3)
        axes.set_xlim(left=0)
        axes.set(xlabel="share of variance that is noise", title=READ[kind][1])
        style.letter(axes, letter)
    panels[0].set_ylabel("signature")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def _course(axes: Axes, table: pl.DataFrame, role: str, kind: str) -> None:
    """Draw the signature against noise by step, in the order of training."""

    def mean(of: str, name: str) -> pl.DataFrame:
        by_step = table.filter(pl.col("kind") == of).group_by("step", maintain_order=True)
        return by_step.agg(pl.col(name).fill_nan(None).mean())

    both = mean("corrected", "noise").join(mean(kind, "signature"), on="step", maintain_order="left")
    course = both.sort("step").drop_nulls()
    if kind == "corrected":
        course = course.filter(pl.col("noise") <= CORRECTS)
    if not len(course):
        return
    prediction, side, code = role.split()
    colour, line = PREDICTIONS[prediction], LINES[side, code]
    x, y = course["noise"].clip(0), course["signature"]
    axes.plot(x, y, line, color=colour, linewidth=0.9, label=role)
    axes.plot(x[:1], y[:1], ".", color=colour, markersize=3)
    axes.plot(x[-1:], y[-1:], "o", color=colour, markersize=5, markerfacecolor="none", markeredgewidth=0.9)


def _below(axes: Axes, values: np.ndarray, colour: str, label: str, line: str) -> None:
    if not len(values):
        axes.plot([], [], color=colour, linewidth=1, label=f"{label}: none")
        return
    levels = np.linspace(0, 1, min(len(values), LEVELS))
    axes.plot(np.quantile(values, levels), levels, color=colour, label=label, linewidth=1, linestyle=line)


def _recipes(result: Result) -> list[str]:
    return result.tables["geometry"]["recipe"].unique(maintain_order=True).to_list()


def _end(result: Result) -> pl.DataFrame:
    """Return the measurements of LAYER at the end of training on the whole lattice, by DDIM."""
    table = result.tables["geometry"]
    last = table.group_by("recipe", maintain_order=True).agg(pl.col("step").max(), pl.col("stride").min())
    table = table.join(last, on=["recipe", "step", "stride"], maintain_order="left")
    return table.filter((pl.col("layer") == LAYER) & pl.col("source").str.starts_with("ddim"))


def _of(table: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Select one drawing a point, or the correction from all of them, one row a seed."""
    rows = table.filter(pl.col("kind") == kind)
    read = rows.filter(pl.col("drawings") == (1 if kind == "plain" else rows["drawings"].max()))
    return read.unique("seed", keep="first", maintain_order=True)


def _clifford(name: str) -> float:
    """Return the Clifford torus's mean: steps of two factors are orthogonal, those of one are parallel."""
    return {"x-on-y orthogonality": 1.0, "x-on-y parallelism": 0.0}.get(name, 0.0 if "orth" in name else 1.0)
