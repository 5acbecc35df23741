"""What an object shows of itself in a notebook: a small table."""

from collections.abc import Iterable, Sequence
from html import escape

WIDEST = 100  # rows of a table; a note counts the rest


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


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return "" if cell is None else str(cell)
