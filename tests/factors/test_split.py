import numpy as np
import pytest

from hyperfactor import RequestError, RunSpec
from hyperfactor.factors import Factor, FactorSpace, Random, splits
from hyperfactor.images import Shapes

KINDS = ("random", "composition", "orthotopic", "extrapolation", "interpolation")


def cube(k: int, n: int, tolerance: float = 1.0) -> FactorSpace:
    return FactorSpace(tuple(Factor(name, 0, n - 1, "open", tolerance) for name in "abcd"[:k]))


@pytest.mark.parametrize(("n", "m"), [(32, 18), (10, 5)])  # m: the nearest to sqrt(0.3) n
def test_a_composition_of_two_factors_leaves_out_a_corner(n: int, m: int):
    split = splits(cube(2, n), "composition")
    assert (split.trained, split.tested) == (n**2 - m**2, m**2)
    assert split.baseline == pytest.approx((2 * m - 1) / m**2)  # the points beside a trained one
    corner = cube(2, n).lattice().min(axis=1) >= n - m
    assert (split.test.contains(cube(2, n).lattice(), cube(2, n)) == corner).all()


@pytest.mark.parametrize(("n", "m"), [(32, 5), (10, 2)])  # m: the nearest to (1 - sqrt(0.7)) n
def test_an_extrapolation_of_two_factors_trains_on_a_smaller_square(n: int, m: int):
    split = splits(cube(2, n), "extrapolation")
    left = n - m
    assert (split.trained, split.tested) == (left**2, n**2 - left**2)
    assert split.baseline == pytest.approx((2 * left + 1) / split.tested)
    assert split.copied["a"] == split.copied["b"] == pytest.approx(1 - (m - 1) * n / split.tested)


@pytest.mark.parametrize(("n", "m"), [(32, 5), (10, 2)])
def test_an_interpolation_of_two_factors_leaves_out_single_values(n: int, m: int):
    near, exact = (splits(cube(2, n, tolerance), "interpolation") for tolerance in (1.0, 0.5))
    left = n - m
    for split in (near, exact):
        assert (split.trained, split.tested) == (left**2, n**2 - left**2)
    assert near.baseline == 1.0  # both neighbours of a value that is left out are trained on
    assert exact.baseline == 0.0
    assert exact.copied["a"] == pytest.approx(m * left / exact.tested)


def test_an_orthotopic_split_of_three_factors():
    n, m = 10, 4  # two of three factors beyond with a probability of 3 f^2 - 2 f^3 = 0.3: f = 0.363
    split = splits(cube(3, n), "orthotopic", most=1)
    two, three = 3 * m**2 * (n - m), m**3
    assert (split.trained, split.tested) == (n**3 - two - three, two + three)
    # a copy moves one factor back below its threshold, or two of them, by 1 at most
    assert split.baseline == pytest.approx((3 * (n - m) * (2 * m - 1) + 3 * m - 2) / split.tested)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_extremes_of_orthotopic_splits_are_composition_and_extrapolation(k: int):
    space = cube(k, 8)
    composed, extrapolated = splits(space, "composition"), splits(space, "extrapolation")
    assert splits(space, "orthotopic", most=k - 1).test == composed.test
    assert splits(space, "orthotopic", most=0).test == extrapolated.test
    sizes = [splits(space, "orthotopic", most=most).tested for most in range(k)]
    assert sizes == pytest.approx([0.3 * 8**k] * k, rel=0.4)


def test_a_random_split_has_its_share_whatever_the_lattice():
    space, share = cube(2, 32), 0.3
    split, other = splits(space, "random", share=share), splits(space, "random", share=share, seed=1)
    assert split.trained + split.tested == 1024
    assert split.tested == pytest.approx(1024 * share, abs=5 * np.sqrt(1024 * share * (1 - share)))
    lattice = space.lattice()
    chosen, again = split.test.contains(lattice, space), other.test.contains(lattice, space)
    assert (chosen & again).mean() == pytest.approx(share**2, abs=0.05)
    order = np.random.default_rng(0).permutation(1024)[:100]
    assert (split.test.contains(lattice[order], space) == chosen[order]).all()
    fine = space.lattice(0.5)
    assert (split.test.contains(fine, space)[(fine % 1 == 0).all(axis=1)] == chosen).all()


