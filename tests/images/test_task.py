from typing import Literal

import numpy as np
import pytest

from hyperfactor import RequestError
from hyperfactor.factors.encoding import ByFactor, OneHot, Sinusoidal
from hyperfactor.factors.regions import Corner, Cross, Everything, Region, Strip
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.gaussian import Bump, Sos
from hyperfactor.images.task import DataSpec, Task


def task_of(data: DataSpec, seed: int = 0) -> Task:
    return Task(data, Sinusoidal(), seed)


SPEC = DataSpec(train=Bump().window() - Cross(bounds=(13, 19)))


def test_pictures_and_factors_belong_together():
    task = task_of(SPEC)
    images, conditions = task.batch(np.arange(len(task)))
    assert images.shape == (625, 1, 32, 32)
    assert images.dtype == conditions.dtype == np.float32
    assert conditions.shape == (625, task.width)
    row = 417
    peak = np.unravel_index(images[row, 0].argmax(), (32, 32))
    assert (peak[1], peak[0]) == tuple(task.points[row])
    assert (conditions[row] == Sinusoidal().encode(task.points[row : row + 1], task.space)[0]).all()


def test_a_fraction_is_a_seeded_part_of_the_whole():
    spec = SPEC.model_copy(update={"fraction": 0.2})
    some, again, other = task_of(spec, 0).points, task_of(spec, 0).points, task_of(spec, 1).points
    whole = {tuple(point) for point in task_of(SPEC, 0).points}
    assert len(some) == 125
    assert {tuple(point) for point in some} < whole
    assert (some == again).all()
    assert not np.array_equal(some, other)


def test_spacing_thins_the_lattice():
    assert len(task_of(DataSpec(spacing={"x": 2, "y": 4}), 0).points) == 16 * 8


def test_the_lattice_looked_at_may_be_another_one_than_the_lattice_trained_on():
    spec = DataSpec(spacing=0.5, test_spacing={"y": 2}, train=Strip(factor="x", low=3, high=4))
    assert len(task_of(spec, 0).points) == 3 * 63
    assert len(task_of(spec).region(spec.train)) == 2 * 16
    assert [len(axis) for axis in spec.test_axes()] == [32, 16]
    assert len(spec.test_lattice()) == 32 * 16
    assert len(task_of(DataSpec(spacing=0.5)).region(spec.train)) == 3 * 63


def test_an_empty_training_set_is_refused():
    with pytest.raises(RequestError, match="data.train: got 0 of the 1024 lattice points"):
        _ = task_of(DataSpec(train=Cross(bounds=(0, 5)) - Cross(bounds=(0, 31)))).points
    with pytest.raises(RequestError, match="data.train"):
        _ = task_of(DataSpec(fraction=1e-4)).points


def test_test_points_caps_a_region():
    spec = DataSpec(test_points=10)
    assert len(task_of(spec).region(Strip(factor="x", low=3, high=9))) == 10
    assert len(task_of(spec).region(Corner(bounds=(0, 31), width=2))) == 4
    with pytest.raises(RequestError, match="region: got none"):
        task_of(spec).region(Strip(factor="x", low=3.2, high=3.8))


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_what_was_trained_on_is_found_within_rounding(boundary):
    train = Everything() - Strip(factor="x", low=0.2, high=0.6)
    spec = DataSpec(picture=Bump(size=8, boundary=boundary), spacing={"x": 0.1, "y": 2.0}, train=train)
    tenths = np.array([[k / 10, 2.0] for k in range(71)])  # the lattice's are 0.1 x k
    assert np.flatnonzero(~task_of(spec, 0).trained_on(tenths)).tolist() == [2, 3, 4, 5, 6]
    assert not task_of(spec, 0).trained_on(tenths[:70] + np.array([0.05, 0])).any()
    assert not task_of(spec, 0).trained_on(tenths[:70] + np.array([1e-5, 0])).any()
    if boundary == "periodic":
        assert task_of(spec, 0).trained_on(np.array([[8.0, 8.0], [0.0, 8.0]])).all()


def test_what_a_fraction_left_out_was_not_trained_on():
    spec = DataSpec(picture=Bump(size=8), fraction=0.3)
    lattice = spec.lattice()
    chosen = {tuple(point) for point in task_of(spec, 4).points}
    assert [tuple(p) in chosen for p in lattice] == task_of(spec, 4).trained_on(lattice).tolist()
    with pytest.raises(RequestError, match="row 0, x: got 99"):
        task_of(spec, 4).trained_on(np.array([[99.0, 0]]))


