"""What pages say, without a browser."""

import json
import shutil
import socket
import subprocess
import sys
import threading
from base64 import b64decode
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
import torch
from dash import html
from dash.development.base_component import Component

from hyperfactor import ArraySubject, Run, RunSpec, TorchSubject, train
from hyperfactor.errors import BusyError, RequestError
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.claims import VERDICTS, Bound, Estimate, claim
from hyperfactor.explorer import claims_page, elements, percolation_page, representation_page, run_page
from hyperfactor.explorer.app import _page
from hyperfactor.explorer.collection import GIVEN, Collection
from hyperfactor.explorer.elements import address, number, picture, text
from hyperfactor.explorer.server import is_loopback, open_server
from hyperfactor.explorer.shape import POINTS, RING, VALUES, Shape, shape
from hyperfactor.explorer.work import THREADS, WAITING, Job, Work
from hyperfactor.factors import Factor, FactorSpace
from hyperfactor.measures.geometry import clifford_torus
from hyperfactor.percolation.lattice import site_percolation
from hyperfactor.percolation.overlap import reach
from hyperfactor.store.store import Store

from ..shell import hyperfactor


def source(shown: Any) -> str:
    """The address of the picture in a figure."""
    return shown.children[0].src


def found_in(page: Any, id: Any) -> Any:
    """The component of a page that has an id."""
    return next(part for top in page for part in [top, *top._traverse()] if getattr(part, "id", None) == id)


def trace(figure: Any, name: str) -> Any:
    return next(figure.select_traces({"name": name}))


class Noisy(TorchSubject):
    """A module whose layer is noise, on a lattice of some factors."""

    def __init__(self, *factors: Factor):
        module = torch.nn.Module()
        module.add_module("noise", torch.nn.Identity())

        def call(module: Any, points: np.ndarray) -> torch.Tensor:
            return module.noise(torch.randn(len(points), 9)).reshape(-1, 1, 3, 3)

        super().__init__(module, FactorSpace(factors), call)


def words(found: Any) -> str:
    """All text of a page."""
    if isinstance(found, Component):
        return words(getattr(found, "children", None))
    return " ".join(map(words, found)) if isinstance(found, list | tuple) else "" if found is None else str(found)


# ---- addresses ----


@pytest.mark.parametrize(("path", "search", "said"), [
    ("/run/zzz", "", "names no run"),
    ("/run/../../etc/passwd", "", "names no run"),
    ("/claims/../x", "", "needs a key, which has 16 hexadecimal digits"),
    ("/claims/0000000000000000", "", "0000000000000000"),
    ("/percolation", "?sigma=a", "sigma: got 'a', needs a number in 0.3..3"),
    ("/percolation", "?lambda=nan", "lambda: got 'nan', needs a number in 0..1"),
    ("/compare", "", "runs: got 0, needs 1 to 12"),
    ("/compare", "?runs=7,7", "runs: got 2, needs 1 to 12 different"),
    ("/representation/subject", "", "subject: got none, needs one: hyperfactor explore MODEL.py:NAME"),
    ("/" + "a" * 3000, "", "address: got 3001 characters"),
])  # fmt: skip
def test_an_address_that_names_nothing_gives_one_line(collection: Collection, path: str, search: str, said: str):
    with pytest.raises(RequestError) as error:
        _page(collection, path, search)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("search", "said"), [
    ("?where=nothing+%3D+1", "where: got"),
    ("?where=%27", "where: got"),
    ("?where=seed+%3D+9", "no run meets the condition"),
    ("?sort=no", "sort: got 'no', needs one of id"),
    ("?page=9", "page: got '9', needs a number in 1..1"),
    ("?columns=a,b", "columns: got 'a', needs one of"),
])  # fmt: skip
def test_a_wrong_condition_is_told_below_the_condition(collection: Collection, search: str, said: str):
    assert said in words(_page(collection, "/", search))


def test_an_unknown_page_is_said_so(collection: Collection):
    assert "got '/nowhere'" in words(_page(collection, "/nowhere", ""))


