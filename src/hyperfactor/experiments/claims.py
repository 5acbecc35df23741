"""Claims: statements with bounds, values with intervals, and verdicts."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import binomtest

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Bound:
    """The side of `value` on which a claim holds."""

    relation: Literal[">=", "<=", ">"]
    value: float

    def holds(self, measured: float) -> bool:
        match self.relation:
            case ">=":
                return measured >= self.value
            case "<=":
                return measured <= self.value
            case ">":
                return measured > self.value

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g}"


@dataclass(frozen=True)
class Claim:
    """A statement with its verdict.

    seeds: the value of each seed; measured: their mean.  interval: from the lowest lower to the
    highest upper end of the seeds' own 95 % intervals, so it covers samples and seeds.
    holds: whether the value of every seed is within the bound.
    """

    id: str
    figure: str
    statement: str
    measured: float
    interval: tuple[float, float]
    bound: Bound
    seeds: tuple[float, ...]
    holds: bool

    @property
    def spread(self) -> str:
        """The interval as text; "none" for a value that has none of its own (see `exactly`)."""
        low, high = self.interval
        return f"{low:.3f} to {high:.3f}" if low < high else "none"

    def each(self, seeds: int) -> str:
        """The value of each seed as text; "together" where one value is of all `seeds`."""
        return ", ".join(f"{value:.3f}" for value in self.seeds) if len(self.seeds) == seeds else "together"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "bound": str(self.bound)}


def claim(id: str, figure: str, statement: str, bound: Bound, values: Sequence[tuple[float, float, float]]) -> Claim:
    """A claim from (value, low, high) of each seed."""
    seeds = tuple(float(value) for value, _, _ in values)
    interval = (float(min(low for _, low, _ in values)), float(max(high for _, _, high in values)))
    return Claim(
        id, figure, statement, float(np.mean(seeds)), interval, bound, seeds, all(bound.holds(v) for v in seeds)
    )


def proportion(outcomes: np.ndarray) -> tuple[float, float, float]:
    """The share of true outcomes, with Wilson's 95 % interval (JASA 22 (1927) 209)."""
    k, n = int(np.sum(outcomes)), len(outcomes)
    low, high = binomtest(k, n).proportion_ci(CONFIDENCE, method="wilson")
    return k / n, low, high


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean, with a normal 95 % interval."""
    mean, half = values.mean(), 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    return float(mean), float(mean - half), float(mean + half)


def paired_difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """Mean of a - b over the same requests, with a normal 95 % interval."""
    return mean_interval(a.astype(float) - b.astype(float))


def difference(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """The share of true outcomes in a less that in b, of different requests, with a 95 % interval by Newcombe's
    method 10 (Statistics in Medicine 17 (1998) 873), which is Wilson's for each share."""
    (p, low_p, high_p), (q, low_q, high_q) = proportion(a), proportion(b)
    return p - q, p - q - math.hypot(p - low_p, high_q - q), p - q + math.hypot(high_p - p, q - low_q)


def exactly(value: float) -> tuple[float, float, float]:
    """A value without an interval of its own."""
    return float(value), float(value), float(value)
