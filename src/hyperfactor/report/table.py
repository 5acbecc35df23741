"""Claims as Markdown tables, which are files beside the page."""

import os
import platform
from collections.abc import Sequence

from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.claims import summary
from hyperfactor.runs.execute import PACKAGES
from hyperfactor.store.provenance import versions

ESCAPED = "\\|"  # a bar in a cell, which would end it


def of_results(results: Sequence[Result]) -> str:
    """Write which claims hold, by experiment, with the machine and the time of training."""
    claims = [claim for result in results for claim in result.claims]
    seeds = sorted({len(result.seeds) for result in results})
    notes = {note.id: note for result in results for note in result.runs}.values()
    trained, judged = (sum(note.manifest["seconds"][part] for note in notes) / 60 for part in ("train", "evaluate"))
    devices = " and ".join(sorted({note.manifest["device"] for note in notes}))
    torch = " and ".join(sorted({note.manifest["versions"]["torch"] for note in notes}))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [
        f"# Results of {' or '.join(map(str, seeds))} seed{'s' * (seeds[-1] > 1)}",
        "",
        f"{summary(claims)}. A claim holds if its 95 % interval lies within the bound, fails if it lies outside, and "
        "is undecided if it contains the bound. It is not measured if its precondition fails.",
        "",
        f"{len(notes)} models on {devices}, trained with torch {torch}: {trained:.0f} minutes of training and "
        f"{judged:.0f} of judging, summed over one-thread processes. This table was written on a machine with "
        f"{os.cpu_count()} {platform.machine()} cores and {memory:.0f} GiB of memory; "
        + ", ".join(f"{name} {version}" for name, version in versions(PACKAGES).items())
        + ".",
    ]
    for result in results:
        lines += [
            "",
            f"## {result.experiment}",
            "",
            EXPERIMENTS[result.experiment].question,
            "",
            of_claims(result).rstrip(),
        ]
    return "\n".join(lines) + "\n"


def of_claims(result: Result) -> str:
    """Write the claims of a result."""
    seeds = f"{len(result.seeds)} seed{'s' * (len(result.seeds) > 1)}"
    lines = [
        f"Preset {result.preset}, {seeds}; finished {max(note.manifest['finished'] for note in result.runs)[:10]}.",
        "",
        "| claim | terms | figure | bound | measured | 95 % interval | method of the interval | each seed | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for claim in result.claims:
        verdict = f"{claim.verdict}: {claim.reason}" if claim.reason else claim.verdict
        cells = map(str, (claim.statement, claim.terms, claim.figure, claim.bound, *claim.cells(), verdict))
        lines.append(f"| {' | '.join(cell.replace('|', ESCAPED) for cell in cells)} |")
    return "\n".join(lines) + "\n"
