"""Pairs of figures, measured alternately; the table of their ratios; and the guard against worse ratios."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


class MissingError(Exception):
    """A package that a pair needs is not installed, or cannot be used. The message says which."""


class AtLeast(float):
    """A time that was not reached: the measurement was stopped at this number of seconds."""


@dataclass(frozen=True)
class Pair:
    """Two ways to do the same thing.

    Attributes
    ----------
    name : str
        What `make bench` calls it.
    unit : str
        Unit of both figures. In "s" and "MB" less is better; in any other unit more is better.
    other_name : str
        What we are compared with.
    ours : callable
        ours(): our figure.
    other : callable
        other(ours): the figure of the other side. It is given our figure of the same repeat.
    repeats : int
        Number of repeats.
    """

    name: str
    unit: str
    other_name: str
    ours: Callable[[], float]
    other: Callable[[float], float]
    repeats: int = 5


@dataclass(frozen=True)
class Row:
    """The figures of a pair, one of each side for each repeat.

    Attributes
    ----------
    name, unit, other_name : str
        As in the pair.
    ours, other : list of float
        Figures in the order in which they were measured.
    stopped : bool
        Whether the other side was stopped before it arrived, so that the ratio is at least what is stated.
    missing : str
        Why the pair was not measured; empty if it was.
    """

    name: str
    unit: str
    other_name: str
    ours: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    stopped: bool = False
    missing: str = ""

    @property
    def ratios(self) -> list[float]:
        """How many times better our figure is than the other, for each repeat."""
        pairs = zip(self.ours, self.other, strict=True)
        return [other / ours if self.unit in ("s", "MB") else ours / other for ours, other in pairs]


def read(table: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of bench.json."""
    return [Row(**{name: value for name, value in row.items() if name != "ratios"}) for row in table]


def measure(pair: Pair, repeats: int | None = None) -> Row:
    """Measure a pair: our side, the other side, our side, the other side, ...

    Parameters
    ----------
    pair : Pair
        The pair.
    repeats : int, optional
        Number of repeats. Default: that of the pair.

    Returns
    -------
    Row
        The figures, or the reason why there are none.
    """
    ours, other = [], []
    try:
        for _ in range(repeats or pair.repeats):
            ours.append(pair.ours())
            other.append(pair.other(ours[-1]))
    except MissingError as reason:
        return Row(pair.name, pair.unit, pair.other_name, missing=str(reason))
    stopped = any(isinstance(figure, AtLeast) for figure in other)
    return Row(pair.name, pair.unit, pair.other_name, ours, [float(figure) for figure in other], stopped)


def _spread(values: Sequence[float], more: str = "") -> str:
    low, middle, high = (f"{value:.3g}" for value in (min(values), median(values), max(values)))
    return f"{more}{middle}" if low == high else f"{more}{middle} ({low} to {high})"


def markdown(rows: Sequence[Row]) -> str:
    """The table of the rows, with medians, minima and maxima."""
    lines = ["| pair | unit | ours | other | other: figure | ratio |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row.missing:
            lines.append(f"| {row.name} | {row.unit} | | {row.other_name} | not measured: {row.missing} | |")
        else:
            more = "> " if row.stopped else ""
            figures = (_spread(row.ours), row.other_name, _spread(row.other, more), _spread(row.ratios, more))
            lines.append(f"| {row.name} | {row.unit} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Accepted:
    """An accepted ratio.

    Attributes
    ----------
    ratio : float
        The median ratio when it was accepted.
    noise : float
        How far a median may fall below it by chance, as a share of it.
    """

    ratio: float
    noise: float


def load(path: Path) -> dict[str, dict[str, Accepted]]:
    """The accepted ratios of a file, by the kind of the processor and the name of the pair."""
    return {
        kind: {name: Accepted(**entry) for name, entry in of_kind.items()}
        for kind, of_kind in json.loads(path.read_text()).items()
    }


def save(path: Path, accepted: Mapping[str, Mapping[str, Accepted]]) -> None:
    """Write what `load` reads."""
    table = {
        kind: {name: asdict(entry) for name, entry in sorted(of_kind.items())}
        for kind, of_kind in sorted(accepted.items())
    }
    path.write_text(json.dumps(table, indent=1) + "\n")


def accept(rows: Sequence[Row], before: Mapping[str, Accepted], least: float = 0.1) -> dict[str, Accepted]:
    """Accept the ratios of rows. Pairs without figures keep what was accepted before.

    The noise is three times the median distance of a ratio from their median, so that one disturbed repeat does not
    widen it, and at least `least`.
    """
    found = dict(before)
    for row in rows:
        if not row.missing:
            ratios, middle = row.ratios, median(row.ratios)
            spread = 3 * median(abs(ratio - middle) for ratio in ratios) / middle
            found[row.name] = Accepted(round(middle, 3), round(max(spread, least), 3))
    return found


def unguarded(rows: Sequence[Row], accepted: Mapping[str, Accepted]) -> list[str]:
    """The measured pairs of which no ratio is accepted."""
    return [row.name for row in rows if not row.missing and row.name not in accepted]


def worse(rows: Sequence[Row], accepted: Mapping[str, Accepted]) -> list[str]:
    """A line for each row whose median ratio is worse than accepted by more than its noise."""
    lines = []
    for row in rows:
        entry = accepted.get(row.name)
        if row.missing or entry is None:
            continue
        now, least = median(row.ratios), entry.ratio * (1 - entry.noise)
        if now < least:
            lines.append(f"{row.name}: got a ratio of {now:.3g}, needs {least:.3g} ({entry.ratio:.3g} was accepted)")
    return lines
