# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
"""Studies whose outcome is known: a module that draws the truth, one that ignores a factor, and ideal shapes."""

import numpy as np
import pytest
import torch
from torch import nn

from hyperfactor import ArraySubject, RequestError, RunSpec, TorchSubject, study
from hyperfactor.factors import Factor, FactorSpace
from hyperfactor.images.gaussian import Bump
from hyperfactor.measures.geometry import additivity, clifford_torus
from hyperfactor.measures.representation import Axis, Representation
from hyperfactor.subjects.layout import laid_out, tuning_width
from hyperfactor.subjects.sampled import Sampled

SMALL = {"landmarks": 20, "max_dim": 1}
SIDE = 8
FAMILY = Bump(size=SIDE, sigma=1.0, boundary="periodic")


class Codes(nn.Module):
    """Each factor on a circle of its own."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        angles = 2 * np.pi * points / SIDE
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class Picture(nn.Module):
    """The closed form at the angles of two codes."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        angles = torch.atan2(codes[:, 2:], codes[:, :2])
        return torch.from_numpy(FAMILY.render((angles * SIDE / (2 * np.pi) % SIDE).numpy()))


class Drawer(nn.Module):
    """Draws the closed form, with y times a number."""

    def __init__(self, times: float):
        super().__init__()
        self.codes, self.picture, self.unused, self.times = Codes(), Picture(), nn.Linear(2, 2), times

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.picture(self.codes(points * torch.tensor([1.0, self.times])))


def subject(times: float = 1.0) -> TorchSubject:
    return TorchSubject(
        Drawer(times), FAMILY.space(), lambda module, points: module(torch.from_numpy(points)), read=FAMILY.read
    )


def test_a_module_that_draws_the_truth_is_right_everywhere():
    found = study(subject(), **SMALL)
    assert found.drawings is not None
    assert (found.drawings.n, found.drawings.right, found.drawings.correct) == (64, 1.0, {"x": 1.0, "y": 1.0})
    assert found.layers["codes"].additivity.interaction == pytest.approx(0, abs=1e-9)
    assert found.layers["picture"].additivity.interaction > 0.3  # a bump is a product of its profiles
    assert found.layers["codes"].comparison.nearest == "Clifford torus"
    assert "no call" in found.missing["unused"]
    assert found.to_json()["layers"]["codes"]["sizes"] == [8, 8]
    assert {"drawings", "codes", "picture", "unused"} == set(found.table()["of"])


class Noise(nn.Module):
    """Noise of the module's own."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return codes + 0.1 * torch.randn_like(codes)


class Noisy(Drawer):
    def __init__(self, _times: float = 1.0):
        super().__init__(1.0)
        self.noise = Noise()

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.picture(self.noise(self.codes(points)))


def test_the_seed_is_that_of_the_layers_too():
    noisy = TorchSubject(Noisy(), FAMILY.space(), lambda module, points: module(torch.from_numpy(points)))
    once, again, other = (
        study(noisy, layers="noise", seed=seed, **SMALL).layers["noise"].participation_ratio for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other


class NoisyTorus(nn.Module):
    """A Clifford torus with noise of a known share of the variance."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        codes = Codes()(points)
        return torch.cat([codes, torch.zeros(len(codes), 60)], dim=1) + torch.randn(len(codes), 64) * (0.5 / 64) ** 0.5


def test_several_drawings_correct_the_layers_for_noise():
    """The torus has variance 2, and the noise 0.5: a share of 0.2."""

    def call(module: nn.Module, points: np.ndarray) -> torch.Tensor:
        module.get_submodule("codes")(torch.from_numpy(points).float())
        return torch.zeros(len(points), *FAMILY.shape)

    model = TorchSubject(nn.ModuleDict({"codes": NoisyTorus()}), FAMILY.space(), call)
    plain, corrected = (study(model, layers="codes", drawings=k, **SMALL).layers["codes"] for k in (1, 8))
    assert plain.noise is None
    assert plain.rows == (1, 1)
    assert corrected.rows == (8, 8)
    assert corrected.noise == pytest.approx(0.2, abs=0.02)
    assert plain.additivity.interaction > 0.1
    assert corrected.additivity.interaction == pytest.approx(0, abs=0.01)
    assert corrected.participation_ratio == pytest.approx(4, abs=0.1)
    again = study(model, layers="codes", drawings=2, seed=1, **SMALL).layers["codes"]
    assert again.additivity.interaction != corrected.additivity.interaction


