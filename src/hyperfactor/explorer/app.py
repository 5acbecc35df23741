"""The explorer as a Dash application: its frame, and which page an address names."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, cast
from urllib.parse import parse_qsl

from dash import Dash, Input, Output, dcc, html

from hyperfactor.errors import RequestError
from hyperfactor.explorer import (
    claims_page,
    compare_page,
    percolation_page,
    representation_page,
    run_page,
    store_page,
)
from hyperfactor.explorer.collection import Collection
from hyperfactor.explorer.elements import Query, aria, message, reported

PAGES: Sequence[ModuleType] = (
    store_page,
    claims_page,
    percolation_page,
    run_page,
    compare_page,
    representation_page,
)
LONGEST = 2000  # characters of an address


def make_app(collection: Collection) -> Dash:
    """Return the application.

    Parameters
    ----------
    collection : Collection
        What it shows.
    """
    app = Dash(
        "hyperfactor.explorer.app",
        title="Hyperfactor",
        update_title="",
        suppress_callback_exceptions=True,
        serve_locally=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.index_string = app.index_string.replace("<html>", '<html lang="en">')
    links = [dcc.Link(page.TITLE, href=page.PATH) for page in PAGES if page.TITLE]
    app.layout = html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            html.Header([html.Strong("Hyperfactor"), html.Nav(links, **aria(label="pages"))]),
            dcc.Loading(html.Main(id="page"), delay_show=300, target_components=cast("Any", {"page": "children"})),
        ]
    )

    @app.callback(Output("page", "children"), Input("url", "pathname"), Input("url", "search"))
    def show(path: str | None, search: str | None) -> Any:
        found = reported(_page)(collection, path or "/", search or "")
        collection.warm()
        return found if isinstance(found, list) else [html.H1("This page cannot be shown"), found]

    for page in PAGES:
        page.register(app, collection)
    return app


def _page(collection: Collection, path: str, search: str) -> Any:
    """Return the page of an address. Raises `RequestError` for an address that names none."""
    if len(path) + len(search) > LONGEST:
        raise RequestError(f"address: got {len(path) + len(search)} characters, needs {LONGEST} or fewer")
    query: Query = dict(parse_qsl(search.removeprefix("?"), keep_blank_values=True))
    first, _, part = path.removeprefix("/").partition("/")
    for page in PAGES:
        if f"/{first}" == page.PATH:
            return page.page(collection, part, query)
    return [html.H1("No such page"), message(f"address: got {path[:60]!r}, needs one of the pages above")]
