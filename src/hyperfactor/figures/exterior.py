"""Figure 12, from the result of the exterior experiment."""

import polars as pl
from matplotlib.figure import Figure

from hyperfactor.colours import BLUE, ORANGE
from hyperfactor.experiments.base import Result
from hyperfactor.figures import style

NAMES = {"bump": "bumps", "sos": "sums of stripes"}
PLACES = {"interior": BLUE, "corner": ORANGE}


def figure_12(result: Result) -> Figure:
    """Accuracy for pairs held out in the middle (interior) and at a corner, against the side of the square, for (a)
    bumps and (b) sums of stripes. A dot is one seed, the line is the mean over seeds, and the dotted line is a model
    that copies the nearest trained picture.
    """
    table = result.tables["accuracy"].filter(pl.col("region") == "held out")
    note = "line: mean over seeds, dot: a seed, dotted: copying the nearest trained picture"
    figure = style.new(style.PAGE, 2.4, f"{style.about(result, table['n'])}; {note}")
    for k, (axes, family) in enumerate(zip(figure.subplots(1, 2, sharey=True), NAMES, strict=True)):
        for place, colour in PLACES.items():
            of_place = table.filter((pl.col("family") == family) & (pl.col("place") == place)).sort("seed", "width")
            style.lines(axes, of_place, "width", {"all": (place, colour)})
            style.lines(axes, of_place, "width", {"all_copied": (None, colour)}, line=":", seeds="")
        axes.set_xticks(sorted(table["width"].unique()))
        axes.set(xlabel="side of the square held out (pixels)", title=NAMES[family], ylim=(-0.03, 1.05))
        style.letter(axes, "ab"[k])
        if k == 0:
            axes.set_ylabel("share right in x and y")
            axes.legend(loc="lower left")
    return figure
