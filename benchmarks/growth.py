"""How time and memory grow with the size of a request.

    python -m benchmarks.growth [NAME ...] [--out FOLDER] [--quick]

Measures each series in SERIES, or those whose names begin with a NAME, at several sizes. Each size has a process of its
own with one thread. Prints a table, and writes growth.json, growth.md and growth.svg to the folder. A time is processor
time, the smallest of several calls, so that other processes disturb it little. A memory is what the first call adds to
the memory of the process, at its peak. An exponent is the slope of a least-squares line through the three largest sizes
on logarithmic axes. `--quick` measures only the smallest sizes.

Processes are forked, so this runs on Linux and macOS.
"""

from hyperfactor import colours, process

if __name__ == "__main__":
    process.prepare_command()  # before numpy, torch or numba is imported: one thread

import argparse
import ctypes
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gudhi.sklearn.rips_persistence  # noqa: F401  here, so that its memory is not counted
import numpy as np
import psutil
import torch
from matplotlib.figure import Figure

from benchmarks.machine import describe
from benchmarks.sweeps import record
from benchmarks.tools import landmarks
from hyperfactor import RunSpec, Store, rng
from hyperfactor.figures import style
from hyperfactor.images.task import Task
from hyperfactor.measures import rips
from hyperfactor.measures.geometry import additivity
from hyperfactor.percolation import site_percolation
from hyperfactor.runs.run import build_model
from hyperfactor.store.table import table
from hyperfactor.training.loop import fit

STEPS = 3  # of a training
POINTS, WIDTH = 4096, 64  # of the representation whose factors grow in number
CALLS, ENOUGH = 4, 3.0  # timed calls at each size, and the seconds after which no further call begins
FITTED = 3  # sizes through which the line of an exponent goes
RESOLVED = 1.0  # MB; a smaller memory is not told apart from that of the interpreter

Call = Callable[[], object]


@dataclass(frozen=True)
class Series:
    """One thing to do, in several sizes.

    Attributes
    ----------
    name : str
        What is done.
    size : str
        What grows, with its unit.
    sizes : tuple of int
        Its values.
    prepare : callable
        prepare(size): the call that is measured.
    per : int
        The time of a call is divided by this number.
    """

    name: str
    size: str
    sizes: tuple[int, ...]
    prepare: Callable[[int], Call]
    per: int = 1


@dataclass(frozen=True)
class Measured:
    """What was measured of a series.

    Attributes
    ----------
    name, size : str
        As in the series.
    sizes : list of int
        The sizes.
    seconds : list of float
        Processor time at each size.
    megabytes : list of float or None
        Memory at each size, in 10^6 bytes; None if it is below RESOLVED.
    """

    name: str
    size: str
    sizes: list[int]
    seconds: list[float]
    megabytes: list[float | None]


def training(pixels: int = 32, width: int = 8, spacing: float = 1.0) -> Call:
    """A training of STEPS steps of 16 bumps."""
    data = {"picture": {"size": pixels}, "spacing": spacing}
    recipe = {"steps": STEPS, "batch": 16, "evaluate_every": 0, "checkpoint_every": 0}
    spec = RunSpec.parse({"data": data, "model": {"width": width}, "training": recipe})
    model = build_model(spec)
    spec.task.batch(np.arange(1))  # render
    return lambda: fit(model, spec.task, spec.training, spec.seed)


def spacing(points: int) -> float:
    """The spacing of a lattice of so many points on 32 x 32 pixels."""
    return 32 / points**0.5


def rendering(points: int) -> Call:
    """Make a task and render its training set."""
    spec = RunSpec.parse({"data": {"picture": {"boundary": "periodic"}, "spacing": spacing(points)}})
    return lambda: Task(spec.data, spec.encoding, spec.seed).batch(np.arange(1))


def persistence(points: int) -> Call:
    """The persistent homology of landmarks of a torus, to H2, over one field."""
    distances = landmarks(points)
    return lambda: rips.diagrams({"points": distances}, 2, (2,))


def percolation(sites: int) -> Call:
    """One curve of a square lattice."""
    side = round(sites**0.5)
    return lambda: site_percolation((side, side))


def listing(runs: int) -> Call:
    """The table of all runs of a store."""
    folder = tempfile.TemporaryDirectory()
    store = Store(folder.name)
    record(store, runs)
    return lambda _folder=folder: table(store.entries())


def factors(count: int) -> Call:
    """The analysis of variance of a representation of POINTS points with so many factors."""
    values = rng.stream(0, "benchmark.factors").normal(size=(*[round(POINTS ** (1 / count))] * count, WIDTH))
    return lambda: additivity(values)


SERIES = (
    Series("training step", "N (pixels a side)", (16, 32, 64, 96), lambda n: training(pixels=n), STEPS),
    Series("training step", "width (channels)", (8, 16, 32, 64), lambda n: training(width=n), STEPS),
    Series("training step", "data (pictures)", (64, 256, 1024, 4096), lambda n: training(spacing=spacing(n)), STEPS),
    Series("rendering the data", "data (pictures)", (256, 1024, 4096, 16384), rendering),
    Series("persistence to H2", "landmarks", (50, 100, 200, 350), persistence),
    Series("percolation curve", "sites", (10**4, 10**5, 10**6, 10**7), percolation),
    Series("runs list", "runs in the store", (10, 100, 1000, 10_000), listing),
    Series("additivity", "factors of 4,096 points", (2, 3, 4, 6, 12), factors),
)


def forked(job: Callable[[], Any]) -> Any:
    """What a job returns in a forked process. RuntimeError if the process fails."""
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: send.send(job()))
    child.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        raise RuntimeError("growth: a measurement failed, see above") from None
    finally:
        child.join()


