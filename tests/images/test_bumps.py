import numpy as np
import pytest

from hyperfactor import RunSpec, train
from hyperfactor.images import Bump, Bumps
from hyperfactor.measures.accuracy import measure


def test_each_channel_is_a_bump():
    points = np.array([[3.5, 20.25, 16.0, 4.0, 30.0, 31.0]])
    images = Bumps(count=3, sigma=1.5).render(points)
    for k in range(3):
        assert (images[:, k] == Bump(sigma=1.5).render(points[:, 2 * k : 2 * k + 2])[:, 0]).all()


def test_exchanging_two_bumps_gives_another_picture_even_where_they_overlap():
    family = Bumps()
    asked = np.array([[10.0, 10.0, 12.0, 10.0]])
    assert measure(family.render(asked), asked, family).right.all()
    assert measure(family.render(asked[:, [2, 3, 0, 1]]), asked, family).correct.tolist() == [[False, True] * 2]


def test_a_bump_that_is_missing_is_missed_and_the_other_is_read():
    family = Bumps()
    asked = np.array([[10.0, 20.5, 5.0, 6.0]])
    images = family.render(asked)
    images[:, 1] = 0
    read = family.read(images)
    assert read.values[0, :2] == pytest.approx([10, 20.5], abs=family.resolution)
    assert np.isnan(read.values[0, 2:]).all()
    assert read.fit == pytest.approx(1)
    found = measure(images, asked, family)
    assert found.correct.tolist() == [[True, True, False, False]]
    assert not found.valid.any()


@pytest.mark.parametrize(
    "picture", [{"family": "bumps", "size": 8, "boundary": "periodic"}, {"family": "digits", "size": 16}]
)
def test_a_run_goes_from_end_to_end(picture: dict, tmp_path):
    spec = RunSpec.parse(
        {
            "data": {"picture": picture, "spacing": 4, "test_points": 5},
            "model": {"width": 4, "attention": []},
            "training": {"steps": 2, "batch": 4, "record_every": 1, "evaluate_every": 0, "warmup": 1},
            "sampling": {"steps": 2},
        }
    )
    run = train(spec, tmp_path)
    names = spec.task.space.names
    assert {f"{name}_{what}" for name in names for what in ("read", "correct", "copied")} <= set(run.evaluate().columns)
    assert run.sample(spec.task.points[:2]).shape == (2, *spec.data.picture.shape)
