"""One choice at a time: what it changes in a spec, and that the verdicts under it are those of the experiment."""

from typing import Any

import polars as pl
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.experiments import composition, data_efficiency, percolation_onset, recipes, torus
from hyperfactor.experiments.matrix import Choice
from hyperfactor.experiments.recipes import CHOICES, EXPERIMENT, MATRIX, SIZES, TESTED
from hyperfactor.figures.matrix import figure_recipes
from hyperfactor.runs.spec import RunSpec

from .fakes import FakeRun, composes, composition_under, interpolates, right_in


def leaves(plain: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The values of a nested document, by path."""
    if not isinstance(plain, dict):
        return {path: plain}
    return {key: value for name, part in plain.items() for key, value in leaves(part, (*path, name)).items()}


def test_the_laptop_recipe_is_that_of_the_experiments():
    found = EXPERIMENT.specs("laptop", 3)
    for test, module in (("torus", torus), ("composition", composition), ("percolation_onset", percolation_onset)):
        for role, spec in module.specs("laptop", 3).items():
            assert found[f"laptop recipe / {test} / {role}"].id == spec.id
    for role, spec in data_efficiency.specs("laptop", 3, SIZES).items():
        assert found[f"laptop recipe / data_efficiency / {role}"].id == spec.id


@pytest.mark.parametrize("choice", CHOICES[1:], ids=lambda choice: choice.name)
def test_a_choice_changes_what_it_names_and_nothing_else(choice: Choice):
    for test in MATRIX.tests(choice):
        for spec in TESTED[test].specs("laptop", 0).values():
            before, after = (leaves(one.model_dump(mode="json")) for one in (spec, choice.change(spec, test)))
            moved = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
            named = {(section, key) for section, keys in choice.sections.items() for key in keys}
            allowed = named | {("training", "steps"), ("training", "snapshots")}
            assert all(
                path[:2] in allowed or (path[0] == "encoding" and "encoding" in choice.sections) for path in moved
            )
            if choice.longer == 1 and choice.steps is None:
                assert moved
                assert not moved & {("training", "steps"), ("training", "snapshots")}


def test_no_two_choices_are_the_same_for_an_experiment():
    for test in TESTED:
        ids = [
            tuple(choice.change(spec, test).id for spec in TESTED[test].specs("laptop", 0).values())
            for choice in CHOICES
            if test in MATRIX.tests(choice)
        ]
        assert len(set(ids)) == len(ids)


def test_the_control_keeps_its_code():
    found = EXPERIMENT.specs("laptop", 0)
    for choice in (choice for choice in CHOICES if "torus" in MATRIX.tests(choice)):
        model, control = (found[f"{choice.name} / torus / {role}"] for role in ("torus", "no wrap"))
        assert control.encoding == torus.specs("laptop", 0)["no wrap"].encoding
        assert model.id != control.id


def test_epochs_count_the_pictures_of_the_training_set():
    (choice,) = (choice for choice in CHOICES if "epochs" in choice.name)
    for test in ("data_efficiency", "percolation_onset"):
        for spec in TESTED[test].specs("laptop", 0).values():
            changed = choice.change(spec, test)
            seen = changed.training.steps * changed.training.batch / len(spec.task.points)
            assert seen == pytest.approx(recipes.EPOCHS, rel=0.05)


def test_snapshots_move_with_the_steps():
    spec = torus.specs("laptop", 0)["torus"]
    twice = Choice("twice", longer={"torus": 2}).change(spec, "torus")
    assert twice.training.steps == 2 * spec.training.steps
    assert twice.training.snapshots == tuple(2 * step for step in spec.training.snapshots)


def test_a_search_goes_on_with_its_choice():
    choice = next(choice for choice in CHOICES if choice.name == "code: shortest 1")
    role = f"{choice.name} / data_efficiency / bumps | 8 | 0"
    spec = EXPERIMENT.specs("laptop", 0)[role]
    (following,) = EXPERIMENT.more("laptop", 0, {role: FakeRun(spec, right_in(0.1))}).items()  # pyright: ignore
    assert following[0] == f"{choice.name} / data_efficiency / bumps | 8 | 1"
    assert following[1].data.fraction == 2 * spec.data.fraction
    assert following[1].encoding == spec.encoding
    assert EXPERIMENT.search(role) == EXPERIMENT.search(following[0]) == f"{choice.name} / data_efficiency / bumps | 8"


def test_claims_are_those_of_the_experiments_by_choice(monkeypatch):
    """With the laptop recipe models compose, with another choice they interpolate."""
    roles = composition_under({"laptop recipe": composes, "equal steps": interpolates})
    claims, tables, _ = EXPERIMENT.analyse(roles)
    found = {claim.id: claim.verdict for claim in claims}
    assert found["laptop recipe: 2d.vertical.x"] == "holds"
    assert found["equal steps: 2d.vertical.x"] == "fails"
    matrix = tables["matrix"]
    assert matrix.height == len(claims) == 2 * len(composition.analyse(only(roles, "laptop recipe"))[0])
    assert figure_recipes(Shown(tables)).axes  # pyright: ignore


def test_parts_alone_have_the_models_of_the_whole():
    whole = EXPERIMENT.specs("laptop", 2)
    some = EXPERIMENT.only("laptop", ["epsilon prediction / torus", "epochs"])
    wanted = {
        role: spec.id
        for role, spec in whole.items()
        if role.startswith(("epsilon prediction / torus / ", "100 epochs / "))
    }
    assert {role: spec.id for role, spec in some.specs("laptop", 2).items()} == wanted
    assert len(wanted) == 2 + 8 + 24
    claims, tables, _ = EXPERIMENT.only("laptop", ["equal steps"]).analyse(
        composition_under({"equal steps": interpolates})
    )
    assert set(tables["matrix"]["choice"]) == {"equal steps"}
    assert {claim.id.split(":")[0] for claim in claims} == {"equal steps"}


def test_parts_that_are_not_there_are_refused():
    message = "^only: got 'epsilon', needs a part of recipes, or of its name: 'laptop recipe / torus', "
    with pytest.raises(RequestError, match=message):
        EXPERIMENT.only("smoke", ["torus", "epsilon"])
    with pytest.raises(RequestError, match="^only: got experiment torus, needs one whose analysis has parts$"):
        torus.EXPERIMENT.only("smoke", ["torus"])


def only(roles: dict[str, Any], name: str) -> Any:
    return {role.split(" / ")[2]: runs for role, runs in roles.items() if role.startswith(name)}


class Shown:
    """As much of a result as the figure reads."""

    preset, seeds = "laptop", (0,)

    def __init__(self, tables: dict[str, pl.DataFrame]):
        self.tables = tables


def test_a_preset_that_sets_the_steps_keeps_them_for_equal_steps():
    choice = next(choice for choice in CHOICES if choice.name == "equal steps")
    for preset in ("smoke", "paper"):
        spec: RunSpec = composition.specs(preset, 0)["2d"]
        assert choice.change(spec, "composition").training.steps == spec.training.steps
