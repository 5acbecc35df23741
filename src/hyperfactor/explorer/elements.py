"""Small pieces of pages."""

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import dcc, html
from jaxtyping import Float
from PIL import Image

from hyperfactor.errors import HyperfactorError, RequestError, machine_fault
from hyperfactor.notebook import shown

Query = Mapping[str, str]  # what follows the question mark of an address


def aria(**words: str) -> dict[str, Any]:
    """Return attributes for those who do not see the page, by their names without "aria-"."""
    return {f"aria-{name}": value for name, value in words.items()}


def message(text: str) -> html.P:
    """Return a message to the visitor, which screen readers announce."""
    return html.P(text, role="alert", className="message")


def reported(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors of a function that returns a part of a page into a message in its place."""

    @wraps(function)
    def safe(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except HyperfactorError as error:
            return message(str(error))
        except (OSError, MemoryError, RuntimeError) as error:
            if fault := machine_fault(error):
                return message(str(fault))
            raise

    return safe


def picture(values: Float[np.ndarray, "c h w"], words: str, caption: str = "") -> html.Figure:
    """Show a picture.

    Parameters
    ----------
    values : (c, h, w)
        Brightness in [0, 1], of one channel or three.
    words : str
        What it shows, for those who do not see it.
    caption : str
        Text below it.
    """
    plain = (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
    image = Image.fromarray(plain[0] if len(plain) == 1 else plain.transpose(1, 2, 0))
    image.save(buffer := io.BytesIO(), format="png")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return html.Figure([html.Img(src=source, alt=words), *([html.Figcaption(caption)] if caption else [])])


def table(heading: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> html.Div:
    """Show a table, which scrolls by itself if it is wide. Columns of numbers are aligned at their right."""
    cells = [list(row) for row in rows]
    aligned = [alignment(column) for column in zip(*cells, strict=True)] or [None] * len(heading)
    head = html.Thead(
        html.Tr([html.Th(name, scope="col", className=way) for name, way in zip(heading, aligned, strict=True)])
    )
    body = html.Tbody(
        [html.Tr([html.Td(text(cell), className=way) for cell, way in zip(row, aligned, strict=True)]) for row in cells]
    )
    titled = [html.Caption(caption)] if caption else []
    return html.Div(
        html.Table([*titled, head, body]),
        className="wide",
        tabIndex=0,
        role="region",
        **aria(label=caption or "table"),
    )


def alignment(column: Iterable[Any]) -> str | None:
    """Return the class of a column's cells: that of numbers, if they are numbers as far as they are there."""
    kinds = {type(value) for value in column if value is not None}
    return "number" if kinds and kinds <= {int, float} else None


def text(value: Any) -> Any:
    """Return a number as `notebook.shown` does, and anything else as it is."""
    if isinstance(value, float):
        return "" if math.isnan(value) else shown(value)
    return "" if value is None else value if not isinstance(value, bool | int) else str(value)


def scale(
    id: Any, words: str, low: float, high: float, value: float, step: float | str = "any", told: str | None = None
) -> html.Div:
    """Return a labelled scale, which the mouse and the arrow keys move.

    Parameters
    ----------
    id : str or dict
        Id of the control.
    words : str
        Its label.
    low, high, value : float
        Ends of the scale, and where it stands.
    step : float or "any"
        Step between values.
    told : str, optional
        Text beside the scale. Default: the value.
    """
    name = id if isinstance(id, str) else f"{id['type']}-{id['of']}"
    control = dcc.Input(id=id, type="range", min=low, max=high, step=step, value=value, className="scale")
    return html.Div(
        [
            html.Label([html.Span(words), control]),
            html.Output(f"{value:.2f}" if told is None else told, id=f"{name}-value"),
        ],
        className="control",
    )


def choice(id: str, words: str, options: Sequence[str], value: str) -> html.Div:
    """Return a labelled choice among a few words."""
    control = dcc.RadioItems(list(options), value, id=id, inline=True, className="choice")
    return html.Div([html.Span(words), control], className="control", **named(words))


def named(words: str) -> dict[str, Any]:
    """Return the attribute from which assets/explorer.js names a list of options."""
    return {"data-words": words}


def address(path: str, /, **query: Any) -> str:
    """Return the address of a page with some state; a state of None is left out."""
    known = {name: value for name, value in query.items() if value is not None and value != ""}
    return path + ("?" + urlencode(known) if known else "")


def number(query: Query, name: str, default: float, low: float, high: float, slack: float = 0.0) -> float:
    """Return a number of an address. Raises `RequestError` if it is none, or not in [low, high].

    One that is outside by `slack` at most, as rounding may leave it, is moved to the end of the range.
    """
    if name not in query:
        return default
    try:
        value = float(query[name])
    except ValueError:
        value = math.nan
    if not low - slack <= value <= high + slack:
        raise RequestError(f"{name}: got {query[name][:40]!r}, needs a number in {low:g}..{high:g}")
    return min(max(value, low), high)


def step_of(query: Query, steps: Sequence[int]) -> int:
    """Return the training step of an address; the last by default. Raises `RequestError` if the run did not keep it."""
    step = number(query, "step", steps[-1], 0, steps[-1])
    if step not in steps:
        raise RequestError(f"step: got {step:g}, needs one that the run kept: {', '.join(map(str, steps))}")
    return int(step)


def one_of(query: Query, name: str, allowed: Sequence[str], default: str) -> str:
    """Return a word of an address. Raises `RequestError` if it is not allowed."""
    if (value := query.get(name, default)) not in allowed:
        raise RequestError(f"{name}: got {value[:40]!r}, needs one of {', '.join(allowed)}")
    return value
