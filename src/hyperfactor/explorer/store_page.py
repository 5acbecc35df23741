"""All runs of the store: filter, sort, and choose some to compare."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from dash import ALL, Dash, Input, Output, State, dcc, html, no_update

from hyperfactor.errors import RequestError
from hyperfactor.explorer.collection import GIVEN, Collection
from hyperfactor.explorer.elements import Query, address, alignment, aria, message, named, number, reported, text
from hyperfactor.store.table import COLUMNS, column_names, table

PATH, TITLE = "/", "Store"
ROWS = 50  # runs of a page


def page(collection: Collection, _part: str, query: Query) -> list[Any]:
    """Return the page. Its state: where, columns, sort ("-" first for a falling order), page, and the picked runs."""
    given = [html.P(["Your subject: ", dcc.Link(repr(collection.given), href=f"/representation/{GIVEN}")])]
    where, columns = query.get("where", ""), query.get("columns", "")
    found = reported(_table)(collection, query)
    return [
        html.H1("Runs"),
        *(given if collection.given is not None else []),
        html.P(
            [
                f"Store {collection.store.url}. A condition is SQL on columns, such as ",
                html.Code("training.steps >= 100 and accuracy.train.right > 0.9"),
                ".",
            ]
        ),
        html.Div(
            [
                html.Label(["Condition ", dcc.Input(value=where, id="where", debounce=True, className="long")]),
                html.Label(
                    [
                        "Columns ",
                        dcc.Input(
                            value=columns, id="columns", debounce=True, className="long", placeholder=",".join(COLUMNS)
                        ),
                    ]
                ),
                html.Span(_compare(query), className="button"),
            ],
            className="row",
        ),
        found,
    ]


def register(app: Dash, _collection: Collection) -> None:
    """Add the callbacks of the page."""

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input("where", "value"),
        Input("columns", "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def narrow(where: str | None, columns: str | None, search: str | None) -> Any:
        now = dict(parse_qsl((search or "").removeprefix("?")))
        if (where or "", columns or "") == (now.get("where", ""), now.get("columns", "")):
            return no_update  # Dash calls this when the page has just been shown
        return address("", **{**now, "where": where, "columns": columns, "page": None}) or "?"

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input({"type": "pick", "of": ALL}, "value"),
        State({"type": "pick", "of": ALL}, "id"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def picked(values: list[list[str] | None], ids: list[dict[str, str]], search: str | None) -> Any:
        now = dict(parse_qsl((search or "").removeprefix("?")))
        before, here = _picked(now), {id["of"]: bool(value) for value, id in zip(values, ids, strict=True)}
        runs = [run for run in before if here.get(run, True)]  # those of other pages stay
        runs += [run for run, chosen in here.items() if chosen and run not in runs]
        if runs == before:
            return no_update  # Dash calls this when the page has just been shown
        return address("", **{**now, "picked": ",".join(runs)}) or "?"


def _picked(query: Query) -> list[str]:
    return [run for run in query.get("picked", "").split(",") if run]


def _compare(query: Query) -> dcc.Link:
    runs = _picked(query)
    return dcc.Link(f"Compare ({len(runs)})", href=address("/compare", runs=",".join(runs)), id="compare")


def _table(collection: Collection, query: Query) -> html.Div:
    """Return the rows of one page."""
    where, sort = query.get("where") or None, query.get("sort", "")
    columns = column_names(query.get("columns", "")) or list(COLUMNS)
    shown = ["id", *(name for name in columns if name != "id")]
    found = table(collection.store.entries(), shown, where)
    if not len(found):
        return html.Div(message("no run meets the condition" if where else "the store has no runs yet"))
    shown = found.columns
    if sort:
        if sort.lstrip("-") not in shown:
            raise RequestError(f"sort: got {sort[:40]!r}, needs one of {', '.join(shown)}, perhaps with - before it")
        found = found.sort(sort.lstrip("-"), descending=sort.startswith("-"), nulls_last=True)
    pages = -(-len(found) // ROWS)
    at = int(number(query, "page", 1, 1, pages))
    rows = found[(at - 1) * ROWS : at * ROWS]
    aligned = {name: alignment(rows[name]) for name in shown}
    head = html.Tr([html.Th("pick", scope="col"), *(_heading(name, sort, query, aligned[name]) for name in shown)])
    body = [html.Tr(_cells(row, aligned, _picked(query))) for row in rows.iter_rows(named=True)]
    count = f"{len(found)} run{'s' * (len(found) != 1)}"
    whole = html.Table([html.Caption(count), html.Thead(head), html.Tbody(body)], id="runs")
    return html.Div(
        [
            html.Div(whole, className="wide", tabIndex=0, role="region", **aria(label="runs")),
            _pages(at, pages, query),
        ]
    )


def _heading(name: str, sort: str, query: Query, way: str | None) -> html.Th:
    falling = sort == name
    order = {name: "ascending", f"-{name}": "descending"}.get(sort, "none")
    link = dcc.Link(
        name + {"ascending": " ▲", "descending": " ▼", "none": ""}[order],
        href=address("/", **{**query, "sort": f"-{name}" if falling else name, "page": None}),
    )
    return html.Th(link, scope="col", className=way, **aria(sort=order))


def _cells(row: dict[str, Any], aligned: dict[str, str | None], picked: Sequence[str]) -> list[html.Td]:
    run = row["id"]
    pick = dcc.Checklist(
        [{"label": html.Span(f"pick {run}", className="unseen"), "value": run}],
        [run] * (run in picked),
        id={"type": "pick", "of": run},
    )
    rest = [html.Td(text(value), className=aligned[name]) for name, value in row.items() if name != "id"]
    return [html.Td(pick, **named(f"pick {run}")), html.Td(dcc.Link(run, href=f"/run/{run}")), *rest]


def _pages(at: int, pages: int, query: Query) -> html.Nav:
    if pages == 1:
        return html.Nav()
    links = [
        html.Span(str(k), **aria(current="page"))
        if k == at
        else dcc.Link(str(k), href=address("/", **{**query, "page": k}))
        for k in range(1, pages + 1)
    ]
    return html.Nav(["Page ", *[part for link in links for part in (link, " ")]], **aria(label="pages of runs"))