@pytest.mark.parametrize(("search", "said"), [
    ("?f.x=99", "f.x: got '99', needs a number in -3..18"),
    ("?f.x=18.03", "f.x: got '18.03', needs a number in -3..18"),
    ("?step=3", "step: got 3, needs one that the run kept: 0, 5, 12"),
    ("?seed=-1", "seed: got '-1'"),
    ("?h=q", "h: got 'q', needs one of x, y"),
    ("?by=luck", "by: got 'luck', needs one of right, error"),
])  # fmt: skip
def test_the_state_of_a_run_s_page_is_checked(collection: Collection, tiny: RunSpec, search: str, said: str):
    with pytest.raises(RequestError, match=said.replace("(", r"\(")):
        _page(collection, f"/run/{tiny.id}", search)


def test_the_store_page_has_what_the_store_has(collection: Collection, shown: Path):
    ids = Store(shown).ids()
    text = words(_page(collection, "/", ""))
    assert all(id in text for id in ids)
    assert f"{len(ids)} runs" in text
    few = words(_page(collection, "/", "?where=seed+%3D+1"))
    assert "1 run " in few


def test_a_result_leads_to_its_runs(collection: Collection, shown: Path):
    kept = Store(shown).results()[-1]
    text = words(_page(collection, f"/claims/{kept.key}", ""))
    assert "not measured" in text
    for ids in kept.question.runs.values():
        assert all(id in text for id in ids)


def test_results_are_listed_with_their_verdicts(collection: Collection, shown: Path):
    kept = Store(shown).results()[-1]
    claims = Result.open(shown, kept.key).claims
    (row,) = body(_page(collection, "/claims", ""))
    assert row[3:-1] == [str(sum(one.verdict == verdict for one in claims)) for verdict in VERDICTS]
    assert int(row[6]) == len(claims) == 15


def test_a_damaged_result_is_listed_without_verdicts(shown: Path, tmp_path: Path):
    copied = shutil.copytree(shown / ".results", tmp_path / ".results")
    (damaged,) = copied.glob("*.npz")
    damaged.write_bytes(b"")
    (row,) = body(_page(Collection(tmp_path), "/claims", ""))
    assert row[3:-1] == [""] * len(VERDICTS)


def body(shown: Any) -> list[list[str]]:
    """The text of each cell of the first table's rows."""
    (whole,) = [part for part in shown if isinstance(getattr(part, "children", None), html.Table)]
    rows = whole.children.children[-1].children
    return [[cell.children if isinstance(cell.children, str) else words(cell) for cell in row.children] for row in rows]


@pytest.mark.parametrize(("column", "way"), [
    ([1, 2.5, None], "number"), (["a", 1], None), ([True, False], None), ([None], None), ([], None),
])  # fmt: skip
def test_columns_of_numbers_are_aligned_at_their_right(column: list[Any], way: str | None):
    assert elements.alignment(column) == way


def test_a_result_that_cannot_be_drawn_is_told_in_its_place(shown: Path, monkeypatch: pytest.MonkeyPatch):
    other, kept = Collection(shown), Store(shown).results()[-1]
    result = other.result(kept.key)
    monkeypatch.setattr(other, "result", lambda _: replace(result, tables={}))
    text = words(_page(other, f"/claims/{kept.key}", ""))
    assert "`hyperfactor reproduce composition` computes it again" in text
    assert all(id in text for ids in kept.question.runs.values() for id in ids)


def test_the_interval_of_a_claim_is_a_picture_that_stands_alone():
    measured = claim("a", "1", "a thing", Bound(">=", 0.9), lambda: [Estimate(0.97, 0.95, 0.98, "drawings")])
    shown: Any = claims_page._interval(measured)[0]
    drawn = ElementTree.fromstring(b64decode(shown.src.partition(",")[2]))
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert "0.970" in shown.alt
    assert shown.alt == drawn.attrib["aria-label"]


def test_a_damaged_run_gives_one_line(tmp_path: Path, tiny: RunSpec, run: Run):
    import shutil

    shutil.copytree(run._store.folder(run.id), tmp_path / run.id)
    (tmp_path / run.id / "weights.safetensors").write_bytes(b"no weights")
    other = Collection(tmp_path)
    _page(other, "/", "")
    of = {"run": run.id, "steps": [0, 5, 12]}
    with pytest.raises(RequestError, match="weights"):
        run_page._drawing(other, of, [3.0, 4.0], 0, 2)


