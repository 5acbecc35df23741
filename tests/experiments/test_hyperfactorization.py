"""Models whose code and noise are known: the claims must tell one from the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hyperfactor import Run
from hyperfactor.experiments import hyperfactorization, signature
from hyperfactor.experiments.base import Result
from hyperfactor.experiments.signature import KINDS, TESTS
from hyperfactor.figures import draw
from hyperfactor.figures.hyperfactorization import LINES, PREDICTIONS
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.measures.geometry import clifford_torus
from hyperfactor.store.files import Folder

from ..figures import reading
from .fakes import FakeRun, fails, interpolates, place_code

SIDE, D = 16, 64
ROLE = "sample 16 wraps"
SPEC = hyperfactorization.specs("laptop", 0)[ROLE]


class Noisy(FakeRun):
    """Holds a shape (SIDE, SIDE, d) in each layer, with noise that is a share of the variance; drawings of other seeds
    and steps have other noise."""

    def __init__(self, R: np.ndarray, share: float, rule: Any = interpolates):
        super().__init__(SPEC, rule)
        self._R = np.pad(R, ((0, 0), (0, 0), (0, max(0, D - R.shape[-1]))))
        variance = np.mean(np.sum((R - R.mean(axis=(0, 1))) ** 2, axis=-1))
        self._each = np.sqrt(variance * share / (1 - share) / self._R.shape[-1])

    def activations(
        self, layers: Sequence[str], factors: np.ndarray, step: int | None = None, seed: int = 0, **_: Any
    ) -> dict[str, np.ndarray]:
        i, j = factors.round().astype(int).T
        generator = np.random.default_rng([seed, step or 0])
        return {
            layer: self._R[i, j] + self._each * generator.normal(size=(len(i), self._R.shape[-1])) for layer in layers
        }


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hyperfactorization, "LAYERS", (hyperfactorization.LAYER,))
    monkeypatch.setattr(hyperfactorization, "DRAWINGS", 4)
    monkeypatch.setattr(hyperfactorization, "EVERY", {16: 4})
    monkeypatch.setattr(signature, "LINES", 20)


def analysed(*runs: FakeRun) -> Any:
    return hyperfactorization.EXPERIMENT.analyse({ROLE: list(runs)})  # pyright: ignore[reportArgumentType]


def said(claims: Any) -> dict[str, str]:
    return {claim.id.removeprefix("sample.16.wraps."): claim.verdict for claim in claims}


def test_noise_that_makes_the_signature_is_told_from_the_code():
    claims, tables, _ = analysed(Noisy(clifford_torus(SIDE), 0.3))
    found = said(claims)
    assert found["plain.parallelism"] == found["plain.dimension"] == "holds"  # as the paper reads figure 3
    assert found["corrected.parallelism"] == found["corrected.orthogonality"] == "fails"
    assert found["left"] == "fails"
    assert found["noise"] == "holds"
    values = {claim.id.rpartition("wraps.")[2]: claim.measured for claim in claims}
    assert values["left"] == pytest.approx(0, abs=0.05)
    assert values["corrected.dimension"] == pytest.approx(4, abs=0.1)
    rows = tables["geometry"].filter(pl.col("source") == "ddim 20", pl.col("step") == SPEC.training.steps)
    plain = {row["drawings"]: row for row in rows.filter(pl.col("kind") == "plain").iter_rows(named=True)}
    assert list(plain) == [1, 2, 4]
    assert plain[1]["signature"] > plain[2]["signature"] > plain[4]["signature"] > 0.3  # means have the less noise
    for row in rows.filter(pl.col("kind") == "corrected").iter_rows(named=True):
        assert row["noise"] == pytest.approx(0.3, abs=0.02)
        assert row["x-on-x parallelism"] == pytest.approx(1, abs=0.15)


def test_a_store_keeps_what_was_measured_of_each_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A result of more models computes only what is new, and is the same as without a store."""
    measured, draw_readings = [], hyperfactorization.draw_readings
    monkeypatch.setattr(
        hyperfactorization, "draw_readings", lambda run, *how: (measured.append(run.id), draw_readings(run, *how))[1]
    )
    one, other = Noisy(clifford_torus(SIDE), 0.2), Noisy(place_code(SIDE), 0.1)
    other.id = "other"
    files, experiment = Folder(tmp_path), hyperfactorization.EXPERIMENT
    experiment.result("laptop", (0,), {ROLE: [one]}, files)  # pyright: ignore[reportArgumentType]
    measured.clear()
    both: Any = {ROLE: [one, other]}
    found = experiment.result("laptop", (0, 1), both, files)
    assert set(measured) == {"other"}
    claims, tables, arrays = experiment.analyse(both)
    assert list(found.claims) == claims
    assert found.tables["geometry"].equals(tables["geometry"])
    assert all(np.array_equal(found.arrays[name], arrays[name]) for name in arrays)


