"""The representation of a subject: a shape that turns, linked to the factor plane, and its measures."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from dash import ClientsideFunction, Dash, Input, Output, Patch, State, ctx, dcc, html, no_update

from hyperfactor.colours import BLUE, GREEN, GREY
from hyperfactor.errors import HyperfactorError, RequestError
from hyperfactor.explorer import plots
from hyperfactor.explorer.collection import GIVEN, Collection, steps_of
from hyperfactor.explorer.elements import Query, choice, message, number, one_of, reported, scale, step_of, table
from hyperfactor.explorer.work import Job, Work
from hyperfactor.factors.space import Factor
from hyperfactor.store.store import RUN

if TYPE_CHECKING:  # measures take seconds to import, and other pages do not need them
    from hyperfactor.explorer.shape import Shape
    from hyperfactor.subjects.layout import Layout

PATH, TITLE = "/representation", ""
VIEWS = ("PCA", "UMAP", "toroidal")  # coordinates, as `Shape.coordinates` names them
LOOK = 400  # milliseconds between two looks at a computation
LANDMARKS = 150  # of persistent homology
CHOSEN = 2  # number of the trace of the chosen point, in both plots


def page(collection: Collection, part: str, query: Query) -> list[Any]:
    """Return the page of a subject. Its state: layer, timestep, step, view and colour."""
    from hyperfactor.subjects.array import ArraySubject

    name = part if part == GIVEN else collection.store.resolve(part)
    subject = collection.subject(name)
    title = f"run {name}" if RUN.fullmatch(name) else repr(subject)
    shown = {
        "Shape": plots.graph("shape", plots.space(names=("1", "2", "3"))),
        "Factor plane": plots.graph("map", plots.figure(height=460)),
    }
    halves = [html.Section([html.H2(words), plot], className="half") for words, plot in shown.items()]
    stop = html.Button("Stop", id="stop", className="button", hidden=True)
    measure = html.Button("Measure", id="measure", className="button")
    return [
        html.H1("Representation"),
        html.P(title if isinstance(subject, ArraySubject) else dcc.Link(title, href=f"/run/{name}")),
        dcc.Store(id="shape-of", data={"name": name, "steps": steps_of(subject)}),
        html.Span(id="shape-state", hidden=True),
        html.Div(_controls(subject, query), className="controls"),
        dcc.Store(id="wish"),
        dcc.Interval(id="look", interval=LOOK, max_intervals=0),
        html.Div([html.Span(id="working", role="status"), stop], className="row"),
        html.Div(halves, className="columns"),
        html.Section([html.H2("Measures"), measure, html.Div(id="measures")]),
    ]


def _controls(subject: Any, query: Query) -> list[html.Div]:
    """Return the choices of a subject. Raises `RequestError` if the address has one that the subject does not allow."""
    from hyperfactor.explorer.shape import layers_of, timesteps_of, varied_of

    layers, steps, timesteps = layers_of(subject), steps_of(subject), timesteps_of(subject)
    names = varied_of(subject) or subject.space.names
    step = step_of(query, steps)
    timestep = int(number(query, "timestep", 0, 0, timesteps - 1))
    moving = scale("at-step", "training step", 0, len(steps) - 1, steps.index(step), 1, str(step))
    words = "timestep (0: the finished picture)"
    noisy = scale("at-timestep", words, 0, timesteps - 1, timestep, 1, str(timestep))
    usual = next((name for name in getattr(subject, "default_layers", tuple)() if name in layers), layers[0])
    return [
        choice("layer", "layer", layers, one_of(query, "layer", layers, usual)),
        choice("view", "coordinates", VIEWS, one_of(query, "view", VIEWS, VIEWS[0])),
        choice("colour", "colour", names, one_of(query, "colour", names, names[0])),
        html.Div(moving, hidden=len(steps) == 1),
        html.Div(noisy, hidden=timesteps == 1),
    ]


def register(app: Dash, collection: Collection) -> None:
    """Add the callbacks of the page."""
    work = Work()
    chosen = [Input("layer", "value"), Input("at-timestep", "value"), Input("at-step", "value")]
    looks = [Input("view", "value"), Input("colour", "value")]

    @app.callback(
        Output("shape", "figure"),
        Output("map", "figure"),
        Output("working", "children"),
        Output("look", "max_intervals"),
        Output("stop", "hidden"),
        Output("measures", "children"),
        *chosen,
        *looks,
        Input("look", "n_intervals"),
        Input("wish", "data"),
        State("shape-of", "data"),
    )
    def show(layer, timestep, step, view, colour, looked, wish, of):
        looked = looked or 0
        try:
            key = (of["name"], str(layer), int(float(timestep or 0)), _step(collection, of, step))
            shape, plane, told, again, measures = _shown(collection, work, key, str(view), str(colour), wish or {})
            # The next look follows this answer. Looks at fixed times would replace requests that take longer.
            return shape, plane, told, looked + again, not again, measures
        except (HyperfactorError, LookupError, ValueError) as error:
            return no_update, no_update, message(str(error)), looked, True, no_update

    _link(app, collection, work, chosen)
    app.clientside_callback(
        ClientsideFunction("address", "representation"),
        Output("shape-state", "children"),
        *chosen,
        *looks,
        State("shape-of", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("wish", "representation"),
        Output("wish", "data"),
        *chosen,
        *looks,
        Input("measure", "n_clicks"),
        Input("stop", "n_clicks"),
        State("wish", "data"),
    )


def _link(app: Dash, collection: Collection, work: Work, chosen: list[Input]) -> None:
    """Ring a point of one plot in the other."""
    for source, target in (("shape", "map"), ("map", "shape")):
        app.callback(
            Output(target, "figure", allow_duplicate=True),
            Input(source, "hoverData"),
            Input(source, "clickData"),
            State("shape-of", "data"),
            *[State(one.component_id, "value") for one in chosen],
            State("view", "value"),
            prevent_initial_call=True,
        )(partial(_highlight, collection, work, target))


Key = tuple[str, str, int, int | None]  # subject, layer, timestep, training step


def _step(collection: Collection, of: dict[str, Any], step: Any) -> int | None:
    steps = steps_of(collection.subject(of["name"]))
    at = steps[int(float(step or 0))]
    return None if at == steps[-1] else at


def _asked(collection: Collection, work: Work, key: Key, view: str) -> tuple[Job, Job | None]:
    """Return the computation of the shape, and that of its coordinates once the shape is known."""
    from hyperfactor.explorer.shape import layers_of, shape

    name, layer, timestep, step = key
    if layer not in layers_of(collection.subject(name)) or view not in VIEWS:
        raise RequestError(f"layer, coordinates: got {layer[:40]!r} and {view[:40]!r}, needs those of the page")
    job = work.ask(key, lambda job: shape(collection, name, layer, timestep, step, job.reach))
    if not job.future.done():
        return job, None
    found: Shape = job.future.result()
    return job, work.ask((key, view), lambda _: found.coordinates(view))


def _shown(
    collection: Collection, work: Work, key: Key, view: str, colour: str, wish: dict[str, bool]
) -> tuple[Any, ...]:
    """Return the plots, the state of the work, whether to look at it again, and the measures if they are wanted."""
    if wish.get("stop"):
        for one in (key, (key, view), (key, "measures")):
            work.stop(one)
        return no_update, no_update, "stopped", False, []
    job, placed = _asked(collection, work, key, view)
    if placed is None or not placed.future.done():
        said = f"reading the layer: {job.share:.0%}" if placed is None else f"{view} ..."
        return no_update, no_update, said, True, _waiting(0) if wish.get("measure") else []
    found: Shape = job.future.result()
    names = {"PCA": ("PC 1", "PC 2", "PC 3"), "UMAP": ("UMAP 1", "UMAP 2", "UMAP 3"), "toroidal": ("", "", "")}[view]
    plotted = _figures(found, placed.future.result(), colour, names)
    n, d = found.vectors.shape
    told = f"{n} points in {d} dimensions"
    if not wish.get("measure"):
        return *plotted, told, False, []
    measured = work.ask((key, "measures"), lambda job: _measured(found, job))
    done = measured.future.done()
    return *plotted, told, not done, _table(measured.future.result()) if done else _waiting(measured.share)


def _waiting(share: float) -> html.P:
    return html.P(f"measuring: {share:.0%}")


def _measured(found: "Shape", job: Job) -> "Layout":
    from hyperfactor.subjects.layout import laid_out

    job.reach(0.1)
    return laid_out(found.given, landmarks=min(LANDMARKS, len(found.vectors)), width=found.width)


def _figures(found: "Shape", at: np.ndarray, colour: str, names: tuple[str, str, str]) -> tuple[go.Figure, go.Figure]:
    """Return the shape in three dimensions, and the plane of the first two factors in the same colours."""
    k = [factor.name for factor in found.factors].index(colour) if colour in {f.name for f in found.factors} else 0
    bar = {"title": {"text": found.factors[k].name}, "thickness": 10, "tickfont": {"color": plots.MIDDLE}}
    marker = {"color": found.points[:, k].tolist(), **_scale(found.factors[k]), "size": 4, "colorbar": bar}
    lines = np.full((len(edges := found.edges()), 3, 3), np.nan)
    if edges:
        lines[:, :2] = at[np.array(edges)]
    x, y, z = ([None if np.isnan(v) else v for v in lines[..., axis].ravel()] for axis in range(3))
    thin = {"color": plots.MIDDLE, "width": 1}
    dots = {"x": at[:, 0].tolist(), "y": at[:, 1].tolist(), "z": at[:, 2].tolist()}
    ring = {"size": 12, "color": BLUE, "symbol": "circle-open", "line": {"width": 4}}
    told = [
        ", ".join(f"{f.name} {value:g}" for f, value in zip(found.factors, point, strict=True))
        for point in found.points
    ]
    turned = plots.space(
        go.Scatter3d(x=x, y=y, z=z, mode="lines", line=thin, opacity=0.35, hoverinfo="skip"),
        go.Scatter3d(**dots, mode="markers", marker=marker, text=told, hoverinfo="text"),
        go.Scatter3d(x=[], y=[], z=[], mode="markers", marker=ring, hoverinfo="skip"),
        names=names,
    )
    across, up = found.points[:, 0].tolist(), (found.points[:, min(1, found.points.shape[1] - 1)]).tolist()
    flat = {**marker, "size": 11, "symbol": "square", "showscale": False}
    plane = plots.figure(
        go.Scatter(x=[], y=[], mode="markers", hoverinfo="skip"),
        go.Scatter(x=across, y=up, mode="markers", marker=flat, text=told, hoverinfo="text"),
        go.Scatter(x=[], y=[], mode="markers", marker={**ring, "size": 20}, hoverinfo="skip"),
        x=found.factors[0].name,
        y=found.factors[min(1, len(found.factors) - 1)].name,
        height=460,
        showlegend=False,
        hovermode="closest",
        dragmode=False,
    )
    return turned, plane


def _scale(factor: Factor) -> dict[str, Any]:
    """Return the colours of a factor; those of one that wraps round meet where it does."""
    if factor.period is None:
        return {"colorscale": plots.ALONG}
    return {"colorscale": plots.WRAPPED, "cmin": factor.low, "cmax": factor.high}


def _highlight(collection: Collection, work: Work, target: str, hover: Any, click: Any, of: Any, *chosen: Any) -> Any:
    """Ring, in the other plot, the point under the mouse."""
    layer, timestep, step, view = chosen
    event = click if ctx.triggered and ctx.triggered[0]["prop_id"].endswith("clickData") else hover
    if not event or event["points"][0]["curveNumber"] != 1:
        return no_update
    number = int(event["points"][0]["pointNumber"])
    try:
        key = (of["name"], str(layer), int(float(timestep or 0)), _step(collection, of, step))
        job, placed = _asked(collection, work, key, str(view))
    except (HyperfactorError, LookupError, ValueError):
        return no_update
    if placed is None or not placed.future.done():
        return no_update
    found: Shape = job.future.result()
    at = placed.future.result()[number] if target == "shape" else found.points[number]
    moved = Patch()
    for axis, value in zip("xyz" if target == "shape" else "xy", at, strict=False):
        moved["data"][CHOSEN][axis] = [float(value)]
    return moved


@reported
def _table(found: "Layout") -> list[Any]:
    """Return the measures: a table, the spectrum, the bars of persistence, and the distances to ideal shapes."""
    parts: list[Any] = [table(["measure", "value"], ((row.measure, row.text) for row in found.table_rows()))]
    if found.spectrum is not None:
        shares = found.spectrum[:20]
        parts.append(
            plots.graph(
                "spectrum",
                plots.lines(
                    {"share of variance": (np.arange(1, len(shares) + 1), shares)},
                    x="principal component",
                    y="share of variance",
                    yaxis={"type": "log", "dtick": 1},
                    height=280,
                ),
            )
        )
    if found.topology:
        parts.append(plots.graph("bars", _bars(found)))
    if found.comparison:
        parts.append(plots.graph("distances", _distances(found)))
    return parts


def _bars(found: "Layout") -> go.Figure:
    topology = (found.topology or {})[2]
    traces, most = [], 0.0
    for dim, bars in enumerate(topology.diagrams):
        ends = bars[np.isfinite(bars[:, 1])] / topology.radius
        most = max(most, float(ends.max(initial=0)))
        traces.append(
            go.Scatter(
                x=ends[:, 0].tolist(),
                y=ends[:, 1].tolist(),
                mode="markers",
                name=f"H{dim}",
                marker={"color": plots.COLOURS[dim], "size": 7, "symbol": ("circle", "square", "diamond")[dim]},
            )
        )
    line = go.Scatter(x=[0, most], y=[0, most], mode="lines", showlegend=False, line={"color": GREY, "width": 1})
    return plots.figure(line, *traces, x="birth (radii of the cloud)", y="death (radii of the cloud)", height=320)


def _distances(found: "Layout") -> go.Figure:
    compared = found.comparison
    assert compared is not None
    names = list(compared.total)
    low, high = np.array([compared.interval[name] for name in names]).T
    value = np.array([compared.total[name] for name in names])
    colours = [GREEN if name == compared.nearest else GREY for name in names]
    bars = go.Bar(
        y=names,
        x=value.tolist(),
        orientation="h",
        marker={"color": colours},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (high - value).tolist(),
            "arrayminus": (value - low).tolist(),
        },
    )
    return plots.figure(bars, x="mean Wasserstein distance to the ideal shape (95 % bootstrap interval)", height=300)
