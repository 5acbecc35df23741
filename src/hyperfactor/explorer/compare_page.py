"""A few runs side by side: how their specs differ, how they learnt, and what they draw right."""

from typing import Any

from dash import Dash, dcc, html

from hyperfactor.errors import RequestError
from hyperfactor.explorer import plots
from hyperfactor.explorer.collection import Collection
from hyperfactor.explorer.elements import Query, table
from hyperfactor.strict import leaves

PATH, TITLE = "/compare", ""
MOST = 12  # runs side by side


def page(collection: Collection, _part: str, query: Query) -> list[Any]:
    """Return the page. Its state: runs, ids joined by commas."""
    ids = [one for one in query.get("runs", "").split(",") if one]
    if not 1 <= len(ids) <= MOST or len(set(ids)) < len(ids):
        raise RequestError(f"runs: got {len(ids)}, needs 1 to {MOST} different runs, picked in the store")
    runs = {id: collection.run(id) for id in ids}
    specs = {id: dict(leaves(run.spec.model_dump(mode="json"))) for id, run in runs.items()}
    keys = sorted({key for spec in specs.values() for key in spec})
    differ = [key for key in keys if len({str(spec.get(key)) for spec in specs.values()}) > 1]
    accuracy = [(id, *row) for id, run in runs.items() for row in run.accuracy().select(_MEASURES).iter_rows()]
    return [
        html.H1("Comparison"),
        html.P([part for id in ids for part in (dcc.Link(id, href=f"/run/{id}"), " ")]),
        table(
            ["key", *ids],
            ([key, *(_plain(spec.get(key)) for spec in specs.values())] for key in differ),
            "Keys of the spec that differ" if differ else "The specs do not differ",
        ),
        table(["run", *_MEASURES], accuracy, "Accuracy"),
        html.H2("Loss"),
        plots.graph(
            "losses",
            plots.lines(
                {id: (run.history["step"], run.history["loss"]) for id, run in runs.items()},
                x="training step",
                y="loss",
                yaxis={"type": "log"},
            ),
        ),
    ]


def register(_app: Dash, _collection: Collection) -> None:
    """Add no callbacks: the page does not change."""


_MEASURES = ("region", "n", "right", "all", "all_copied", "valid", "error")


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