def test_a_run_in_training_shows_its_history_and_then_that_it_is_finished(tmp_path: Path, tiny: RunSpec):
    class StopError(Exception):
        pass

    def stop(step: int) -> None:
        if step == 8:
            raise StopError

    with pytest.raises(StopError):
        train(tiny, tmp_path, report=stop)
    other = Collection(tmp_path)
    page = _page(other, f"/run/{tiny.id}", "")
    assert "unfinished, step 8 of 12" in words(page)
    (plotted,) = [part for part in run_page._progress(other, tiny.id) if hasattr(part, "figure")]
    assert plotted.figure.data[0].x == (2, 4, 6, 8)
    train(tiny, tmp_path)
    assert "The run is finished" in words(run_page._progress(other, tiny.id))


def test_a_condition_may_have_any_name(collection: Collection):
    assert address("/", path="1", self="2") == "/?path=1&self=2"
    assert "runs" in words(_page(collection, "/", "?path=1"))


def test_a_number_that_was_rounded_past_an_end_is_the_end():
    assert number({"angle": "3.142"}, "angle", 0, -np.pi, np.pi, 0.01) == np.pi
    assert number({"angle": "-3.142"}, "angle", 0, -np.pi, np.pi, 0.01) == -np.pi
    with pytest.raises(RequestError, match=r"angle: got '3.16', needs a number in -3.14159..3.14159"):
        number({"angle": "3.16"}, "angle", 0, -np.pi, np.pi, 0.01)


def test_factors_have_names_of_their_own_in_an_address(tmp_path: Path):
    mine = Collection(tmp_path, Noisy(*(Factor(name, -np.pi, np.pi) for name in ("h", "s", "v", "seed", "by"))))
    search = "?f.h=3.142&f.s=1&f.v=-3.142&f.seed=2&f.by=0&seed=5&h=s&v=seed"
    page = _page(mine, f"/run/{GIVEN}", search)
    values = {name: found_in(page, {"type": "factor", "of": name}).value for name in ("h", "s", "v", "seed", "by")}
    assert values == {"h": np.pi, "s": 1, "v": -np.pi, "seed": 2, "by": 0}
    assert found_in(page, "seed").value == 5
    assert found_in(page, "run-of").data.items() >= {"h": "s", "v": "seed", "by": "right"}.items()


def test_a_place_with_right_and_wrong_drawings_is_neither(collection: Collection, tiny: RunSpec):
    """Of two drawings at the same x and y, which differ in a third factor, one is right."""
    judged = pl.DataFrame({"x": [3.0, 3.0, 4.0, 5.0], "y": 1.0, "right": [True, False, True, False]})
    run = SimpleNamespace(
        space=SimpleNamespace(index=("x", "y").index), evaluation=judged,
        spec=SimpleNamespace(task=SimpleNamespace(points=np.zeros((1, 2)))),
    )  # fmt: skip
    shown = {dots.name: (dots.x, dots.text) for dots in run_page._trained_and_judged(run, "x", "y", "right")[1:]}
    assert shown == {
        "drawing right": ((4.0,), ("1 of 1 right",)),
        "some right": ((3.0,), ("1 of 2 right",)),
        "drawing wrong": ((5.0,), ("0 of 1 right",)),
    }


def test_a_computation_that_failed_by_a_fault_is_started_again():
    work, tried = Work(), []

    def compute(job: Job) -> int:
        tried.append(job)
        if len(tried) == 1:
            raise AttributeError("partially initialized module")
        if len(tried) == 2:
            return 5
        raise RequestError("number: got 3, needs 5")

    with pytest.raises(AttributeError):
        work.ask("key", compute).future.result()
    assert work.ask("key", compute).future.result() == 5
    assert work.ask("key", compute).future.result() == 5
    for _ in range(2):  # what is said of a wrong request stays
        with pytest.raises(RequestError):
            work.ask("other", compute).future.result()
    assert len(tried) == 3


def test_numbers_below_a_hundredth_can_be_told_apart():
    assert [text(value) for value in (1e-4, 3e-4, 5e-4, 0.0, 0.25, -0.002)] == [
        "0.0001", "0.0003", "0.0005", "0.000", "0.250", "-0.002",
    ]  # fmt: skip