def forget() -> None:
    """Give freed memory back to the system, and forget the peak so far, so that neither hides what the next call takes.

    The first needs glibc, the second Linux. Elsewhere the peak includes the preparation of the call.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measured(series: Series, size: int) -> tuple[float, float]:
    """The smallest processor time of a call, in seconds, and the memory that the first call adds, in MB.

    A call of the smallest size comes first, because it loads parts of libraries that are loaded when they are needed.
    """
    series.prepare(series.sizes[0])()
    call = series.prepare(size)
    forget()
    before = psutil.Process().memory_info().rss
    call()
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before) / 1e6
    times = []
    while len(times) < CALLS and sum(times) < ENOUGH:
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times) / series.per, added


def measure(series: Series, count: int | None = None) -> Measured:
    """Measure a series at its first `count` sizes, or at all."""
    sizes = list(series.sizes[:count])
    found = [forked(lambda size=size: measured(series, size)) for size in sizes]
    memory = [megabytes if megabytes >= RESOLVED else None for _, megabytes in found]
    return Measured(series.name, series.size, sizes, [seconds for seconds, _ in found], memory)


def line(sizes: Sequence[float], values: Sequence[float | None]) -> tuple[float, float] | None:
    """The exponent b and factor a of a * size^b through the FITTED largest sizes with values; None if fewer do."""
    pairs = [(size, value) for size, value in zip(sizes, values, strict=True) if value is not None][-FITTED:]
    if len(pairs) < FITTED:
        return None
    known, at = np.log(pairs).T
    exponent, logarithm = np.polyfit(known, at, 1)
    return float(exponent), float(np.exp(logarithm))


def exponent(row: Measured, values: Sequence[float | None]) -> str:
    """The exponent of the values of a row, as text; "-" if there is none."""
    found = line(row.sizes, values)
    return f"{round(found[0], 2) + 0.0:.2f}" if found else "-"  # no -0.00


def markdown(rows: Sequence[Measured]) -> str:
    """The table of the rows: the smallest and the largest size, time and memory, and the exponents."""

    def ends(values: Sequence[float | None]) -> str:
        low, high = (f"{value:.3g}" if value is not None else f"< {RESOLVED:g}" for value in (values[0], values[-1]))
        return low if low == high else f"{low} to {high}"

    lines = [
        "| what | grows with | from, to | time, s | exponent | memory, MB | exponent |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        time_, memory = ((ends(values), exponent(row, values)) for values in (row.seconds, row.megabytes))
        between = f"{row.sizes[0]:,} to {row.sizes[-1]:,}"
        lines.append(f"| {' | '.join((row.name, row.size, between, *time_, *memory))} |")
    return "\n".join(lines) + "\n"


def figure(rows: Sequence[Measured]) -> Figure:
    """Time and memory against size, one row of panels a series, with the fitted lines and their exponents."""
    with style.context():
        drawn = style.new(style.COLUMN, 0.95 * len(rows) + 0.3)
        panels = drawn.subplots(len(rows), 2, squeeze=False)
        for (left, right), row in zip(panels, rows, strict=True):
            _panel(left, row, row.seconds, colours.BLUE, "o")
            _panel(right, row, row.megabytes, colours.VERMILION, "s")
            left.set_title(f"{row.name} against {row.size}", loc="left", fontsize=7)
            left.set_ylabel("time\n(s)", fontsize=6.5)
            right.set_ylabel("memory\n(MB)", fontsize=6.5)
    return drawn


def _panel(axes: Any, row: Measured, values: Sequence[float | None], colour: str, marker: str) -> None:
    axes.plot(row.sizes, [value or np.nan for value in values], marker, color=colour, markersize=3.5)
    axes.set(xscale="log", yscale="log", xlim=(row.sizes[0] / 1.3, row.sizes[-1] * 1.3))
    if row.sizes[-1] < 50 * row.sizes[0]:  # few powers of ten lie between
        axes.set_xticks(row.sizes, row.sizes)
    known = [value for value in values if value]
    if known:
        axes.set_ylim(min(known) / 2, max(max(known), 10 * min(known)) * 3)
        axes.text(0.04, 0.98, f"exponent {exponent(row, values)}", transform=axes.transAxes, va="top", fontsize=7)
    else:
        axes.set(yticks=[])
        axes.text(0.5, 0.5, f"below {RESOLVED:g} MB", transform=axes.transAxes, ha="center", fontsize=7)
    if found := line(row.sizes, values):
        ends = np.array([row.sizes[-FITTED], row.sizes[-1]], dtype=float)
        axes.plot(ends, found[1] * ends ** found[0], color=colours.GREY, linewidth=0.9, zorder=0)
    axes.minorticks_off()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("hyperfactor-bench"))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    some = [series for series in SERIES if not given.names or series.name.startswith(tuple(given.names))]
    if not some:
        sys.exit(f"series: got {' '.join(given.names)!r}, needs one of {', '.join(series.name for series in SERIES)}")
    torch.set_num_threads(1)
    site_percolation((16, 16))  # compile
    given.out.mkdir(parents=True, exist_ok=True)
    machine, rows = describe(), []
    for series in some:
        rows.append(measure(series, 1 if given.quick else None))
        print(markdown(rows[-1:]).splitlines()[-1], flush=True)
    about = "\n".join(f"- {key}: {value}" for key, value in machine.items())
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (given.out / "growth.json").write_text(json.dumps(document, indent=1) + "\n")
    heading = "# How time and memory grow\n\n![log-log plots of the table below](growth.svg)\n"
    (given.out / "growth.md").write_text(f"{heading}\n{markdown(rows)}\n{about}\n")
    (given.out / "growth.svg").write_bytes(style.save(figure(rows), "svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
