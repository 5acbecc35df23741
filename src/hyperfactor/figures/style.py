"""The look of every figure: sizes in inches, type, and colours that colour-blind readers can tell apart."""

import io
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperfactor.colours import BLACK, GREY
from hyperfactor.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import matplotlib
except (OSError, ValueError) as error:  # on import it reads the user's file and MPLBACKEND
    said = str(error).splitlines()[0]
    raise RequestError(f"matplotlib: {said}, needs a matplotlibrc and an MPLBACKEND that it can read") from None

COLUMN, PAGE = 3.4, 7.0  # widths of a journal's column and page
LETTERS = 18  # letters of a note in an inch

RC = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "hyperfactor",
    "pdf.fonttype": 42,
}


@contextmanager
def context() -> "Iterator[None]":
    """Use matplotlib's defaults and RC within the block, whatever the user's own files say."""
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
    with warnings.catch_warnings(), matplotlib.rc_context(defaults | RC):  # pyright: ignore[reportArgumentType]
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # such a letter is drawn as a box
        yield


def new(width: float, height: float, note: str = "") -> Figure:
    """Make an empty figure that needs no display.

    Parameters
    ----------
    width, height : float
        Size, in inches.
    note : str
        Small text at its foot (seeds, n), at most four lines.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    if note:
        plain = "".join(letter if letter.isprintable() else "?" for letter in note)
        lines = textwrap.wrap(plain, int(width * LETTERS), max_lines=4, placeholder=" ...")
        figure.supxlabel("\n".join(lines), fontsize=6.5, color="#555555", x=0.01, ha="left", parse_math=False)
    return figure


def save(figure: Figure, kind: str) -> bytes:
    """Return the figure as "svg" or "pdf", in bytes that depend only on its content.

    The first call arranges the panels, and later calls keep them where they are. That takes as long as a drawing.
    """
    buffer = io.BytesIO()
    with context():
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else {"CreationDate": None})
        figure.set_layout_engine(None)
    return buffer.getvalue()


def plain(name: str) -> str:
    """Return a user's name as a label: `$` is no mathematics, and a first `_` hides nothing from a legend."""
    shown = name.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def letter(axes: Axes, text: str) -> None:
    """Put a panel's letter above its upper left corner."""
    axes.annotate(
        text, (0, 1), xycoords="axes fraction", xytext=(-4, 3), textcoords="offset points",
        ha="right", va="bottom", fontweight="bold", fontsize=9,
    )  # fmt: skip


def corner(axes: Any, text: str) -> None:
    """Put a panel's letter into the upper left corner of 3D axes."""
    axes.text2D(0.02, 0.98, text, transform=axes.transAxes, ha="left", va="top", fontweight="bold", fontsize=9)


def colours(name: str, at: np.ndarray) -> np.ndarray:
    """Return the RGBA values of a colour map at values in [0, 1]."""
    return matplotlib.colormaps[name](at)


def picture(axes: Axes, image: np.ndarray, title: str = "", frame: str = GREY) -> None:
    """Show a picture.

    Parameters
    ----------
    axes : Axes
        The panel.
    image : (h, w)
        Brightness in [0, 1], row 0 at the top.
    title : str
        Title of the panel.
    frame : str
        Colour of its frame.
    """
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title)
    for spine in axes.spines.values():
        spine.set(visible=True, color=frame, linewidth=0.8)


def bars(
    axes: Axes, groups: Sequence[str], series: dict[str, tuple[str, np.ndarray]], baselines: dict[str, np.ndarray]
) -> None:
    """Draw shares by group: a bar is the mean over seeds, a dot is one seed.

    Parameters
    ----------
    axes : Axes
        The panel.
    groups : sequence of str
        Names of the groups.
    series : dict of str to (str, (seeds, groups))
        By name, the colour and the shares.
    baselines : dict of str to (groups,)
        By name of a series, values drawn as short black lines across its bars.
    """
    width = 0.8 / len(series)
    for k, (name, (colour, values)) in enumerate(series.items()):
        at = np.arange(len(groups)) + (k - (len(series) - 1) / 2) * width
        axes.bar(at, values.mean(axis=0), width * 0.92, color=colour, label=name)
        if len(series) == 1:  # with several series the numbers would touch
            tops = np.maximum(values.max(axis=0), baselines.get(name, 0))
            for x, top, mean in zip(at, tops, values.mean(axis=0), strict=True):
                axes.text(x, top + 0.02, f"{mean:.2f}", ha="center", va="bottom", fontsize=5.5)
        if len(values) > 1:
            spread = np.linspace(-0.2, 0.2, len(values)) * width
            axes.plot((at + spread[:, None]).ravel(), values.ravel(), ".", color=BLACK, markersize=2.5)
        if name in baselines:
            half = width * 0.46
            axes.hlines(baselines[name], at - half, at + half, color=BLACK, linewidth=1.2, linestyle=(0, (1.5, 1)))
    axes.set_xticks(np.arange(len(groups)), groups)
    axes.set_ylim(0, 1.1)
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(axis="x", length=0)


def about(result: Any, counts: pl.Series | None = None, of: str = "a point and seed") -> str:
    """Describe a result for the foot of a figure.

    Parameters
    ----------
    result : Result
        Its preset and number of seeds are given.
    counts : polars.Series, optional
        Numbers of drawings in a share.
    of : str
        The unit that has a share of its own.
    """
    seeds = len(result.seeds)
    text = f"preset {result.preset}, {seeds} seed{'s' * (seeds > 1)}"
    return text if counts is None else f"{text}, n = {spread(counts)} drawings {of}"


def spread(counts: Any) -> str:
    """Return the smallest and the largest of some numbers, as text."""
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low}" if low == high else f"{low} to {high}"


def lines(
    axes: Axes, table: pl.DataFrame, x: str, series: Mapping[str, tuple[str | None, str]], *, line: str = "-",
    seeds: str = ".", apart: float = np.inf,
) -> None:  # fmt: skip
    """Draw columns against column x: their mean over seeds as a line, with a marker for each seed.

    A missing value leaves a gap.

    Parameters
    ----------
    axes : Axes
        The panel.
    table : polars.DataFrame
        One row a seed and value of x.
    x : str
        Column of the abscissa.
    series : mapping of str to (str or None, str)
        For each column its label, if any, and its colour.
    line : str
        Style of the line.
    seeds : str
        Marker of a seed; empty for a line without seeds.
    apart : float
        Two neighbours in x are not joined if one is more than this many times the other.
    """
    mean = (
        table.group_by(x, maintain_order=True).agg(pl.col(column).cast(pl.Float64).mean() for column in series).sort(x)
    )
    at = mean[x].to_numpy().astype(float)
    breaks = np.flatnonzero(at[1:] > apart * at[:-1] * (1 + 1e-9)) + 1
    alone = len(table) == len(mean)  # with one seed its marker is at the mean
    for column, (label, colour) in series.items():
        values = np.insert(mean[column].to_numpy(), breaks, np.nan)
        axes.plot(
            np.insert(at, breaks, np.nan), values, line, marker="" if seeds and alone else "_",
            markersize=5 if seeds else 3, color=colour, linewidth=1.2, label=label,
        )  # fmt: skip
        if seeds:
            axes.plot(table[x], table[column].cast(pl.Float64), seeds, color=colour, markersize=3.5)
