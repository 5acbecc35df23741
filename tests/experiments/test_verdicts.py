"""What every analysis says of models that copy, compose, interpolate, scramble or fail by construction."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from hyperfactor import RequestError
from hyperfactor.experiments import (
    composition,
    data_efficiency,
    exterior,
    interpolation,
    percolation_onset as onset,
    torus,
)
from hyperfactor.experiments.base import drawings, unmet
from hyperfactor.experiments.claims import Claim
from hyperfactor.measures.geometry import clifford_torus, hyper_factorized_torus, torus_3d

from .fakes import (
    FakeRun,
    Rule,
    coarser,
    composes,
    copies,
    fails,
    interpolates,
    right_in,
    scrambles,
    stand_in,
)


def verdicts(claims: list[Claim]) -> dict[str, str]:
    return {claim.id: claim.verdict for claim in claims}


def measured(claims: list[Claim]) -> dict[str, float | None]:
    return {claim.id: claim.measured for claim in claims}


# Coarser lattices than the experiments', so that few drawings are judged.
INTERPOLATION = [coarser(interpolation.specs("laptop", 0), test_spacing={"y": 4.0})]
EXTERIOR = [coarser(exterior.specs("laptop", 0), test_spacing=2.0)]
COMPOSITION = [coarser(composition.specs("laptop", 0), spacing=1.0)]


def test_composition_of_models_that_compose():
    """Each stripe goes to the nearest value trained on, in any pair: 2 of 7 held-out values are within a pixel of
    one."""
    claims = composition.analyse(stand_in(COMPOSITION, composes))[0]
    values, said = measured(claims), verdicts(claims)
    assert values["2d.vertical.y"] == values["2d.horizontal.x"] == 1
    assert values["2d.vertical.x"] == values["2d.horizontal.y"] == pytest.approx(2 / 7)
    assert values["2d.intersection"] == pytest.approx(4 / 49)
    assert values["1d.rim"] == 0
    expected = dict.fromkeys(said, "holds") | {"1d.right": "fails", "1d.valid": "fails", "1d.rim": "undecided"}
    assert said == expected


def test_composition_of_models_that_copy():
    """The nearest trained picture. Of pairs that were never seen the 2D+1D model draws another pair, or beside the
    window's edge a stripe, which is no valid SOS; the 1D models draw a stripe, or a pair of the rim."""
    claims = composition.analyse(stand_in(COMPOSITION, copies))[0]
    values, said = measured(claims), verdicts(claims)
    assert values["2d.vertical.x"] == pytest.approx(2 / 7)
    assert values["1d.right"] == values["1d.valid"] == values["1d+rim.right"] == 0
    assert {name for name, verdict in said.items() if verdict == "fails"} == {
        *(f"2d+1d.{region}.both" for region in composition.HELD_OUT_REGIONS), "1d+rim.right",
        "2d+1d.vertical.valid", "2d+1d.horizontal.valid",
    }  # fmt: skip
    assert said["1d.rim"] == "undecided"


def test_composition_of_a_2d_model_that_interpolates():
    said = verdicts(composition.analyse(stand_in(COMPOSITION, interpolates))[0])
    assert said["2d.vertical.y"] == "holds"
    assert {said[name] for name in ("2d.vertical.x", "2d.horizontal.y", "2d.intersection")} == {"fails"}


@pytest.mark.parametrize("rule", [scrambles, fails])
def test_what_has_not_learnt_its_training_set_is_not_measured(rule):
    for claims in (
        composition.analyse(stand_in(COMPOSITION, rule))[0],
        interpolation._claims(stand_in(INTERPOLATION, rule)),
        exterior._claims(stand_in(EXTERIOR, rule)),
    ):
        assert {claim.verdict for claim in claims} == {"not measured"}
        assert all("of its training region right, needs 0.9" in claim.reason for claim in claims)
        assert all(claim.measured is None and claim.interval is None and claim.holds is None for claim in claims)


