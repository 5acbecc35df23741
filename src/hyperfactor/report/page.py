"""Results -> a folder with one self-contained page, the figures as files, and the numbers as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.experiments.base import Result
from hyperfactor.figures import draw, style
from hyperfactor.runs.execute import versions
from hyperfactor.runs.files import write_whole


def write_report(results: Sequence[Result], out: str | Path) -> Path:
    """Write report.html, figures/*.svg and *.pdf, and for each experiment its numbers as JSON and its
    claims as a Markdown table; returns the page's path.

    Raises StoreError where the folder cannot be written.
    """
    out = Path(out)
    sections = []
    for result in results:
        drawn = []
        for number, caption, figure in draw(result):
            name = f"{result.experiment}-figure-{number}"
            svg = style.save(figure, "svg")
            write_whole(out / "figures" / f"{name}.svg", svg)
            write_whole(out / "figures" / f"{name}.pdf", style.save(figure, "pdf"))
            drawn.append({"number": number, "caption": caption, "svg": _inline(svg, name), "name": name})
        write_whole(out / f"{result.experiment}.json", json.dumps(result.to_json(), indent=1).encode())
        write_whole(out / f"{result.experiment}-claims.md", _claims_table(result).encode())
        specs = [yaml.safe_dump(note.spec, sort_keys=False) for note in result.runs]
        sections.append(
            {"result": result, "experiment": EXPERIMENTS[result.experiment], "figures": drawn, "specs": specs}
        )
    environment = Environment(
        loader=PackageLoader("hyperfactor", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("page.html.j2").render(sections=sections, versions=versions())
    write_whole(out / "report.html", page.encode())
    return out / "report.html"


def _claims_table(result: Result) -> str:
    seeds = f"{len(result.seeds)} seed{'s' * (len(result.seeds) > 1)}"
    lines = [
        f"Preset {result.preset}, {seeds}; finished {max(note.manifest['finished'] for note in result.runs)[:10]}.",
        "",
        "| claim | figure | bound | measured | 95 % interval | each seed | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for claim in result.claims:
        each = ", ".join(f"{value:.3f}" for value in claim.seeds)
        interval = f"{claim.interval[0]:.3f} to {claim.interval[1]:.3f}"
        verdict = "holds" if claim.holds else "does not hold"
        cells = (claim.statement, claim.figure, claim.bound, f"{claim.measured:.3f}", interval, each, verdict)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _inline(svg: bytes, name: str) -> Markup:
    """The <svg> element, with ids of its own, so that many fit on one page."""
    text = svg[svg.index(b"<svg") :].decode()
    for reference in ('id="', 'href="#', "url(#"):
        text = text.replace(reference, f"{reference}{name}-")
    return Markup(text)
