import itertools
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from scipy import stats
from torch import Tensor, nn

from hyperfactor import DivergedError, RequestError
from hyperfactor.generators.denoiser import TIME_CODE, Denoiser, ddpm
from hyperfactor.generators.noise import Noise
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.networks.layers import watch

from .closed_forms import levels


class Oracle(nn.Module):
    """A network that knows the picture x0, and so predicts every target exactly from x_t and t."""

    def __init__(self, x0: Tensor, spec: DiffusionSpec):
        super().__init__()
        self.x0, self.spec = x0, spec
        self.scale = nn.Parameter(torch.ones(1))
        self.levels = levels(spec)
        frequencies = 10_000.0 ** (-torch.arange(TIME_CODE // 2) / (TIME_CODE // 2))
        self.codes = torch.cat([(torch.arange(spec.timesteps)[:, None] * frequencies).sin()], dim=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        t = torch.cdist(condition[:, : TIME_CODE // 2], self.codes).argmin(dim=1).numpy()
        a, s = (torch.tensor(level[t], dtype=x.dtype)[:, None, None, None] for level in self.levels)
        return self.scale * predicted(self.spec.prediction, self.x0.expand_as(x), (x - a * self.x0) / s, a, s)


def predicted(prediction: str, x0: Tensor, noise: Tensor, a: Tensor | float, s: Tensor | float) -> Tensor:
    """The definitions of the predictions."""
    return {"sample": x0, "epsilon": noise, "v": a * noise - s * x0, "velocity": noise - x0}[prediction]


def denoiser(
    network: nn.Module, diffusion: DiffusionSpec, background: float = 0.0, shape=(1, 8, 8), **sampling: Any
) -> Denoiser:
    return Denoiser(network, shape, diffusion, SamplingSpec(**sampling), background)


def state(model: Denoiser, timestep: int, pictures: Tensor | None = None) -> Tensor:
    """The states of two drawings, or of two noised pictures, at a timestep, scaled to [-1, 1]."""
    ((at, x),) = model.visit(NONE, streams(2), (timestep,), pictures)
    assert at == timestep
    return 2 * x - 1


def streams(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(k) for k in range(n)]


X0 = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
NONE = torch.zeros(2, 0)
STRAIGHT = DiffusionSpec(schedule="straight", prediction="velocity")
SCHEDULES: dict[str, dict[str, Any]] = {
    "published": {},
    "steep": {"beta_start": 1e-3, "beta_end": 0.05, "timesteps": 400},
    "cosine": {"schedule": "squaredcos_cap_v2"},
}


CASES = [
    pytest.param({"prediction": prediction, **schedule}, id=f"{name} {prediction}")
    for name, schedule in SCHEDULES.items()
    for prediction in ("sample", "epsilon", "v", "velocity")
]
ON_STRAIGHT = [
    pytest.param({"prediction": prediction, "schedule": "straight"}, id=f"straight {prediction}")
    for prediction in ("sample", "velocity")
]


@pytest.mark.parametrize("settings", CASES + ON_STRAIGHT)
def test_a_perfect_prediction_has_no_loss_and_another_has(settings):
    spec = DiffusionSpec(**settings)
    oracle = Oracle(X0, spec)
    images = ((X0 + 1) / 2).expand(16, 1, 8, 8)
    model = denoiser(oracle, spec)
    assert model.loss(images, torch.zeros(16, 0), torch.Generator().manual_seed(0)) < 1e-6
    oracle.scale.data *= 0.9
    assert model.loss(images, torch.zeros(16, 0), torch.Generator().manual_seed(0)) > 1e-3


DRAWN = [
    pytest.param(case.values[0], sampler, steps, id=f"{case.id} {sampler}")
    for sampler, steps in (("ddim", 20), ("dpm-solver++", 20), ("ddpm", 200))
    for case in (CASES + ON_STRAIGHT if sampler == "ddim" else CASES)
]


@pytest.mark.parametrize(("settings", "sampler", "steps"), DRAWN)
def test_with_a_perfect_prediction_every_sampler_draws_the_picture(settings, sampler, steps):
    spec = DiffusionSpec(**settings)
    drawn = denoiser(Oracle(X0, spec), spec, sampler=sampler, steps=steps).sample(NONE, streams(2))
    assert torch.allclose(2 * drawn - 1, X0.expand_as(drawn), atol=0.02)


def test_training_timesteps_follow_the_time_bias():
    """With bias 2, t / T has the distribution function u^2."""

    class Spy(nn.Module):
        def forward(self, x, condition):
            codes.append(condition[:, : TIME_CODE // 2])
            return x

    codes: list[Tensor] = []
    denoiser(Spy(), DiffusionSpec()).loss(
        torch.zeros(4000, 1, 1, 1), torch.zeros(4000, 0), torch.Generator().manual_seed(0)
    )
    t = torch.cdist(codes[0], Oracle(X0, DiffusionSpec()).codes).argmin(dim=1).numpy()
    assert stats.kstest((t + 0.5) / 1000, lambda u: np.clip(u, 0, 1) ** 2).pvalue > 0.01


def test_the_signal_weight_counts_pixels_by_their_distance_from_the_background():
    class Zero(nn.Module):
        def forward(self, x, _condition):
            return torch.zeros_like(x)

    images = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)  # scaled: -1, 1; squared errors 1, 1
    for background, expected in ((0.0, (1 + 21) / 2), (1.0, (21 + 1) / 2), (0.5, 11)):
        loss = denoiser(Zero(), DiffusionSpec(signal_weight=20), background).loss(images, NONE[:1], streams(1)[0])
        assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver++", "ddpm"])
def test_samplers_agree_with_diffusers_called_directly(prediction, sampler):
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x, condition):
            return torch.tanh(self.conv(x) + condition.mean(dim=1)[:, None, None, None])

    model = denoiser(Net(), DiffusionSpec(prediction=prediction), sampler=sampler, steps=20)
    ours = model.sample(NONE, streams(2))

    kind = {
        "ddim": DDIMScheduler,
        "dpm-solver++": DPMSolverMultistepScheduler,
        "ddpm": DDPMScheduler,
    }[sampler]
    name = "v_prediction" if prediction == "v" else prediction
    direct = kind(1000, 1e-4, 0.02, "linear", prediction_type=name, timestep_spacing="trailing")
    direct.set_timesteps(20)
    generators = streams(2)
    x = torch.stack([torch.randn(1, 8, 8, generator=g) for g in generators])
    with torch.no_grad():
        for t in direct.timesteps:
            extra = {"generator": generators} if sampler == "ddpm" else {}
            x = direct.step(model(x, t.expand(2), NONE), t, x, **extra).prev_sample
    if sampler == "dpm-solver++" and prediction != "sample":  # diffusers has alpha from sigma / alpha, which rounds
        assert torch.allclose(ours, (x.clamp(-1, 1) + 1) / 2, atol=1e-5, rtol=0)
    else:
        assert torch.equal(ours, (x.clamp(-1, 1) + 1) / 2)


class Knowing(Denoiser):
    """Predicts from the true picture X0. Records each timestep that it receives, and the noise in x."""

    def __init__(self, spec: DiffusionSpec, **sampling: Any):
        super().__init__(nn.Identity(), (1, 8, 8), spec, SamplingSpec(**sampling))
        self.levels = levels(spec)
        self.told: list[tuple[int, Tensor]] = []

    def forward(self, x, timestep, condition):
        assert isinstance(timestep, int)
        a, s = (float(level[timestep]) for level in self.levels)
        noise = (x - a * X0) / s
        self.told.append((timestep, noise))
        return predicted(self.diffusion.prediction, X0.expand_as(x), noise, a, s)


STEPS = [(1000, 7), (1000, 30), (1000, 48), (100, 60), (20, 15), (20, 20), (20, 1), (7, 5), (2, 1), (2, 2)]


@pytest.mark.parametrize(
    ("sampler", "prediction", "schedule"),
    [
        *itertools.product(
            ("ddim", "dpm-solver++"), ("sample", "epsilon", "v", "velocity"), ("linear", "squaredcos_cap_v2")
        ),
        ("ddim", "sample", "straight"), ("ddim", "velocity", "straight"),
    ],
)  # fmt: skip
def test_each_state_has_the_noise_level_of_the_timestep_that_the_network_is_told(sampler, prediction, schedule):
    """With a network that knows the picture, a deterministic sampler keeps the noise: x_t = sqrt(a) x_0 + sqrt(1-a)
    e."""
    for total, steps in STEPS:
        spec = DiffusionSpec(prediction=prediction, timesteps=total, schedule=schedule)
        model = Knowing(spec, sampler=sampler, steps=steps)
        drawn = model.sample(NONE, streams(2))
        assert len(model.told) == steps
        first = model.told[0][1]
        for timestep, noise in model.told[1:]:
            assert torch.allclose(noise, first, atol=0.01 * float(first.abs().max())), (total, steps, timestep)
        assert torch.allclose(2 * drawn - 1, X0.expand_as(drawn), atol=2e-3), (total, steps)


def test_ddpm_s_states_have_the_noise_level_that_is_told():
    model = Knowing(DiffusionSpec(), sampler="ddpm", steps=31)
    drawn = model.sample(torch.zeros(400, 0), streams(400))
    assert [noise.std().item() for _, noise in model.told] == pytest.approx([1.0] * 31, abs=0.03)
    assert torch.allclose(2 * drawn - 1, X0.expand_as(drawn), atol=1e-3)


NOISY, WEAK = {"beta_end": 0.9}, {"beta_start": 1e-9, "beta_end": 1e-9, "timesteps": 5}
COSINE = {"schedule": "squaredcos_cap_v2"}


@pytest.mark.parametrize(
    ("diffusion", "sampling", "works"),
    [
        ({"prediction": "epsilon", **NOISY}, {}, False),
        ({"prediction": "epsilon", **NOISY}, {"sampler": "dpm-solver++"}, False),
        ({"prediction": "epsilon", **NOISY}, {"sampler": "ddpm"}, False),
        (NOISY, {"sampler": "dpm-solver++"}, False),
        (NOISY, {"sampler": "ddpm"}, False),
        ({"prediction": "v", **NOISY}, {"sampler": "ddpm"}, False),
        (NOISY, {"sampler": "ddpm", "steps": 1}, True),
        (NOISY, {}, True),  # nothing is divided by alpha
        ({"prediction": "v", **NOISY}, {}, True),
        ({"prediction": "epsilon", "beta_end": 0.16}, {"sampler": "dpm-solver++"}, True),
        (COSINE, {}, True),
        ({"prediction": "epsilon", **COSINE}, {"sampler": "dpm-solver++"}, True),
        ({"prediction": "epsilon", **COSINE, "timesteps": 2}, {"sampler": "ddpm", "steps": 2}, True),
        (WEAK, {"steps": 5}, False),
        (WEAK, {"steps": 5, "sampler": "ddpm"}, False),
        ({"prediction": "v", **WEAK}, {"steps": 5, "sampler": "dpm-solver++"}, False),
        ({"prediction": "v", **WEAK}, {"steps": 5}, True),
        *(({"timesteps": 20}, {"sampler": "dpm-solver++", "steps": n}, True) for n in (1, 2, 3, 14, 15, 16, 20)),
        ({"timesteps": 20}, {"steps": 21}, False),
        ({"prediction": "velocity", **NOISY}, {}, True),
        ({"prediction": "velocity", **WEAK}, {"steps": 5}, True),
        ({"prediction": "velocity", "schedule": "straight"}, {}, True),
        ({"prediction": "velocity", "schedule": "straight"}, {"steps": 1000}, True),
        ({"prediction": "sample", "schedule": "straight"}, {}, True),
        ({"prediction": "epsilon", "schedule": "straight"}, {}, False),
        ({"prediction": "velocity", "schedule": "straight"}, {"sampler": "ddpm"}, False),
        ({"prediction": "velocity", "schedule": "straight"}, {"sampler": "dpm-solver++"}, False),
    ],
)
def test_settings_that_divide_by_0_are_refused_and_all_others_draw(diffusion, sampling, works):
    class Net(nn.Module):
        def forward(self, x, condition):
            return torch.tanh(0.3 * x)

    spec, drawing = DiffusionSpec(**diffusion), SamplingSpec(**sampling)
    model = denoiser(Net(), spec, steps=1)
    if works:
        assert model.drawing_by(drawing).sample(NONE, streams(2)).isfinite().all()
        assert model.sampling.steps == 1
    else:
        with pytest.raises(RequestError, match="got .*, needs ") as caught:
            model.drawing_by(drawing)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_pictures_that_are_not_finite_are_an_error_and_not_a_picture(value):
    class Net(nn.Module):
        def forward(self, x, condition):
            return torch.full_like(x, value)

    with pytest.raises(DivergedError, match="drawing: got a picture that is not finite"):
        denoiser(Net(), DiffusionSpec(prediction="epsilon"), steps=2).sample(NONE, streams(2))


class Smooth(nn.Module):
    """A network whose layer `felt` returns its picture. Counts its calls."""

    def __init__(self):
        super().__init__()
        self.felt = nn.Identity()
        self.calls = 0

    def forward(self, x, condition):
        self.calls += 1
        return torch.tanh(0.3 * self.felt(x) + condition.mean(dim=1)[:, None, None, None])


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
def test_the_state_at_a_timestep_lies_on_the_way_of_the_sampler(prediction):
    model = denoiser(Smooth(), DiffusionSpec(prediction=prediction), steps=10)
    # on the sampler's own timesteps: diffusers' DDIM, stopped there
    name = "v_prediction" if prediction == "v" else prediction
    direct: Any = DDIMScheduler(1000, 1e-4, 0.02, "linear", prediction_type=name, timestep_spacing="trailing")
    direct.set_timesteps(10)
    x = torch.stack([torch.randn(1, 8, 8, generator=g) for g in streams(2)])
    for t in direct.timesteps:
        assert torch.allclose(state(model, int(t)), x, atol=1e-6)
        with torch.no_grad():
            x = direct.step(model(x, t.expand(2), NONE), t, x).prev_sample
    assert torch.allclose(model.sample(NONE, streams(2)), (x.clamp(-1, 1) + 1) / 2, atol=1e-6)
    # between them: one step of DDIM from timestep 999 straight to 499, which is a sampler of 2 steps
    one, two = (model.drawing_by(SamplingSpec(steps=steps)) for steps in (1, 2))
    assert torch.allclose(state(one, 499), state(two, 499), atol=1e-5)
    assert torch.equal((state(model, 0) + 1) / 2, model.sample(NONE, streams(2)))


@pytest.mark.parametrize("settings", CASES + ON_STRAIGHT)
def test_with_a_perfect_prediction_the_state_is_in_closed_form_at_any_timestep(settings):
    """DDIM goes straight. At each timestep, the state is the picture and the rest of the first noise, mixed in the
    shares of the timestep.
    """
    spec = DiffusionSpec(**settings)
    model, (a, s) = denoiser(Oracle(X0, spec), spec, steps=10), levels(spec)
    noise = torch.stack([torch.randn(1, 8, 8, generator=g) for g in streams(2)])
    noise = (noise - a[-1] * X0) / s[-1]
    for timestep in (spec.timesteps - 1, spec.timesteps - 2, spec.timesteps * 4 // 5 - 1, 137, 1):
        expected = a[timestep] * X0 + s[timestep] * noise
        assert torch.allclose(state(model, timestep), expected.float(), atol=2e-3)
    assert torch.allclose(state(model, 0), X0.expand(2, 1, 8, 8), atol=0.02)


@pytest.mark.parametrize("settings", [*SCHEDULES.values(), STRAIGHT.model_dump()])
def test_the_truth_noised_holds_picture_and_noise_in_the_shares_of_its_timestep(settings):
    spec = DiffusionSpec(**settings)
    model, images = denoiser(Smooth(), spec), torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    noise = torch.stack([torch.randn(1, 8, 8, generator=g) for g in streams(2)])
    a, s = levels(spec)
    for timestep in (1, 300, spec.timesteps - 1):
        expected = a[timestep] * (2 * images - 1) + s[timestep] * noise
        assert torch.allclose(state(model, timestep, images), expected.float(), atol=1e-5)
    assert torch.equal(state(model, 0, images), 2 * images - 1)


@pytest.mark.parametrize("steps", [3, 7])
def test_on_the_straight_path_ddim_is_euler_s_method(steps):
    """x <- x + (sigma_after - sigma_now) velocity, from sigma 1 to sigma 0."""

    class Told(Denoiser):
        def forward(self, x, timestep, condition):
            """(x - x_0) / sigma with x_0 = 0.9 tanh x, which is in [-1, 1]."""
            assert isinstance(timestep, int)
            return (x - 0.9 * torch.tanh(x)) / ((timestep + 1) / self.timesteps)

    model = Told(nn.Identity(), (1, 8, 8), STRAIGHT, SamplingSpec(steps=steps))
    sigmas = [(t + 1) / 1000 for t in [*model.sampling.timesteps(1000), -1]]
    x = torch.stack([torch.randn(1, 8, 8, generator=g) for g in streams(2)])
    for now, after in itertools.pairwise(sigmas):
        x = x + (after - now) * model(x, round(1000 * now) - 1, NONE)
    assert torch.allclose(model.sample(NONE, streams(2)), (x + 1) / 2, atol=1e-5)


class Gaussian(Denoiser):
    """Data with independent normal pixels, and the best prediction: linear in the posterior mean of x_0.

    E[x_0 | x_t] = mean + spread^2 alpha (x_t - alpha mean) / (alpha^2 spread^2 + sigma^2).
    """

    mean, spread = 0.2, 0.2

    def forward(self, x, timestep, condition):
        assert isinstance(timestep, int)
        a, s = (float(level[timestep]) for level in levels(self.diffusion))
        x0 = self.mean + self.spread**2 * a * (x - a * self.mean) / (a**2 * self.spread**2 + s**2)
        return predicted(self.diffusion.prediction, x0, (x - a * x0) / s, a, s)


@pytest.mark.parametrize(
    ("schedule", "sampler", "prediction"),
    [
        *itertools.product(("linear", "squaredcos_cap_v2"), ("ddim", "ddpm", "dpm-solver++"), ("sample", "velocity")),
        *itertools.product(("linear",), ("ddim", "ddpm", "dpm-solver++"), ("epsilon", "v")),
        ("straight", "ddim", "velocity"), ("straight", "ddim", "sample"),
    ],
)  # fmt: skip
def test_an_exact_denoiser_draws_the_right_gaussian(schedule, sampler, prediction):
    steps = 1000 if sampler == "ddpm" else 200  # whose spread comes nearer in proportion to the steps
    betas = {"beta_start": 0.1 / steps, "beta_end": 20 / steps}
    spec = DiffusionSpec(schedule=schedule, prediction=prediction, timesteps=steps, **betas)
    model = Gaussian(nn.Identity(), (1, 16, 16), spec, SamplingSpec(sampler=sampler, steps=steps))
    drawn = 2 * model.sample(torch.zeros(10, 0), streams(10)) - 1
    law = stats.norm(Gaussian.mean, Gaussian.spread)
    assert stats.kstest(drawn.flatten().numpy(), law.cdf).pvalue > 0.01
    wrong = stats.norm(Gaussian.mean, 1.2 * Gaussian.spread)  # the test can tell a spread that is a fifth too large
    assert stats.kstest(drawn.flatten().numpy(), wrong.cdf).pvalue < 0.01


ASKED = (0, 1, 250, 332, 499, 666, 999)  # of the sampler's timesteps, 999, 666 and 332 with 3 steps, and between


@pytest.mark.parametrize("source", ["own", "given"])
@pytest.mark.parametrize(
    ("settings", "sampler"),
    [
        ({}, "ddim"), ({"prediction": "v"}, "ddpm"), ({"prediction": "epsilon"}, "dpm-solver++"),
        (STRAIGHT.model_dump(), "ddim"),
    ],
)  # fmt: skip
def test_one_drawing_serves_all_timesteps_as_separate_ones_would(settings, sampler, source):
    model = denoiser(Smooth(), DiffusionSpec(**settings), sampler=sampler, steps=3)
    pictures = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(9)) if source == "given" else None

    def seen_at(*timesteps: int) -> dict[int, tuple[bytes, bytes]]:
        found = {}
        with watch(model.network, ["felt"]) as seen:
            for timestep, x in model.visit(NONE, streams(2), timesteps, pictures):
                assert torch.allclose((seen["felt"] + 1) / 2, x, atol=1e-6)  # the last call was on this state
                found[timestep] = x.numpy().tobytes(), seen["felt"].numpy().tobytes()
        return found

    together = seen_at(*ASKED, 332)
    assert list(together) == sorted(ASKED, reverse=True)
    for timestep in ASKED:
        assert seen_at(timestep) == {timestep: together[timestep]}


@pytest.mark.parametrize(
    ("timesteps", "calls"),
    [((0,), 4), ((999,), 1), ((332,), 3), ((999, 666, 332), 3), ((500,), 3), ((500, 400), 4), ((1,), 4), (ASKED, 7)],
)
def test_the_network_is_called_no_oftener_than_needed(timesteps, calls):
    """Once at each of the sampler's timesteps down to the lowest stop, and once at each stop between them."""
    model = denoiser(Smooth(), DiffusionSpec(), steps=3)
    list(model.visit(NONE, streams(2), timesteps))
    assert model.network.calls == calls
    list(model.visit(NONE, streams(2), timesteps, torch.zeros(2, 1, 8, 8)))
    assert model.network.calls == calls + len(timesteps)
    model.sample(NONE, streams(2))
    assert model.network.calls == calls + len(timesteps) + 3
    assert model.calls == 3


def test_as_many_steps_as_timesteps_still_look_at_the_finished_picture():
    model = denoiser(Smooth(), DiffusionSpec(timesteps=5), steps=5)
    found = dict(model.visit(NONE, streams(2), (0,)))
    assert model.network.calls == 6
    assert torch.equal(found[0], model.sample(NONE, streams(2)))


def test_deterministic_samplers_start_at_pure_noise_and_ddim_draws_no_more():
    assert SamplingSpec(steps=20).timesteps(1000)[0] == 999
    for spec in (DiffusionSpec(), STRAIGHT):
        assert spec.levels()[0][999] < 1e-2
        generator = torch.Generator().manual_seed(0)
        denoiser(Oracle(X0, spec), spec, steps=5).sample(NONE[:1], [generator])
        expected = torch.Generator().manual_seed(0)
        torch.randn(1, 8, 8, generator=expected)
        assert torch.equal(generator.get_state(), expected.get_state())


def test_pictures_of_three_channels_and_unequal_sides():
    model = denoiser(Smooth(), DiffusionSpec(), shape=(3, 8, 16), steps=2)
    assert model.sample(NONE, streams(2)).shape == (2, 3, 8, 16)


@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize(("total", "steps"), [(1000, 10), (1000, 3), (20, 20)])
def test_a_step_of_ddpm_is_that_of_diffusers_to_the_bit(schedule, total, steps):
    spec = DiffusionSpec(schedule=schedule, timesteps=total, beta_start=1e-3)
    theirs: Any = DDPMScheduler(total, 1e-3, 0.02, schedule, prediction_type="sample")
    timesteps = SamplingSpec(sampler="ddpm", steps=steps).timesteps(total)
    theirs.set_timesteps(timesteps=timesteps)
    ours = ddpm(spec, Noise(streams(2), (1, 8, 8), torch.device("cpu")).draw)
    given, x = streams(2), torch.linspace(-3, 3, 128).reshape(2, 1, 8, 8)
    for now, after in itertools.pairwise([*timesteps, -1]):
        x0 = 1.2 * torch.tanh(2 * x)
        expected = theirs.step(x0, now, x, generator=given).prev_sample
        x = ours(x0, x, x, now, after)
        assert torch.equal(x, expected)