def test_a_control_that_has_not_learnt_leaves_only_its_own_claims_unmeasured():
    rules = {role: fails if role == "1d" else composes for role in composition.TRAINED}
    said = verdicts(composition.analyse(stand_in(COMPOSITION, rules))[0])
    assert {name for name, verdict in said.items() if verdict == "not measured"} == {"1d.right", "1d.valid", "1d.rim"}


def test_a_region_that_was_trained_on_is_not_judged_as_held_out():
    spec = COMPOSITION[0]["2d"]
    leaking = coarser({"2d": spec}, train={"kind": "everything"})["2d"]
    (reason,) = unmet({"2d": [FakeRun(leaking, interpolates)]}, ["2d"], "intersection")  # pyright: ignore[reportArgumentType]
    assert (
        reason
        == "model '2d' of seed 0 was trained on 49 points of region intersection, needs none where it is held out"
    )
    assert unmet({"2d": [FakeRun(spec, interpolates)]}, ["2d"], "intersection") == []  # pyright: ignore[reportArgumentType]


def test_a_small_region_is_drawn_with_other_noise_until_there_are_enough():
    """Of 49 requests 7 drawings each are 343; the first 49 are those of the recorded noise."""
    run = FakeRun(COMPOSITION[0]["2d"], right_in(0.5))
    assert len(drawings(run, "intersection")) == 343  # pyright: ignore[reportArgumentType]
    assert len(drawings(run, "rest")) == len(run.evaluate("rest")) == 625  # pyright: ignore[reportArgumentType]


def test_a_model_without_noise_is_not_drawn_again():
    """A plain decoder draws the same pictures again, so 49 requests are 49 drawings: 0.927 to 1, and not 0.989 to 1."""
    run = FakeRun(COMPOSITION[0]["2d"], composes, noise=0.0)
    assert len(drawings(run, "intersection")) == 49  # pyright: ignore[reportArgumentType]


def test_interpolation_of_models_that_copy_and_that_interpolate():
    claims = interpolation._claims(stand_in(INTERPOLATION, copies))
    values, said = measured(claims), verdicts(claims)
    assert values["interpolation.weak.4"] == pytest.approx(2 / 4)
    assert values["interpolation.weak.8"] == pytest.approx(2 / 8)
    assert values["interpolation.falls.8"] == pytest.approx(1 - 2 / 8)
    assert said["interpolation.weak.4"] == "undecided"  # exactly the bound
    assert {verdict for name, verdict in said.items() if name != "interpolation.weak.4"} == {"holds"}
    said = verdicts(interpolation._claims(stand_in(INTERPOLATION, interpolates)))
    assert said["interpolation.weak.8"] == "fails"
    assert said["interpolation.falls.8"] == "undecided"
    assert said["interpolation.other.8"] == "holds"


def test_claims_of_models_that_a_preset_lacks_are_not_measured():
    runs = stand_in([interpolation.specs("smoke", 0)], copies)
    claims = interpolation._claims(runs)
    every = verdicts(interpolation._claims(stand_in(INTERPOLATION, copies))).keys()
    others = {f"interpolation.other.{width}" for width in interpolation.WIDTHS if str(width) not in runs}
    assert verdicts(claims).keys() == every - others
    (missing,) = (claim for claim in claims if claim.id == "interpolation.weak.4")
    assert (missing.verdict, missing.reason) == ("not measured", "this preset has no model '4'")


def test_exterior_of_models_that_compose_copy_and_fail_outside():
    specs = EXTERIOR
    claims = exterior._claims(stand_in(specs, composes))
    assert measured(claims)["exterior.bump.place.24"] == 0
    said = verdicts(claims)
    assert said["exterior.bump.small"] == said["exterior.sos.small"] == "holds"
    assert {verdict for name, verdict in said.items() if not name.endswith("small")} == {"undecided"}
    inside = {role: composes if "interior" in role else copies for role in specs[0]}
    said = verdicts(exterior._claims(stand_in(specs, inside)))
    assert {said[f"exterior.{family}.place.{width}"] for family in ("bump", "sos") for width in (4, 12, 24)} == {
        "holds"
    }
    said = verdicts(exterior._claims(stand_in(specs, {r: copies if "interior" in r else composes for r in specs[0]})))
    assert said["exterior.bump.small"] == said["exterior.bump.place.24"] == "fails"


