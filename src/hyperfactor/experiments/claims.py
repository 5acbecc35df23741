"""Claims: statements with bounds, estimates with intervals, and verdicts.

The interval of one seed's estimate is over its drawings. `over_seeds` makes one estimate of several seeds, and `claim`
compares its interval with the bound.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import scipy  # imports scipy.stats when it is needed: a second

from hyperfactor.errors import RequestError

CONFIDENCE = 0.95
FEWEST = 3  # seeds for an interval over seeds

Verdict = Literal["holds", "fails", "undecided", "not measured"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Terms = Literal["paper", "ours"]


@dataclass(frozen=True)
class Bound:
    """The side of `value` on which a claim holds."""

    relation: Literal[">=", "<=", ">"]
    value: float

    def verdict(self, low: float, high: float) -> Verdict:
        """Return the verdict for an interval: within the bound, outside, or on both sides."""
        match self.relation:
            case ">=":
                inside, outside = low >= self.value, high < self.value
            case "<=":
                inside, outside = high <= self.value, low > self.value
            case ">":
                inside, outside = low > self.value, high <= self.value
        return "holds" if inside else "fails" if outside else "undecided"

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g}"


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        The value and the ends of its interval.
    method : str
        How the interval was found, and over what.
    span : (float, float)
        Smallest and largest value that the quantity can have.
    """

    value: float
    low: float
    high: float
    method: str
    span: tuple[float, float] = (-math.inf, math.inf)

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the interval."""
        return self.low, self.high


@dataclass(frozen=True)
class Claim:
    """A statement with its verdict.

    A claim that was not measured has no value and no interval.

    Attributes
    ----------
    id, figure, statement : str
        Name of the claim, figure of the paper, and the claim in words.
    terms : {"paper", "ours"}
        Whether the claim is in the paper's terms or in ours.
    bound : Bound
        Bound on the value.
    measured : float or None
        Mean over seeds.
    interval : (float, float) or None
        95 % interval of that mean.
    method : str
        How the interval was found, and over what.
    seeds : tuple of float
        Value of each seed; empty if one value belongs to all seeds.
    verdict : {"holds", "fails", "undecided", "not measured"}
        The verdict.
    reason : str
        Why the claim was not measured; empty otherwise.
    roles : tuple of str
        Roles of the models that it is about; empty if it is about all models of the experiment.
    """

    id: str
    figure: str
    statement: str
    terms: Terms
    bound: Bound
    measured: float | None
    interval: tuple[float, float] | None
    method: str
    seeds: tuple[float, ...]
    verdict: Verdict
    reason: str
    roles: tuple[str, ...] = ()

    @property
    def holds(self) -> bool | None:
        """True or False if the claim is decided, else None."""
        return {"holds": True, "fails": False}.get(self.verdict)

    def cells(self) -> tuple[str, str, str, str]:
        """Return the value, the interval, its method, and the value of each seed, as text."""
        if self.measured is None or self.interval is None:
            return "", "", "", ""
        low, high = self.interval
        each = ", ".join(f"{value:.3f}" for value in self.seeds) or "together"
        return f"{self.measured:.3f}", f"{low:.3f} to {high:.3f}", self.method, each

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "bound": str(self.bound), "holds": self.holds}


def claim(
    id: str,
    figure: str,
    statement: str,
    bound: Bound,
    values: Callable[[], Sequence[Estimate]],
    *,
    terms: Terms = "ours",
    roles: Sequence[str] = (),
    unless: Sequence[str | None] = (),
    of_all: bool = False,
) -> Claim:
    """Measure a claim, or record why it cannot be measured.

    Parameters
    ----------
    id, figure, statement, bound, terms
        As for `Claim`.
    values : function
        Returns the estimate of each seed. It is called only if nothing stands against measuring.
    roles : sequence of str
        Roles of the models that it is about. Default: all models of the experiment.
    unless : sequence of str or None
        Reasons against measuring the claim; None for a precondition that is met.
    of_all : bool
        Whether `values` returns one estimate, which belongs to all seeds together.
    """
    about: dict[str, Any] = {"id": id, "figure": figure, "statement": statement, "terms": terms, "bound": bound}
    about["roles"] = tuple(roles)
    reasons = [reason for reason in unless if reason]
    estimates = [] if reasons else list(values())
    if not (reasons or estimates):
        raise RequestError("values: got no estimates, needs one for each seed")
    found = over_seeds(estimates) if estimates else None
    if found and not all(map(math.isfinite, (found.value, *found.interval))):
        reasons, found = ["the value is not a finite number"], None
    if found is None:
        return Claim(
            **about, measured=None, interval=None, method="", seeds=(), verdict="not measured", reason=reasons[0]
        )
    return Claim(
        **about, measured=found.value, interval=found.interval, method=found.method,
        seeds=() if of_all else tuple(estimate.value for estimate in estimates),
        verdict=bound.verdict(*found.interval), reason="",
    )  # fmt: skip


def summary(claims: Sequence[Claim]) -> str:
    """Count the claims by verdict: "5 of 9 claims hold; 1 fails, 2 are undecided, 1 was not measured"."""
    count = {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in VERDICTS}
    rest = [f"{count['fails']} fail{'s' * (count['fails'] == 1)}"]
    rest.append(f"{count['undecided']} {'is' if count['undecided'] == 1 else 'are'} undecided")
    rest.append(f"{count['not measured']} {'was' if count['not measured'] == 1 else 'were'} not measured")
    return f"{count['holds']} of {len(claims)} claims hold; {', '.join(rest)}"


def proportion(outcomes: np.ndarray) -> Estimate:
    """Return the share of true outcomes, with Wilson's interval (JASA 22 (1927) 209)."""
    k, n = np.sum(outcomes), len(outcomes)
    if not n or not np.isfinite(k):
        raise RequestError(f"outcomes: got {n}, needs one or more that are true or false")
    k = int(k)
    low, high = scipy.stats.binomtest(k, n).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(k / n, float(low), float(high), "Wilson over drawings", (0.0, 1.0))