def test_a_recorded_drawing_leads_to_its_point(collection: Collection, tiny: RunSpec):
    grid: Any = run_page._grid(collection.run(tiny.id), {"h": "y"})
    links = [part.href for part in grid.children]
    page = _page(collection, *links[-1].split("?"))
    point = [found_in(page, {"type": "factor", "of": name}).value for name in "xy"]
    assert point == pytest.approx(collection.run(tiny.id).pictures[0][-1], rel=1e-5)


# ---- drawings ----


def test_the_drawing_is_that_of_the_run(collection: Collection, tiny: RunSpec, run: Run):
    of = {"run": tiny.id, "steps": [0, 5, 12]}
    drawn, true, told = run_page._drawing(collection, of, [3.0, "4.5"], 7, "1")
    point = np.array([[3.0, 4.5]])
    assert source(drawn) == source(picture(run.sample(point, 7, step=5)[0], ""))
    assert source(true) == source(picture(tiny.task.family.render(point)[0], ""))
    assert "Read from the drawing: x" in words(told)


def test_the_plane_has_what_was_judged(collection: Collection, tiny: RunSpec, run: Run):
    by_verdict = run_page.plane(collection, tiny.id, "x", "y", [8, 8])
    by_error = run_page.plane(collection, tiny.id, "y", "x", [8, 8], "error")
    judged = run.evaluation
    wrong = trace(by_verdict, "drawing wrong")
    assert sorted(zip(wrong.x, wrong.y, strict=True)) == sorted(judged.filter(~judged["right"]).select("x", "y").rows())
    error = trace(by_error, "squared error")
    assert list(zip(error.y, error.x, strict=True)) == judged.select("x", "y").rows()
    assert list(error.marker.color) == judged["error"].to_list()


def test_the_plane_is_that_of_factors_that_vary(tmp_path: Path):
    fixed, narrow, wide = Factor("digit", 0, 0, "categorical"), Factor("x", 0, 1), Factor("y", 0, 40)
    mine = Collection(tmp_path, Noisy(fixed, narrow, wide, Factor("z", 0, 4)))
    data = found_in(_page(mine, f"/run/{GIVEN}", ""), "run-of").data
    assert (data["h"], data["v"]) == ("x", "y")
    asked = found_in(_page(mine, f"/run/{GIVEN}", "?h=digit"), "run-of").data
    assert (asked["h"], asked["v"]) == ("digit", "x")
    one = Collection(tmp_path, Noisy(fixed, narrow))
    alone = found_in(_page(one, f"/run/{GIVEN}", ""), "run-of").data
    assert (alone["h"], alone["v"]) == ("x", "digit")


@pytest.mark.parametrize(("h", "v", "alike"), [("x", "z", True), ("x", "y", False), ("z", "y", False),
                                               ("digit", "x", False)])  # fmt: skip
def test_axes_of_the_plane_have_one_scale_if_their_ranges_are_alike(tmp_path: Path, h: str, v: str, alike: bool):
    space = (Factor("digit", 0, 0, "categorical"), Factor("x", 0, 1), Factor("y", 0, 40), Factor("z", 0, 4))
    found: Any = run_page.plane(Collection(tmp_path, Noisy(*space)), GIVEN, h, v, [0, 0, 0, 0])
    assert (found.layout.yaxis.scaleanchor == "x") == alike


def test_the_last_state_is_the_drawing(collection: Collection, tiny: RunSpec, run: Run):
    of = {"run": tiny.id, "steps": [0, 5, 12]}
    states = run_page._states(collection, of, [3.0, 4.0], 0, 2)
    assert len(states) == run_page.STATES
    drawn = run_page._drawing(collection, of, [3.0, 4.0], 0, 2)[0]
    assert source(states[-1]) == source(drawn)


@pytest.mark.parametrize(("values", "seed", "step", "said"), [
    ([3.0], 0, 2, "needs one for each factor"),
    ([3.0, None], 0, 2, "needs one for each factor"),
    ([3.0, "up"], 0, 2, "up"),
    ([3.0, 400.0], 0, 2, "y: got 400"),
    ([3.0, 4.0], None, 2, "seed: got None"),
    ([3.0, 4.0], -1, 2, "seed: got -1"),
    ([3.0, 4.0], 0, 3, "step: got 3"),
])  # fmt: skip
def test_what_a_visitor_sends_is_checked(collection: Collection, tiny: RunSpec, values, seed, step, said):
    of = {"run": tiny.id, "steps": [0, 5, 12]}
    with pytest.raises(RequestError, match=said):
        run_page._drawing(collection, of, values, seed, step)


