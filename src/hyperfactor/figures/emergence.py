"""Heat maps of the statistics by layer, training step and timestep, from the result of the emergence experiment."""

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from hyperfactor.colours import BLUE, GREY
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.emergence import READINGS
from hyperfactor.figures import style

# statistic -> title, scale of the colours
SHOWN: dict[str, tuple[str, Normalize]] = {
    "interaction": ("share of the variance that x and y explain only together", Normalize(0, 1)),
    "cross": ("magnitude of the cosine of a step of x and one of y", Normalize(0, 1)),
    "within": ("cosine of neighbouring steps of one factor", Normalize(-0.5, 1)),
    "dimension": ("effective dimension", LogNorm(1, 200, clip=True)),
    "torus": ("share of the seeds that show a torus", Normalize(0, 1)),
}


def figure_emergence(result: Result) -> Figure:
    """Where and when a model keeps its factors apart. Left: each layer (rows, from the input at the top to the output)
    after each training step that is examined, read from finished pictures. Right: the same layers after training, at
    each timestep of a drawing; 0 is the finished picture. Above: the share of drawings that are right, for each seed.
    Each cell is a mean over seeds. Crossed cells have no value: most of what is read there is noise, or does not depend
    on a factor. Persistent homology (j) is that of 300 landmarks of the whole lattice.
    """
    cells, accuracy = result.tables["cells"], result.tables["accuracy"]
    note = f"{style.about(result)}; n = {accuracy['n'][0]} lattice points, {READINGS} drawings of each"
    figure = style.new(style.PAGE, 8.4, note)
    panels = figure.subplots(1 + len(SHOWN), 2, height_ratios=[0.8, *[1] * len(SHOWN)])
    _accuracy(panels[0, 0], accuracy)
    panels[0, 1].axis("off")
    course, end = cells.filter(pl.col("timestep") == 0), cells.filter(pl.col("step") == cells["step"].max())
    for row, (name, (title, scale)) in enumerate(SHOWN.items(), start=1):
        image = _map(panels[row, 0], course, "step", name, scale)
        panels[row, 0].set_title(title, fontsize=7)
        figure.colorbar(image, ax=panels[row], aspect=12, pad=0.01)
        if name == "torus":  # read from finished pictures only
            panels[row, 1].axis("off")
        else:
            _map(panels[row, 1], end, "timestep", name, scale)
    panels[-1, 0].set_xlabel("training step; finished pictures")
    panels[-2, 1].set_xlabel("timestep of the drawing; after training")
    shown = [axes for axes in panels.ravel() if axes.axison]
    for letter, axes in zip("abcdefghij", shown, strict=True):
        style.letter(axes, letter)
    return figure


def _accuracy(axes: Axes, table: pl.DataFrame) -> None:
    """Draw the share right of each seed by training step, in the columns of the heat maps."""
    steps = sorted(table["step"].unique())
    for of_seed in table.sort("seed", "step").partition_by("seed"):
        axes.plot(range(len(steps)), of_seed["right"], ".-", color=BLUE, linewidth=0.9)
    axes.set(ylabel="share right", ylim=(-0.03, 1.05), xlim=(-0.5, len(steps) - 0.5), xticks=[])


def _map(axes: Axes, table: pl.DataFrame, by: str, name: str, scale: Normalize) -> AxesImage:
    """Draw the mean over seeds of a statistic, with layers as rows. A cell without a value is crossed."""
    layers, columns = table["layer"].unique(maintain_order=True).to_list(), sorted(table[by].unique())
    means = {
        (r["layer"], r[by]): r[name]
        for r in table.group_by("layer", by, maintain_order=True).agg(pl.col(name).mean()).to_dicts()
    }
    values = np.array([[_number(means[layer, at]) for at in columns] for layer in layers])
    image = axes.imshow(values, aspect="auto", cmap="cividis", norm=scale, interpolation="nearest")
    for i, j in np.argwhere(np.isnan(values)):
        axes.text(j, i, "x", ha="center", va="center", fontsize=5.5, color=GREY)
    axes.set_yticks(range(len(layers)), layers, fontsize=5.5)
    axes.set_xticks(range(len(columns)), [str(at) for at in columns])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _number(value: float | None) -> float:
    return np.nan if value is None else value
