# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalSubscript=false
"""Layouts of representations of which something cannot be measured, and what is printed of them."""

import json

import numpy as np
import pytest

from hyperfactor.figures import style
from hyperfactor.figures.layout import figure
from hyperfactor.measures.geometry import clifford_torus, displacement_cosines
from hyperfactor.measures.representation import Representation
from hyperfactor.subjects.layout import Layout, laid_out


def layout(values: object, **options: int) -> Layout:
    return laid_out(Representation.of(values), **options)


def cell() -> np.ndarray:
    R = np.zeros((6, 6, 4))
    R[3, 5] = [1, 2, 3, 4]
    return R


def gate() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(6, 1, 4)) * (np.arange(6) == 2)[None, :, None]
    return x + np.random.default_rng(1).normal(size=(1, 6, 4))


def ring(n: int) -> np.ndarray:
    return clifford_torus((n,))


def numbers(found: Layout) -> dict[str, float | None]:
    return dict(found.table().select("measure", "value").iter_rows())


GIVEN = {
    "cell": cell(),
    "gate": gate(),
    "one unit": (np.arange(5.0)[:, None] ** 2 + np.arange(4.0))[..., None],
    "two values": np.random.default_rng(0).normal(size=(2, 2, 3)),
    "ring": ring(8),
    "one-hot": np.eye(25),
    "integers": (clifford_torus(5) * 64).astype(np.int8),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_cannot_be_measured_is_said_everywhere(name):
    found = layout(GIVEN[name], max_dim=1)
    json.dumps(found.to_json(), allow_nan=False)
    values, texts = numbers(found), dict(found.printed().iter_rows())
    assert list(values) == list(texts)
    for measure, value in values.items():
        assert (value is None) == (texts[measure].startswith(("not measured: ", "cannot be told")))
        assert value is None or float(texts[measure]) == pytest.approx(value, abs=0.0006)
    with style.context():
        style.save(figure(found, name), "svg")


def test_counts_are_printed_as_whole_numbers_and_too_few_points_are_named():
    texts = dict(layout(clifford_torus(20), landmarks=150).printed().iter_rows())
    assert [texts[f"Betti number {dim}"] for dim in range(3)] == ["1", "2", "1"]
    assert texts["variance explained by x"] == "0.500"
    few = layout(ring(8), max_dim=1)
    assert dict(few.printed().iter_rows())["Betti number 1"] == "cannot be told from so few points"
    assert numbers(few)["Betti number 1"] is None
    assert few.to_json()["topology"]["betti"] == [None, None]
    assert few.to_json()["intrinsic_dimension"] is None


def test_a_cell_names_what_is_left_out():
    texts = dict(layout(cell(), max_dim=1).printed().iter_rows())
    assert texts["steps of x, another factor differs: mean cosine"] == "not measured: too few steps that have a length"
    assert "   left out of the distances: x-on-x parallelism" in texts
    assert texts["steps of x at two values: mean magnitude of the cosine"] == "1.000"


def noisy(count: int, n: int = 12, share: float = 0.2, d: int = 64) -> list[np.ndarray]:
    """Readings of a Clifford torus, `share` of whose variance is noise in d dimensions."""
    draw = np.random.default_rng(0)
    torus = clifford_torus(n) @ np.linalg.qr(draw.normal(size=(d, 4)))[0].T
    return [torus + draw.normal(size=torus.shape) * np.sqrt(2 * share / (1 - share) / d) for _ in range(count)]


def test_two_readings_of_a_noisy_torus_show_the_torus():
    readings = noisy(2)
    found, alone = layout(readings, max_dim=1), layout(readings[0], max_dim=1)
    assert found.shape == (12, 12, 64)
    assert found.noise == pytest.approx(0.2, abs=0.01)
    assert found.additivity.interaction == pytest.approx(0, abs=0.01)
    assert alone.additivity.interaction > 0.15
    assert found.participation_ratio == pytest.approx(4, abs=0.1)
    assert alone.participation_ratio > 5.5
    assert (found.comparison.nearest, alone.comparison.nearest) == ("Clifford torus", "shuffled points")
    values = numbers(found)
    assert values["variance of a reading that is noise"] == found.noise
    length = (2 * np.sin(np.pi / 12)) ** 2
    for name in "xy":
        assert values[f"steps of {name}, another factor differs: mean cosine"] == pytest.approx(1, abs=0.06)
        ceiling = values[f"   the same steps of {name} in two readings (ceiling)"]
        assert ceiling == pytest.approx(
            length / (length + 1), abs=0.03
        )  # each end of a step has noise of variance 1 / 2
        within = values[f"steps of {name} at two values: mean magnitude of the mean cosine"]
        lags = np.subtract.outer(np.arange(12), np.arange(12))[np.triu_indices(12, 1)]
        assert within == pytest.approx(np.abs(np.cos(2 * np.pi * lags / 12)).mean(), abs=0.1)
    assert values["steps of two factors: mean magnitude of the mean cosine"] < 0.15
    assert np.abs(found.cosines.cross).mean() > 0.3  # of single cosines, which noise makes large


def test_readings_in_json_agree_with_the_table_and_one_array_has_no_noise():
    readings = noisy(2)
    for given in (readings, readings[0]):
        found = layout(given, max_dim=1)
        document, values = found.to_json(), numbers(found)
        json.dumps(document, allow_nan=False)
        what = "cosine" if given is readings[0] else "mean cosine"
        cosines = document["displacement_cosines"]
        assert cosines["cross"]["mean_magnitude"] == values[f"steps of two factors: mean magnitude of the {what}"]
        for name, within in zip("xy", cosines["within"], strict=True):
            assert within["mean_magnitude"] == values[f"steps of {name} at two values: mean magnitude of the {what}"]
    assert document["noise"] is None
    assert not [
        measure for measure in values if "noise" in measure or "ceiling" in measure or "the mean cosine" in measure
    ]
    assert document["displacement_cosines"] == displacement_cosines(readings[0], periodic=True).to_json()


def test_topology_and_axes_are_those_of_the_mean_of_the_readings():
    readings = noisy(2)
    found, mean = layout(readings, max_dim=1), layout((readings[0] + readings[1]) / 2, max_dim=1)
    assert found.intrinsic_dimension == pytest.approx(mean.intrinsic_dimension)
    assert found.spectrum == pytest.approx(mean.spectrum)
    assert found.coordinates == pytest.approx(mean.coordinates)
    assert found.topology[2].to_json() == mean.topology[2].to_json()


def test_a_statistic_that_readings_lack_is_named():
    found = layout([cell(), cell()], max_dim=1)
    texts = dict(found.printed().iter_rows())
    assert texts["steps of x, another factor differs: mean cosine"] == "not measured: too few steps that have a length"
    assert float(texts["variance of a reading that is noise"]) == 0
    json.dumps(found.to_json(), allow_nan=False)


def test_readings_of_one_factor_have_a_ceiling_and_no_other_factor():
    texts = dict(layout([ring(8), ring(8)], max_dim=1).printed().iter_rows())
    assert texts["   the same steps of x in two readings (ceiling)"] == "1.000"
    within = texts["steps of x at two values: mean magnitude of the mean cosine"]
    assert within == "0.547"  # the mean of |cos(2 pi (i - j) / 8)| over pairs
    assert texts["variance of a reading that is noise"] == "0.000"
    assert not [measure for measure in texts if "factor differs" in measure or "two factors" in measure]


def test_a_factor_without_effect_is_named():
    found = layout(np.broadcast_to(np.arange(4.0)[None, :, None], (4, 4, 2)), max_dim=1)
    reason = "R, factor 0: got points that do not depend on it, needs some that do"
    assert found.missing["displacement cosines"] == found.missing["comparison with ideal shapes"] == reason
    assert dict(found.printed().iter_rows())["displacement cosines"] == f"not measured: {reason}"
    assert found.additivity.main == (0, 1)
    with style.context():
        page = figure(found, "flat")
    (said,) = [text.get_text() for text in page.axes[3].texts if "depend" in text.get_text()]
    assert " ".join(said.split()) == f"displacement cosines not measured: {reason}"


def test_a_known_shape():
    found = layout(clifford_torus(20), landmarks=150)
    assert found.topology[2].betti() == found.topology[3].betti() == (1, 2, 1)
    assert found.comparison.nearest == "Clifford torus"
    assert found.participation_ratio == pytest.approx(4)
    values = numbers(found)
    assert values["variance explained by x"] == pytest.approx(0.5)
    assert values["Betti number 1"] == 2
    assert found.to_json()["topology"]["betti"] == [1, 2, 1]
    assert found.missing == {}


def test_one_factor_and_three():
    angle = 2 * np.pi * np.arange(30) / 30
    ring = layout(np.stack([np.cos(angle), np.sin(angle)], axis=1), max_dim=1)
    assert ring.topology[2].betti() == (1, 1)
    assert layout(clifford_torus((4, 5, 6)), landmarks=60, max_dim=1).names == ("x", "y", "z")


def test_a_limit_of_topology_leaves_the_other_measures():
    found = layout(clifford_torus(16), landmarks=256, max_dim=6)  # refused before it begins: 10^8 s
    assert list(found.missing) == ["topology"]
    assert "needs fewer landmarks, a lower max_dim or a higher limit" in found.missing["topology"]
    assert found.participation_ratio == pytest.approx(4)
    assert found.to_json()["topology"] is None
