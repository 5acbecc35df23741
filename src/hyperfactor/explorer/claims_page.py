"""The results that the store keeps: verdicts, their intervals against the bounds, figures, and the runs behind them."""

from collections.abc import Iterable
from typing import Any

from dash import Dash, dcc, html

from hyperfactor.explorer.collection import Collection
from hyperfactor.explorer.elements import Query, address, message, one_of, table

PATH, TITLE = "/claims", "Claims"
ALL = "all"


def page(collection: Collection, part: str, query: Query) -> list[Any]:
    """Return the list of results, or one result. Its state: verdict, the verdicts that are shown."""
    return _result(collection, part, query) if part else _list(collection)


def register(_app: Dash, _collection: Collection) -> None:
    """Add no callbacks: all state is in the address."""


def _list(collection: Collection) -> list[Any]:
    found = collection.store.results()
    if not found:
        said = "the store keeps no result yet: hyperfactor reproduce torus computes one"
        return [html.H1("Claims"), message(said)]
    rows = (
        (
            dcc.Link(one.question.experiment, href=f"/claims/{one.key}"),
            one.question.preset,
            len(one.question.seeds),
            one.made[:16].replace("T", " "),
        )
        for one in reversed(found)
    )
    return [
        html.H1("Claims"),
        table(["experiment", "preset", "seeds", "computed (UTC)"], rows, "Results, newest first"),
    ]


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
    runs = ((note.role, note.seed, dcc.Link(note.id, href=f"/run/{note.id}")) for note in result.runs)
    return [
        html.H1(result.experiment),
        html.P(question),
        html.P(f"Preset {result.preset}, {seeds}: {summary(result.claims)}."),
        html.P(["Show: ", *filters]),
        *_claims(claims),
        html.H2("Figures"),
        *_figures(result),
        html.H2("Runs"),
        table(["role", "seed", "run"], runs, "The runs behind these claims"),
    ]


def _claims(claims: Iterable[Any]) -> list[Any]:
    """Return a card for each claim: the verdict first, then the interval against the bound."""
    cards = []
    for claim in claims:
        value, interval, method, each = claim.cells()
        numbers = f"{value} ({interval}); bound {claim.bound}; each seed: {each}; {method}" if value else claim.reason
        cards.append(
            html.Div(
                [
                    html.P(
                        [
                            html.Strong(claim.verdict, className=f"verdict {claim.verdict.replace(' ', '-')}"),
                            " ",
                            claim.statement,
                        ]
                    ),
                    *_interval(claim),
                    html.P(numbers, className="small"),
                ],
                className="card",
            )
        )
    return cards or [message("no claim has this verdict")]


def _interval(claim: Any) -> list[Any]:
    return []


def _figures(result: Any) -> list[html.Figure]:
    """Return the figures of the experiment, as vectors."""
    from base64 import b64encode

    from hyperfactor.figures import draw, style

    found = []
    for number, caption, figure in draw(result):
        source = "data:image/svg+xml;base64," + b64encode(style.save(figure, "svg")).decode()
        found.append(
            html.Figure(
                [
                    html.Img(src=source, alt=f"figure {number}: {caption}"),
                    html.Figcaption(f"Figure {number}. {caption}"),
                ],
                className="paper",
            )
        )
    return found