def combine(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Return a weighted sum of independent estimates.

    The interval is found by the method of variance estimates recovery (Zou and Donner, Statistics in Medicine 27 (2008)
    1693): the distances from each value to the ends of its interval add up as squares. For two shares with Wilson's
    intervals this is the interval of their difference by Newcombe's method 10.

    Parameters
    ----------
    estimates : sequence of Estimate
        The estimates.
    weights : sequence of float
        A weight for each.
    """
    value = low = high = least = most = 0.0
    for estimate, weight in zip(estimates, weights, strict=True):
        ends = (weight * estimate.low, weight * estimate.high)
        spans = (weight * estimate.span[0], weight * estimate.span[1])
        value += weight * estimate.value
        low += max(0.0, weight * estimate.value - min(ends)) ** 2  # an end of a bootstrap may lie beyond the value
        high += max(0.0, max(ends) - weight * estimate.value) ** 2
        least, most = least + min(spans), most + max(spans)
    method = " and ".join(dict.fromkeys(estimate.method for estimate in estimates))
    return Estimate(value, value - math.sqrt(low), value + math.sqrt(high), method, (least, most))


def less(a: Estimate, b: Estimate) -> Estimate:
    """Return a - b, for independent estimates."""
    return combine((a, b), (1.0, -1.0))


def over_seeds(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean over seeds, with one interval.

    For one seed it is the interval of its drawings. For two seeds it is the interval of the drawings of these two
    models. For three seeds or more it is Student's interval of the seeds' values, which contains the scatter of seeds
    and of drawings; it is widened to the interval of the drawings if that is wider, for instance if all seeds agree to
    the last drawing.

    Parameters
    ----------
    estimates : sequence of Estimate
        One estimate for each seed.
    """
    if len(estimates) == 1:
        return estimates[0]
    count = len(estimates)
    mean = combine(estimates, [1 / count] * count)
    if count < FEWEST:
        return Estimate(mean.value, mean.low, mean.high, f"{mean.method} of {count} seeds", mean.span)
    values = np.array([estimate.value for estimate in estimates])
    half = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(ddof=1) / math.sqrt(count))
    low = max(mean.span[0], min(mean.low, mean.value - half))
    high = min(mean.span[1], max(mean.high, mean.value + half))
    return Estimate(mean.value, low, high, f"Student over {count} seeds, at least {mean.method}", mean.span)


def unlike(trained: Sequence[Estimate], untrained: Sequence[Estimate]) -> str | None:
    """Explain why a value cannot be ascribed to learning; return None if it can.

    It cannot if the interval of its difference from the value of the untrained networks contains 0.

    Parameters
    ----------
    trained, untrained : sequence of Estimate
        Estimates of each seed at the end and at the start of training.
    """
    apart = over_seeds([less(a, b) for a, b in zip(trained, untrained, strict=True)])
    if apart.low > 0 or apart.high < 0:
        return None
    before, after = (float(np.mean([e.value for e in estimates])) for estimates in (untrained, trained))
    return (
        f"the trained value, {after:.3f}, does not differ from that of the untrained network, {before:.3f} "
        f"(difference {apart.low:.3f} to {apart.high:.3f})"
    )
