"""Figure 11, from the result of the interpolation experiment."""

import polars as pl
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hyperfactor.colours import BLACK, BLUE, SKY
from hyperfactor.experiments.base import Result
from hyperfactor.figures import style


def figure_11(result: Result) -> Figure:
    """Filling a gap. (a) Accuracy in a lesion of growing width: a dot is one seed, the line is the mean over seeds, and
    the dotted line is a model that copies the nearest trained picture. (b-d) The representation of the first seed (UMAP
    of up1) for some widths: one dot for each lattice point, coloured by x.
    """
    table = result.tables["accuracy"].filter(pl.col("region") == "lesion").sort("seed", "width")
    shown = sorted(int(name.partition(".")[2]) for name in result.arrays if name.startswith("umap."))
    about = style.about(result, table["n"])
    figure = style.new(
        style.PAGE, 2.1, f"{about}; a: line is the mean, dot a seed; b-{'bcde'[len(shown) - 1]}: seed {result.seeds[0]}"
    )
    panels = figure.subplots(1, 1 + len(shown))
    style.lines(panels[0], table, "width", {"x": ("x (held out)", BLUE), "y": ("y", SKY)})
    style.lines(panels[0], table, "width", {"x_copied": ("x, copying", BLACK)}, line=":", seeds="")
    panels[0].set(xlabel="width of the lesion (pixels)", ylabel="share right", ylim=(-0.03, 1.05))
    panels[0].legend(loc="lower left", fontsize=6, handlelength=1.2)
    style.letter(panels[0], "a")
    top = max(result.arrays[f"points.{width}"][:, 0].max() for width in shown)
    scale = ScalarMappable(Normalize(0, top), "cividis")
    for k, width in enumerate(shown, start=1):
        points = result.arrays[f"points.{width}"]
        panels[k].scatter(*result.arrays[f"umap.{width}"].T, c=scale.to_rgba(points[:, 0]), s=1.5, linewidths=0)
        panels[k].set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2", title=f"lesion of {width}")
        style.letter(panels[k], "abcde"[k])
    figure.colorbar(scale, ax=panels[-1], label="x (pixels)", shrink=0.8)
    return figure