def test_summaries_are_rows_and_means_of_the_table():
    quiet, noisy = Noisy(clifford_torus(SIDE), 0.01), Noisy(clifford_torus(SIDE), 0.2)
    noisy.spec = SPEC.model_copy(update={"seed": 1})
    _, tables, _ = analysed(quiet, noisy)
    found = {row["seed"]: row for row in tables["models"].iter_rows(named=True)}
    assert (found[0]["recipe"], found[0]["both"], len(found)) == (ROLE, 1.0, 2)
    for seed, share in ((0, 0.01), (1, 0.2)):
        assert found[seed]["noise"] == pytest.approx(share, abs=0.02)
        assert found[seed]["without noise"] == pytest.approx(0, abs=0.05)
        assert found[seed]["one drawing"] > found[seed]["mean of drawings"] > found[seed]["without noise"]
        assert found[seed]["true pictures"] == pytest.approx(found[seed]["one drawing"], abs=0.05)  # as noisy here
    rows = {row["noise"]: row for row in tables["noise"].iter_rows(named=True)}
    assert list(rows) == ["0 to 0.02", "0.1 to 0.3"]
    watched = tables["geometry"].filter(pl.col("stride") == 1, pl.col("source") == "ddim 20")
    for name, seed in (("0 to 0.02", 0), ("0.1 to 0.3", 1)):
        of_seed = watched.filter(pl.col("seed") == seed)
        two = of_seed.filter(pl.col("kind") == "corrected", pl.col("drawings") == 2)
        one = of_seed.filter(pl.col("kind") == "plain", pl.col("drawings") == 1)
        assert (rows[name]["measurements"], rows[name]["models"]) == (len(two), 1)
        assert rows[name]["without noise"] == pytest.approx(two["signature"].mean())
        assert rows[name]["one drawing"] == pytest.approx(one["signature"].mean())


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_code_that_has_the_signature_keeps_it_without_noise(share):
    found = said(analysed(Noisy(place_code(SIDE), share))[0])
    assert {found[f"corrected.{name}"] for name in ("orthogonality", "parallelism", "dimension")} == {"holds"}
    assert found["left"] == "holds"
    assert share or {found[f"plain.{name}"] for name in ("orthogonality", "parallelism", "dimension")} == {"holds"}


def test_models_that_have_not_learnt_win_no_claim():
    claims, _, _ = analysed(Noisy(clifford_torus(SIDE), 0.3, fails))
    assert set(said(claims).values()) == {"not measured"}
    assert claims[0].reason == (
        "model 'sample 16 wraps' of seed 0 draws 0.00 of the lattice at the right place, needs 0.9"
    )


def test_readings_of_nothing_but_noise_end_in_rows_without_values():
    run = Noisy(clifford_torus(SIDE), 0.9999, fails)
    claims, tables, arrays = analysed(run)
    assert set(said(claims).values()) == {"not measured"}
    assert tables["geometry"]["signature"].is_nan().any()
    assert tables["models"]["without noise"].to_list() == [None]  # more noise than can be corrected
    assert list(draw(result(claims, tables, arrays)))


