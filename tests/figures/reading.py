"""What a figure shows, read back from its artists."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

Point = tuple[float, float]


def colours(found: Any) -> list[str]:
    """Colours as matplotlib holds them, by their codes."""
    return [to_hex(colour).upper() for colour in found]


def shades(axes: Axes, *values: Any) -> list[str]:
    """The colours of values in the one picture."""
    (shown,) = axes.images
    return colours(shown.cmap(shown.norm(value)) for value in values)


def foot(figure: Any) -> Text:
    """The text at the foot."""
    return figure._supxlabel


def note(figure: Figure) -> str:
    """The text at the foot, whole and on one line."""
    text = foot(figure).get_text()
    assert not text.endswith("...")
    return " ".join(text.split())


def panels(figure: Figure) -> list[Axes]:
    """Every panel, by its letter; panels without one follow."""
    lettered = {text.get_text(): axes for axes in figure.axes for text in axes.texts if text.get_fontweight() == "bold"}
    assert list(map(chr, range(97, 97 + len(lettered)))) == sorted(lettered)
    first = [lettered[letter] for letter in sorted(lettered)]
    return first + [axes for axes in figure.axes if axes not in first]


def points(line: Line2D) -> list[Point]:
    """Those that are drawn: where a coordinate is missing there is a gap."""
    pairs = np.column_stack([np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)])
    return [(float(x), float(y)) for x, y in pairs if np.isfinite([x, y]).all()]


def pieces(line: Line2D) -> list[list[Point]]:
    """The points that are joined to each other."""
    pairs = np.column_stack([np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)])
    gaps = np.flatnonzero(~np.isfinite(pairs).all(axis=1))
    parts = np.split(pairs, gaps)
    return [
        [(x, y) for x, y in part.tolist() if np.isfinite([x, y]).all()]
        for part in parts
        if np.isfinite(part).all(axis=1).any()
    ]


def lines(axes: Axes, colour: str | None = None, style: str = "-") -> list[Line2D]:
    """Lines of a style, and a colour where one is named."""
    return [
        line for line in axes.get_lines()
        if line.get_linestyle() == style and colour in (None, to_hex(line.get_color()).upper())
    ]  # fmt: skip


def named(axes: Axes, label: str) -> Line2D:
    """The one line with a label."""
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    return line


def marks(axes: Axes, marker: str = ".", colour: str | None = None) -> list[Point]:
    """The places of marks that no line joins, sorted."""
    found = [line for line in lines(axes, colour, "None") if line.get_marker() == marker]
    return sorted(point for line in found for point in points(line))


def bars(axes: Axes) -> list[tuple[str, list[float]]]:
    """The label of each series of bars, and their heights, or their lengths where they lie."""
    series: Any = axes.containers
    return [
        (str(of_one.get_label()), [
            bar.get_height() if of_one.orientation == "vertical" else bar.get_width() for bar in of_one
        ])
        for of_one in series if isinstance(of_one, BarContainer)
    ]  # fmt: skip


def dashes(axes: Axes) -> list[list[float]]:
    """The heights of short lines across bars, a list for each series."""
    return [
        [float(segment[0][1]) for segment in collection.get_segments()]
        for collection in axes.collections
        if isinstance(collection, LineCollection)
    ]


def scattered(axes: Axes) -> list[tuple[str, list[Point]]]:
    """The colour of each group of squares or dots, and their places."""
    return [
        (to_hex(collection.get_facecolor()[0]).upper(), [(float(x), float(y)) for x, y in collection.get_offsets()])  # pyright: ignore[reportIndexIssue, reportGeneralTypeIssues, reportArgumentType]
        for collection in axes.collections
        if isinstance(collection, PathCollection) and len(collection.get_offsets())  # pyright: ignore[reportArgumentType]
    ]  # fmt: skip


def cloud(axes: Any) -> np.ndarray:
    """The coordinates of each group of dots in a panel of three dimensions, (groups, dots, 3)."""
    return np.stack([np.stack(dots._offsets3d, axis=-1) for dots in axes.collections])


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    return [text.get_text() for text in found.get_texts()] if found else []


def image(axes: Axes) -> np.ndarray:
    """The values of the one picture."""
    (shown,) = axes.images
    return np.asarray(shown.get_array())


def steps(axes: Axes, label: str) -> dict[float, float]:
    """The heights of a histogram's bins that are not empty, by their lower ends."""
    (patch,) = (patch for patch in axes.patches if patch.get_label() == label)
    corners: Any = patch.get_xy()  # pyright: ignore[reportAttributeAccessIssue]
    tops = zip(corners[1::2], corners[2::2], strict=False)
    return {round(float(a[0]), 9): float(a[1]) for a, b in tops if a[1] == b[1] and a[1] > 0}
