"""The analysis of models whose behaviour is known, and the figures drawn from it."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from hyperfactor.experiments.base import Result
from hyperfactor.experiments.composition import EXPERIMENT, PAIRS_BY_REGION, PICTURE, TESTED, TRAINED, analyse, specs
from hyperfactor.figures import FIGURES, draw

from .fakes import copies, interpolates, stand_in

SPECS = specs("laptop", 0)
RULES = {"2d": copies, "1d": copies, "2d+1d": interpolates, "1d+rim": interpolates}


@pytest.fixture(scope="module")
def analysis():
    return analyse(stand_in([SPECS], RULES))


def test_the_data_sets_have_their_sizes():
    space, canvas = PICTURE.space(), PICTURE.space().lattice()
    sizes = {role: int(region.contains(canvas, space).sum()) for role, region in TRAINED.items()}
    assert sizes == {"2d": 25**2, "1d": 2 * 32 * 13, "2d+1d": 25**2 + 832, "1d+rim": 832 + 32**2 - 28**2}
    tested = {name: int(region.contains(canvas, space).sum()) for name, region in TESTED.items()}
    assert tested == {"vertical": 175, "horizontal": 175, "intersection": 49, "rest": 625, "core": 784}
    parts = sum(TESTED[name].contains(canvas, space).astype(int) for name in PAIRS_BY_REGION)
    assert np.array_equal(parts, PICTURE.window().contains(canvas, space))  # a partition of the window


def test_claims_of_models_that_copy_and_of_models_that_compose(analysis):
    claims = {claim.id: claim for claim in analysis[0]}
    assert claims["2d.vertical.x"].measured == pytest.approx(2 / 7)
    assert claims["2d.vertical.y"].measured == 1
    assert claims["2d.horizontal.y"].measured == pytest.approx(2 / 7)
    assert claims["2d.intersection"].measured == pytest.approx(4 / 49)
    assert claims["2d+1d.vertical.both"].measured == 1
    assert claims["1d.valid"].measured == 0
    assert claims["1d.rim"].measured == 1
    assert {claim.verdict for claim in claims.values()} == {"holds"}


def test_accuracy_by_region_and_the_baseline(analysis):
    table = analysis[1]["accuracy"]
    rows = {(row["model"], row["region"]): row for row in table.to_dicts()}
    copying = rows["2d", "intersection"]
    assert copying["x"] == copying["x_copied"] == pytest.approx(2 / 7)
    assert copying["all"] == copying["all_copied"] == pytest.approx(4 / 49)
    assert rows["1d", "ood"]["n"] == 1024
    assert rows["1d+rim", "ood"]["n"] == 784
    assert rows["1d", "overall"]["n"] == rows["1d+rim", "overall"]["n"] == 1024 + 832
    assert rows["1d", "overall"]["right"] == pytest.approx(832 / (1024 + 832))


def test_every_figure_is_drawn_from_the_result_alone(analysis):
    claims, tables, arrays = analysis
    result = Result("composition", "laptop", (0,), 1.0, tuple(claims), tables, arrays)
    drawn = {number: figure for number, _, figure in draw(result)}
    assert tuple(drawn) == EXPERIMENT.figures == tuple(FIGURES["composition"])
    bars = drawn["4"].axes[3].patches  # panel d: x in four regions, then y
    assert [bar.get_height() for bar in bars if isinstance(bar, Rectangle)] == pytest.approx(
        [2 / 7, 1, 2 / 7, 1, 1, 2 / 7, 2 / 7, 1]
    )
    assert len(drawn["10"].subfigs[0].subfigs[1].axes) == 25