def test_a_model_whose_layers_take_no_seed_is_studied():
    class Plain:
        def __init__(self):
            self.space, self._inner = FAMILY.space(), subject()
            for name in ("sample", "axes", "assess", "reading_errors", "default_layers"):
                setattr(self, name, getattr(self._inner, name))

        def activations(self, layers, timestep=0, factors=None, step=None):
            return self._inner.activations(layers, timestep, factors, step)

    assert study(Plain(), layers="codes", seed=3, **SMALL).layers["codes"].comparison.nearest == "Clifford torus"
    with pytest.raises(RequestError, match=r"drawings: got 2 of .*, needs a model whose layers take a seed"):
        study(Plain(), layers="codes", drawings=2, **SMALL)


@pytest.mark.parametrize(("wrong", "words"), [
    ({"seed": -1}, "seed: got -1"),
    ({"landmarks": 0}, "landmarks: got 0, needs an integer of at least 2"),
    ({"drawings": 0}, "drawings: got 0, needs an integer of at least 1"),
    ({"drawings": 2}, "drawings: got 2 for an array, needs 1"),
    ({"max_dim": -1}, "max_dim: got -1, needs an integer of at least 0"),
])  # fmt: skip
def test_wrong_settings_are_no_missing_measures(wrong: dict, words: str):
    with pytest.raises(RequestError, match=words):
        study(clifford_torus(4), **SMALL | wrong)


def test_a_run_is_compared_with_curves_of_its_bumps_width():
    class Run:
        spec = RunSpec.parse({"data": {"picture": {"size": 16, "sigma": 2.0, "boundary": "periodic"}}})

    lattice = FactorSpace((Factor("x", 0, 16), Factor("y", 0, 16))).lattice(0.5)
    assert tuning_width(Run(), lattice) == 4
    assert tuning_width(subject(), lattice) == 1
    assert tuning_width(Run(), lattice[:1]) == 1


def test_the_ends_of_a_period_are_one_value():
    values = np.random.default_rng(0).normal(size=(18, 4))
    table = np.stack([np.tile(np.arange(9.0), 2), np.repeat([0.0, 1.0], 9)], axis=1)
    found = Sampled.of(values, table, [Axis("x", "periodic", None, 8.0), Axis("y", "open")])
    assert found.sizes == (8, 2)
    assert sorted(found.counts.tolist()) == [1] * 14 + [2] * 2


def test_a_module_that_ignores_a_factor_is_wrong_in_it():
    found = study(subject(0), **SMALL)
    assert found.drawings.correct["x"] == 1.0
    assert found.drawings.correct["y"] == pytest.approx(3 / 8)  # 0 and, within a pixel, 1 and 7
    layout = found.layers["codes"]
    assert layout.additivity.main == pytest.approx((1, 0))
    assert "do not depend on it" in layout.missing["displacement cosines"]
    assert layout.cosines is None
    assert layout.topology is not None


def test_points_and_steps_may_be_named():
    steps = study(subject(), factors={"x": 2.0, "y": 4.0}, layers="codes", **SMALL)
    assert steps.layers["codes"].sizes == (4, 2)
    points = study(subject(), factors=[[0, 0], [0, 5], [3, 0]], layers="codes", **SMALL)
    assert (points.drawings.n, points.layers["codes"].conditions) == (3, 3)


def table(n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """A Clifford torus as rows, with their factor values."""
    values = clifford_torus(n).reshape(n * n, -1)
    return values, np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)


def test_a_table_with_a_missing_condition():
    values, factors = table()
    rows = np.random.default_rng(0).permutation([*range(63), 0, 5, 5, 9])
    found = study(values[rows], factors=factors[rows], **SMALL).layers["values"]
    assert (found.conditions, found.rows) == (63, (1, 3))
    assert found.additivity.interaction == pytest.approx(0, abs=1e-9)
    assert found.additivity.main == pytest.approx((0.5, 0.5), abs=0.02)
    for measure in ("displacement cosines", "comparison with ideal shapes"):
        assert "63 of 8 x 8 conditions (x 7, y 7 is missing)" in found.missing[measure]
    assert found.cosines is None
    assert found.topology[2].betti()[0] == 1


def test_a_complete_table_is_the_lattice():
    values, factors = table()
    order = np.random.default_rng(0).permutation(64)
    of_table = study(values[order], factors={"a": factors[order, 0], "b": factors[order, 1]}, **SMALL)
    of_lattice = study(clifford_torus(8), factors=["a", "b"], **SMALL)
    one, other = (found.layers["values"].to_json() for found in (of_table, of_lattice))
    assert one == other
    assert of_table.factors == ("a", "b")


