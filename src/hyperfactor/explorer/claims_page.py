"""The results that the store keeps: verdicts, their intervals against the bounds, figures, and the runs behind them."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from dash import Dash, dcc, html

from hyperfactor.explorer.collection import Collection
from hyperfactor.explorer.elements import Query, address, aria, message, one_of, reported, table

PATH, TITLE = "/claims", "Claims"
ALL = "all"
STYLE = """<style>
:root { --ink: #1a1c20; --soft: #50555e; --link: #00568a; --shade: #d5ebe4; font: 11px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eceef1; --soft: #b3bac4; --link: #7cc4f5; --shade: #1d4a3c; }
}
path { fill: none; } text { fill: var(--soft); text-anchor: middle; } .allowed { fill: var(--shade); }
.bound { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3; } .axis { stroke: var(--soft); }
.seed { stroke: var(--ink); stroke-width: 1.5; } .interval { stroke: var(--link); stroke-width: 2.5; }
.mean { fill: var(--link); }
</style>"""  # a picture does not take the colours of the page around it


def page(collection: Collection, part: str, query: Query) -> list[Any]:
    """Return the list of results, or one result. Its state: verdict, the verdicts that are shown."""
    return _result(collection, part, query) if part else _list(collection)


def register(_app: Dash, _collection: Collection) -> None:
    """Add no callbacks: all state is in the address."""


def _list(collection: Collection) -> list[Any]:
    from hyperfactor.experiments.claims import VERDICTS

    found = collection.store.results()
    if not found:
        said = "the store keeps no result yet: hyperfactor reproduce torus computes one"
        return [html.H1("Claims"), message(said)]
    rows = []
    for one in reversed(found):
        counts = collection.verdicts(one.key)
        numbers = [None] * len(VERDICTS) if counts is None else [counts.get(verdict, 0) for verdict in VERDICTS]
        link = dcc.Link(one.question.experiment, href=f"/claims/{one.key}")
        made = one.made[:16].replace("T", " ")
        rows.append((link, one.question.preset, len(one.question.seeds), *numbers, made))
    heading = ["experiment", "preset", "seeds", *VERDICTS, "computed (UTC)"]
    return [html.H1("Claims"), table(heading, rows, "Results, newest first, with the number of claims by verdict")]


def _result(collection: Collection, key: str, query: Query) -> list[Any]:
    from hyperfactor.experiments import EXPERIMENTS
    from hyperfactor.experiments.claims import VERDICTS, summary

    result = collection.result(key)
    shown = one_of(query, "verdict", (ALL, *VERDICTS), ALL)
    claims = [claim for claim in result.claims if shown in (ALL, claim.verdict)]
    filters = [
        part
        for name in (ALL, *VERDICTS)
        for part in (
            html.Strong(name)
            if name == shown
            else dcc.Link(name, href=address(f"/claims/{key}", verdict=None if name == ALL else name)),
            " ",
        )
    ]
    question = EXPERIMENTS[result.experiment].question if result.experiment in EXPERIMENTS else ""
    seeds = f"{len(result.seeds)} seed{'s' * (len(result.seeds) > 1)}"
    drawn = reported(_figures)(collection, key)
    figures = drawn if isinstance(drawn, list) else [drawn]
    runs = ((note.role, note.seed, dcc.Link(note.id, href=f"/run/{note.id}")) for note in result.runs)
    return [
        html.H1(result.experiment),
        html.P(question),
        html.P(f"Preset {result.preset}, {seeds}: {summary(result.claims)}."),
        html.P(["Show: ", *filters]),
        *_claims(claims, result.runs),
        html.H2("Figures"),
        *figures,
        html.H2("Runs"),
        table(["role", "seed", "run"], runs, "The runs behind these claims"),
    ]


def _claims(claims: Iterable[Any], runs: Sequence[Any]) -> list[Any]:
    """Return a card for each claim: the verdict first, the interval against the bound, and the way to its models."""
    cards = []
    for claim in claims:
        value, interval, method, each = claim.cells()
        numbers = f"{value} ({interval}); bound {claim.bound}; each seed: {each}; {method}" if value else claim.reason
        verdict = html.Strong(claim.verdict, className=f"verdict {claim.verdict.replace(' ', '-')}")
        models = [note for note in runs if note.role in claim.roles or not claim.roles]
        parts = [html.P([verdict, " ", claim.statement]), *_interval(claim), html.P(numbers, className="small")]
        cards.append(html.Div([*parts, _models(models)], className="card"))
    return cards or [message("no claim has this verdict")]


def _models(runs: Sequence[Any]) -> html.Details:
    links = [html.Li([f"{note.role}, seed {note.seed}: ", dcc.Link(note.id, href=f"/run/{note.id}")]) for note in runs]
    return html.Details([html.Summary(f"{len(runs)} model{'s' * (len(runs) != 1)}"), html.Ul(links)])


def _interval(claim: Any) -> list[html.Img]:
    """Return the drawing of a claim's interval against its bound; nothing for one that was not measured."""
    from hyperfactor.report import interval

    if not (drawn := str(interval.draw(claim))):
        return []
    whole = drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{STYLE}", 1)
    return [html.Img(src=_vector(whole.encode()), alt=interval.words(claim), className="interval")]


def _vector(svg: bytes) -> str:
    """Return the address of a picture that is in the page."""
    return "data:image/svg+xml;base64," + b64encode(svg).decode()


def _figures(collection: Collection, key: str) -> list[Any]:
    """Return the figures of a result, as vectors."""
    found = []
    for number, caption, svg in collection.figures(key):
        picture = html.Img(src=_vector(svg), alt=f"figure {number}: {caption}")
        words = html.Figcaption(f"Figure {number}. {caption}")
        drawing = html.Div(picture, className="wide", tabIndex=0, role="region", **aria(label=f"figure {number}"))
        found.append(html.Figure([drawing, words], className="paper"))
    return found or [html.P("This experiment has no figures.")]
