"""What was found, in words that the verdicts back."""

from collections import Counter
from collections.abc import Sequence

from hyperfactor.experiments.base import Result
from hyperfactor.experiments.claims import FEWEST, VERDICTS, Claim, Verdict

# Of each verdict: what one claim does, what several do, and what that means for {it}.
MEANINGS: dict[Verdict, tuple[str, str, str]] = {
    "holds": (
        "holds",
        "hold",
        ": the whole 95 % interval lies within the bound. The models measured here support {it}.",
    ),
    "fails": (
        "fails",
        "fail",
        ": the whole 95 % interval lies outside the bound. The models measured here contradict {it}.",
    ),
    "undecided": (
        "is undecided",
        "are undecided",
        ": the 95 % interval lies on both sides of the bound. These data speak neither for {it} nor against {it}; "
        "more seeds or drawings may decide.",
    ),
    "not measured": (
        "was not measured",
        "were not measured",
        ", because a precondition fails. Nothing follows about {it}.",
    ),
}


def count(claims: Sequence[Claim]) -> dict[Verdict, int]:
    """Count claims by verdict, those of a verdict that none has included."""
    found = Counter(claim.verdict for claim in claims)
    return {verdict: found[verdict] for verdict in VERDICTS}


def found(claims: Sequence[Claim]) -> list[str]:
    """Say how many of some claims have each verdict, and what that means.

    Parameters
    ----------
    claims : sequence of Claim
        The claims.

    Returns
    -------
    list of str
        One sentence or two for each verdict that a claim has.
    """
    said = []
    for verdict, number in count(claims).items():
        one, many, meaning = MEANINGS[verdict]
        if number:
            meant = meaning.format(it="it" if number == 1 else "them")
            said.append(f"{_of(number, len(claims))} {one if number == 1 else many}{meant}")
    return said


def answer(claims: Sequence[Claim]) -> str:
    """Say in one sentence what the verdicts of one question amount to."""
    number = count(claims)
    decided = number["holds"] + number["fails"]
    if number["not measured"] == len(claims):
        return "Nothing was measured, so the question stays open."
    if not decided:
        return "No claim is decided, so the question stays open."
    rest = "" if decided == len(claims) else " of those that are decided"
    if not number["fails"]:
        return f"Every claim{rest} holds."
    if not number["holds"]:
        return f"Every claim{rest} fails."
    return "The answer is mixed."


def cautions(results: Sequence[Result]) -> list[str]:
    """Say what the verdicts of these results cannot show."""
    said = []
    if "smoke" in {result.preset for result in results}:
        said.append(
            "The preset smoke trains each model for seconds. It shows that everything connects, and its verdicts say "
            "nothing about the questions."
        )
    if few := sorted({len(result.seeds) for result in results if len(result.seeds) < FEWEST}):
        seeds = " or ".join(f"{k} seed{'s' * (k > 1)}" for k in few)
        said.append(f"An interval of {seeds} is over drawings of these models and says nothing about other seeds.")
    return said


def by_verdict(claims: Sequence[Claim]) -> dict[Verdict, list[Claim]]:
    """Group claims by verdict, leaving out verdicts that none has."""
    groups: dict[Verdict, list[Claim]] = {verdict: [] for verdict in VERDICTS}
    for claim in claims:
        groups[claim.verdict].append(claim)
    return {verdict: of_verdict for verdict, of_verdict in groups.items() if of_verdict}


def _of(number: int, total: int) -> str:
    return f"All {total} claims" if number == total > 1 else f"{number} of {total} claims"
