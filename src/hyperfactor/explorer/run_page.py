"""One run: how it learnt, and what it draws at a point that the visitor chooses, beside the truth."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from dash import ALL, ClientsideFunction, Dash, Input, Output, Patch, State, dcc, html, no_update
from jaxtyping import Float

from hyperfactor.colours import BLUE, GREEN, GREY, ORANGE, VERMILION
from hyperfactor.errors import RequestError
from hyperfactor.explorer import plots
from hyperfactor.explorer.collection import GIVEN, Collection, steps_of
from hyperfactor.explorer.elements import (
    Query,
    address,
    aria,
    choice,
    message,
    number,
    one_of,
    picture,
    reported,
    scale,
    step_of,
    table,
    text,
)
from hyperfactor.factors.space import Factor, FactorSpace

PATH, TITLE = "/run", ""
STATES = 8  # states of a drawing that are shown, from noise to picture
GRID = 5  # recorded drawings a side
MOST_SEED = 2**31 - 1
FACTOR = "f."  # stands before the name of a factor in an address, which has other names too (see assets/address.js)
ROUNDED = 1e-3  # share of a factor's range by which an address may be outside
ALIKE = 4  # most that two ranges differ, as a ratio, if both axes of the plane have one scale
REFRESH = 2000  # milliseconds between two looks at a run in training
BY = ("right", "error")  # what colours the judged drawings
FACTORS = {"type": "factor", "of": ALL}  # the scales of all factors
CHOSEN = 0  # number of the trace of the chosen point
FAINT = "rgba(127,127,127,0.12)"  # of lattice points, which can be clicked


def page(collection: Collection, part: str, query: Query) -> list[Any]:
    """Return the page of a run, or of the user's model.

    Its state: the factors by name after FACTOR, seed, step, the factors h and v of the plane, and what colours it (by).
    """
    if part == GIVEN:
        return _model(collection, GIVEN, query)
    id = collection.store.resolve(part)
    state = collection.store.entry(id).state
    if state != "finished":
        return [html.H1(f"Run {id}"), *_unfinished(collection, id)]
    run = collection.run(id)
    return [
        *_model(collection, id, query),
        html.Section([html.H2("From noise to picture"), html.Div(id="states", className="pictures")]),
        html.Section([html.H2("Training"), plots.graph("learning", learning(run.history))]),
        html.Section([html.H2("Accuracy"), table(_MEASURES, run.accuracy().select(_MEASURES).iter_rows())]),
        html.Section([html.H2("Recorded drawings"), _grid(run, query)]),
    ]


def _model(collection: Collection, name: str, query: Query) -> list[Any]:
    """Return the part of the page where a run, or the user's model, draws."""
    from hyperfactor.subjects.base import Model

    subject = collection.subject(name)
    if not isinstance(subject, Model):
        raise RequestError(f"subject: got {subject!r}, which draws nothing, needs a model; see its representation")
    space = subject.space
    middle = [axis[len(axis) // 2] for axis in subject.axes()]
    values = [_value(query, factor, at) for factor, at in zip(space.factors, middle, strict=True)]
    seed = int(number(query, "seed", 0, 0, MOST_SEED))
    steps = steps_of(subject)
    step = step_of(query, steps)
    (h, v), by = _plane_factors(subject, query), one_of(query, "by", BY, BY[0])
    colours = html.Div(choice("by", "colour", BY, by), hidden=name == GIVEN)
    shown = [html.H2("The factor plane"), _plane_choice(space, h, v), colours]
    shown.append(plots.graph("plane", plane(collection, name, h, v, values, by)))
    noise = dcc.Input(id="seed", type="number", value=seed, min=0, max=MOST_SEED, step=1)
    drawing = [
        html.H2("Draw here"),
        *(_scale(f, value) for f, value in zip(space.factors, values, strict=True)),
        _steps(steps, step),
        html.Label(["seed ", noise]),
        html.Div(id="drawing", className="pictures", **aria(live="polite")),
    ]
    return [
        html.H1("Your model" if name == GIVEN else f"Run {name}"),
        html.P([*_title(subject), dcc.Link("Representation", href=f"/representation/{name}")]),
        dcc.Store(id="run-of", data={"run": name, "h": h, "v": v, "by": by, "steps": steps}),
        html.Span(id="run-state", hidden=True),
        html.Div([html.Section(part, className="half") for part in (shown, drawing)], className="columns"),
    ]


def _value(query: Query, factor: Factor, default: float) -> float:
    slack = ROUNDED * (factor.high - factor.low)
    return number(query, FACTOR + factor.name, default, factor.low, factor.high, slack)


def _title(subject: Any) -> list[str]:
    if (spec := getattr(subject, "spec", None)) is None:
        return [f"{subject!r}. "]
    return [f"{getattr(spec.data.picture, 'family', 'pictures')}, seed {spec.seed}, {spec.training.steps} steps. "]


def _scale(factor: Factor, value: float) -> html.Div:
    words, step = f"{factor.name}, {factor.low:g} to {factor.high:g}", 1 if factor.kind == "categorical" else "any"
    return scale({"type": "factor", "of": factor.name}, words, factor.low, factor.high, value, step)


_MEASURES = ("region", "n", "right", "all", "all_copied", "valid", "error")


def register(app: Dash, collection: Collection) -> None:
    """Add the callbacks of the page."""
    _register_plane(app, collection)

    @app.callback(
        Output("drawing", "children"),
        Output("plane", "figure"),
        Input(FACTORS, "value"),
        Input("seed", "value"),
        Input("step", "value"),
        State("run-of", "data"),
        State(FACTORS, "id"),
    )
    def draw(values: list[Any], seed: Any, step: Any, of: dict[str, Any], ids: list[dict[str, str]]):
        at = dict(zip((id["of"] for id in ids), values, strict=True))
        moved = Patch()
        moved["data"][CHOSEN]["x"], moved["data"][CHOSEN]["y"] = [at[of["h"]]], [at[of["v"]]]
        return reported(_drawing)(collection, of, values, seed, step), moved

    @app.callback(
        Output("states", "children"),
        Input(FACTORS, "value"),
        Input("seed", "value"),
        Input("step", "value"),
        State("run-of", "data"),
    )
    def denoise(values: list[Any], seed: Any, step: Any, of: dict[str, Any]):
        return reported(_states)(collection, of, values, seed, step)

    @app.callback(Output("learning-now", "children"), Input("again", "n_intervals"), State("unfinished", "data"))
    def again(_count: int | None, id: str):
        return reported(_progress)(collection, id)

    app.clientside_callback(
        ClientsideFunction("address", "run"),
        Output("run-state", "children"),
        Input(FACTORS, "value"),
        Input("seed", "value"),
        Input("step", "value"),
        Input("run-of", "data"),
        State(FACTORS, "id"),
    )


def _register_plane(app: Dash, collection: Collection) -> None:
    """Add the callbacks of the factor plane."""

    app.clientside_callback(
        ClientsideFunction("plane", "clicked"),
        Output(FACTORS, "value"),
        Input("plane", "clickData"),
        State("run-of", "data"),
        State(FACTORS, "id"),
        State(FACTORS, "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("plane", "figure", allow_duplicate=True),
        Output("run-of", "data"),
        Output("h", "value"),
        Output("v", "value"),
        Input("h", "value"),
        Input("v", "value"),
        Input("by", "value"),
        State("run-of", "data"),
        State(FACTORS, "value"),
        prevent_initial_call=True,
    )
    def turned(h: str, v: str, by: str, of: dict[str, Any], values: list[float]):
        space = collection.subject(of["run"]).space
        if not {h, v} <= set(space.names) or by not in BY:
            return no_update, no_update, no_update, no_update
        if h == v:  # one took the other's factor: they change places
            h, v = (of["v"], of["h"])
        return plane(collection, of["run"], h, v, values, by), {**of, "h": h, "v": v, "by": by}, h, v


def plane(collection: Collection, name: str, h: str, v: str, values: Sequence[float], by: str = BY[0]) -> go.Figure:
    """Show the plane of two factors: lattice points to click, training points, judged drawings, and the chosen point.

    Parameters
    ----------
    collection : Collection
        The store.
    name : str
        The run, or the user's model.
    h, v : str
        Names of the two factors.
    values : sequence of float
        The chosen point.
    by : str
        What colours the judged drawings: one of BY.
    """
    subject = collection.subject(name)
    across, along = subject.space.index(h), subject.space.index(v)
    axes = subject.axes()
    lattice = np.stack(np.meshgrid(axes[across], axes[along], indexing="ij"), -1).reshape(-1, 2)
    ring = {"size": 18, "color": BLUE, "symbol": "circle-open", "line": {"width": 4}}
    at = {"x": [values[across]], "y": [values[along]]}
    found = plots.figure(
        go.Scatter(**at, mode="markers", name="chosen", hoverinfo="skip", marker=ring, zorder=1),
        *(_trained_and_judged(subject, h, v, by) if name != GIVEN else []),
        _dots(lattice[:, 0], lattice[:, 1], "lattice", FAINT if name != GIVEN else GREY, "square", 12, name == GIVEN),
        x=h,
        y=v,
        height=460,
        hovermode="closest",
        dragmode=False,
    )
    if re.fullmatch(r"y\d*", v):  # rows are counted from the top of a picture
        found.update_yaxes(autorange="reversed")
    ranges = [subject.space.factors[k].high - subject.space.factors[k].low for k in (across, along)]
    if max(ranges) <= ALIKE * min(ranges):
        found.update_yaxes(scaleanchor="x", constrain="domain")
        found.update_xaxes(constrain="domain")
    return found


def _trained_and_judged(run: Any, h: str, v: str, by: str) -> list[go.Scatter]:
    """Return the points that a run was trained on, and the drawings that were judged."""
    across, along = run.space.index(h), run.space.index(v)
    trained = np.unique(run.spec.task.points[:, [across, along]], axis=0)
    found = [_dots(trained[:, 0], trained[:, 1], "trained", "rgba(127,127,127,0.45)", "square", 7)]
    judged = run.evaluation
    if by == "error":
        dots = _dots(judged[h].to_numpy(), judged[v].to_numpy(), "squared error", BLUE, "circle", 8)
        error = judged["error"].to_numpy()
        dots.update(marker={"color": error.tolist(), "colorscale": plots.ALONG, "cmin": 0, "showscale": True})
        dots.update(text=[f"{value:.3f}" for value in error], hovertemplate="%{x:.3g}, %{y:.3g}: error %{text}")
        return [*found, dots]
    places = judged.group_by(h, v, maintain_order=True).agg(pl.len().alias("n"), pl.col("right").sum().alias("k"))
    all_right, none_right = pl.col("k") == pl.col("n"), pl.col("k") == 0
    for condition, name, colour, symbol in (
        (all_right, "drawing right", GREEN, "circle"),
        (~all_right & ~none_right, "some right", ORANGE, "diamond"),
        (none_right, "drawing wrong", VERMILION, "x"),
    ):
        of = places.filter(condition)
        if len(of) or name != "some right":
            dots = _dots(of[h].to_numpy(), of[v].to_numpy(), name, colour, symbol, 6)
            told = [f"{k} of {n} right" for k, n in of.select("k", "n").iter_rows()]
            found.append(dots.update(text=told, hovertemplate="%{x:.3g}, %{y:.3g}: %{text}"))
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
    if len(history) > 1:
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
    subject = collection.subject(of["run"])
    (seed, step), point = _chosen(of, seed, step), _point(subject.space, values)
    drawn = collection.draw(of["run"], point, seed, step if of["run"] != GIVEN else None)
    at = ", ".join(f"{name} {value:.2f}" for name, value in zip(subject.space.names, point[0], strict=True))
    shown: list[Any] = [picture(drawn[0], f"drawing of the model at {at}", "the model draws")]
    if of["run"] != GIVEN:
        true = subject.spec.task.family.render(point)
        shown.append(picture(true[0], f"true picture at {at}", "the truth"))
    return [*shown, html.P(_read(subject, drawn, point))]


def _read(subject: Any, drawn: Float[np.ndarray, "1 c h w"], point: Float[np.ndarray, "1 k"]) -> str:
    """Say what is read from a drawing, and whether it is right."""
    try:
        told = subject.assess(drawn, point)
    except RequestError as error:
        return f"Not judged: {error}."
    read = ", ".join(f"{name} {value:.2f}" for name, value in zip(subject.space.names, told.read[0], strict=True))
    verdict = "Right" if told.right[0] else "At the right place, not a clean picture" if told.all[0] else "Wrong"
    error = f"; squared error {told.error[0]:.3f} of that of a blank picture" if np.isfinite(told.error[0]) else ""
    return f"Read from the drawing: {read}. {verdict}{error}."


def _states(collection: Collection, of: dict[str, Any], values: list[Any], seed: Any, step: Any) -> list[Any]:
    run = collection.run(of["run"])
    (seed, step), point = _chosen(of, seed, step), _point(run.space, values)
    total = run.model.timesteps
    timesteps = np.unique(np.linspace(0, total - 1, STATES).round().astype(int)).tolist()
    found = collection.states(of["run"], point, timesteps, seed, step)
    return [picture(state[0], f"state at timestep {at}", f"timestep {at}") for at, state in found.items()]


def _plane_factors(subject: Any, query: Query) -> tuple[str, str]:
    """Return the factors of the plane; by default the first two that vary."""
    names = subject.space.names
    varied = [name for name, axis in zip(names, subject.axes(), strict=True) if len(axis) > 1]
    h = one_of(query, "h", names, [*varied, *names][0])
    v = one_of(query, "v", names, next((name for name in [*varied, *names] if name != h), h))
    return h, v


def _plane_choice(space: FactorSpace, h: str, v: str) -> html.Div:
    """Return the choice of two factors, which is hidden if there are no others."""
    chosen = [choice("h", "across", space.names, h), choice("v", "up", space.names, v)]
    return html.Div(chosen, className="row", hidden=len(space) <= 2)


def _steps(steps: Sequence[int], step: int) -> html.Div:
    moved = scale("step", "training step", 0, len(steps) - 1, steps.index(step), 1, str(step))
    return html.Div(moved, hidden=len(steps) == 1)


def _grid(run: Any, query: Query) -> html.Div:
    """Return some recorded drawings with their verdicts. A click on one draws at the same point, in the same view."""
    points, images = run.pictures
    chosen = np.linspace(0, len(points) - 1, min(len(points), GRID * GRID)).astype(int)
    right = run.assess(images[chosen], points[chosen]).right
    shown = []
    for k, good in zip(chosen, right, strict=True):
        at = dict(zip(run.space.names, points[k], strict=True))
        verdict = "right" if good else "wrong"
        drawn = picture(images[k], f"{verdict} drawing at {', '.join(f'{v:g}' for v in points[k])}", verdict)
        values = {FACTOR + name: f"{value:.6g}" for name, value in at.items()}
        here = address(f"/run/{run.id}", **{**query, **values})
        shown.append(dcc.Link(drawn, href=here))
    return html.Div(shown, className="pictures grid", id="recorded")


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
        plots.graph("learning", learning(history)),
    ]
