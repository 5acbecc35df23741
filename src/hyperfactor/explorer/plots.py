"""The look of the explorer's plots. Their lines and letters take the colours of the page (see assets/explorer.css)."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash import dcc

from hyperfactor.colours import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)
ALONG = [[0, BLUE], [0.5, GREY], [1, ORANGE]]  # colours for a factor, seen on white and on black
WRAPPED = "Phase"  # for one that wraps round
MIDDLE = "#7f7f7f"  # legible on white and on black


def figure(*traces: Any, x: str = "", y: str = "", height: int = 320, **layout: Any) -> go.Figure:
    """Return a figure of two axes.

    Parameters
    ----------
    *traces
        What it shows.
    x, y : str
        Names of the axes, with units.
    height : int
        Height, in pixels.
    **layout
        Anything else of plotly's layout.
    """
    found = go.Figure(list(traces))
    found.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        height=height,
        margin={"l": 56, "r": 12, "t": 12, "b": 48},
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        uirevision="same",
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": MIDDLE},
        **layout,
    )
    found.update_xaxes(title=x, zeroline=False, gridcolor="rgba(127,127,127,0.25)")
    found.update_yaxes(title=y, automargin=True, zeroline=False, gridcolor="rgba(127,127,127,0.25)")
    return found


def graph(id: str, shown: go.Figure) -> dcc.Graph:
    """Return a plot for a page, with a button that saves it as a picture."""
    return dcc.Graph(id=id, figure=shown, config={"displaylogo": False, "modeBarButtons": [["toImage"]]})


def lines(named: dict[str, tuple[Any, Any]], **more: Any) -> go.Figure:
    """Return a figure of lines by name, each of (x, y)."""
    dashes = ("solid", "dash", "dot", "dashdot")
    traces = [
        go.Scatter(
            x=np.asarray(x).tolist(),
            y=np.asarray(y).tolist(),
            name=name,
            mode="lines+markers",
            line={"color": COLOURS[k % len(COLOURS)], "dash": dashes[k // len(COLOURS) % len(dashes)], "width": 2},
            marker={"size": 4},
        )
        for k, (name, (x, y)) in enumerate(named.items())
    ]
    return figure(*traces, **more)


def space(*traces: Any, names: tuple[str, str, str], height: int = 520) -> go.Figure:
    """Return a figure of three axes that turns."""
    axis = {"color": MIDDLE, "gridcolor": MIDDLE, "showbackground": False, "zeroline": False}
    found = go.Figure(list(traces))
    found.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        uirevision="same",
        showlegend=False,
        font={"family": "system-ui, sans-serif", "size": 12, "color": MIDDLE},
        scene={
            "aspectmode": "data",
            **{f"{one}axis": {**axis, "title": name} for one, name in zip("xyz", names, strict=True)},
        },
    )
    return found
