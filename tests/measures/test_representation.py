"""What a representation knows of its factors, and what it refuses."""

import numpy as np
import pytest

from hyperfactor.errors import RequestError
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.geometry import additivity, clifford_torus, compare, displacement_cosines
from hyperfactor.measures.representation import Axis, Representation
from hyperfactor.measures.topology import persistence

SPACE = FactorSpace(
    (
        Factor(name="angle", low=0.0, high=360.0, kind="periodic"),
        Factor(name="size", low=1.0, high=3.0, kind="open"),
        Factor(name="shape", low=0, high=3, kind="categorical"),
    )
)
R = np.random.default_rng(0).normal(size=(6, 5, 4, 7))


def test_a_space_names_the_axes_and_says_which_wrap():
    found = Representation.of(R, SPACE, lattice=SPACE.axes({"angle": 60.0, "size": 0.5}))
    assert found.names == ("angle", "size", "shape")
    assert found.wraps == (True, False, True)
    assert (found.sizes, found.shape, found.several) == ((6, 5, 4), (6, 5, 4, 7), False)
    assert found.axes[1].values == (1.0, 1.5, 2.0, 2.5, 3.0)
    assert np.array_equal(found.values, R)
    assert np.array_equal(found.points, R.reshape(-1, 7))
    assert Representation.of(found) is found


def test_a_plain_array_has_periodic_factors_called_x_y_z():
    found = Representation.of(R)
    assert [(axis.name, axis.kind) for axis in found.axes] == [("x", "periodic"), ("y", "periodic"), ("z", "periodic")]
    assert Representation.of(R, periodic=(True, False, True)).wraps == (True, False, True)
    assert Representation.of(R, ["a", "b", "c"], periodic=False).names == ("a", "b", "c")
    assert Representation.of(np.ones((2,) * 7 + (1,)) * np.arange(2)[:, None]).names == tuple("0123456")


def test_values_of_several_readings_are_their_mean():
    found = Representation.of([R, 3 * R])
    assert found.several
    assert found.values == pytest.approx(2 * R)
    assert found.readings.shape == (2, *R.shape)


@pytest.mark.parametrize("periodic", [True, False])
def test_measures_take_a_representation_as_they_take_its_array(periodic):
    S = R[..., 0, :]
    given = Representation.of(S, periodic=periodic)
    points = S.reshape(-1, 7)
    assert additivity(given) == additivity(S)
    assert compare(given, bootstrap=2).total == compare(S, periodic, bootstrap=2).total
    assert np.array_equal(displacement_cosines(given).within[0], displacement_cosines(S, 1, periodic).within[0])
    for measure in (participation_ratio, levina_bickel):
        assert measure(given) == measure(points)
    assert np.array_equal(spectrum(given), spectrum(points))
    assert np.array_equal(pca(given).coordinates, pca(points).coordinates)
    assert persistence(given, 1).to_json() == persistence(points, 1).to_json()
    readings = [S, S + 0.1]
    assert participation_ratio(Representation.of(readings)) == participation_ratio(readings)


def test_periodic_has_one_default_everywhere():
    S = R[..., 0, :]
    cosines = displacement_cosines(S, periodic=True)
    assert np.array_equal(displacement_cosines(S).within[0], cosines.within[0])
    assert compare(S, bootstrap=2).total == compare(S, True, bootstrap=2).total


def test_places_of_values_that_are_not_equally_spaced():
    assert Axis("a").positions(4) == pytest.approx([0, 1, 2, 3])
    assert Axis("a", "open", (1.0, 2.0, 5.0)).positions(3) == pytest.approx([0, 0.5, 2])
    assert Axis("a", "periodic", (10.0, 20.0, 90.0), 360.0).positions(3) == pytest.approx([0, 1 / 12, 2 / 3])
    assert Axis("a", "categorical", (7.0, 3.0, 5.0)).positions(3) == pytest.approx([0, 1, 2])
    exact = Axis("a", "open", tuple(np.linspace(0.1, 0.7, 7))).positions(7)
    assert np.array_equal(exact, np.arange(7))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (lambda: Representation.of(R, ["x", "y"]), "^factors: got 2, needs one for each of 3$"),
        (lambda: Representation.of(R, ["x", "y", "x"]), "^factors: got x, y, x, needs names that differ$"),
        (lambda: Representation.of(R, SPACE, periodic=True), "^periodic: got a value beside factors whose kinds"),
        (lambda: Representation.of(R, periodic=(True, False)), "^periodic: got 2 values, needs one, or one for each"),
        (lambda: Representation.of(Representation.of(R), ["x", "y", "z"]), "^R: got a Representation with"),
        (lambda: compare(Representation.of(R), periodic=True), "^R: got a Representation with factors of its own"),
        (lambda: Representation.of(R, SPACE, lattice=SPACE.axes({"angle": 60.0})), "^factor size: got 3 values for 5"),
        (lambda: Representation.of(R, SPACE, lattice=[(0.0,)]), "^lattice: got values of 1 factors, needs those of 3$"),
        (lambda: Axis("x", "round"), "^factor x: got kind 'round', needs one of open, periodic, categorical$"),  # pyright: ignore[reportArgumentType]
        (lambda: Axis("x", "periodic", (0.0, 1.0)), "^factor x: got values without a period"),
        (lambda: Representation.of(R[:2, 0, 0], [Axis("x", "open", (1.0, 1.0))]), "^factor x: got values that do not"),
        (lambda: Representation.of(R[:2, 0, 0], [Axis("x", "periodic", (0.0, 4.0), 3.0)]), "within a period of 3"),
        (lambda: Representation.of([R]), "^R: got a list of 1 reading"),
        (lambda: Representation.of([R, R[:3]]), r"^R\[1\]: got shape \(3, 5, 4, 7\), needs that of the first reading"),
    ],
)  # fmt: skip
def test_bad_factors_are_refused_in_one_line(request_, said):
    with pytest.raises(RequestError, match=said):
        request_()


def test_the_default_keeps_the_truths_of_the_torus_and_of_one_hot_codes():
    n = 8
    found = displacement_cosines(clifford_torus(n))
    assert np.abs(found.cross).max() < 1e-12
    assert found.within[0] == pytest.approx(np.cos(2 * np.pi * found.separation[0] / n))
    code = np.concatenate(np.broadcast_arrays(np.eye(n)[:, None], np.eye(n)[None]), axis=-1)
    found = displacement_cosines(code)
    assert np.abs(found.cross).max() < 1e-12
    for across, within, separation in zip(found.across, found.within, found.separation, strict=True):
        assert across == pytest.approx(np.ones(across.size))
        assert within == pytest.approx(np.where(separation == 1, -0.5, 0.0))


def test_mistakes_of_axes_and_readings():
    R = clifford_torus(6)
    for wrong in ("no", ["no", "no"], 0, [0, 1]):
        with pytest.raises(RequestError, match=r"periodic: got .*, needs True or False"):
            displacement_cosines(R, periodic=wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(RequestError, match="lattice: got values beside factors that are no factor space"):
        Representation.of(R, ["x", "y"], lattice=[range(6), range(6)])
    assert len(Representation.of([R, R.tolist()]).readings) == 2
    with pytest.raises(RequestError, match="against: got no reference"):
        compare(R, against={})
    assert compare(R, width=1e-200).nearest == compare(R, width=0.0).nearest
