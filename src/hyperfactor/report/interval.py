"""A claim's interval, drawn against its bound."""

from itertools import pairwise

from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator

from hyperfactor.experiments.claims import Claim

WIDTH, HEIGHT = 320, 60
LEFT, RIGHT = 18, 302  # ends of the axis
AXIS, LINE, SEEDS = 40, 18, 28  # heights of the axis, of the interval, and of the seeds
MARGIN = 0.08  # of what is drawn, on both sides
SIDES = {">=": "at or above", ">": "above", "<=": "at or below"}


def draw(claim: Claim) -> Markup:
    """Draw a claim: the side of the bound on which it holds, its interval, its mean, and its seeds.

    Parameters
    ----------
    claim : Claim
        The claim.

    Returns
    -------
    Markup
        An <svg> element; nothing for a claim that was not measured. Its colours are those of the page's classes
        `allowed`, `bound`, `interval`, `mean`, `seed` and `axis`.
    """
    if claim.measured is None or claim.interval is None:
        return Markup("")
    low, high = _range(claim)
    at = {value: f"{LEFT + (value - low) / (high - low) * (RIGHT - LEFT):.2f}" for value in _drawn(claim)}
    bound, (start, end) = at[claim.bound.value], (at[value] for value in claim.interval)
    left, right = (LEFT, bound) if claim.bound.relation == "<=" else (bound, RIGHT)
    parts = [
        f'<rect class="allowed" x="{left}" y="6" width="{float(right) - float(left):.2f}" height="{AXIS - 6}"/>',
        f'<path class="bound" d="M{bound} 2V{AXIS}"/>',
        f'<path class="axis" d="M{LEFT} {AXIS}H{RIGHT}"/>',
        *_ticks(low, high),
        *(f'<path class="seed" d="M{at[value]} {SEEDS}v7"/>' for value in claim.seeds),
        f'<path class="interval" d="M{start} {LINE - 5}v10m0 -5H{end}m0 -5v10"/>',
        f'<circle class="mean" cx="{at[claim.measured]}" cy="{LINE}" r="4.5"/>',
    ]
    opening = f'<svg class="claim" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words(claim))}">'
    return Markup(opening + "".join(parts) + "</svg>")


def words(claim: Claim) -> str:
    """Say what the drawing shows."""
    value, interval, _, each = claim.cells()
    seeds = f", seeds {each}" if claim.seeds else ""
    side = f"{SIDES[claim.bound.relation]} {claim.bound.value:g}"
    return f"Mean {value}, 95 % interval {interval}{seeds}. The claim holds {side}: {claim.verdict}."


def _drawn(claim: Claim) -> set[float]:
    return {claim.bound.value, claim.measured or 0.0, *(claim.interval or ()), *claim.seeds}


def _range(claim: Claim) -> tuple[float, float]:
    """The ends of the axis: all that is drawn, and a margin."""
    low, high = min(_drawn(claim)), max(_drawn(claim))
    margin = MARGIN * (high - low or abs(low) or 1.0)
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[str]:
    values = [float(value) for value in MaxNLocator(4).tick_values(low, high) if low <= value <= high]
    step = min(b - a for a, b in pairwise(values)) if len(values) > 1 else 1.0
    parts = []
    for value in values:
        x = f"{LEFT + (value - low) / (high - low) * (RIGHT - LEFT):.2f}"
        label = f"{0.0 if abs(value) < step / 2 else value:.6g}".replace("-", "\N{MINUS SIGN}")
        parts.append(f'<path class="axis" d="M{x} {AXIS}v4"/><text x="{x}" y="{AXIS + 16}">{label}</text>')
    return parts