def efficiency(powers: Mapping[str, float], scale: float = 3.0, whole: float = 1.0) -> list[Claim]:
    """Models that draw everything right from `scale` (N / 8)^power pictures on, and a tenth below."""
    runs = {}
    for family, power in powers.items():
        for size in data_efficiency.SIZES:
            enough = scale * 8 * (size / 8) ** power
            full = data_efficiency._whole(family, size)
            for k, part in enumerate((0.9 * enough / full, *((1.0,) if size == 32 else ()), 1.1 * enough / full)):
                spec = data_efficiency._spec("laptop", 0, family, size, min(part, 1.0))
                rule = right_in(whole if part == 1 else 1.0 if part * full >= enough else 0.1)
                runs[f"{family} | {size} | {k}"] = [FakeRun(spec, rule)]
    return data_efficiency.analyse(runs)[0]


def test_data_efficiency_of_known_powers():
    bumps, both = data_efficiency.FAMILIES
    claims = efficiency({bumps: 1.9, both: 1.0})
    assert measured(claims)["efficiency.bumps"] == pytest.approx(1.9, abs=0.1)
    assert measured(claims)["efficiency.both"] == pytest.approx(1.0, abs=0.1)
    assert set(verdicts(claims).values()) == {"holds"}
    turned = verdicts(efficiency({bumps: 1.0, both: 1.9}))
    assert set(turned.values()) == {"fails"}


def test_data_efficiency_is_not_measured_where_nothing_is_learnt():
    claims = efficiency(dict.fromkeys(data_efficiency.FAMILIES, 1.0), whole=0.2)
    assert set(verdicts(claims).values()) == {"not measured"}
    assert "the model of the whole set of seed 0 draws 0.20 right, needs 0.9" in claims[0].reason
    smoke = data_efficiency.analyse(stand_in([data_efficiency.specs("smoke", 0)], fails))[0]
    assert verdicts(smoke).keys() == verdicts(claims).keys()
    assert set(verdicts(smoke).values()) == {"not measured"}


def onsets(at: Mapping[float, float], whole: float = 1.0) -> list[Claim]:
    """The claims of three seeds whose share right is (lambda / 2 onset)^2 up to 1, that is 1/4 at the onset of HALF /
    2."""
    rows = [
        {"sigma": sigma, "fraction": fraction, "seed": seed, "n": 1024,
         "right": whole if fraction == 1 else min(1.0, (fraction / at[sigma]) ** 2 / 2)}
        for sigma in onset.SIGMAS for fraction in onset.LAMBDAS for seed in (0, 1, 2)
    ]  # fmt: skip
    return onset._claims(pl.DataFrame(rows))


def test_onsets_that_follow_percolation_and_that_do_not(monkeypatch: pytest.MonkeyPatch):
    """Onsets in proportion to the thresholds hold; in the opposite order of sigma they fail."""
    thresholds = dict(zip(onset.SIGMAS, (0.08, 0.06, 0.04, 0.02), strict=True))
    monkeypatch.setattr(onset, "predicted", lambda sigma, tau: thresholds[sigma])
    said = verdicts(onsets(thresholds))
    assert said["onset.earlier"] == said["onset.predicted"] == "holds"
    turned = verdicts(onsets(dict(zip(onset.SIGMAS, reversed(thresholds.values()), strict=True))))
    assert turned["onset.earlier"] == turned["onset.predicted"] == "fails"


