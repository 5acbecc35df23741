"""One run: how it learnt, and what it draws at a point that the visitor chooses, beside the truth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash import ALL, Dash, Input, Output, Patch, State, dcc, html, no_update
from jaxtyping import Float

from hyperfactor.colours import BLUE, GREEN, VERMILION
from hyperfactor.errors import RequestError
from hyperfactor.explorer import plots
from hyperfactor.explorer.collection import Collection
from hyperfactor.explorer.elements import Query, aria, message, number, one_of, picture, reported, scale, table, text
from hyperfactor.factors.space import FactorSpace

PATH, TITLE = "/run", ""
STATES = 8  # states of a drawing that are shown, from noise to picture
GRID = 5  # recorded drawings a side
MOST_SEED = 2**31 - 1
REFRESH = 2000  # milliseconds between two looks at a run in training
CHOSEN = 3  # number of the trace of the chosen point


def page(collection: Collection, part: str, query: Query) -> list[Any]:
    """Return the page of a run. Its state: the factors by name, seed, step, and the factors h and v of the plane."""
    id = collection.store.resolve(part)
    state = collection.store.entry(id).state
    if state != "finished":
        return [html.H1(f"Run {id}"), *_unfinished(collection, id)]
    run = collection.run(id)
    space, spec = run.space, run.spec
    values = [
        number(query, f.name, run.axes()[k][len(run.axes()[k]) // 2], f.low, f.high)
        for k, f in enumerate(space.factors)
    ]
    seed = int(number(query, "seed", 0, 0, MOST_SEED))
    steps = sorted({*spec.training.snapshots, spec.training.steps})
    step = number(query, "step", steps[-1], 0, steps[-1])
    if step not in steps:
        raise RequestError(f"step: got {step:g}, needs one that the run kept: {', '.join(map(str, steps))}")
    h, v = _plane_factors(space, query)
    return [
        html.H1(f"Run {id}"),
        html.P(
            [
                f"{getattr(spec.data.picture, 'family', 'pictures')}, seed {spec.seed}, {spec.training.steps} steps. ",
                dcc.Link("Representation", href=f"/representation/{id}"),
            ]
        ),
        dcc.Store(id="run-of", data={"run": id, "h": h, "v": v, "steps": steps}),
        html.Span(id="run-state", hidden=True),
        html.Div(
            [
                html.Section(
                    [
                        html.H2("The factor plane"),
                        _plane_choice(space, h, v),
                        dcc.Graph(figure=plane(collection, id, h, v, values), id="plane"),
                    ],
                    className="half",
                ),
                html.Section(
                    [
                        html.H2("Draw here"),
                        *(
                            scale(
                                {"type": "factor", "of": f.name},
                                f"{f.name}, {f.low:g} to {f.high:g}",
                                f.low,
                                f.high,
                                value,
                                1 if f.kind == "categorical" else "any",
                            )
                            for f, value in zip(space.factors, values, strict=True)
                        ),
                        _steps(steps, int(step)),
                        html.Label(
                            ["seed ", dcc.Input(id="seed", type="number", value=seed, min=0, max=MOST_SEED, step=1)]
                        ),
                        html.Div(id="drawing", className="pictures", **aria(live="polite")),
                    ],
                    className="half",
                ),
            ],
            className="columns",
        ),
        html.Section([html.H2("From noise to picture"), html.Div(id="states", className="pictures")]),
        html.Section([html.H2("Training"), dcc.Graph(figure=learning(run.history), id="learning")]),
        html.Section([html.H2("Accuracy"), table(_MEASURES, run.accuracy().select(_MEASURES).iter_rows())]),
        html.Section([html.H2("Recorded drawings"), _grid(run)]),
    ]


_MEASURES = ("region", "n", "right", "all", "valid", "error")


def register(app: Dash, collection: Collection) -> None:
    """Add the callbacks of the page."""
    factors = {"type": "factor", "of": ALL}

    @app.callback(
        Output(factors, "value"),
        Input("plane", "clickData"),
        State("run-of", "data"),
        State(factors, "id"),
        State(factors, "value"),
        prevent_initial_call=True,
    )
    def clicked(click: dict[str, Any] | None, of: dict[str, Any], ids: list[dict[str, str]], values: list[float]):
        if not click:
            return [no_update] * len(ids)
        at = {of["h"]: click["points"][0]["x"], of["v"]: click["points"][0]["y"]}
        return [at.get(id["of"], value) for id, value in zip(ids, values, strict=True)]

    @app.callback(
        Output("drawing", "children"),
        Output("plane", "figure"),
        Input(factors, "value"),
        Input("seed", "value"),
        Input("step", "value"),
        State("run-of", "data"),
        State(factors, "id"),
    )
    def draw(values: list[Any], seed: Any, step: Any, of: dict[str, Any], ids: list[dict[str, str]]):
        at = dict(zip((id["of"] for id in ids), values, strict=True))
        moved = Patch()
        moved["data"][CHOSEN]["x"], moved["data"][CHOSEN]["y"] = [at[of["h"]]], [at[of["v"]]]
        return reported(_drawing)(collection, of, values, seed, step), moved

    @app.callback(
        Output("states", "children"),
        Input(factors, "value"),
        Input("seed", "value"),
        Input("step", "value"),
        State("run-of", "data"),
    )
    def denoise(values: list[Any], seed: Any, step: Any, of: dict[str, Any]):
        return reported(_states)(collection, of, values, seed, step)

    @app.callback(
        Output("plane", "figure", allow_duplicate=True),
        Output("run-of", "data"),
        Input("h", "value"),
        Input("v", "value"),
        State("run-of", "data"),
        State(factors, "value"),
        prevent_initial_call=True,
    )
    def turned(h: str, v: str, of: dict[str, Any], values: list[float]):
        space = collection.run(of["run"]).space
        if h == v or not {h, v} <= set(space.names):
            return no_update, no_update
        return plane(collection, of["run"], h, v, values), {**of, "h": h, "v": v}

    @app.callback(Output("learning-now", "children"), Input("again", "n_intervals"), State("unfinished", "data"))
    def again(_count: int | None, id: str):
        return reported(_progress)(collection, id)

    app.clientside_callback(
        """(values, seed, step, of, ids) => {
            const steps = of.steps, query = new URLSearchParams();
            ids.forEach((id, k) => query.set(id.of, +(+values[k]).toFixed(3)));
            query.set('seed', seed ?? 0);
            if (steps[step] !== steps[steps.length - 1]) query.set('step', steps[step]);
            if (ids.length > 2) { query.set('h', of.h); query.set('v', of.v); }
            history.replaceState(history.state, '', '?' + query);
            ids.forEach((id, k) => {
                const told = document.getElementById('factor-' + id.of + '-value');
                if (told) told.textContent = (+values[k]).toFixed(2);
            });
            const told = document.getElementById('step-value');
            if (told) told.textContent = steps[step];
            return '';
        }""",
        Output("run-state", "children"),
        Input(factors, "value"),
        Input("seed", "value"),
        Input("step", "value"),
        Input("run-of", "data"),
        State(factors, "id"),
    )


def plane(collection: Collection, id: str, h: str, v: str, values: Sequence[float]) -> go.Figure:
    """Show the plane of two factors: lattice points to click, training points, judged drawings, and the chosen point.

    Parameters
    ----------
    collection : Collection
        The store.
    id : str
        The run.
    h, v : str
        Names of the two factors.
    values : sequence of float
        The chosen point.
    """
    run = collection.run(id)
    across, along = run.space.index(h), run.space.index(v)
    lattice = np.stack(np.meshgrid(run.axes()[across], run.axes()[along], indexing="ij"), -1).reshape(-1, 2)
    trained = np.unique(run.spec.task.points[:, [across, along]], axis=0)
    judged, kinds = run.evaluation, []
    for right, name, colour, symbol in ((True, "right", GREEN, "circle"), (False, "wrong", VERMILION, "x")):
        of = judged.filter(judged["right"] == right)
        kinds.append(_dots(of[h].to_numpy(), of[v].to_numpy(), f"drawing {name}", colour, symbol, 6))
    found = plots.figure(
        _dots(trained[:, 0], trained[:, 1], "trained", "rgba(127,127,127,0.45)", "square", 7),
        *kinds,
        go.Scatter(
            x=[values[across]],
            y=[values[along]],
            mode="markers",
            name="chosen",
            hoverinfo="skip",
            marker={"size": 18, "color": BLUE, "symbol": "circle-open", "line": {"width": 4}},
        ),
        _dots(lattice[:, 0], lattice[:, 1], "lattice", "rgba(127,127,127,0.01)", "square", 12, legend=False),
        x=h,
        y=v,
        height=460,
        hovermode="closest",
        dragmode=False,
    )
    found.update_yaxes(scaleanchor="x")
    return found


def learning(history: Any) -> go.Figure:
    """Show loss and accuracy over training.

    Parameters
    ----------
    history : polars.DataFrame
        The history of a run.
    """
    named = {"loss": (history["step"], history["loss"])}
    for column in history.columns:
        if column.endswith(".right"):
            known = history.select("step", column).drop_nulls()
            named[f"right, {column.removesuffix('.right')}"] = (known["step"], known[column])
    found = plots.lines(named, x="training step", y="loss", height=340)
    found.update_traces(yaxis="y2", selector=lambda trace: trace.name != "loss")
    found.update_traces(mode="lines", selector={"name": "loss"})
    found.update_layout(
        yaxis={"type": "log", "title": "loss"},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "range": [-0.02, 1.02],
            "title": "share right",
            "tickmode": "auto",
            "showgrid": False,
        },
        margin={"l": 64, "r": 56, "t": 12, "b": 48},
    )
    return found


def _dots(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    name: str,
    colour: str,
    symbol: str,
    size: int,
    legend: bool = True,
) -> go.Scatter:
    marker = {"color": colour, "symbol": symbol, "size": size}
    return go.Scatter(
        x=x.tolist(),
        y=y.tolist(),
        mode="markers",
        name=name,
        marker=marker,
        showlegend=legend,
        hovertemplate="%{x:.3g}, %{y:.3g}",
    )


def _point(space: FactorSpace, values: Sequence[Any]) -> Float[np.ndarray, "1 k"]:
    if len(values) != len(space) or any(not isinstance(value, int | float | str) for value in values):
        raise RequestError("factors: got a value that is missing, needs one for each factor")
    try:
        return space.check(np.array([[float(value) for value in values]]))
    except ValueError as error:
        raise RequestError(str(error)) from None


def _chosen(of: dict[str, Any], seed: Any, step: Any) -> tuple[int, int]:
    """Return the seed, and the training step whose number a scale has."""
    steps = of["steps"]
    if not isinstance(seed, int) or not 0 <= seed <= MOST_SEED:
        raise RequestError(f"seed: got {seed!r}, needs an integer in 0..{MOST_SEED}")
    at = int(float(step))
    if not 0 <= at < len(steps):
        raise RequestError(f"step: got {at}, needs the number of a step in 0..{len(steps) - 1}")
    return seed, steps[at]


def _drawing(collection: Collection, of: dict[str, Any], values: list[Any], seed: Any, step: Any) -> list[Any]:
    run = collection.run(of["run"])
    (seed, step), point = _chosen(of, seed, step), _point(run.space, values)
    drawn = collection.draw(of["run"], point, seed, step)
    true = run.spec.task.family.render(point)
    told = run.assess(drawn, point)
    read = ", ".join(f"{name} {value:.2f}" for name, value in zip(run.space.names, told.read[0], strict=True))
    at = ", ".join(f"{name} {value:.2f}" for name, value in zip(run.space.names, point[0], strict=True))
    verdict = "right" if told.right[0] else "at the right place, not a clean picture" if told.all[0] else "wrong"
    return [
        picture(drawn[0], f"drawing of the model at {at}", "the model draws"),
        picture(true[0], f"true picture at {at}", "the truth"),
        html.P(
            f"Read from the drawing: {read}. {verdict.capitalize()}; squared error {told.error[0]:.3f} of that of "
            "a blank picture."
        ),
    ]


def _states(collection: Collection, of: dict[str, Any], values: list[Any], seed: Any, step: Any) -> list[Any]:
    run = collection.run(of["run"])
    (seed, step), point = _chosen(of, seed, step), _point(run.space, values)
    total = run.model.timesteps
    timesteps = np.unique(np.linspace(0, total - 1, STATES).round().astype(int)).tolist()
    found = collection.states(of["run"], point, timesteps, seed, step)
    return [picture(state[0], f"state at timestep {at}", f"timestep {at}") for at, state in found.items()]


def _plane_factors(space: FactorSpace, query: Query) -> tuple[str, str]:
    names = space.names
    h = one_of(query, "h", names, names[0])
    v = one_of(query, "v", names, next((name for name in names if name != h), h))
    return h, v


def _plane_choice(space: FactorSpace, h: str, v: str) -> html.Div:
    """Return the choice of two factors, which is hidden if there are no others."""
    chosen = [
        html.Label(["across ", dcc.RadioItems(list(space.names), h, id="h", inline=True)]),
        html.Label(["up ", dcc.RadioItems(list(space.names), v, id="v", inline=True)]),
    ]
    return html.Div(chosen, className="row", hidden=len(space) <= 2)


def _steps(steps: Sequence[int], step: int) -> html.Div:
    moved = scale("step", "training step", 0, len(steps) - 1, steps.index(step), 1, str(step))
    return html.Div(moved, hidden=len(steps) == 1)


def _grid(run: Any) -> html.Div:
    points, images = run.pictures
    chosen = np.linspace(0, len(points) - 1, min(len(points), GRID * GRID)).astype(int)
    shown = [picture(images[k], f"drawing at {', '.join(f'{value:g}' for value in points[k])}") for k in chosen]
    return html.Div(shown, className="pictures grid")


def _unfinished(collection: Collection, id: str) -> list[Any]:
    return [
        dcc.Store(id="unfinished", data=id),
        dcc.Interval(id="again", interval=REFRESH),
        html.Div(reported(_progress)(collection, id), id="learning-now"),
    ]


def _progress(collection: Collection, id: str) -> list[Any]:
    """Return the state of a run that is not finished, and its history up to the last checkpoint."""
    import json

    import polars as pl

    entry = collection.store.entry(id)
    if entry.state == "finished":
        return [html.P(["The run is finished: ", html.A("look at it", href=f"/run/{id}"), "."])]
    said = f"{entry.state}" + (f": {reason}" if (reason := entry.about.get("reason")) else "")
    checkpoint = collection.store.checkpoint(id)
    if checkpoint is None:
        return [message(f"run {id} is {said}"), html.P("It has no checkpoint yet.")]
    history = pl.DataFrame(json.loads(checkpoint[1]["history"]), infer_schema_length=None)
    steps = (entry.about.get("spec") or {}).get("training", {}).get("steps", "?")
    return [
        html.P(f"{said}, step {text(checkpoint[1]['step'])} of {steps}. This page follows it."),
        dcc.Graph(figure=learning(history), id="learning"),
    ]
