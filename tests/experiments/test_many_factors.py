"""Many factors: what each set contains, where a search ends, and that its verdicts tell kinds of learners apart."""

from typing import Any

import numpy as np
import pytest

from hyperfactor.experiments import many_factors
from hyperfactor.experiments.many_factors import EXPERIMENT, FACTORS, VALUES, axes, family, fixed
from hyperfactor.figures.many_factors import figure_many_factors
from hyperfactor.runs.spec import RunSpec

from .fakes import FakeRun, composes, copies, interpolates, right_in


@pytest.mark.parametrize("count", FACTORS)
def test_the_axes_differ_from_the_first_picture_in_one_factor(count: int):
    space = family(count).space()
    lattice = space.lattice(many_factors.SPACING, fixed(count))
    assert len(lattice) == VALUES**count
    along = lattice[axes(count).contains(lattice, space)]
    assert len(along) == 1 + count * (VALUES - 1)
    moved = (along != lattice[0]).sum(axis=1)
    assert set(moved) == {0, 1}


@pytest.mark.parametrize("count", FACTORS)
def test_splits_hold_out_at_most_half(count: int):
    specs = EXPERIMENT.specs("laptop", 0)
    for kind in many_factors.SPLITS:
        data = specs[f"{kind} | {count}"].data
        lattice, space = data.lattice(), data.picture.space()
        tested, trained = (region.contains(lattice, space) for region in (data.test["held out"], data.train))
        assert (tested ^ trained).all()
        assert 0.05 < tested.mean() < 0.5
        if kind == "composition":  # every value of a factor is trained on
            for k in range(lattice.shape[1]):
                assert set(lattice[trained, k]) == set(lattice[:, k])


def test_a_search_with_axes_adds_combinations_and_keeps_the_axes():
    role = "with axes | 3 | 0"
    spec = EXPERIMENT.specs("laptop", 5)[role]
    first = {tuple(point) for point in spec.task.points.tolist()}
    (following,) = EXPERIMENT.more("laptop", 5, {role: FakeRun(spec, right_in(0.1))}).items()  # pyright: ignore
    assert following[0] == "with axes | 3 | 1"
    then = {tuple(point) for point in following[1].task.points.tolist()}
    assert first < then
    assert len(then) == 2 * len(first)
    assert EXPERIMENT.search(role) == EXPERIMENT.search(following[0])


def test_a_search_ends_if_the_axes_alone_are_enough():
    role = "with axes | 3 | 0"
    spec = EXPERIMENT.specs("laptop", 5)[role]
    assert EXPERIMENT.more("laptop", 5, {role: FakeRun(spec, interpolates)}) == {}  # pyright: ignore


def searched(enough: Any, seed: int = 0) -> dict[str, list[FakeRun]]:
    """All runs of a seed; a model of random combinations is right if `enough(factors, pictures)`."""

    def run(role: str, spec: RunSpec) -> FakeRun:
        of, count, *_ = role.split(" | ")
        if of in many_factors.SETS:
            return FakeRun(spec, interpolates if enough(int(count), len(spec.task.points)) else right_in(0.0))
        shapes: Any = {None: lambda points: np.repeat(points, 2, axis=1)}
        return FakeRun(spec, composes if of == "composition" else copies if of == "interpolation" else interpolates,
                       shapes)  # fmt: skip

    found = {role: run(role, spec) for role, spec in EXPERIMENT.specs("laptop", seed).items()}
    groups = {EXPERIMENT.search(role) for role in found}
    while groups:
        of = {group: {r: one for r, one in found.items() if EXPERIMENT.search(r) == group} for group in groups}
        new = [EXPERIMENT.more("laptop", seed, runs) for runs in of.values()]  # pyright: ignore
        groups = {group for group, specs in zip(of, new, strict=True) if specs}
        found |= {role: run(role, spec) for specs in new for role, spec in specs.items()}
    return {role: [one] for role, one in found.items()}


@pytest.mark.parametrize(
    ("enough", "share", "power"),
    [
        (lambda count, n: n >= 3 * VALUES * count, "holds", "holds"),  # each value of a factor three times
        (lambda count, n: n >= 0.4 * VALUES**count, "fails", "fails"),  # a share of all combinations
    ],
)
def test_growth_tells_values_from_combinations(enough: Any, share: str, power: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(many_factors, "MOST", 256)
    monkeypatch.setattr(many_factors, "BOOTSTRAP", 20)
    monkeypatch.setattr(many_factors, "ORDERS", 2)
    monkeypatch.setattr(many_factors, "TESTED", 40)
    claims, tables, _ = EXPERIMENT.analyse(searched(enough))  # pyright: ignore
    verdict = {claim.id: claim.verdict for claim in claims}
    assert verdict["many.share.combinations"] == share
    assert verdict["many.power.combinations"] == power
    for count in FACTORS:
        assert verdict[f"many.composition.{count}"] == "holds"
        assert verdict[f"many.interpolation.{count}"] == "holds"
        assert verdict[f"many.interaction.{count}"] == "holds"
    found = tables["geometry"].to_dicts()
    assert all(row["interaction"] == pytest.approx(0, abs=1e-9) for row in found)  # R is linear in the factors
    assert all(row["dimension"] == pytest.approx(row["factors"], rel=0.1) for row in found)
    assert figure_many_factors(Shown(tables)).axes  # pyright: ignore


class Shown:
    """As much of a result as the figure reads."""

    preset, seeds = "laptop", (0,)

    def __init__(self, tables: dict[str, Any]):
        self.tables = tables