def test_models_of_bumps_that_copy_score_their_baseline(monkeypatch: pytest.MonkeyPatch):
    """At lambda 1 every request was trained on. Of lattices whose largest cluster grows as the fraction, so does the
    mean."""
    grows = SimpleNamespace(fraction=[0.0, 1.0], ratio=lambda: [0.0, 1.0])
    monkeypatch.setattr(onset, "site_percolation", lambda *_: grows)
    monkeypatch.setattr(onset, "predicted", lambda sigma, tau: 0.1)
    monkeypatch.setattr(onset, "SHOWN", ())
    tables = onset.analyse(stand_in([onset.specs("smoke", 0)], copies))[1]
    accuracy = tables["accuracy"]
    assert accuracy["right"].to_list() == accuracy["copied"].to_list()
    assert 0 < accuracy.filter(pl.col("fraction") < 1)["copied"].to_numpy().mean() < 0.5
    assert accuracy.filter(pl.col("fraction") == 1)["copied"].to_list() == [1, 1]
    simulated = tables["simulated"]
    assert simulated.select("side", "lattices").unique().rows() == [onset.FEW_LATTICES]
    assert simulated["ratio"].to_list() == pytest.approx(simulated["fraction"].to_list())


def test_onsets_are_not_measured_where_all_bumps_are_not_learnt():
    claims = onsets(dict.fromkeys(onset.SIGMAS, 0.05), whole=0.4)
    assert {(claim.verdict, claim.reason) for claim in claims} == {
        ("not measured", "sigma 0.5: the model of all bumps of seed 0 draws 0.40 right, needs 0.9")
    }


SIDE = 16  # lattice values of each factor in the fakes of the torus experiment


def lattice(R: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The representation of points on the lattice of SIDE x SIDE."""

    def of(points: np.ndarray) -> np.ndarray:
        i, j = (points / (32 / SIDE)).round().astype(int).T
        return R[i, j]

    return of


NOISE = np.random.default_rng(0).normal(size=(SIDE, SIDE, 40))
TORUS = coarser(torus.specs("laptop", 0), test_spacing=32 / SIDE)["torus"]


def trained(R: np.ndarray, rule: Rule = interpolates, start: np.ndarray = NOISE) -> torus.Trained:
    """A model that begins as noise, or as given, and ends with a representation (SIDE, SIDE, d)."""
    shapes = {None: lattice(R), **dict.fromkeys(TORUS.training.snapshots, lattice(start))}
    run: Any = FakeRun(TORUS, rule, shapes)
    with ThreadPoolExecutor(1) as pool:
        return torus.examine(run, part_way=False, pool=pool)


@pytest.fixture(scope="module")
def noise() -> torus.Trained:
    """A model that ends as it began, as noise, and draws everything right. Homology of noise is costly, so it has few
    landmarks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torus, "UNTRAINED", 100)
        found = trained(NOISE)
    assert found.first is not None
    assert found.first.tori.value == 0
    return replace(found, last=found.first)


def claims_of(R: np.ndarray, noise: torus.Trained, first: torus.View | None) -> list[Claim]:
    """The claims about a model that begins with a view and ends with R.

    All points of R are landmarks, so that every reading is the same, and homology, which is costly, is computed once.
    """
    found = replace(trained(R), first=first)
    assert found.last.landmarks >= len(found.last.points)
    once = found.last.shape
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            torus, "over_landmarks", lambda _, seeds, fields, landmarks: [dict.fromkeys(fields, once)] * len(seeds)
        )
        assert found.last.tori.value in (0, 1)
    return torus._claims({"torus": [found], "no wrap": [noise]})


def test_a_flat_torus_is_a_torus_and_not_hyper_factorized(noise: torus.Trained):
    claims = claims_of(clifford_torus(SIDE), noise, noise.first)
    said, values = verdicts(claims), measured(claims)
    assert said["torus.accuracy"] == said["torus.betti.end"] == said["torus.betti.start"] == "holds"
    assert said["torus.xy.orthogonality"] == said["torus.cross"] == said["torus.interaction"] == "holds"
    paper = [name for name in said if name.startswith(("torus.xx", "torus.yy"))]
    assert len(paper) == 4
    assert {said[name] for name in paper} == {"fails"}
    assert values["torus.xx.parallelism"] == values["torus.yy.parallelism"] == pytest.approx(-1)
    assert values["torus.xx.orthogonality"] == values["torus.yy.orthogonality"] == pytest.approx(-0.5, abs=0.01)
    assert values["torus.dimension"] == pytest.approx(4)
    assert said["torus.dimension"] == "undecided"  # exactly the bound
    assert said["torus.within.x"] == said["torus.within.y"] == "fails"
    assert said["control.betti"] == "holds"


