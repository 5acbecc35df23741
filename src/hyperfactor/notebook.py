"""What an object shows of itself in a notebook: a small table, or a small figure."""

import math
import sys
from collections.abc import Iterable, Sequence
from html import escape

WIDEST = 100  # rows of a table, and points of a kind in a figure; a note counts the rest of a table
INK = ("#0072B2", "#D55E00", "#009E73")  # colours of marks that are legible on white and on black


def running() -> bool:
    """Whether this process runs the cells of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def table(title: str, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as HTML, with numbers to three decimals.

    Parameters
    ----------
    title : str
        What it shows.
    heading : sequence of str
        Names of the columns.
    rows : iterable of sequence
        Cells of each row; None leaves a cell empty.
    """
    every = list(rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in heading)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_text(cell))}</td>' for cell in row)}</tr>" for row in every[:WIDEST])
    rest = f"<p>and {len(every) - WIDEST} more</p>" if len(every) > WIDEST else ""
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def diagram(title: str, kinds: Sequence[tuple[str, Iterable[tuple[float, float]]]]) -> str:
    """Return a persistence diagram as HTML: the longest bars of each kind, by birth and death.

    Parameters
    ----------
    title : str
        What it shows.
    kinds : sequence of (str, iterable of (float, float))
        Names, with bars (birth, death). Bars that never die are drawn at the upper edge.
    """
    shown = [(name, sorted(bars, key=lambda bar: bar[0] - bar[1])[:WIDEST]) for name, bars in kinds]
    most = max((end for _, bars in shown for bar in bars for end in bar if math.isfinite(end)), default=0) or 1
    parts = [_line(40, 190, 220, 10, "3"), _line(40, 190, 220, 190), _line(40, 190, 40, 10)]
    for k, (name, bars) in enumerate(shown):
        parts += [_mark(40 + 180 * birth / most, 190 - 180 * min(death / most, 1), k) for birth, death in bars]
        parts += [_mark(140, 110 + 18 * k, k, "key"), _label(150, 114 + 18 * k, name)]
    parts += [_label(130, 206, "birth", "middle"), _label(36, 104, "death", "end")]
    parts += [_label(220, 206, f"{most:.3g}", "end"), _label(36, 14, f"{most:.3g}", "end")]
    return _svg(title, 240, 212, parts)


def intervals(title: str, rows: Sequence[tuple[str, float, tuple[float, float]]], chosen: str) -> str:
    """Return a figure as HTML: values of at least 0 with their intervals, one row each.

    Parameters
    ----------
    title : str
        What it shows.
    rows : sequence of (str, float, (float, float))
        Name, value and interval.
    chosen : str
        Name of the row that stands out.
    """
    most = max((high for _, _, (_, high) in rows), default=0) or 1
    left, foot = 8 + 6.2 * max((len(name) for name, _, _ in rows), default=0), 18 * len(rows) + 6
    parts = [_line(left, foot, left + 220, foot)]
    for k, (name, value, (low, high)) in enumerate(rows):
        y = 18 * k + 12
        at, start, end = (left + 220 * number / most for number in (value, low, high))
        parts += [_label(left - 6, y + 4, name, "end"), _line(start, y, end, y), _mark(at, y, int(name == chosen))]
    parts += [_label(left, foot + 14, "0", "middle"), _label(left + 220, foot + 14, f"{most:.3g}", "middle")]
    parts.append(_label(left + 110, foot + 28, title, "middle"))
    return _svg(title, left + 250, foot + 34, parts)


def _svg(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    """Return a figure that takes the colour of the text around it."""
    return (
        f'<figure style="margin:0.5em 0"><svg role="img" aria-label="{escape(title)}" width="{width:.0f}" '
        f'height="{height:.0f}" font-size="11" fill="currentColor" stroke="none">{"".join(parts)}</svg></figure>'
    )


def _line(x: float, y: float, to_x: float, to_y: float, dashes: str = "none") -> str:
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-dasharray="{dashes}"/>'


def _label(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _mark(x: float, y: float, kind: int, name: str = "mark") -> str:
    """Return a mark whose shape and colour tell its kind."""
    corners = ("M-3 -3H3V3H-3Z", "M-4 0L0 -4L4 0L0 4Z", "M-4 3L0 -4L4 3Z")[kind % 3]
    return f'<path class="{name}" d="{corners}" transform="translate({x:.1f} {y:.1f})" fill="{INK[kind % 3]}"/>'


def shown(value: float) -> str:
    """A number for a table: three decimals, or three digits if it is below 0.01."""
    return f"{value:.3g}" if 0 < abs(value) < 0.01 else f"{value:.3f}"


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return shown(cell)
    return "" if cell is None else str(cell)
