import pytest

from hyperfactor import RequestError, RunSpec
from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.experiments.base import PRESETS, preset_spec


def test_no_two_models_of_a_seed_share_an_id_unless_they_are_the_same():
    for preset in ("laptop", "smoke"):
        specs = [spec for experiment in EXPERIMENTS.values() for spec in experiment.specs(preset, 0).values()]
        by_id = {spec.id: spec for spec in specs}
        assert all(by_id[spec.id] == spec for spec in specs)
        assert len(by_id) == len({spec.model_dump_json() for spec in specs})


def test_presets_are_valid_and_laptop_is_the_defaults():
    assert preset_spec("laptop", 0) == RunSpec()
    paper = preset_spec("paper", 2)
    assert (paper.model.model_dump()["width"], paper.diffusion.prediction, paper.seed) == (64, "epsilon", 2)
    assert preset_spec("smoke", 0, data={"fraction": 0.5}).data.fraction == 0.5
    assert set(PRESETS) == {"smoke", "laptop", "paper"}
    with pytest.raises(RequestError, match="preset: got 'huge', needs one of smoke, laptop, paper"):
        preset_spec("huge", 0)
