"""What several experiments need, whatever the order in which runs finish."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest

import hyperfactor
from hyperfactor import RequestError, Run, RunSpec
from hyperfactor.experiments import EXPERIMENTS, data_efficiency
from hyperfactor.experiments.agenda import Agenda
from hyperfactor.experiments.base import PRESETS, Experiment, is_smoke
from hyperfactor.figures import FIGURES
from hyperfactor.images.gaussian import Bump
from hyperfactor.store.files import files_at


def of(steps: int, seed: int) -> RunSpec:
    return RunSpec.parse({"seed": seed, "training": {"steps": steps}})


def searching(name: str, first: int, tries: int) -> Experiment:
    """Trains for `first` steps, then for one step more than the last run, until there are `tries`."""

    def more(_preset, seed, runs):
        if len(runs) == tries:
            return {}
        return {str(len(runs)): of(1 + max(run.spec.training.steps for run in runs.values()), seed)}

    return Experiment(
        name, "?", (), lambda _preset, seed: {"0": of(first, seed)}, lambda _runs: ([], {}, {}), more,
        lambda _preset, _role: tries - 1,
    )  # fmt: skip


def finished(spec: RunSpec, share: float = 1.0) -> Any:
    """A run that draws this share of every region right."""
    table = pl.DataFrame({"right": [share]})
    return SimpleNamespace(spec=spec, id=spec.id, manifest={"seconds": {}}, evaluate=lambda _region: table)


def train(agenda: Agenda, choose: Callable[[list[RunSpec]], int], share: Callable[[RunSpec], float] = lambda _: 1.0):
    """Finish one wanted run after another, the chosen one first. Returns what was wanted each time."""
    wanted, seen = agenda.missing(), []
    while wanted:
        seen.append([(spec.training.steps, spec.seed) for spec in wanted])
        spec = wanted.pop(choose(wanted))
        wanted += agenda.add(finished(spec, share(spec)))
    return seen


def test_a_search_goes_on_until_it_needs_nothing_and_equal_specs_are_one_run():
    agenda = Agenda([searching("a", 10, 3), searching("b", 11, 1)], "smoke", 2)
    assert [(count, len(like)) for count, like in agenda.searched()] == [(2, 1), (2, 1)]
    assert train(agenda, lambda _: 0) == [
        [(10, 0), (10, 1), (11, 0), (11, 1)],
        [(10, 1), (11, 0), (11, 1)],  # after (10, 0), a wants 11 steps, which b wants already
        [(11, 0), (11, 1)],
        [(11, 1), (12, 0)],
        [(12, 0), (12, 1)],
        [(12, 1)],
    ]
    assert agenda.searched() == agenda.missing() == []
    assert len(agenda.specs()) == 6
    titles = {f"{name}, seed {seed}" for name in ("a 0", "a 2", "b 0") for seed in (0, 1)}
    assert set(agenda.titles().values()) == titles  # what a wants second is what b wanted first


def test_a_search_that_is_longer_for_one_seed_loses_no_run(tmp_path: Path):
    """Of 2 steps for seed 0 and 4 for seed 1, in steps of one."""

    def more(_preset, seed, runs):
        steps = max(run.spec.training.steps for run in runs.values())
        return {} if steps == (2, 4)[seed] else {str(steps): of(steps + 1, seed)}

    seen = {}

    def analyse(runs):
        seen.update({role: [(run.spec.seed, run.spec.training.steps) for run in found] for role, found in runs.items()})
        return [], {}, {}

    agenda = Agenda([Experiment("a", "?", (), lambda _preset, seed: {"0": of(1, seed)}, analyse, more)], "smoke", 2)
    train(agenda, lambda _: 0)
    agenda.results(files_at(tmp_path))
    assert seen == {"0": [(0, 1), (1, 1)], "1": [(0, 2), (1, 2)], "2": [(1, 3)], "3": [(1, 4)]}


def test_a_search_goes_on_without_waiting_for_another():
    """The roles of one search have the same first letter. That of `a` ends although no run of `b` is finished."""
    first = {"a0": of(1, 0), "b0": of(5, 0), "b1": of(6, 0)}

    def more(_preset, seed, runs):
        assert len({role[0] for role in runs}) == 1
        name = next(iter(runs))[0]
        return {} if len(runs) == 3 else {f"{name}{len(runs)}": of(100 * (name == "b") + 10 + len(runs), seed)}

    experiment = Experiment(
        "a", "?", (), lambda _preset, _seed: first, lambda _runs: ([], {}, {}), more, lambda _preset, _role: 2,
        search=lambda role: role[0],
    )  # fmt: skip
    agenda = Agenda([experiment], "smoke", 1)
    assert [count for count, _ in agenda.searched()] == [2, 2]
    assert [spec.training.steps for spec in agenda.add(finished(first["a0"]))] == [11]
    assert [spec.training.steps for spec in agenda.add(finished(of(11, 0)))] == [12]
    assert agenda.add(finished(of(12, 0))) == []
    assert [count for count, _ in agenda.searched()] == [2]
    assert agenda.add(finished(first["b1"])) == []
    assert [spec.training.steps for spec in agenda.add(finished(first["b0"]))] == [112]


def test_a_search_that_asks_for_what_it_has_is_over():
    def more(_preset, seed, runs):
        return {str(len(runs)): of(1 + len(runs) % 2, seed)}

    agenda = Agenda([Experiment("a", "?", (), lambda _p, seed: {"0": of(1, seed)}, lambda _: ([], {}, {}), more)],
                    "smoke", 1)  # fmt: skip
    assert train(agenda, lambda _: 0) == [[(1, 0)], [(2, 0)]]
    assert agenda.searched() == agenda.missing() == []


def by_rounds(share: Callable[[RunSpec], float]) -> dict[str, str]:
    """The ids of data_efficiency by role if every search waited for all others after each of its runs."""
    found = data_efficiency.specs("laptop", 0)
    while True:
        new = {}
        for name in dict.fromkeys(map(data_efficiency.search, found)):
            of_one = {role: finished(spec, share(spec)) for role, spec in found.items() if role.startswith(f"{name} |")}
            new |= data_efficiency.more("laptop", 0, of_one)
        if not new:
            return {role: spec.id for role, spec in found.items()}
        found |= new


def test_the_order_in_which_runs_finish_changes_neither_runs_nor_results(tmp_path: Path):
    """Of data_efficiency, with models that learn from pictures as a smooth curve has it, one curve a size."""

    def share(spec: RunSpec) -> float:
        picture = cast(Bump, spec.data.picture)
        amount = spec.data.fraction * cast(int, picture.canvas) ** 2
        return amount / (amount + 3 * picture.size)

    seen: list[dict[str, list[str]]] = []

    def analyse(runs):
        seen.append({role: [run.id for run in of_role] for role, of_role in runs.items()})
        return [], {}, {}

    experiment = replace(data_efficiency.EXPERIMENT, analyse=analyse)
    expected = {role: [run] for role, run in by_rounds(share).items()}
    assert len(expected) > 10 + 8
    dice = random.Random(0)
    orders = {"first": lambda _: 0, "last": lambda _: -1}
    for order in (*orders, *"abcdef"):
        agenda = Agenda([experiment], "laptop", 1)
        train(agenda, orders.get(order, lambda wanted: dice.randrange(len(wanted))), share)
        agenda.results(files_at(tmp_path / order))
        assert seen[-1] == expected
        assert list(seen[-1]) == list(expected)  # the order of tables


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("preset", PRESETS)
def test_each_experiment_has_valid_specs_of_its_own_in_each_preset(name: str, preset: str):
    experiment = EXPERIMENTS[name]
    found = experiment.specs(preset, 1)
    assert found
    if name != "recipes":  # a choice may leave a model as it was
        assert len({spec.id for spec in found.values()}) == len(found)
    assert {spec.seed for spec in found.values()} == {1}
    assert tuple(FIGURES[name]) == experiment.figures
    with pytest.raises(RequestError, match="preset: got 'huge'"):
        experiment.specs("huge", 0)


def test_an_experiment_is_reproduced_from_python(tiny: RunSpec, run: Run, store: Path, monkeypatch: pytest.MonkeyPatch):
    """A search trains twice; a run of the store is not trained again, and an error of a run is raised."""
    second = tiny.model_copy(update={"seed": 1})

    def more(_preset, _seed, runs):
        return {} if "b" in runs else {"b": second}

    def analyse(runs):
        return [], {"trained": pl.DataFrame({"id": [one.id for of_role in runs.values() for one in of_role]})}, {}

    monkeypatch.setitem(EXPERIMENTS, "made", Experiment("made", "?", (), lambda *_: {"a": tiny}, analyse, more))
    result = hyperfactor.reproduce("made", "smoke", store=store, workers=1)
    assert result.tables["trained"]["id"].to_list() == [run.id, second.id]
    assert [(note.role, note.seed) for note in result.runs] == [("a", 0), ("b", 1)]
    (kept,) = (one for one in hyperfactor.Store(store).results() if one.question.experiment == "made")
    assert hyperfactor.Result.open(store, kept.key).tables["trained"].equals(result.tables["trained"])

    hot = tiny.model_copy(update={"training": tiny.training.model_copy(update={"learning_rate": 1e30, "warmup": 0})})
    monkeypatch.setitem(EXPERIMENTS, "made", Experiment("made", "?", (), lambda *_: {"a": hot}, analyse))
    with pytest.raises(hyperfactor.DivergedError):
        hyperfactor.reproduce("made", "smoke", store=store, workers=1)
    with pytest.raises(RequestError, match="experiment: got 'none', needs one of torus"):
        hyperfactor.reproduce("none")
    with pytest.raises(RequestError, match="seeds: got 0"):
        hyperfactor.reproduce("torus", seeds=0)


def test_only_runs_of_the_smoke_preset_are_taken_for_them():
    """An analysis of smoke runs takes less of everything; `many_factors` and `data_efficiency` test few points too."""
    for name, experiment in EXPERIMENTS.items():
        for preset in ("smoke", "laptop"):
            specs = experiment.specs(preset, 0)
            runs = [SimpleNamespace(spec=spec) for spec in specs.values()]
            assert is_smoke(*cast("list[Run]", runs)) == (preset == "smoke"), name
