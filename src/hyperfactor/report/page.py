"""From results to a folder with one self-contained page, the figures as files, and the numbers as JSON."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.claims import summary
from hyperfactor.figures import draw, style
from hyperfactor.runs.execute import PACKAGES
from hyperfactor.runs.spec import dump_yaml
from hyperfactor.store.named import named_path, write_together
from hyperfactor.store.provenance import versions
from hyperfactor.strict import dump_json


def write_report(results: Sequence[Result], out: str | Path) -> Path:
    """Write a report.

    The folder gets report.html; figures/*.svg and *.pdf; for each experiment its numbers as JSON and its claims as a
    Markdown table; and results.md with all of these. All files are written at the end; if the disk is full, an earlier
    report stays as it was.

    Parameters
    ----------
    results : sequence of Result
        Results of different experiments.
    out : str or Path
        The folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    RequestError
        If the folder cannot be written.
    MachineError
        If there is no room.
    """
    place, contents = named_path(out, "out"), {}
    sections = []
    for result in results:
        drawn = []
        for number, caption, figure in draw(result):
            name = f"{result.experiment}-figure-{number}"
            svg = style.save(figure, "svg")
            contents |= {f"figures/{name}.svg": svg, f"figures/{name}.pdf": style.save(figure, "pdf")}
            drawn.append({"number": number, "caption": caption, "svg": _inline(svg, name), "name": name})
        contents[f"{result.experiment}.json"] = dump_json(result.to_json(), indent=1).encode()
        contents[f"{result.experiment}-claims.md"] = _claims_table(result).encode()
        specs = [dump_yaml(note.spec) for note in result.runs]
        sections.append(
            {"result": result, "experiment": EXPERIMENTS[result.experiment], "figures": drawn, "specs": specs}
        )
    environment = Environment(
        loader=PackageLoader("hyperfactor", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    claims = [claim for result in results for claim in result.claims]
    page = environment.get_template("page.html.j2").render(
        sections=sections, versions=versions(PACKAGES), claims=claims, summary=summary
    )
    contents |= {"results.md": _summary(results).encode(), "report.html": page.encode()}
    write_together({place / name: content for name, content in contents.items()})
    return Path(out) / "report.html"


def _summary(results: Sequence[Result]) -> str:
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
            _claims_table(result).rstrip(),
        ]
    return "\n".join(lines) + "\n"


def _claims_table(result: Result) -> str:
    seeds = f"{len(result.seeds)} seed{'s' * (len(result.seeds) > 1)}"
    lines = [
        f"Preset {result.preset}, {seeds}; finished {max(note.manifest['finished'] for note in result.runs)[:10]}.",
        "",
        "| claim | terms | figure | bound | measured | 95 % interval | method of the interval | each seed | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for claim in result.claims:
        verdict = f"{claim.verdict}: {claim.reason}" if claim.reason else claim.verdict
        cells = (claim.statement, claim.terms, claim.figure, claim.bound, *claim.cells(), verdict)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _inline(svg: bytes, name: str) -> Markup:
    """Return the <svg> element, with ids of its own, so that many fit on one page."""
    text = svg[svg.index(b"<svg") :].decode()
    for reference in ('id="', 'href="#', "url(#"):
        text = text.replace(reference, f"{reference}{name}-")
    return Markup(text)
