import colorsys

import numpy as np
import pytest

from hyperfactor import Run, RunSpec, train
from hyperfactor.images.shapes import AREAS, NAMES, ORDERS, REACH, Shapes, colour, coverage, hue_of
from hyperfactor.images.task import Task
from hyperfactor.measures.accuracy import measure

FAMILY = Shapes()
SPACE = FAMILY.space()
UPRIGHT = np.array([[16.0, 15.0, 6.0, 0.0]])  # x, y, radius, rotation


def drawn(n: int, seed: int) -> np.ndarray:
    """Random points off the lattice, with each shape equally often."""
    generator = np.random.default_rng(seed)
    others = [generator.uniform(factor.low, factor.high, n) for factor in SPACE.factors[1:]]
    return np.stack([np.arange(n) % len(NAMES), *others], axis=1)


def member(name: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether a point is inside an unrotated shape of radius 1, by its definition. v grows downwards."""
    if name == "square":
        return np.maximum(abs(u), abs(v)) <= np.sqrt(0.5)
    if name == "ellipse":
        return u**2 + (2 * v) ** 2 <= 1
    if name == "triangle":  # corners at 0, 120 and 240 degrees; the inscribed circle has radius 1/2
        return np.all([u * np.cos(a) + v * np.sin(a) <= 0.5 for a in np.pi / 3 * np.array([1, 3, 5])], axis=0)
    # A heart: the square |a| + |b| <= h, a = u - c, with discs on its two sides that point to -u; the tip is at u = 1.
    half_disc = (np.pi / 8) * (0.5 + 2 / (3 * np.pi)) / np.sqrt(2)  # area x distance along u from the square's centre
    lower = 2 * half_disc / (1 + np.pi / 4)
    side = 1 / (np.sqrt(0.5) + lower)
    a, h = u - lower * side, side / np.sqrt(2)
    discs = [np.hypot(a + h / 2, v + sign * h / 2) <= side / 2 for sign in (-1, 1)]
    return (abs(a) + abs(v) <= h) | discs[0] | discs[1]


@pytest.mark.parametrize("shape", range(4), ids=NAMES)
def test_coverage_is_the_share_of_a_pixel_inside_the_shape(shape: int):
    x, y, radius, turn = 16.3, 15.2, 6.1, 0.7
    fine = 32
    at = (np.arange(32 * fine) + 0.5) / fine - 0.5
    u, v = (at - x) / radius, (at[:, None] - y) / radius
    across, along = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    inside = member(NAMES[shape], across, along)
    share = inside.reshape(32, fine, 32, fine).mean(axis=(1, 3))
    found = coverage(shape, np.array([[x, y, radius, turn]]), 32)[0]
    assert (
        abs(found - share).max() < 0.25
    )  # a ramp in place of the exact share of a pixel that an edge, or a corner, crosses
    assert abs(found - share).mean() < 0.003
    assert found.sum() == pytest.approx(share.sum(), rel=0.01)


@pytest.mark.parametrize("shape", range(4), ids=NAMES)
def test_a_shape_has_its_area_and_its_centroid(shape: int):
    placed = np.array([[30.4, 33.1, 25.0, 1.1]])
    covered = coverage(shape, placed, 64)[0]
    pixels = np.arange(64)
    assert covered.sum() == pytest.approx(AREAS[shape] * 25**2, rel=2e-3)
    assert covered.sum(axis=0) @ pixels / covered.sum() == pytest.approx(30.4, abs=0.03)
    assert covered.sum(axis=1) @ pixels / covered.sum() == pytest.approx(33.1, abs=0.03)


@pytest.mark.parametrize("shape", range(4), ids=NAMES)
def test_a_shape_looks_the_same_after_its_own_turn_and_no_smaller_one(shape: int):
    turn = 2 * np.pi / ORDERS[shape]
    same, half, ninth = (coverage(shape, UPRIGHT + np.array([0, 0, 0, part * turn]), 32) for part in (1, 0.5, 1 / 9))
    upright = coverage(shape, UPRIGHT, 32)
    assert np.allclose(upright, same, atol=1e-9)
    assert abs(upright - half).max() > 0.5
    assert abs(upright - ninth).max() > 0.2


def test_colours_are_those_of_the_standard_library():
    hues = np.linspace(0, 359.9, 300)
    expected = [colorsys.hsv_to_rgb(hue / 360, 1, 1) for hue in hues]
    assert np.allclose(colour(hues), expected)
    assert np.allclose(hue_of(0.3 * colour(hues)), hues)
    assert np.isnan(hue_of(np.array([[0.2, 0.2, 0.2], [0.0, 0.0, 0.0]]))).all()


def test_every_shape_is_whole_at_every_point_of_the_space():
    ends = np.array([[factor.low, factor.high] for factor in SPACE.factors])
    points = np.array(np.meshgrid(*ends)).reshape(6, -1).T
    for shape in range(4):
        images = FAMILY.render(np.c_[np.full(len(points), float(shape)), points[:, 1:]])
        assert images.shape[1:] == FAMILY.shape
        assert images[:, :, [0, -1]].max() == images[:, :, :, [0, -1]].max() == 0
        expected = AREAS[shape] * (points[:, 1] * REACH * 32) ** 2
        assert np.allclose(images.max(axis=1).sum(axis=(1, 2)), expected, rtol=0.05)  # corners of small shapes are soft


@pytest.mark.slow
def test_many_true_pictures_are_read_right_in_every_factor():
    points = drawn(5000, seed=5000)
    images = FAMILY.render(points)
    found = measure(images, points, FAMILY)
    assert found.correct.all(axis=1).mean() >= 0.999
    assert found.right.mean() >= 0.999
    off = np.abs(FAMILY.difference(found.read, points))
    assert np.median(off, axis=0) == pytest.approx(0, abs=0.01)


def test_pictures_with_noise_are_read_within_the_tolerances():
    points = drawn(200, seed=1)
    noise = np.random.default_rng(2).normal(0, 0.05, (200, *FAMILY.shape))
    found = measure((FAMILY.render(points) + noise).clip(0, 1), points, FAMILY)
    assert found.right.mean() > 0.97
    nothing = measure(np.zeros((3, *FAMILY.shape)), points[:3], FAMILY)
    assert not nothing.correct.any()
    assert not nothing.valid.any()


def test_a_wrong_shape_is_wrong_and_a_turned_one_is_right_by_its_symmetry():
    asked = np.array([[0, 0.8, 10, 15, 16, 90], [1, 0.8, 10, 15, 16, 90], [2, 0.8, 10, 15, 16, 355]], float)
    turned = asked + np.array([0, 0, 90, 0, 0, 0])
    turned[2, 5] = 2  # 7 degrees of hue across the seam
    found = measure(FAMILY.render(turned), asked, FAMILY)
    assert found.correct[:, 2].tolist() == [True, False, False]  # a quarter turn, of a square, an ellipse and a heart
    assert found.correct[:, [0, 1, 3, 4, 5]].all()
    other = asked.copy()
    other[:, 0] = [3, 0, 1]
    assert not measure(FAMILY.render(other), asked, FAMILY).correct[:, 0].any()


SPEC = {
    "data": {
        "picture": {"family": "shapes", "size": 24},
        "spacing": {"scale": 0.5, "rotation": 90, "x": 3, "y": 3, "hue": 120},
        "train": {
            "kind": "difference", "of": {"kind": "everything"},
            "without": {"kind": "rectangle", "bounds": {"shape": [2, 2], "hue": [300, 60]}},
        },
        "test": {"red hearts": {"kind": "rectangle", "bounds": {"shape": [2, 2], "hue": [300, 60]}}},
        "test_points": 12,
    },
    "encoding": {
        "shape": {"kind": "one-hot"}, "scale": {"kind": "ramp"}, "rotation": {"kind": "periodic"},
        "x": {"kind": "sinusoidal", "dimensions": 4}, "y": {"kind": "bump"},
        "hue": {"kind": "periodic", "harmonics": 1},
    },
    "model": {"width": 4, "attention": []},
    "training": {"steps": 4, "batch": 4, "record_every": 2, "evaluate_every": 4, "checkpoint_every": 2, "warmup": 1},
    "sampling": {"steps": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(RunSpec.parse(SPEC), tmp_path_factory.mktemp("store"))


def test_a_run_of_six_factors_and_three_channels_goes_from_end_to_end(run: Run):
    frame = run.evaluate()
    assert frame["region"].unique(maintain_order=True).to_list() == ["train", "red hearts"]
    for name in SPACE.names:
        assert {name, f"{name}_read", f"{name}_correct", f"{name}_copied"} <= set(frame.columns)
    hearts = frame.filter(frame["region"] == "red hearts")
    assert set(hearts["shape"]) == {2.0}
    assert set(hearts["hue"]) == {0.0}
    assert not hearts["hue_copied"].any()  # the nearest trained point is a heart of another hue
    assert hearts["shape_copied"].all()
    assert run.sample(run.spec.task.points[:2]).shape == (2, 3, 24, 24)
    assert "red hearts.hue" in run.history.columns


def test_training_points_are_computed_once_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """A task computes and keeps them. A spec is resolved once for training, drawing and judging."""
    computed = []

    points = Task.points.func  # pyright: ignore[reportFunctionMemberAccess]
    counted = type(Task.points)(lambda task: computed.append(task) or points(task))  # pyright: ignore
    counted.__set_name__(Task, "points")
    monkeypatch.setattr(Task, "points", counted)
    spec = RunSpec.parse({**SPEC, "seed": 5})
    trained = train(spec, tmp_path)
    trained.evaluate("red hearts")
    trained.evaluate("red hearts", step=4)
    assert len(computed) == 1
