"""Whether the models of a result have learnt what they were trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

from hyperfactor.experiments.base import LEARNT, RunNote
from hyperfactor.images.task import TRAIN


@dataclass(frozen=True)
class Learnt:
    """The models of one role, one a seed.

    Attributes
    ----------
    role : str
        The role.
    runs : tuple of RunNote
        Their runs.
    right : tuple of float
        Share of each model's judged drawings of its own training region that is right.
    drawings : int
        The smallest number of drawings in these shares.
    valid : float
        The smallest share of valid drawings.
    error : float
        The largest median of the squared error, relative to the true picture's.
    """

    role: str
    runs: tuple[RunNote, ...]
    right: tuple[float, ...]
    drawings: int
    valid: float
    error: float

    @property
    def whole(self) -> bool:
        """Whether they were trained on all pictures of the region, and not on a random part of them."""
        return all(note.spec["data"]["fraction"] == 1 for note in self.runs)

    @property
    def all_have(self) -> bool:
        """Whether every model has learnt its training region."""
        return min(self.right) >= LEARNT


def learnt(notes: Sequence[RunNote]) -> list[Learnt]:
    """Return for each role how well its models draw what they were trained on.

    Parameters
    ----------
    notes : sequence of RunNote
        The runs of a result.
    """
    roles: dict[str, list[RunNote]] = {}
    for note in notes:
        roles.setdefault(note.role, []).append(note)
    found = []
    for role, of_role in roles.items():
        rows = [note.manifest["accuracy"][TRAIN] for note in of_role]
        found.append(
            Learnt(
                role,
                tuple(of_role),
                tuple(row["right"] for row in rows),
                min(row["n"] for row in rows),
                min(row["valid"] for row in rows),
                max(row["error"] for row in rows),
            )
        )
    return found


def said(models: Sequence[Learnt]) -> str:
    """Say how many models have learnt, and what that means for the claims."""
    shares = [share for of_role in models if of_role.whole for share in of_role.right]
    enough, parts = sum(share >= LEARNT for share in shares), sum(len(of.right) for of in models if not of.whole)
    found = []
    if shares and enough == len(shares):
        found.append(f"Every model draws at least {LEARNT:g} of its training region right ({len(shares)} models).")
    elif shares:
        found.append(
            f"{enough} of {len(shares)} models draw at least {LEARNT:g} of their training region right. The others "
            "have not learnt what they were trained on. Do not read their values as a property of what training "
            "produces; a claim that needs them to have learnt is not measured."
        )
    if parts:
        found.append(
            f"{parts} model{'s were' if parts > 1 else ' was'} trained on a random part of a region. The share right "
            "is that of the whole region, most of which may never have been seen."
        )
    return " ".join(found)
