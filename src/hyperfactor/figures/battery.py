"""One representation at a glance."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from hyperfactor.figures import style
from hyperfactor.figures.style import BLACK, BLUE, GREEN, ORANGE, PAGE, PURPLE, VERMILION
from hyperfactor.figures.torus import cloud, diagrams, histogram
from hyperfactor.measures.battery import Battery

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, BLACK)


def figure(found: Battery, title: str) -> Figure:
    """(a) principal axes, (b) spectrum, (c) persistence diagram, (d) steps within each factor, (e) distances."""
    shape = " x ".join(map(str, found.shape[:-1]))
    page = style.new(
        PAGE, 4.4, f"{title}; lattice {shape}, d = {found.shape[-1]}; {len(found.persistence.landmarks)} landmarks"
    )
    with_cloud = len(found.shape) == 3 and found.coordinates.shape[-1] == 3
    mosaic = page.subplot_mosaic(
        "abc\ndee", per_subplot_kw={"a": {"projection": "3d"}} if with_cloud else {}, width_ratios=[1, 1, 1.1]
    )
    if with_cloud:
        cloud(mosaic["a"], found.coordinates, "")
        style.corner(mosaic["a"], "a")
    else:
        flat = found.coordinates.reshape(-1, found.coordinates.shape[-1])
        mosaic["a"].plot(flat[:, 0], flat[:, min(1, flat.shape[1] - 1)], ".", color=BLUE, markersize=2)
        mosaic["a"].set(xlabel="PC 1", ylabel="PC 2")
        style.letter(mosaic["a"], "a")
    mosaic["b"].plot(np.arange(1, len(found.spectrum[:15]) + 1), found.spectrum[:15], ".-", color=BLUE, linewidth=0.9)
    mosaic["b"].set(xlabel="principal component", ylabel="share of variance", yscale="log")
    mosaic["b"].set_ylim(min(0.01, *found.spectrum[found.spectrum > 0][:15]) / 1.5, 1.5)  # whole decades have ticks
    mosaic["b"].set_title(f"participation ratio {found.participation_ratio:.1f}")
    style.letter(mosaic["b"], "b")
    scaled = [diagram / found.persistence.radius for diagram in found.persistence.diagrams]
    diagrams(mosaic["c"], scaled, _betti(found))
    style.letter(mosaic["c"], "c")
    within = found.cosines.within
    if found.noise is not None:  # single cosines of several readings scatter beyond -1 and 1; their means do not
        within = [found.comparison.statistics.get(f"{name} within", np.zeros(0)) for name in found.names]
    for name, values, colour in zip(found.names, within, COLOURS, strict=False):
        histogram(mosaic["d"], values, np.linspace(-1, 1, 41), colour, name, "-" if name == found.names[0] else "--")
    mosaic["d"].set(xlabel="cosine of steps within a factor", ylabel="share of pairs")
    mosaic["d"].set_ylim(0, 1.4 * mosaic["d"].get_ylim()[1])  # room for the legend
    mosaic["d"].legend(loc="upper center", ncols=len(found.names))
    style.letter(mosaic["d"], "d")
    names, totals = list(found.comparison.total), list(found.comparison.total.values())
    ends = np.array([found.comparison.interval[name] for name in names]).T
    away = np.abs(ends - np.array(totals))
    mosaic["e"].barh(names, totals, xerr=away, color=[GREEN if n == found.comparison.nearest else style.GREY for n in names],
                     error_kw={"linewidth": 0.8})  # fmt: skip
    mosaic["e"].set_yticks(range(len(names)), [textwrap.fill(name, 24) for name in names])
    mosaic["e"].set_xlabel("mean Wasserstein distance (whisker: 95 % bootstrap)")
    mosaic["e"].tick_params(axis="y", length=0)
    style.letter(mosaic["e"], "e")
    return page


def _betti(found: Battery) -> str:
    """The Betti numbers over the field of 2, and over that of 3 where they differ."""
    two, three = (
        ", ".join("?" if count is None else str(count) for count in shape.to_json()["betti"])
        for shape in (found.persistence, found.persistence_3)
    )
    other = f"; over 3 ({three})" if three != two else ""
    return f"Betti ({two}){other}" + ("\n?: cannot be told" if "?" in two + three else "")
