"""The result of an experiment is kept, found again, and opened without runs."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from hyperfactor import RequestError, Result, Store, StoreError
from hyperfactor.experiments import base
from hyperfactor.experiments.base import Experiment, Part, Parts
from hyperfactor.experiments.claims import Bound, Estimate, claim
from hyperfactor.store import results
from hyperfactor.store.files import Folder
from hyperfactor.store.results import Content, Question


class Spec:
    seed = 0

    def model_dump(self, mode: str):
        return {"seed": 0, "data": {"size": 8}}


RUNS = {
    "a": [
        SimpleNamespace(id=name, spec=Spec(), manifest={"seconds": {"train": 2.0, "evaluate": 1.0}})
        for name in ("1f", "2f")
    ]
}
OTHERS = {"a": [RUNS["a"][0]]}


def experiment(calls: list[int]) -> Experiment:
    def analyse(runs):
        calls.append(1)
        values = [Estimate(0.1 + 0.2, 0.0, 1 / 3, "by hand")]
        table = pl.DataFrame({"n": [1, None], "share": [1 / 3, 2 / 3], "model": ["a", "b"]})
        return (
            [
                claim("x.y", "2", "a statement", Bound(">", 0.1), lambda: values),
                claim("x.z", "2", "another", Bound(">", 0.1), lambda: values, terms="paper", unless=["not learnt"]),
            ],
            {"t": table},
            {"R": np.arange(6.0).reshape(2, 3)},
        )

    return Experiment("made up", "?", (), lambda _preset, _seed: {}, analyse)


def ask(calls: list[int], files: Folder, runs=RUNS) -> Result:
    return experiment(calls).result("smoke", (0, 1), runs, files)  # pyright: ignore[reportArgumentType]


def same(a: Result, b: Result) -> bool:
    assert (a.experiment, a.preset, a.seeds, a.claims, a.runs) == (b.experiment, b.preset, b.seeds, b.claims, b.runs)
    assert a.tables.keys() == b.tables.keys()
    assert all(a.tables[name].equals(b.tables[name]) for name in a.tables)
    assert a.arrays.keys() == b.arrays.keys()
    return all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)


def test_it_is_computed_once(tmp_path: Path):
    calls: list[int] = []
    first, again = ask(calls, Folder(tmp_path)), ask(calls, Folder(tmp_path))
    assert len(calls) == 1
    assert same(first, again)
    assert [claim.verdict for claim in again.claims] == ["undecided", "not measured"]
    ask(calls, Folder(tmp_path), OTHERS)
    assert len(calls) == 2


def test_it_is_opened_without_its_runs(tmp_path: Path):
    first = ask([], Folder(tmp_path))
    (kept,) = Store(tmp_path).results()
    assert kept.question == Question("made up", "smoke", (0, 1), {"a": ("1f", "2f")})
    opened = Result.open(tmp_path, kept.key[:6])
    assert same(first, opened)
    assert opened.seconds == 6.0
    assert json.loads(json.dumps(opened.to_json()))["runs"][1] == {"role": "a", "seed": 0, "id": "2f"}
    with pytest.raises(RequestError, match="result: got 'x', which names no result"):
        Result.open(tmp_path, "x")


def test_one_that_another_version_kept_is_told(tmp_path: Path):
    question = Question("made up", "smoke", (0,), {})
    results.save(Folder(tmp_path), question, Content({"claims": [{"words": 1}], "runs": []}, {}, {}))
    with pytest.raises(StoreError, match=r"result .*another version kept on 20.*reproduce made up` computes it again"):
        Result.open(tmp_path, question.key())


def test_a_damaged_one_is_computed_again(tmp_path: Path):
    calls: list[int] = []
    ask(calls, Folder(tmp_path))
    for suffix in ("npz", "json"):
        (path,) = (tmp_path / ".results").glob(f"*.{suffix}")
        path.write_bytes(path.read_bytes()[:-9])
        before = len(calls)
        ask(calls, Folder(tmp_path))
        ask(calls, Folder(tmp_path))
        assert len(calls) == before + 1
    path.unlink()
    path.mkdir()
    before = len(calls)
    ask(calls, Folder(tmp_path))
    assert len(calls) == before + 1


@pytest.mark.parametrize("at_once", [False, True])
def test_an_analysis_in_parts_that_was_interrupted_continues(
    at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each run is a part, and is analysed once, also when a result of more runs needs it."""
    of_one, done, interrupts = experiment([]), [], [KeyboardInterrupt]
    others = {"a": RUNS["a"], "b": [SimpleNamespace(**{**vars(RUNS["a"][0]), "id": "3f"})]}

    def split(of_roles):
        each = [(role, one) for role, of_role in of_roles.items() for one in of_role]
        return {str(k): Part({role: [one]}, analyse, lambda _preset, k=k: 7 + k) for k, (role, one) in enumerate(each)}

    def analyse(runs):
        (run,) = (run for of_role in runs.values() for run in of_role)
        if run.id == "2f" and interrupts:
            raise interrupts.pop()
        done.append(run.id)
        return of_one.analyse(runs)

    def join(analysed: Any) -> Any:
        claims, tables, arrays = analysed["0"][1]
        return claims, dict.fromkeys(analysed, tables["t"]), arrays

    whole = replace(of_one, analyse=Parts(split, join, at_once))
    with pytest.raises(KeyboardInterrupt):
        whole.result("smoke", (0, 1), RUNS, Folder(tmp_path))  # pyright: ignore[reportArgumentType]
    assert Store(tmp_path).results() == []
    monkeypatch.setattr(base, "effort_of_a_picture", lambda _spec: 1.0)
    spec, files = RUNS["a"][0].spec, Folder(tmp_path)
    assert whole.costs("smoke", {"a": [spec, spec]}) == [(7, spec), (8, spec)]  # pyright: ignore[reportArgumentType]
    left = whole.costs_left("smoke", (0, 1), RUNS, files)  # pyright: ignore[reportArgumentType]
    assert left == [(8, RUNS["a"][1].spec)]
    said: list[str] = []
    for runs, parts in ((RUNS, ["1f", "2f"]), (RUNS, ["1f", "2f"]), (others, ["1f", "2f", "3f"])):
        found = whole.result("smoke", (0, 1), runs, files, lambda name, _: said.append(name))  # pyright: ignore
        assert done == parts
        assert list(found.tables) == [str(k) for k in range(len(parts))]
        assert whole.costs_left("smoke", (0, 1), runs, files) == []  # pyright: ignore[reportArgumentType]
    assert said == ["made up, 1", "made up", "made up, 2", "made up"]
    kept = Store(tmp_path).results()  # parts are not listed
    assert {(one.question.part, len(one.question.runs)) for one in kept} == {("", 1), ("", 2)}
    assert list(results.damaged(Folder(tmp_path))) == []


def test_a_store_that_cannot_be_written_keeps_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    calls: list[int] = []
    for _ in range(2):
        ask(calls, Folder(tmp_path / "file"))
    assert len(calls) == 2


def test_the_seconds_of_a_result_are_those_of_its_own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two runs of 3 s each, and three looks after the first at a clock that gains a quarter of a second at each."""
    looks = itertools.count()
    monkeypatch.setattr(base.time, "perf_counter", lambda: 1000 + next(looks) / 4)
    assert ask([], Folder(tmp_path)).seconds == 6.75