def test_a_hyper_factorized_torus_has_more_dimensions_than_a_flat_one(noise: torus.Trained):
    """Its factors add up, as those of every factorized code: curves of x are the same at every y, 0 and 1."""
    claims = claims_of(hyper_factorized_torus(SIDE, 2.0), noise, noise.first)
    said, values = verdicts(claims), measured(claims)
    assert {said[f"torus.{name}"] for name in ("betti.end", "dimension", "cross", "interaction")} == {"holds"}
    assert {said[name] for name in said if name.startswith(("torus.xx", "torus.yy"))} == {"fails"}
    assert values["torus.xx.parallelism"] == pytest.approx(-1)


def test_a_code_of_places_has_the_papers_signature_and_does_not_keep_the_factors_apart(noise: torus.Trained):
    """A unit for each pair of values: curves of x at far values of y share no unit, so they are orthogonal."""
    ring = hyper_factorized_torus(SIDE, 1.0)[:, 0, :SIDE]  # (value, unit)
    places = np.einsum("iu,jv->ijuv", ring, ring).reshape(SIDE, SIDE, -1)
    claims = claims_of(places, noise, noise.first)
    said = verdicts(claims)
    assert {said[name] for name in said if name.startswith(("torus.xx", "torus.yy"))} == {"holds"}
    assert said["torus.interaction"] == "fails"


def test_a_3d_torus_mixes_its_factors(noise: torus.Trained):
    said = verdicts(claims_of(torus_3d(SIDE), noise, noise.first))
    assert said["torus.xy.orthogonality"] == said["torus.dimension"] == "fails"
    assert said["torus.interaction"] == "undecided"  # by hand: 0.1, exactly the bound


def test_torus_claims_of_models_that_have_not_learnt(noise: torus.Trained):
    """Not even those of the shape that the claims ask for."""
    end = replace(trained(clifford_torus(SIDE), fails), first=noise.first)
    said = verdicts(torus._claims({"torus": [end], "no wrap": [end]}))
    assert said.pop("torus.accuracy") == "fails"
    assert said.pop("torus.betti.start") == "holds"
    assert set(said.values()) == {"not measured"}


def test_what_the_untrained_network_has_too_is_not_ascribed_to_learning(noise: torus.Trained):
    claims = {claim.id: claim for claim in torus._claims({"torus": [noise], "no wrap": [noise]})}
    assert claims["torus.dimension"].verdict == claims["torus.within.x"].verdict == "not measured"
    assert "does not differ from that of the untrained network" in claims["torus.dimension"].reason
    assert claims["torus.betti.end"].verdict == claims["torus.interaction"].verdict == "fails"


def test_a_network_that_begins_with_one_output_for_all_points_shows_no_torus_there(noise: torus.Trained):
    """As the untrained transformer does."""
    found = trained(clifford_torus(SIDE), start=np.ones((SIDE, SIDE, 3)))
    assert found.first is None
    assert torus._training({"torus": [found]}, [0])["step"].to_list() == [TORUS.training.steps]
    said = verdicts(claims_of(clifford_torus(SIDE), noise, found.first))
    assert said["torus.betti.start"] == said["torus.betti.end"] == said["torus.interaction"] == "holds"
    with pytest.raises(RequestError, match="same output for all points"):
        trained(np.ones((SIDE, SIDE, 3)))


@pytest.mark.parametrize(
    ("experiment", "specs"),
    [(composition, COMPOSITION), (interpolation, INTERPOLATION), (exterior, EXTERIOR)],
    ids=["composition", "interpolation", "exterior"],
)
def test_a_claim_names_the_models_that_it_is_about(experiment: Any, specs: list[dict[str, Any]]):
    """If one model draws nothing, the claims about it are not measured, and the others are."""
    learnt, spoilt = stand_in(specs, interpolates), stand_in(specs, fails)
    for role in list(learnt)[:4]:
        for claim in experiment._claims({**learnt, role: spoilt[role]}):
            assert claim.roles
            assert (claim.verdict == "not measured") == (role in claim.roles), (role, claim.id)
