"""Each ideal shape is nearest to its own reference, with noise and without. Unordered points are nearest to none."""

from itertools import product

import numpy as np
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.measures.comparison import SHUFFLED, compare
from hyperfactor.measures.geometry import additivity, clifford_torus, hyper_factorized_torus, torus_3d
from hyperfactor.measures.references import references
from hyperfactor.measures.representation import Axis, Representation

SPACES = {
    "plane": (("open", 9), ("open", 8)),
    "row": (("open", 12),),
    "ring": (("periodic", 12),),
    "category": (("categorical", 7),),
    "two categories": (("categorical", 6), ("categorical", 5)),
    "cylinder": (("periodic", 8), ("open", 9)),
    "ring and category": (("periodic", 8), ("categorical", 5)),
    "segment and category": (("open", 8), ("categorical", 5)),
    "torus": (("periodic", 10), ("periodic", 10)),
    "one of each": (("periodic", 6), ("open", 6), ("categorical", 4)),
}
CASES = [
    (space, name)
    for space, factors in SPACES.items()
    for name in references([Axis(str(k), kind) for k, (kind, _) in enumerate(factors)], [n for _, n in factors])
]


def axes(space: str) -> list[Axis]:
    return [Axis(f"factor {k}", kind) for k, (kind, _) in enumerate(SPACES[space])]  # pyright: ignore[reportArgumentType]


def shape(space: str, name: str) -> np.ndarray:
    return references(axes(space), [n for _, n in SPACES[space]])[name]


def turned(R: np.ndarray, d: int, seed: int = 0) -> np.ndarray:
    """R in d dimensions, rotated, in other units."""
    return 3 * R @ np.linalg.qr(np.random.default_rng(seed).normal(size=(d, R.shape[-1])))[0].T + 1


