"""Figure 11, from the result of the interpolation experiment."""

import polars as pl
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hyperfactor.experiments.base import Result
from hyperfactor.figures import style
from hyperfactor.figures.style import BLACK, BLUE, SKY


def figure_11(result: Result) -> Figure:
    """Accuracy in a lesion of growing width, and the representation (UMAP of up1) for some widths, coloured by x."""
    table = result.tables["accuracy"].filter(pl.col("region") == "lesion").sort("seed", "width")
    shown = sorted(int(name.partition(".")[2]) for name in result.arrays if name.startswith("umap."))
    n = f"n = {table['n'].min()}-{table['n'].max()} drawings a point and seed"
    figure = style.new(
        style.PAGE, 2.1, f"{style.about(result)}, {n}; b-{'bcde'[len(shown) - 1]}: seed 0, one dot a lattice point"
    )
    panels = figure.subplots(1, 1 + len(shown))
    style.lines(panels[0], table, "width", {"x": ("x (held out)", BLUE), "y": ("y", SKY)})
    copied = table.unique("width").sort("width")
    panels[0].plot(copied["width"], copied["x_copied"], ":", color=BLACK, label="copying, x")
    panels[0].set(xlabel="width of the lesion (pixels)", ylabel="share right in", ylim=(-0.03, 1.05))
    panels[0].legend(loc="lower left", fontsize=6, handlelength=1.2)
    style.letter(panels[0], "a")
    for k, width in enumerate(shown, start=1):
        points = result.arrays[f"points.{width}"]
        panels[k].scatter(*result.arrays[f"umap.{width}"].T, c=points[:, 0], s=1.5, cmap="cividis", linewidths=0)
        panels[k].set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2", title=f"lesion of {width}")
        style.letter(panels[k], "abcde"[k])
    scale = ScalarMappable(Normalize(0, result.arrays[f"points.{shown[0]}"].max()), "cividis")
    figure.colorbar(scale, ax=panels[-1], label="x (pixels)", shrink=0.8)
    return figure