def test_rounding_and_turns_choose_the_same_points():
    space = FactorSpace((Factor("x", 0, 0.7), Factor("turn", -180, 180, "periodic")))
    lattice = space.lattice({"x": 0.1, "turn": 0.5})
    half = Random(share=0.5)
    chosen = half.contains(lattice, space)
    same = np.c_[np.round(lattice[:, 0], 6), lattice[:, 1] + 360]
    assert (half.contains(same, space) == chosen).all()
    assert chosen.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("n", range(3, 40))
@pytest.mark.parametrize("kind", ["open", "periodic"])
def test_each_value_between_has_both_neighbours(n: int, kind):
    space = FactorSpace((Factor("v", 0, n - 1 if kind == "open" else n, kind),))
    for share in (0.1, 0.3, 0.6):
        test = splits(space, "interpolation", share=share).test
        left = test.contains(space.lattice(), space)
        assert left.sum() == min(max(round(share * n), 1), (n - 1) // 2 if kind == "open" else n // 2)
        assert not (left & np.roll(left, 1)).any()
        assert kind == "periodic" or not left[[0, -1]].any()


MIXED = FactorSpace((Factor("shape", 0, 3, "categorical"), Factor("x", 0, 9), Factor("hue", 0, 360, "periodic", 20)))


def test_factors_take_part_where_they_suit_the_kind():
    def varied(kind, **options) -> set[str]:
        split = splits(MIXED, kind, spacing={"hue": 30}, **options)
        points = MIXED.lattice({"hue": 30})
        trained = points[split.train.contains(points, MIXED)]
        names = enumerate(MIXED.names)
        return {name for k, name in names if len(np.unique(trained[:, k])) < len(np.unique(points[:, k]))}

    assert varied("extrapolation") == {"x"}
    assert varied("interpolation") == {"x", "hue"}
    assert varied("interpolation", factors=["hue"]) == {"hue"}
    assert varied("extrapolation", factors=["x"]) == {"x"}
    assert varied("composition") == varied("orthotopic") == set()  # every value is seen
    with pytest.raises(RequestError, match="factors: got shape, which is categorical with 4 values, needs factors"):
        splits(MIXED, "extrapolation", factors=["shape"], spacing={"hue": 30})
    with pytest.raises(RequestError, match="factors: got none for extrapolation"):
        splits(MIXED, "extrapolation", fixed={"x": 3}, spacing={"hue": 30})


def test_symmetries_count_for_the_copying_baseline():
    spacing, fixed = {"rotation": 90}, {"shape": 0, "scale": 1, "x": 15, "y": 15, "hue": 0}
    plain = splits(Shapes().space(), "interpolation", spacing=spacing, fixed=fixed)
    turned = splits(Shapes().space(), "interpolation", spacing=spacing, fixed=fixed, difference=Shapes().difference)
    assert (plain.baseline, turned.baseline) == (0.0, 1.0)  # a square looks the same after a quarter turn


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_takes_the_regions_of_a_split(kind):
    split = splits(RunSpec().data.picture.space(), kind)
    spec = RunSpec.parse({"data": {"train": split.train.model_dump(), "test": {kind: split.test.model_dump()}}})
    assert len(spec.task.points) == split.trained
    assert len(spec.task.region(kind)) == split.tested
    assert not spec.task.trained_on(spec.task.region(kind)).any()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kind": "diagonal"}, "kind: got 'diagonal', needs one of random, composition"),
        ({"kind": "composition", "share": 1}, "share: got 1, needs a number between 0 and 1"),
        ({"kind": "orthotopic", "most": 2}, "most: got 2, needs an integer below 2, the number of fact"),
        ({"kind": "orthotopic", "most": 0.5}, "most: got 0.5, needs an integer of at least 0"),
        ({"kind": "composition", "share": "half"}, "share: got 'half', needs a number between 0 and 1"),
        ({"kind": "composition", "factors": ["z"]}, "factor: got 'z', needs one of a, b"),
        ({"kind": "composition", "most": 2}, "most: got 2 with the kind composition, needs the kind orthotopic"),
        ({"kind": "random", "factors": ["a"]}, "factors: got .'a'. with the kind random, needs a kind that splits by"),
        ({"kind": "random", "share": 1e-6}, "share: got one that leaves 16 of 16 points to train on and 0 to test"),
    ],
)
def test_wrong_requests_are_refused(options: dict, match: str):
    with pytest.raises(RequestError, match=match):
        splits(cube(2, 4), **options)
