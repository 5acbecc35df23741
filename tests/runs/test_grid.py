import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hyperfactor import RequestError, RunSpec
from hyperfactor.runs.grid import grid, load_grid

BASE = {"training": {"steps": 10}}


def values(specs, *names: str) -> list[tuple]:
    found = []
    for spec in specs:
        data = spec.model_dump()
        row = []
        for name in names:
            value = data
            for part in name.split("."):
                value = value[part]
            row.append(value)
        found.append(tuple(row))
    return found


def test_product_zip_and_list():
    specs, wrong = grid(
        BASE,
        product={"seed": [0, 1]},
        zip={"model.width": [4, 8], "training.batch": [16, 8]},
        list=[{}, {"training.steps": 20, "encoding": {"kind": "ramp"}}],
    )
    assert not wrong
    found = values(specs, "seed", "model.width", "training.batch", "training.steps", "encoding.kind")
    assert found == [
        (seed, width, batch, steps, kind)
        for seed in (0, 1)
        for width, batch in ((4, 16), (8, 8))
        for steps, kind in ((10, "sinusoidal"), (20, "ramp"))
    ]


@pytest.mark.parametrize(
    "seeds",
    [np.arange(3), [*np.arange(3)], range(3), (0, 1, 2), iter([0, 1, 2]), (k for k in range(3)), pl.Series([0, 1, 2])],
)
def test_values_come_in_anything_that_has_an_order(seeds):
    specs, wrong = grid(BASE, product={"seed": seeds}, zip={"training.batch": np.array([4, 8]), "model.width": (4, 8)})
    assert not wrong
    found = values(specs, "seed", "training.batch", "model.width")
    assert found == [(seed, k, k) for seed in (0, 1, 2) for k in (4, 8)]
    specs, _ = grid(BASE, list=iter([{"training.batch": np.int64(4)}]))
    assert [spec.id for spec in specs] == [RunSpec.parse({"training": {"steps": 10, "batch": 4}}).id]


def test_equal_specs_are_one():
    specs, _ = grid(BASE, product={"seed": [0, 0]}, list=[{}, {"training.steps": 10}])
    assert [spec.id for spec in specs] == [RunSpec.parse(BASE).id]


def test_the_base_alone_is_one_spec():
    assert grid(BASE)[0] == (RunSpec.parse(BASE),)


@pytest.mark.parametrize("section_first", [True, False])
def test_a_section_comes_before_its_keys(section_first: bool):
    product = {"model": [{"kind": "mlp"}, {"kind": "decoder"}], "model.width": [8, 16]}
    specs, wrong = grid({}, product=product if section_first else dict(reversed(product.items())))
    assert set(values(specs, "model.kind", "model.width")) == set(itertools.product(["mlp", "decoder"], [8, 16]))
    assert not wrong


def test_a_combination_that_is_no_spec_is_told_and_stops_no_other():
    specs, wrong = grid(BASE, product={"seed": [0, 1], "training.steps": [5, -5]})
    assert values(specs, "seed", "training.steps") == [(0, 5), (1, 5)]
    assert wrong == tuple(
        f"seed={seed}, training.steps=-5: training.steps: got -5, needs an integer of at least 1" for seed in (0, 1)
    )


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"product": {"seed": 3}}, "product.seed: got 3, needs a list"),
        ({"product": {"seed": []}}, "product.seed: got \\[\\], needs a list"),
        ({"zip": {"seed": [1, 2], "training.batch": [4]}}, "zip: got lists of different lengths"),
        ({"list": []}, "list: got \\[\\], needs a list of mappings"),
        ({"list": [3]}, "list: got \\[3\\], needs a list of mappings"),
        ({"list": {"seed": 3}}, "list: got .*, needs a list of mappings"),
        ({"product": {"seed": "012"}}, "product.seed: got '012', needs a list"),
        ({"product": {"seed": {0, 1}}}, "product.seed: got {0, 1}, needs a list"),
        ({"product": {"seed": np.array(3)}}, r"product.seed: got array\(3\), needs a list"),
        ({"product": [1]}, "product: got list, needs a mapping from keys to lists"),
        ({"product": {"seed": itertools.count()}}, "product.seed: got over 100,000 values, needs at most 100,000"),
        ({"product": {"seed": [0, 1]}, "list": [{"seed": 5}]}, "grid: got 'seed' in two of product, zip and list"),
        ({"product": {"seed": [0]}, "zip": {"seed": [5]}}, "grid: got 'seed' in two of product, zip and list"),
        (
            {"product": {"seed": range(1000), "training.batch": range(1000)}},
            "grid: got 1,000,000 combinations, needs at most",
        ),
    ],
)
def test_malformed_requests(request_, words: str):
    with pytest.raises(RequestError, match=words) as caught:
        grid(BASE, **request_)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", [1, "", "training..steps", None])
def test_keys_that_are_none_are_told(key):
    assert "override: got the key" in grid(BASE, product={key: [1]})[1][0]


def test_a_base_that_is_no_mapping():
    with pytest.raises(RequestError, match="base: got list, needs a mapping"):
        grid([1])  # pyright: ignore[reportArgumentType]


def test_a_file(tmp_path: Path):
    (tmp_path / "base.yaml").write_text("training: {steps: 10}\n")
    path = tmp_path / "sweep.yaml"
    path.write_text("base: base.yaml\nproduct:\n  seed: [0, 1]\n  training.learning_rate: [1e-3, 2e-3]\n")
    specs, _ = load_grid(path, ["training.batch=2"])
    found = values(specs, "seed", "training.learning_rate", "training.steps", "training.batch")
    assert found == [(0, 1e-3, 10, 2), (0, 2e-3, 10, 2), (1, 1e-3, 10, 2), (1, 2e-3, 10, 2)]
    path.write_text("bases: {}\n")
    with pytest.raises(RequestError, match="unknown key 'bases', needs one of base, product, zip, list"):
        load_grid(path)
    path.write_text("product: [1]\n")
    with pytest.raises(RequestError, match="product: got \\[1\\], needs a mapping from keys to lists"):
        load_grid(path)