def test_a_fraction_of_a_half_point_does_not_depend_on_rounding():
    """0.575 x 100 is 57.49999999999999 in floating point; halves go to the even number."""
    square = Strip(factor="x", low=0, high=9)
    for fraction, n in ((0.575, 184), (0.3, 96), (1.0, 320)):
        assert len(task_of(DataSpec(train=square, fraction=fraction), 0).points) == n
    hundred = DataSpec(train=Corner(bounds=(0, 31), width=10), fraction=0.575)
    assert len(task_of(hundred, 0).points) == 58


def test_a_slice_has_the_other_factors_fixed():
    spec = DataSpec(fixed={"y": 7}, test_fixed={"x": 3.5})
    assert task_of(spec).points.tolist() == [[float(x), 7.0] for x in range(32)]
    assert spec.test_lattice().tolist() == [[3.5, 7.0]]
    with pytest.raises(RequestError, match=r"y: got 40, needs a value in 0\.\.31"):
        DataSpec(fixed={"y": 40}).lattice()
    with pytest.raises(RequestError, match="factor: got 'z', needs one of x, y"):
        DataSpec(fixed={"z": 1}).lattice()


def test_pictures_of_a_large_set_are_those_of_a_small_one(monkeypatch: pytest.MonkeyPatch):
    chosen = np.array([3, 600, 3, 0])
    kept = task_of(SPEC).batch(chosen)
    monkeypatch.setattr("hyperfactor.images.task.KEPT", 1000)
    large = task_of(SPEC)
    assert not large.keeps
    for a, b in zip(kept, large.batch(chosen), strict=True):
        assert (a == b).all()


def test_each_factor_has_its_own_encoding():
    codes = ByFactor(factors={"x": Sinusoidal(dimensions=4), "y": OneHot()})
    task = Task(DataSpec(picture=Sos()), codes, 0)
    points = np.array([[3.0, 5.0]])
    x, y = task.space.factors
    expected = np.concatenate([Sinusoidal(dimensions=4).code(points[:, 0], x), OneHot().code(points[:, 1], y)], axis=1)
    assert task.width == 4 + 32
    assert (task.encode(points) == expected.astype(np.float32)).all()


@pytest.mark.parametrize("name", ["error", "n", "all", "region", "right", "valid", "x_read", "y_correct", "a_copied"])
def test_a_factor_must_not_have_the_name_of_a_column(name: str, monkeypatch: pytest.MonkeyPatch):
    space = FactorSpace((Factor(name, 0, 31), Factor("y", 0, 31)))
    monkeypatch.setattr(Bump, "space", lambda _self: space)
    with pytest.raises(RequestError, match=f"data.picture: got a factor called '{name}', needs another name"):
        task_of(DataSpec())


@pytest.mark.parametrize(("found", "words"), [
    (lambda points: (points[:, 0] > 15).astype(int), r"contains: got int64 of shape \(1024,\) for 1024 points"),
    (lambda points: points[:5, 0] > 15, r"contains: got bool of shape \(5,\) for 1024 points"),
])  # fmt: skip
def test_a_region_of_a_user_is_checked(found, words: str):
    class Half(Region):
        kind: Literal["half"] = "half"

        def contains(self, points, space):
            return found(points)

    for region in (Half(), Everything() - Half(), Half() | Half()):
        with pytest.raises(RequestError, match=words):
            _ = task_of(DataSpec(train=region)).points


@pytest.mark.parametrize(("change", "words"), [
    (lambda images: images * 255, r"render: got values from .* to 255, needs 0 to 1"),
    (lambda images: images[:, :, 1:], r"render: got shape \(4, 1, 31, 32\), needs \(4, 1, 32, 32\)"),
])  # fmt: skip
def test_pictures_of_a_user_are_checked(change, words: str):
    class Mine(Bump):
        family: Literal["mine"] = "mine"  # pyright: ignore[reportIncompatibleVariableOverride]

        def render(self, points):
            return change(super().render(points))

    with pytest.raises(RequestError, match=words):
        task_of(DataSpec(picture=Mine())).render(Mine().space().lattice()[:4])