def test_equal_repeats_are_readings():
    values, factors = table()
    noisy = np.concatenate([values, values]) + np.random.default_rng(0).normal(scale=0.3, size=(128, 4))
    found = ArraySubject(noisy, np.concatenate([factors, factors]))
    layout = study(found, **SMALL).layers["values"]
    assert layout.rows == (2, 2)
    assert layout.additivity.noise == pytest.approx(0.36 / 2.36, abs=0.03)


def test_readings_do_not_depend_on_the_order_of_rows():
    """Rows of one condition differ in y, which is not told. In a sorted table y would be the same within a reading."""
    values = clifford_torus(6).reshape(-1, 4)
    table = np.repeat(np.arange(6.0), 6)[:, None]
    order = np.random.default_rng(0).permutation(36)
    one, other = (Sampled.of(values[of], table[of], ["x"]).complete() for of in (np.arange(36), order))
    np.testing.assert_array_equal(one.readings, other.readings)
    assert additivity(one).noise == pytest.approx(0.5, abs=0.2)  # the variance of y


def test_layers_that_are_no_names_are_refused():
    with pytest.raises(RequestError, match="layers: got 5, needs the name of a layer"):
        study(subject(), layers=5, **SMALL)


def test_a_lattice_that_is_too_large_is_refused():
    space = FactorSpace(tuple(Factor(name, 0, 255) for name in "abcd"))
    model = TorchSubject(nn.Linear(4, 4), space, lambda module, points: torch.zeros(len(points), 1, 2, 2))
    with pytest.raises(RequestError, match="lattice: got 256 x 256 x 256 x 256 = .* needs at most 1,048,576"):
        study(model, **SMALL)


def test_least_squares_says_what_is_not_estimable():
    values, factors = table()
    diagonal = factors[:, 0] == factors[:, 1]
    found = study(values[diagonal], factors=factors[diagonal], **SMALL).layers["values"].additivity
    assert found.main == (None, None)
    assert found.interaction is None
    assert found.shared == pytest.approx(1)
    assert len(found.inestimable) == 3


def test_least_squares_of_all_conditions_is_the_analysis_of_variance():
    from hyperfactor.measures.additivity import least_squares_additivity
    from hyperfactor.subjects.sampled import Sampled

    values = np.random.default_rng(1).normal(size=(5, 4, 3, 6))
    points = np.stack(np.meshgrid(*map(np.arange, (5, 4, 3)), indexing="ij"), axis=-1).reshape(-1, 3)
    samples = Sampled.of(values.reshape(60, 6), points, "abc")
    found = least_squares_additivity(samples.means, samples.conditions, samples.names)
    expected = additivity(values)
    assert found.main == pytest.approx(expected.main)
    assert found.shared == pytest.approx(0, abs=1e-9)
    assert found.interaction == pytest.approx(expected.interaction)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"subject": "nothing"}, "needs a model or an array"),
        ({"subject": np.eye(3), "layers": "up1"}, "needs none"),
        ({"subject": np.eye(3), "factors": np.zeros((3, 1))}, "factor x: got a single value"),
        ({"subject": np.eye(3), "factors": np.zeros((2, 1))}, "needs one row for each sample"),
        ({"subject": subject(), "layers": "nothing"}, "needs one of codes, picture"),
        ({"subject": subject(), "factors": [[0, 99]]}, "row 0, y: got 99"),
    ],
)
def test_what_is_refused(given: dict, words: str):
    with pytest.raises(RequestError, match=words):
        study(**given)


def test_readings_of_a_lattice_count_as_rows_of_a_condition():
    noise = 0.01 * np.random.default_rng(0).normal(size=(3, 6, 6, 4))
    found = laid_out(Representation.of(list(clifford_torus(6) + noise)), **SMALL)
    assert found.to_json()["rows_of_a_condition"] == [3, 3]


def test_a_table_may_be_a_list_of_rows_or_a_tensor():
    values = np.random.default_rng(0).normal(size=(16, 5))
    table = np.stack([np.repeat(np.arange(4.0), 4), np.tile(np.arange(4.0), 4)], axis=1)
    expected = study(values, factors=table, **SMALL).to_json() | {"seconds": 0}
    for given in (table.tolist(), list(table), torch.from_numpy(table)):
        assert study(values, factors=given, **SMALL).to_json() | {"seconds": 0} == expected
