import json
from pathlib import Path

import pytest

from hyperfactor import RequestError, Run, RunSpec, Store, train
from hyperfactor.errors import DivergedError
from hyperfactor.store.table import COLUMNS, column_names, table
from hyperfactor.store.verify import verify


@pytest.fixture(scope="module")
def full(tiny: RunSpec, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three finished runs, one that failed, and one that was started."""
    store = Store(tmp_path_factory.mktemp("table"))
    for seed in (0, 1, 2):
        train(tiny.model_copy(update={"seed": seed}), store.url)
    bad = tiny.training.model_copy(update={"learning_rate": 1e30, "clip": 1e30, "steps": 100})
    with pytest.raises(DivergedError):
        train(tiny.model_copy(update={"training": bad}), store.url)
    begun = tiny.model_copy(update={"seed": 9})
    with store.lease(begun.id):
        store.start(begun.id, begun.model_dump(mode="json"))
    return store


def test_a_row_a_run_with_what_was_recorded(full: Store, tiny: RunSpec, run: Run):
    frame = table(full.entries())
    assert tuple(frame.columns) == COLUMNS
    assert sorted(frame["state"]) == ["failed", "finished", "finished", "finished", "unfinished"]
    (row,) = frame.filter(frame["id"] == tiny.id).to_dicts()
    right = dict(run.accuracy().select("region", "right").iter_rows())
    assert row["accuracy.train.right"] == right["train"]
    assert row["training.steps"] == 12
    (row,) = table(full.entries(), ["MB", "id"], f"id = '{tiny.id}'").to_dicts()
    assert row["MB"] == pytest.approx(sum(a["bytes"] for a in run.manifest["artifacts"].values()) / 1e6)


def test_columns_are_keys_of_the_spec_and_of_the_manifest(full: Store, tiny: RunSpec):
    frame = table(full.entries(), ["id", "model.width", "model.attention", "versions.torch", "accuracy.held_out.n"])
    (row,) = frame.filter(frame["id"] == tiny.id).to_dicts()
    assert row["model.width"] == 4
    assert json.loads(row["model.attention"]) == ["down2", "up1"]
    assert row["accuracy.held_out.n"] == 7
    everything = table(full.entries(), ["*"])
    assert {"data.picture.family", "reason", "seconds.train", "training.betas"} <= set(everything.columns)
    assert everything.height == 5


@pytest.mark.parametrize(
    ("where", "seeds"),
    [
        ("seed >= 1 and state = 'finished'", [1, 2]),
        ("training.steps = 100", [0]),
        ('"training.steps" < 100 and seed < 2', [0, 1]),
        ("state in ('failed', 'unfinished')", [0, 9]),
        ("accuracy.train.n > 0 and seed = 2", [2]),
        ("data.picture.family = 'bump'", []),
    ],
)
def test_conditions(full: Store, where: str, seeds: list[int]):
    assert sorted(table(full.entries(), ["seed"], where)["seed"]) == seeds


ODD = ("a.b", "my region", "d,e", 'say "f"', "g/h'i", "*")


@pytest.fixture
def odd(tiny: RunSpec, tmp_path: Path) -> Store:
    """A run whose regions have names that need quotes, with an error that is not finite."""
    store = Store(tmp_path)
    accuracy = {name: {"right": k / 10, "error": float("inf")} for k, name in enumerate(ODD)}
    with store.lease(tiny.id):
        store.start(tiny.id, tiny.model_dump(mode="json"))
        store.finish(
            tiny.id, tiny.model_dump(mode="json"), {}, {"accuracy": accuracy, "seconds": {"train": float("nan")}}
        )
    return store


def test_numbers_are_compared_as_numbers_beside_values_by_name(tiny: RunSpec, tmp_path: Path):
    store = Store(tmp_path)
    for sigma in (2.0, {"x": 1.0, "y": 2.0}):
        spec = RunSpec.parse({"data": {"picture": {"sigma": sigma}}})
        with store.lease(spec.id):
            store.start(spec.id, spec.model_dump(mode="json"))
    name = "data.picture.sigma"
    assert table(store.entries(), [name], f"{name} > 10.5").height == 0
    assert table(store.entries(), [name], f"{name} > 1.5")[name].to_list() == ["2"]
    assert table(store.entries(), ["id"]).height == 2


def test_columns_with_odd_names_are_found(odd: Store):
    names = [f"accuracy.{name}.right" for name in ODD]
    assert table(odd.entries(), names).row(0) == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert set(names) <= set(table(odd.entries(), ["*"]).columns)
    for k, name in enumerate(names):
        quoted = name.replace('"', '""')
        assert table(odd.entries(), ["id"], f'"{quoted}" = {k / 10}').height == 1
        assert table(odd.entries(), ["id"], f'"{quoted}" > {k / 10 + 0.05}').height == 0
        assert column_names(f'id,"{quoted}", seed') == ["id", name, "seed"]


def test_columns_joined_by_commas():
    assert column_names("") == []
    assert column_names("id, training.steps,,*") == ["id", "training.steps", "*"]
    assert column_names("accuracy.my region.right") == ["accuracy.my region.right"]
    for text in ('id,"a', '"a"b', "id\nseed"):
        with pytest.raises(RequestError, match="columns: got .*, needs names joined by commas"):
            column_names(text)


def test_what_is_not_finite_is_null(odd: Store, tiny: RunSpec):
    assert table(odd.entries(), ["accuracy.a.b.error", "seconds.train"]).row(0) == (None, None)
    json.loads((odd.folder(tiny.id) / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert list(verify(odd)) == []


def test_what_is_not_there_is_told(full: Store, tmp_path: Path):
    with pytest.raises(RequestError, match="columns: got 'training.stepz', needs one of .*training.steps"):
        table(full.entries(), ["training.stepz"])
    with pytest.raises(RequestError, match="columns: got 'seed' 2 times, needs each column once"):
        table(full.entries(), ["seed", "id", "seed"])
    with pytest.raises(RequestError, match="where: got 'seed >', needs a condition"):
        table(full.entries(), where="seed >")
    with pytest.raises(RequestError, match="where: got 'nothing = 1', needs a condition"):
        table(full.entries(), where="nothing = 1")
    assert table(Store(tmp_path / "none").entries()).is_empty()
