"""Richer pictures: what each set holds out, and that verdicts and shares tell kinds of learners apart."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from hyperfactor.experiments import richer_pictures
from hyperfactor.experiments.base import Analysis, Result
from hyperfactor.experiments.richer_pictures import EXPERIMENT, HELD_OUT, KINDS, SEEN, UNSEEN
from hyperfactor.factors.split import splits
from hyperfactor.figures import richer_pictures as figures

from .fakes import FakeRun, Rule, composes, copies, fails, interpolates

DIGITS = {"digits": KINDS["digits"]}
SPECS = EXPERIMENT.specs("laptop", 0)


@pytest.mark.parametrize("of", [*SEEN, *UNSEEN])
@pytest.mark.parametrize("kind", KINDS)
def test_each_set_holds_out_what_it_says(kind: str, of: str):
    spec = SPECS[f"{kind} | {of}"]
    lattice, space = spec.data.lattice(), spec.data.picture.space()
    tested, trained = (region.contains(lattice, space) for region in (spec.data.test["held out"], spec.data.train))
    assert (tested ^ trained).all()
    assert HELD_OUT / 2 < tested.mean() < 2 * HELD_OUT
    seen = [set(lattice[trained, k]) == set(lattice[:, k]) for k in range(lattice.shape[1])]
    assert all(seen) == (of in SEEN)
    about = KINDS[kind]
    split = splits(space, of, share=HELD_OUT, spacing=about.spacing, fixed=about.fixed)  # pyright: ignore
    assert split.baseline == 0  # no copy of a trained picture is right in all


@pytest.fixture(scope="module", autouse=True)
def digits_alone() -> Iterator[None]:
    """Reading shapes takes minutes; nothing here depends on the kind of pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(richer_pictures, "BOOTSTRAP", 20)
        patch.setattr(richer_pictures, "KINDS", DIGITS)
        patch.setattr(figures, "KINDS", DIGITS)
        yield


def runs_by(seen: Rule, unseen: Rule, shape: Any) -> Any:
    """Models of every set, and a representation."""
    return {
        role: [FakeRun(spec, unseen if role.endswith(UNSEEN) else seen, {None: shape})]
        for role, spec in EXPERIMENT.specs("laptop", 0).items()
    }


def additive(points: np.ndarray) -> np.ndarray:
    """A sum of random vectors, one for each value of each factor."""
    parts = []
    for k in range(points.shape[1]):
        _, places = np.unique(points[:, k], return_inverse=True)
        vectors = np.random.default_rng(k).normal(size=(places.max() + 1, 60))
        parts.append((vectors - vectors.mean(axis=0))[places])
    return np.sum(parts, axis=0)


def conjunctive(points: np.ndarray) -> np.ndarray:
    """A random vector for each combination."""
    return np.random.default_rng(0).normal(size=(len(points), 60))


@pytest.fixture(scope="module")
def composed(digits_alone: None) -> Analysis:
    """Of models that draw of each factor the nearest value that was trained on."""
    return EXPERIMENT.analyse(runs_by(composes, composes, additive))


def verdicts(analysis: Analysis) -> list[str]:
    found = {claim.id.removeprefix("richer.digits."): claim.verdict for claim in analysis[0]}
    return [found[of] for of in (*SEEN, *UNSEEN, "interaction")]


def test_verdicts_tell_learners_apart(composed: Analysis):
    assert verdicts(composed) == ["holds"] * 6
    assert (
        verdicts(EXPERIMENT.analyse(runs_by(interpolates, interpolates, conjunctive))) == ["holds"] * 3 + ["fails"] * 3
    )
    assert verdicts(EXPERIMENT.analyse(runs_by(fails, fails, additive))) == ["not measured"] * 6


def test_the_variance_is_shared_out_by_factor(composed: Analysis):
    picture = DIGITS["digits"].picture
    lattice = picture.space().lattice(DIGITS["digits"].spacing)
    code = additive(lattice)
    found = {row["of"]: row["share"] for row in composed[1]["variance"].to_dicts()}
    for k, name in enumerate(picture.space().names):
        means = np.array([code[lattice[:, k] == value].mean(axis=0) for value in np.unique(lattice[:, k])])
        own = (means**2).sum(axis=1).mean() / ((code - code.mean(axis=0)) ** 2).sum(axis=1).mean()
        assert found[name] == pytest.approx(own, abs=1e-9)
    assert found["only together"] == pytest.approx(0, abs=1e-9)


def test_models_that_copy_score_their_baseline():
    _, tables, arrays = EXPERIMENT.analyse(runs_by(copies, copies, additive))
    rows = tables["accuracy"].filter((pl.col("region") == "held out") & (pl.col("factor") == "all"))
    assert rows["correct"].to_list() == rows["copied"].to_list() == [0.0] * 5
    assert arrays["digits.true"].shape == (richer_pictures.SHOWN, 1, 24, 24)
    assert np.abs(arrays["digits.true"] - arrays["digits.drawn"]).max() > 0.5


def test_the_figure_shows_every_set_and_share(composed: Analysis):
    claims, tables, arrays = composed
    figure = figures.figure_richer_pictures(
        Result("richer_pictures", "laptop", (0,), 1.0, tuple(claims), tables, arrays)
    )
    words = {text.get_text() for text in figure.findobj(Text)}
    assert {*SEEN, *UNSEEN, "digits: digit", "digits: only together"} <= words
    held_out, variance = figure.axes[-2:]
    heights = [bar.get_height() for bar in held_out.patches if isinstance(bar, Rectangle)]
    assert heights == pytest.approx([1, 1, 1, 0, 0], abs=0.05)
    assert sum(bar.get_width() for bar in variance.patches if isinstance(bar, Rectangle)) == pytest.approx(1)
