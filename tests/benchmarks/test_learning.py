"""The search for the smallest planned training, and its continuation."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import learning
from benchmarks.learning import Search, smallest
from benchmarks.ratios import AtLeast

PLANS = (10, 20, 40, 80, 160)


@pytest.mark.parametrize("first", range(len(PLANS)))
@pytest.mark.parametrize("needed", [5, 10, 11, 80, 160, 161])
def test_the_smallest_plan_that_arrives_is_found_from_anywhere(first: int, needed: int):
    expected = min((plan for plan in PLANS if plan >= needed), default=None)
    assert smallest(lambda steps: steps >= needed, PLANS, first) == expected


def test_no_plan_beyond_the_last_is_tried():
    assert smallest(lambda steps: True, PLANS, len(PLANS)) is None


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The trainings made; each takes a second a step, and its share right is its number of steps divided by 100."""
    made = []

    def planned(steps: int, build: object) -> tuple[object, int, float]:
        made.append(steps)
        return learning.bumps(steps), steps, float(steps)

    monkeypatch.setattr(learning, "planned", planned)
    monkeypatch.setattr(learning, "share", lambda spec, drawing, points: spec.training.steps / 100)
    return made


def test_shares_that_are_known_are_not_trained_again(tmp_path: Path, trained: list[int]):
    file = tmp_path / "learning.json"
    assert Search(0.5, PLANS, file, {}).our_steps() == 80
    assert trained == [10, 20, 40, 80]
    again = Search(0.5, PLANS, file, json.loads(file.read_text()))
    assert again.our_steps() == 80
    assert trained == [10, 20, 40, 80]
    assert again.ours() == 80.0
    assert trained[4:] == [80]  # it is timed


def test_a_peer_that_needs_as_many_steps_takes_their_time(tmp_path: Path, trained: list[int]):
    search = Search(0.5, PLANS, tmp_path / "learning.json", {})
    assert search.same_recipe(1000.0, learning.Diffusers) == 80.0


def test_a_peer_without_time_for_its_plan_is_stopped(tmp_path: Path, trained: list[int]):
    search = Search(0.5, PLANS, tmp_path / "learning.json", {})
    found = search.same_recipe(79.0, learning.Diffusers)
    assert isinstance(found, AtLeast)
    assert found == 79.0
    assert math.isfinite(found)


def test_no_plan_of_ours_is_an_error(tmp_path: Path, trained: list[int]):
    with pytest.raises(RuntimeError, match="got less than 2.0 after 160 steps"):
        Search(2.0, PLANS, tmp_path / "learning.json", {}).our_steps()