def test_a_model_of_the_user_draws_and_is_read(tmp_path: Path):
    space = FactorSpace((Factor("x", 0, 4, "periodic"), Factor("size", 1, 3)))
    module = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU(), torch.nn.Linear(5, 16))

    def call(module: torch.nn.Module, points: np.ndarray) -> torch.Tensor:
        return module(torch.tensor(points, dtype=torch.float32)).reshape(-1, 1, 4, 4)

    subject = TorchSubject(module, space, call)
    mine = Collection(tmp_path, subject)
    text = words(_page(mine, f"/run/{GIVEN}", "?f.x=1&f.size=2.5"))
    assert "Your model" in text
    assert "the truth" not in text
    drawn, told = run_page._drawing(mine, {"run": GIVEN, "steps": [0]}, [1, 2.5], 0, 0)
    assert source(drawn) == source(picture(subject.sample(np.array([[1, 2.5]]))[0], ""))
    assert "Not judged" in words(told)
    assert "module Sequential" in words(_page(mine, f"/representation/{GIVEN}", "?layer=1"))
    found = shape(mine, GIVEN, "1", 0, None, lambda _: None)
    assert found.vectors == pytest.approx(subject.activations("1", factors=found.points)["1"])
    with pytest.raises(RequestError, match="which draws nothing, needs a model"):
        _page(Collection(tmp_path, ArraySubject(clifford_torus(4))), f"/run/{GIVEN}", "")


# ---- shapes ----


def on_a_torus(n: int, m: int) -> Shape:
    subject = ArraySubject(clifford_torus((n, m)))
    return shape(Collection("none", subject), GIVEN, "values", 0, None, lambda _: None)


def test_toroidal_coordinates_of_a_clifford_torus_are_its_angles():
    n, m = 12, 10
    found = on_a_torus(n, m)
    x, y, z = found.coordinates("toroidal").reshape(n, m, 3).transpose(2, 0, 1)
    ring, away = np.arctan2(y, x), np.hypot(x, y) - RING
    assert away**2 + z**2 == pytest.approx(np.ones((n, m)))
    tube = np.arctan2(z, away)
    for angle, count, axis in ((ring, n, 0), (tube, m, 1)):
        steps = np.diff(np.unwrap(angle, axis=axis), axis=axis)
        assert np.abs(steps) == pytest.approx(np.full(steps.shape, 2 * np.pi / count))
        assert np.ptp(np.cos(angle), axis=1 - axis) == pytest.approx(0, abs=1e-9)


def test_neighbours_on_a_torus():
    edges = on_a_torus(6, 5).edges()
    assert len(edges) == 2 * 6 * 5
    assert len({frozenset(edge) for edge in edges}) == len(edges)
    degree = np.bincount(np.array(edges).ravel())
    assert (degree == 4).all()


def test_the_shape_of_a_run_is_its_activations(collection: Collection, tiny: RunSpec, run: Run):
    shares = []
    found = shape(collection, tiny.id, "up1", 0, 5, shares.append)
    assert found.vectors == pytest.approx(run.activations("up1", 0, found.points, 5)["up1"], abs=1e-6)
    assert shares[-1] == 1


def test_the_noise_of_a_shape_is_that_of_a_study(tmp_path: Path):
    subject = Noisy(Factor("x", 0, 16, "periodic"), Factor("y", 0, 16, "periodic"))
    found = shape(Collection(tmp_path, subject), GIVEN, "noise", 0, None, lambda _: None)
    assert np.array_equal(found.vectors, subject.activations("noise")["noise"].reshape(256, -1))
    assert len(np.unique(found.vectors, axis=0)) == 256


