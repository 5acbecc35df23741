"""Percolation under one's own hands: bumps on a lattice that overlap, and the clusters that they form."""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from dash import ClientsideFunction, Dash, Input, Output, html
from jaxtyping import Float, Int

from hyperfactor.colours import BLUE, ORANGE
from hyperfactor.explorer import plots
from hyperfactor.explorer.collection import Collection
from hyperfactor.explorer.elements import Query, aria, number, picture, reported, scale

if TYPE_CHECKING:  # numba and scipy take seconds to import, and other pages do not need them
    from hyperfactor.percolation.lattice import PercolationCurve

PATH, TITLE = "/percolation", "Percolation"
SIZE = 96  # sites a side
LIMITS = {"sigma": (0.3, 3.0), "threshold": (0.01, 0.9), "lambda": (0.0, 1.0)}
USUAL = {"sigma": 1.0, "threshold": 0.2, "lambda": 0.2}
WORDS = {
    "sigma": "sigma, width of a bump (pixels)",
    "threshold": "overlap from which two bumps are neighbours",
    "lambda": "lambda, share of the lattice in the training set",
}


def page(_collection: Collection, _part: str, query: Query) -> list[Any]:
    """Return the page. Its state: sigma, threshold, lambda."""
    values = {name: number(query, name, USUAL[name], *limits) for name, limits in LIMITS.items()}
    return [
        html.H1("Percolation"),
        html.P(
            "Each training picture is a bump on a lattice of centres, one pixel apart. Two bumps are neighbours if "
            "they overlap enough. Beyond a critical share of the lattice one cluster spans it, and the paper asks "
            "whether generalisation sets in there."
        ),
        html.Span(id="percolation-state", hidden=True),
        html.Div(
            [
                scale({"type": "percolation", "of": name}, WORDS[name], *LIMITS[name], value)
                for name, value in values.items()
            ],
            className="controls",
        ),
        html.Div(id="clusters", className="columns", **aria(live="polite")),
    ]


def register(app: Dash, _collection: Collection) -> None:
    """Add the callbacks of the page."""
    inputs = [Input({"type": "percolation", "of": name}, "value") for name in LIMITS]

    @app.callback(Output("clusters", "children"), *inputs)
    def move(*values: Any) -> Any:
        return reported(_shown)(*values)

    app.clientside_callback(
        ClientsideFunction("address", "percolation"),
        Output("percolation-state", "children"),
        *inputs,
    )


def _shown(*given: Any) -> list[Any]:
    from hyperfactor.percolation.lattice import neighbours
    from hyperfactor.percolation.overlap import reach

    query = {name: str(value) for name, value in zip(LIMITS, given, strict=True)}
    sigma, threshold, share = (number(query, name, USUAL[name], *limits) for name, limits in LIMITS.items())
    steps = reach(sigma, threshold)
    labels = clusters(steps, share)
    occupied = int((labels >= 0).sum())
    largest = int(np.bincount(labels[labels >= 0]).max()) if occupied else 0
    curve = _curve(round(steps, 6))
    said = (
        f"Bumps are neighbours up to {steps:.2f} pixels: {len(neighbours(2, steps))} neighbours. {occupied} of "
        f"{SIZE * SIZE} centres are occupied; the largest cluster has {largest / max(occupied, 1):.0%} of them."
    )
    return [
        html.Section(
            [
                html.P(said),
                picture(
                    _coloured(labels), "clusters; the largest is blue", "the largest cluster is blue, others orange"
                ),
            ],
            className="half large",
        ),
        html.Section([plots.graph("curve", _plot(curve, share))], className="half"),
    ]


def clusters(steps: float, share: float, size: int = SIZE, seed: int = 0) -> Int[np.ndarray, "size size"]:
    """Return the cluster of each occupied site of a periodic lattice, and -1 for the others.

    Parameters
    ----------
    steps : float
        Largest distance of neighbours, in lattice steps.
    share : float
        Share of the sites that are occupied.
    size : int
        Sites a side.
    seed : int
        Seed of the order in which sites are occupied, as for `site_percolation`.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from hyperfactor.percolation.lattice import filling, neighbours

    order, _ = filling(size * size, seed)
    taken = np.zeros(size * size, dtype=bool)
    taken[order[: round(share * size * size)]] = True
    sites = np.arange(size * size).reshape(size, size)
    one, other = [], []
    for step in neighbours(2, steps):
        if tuple(step) < (0, 0):
            continue  # each pair once
        moved = np.roll(sites, (-step[0], -step[1]), axis=(0, 1)).ravel()
        both = taken & taken[moved]
        one.append(np.flatnonzero(both))
        other.append(moved[both])
    rows, columns = (np.concatenate([np.zeros(0, dtype=int), *part]) for part in (one, other))
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(size * size, size * size))
    labels = connected_components(graph, directed=False)[1]
    return np.where(taken, labels, -1).reshape(size, size)


@lru_cache(maxsize=64)
def _curve(steps: float) -> "PercolationCurve":
    from hyperfactor.percolation.lattice import site_percolation

    return site_percolation((SIZE, SIZE), steps)


def _coloured(labels: Int[np.ndarray, "n n"]) -> Float[np.ndarray, "3 n n"]:
    """Paint the largest cluster blue, and the others orange, in two shades so that neighbours differ."""
    image = np.full((3, *labels.shape), 0.93)
    if (labels >= 0).any():
        largest = int(np.bincount(labels[labels >= 0]).argmax())
        for mask, colour, shade in (
            ((labels >= 0) & (labels % 2 == 0), ORANGE, 1.0),
            ((labels >= 0) & (labels % 2 == 1), ORANGE, 0.75),
            (labels == largest, BLUE, 1.0),
        ):
            for channel in range(3):
                image[channel][mask] = shade * int(colour[1 + 2 * channel : 3 + 2 * channel], 16) / 255
    return image


def _plot(curve: "PercolationCurve", share: float) -> go.Figure:
    keep = np.unique(np.linspace(0, len(curve.occupied) - 1, 200).astype(int))
    found = plots.lines(
        {"largest cluster": (curve.fraction[keep], curve.ratio()[keep])},
        x="lambda",
        y="share of the occupied centres",
        height=420,
    )
    found.update_traces(mode="lines")
    found.update_yaxes(range=[-0.02, 1.02])
    if math.isfinite(share):
        found.add_vline(x=share, line={"color": ORANGE, "width": 2, "dash": "dash"})
    return found
