"""One representation at a glance."""

import math
import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperfactor.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from hyperfactor.figures import style
from hyperfactor.figures.style import PAGE
from hyperfactor.figures.torus import cloud, diagrams, histogram
from hyperfactor.subjects.layout import AXES, COMPARISON, COSINES, Layout

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, BLACK)


def figure(found: Layout, title: str) -> Figure:
    """(a) Principal axes, (b) spectrum, (c) persistence diagram, (d) steps within each factor, (e) distances.

    The panel of a measure that was not taken says why.

    Parameters
    ----------
    found : Layout
        What was found of the representation.
    title : str
        Name of the representation.
    """
    lattice = " x ".join(map(str, found.sizes))
    landmarks = f"; {len(found.topology[2].landmarks)} landmarks" if found.topology else ""
    page = style.new(PAGE, 4.4, f"{title}; lattice {lattice}, d = {found.shape[-1]}{landmarks}")
    lies = found.coordinates is not None and found.coordinates.shape[1] == 3
    with_cloud = lies and len(found.sizes) == 2 and found.conditions == math.prod(found.sizes)
    panels = page.subplot_mosaic(
        "abc\ndee", per_subplot_kw={"a": {"projection": "3d"}} if with_cloud else {}, width_ratios=[1, 1, 1.1]
    )
    draw = {"a": _coordinates, "b": _spectrum, "c": _diagram, "d": _within, "e": _distances}
    needs = {"a": "principal axes", "b": "spectrum", "c": "topology", "d": COSINES, "e": COMPARISON}
    for letter, axes in panels.items():
        if reason := found.missing.get(needs[letter]):
            axes.set_axis_off()
            axes.text(0.5, 0.5, textwrap.fill(f"{needs[letter]} not measured: {reason}", 30), ha="center", va="center")
        else:
            draw[letter](axes, found)
        (style.corner if letter == "a" and with_cloud else style.letter)(axes, letter)
    return page


def _coordinates(axes: Axes, found: Layout) -> None:
    at = np.asarray(found.coordinates)
    if axes.name == "3d":
        return cloud(axes, at.reshape(*found.sizes, 3), f"coloured by {style.plain(found.names[0])}")
    axes.plot(at[:, 0], at[:, min(1, at.shape[1] - 1)], ".", color=BLUE, markersize=2)
    axes.set(xlabel="PC 1", ylabel="PC 2")


def _spectrum(axes: Axes, found: Layout) -> None:
    shares = np.asarray(found.spectrum)[:AXES]
    shares = shares[shares > np.finfo(float).eps]  # they fall; smaller ones are rounding
    axes.plot(np.arange(1, len(shares) + 1), shares, ".-", color=BLUE, linewidth=0.9)
    axes.set(xlabel="principal component", ylabel="share of variance", yscale="log")
    axes.set_ylim(min(0.01, *shares) / 1.5, 1.5)  # whole decades have ticks
    if found.participation_ratio is not None:
        axes.set_title(f"participation ratio {found.participation_ratio:.1f}")


def _diagram(axes: Axes, found: Layout) -> None:
    """The bars over the field of 2 in radii of the cloud, and the Betti numbers over both fields."""
    topology = found.topology or {}
    two, three = (
        ", ".join("?" if count is None else str(count) for count in topology[order].to_json()["betti"])
        for order in (2, 3)
    )
    other = f"; over 3 ({three})" if three != two else ""
    untold = "\n?: cannot be told" if "?" in two + three else ""
    scaled = [diagram / topology[2].radius for diagram in topology[2].diagrams]
    diagrams(axes, scaled, f"Betti ({two}){other}{untold}")
    axes.legend(loc="lower right", fontsize=6, handletextpad=0.2)


def _within(axes: Axes, found: Layout) -> None:
    within = found.cosines.within if found.cosines else ()
    if found.noise is not None:  # single cosines of several readings scatter beyond -1 and 1; their means do not
        statistics = found.comparison.statistics if found.comparison else {}
        within = [statistics.get(f"{name} within", np.zeros(0)) for name in found.names]
    for name, values, colour in zip(found.names, within, COLOURS, strict=False):
        line = "-" if name == found.names[0] else "--"
        histogram(axes, values, np.linspace(-1, 1, 41), colour, style.plain(name), line)
    axes.set(xlabel="cosine of steps within a factor", ylabel="share of pairs")
    axes.set_ylim(0, 1.4 * axes.get_ylim()[1])  # room for the legend
    axes.legend(loc="upper center", ncols=len(found.names))


def _distances(axes: Axes, found: Layout) -> None:
    """The mean distance to each ideal shape, with its bootstrap interval; the nearest in green."""
    if (compared := found.comparison) is None:
        return
    names, totals = list(compared.total), list(compared.total.values())
    away = np.abs(np.array([compared.interval[name] for name in names]).T - np.array(totals))
    colours = [GREEN if name == compared.nearest else GREY for name in names]
    axes.barh(names, totals, xerr=away, color=colours, error_kw={"linewidth": 0.8})
    axes.set_yticks(range(len(names)), [textwrap.fill(name, 24) for name in names])
    axes.set_xlabel("mean Wasserstein distance (whisker: 95 % bootstrap interval)")
    axes.tick_params(axis="y", length=0)