def test_a_preset_that_sets_the_prediction_leaves_its_recipes():
    assert list(hyperfactorization.specs("paper", 0)) == [
        "epsilon 16 wraps",
        "epsilon 16 sinusoidal",
        "epsilon 32 wraps",
        "epsilon 32 sinusoidal",
    ]
    for role, spec in hyperfactorization.specs("laptop", 3).items():
        prediction, side, code = role.split()
        assert (spec.diffusion.prediction, str(spec.data.picture.shape[1]), spec.seed) == (prediction, side, 3)
        assert spec.encoding.model_dump()["kind"] == {"wraps": "periodic"}.get(code, code)
    assert len(hyperfactorization.specs("laptop", 0)) == 12


@pytest.mark.parametrize("sampling", [SamplingSpec(steps=2), None])
def test_a_part_of_the_drawings_is_what_is_drawn_there_alone(run: Run, sampling: SamplingSpec | None):
    last, layers = run.spec.training.steps, ["up1"]
    whole = signature.draw_readings(run, last, 3, 1, ["up1", "up2"], sampling).part(2, 2, layers)
    alone = signature.draw_readings(run, last, 2, 2, layers, sampling)
    assert (whole.step, whole.stride, list(whole.readings)) == (last, 2, layers)
    assert np.array_equal(whole.both, alone.both)
    assert np.array_equal(whole.right, alone.right)
    assert np.allclose(whole.readings["up1"], alone.readings["up1"], atol=1e-5)


# ---- figures ----


def result(claims: Any, tables: Any, arrays: Any) -> Result:
    return Result("hyperfactorization", "laptop", (0,), 1.0, tuple(claims), tables, arrays)


def test_every_recipe_has_a_line_of_its_own():
    looks = {(PREDICTIONS[prediction], LINES[str(side), code]) for prediction, side, code in hyperfactorization.RECIPES}
    assert len(looks) == len(hyperfactorization.RECIPES) == 12


def test_figures_show_what_was_measured():
    found = result(*analysed(Noisy(clifford_torus(SIDE), 0.2)))
    figures = {number: figure for number, _, figure in draw(found)}
    table = found.tables["geometry"].filter(pl.col("step") == SPEC.training.steps, pl.col("source") == "ddim 20")
    corrected = table.filter(pl.col("kind") == "corrected", pl.col("drawings") == 4)
    plain = table.filter(pl.col("kind") == "plain", pl.col("drawings") == 1)
    third = reading.panels(figures["3"])
    for axes, name in zip(third, (f"{kind} {test}" for kind in KINDS for test in TESTS), strict=False):
        ceilings = [reading.points(line)[0][0] for line in axes.lines if len(reading.points(line)) == 2]
        shared = name == "x-on-y parallelism"
        assert ceilings == ([] if shared else [pytest.approx(corrected[f"ceiling {name}"][0])])
    assert f"noise is {corrected['noise'][0]:.3f} of the variance" in reading.note(figures["3"])
    eighth = reading.panels(figures["8"])
    dots = [point for line in eighth[4].lines if line.get_marker() == "o" for point in reading.points(line)]
    (tick,) = [line for line in eighth[4].lines if line.get_marker() == "|"]
    assert reading.points(tick) == [(pytest.approx(corrected["ceiling x-on-x parallelism"][0]), 0)]
    assert [x for x, _ in dots] == pytest.approx([plain["x-on-x parallelism"][0], corrected["x-on-x parallelism"][0]])
    for axes, kind in zip(reading.panels(figures["noise"]), ("plain", "corrected"), strict=False):
        course = axes.lines[0]
        steps = found.tables["geometry"].filter(
            pl.col("source") == "ddim 20",
            pl.col("kind") == kind,
            pl.col("drawings") == {"plain": 1, "corrected": 2}[kind],
        )
        expected = steps.group_by("step").agg(pl.col("signature").mean()).sort("step")["signature"].to_list()
        assert [y for _, y in reading.points(course)] == pytest.approx(expected)
        assert [x for x, _ in reading.points(course)] == pytest.approx([0.2] * len(expected), abs=0.03)