@pytest.mark.parametrize(("counts", "left", "wraps"), [
    ((31,), (31,), (True,)),
    ((46, 3), (46, 3), (True, True)),
    ((36, 32), (12, 16), (True, True)),
    ((46, 46), (23, 23), (True, True)),
    ((31, 31), (16, 31), (False, True)),
    ((9, 9, 9), (5, 9, 9), (False, True, True)),
    ((9, 9, 12), (9, 9, 6), (True, True, True)),
    ((997,), (499,), (False,)),
])  # fmt: skip
def test_fewer_values_of_factors_that_wrap_round(tmp_path: Path, counts, left, wraps):
    factors = [Factor(name, 0, count, "periodic") for name, count in zip("xyz", counts, strict=False)]
    found = shape(Collection(tmp_path, Noisy(*factors)), GIVEN, "noise", 0, None, lambda _: None)
    given: Any = found.given
    assert given.sizes == left
    assert given.wraps == wraps
    assert len(found.points) <= POINTS
    assert all(factor.period == count for factor, count in zip(found.factors, counts, strict=True))
    period = np.array(counts)
    for one, other in found.edges():  # all edges along a factor are equally long
        apart = np.abs(found.points[one] - found.points[other])
        k = int(apart.argmax())
        assert min(apart[k], period[k] - apart[k]) == found.points[:, k][found.points[:, k] > 0].min()


def test_an_open_factor_keeps_few_values(tmp_path: Path):
    mine = Collection(tmp_path, Noisy(Factor("x", 0, 30), Factor("y", 0, 34, "periodic"), Factor("z", 2, 2.5)))
    found = shape(mine, GIVEN, "noise", 0, None, lambda _: None)
    given: Any = found.given
    assert given.sizes == (VALUES, 34)
    assert found.points[-1].tolist() == [30, 33]


def test_a_colour_is_that_of_a_factor_that_varies(tmp_path: Path, collection: Collection, tiny: RunSpec):
    mine = Collection(tmp_path, Noisy(Factor("digit", 0, 0, "categorical"), Factor("x", 0, 8, "periodic")))
    control = found_in(_page(mine, f"/representation/{GIVEN}", ""), "colour")
    assert (control.options, control.value) == (["x"], "x")
    with pytest.raises(RequestError, match="colour: got 'digit', needs one of x"):
        _page(mine, f"/representation/{GIVEN}", "?colour=digit")
    torus = Collection(tmp_path, ArraySubject(clifford_torus((6, 5))))
    assert found_in(_page(torus, f"/representation/{GIVEN}", ""), "colour").options == ["x", "y"]
    assert found_in(_page(collection, f"/representation/{tiny.id}", ""), "colour").options == ["x", "y"]


def test_the_colours_of_a_factor_that_wraps_round_meet_after_a_period(tmp_path: Path):
    mine = Collection(tmp_path, Noisy(Factor("angle", -16, 16, "periodic"), Factor("size", 1, 3)))
    found = shape(mine, GIVEN, "noise", 0, None, lambda _: None)

    def markers(colour: str) -> list[Any]:
        shown: Any = representation_page._figures(found, found.coordinates("PCA"), colour, ("", "", ""))
        return [figure.data[1].marker for figure in shown]

    assert [(of.cmin, of.cmax, max(of.color)) for of in markers("angle")] == [(-16, 16, 14)] * 2
    assert [(of.cmin, of.cmax, max(of.color)) for of in markers("size")] == [(None, None, 3)] * 2


def test_the_points_of_samples_are_their_factor_values():
    space = FactorSpace((Factor("angle", 0, 360, "periodic"), Factor("size", 1, 3)))
    table = np.array([[0, 1], [90, 1], [180, 3], [270, 3], [0, 3]])
    subject = ArraySubject(np.eye(5), table, axes=space)
    found = shape(Collection("none", subject), GIVEN, "values", 0, None, lambda _: None)
    assert sorted(found.points.tolist()) == sorted(table.tolist())