def noise(R: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Noise that is a share of the variance of R."""
    generator = np.random.default_rng(seed)
    return np.sqrt(share * R.var(axis=tuple(range(R.ndim - 1))).mean()) * generator.normal(size=R.shape)


def test_every_space_has_the_shapes_of_its_kinds():
    found = {space: [name for of, name in CASES if of == space] for space in SPACES}
    assert found["plane"] == ["segment x segment", "Gaussian row x Gaussian row"]
    assert found["category"] == ["simplex"]
    assert found["torus"] == ["3D torus", "Clifford torus", "hyper-factorized torus"]
    assert found["ring and category"] == ["circle x simplex", "Gaussian ring x simplex"]
    assert found["cylinder"] == [
        f"{ring} x {row}" for ring, row in product(("circle", "Gaussian ring"), ("segment", "Gaussian row"))
    ]


@pytest.mark.parametrize(("space", "name"), CASES)
def test_an_ideal_shape_is_at_distance_0_from_its_own_reference(space, name):
    R = shape(space, name)
    found = compare(Representation.of(turned(R, 30), axes(space)), bootstrap=10)
    assert found.nearest == name
    assert found.support >= 0.8  # three values may be drawn as one, whose steps tell no shape
    assert found.total[name] == pytest.approx(0, abs=1e-6)
    assert all(total > 1e-3 for other, total in found.total.items() if other != name)
    if name != "3D torus":
        assert additivity(R).interaction == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("space", "name"), CASES)
def test_with_noise_of_5_percent_it_is_still_nearest_itself(space, name):
    """5 % of the standard deviation in one reading, and 5 % of the variance in two."""
    R = turned(shape(space, name), 30)
    found = compare(Representation.of(R + noise(R, 0.05**2, 1), axes(space)), bootstrap=10)
    assert found.nearest == name
    assert found.support >= 0.8
    two = [R + noise(R, 0.05, seed) for seed in (1, 2)]
    assert compare(Representation.of(two, axes(space)), bootstrap=10).nearest == name


@pytest.mark.parametrize("space", [space for space, factors in SPACES.items() if len(factors) > 1])
@pytest.mark.parametrize("d", [5, 200])
def test_points_at_random_are_nearest_to_no_ideal_shape(space, d):
    R = np.random.default_rng(0).normal(size=(*(n for _, n in SPACES[space]), d))
    found = compare(Representation.of(R, axes(space)), bootstrap=10)
    assert (found.nearest, found.support) == (SHUFFLED, 1.0)
    assert found.total[SHUFFLED] < 0.1 < min(total for name, total in found.total.items() if name != SHUFFLED)


def test_between_a_shape_and_none_the_distance_lies_between():
    """Half of the variance in random directions of its own for each point."""
    R = turned(shape("cylinder", "circle x segment"), 30)
    mixed = compare(Representation.of(R + noise(R, 1.0, 0), axes("cylinder")), bootstrap=2).total["circle x segment"]
    random = compare(Representation.of(noise(R, 1.0, 1), axes("cylinder")), bootstrap=2).total["circle x segment"]
    assert 0.2 < mixed < random - 0.02


ANGLE = 2 * np.pi * np.arange(8) / 8
RING, SEGMENT, CATEGORY = np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1), np.arange(6.0)[:, None] / 2, np.eye(5)
ROW = np.exp(-(np.subtract.outer(np.arange(6.0), np.arange(6.0)) ** 2) / 2)


def joined(*codes: np.ndarray) -> np.ndarray:
    """Each factor in dimensions of its own."""
    places = np.meshgrid(*(np.arange(len(code)) for code in codes), indexing="ij")
    return np.concatenate([code[at] for code, at in zip(codes, places, strict=True)], axis=-1)


@pytest.mark.parametrize(
    ("R", "kinds", "name"),
    [
        (SEGMENT, ["open"], "segment"),
        (RING, ["periodic"], "circle"),
        (CATEGORY, ["categorical"], "simplex"),
        (joined(SEGMENT, 3 * SEGMENT), ["open", "open"], "segment x segment"),
        (joined(RING, SEGMENT), ["periodic", "open"], "circle x segment"),
        (joined(RING, ROW), ["periodic", "open"], "circle x Gaussian row"),
        (joined(RING, CATEGORY), ["periodic", "categorical"], "circle x simplex"),
        (joined(CATEGORY, SEGMENT), ["categorical", "open"], "simplex x segment"),
        (joined(RING, SEGMENT, CATEGORY), ["periodic", "open", "categorical"], "circle x segment x simplex"),
        (joined(RING, RING), ["periodic", "periodic"], "Clifford torus"),
    ],
)
def test_shapes_made_by_hand_are_at_distance_0(R, kinds, name):
    found = compare(Representation.of(R, [Axis(str(k), kind) for k, kind in enumerate(kinds)]), bootstrap=5)
    assert found.nearest == name
    assert found.total[name] == pytest.approx(0, abs=1e-9)


def test_an_open_plane_is_no_torus():
    """Read as periodic it would be nearest the Clifford torus."""
    plane = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij"), axis=-1)
    assert compare(plane, periodic=False).nearest == "segment x segment"
    assert compare(plane, periodic=False).total["segment x segment"] == pytest.approx(0, abs=1e-9)
    assert compare(plane).total["Clifford torus"] > 0.1


def test_the_tori_have_their_closed_forms():
    a = 2 * np.pi * np.arange(5) / 5
    assert clifford_torus(5)[2, 3] == pytest.approx([np.cos(a[2]), np.sin(a[2]), np.cos(a[3]), np.sin(a[3])])
    assert torus_3d(5)[2, 3] == pytest.approx(
        [(2 + np.cos(a[3])) * np.cos(a[2]), (2 + np.cos(a[3])) * np.sin(a[2]), np.sin(a[3])]
    )
    code = hyper_factorized_torus((5, 4), 1.5)[4, 1]
    expected = [*np.exp(-(np.array([1, 2, 2, 1, 0]) ** 2) / 4.5), *np.exp(-(np.array([1, 0, 1, 2]) ** 2) / 4.5)]
    assert code == pytest.approx(expected)


def test_unequal_spacing_is_kept_by_circles_and_segments():
    angles = (0.0, 30.0, 90.0, 200.0, 290.0)
    sizes = (1.0, 2.0, 4.0, 8.0)
    uneven = [Axis("angle", "periodic", angles, 360.0), Axis("size", "open", sizes)]
    found = references(uneven, (5, 4))["circle x segment"]
    at = np.deg2rad(angles)
    assert found[:, 0, :2] == pytest.approx(np.stack([np.cos(at), np.sin(at)], axis=1))
    assert found[0, :, 2] == pytest.approx((np.array(sizes) - 1) * 3 / 7)
    assert compare(Representation.of(found, uneven)).total["circle x segment"] == pytest.approx(0, abs=1e-9)
    assert "3D torus" not in references([uneven[0], uneven[0]], (5, 5))


def test_references_of_the_users_own():
    R = clifford_torus(6)
    found = compare(R, bootstrap=5, against={"mine": R[..., ::-1], "doughnut": torus_3d(6)})
    assert list(found.total) == ["mine", "doughnut"]
    assert found.nearest == "mine"
    with pytest.raises(RequestError, match=r"^mine: got a lattice of \(7, 7\), needs that of R, \(6, 6\)"):
        compare(R, against={"mine": clifford_torus(7)})
    with pytest.raises(RequestError, match="n: got no sizes"):
        clifford_torus([])
    with pytest.raises(RequestError, match="torus_3d: got radii '2' and 1"):
        torus_3d(6, "2", 1)  # pyright: ignore[reportArgumentType]
    for width, given in ((None, "None"), ("abc", "'abc'"), (np.inf, "inf")):
        with pytest.raises(RequestError, match=f"^width: got {given}, needs a number of at least 0"):
            hyper_factorized_torus(6, width)  # pyright: ignore[reportArgumentType]
    assert (hyper_factorized_torus(6, 1e-200) == hyper_factorized_torus(6, 0)).all()
    assert (hyper_factorized_torus(6, 1e200) == 1).all()
    with pytest.raises(RequestError, match="^width: got -1, needs a number of at least 0"):
        compare(R, width=-1)
