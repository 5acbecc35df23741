"""Models whose code and noise are known under each sampler: what differs must be said, and what does not must not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from hyperfactor.experiments import ancestral, hyperfactorization
from hyperfactor.experiments.base import Result
from hyperfactor.figures.ancestral import figure_ancestral
from hyperfactor.measures.geometry import clifford_torus

from ..figures import reading
from .fakes import FakeRun, Rule, fails, interpolates, place_code

D = 256
ROLES = ("sample 16 wraps", "v 16 wraps", "epsilon 16 sinusoidal")
TORUS, PLACES = clifford_torus(16), place_code(16)


class Drawer(FakeRun):
    """Its layer holds a shape and a share of noise for each sampler; drawings of other seeds have other noise."""

    def __init__(self, role: str, by: dict[str, tuple[np.ndarray, float]], rule: Rule = interpolates):
        super().__init__(hyperfactorization.specs("laptop", 0)[role], rule)
        self._by, self._sampler = by, ""

    def sample(self, factors: np.ndarray, seed: int = 0, step: int | None = None, **options: Any) -> np.ndarray:
        self._sampler, self.steps = options["sampling"].sampler, options["sampling"].steps
        return super().sample(factors, seed, step)

    def activations(
        self, layers: Sequence[str], factors: np.ndarray, step: int | None = None, seed: int = 0, **_: Any
    ) -> dict[str, np.ndarray]:
        shape, share = self._by[self._sampler]
        R = np.pad(shape, ((0, 0), (0, 0), (0, D - shape.shape[-1])))
        each = np.sqrt(R.var(axis=(0, 1)).sum() * share / (1 - share) / D)
        i, j = factors.round().astype(int).T
        noise = np.random.default_rng([seed, len(self._sampler), self.steps]).normal(size=(len(i), D))
        values: np.ndarray = R[i, j] + each * noise
        return dict.fromkeys(layers, values)


def analysed(ddim: tuple[np.ndarray, float], ddpm: tuple[np.ndarray, float], rule: Rule = interpolates) -> Any:
    runs: Any = {role: [Drawer(role, {"ddim": ddim, "ddpm": ddpm}, rule)] for role in ROLES}
    return ancestral.EXPERIMENT.analyse(runs)


def said(analysis: Any) -> dict[str, str]:
    return {claim.id.removeprefix("ancestral."): claim.verdict for claim in analysis[0]}


def test_one_code_is_one_whatever_the_noise_of_the_sampler():
    claims, tables, _ = found = analysed((TORUS, 0.0), (TORUS, 0.2))
    assert said(found) == {"plain": "fails", "corrected": "holds"}
    assert claims[0].measured > 0.2
    assert claims[1].measured < 0.05
    noise = tables["geometry"].filter(pl.col("kind") == "corrected").group_by("sampler").agg(pl.col("noise").mean())
    assert dict(noise.iter_rows()) == {"ddim": pytest.approx(0, abs=1e-6), "ddpm": pytest.approx(0.2, abs=0.03)}
    assert set(tables["geometry"]["source"]) == {"ddim 20", "ddpm 1000"}


def test_codes_that_differ_are_said_to():
    assert said(analysed((TORUS, 0.0), (PLACES, 0.0))) == {"plain": "fails", "corrected": "fails"}
    assert said(analysed((PLACES, 0.1), (PLACES, 0.1))) == {"plain": "holds", "corrected": "holds"}


def test_the_claim_is_of_the_mean_over_recipes_of_the_distance():
    """Distances 0, 0.3 and 0.3, two of opposite sign; by hand 0.2, with Student's half width 4.303 x 0.1732 / 3^0.5."""
    table = pl.DataFrame(
        {"recipe": ROLES[k], "seed": 0, "sampler": sampler, "kind": kind, "signature": value, "both": 1.0}
        for kind in ancestral.READ
        for sampler, values in (("ddim", (0.1, 0.5, 0.2)), ("ddpm", (0.1, 0.2, 0.5)))
        for k, value in enumerate(values)
    )
    (claim, _) = ancestral._claims(table)
    assert claim.measured == pytest.approx(0.2)
    assert claim.interval == pytest.approx((0.0, 0.2 + 4.303 * 0.1732 / 3**0.5), abs=1e-3)


def test_models_that_have_not_learnt_win_no_claim():
    found = analysed((TORUS, 0.0), (TORUS, 0.0), fails)
    assert set(said(found).values()) == {"not measured"}
    assert (
        found[0][0].reason
        == "model 'sample 16 wraps' of seed 0 draws 0.00 of the lattice at the right place, needs 0.9"
    )


def test_the_figure_shows_each_model():
    found = analysed((TORUS, 0.01), (TORUS, 0.2))
    result = Result("ancestral", "laptop", (0,), 1.0, tuple(found[0]), found[1], found[2])
    figure = figure_ancestral(result)
    table = found[1]["geometry"]
    panels = reading.panels(figure)
    shown = (("plain", "signature"), ("corrected", "signature"), ("corrected", "noise"))
    for axes, (kind, name) in zip(panels, shown, strict=True):
        drawn = [line for line in axes.lines if line.get_marker() not in ("None", None)]
        marks = [point for line in drawn for point in reading.points(line)]
        rows = table.filter(pl.col("kind") == kind).pivot("sampler", index="recipe", values=name)
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("20 steps of DDIM", "1,000 steps of DDPM")
        assert np.array(marks) == pytest.approx(rows.select("ddim", "ddpm").to_numpy())