def test_measures_that_are_asked_for_early_wait(monkeypatch: pytest.MonkeyPatch):
    torus, work, ready = Collection("none", ArraySubject(clifford_torus((6, 5)))), Work(), threading.Event()
    monkeypatch.setattr(representation_page, "_measured", lambda found, job: len(found.vectors))
    monkeypatch.setattr(representation_page, "_table", lambda found: f"measures of {found} points")
    key = (GIVEN, "values", 0, None)

    def placed(_: Job) -> np.ndarray:
        ready.wait(30)
        return on_a_torus(6, 5).coordinates("PCA")

    def told(**wish: bool) -> tuple[str, bool, str]:
        *_, said, again, measures = representation_page._shown(torus, work, key, "PCA", "x", wish)
        return said, again, words(measures)

    work.ask(key, lambda _: on_a_torus(6, 5)).future.result(30)
    work.ask((key, "PCA"), placed)
    assert told() == ("PCA ...", True, "")
    assert told(measure=True) == ("PCA ...", True, "measuring: 0%")
    ready.set()
    work.ask((key, "PCA"), placed).future.result(30)
    told(measure=True)
    work.ask((key, "measures"), lambda _: None).future.result(30)
    assert told(measure=True) == ("30 points in 4 dimensions", False, "measures of 30 points")
    assert told() == ("30 points in 4 dimensions", False, "")
    assert told(stop=True) == ("stopped", False, "")


# ---- percolation ----


@pytest.mark.parametrize(("sigma", "threshold", "share"), [(1.0, 0.2, 0.15), (1.0, 0.6, 0.4), (2.0, 0.3, 0.05)])
def test_the_largest_cluster_is_that_of_the_simulation(sigma: float, threshold: float, share: float):
    size, steps = 48, reach(sigma, threshold)
    labels = percolation_page.clusters(steps, share, size, seed=3)
    curve = site_percolation((size, size), steps, 3)
    occupied = round(share * size * size)
    at = np.flatnonzero(curve.occupied == occupied)
    assert (labels >= 0).sum() == occupied
    assert np.bincount(labels[labels >= 0]).max() == curve.largest[at[0]]


# ---- work ----


def test_equal_requests_share_a_computation_and_a_stopped_one_starts_again():
    work, ready, calls = Work(), threading.Event(), []

    def slow(job):
        calls.append(job)
        while not ready.wait(0.01):
            job.reach(0.5)
        return len(calls)

    first = work.ask("a", slow)
    assert work.ask("a", slow) is first
    work.stop("a")
    with pytest.raises(CancelledError):
        first.future.result(10)
    ready.set()
    assert work.ask("a", slow).future.result(10) == 2
    assert work.ask("a", slow).future.result(10) == 2


def test_too_much_work_is_refused():
    work, ready = Work(), threading.Event()
    for key in range(THREADS + WAITING):
        work.ask(key, lambda _: ready.wait(30))
    with pytest.raises(BusyError, match="needs fewer visitors"):
        work.ask("one more", lambda _: None)
    ready.set()


# ---- the server ----


def test_only_local_names_are_answered_and_nothing_loads_from_elsewhere(site: str):
    with urlopen(site + "/") as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        page = answer.read().decode()
    assert "http://" not in page
    assert "https://" not in page
    with pytest.raises(HTTPError, match="403"):
        urlopen(Request(site + "/", headers={"Host": "elsewhere.example"}))
    with pytest.raises(HTTPError, match="404|400"):
        urlopen(site + "/assets/../app.py")


def test_a_port_in_use_is_told_in_one_line(collection: Collection):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RequestError, match="port .* needs an address that is free"):
            open_server(collection, port=taken.getsockname()[1])


def test_loopback():
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.1.2")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_the_callback_answers_over_http(site: str, tiny: RunSpec):
    """The drawing of one click, as a browser asks for it."""
    with urlopen(site + "/_dash-dependencies") as answer:
        outputs = [one["output"] for one in json.load(answer)]
    assert any("drawing.children" in output for output in outputs)


def test_the_first_page_needs_nothing_heavy():
    code = (
        "import sys, hyperfactor.explorer.server; "
        "print([name for name in ('torch', 'scipy', 'numba', 'gudhi', 'matplotlib', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_extra_and_a_wrong_request_are_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    done = hyperfactor("explore", "--factors", "x:open", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "hyperfactor: factors: got x:open without an array, needs ARRAY.npy\n")
    for name in [name for name in sys.modules if name.startswith(("dash", "hyperfactor.explorer"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dash", None)
    done = hyperfactor("explore", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "hyperfactor: explore: got no dash, needs it: pip install 'hyperfactor[explore]'\n"
