"""What several experiments need, round by round."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from hyperfactor import RequestError, RunSpec
from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.experiments.base import PRESETS, Experiment
from hyperfactor.experiments.rounds import Rounds
from hyperfactor.figures import FIGURES
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
        lambda _preset: tries - 1,
    )  # fmt: skip


def finished(specs: list[RunSpec]):
    return {spec.id: SimpleNamespace(spec=spec, id=spec.id, manifest={"seconds": {}}) for spec in specs}


def test_a_search_goes_on_until_it_needs_nothing_and_equal_specs_are_one_run():
    rounds = Rounds([searching("a", 10, 3), searching("b", 11, 1)], "smoke", 2)
    assert [(count, len(like)) for count, like in rounds.searched()] == [(2, 1), (2, 1)]
    asked = []
    while wanted := rounds.missing():
        asked.append(sorted((spec.training.steps, spec.seed) for spec in wanted))
        rounds.add(finished(wanted))  # pyright: ignore[reportArgumentType]
    assert rounds.searched() == []
    assert len(rounds.specs()) == 6
    assert asked == [[(10, 0), (10, 1), (11, 0), (11, 1)], [(12, 0), (12, 1)]]  # 11 was there: it is b's too
    assert set(rounds.titles().values()) >= {"a 0, seed 0", "a 2, seed 1", "b 0, seed 1"}


def test_a_search_that_is_longer_for_one_seed_loses_no_run(tmp_path: Path):
    """Of 2 steps for seed 0 and 4 for seed 1, in steps of one."""

    def more(_preset, seed, runs):
        steps = max(run.spec.training.steps for run in runs.values())
        return {} if steps == (2, 4)[seed] else {str(steps): of(steps + 1, seed)}

    seen = {}

    def analyse(runs):
        seen.update({role: [(run.spec.seed, run.spec.training.steps) for run in found] for role, found in runs.items()})
        return [], {}, {}

    rounds = Rounds([Experiment("a", "?", (), lambda _preset, seed: {"0": of(1, seed)}, analyse, more)], "smoke", 2)
    while wanted := rounds.missing():
        rounds.add(finished(wanted))  # pyright: ignore[reportArgumentType]
    rounds.results(files_at(tmp_path))
    assert seen == {"0": [(0, 1), (1, 1)], "1": [(0, 2), (1, 2)], "2": [(1, 3)], "3": [(1, 4)]}


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("preset", PRESETS)
def test_each_experiment_has_valid_specs_of_its_own_in_each_preset(name: str, preset: str):
    experiment = EXPERIMENTS[name]
    found = experiment.specs(preset, 1)
    assert found
    assert len({spec.id for spec in found.values()}) == len(found)
    assert {spec.seed for spec in found.values()} == {1}
    assert tuple(FIGURES[name]) == experiment.figures
    with pytest.raises(RequestError, match="preset: got 'huge'"):
        experiment.specs("huge", 0)
