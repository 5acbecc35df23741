"""From results to a folder with one self-contained page, the figures as files, and the numbers as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.experiments.base import LEARNT, Result
from hyperfactor.experiments.claims import VERDICTS, Claim, summary
from hyperfactor.figures import draw, style
from hyperfactor.measures.accuracy import VALID_CORRELATION
from hyperfactor.report import finding, interval, learning, method, table
from hyperfactor.report.appendix import appendix
from hyperfactor.report.citation import bibtex
from hyperfactor.report.drawing import Drawings
from hyperfactor.report.learning import Learnt
from hyperfactor.runs.execute import PACKAGES
from hyperfactor.store.named import named_path, write_together
from hyperfactor.store.provenance import versions
from hyperfactor.strict import dump_json

LONGEST = 300  # rows of a table that the page shows; the JSON file beside it has all


@dataclass(frozen=True)
class Drawn:
    """A figure of a section: its number in the paper, its name on the page, its caption, and the <svg> element."""

    number: str
    name: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Section:
    """One result on the page."""

    result: Result
    question: str
    figures: list[Drawn]
    models: list[Learnt]

    def models_of(self, claim: Claim) -> list[Learnt]:
        """Return the models that a claim is about."""
        return [of_role for of_role in self.models if not claim.roles or of_role.role in claim.roles]


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
    drawings, sections = Drawings(), []
    for result in results:
        figures = []
        for number, caption, figure in draw(result):
            name = f"{result.experiment}-figure-{number}"
            svg, pdf = (style.save(figure, kind) for kind in ("svg", "pdf"))
            contents |= {f"figures/{name}.svg": svg, f"figures/{name}.pdf": pdf}
            figures.append(Drawn(number, name, caption, drawings.add(figure, svg, f"{name}-caption")))
        contents[f"{result.experiment}.json"] = dump_json(result.to_json(), indent=1).encode()
        contents[f"{result.experiment}-claims.md"] = table.of_claims(result).encode()
        question = EXPERIMENTS[result.experiment].question
        sections.append(Section(result, question, figures, learning.learnt(result.runs)))
    contents |= {
        "results.md": table.of_results(results).encode(),
        "report.html": _page(sections, drawings.letters()).encode(),
    }
    write_together({place / name: content for name, content in contents.items()})
    return Path(out) / "report.html"


def _page(sections: Sequence[Section], letters: Markup) -> str:
    environment = Environment(
        loader=PackageLoader("hyperfactor", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    results = [section.result for section in sections]
    return environment.get_template("page.html.j2").render(
        sections=sections, results=results, letters=letters, longest=LONGEST,
        claims=[claim for result in results for claim in result.claims], versions=versions(PACKAGES),
        verdicts=VERDICTS, least=LEARNT, valid=VALID_CORRELATION, summary=summary,
        finding=finding, interval=interval, learning=learning, methods=method.methods(results),
        about=[*method.seeds(results), *method.sources(results)], appendix=appendix(results), bibtex=bibtex(),
    )  # fmt: skip
