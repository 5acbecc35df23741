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
from hyperfactor.training.diffusion import TIME_CODE, Diffusion, DiffusionSpec, SamplingSpec, noise_scheduler


def alphas(spec: DiffusionSpec) -> np.ndarray:
    """The cumulated product of 1 - beta at each timestep, from the published formulas.

    linear: Ho et al., arXiv 2006.11239.  squaredcos_cap_v2: Nichol and Dhariwal, arXiv 2102.09672, equation 17:
    a ratio f(t) / f(0) with f(t) = cos^2((t / T + s) / (1 + s) pi / 2), s = 0.008, and no beta above 0.999.
    """
    if spec.schedule == "linear":
        return np.cumprod(1 - np.linspace(spec.beta_start, spec.beta_end, spec.timesteps))
    f = np.cos((np.arange(spec.timesteps + 1) / spec.timesteps + 0.008) / 1.008 * np.pi / 2) ** 2
    found = f[1:] / f[0]
    found[-1] = found[-2] * (1 - 0.999)  # the last beta is capped
    return found


class Oracle(nn.Module):
    """Knows the picture x0, and so predicts every target exactly from x_t and t."""

    def __init__(self, x0: Tensor, spec: DiffusionSpec):
        super().__init__()
        self.x0, self.spec = x0, spec
        self.scale = nn.Parameter(torch.ones(1))
        self.alphas = alphas(spec)
        frequencies = 10_000.0 ** (-torch.arange(TIME_CODE // 2) / (TIME_CODE // 2))
        self.codes = torch.cat([(torch.arange(spec.timesteps)[:, None] * frequencies).sin()], dim=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        t = torch.cdist(condition[:, : TIME_CODE // 2], self.codes).argmin(dim=1).numpy()
        a = torch.tensor(self.alphas[t], dtype=x.dtype)[:, None, None, None]
        noise = (x - a.sqrt() * self.x0) / (1 - a).sqrt()
        v = a.sqrt() * noise - (1 - a).sqrt() * self.x0
        return self.scale * {"sample": self.x0.expand_as(x), "epsilon": noise, "v": v}[self.spec.prediction]


def streams(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(k) for k in range(n)]


X0 = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
NONE = torch.zeros(2, 0)
SCHEDULES = [
    pytest.param({}, id="published"),
    pytest.param({"beta_start": 1e-3, "beta_end": 0.05, "timesteps": 400}, id="steep"),
    pytest.param({"schedule": "squaredcos_cap_v2"}, id="cosine"),
]


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_perfect_prediction_has_no_loss_and_another_has(prediction, schedule):
    spec = DiffusionSpec(prediction=prediction, **schedule)
    oracle = Oracle(X0, spec)
    images = ((X0 + 1) / 2).expand(16, 1, 8, 8)
    model = Diffusion(oracle, spec)
    assert model.loss(images, torch.zeros(16, 0), torch.Generator().manual_seed(0)) < 1e-6
    oracle.scale.data *= 0.9
    assert model.loss(images, torch.zeros(16, 0), torch.Generator().manual_seed(0)) > 1e-3


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 20), ("dpm-solver++", 20), ("ddpm", 200)])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_with_a_perfect_prediction_every_sampler_draws_the_picture(prediction, sampler, steps, schedule):
    spec = DiffusionSpec(prediction=prediction, **schedule)
    drawn = Diffusion(Oracle(X0, spec), spec).sample(NONE, 8, SamplingSpec(sampler=sampler, steps=steps), streams(2))
    assert torch.allclose(2 * drawn - 1, X0.expand_as(drawn), atol=0.02)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_noising_has_the_stated_mean_and_variance(schedule):
    spec = DiffusionSpec(**schedule)
    noise = torch.randn(20_000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    for t in (0, 300, spec.timesteps - 1):
        clean = torch.full_like(noise, 0.7)
        x = noise_scheduler(spec).add_noise(clean, noise, torch.full((20_000,), t)).flatten().numpy()
        alpha = alphas(spec)[t]
        assert stats.kstest(x, stats.norm(0.7 * np.sqrt(alpha), np.sqrt(1 - alpha)).cdf).pvalue > 0.01


def test_training_timesteps_follow_the_time_bias():
    """With bias 2, t / T has the distribution function u^2."""

    class Spy(nn.Module):
        def forward(self, x, condition):
            codes.append(condition[:, : TIME_CODE // 2])
            return x

    codes: list[Tensor] = []
    Diffusion(Spy(), DiffusionSpec()).loss(
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
        loss = Diffusion(Zero(), DiffusionSpec(signal_weight=20), background).loss(images, NONE[:1], streams(1)[0])
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

    model = Diffusion(Net(), DiffusionSpec(prediction=prediction))
    ours = model.sample(NONE, 8, SamplingSpec(sampler=sampler, steps=20), streams(2))

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
    assert torch.equal(ours, (x.clamp(-1, 1) + 1) / 2)


def alphas_of(spec: DiffusionSpec) -> np.ndarray:
    """alpha_t of the published schedules (arXiv 2006.11239, section 4; 2102.09672, equation 17), in float64."""
    if spec.schedule == "linear":
        return np.cumprod(1 - np.linspace(spec.beta_start, spec.beta_end, spec.timesteps))
    bar = np.cos((np.arange(spec.timesteps + 1) / spec.timesteps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - bar[1:] / bar[:-1], 0.999))


class Knowing(Diffusion):
    """Predicts from the true picture X0; records each timestep that it is told, and the noise that x then holds."""

    def __init__(self, spec: DiffusionSpec):
        super().__init__(nn.Identity(), spec)
        self.told: list[tuple[int, Tensor]] = []

    def forward(self, x, timestep, condition):
        a = float(alphas_of(self.spec)[int(timestep[0])])
        noise = (x - a**0.5 * X0) / (1 - a) ** 0.5
        self.told.append((int(timestep[0]), noise))
        v = a**0.5 * noise - (1 - a) ** 0.5 * X0
        return {"sample": X0.expand_as(x), "epsilon": noise, "v": v}[self.spec.prediction]


STEPS = [(1000, 7), (1000, 30), (1000, 48), (100, 60), (20, 15), (20, 20), (20, 1), (7, 5), (2, 1), (2, 2)]


@pytest.mark.parametrize("schedule", ["linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver++"])
def test_each_state_has_the_noise_level_of_the_timestep_that_the_network_is_told(sampler, prediction, schedule):
    """With a network that knows the picture, a deterministic sampler keeps the noise: x_t = sqrt(a) x_0 + sqrt(1-a)
    e."""
    for total, steps in STEPS:
        model = Knowing(DiffusionSpec(prediction=prediction, timesteps=total, schedule=schedule))
        drawn = model.sample(NONE, 8, SamplingSpec(sampler=sampler, steps=steps), streams(2))
        assert len(model.told) == steps
        first = model.told[0][1]
        for timestep, noise in model.told[1:]:
            assert torch.allclose(noise, first, atol=0.01 * float(first.abs().max())), (total, steps, timestep)
        assert torch.allclose(2 * drawn - 1, X0.expand_as(drawn), atol=2e-3), (total, steps)


def test_ddpm_s_states_have_the_noise_level_that_is_told():
    model, sampling = Knowing(DiffusionSpec()), SamplingSpec(sampler="ddpm", steps=31)
    drawn = model.sample(torch.zeros(400, 0), 8, sampling, streams(400))
    assert [noise.std().item() for _, noise in model.told] == pytest.approx([1.0] * 31, abs=0.03)
    assert torch.allclose(2 * drawn - 1, X0.expand_as(drawn), atol=1e-3)


def test_there_are_as_many_timesteps_as_steps_and_none_twice_or_below_0():
    for total in (2, 3, 10, 64, 250, 1000):
        for steps in range(1, total + 1):
            told = SamplingSpec(steps=steps).timesteps(total)
            assert len(told) == steps
            assert told[0] == total - 1
            assert told[-1] >= 0
            gaps = -np.diff(told)
            assert (gaps >= 1).all()
            assert (np.abs(gaps - total / steps) <= 1).all()
            if total % steps == 0:
                assert told == list(range(total - 1, -1, -total // steps))


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm-solver++"])
def test_the_scheduler_has_the_sampler_s_timesteps(sampler):
    for steps in (1, 15, 16, 29, 31, 60, 100):
        sampling = SamplingSpec(sampler=sampler, steps=steps)
        scheduler = noise_scheduler(DiffusionSpec(timesteps=100), sampling)
        assert scheduler.timesteps.tolist() == sampling.timesteps(100)


@pytest.mark.parametrize("spec", [DiffusionSpec(), DiffusionSpec(schedule="squaredcos_cap_v2", timesteps=37)])
def test_the_schedules_are_the_published_ones(spec):
    ours = spec.alphas()
    assert torch.equal(ours, noise_scheduler(spec).alphas_cumprod)
    assert ours.numpy() == pytest.approx(alphas_of(spec), rel=1e-3)


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
    ],
)
def test_settings_that_divide_by_0_are_refused_and_all_others_draw(diffusion, sampling, works):
    class Net(nn.Module):
        def forward(self, x, condition):
            return torch.tanh(0.3 * x)

    spec, drawing = DiffusionSpec(**diffusion), SamplingSpec(**sampling)
    model = Diffusion(Net(), spec)
    if works:
        drawing.check(spec)
        assert model.sample(NONE, 8, drawing, streams(2)).isfinite().all()
    else:
        with pytest.raises(RequestError, match="got .*, needs ") as caught:
            drawing.check(spec)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_pictures_that_are_not_finite_are_an_error_and_not_a_picture(value):
    class Net(nn.Module):
        def forward(self, x, condition):
            return torch.full_like(x, value)

    with pytest.raises(DivergedError, match="drawing: got a picture that is not finite"):
        Diffusion(Net(), DiffusionSpec(prediction="epsilon")).sample(NONE, 8, SamplingSpec(steps=2), streams(2))


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
def test_the_state_at_a_timestep_lies_on_the_way_of_the_sampler(prediction):
    class Net(nn.Module):
        def forward(self, x, condition):
            return torch.tanh(0.3 * x + condition.mean(dim=1)[:, None, None, None])

    model, sampling = Diffusion(Net(), DiffusionSpec(prediction=prediction)), SamplingSpec(steps=10)

    def state(timestep, steps=10):
        return model.state(NONE, 8, SamplingSpec(steps=steps), streams(2), timestep)

    # on the sampler's own timesteps: diffusers' DDIM, stopped there
    name = "v_prediction" if prediction == "v" else prediction
    direct: Any = DDIMScheduler(1000, 1e-4, 0.02, "linear", prediction_type=name, timestep_spacing="trailing")
    direct.set_timesteps(10)
    x = torch.stack([torch.randn(1, 8, 8, generator=g) for g in streams(2)])
    for t in direct.timesteps:
        assert torch.allclose(state(int(t)), x, atol=1e-6)
        with torch.no_grad():
            x = direct.step(model(x, t.expand(2), NONE), t, x).prev_sample
    assert torch.allclose(model.sample(NONE, 8, sampling, streams(2)), (x.clamp(-1, 1) + 1) / 2, atol=1e-6)
    # between them: one step of DDIM from timestep 999 straight to 499, which is a sampler of 2 steps
    assert torch.allclose(state(499, steps=1), state(499, steps=2), atol=1e-5)
    assert state(0).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("prediction", ["sample", "epsilon", "v"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_with_a_perfect_prediction_the_state_is_in_closed_form_at_any_timestep(prediction, schedule):
    """DDIM goes straight: at each timestep, the sampler's or one between, it holds the picture and the first noise
    (less what of the picture is in that) in the shares of the timestep."""
    spec = DiffusionSpec(prediction=prediction, **schedule)
    model, a = Diffusion(Oracle(X0, spec), spec), alphas(spec)
    noise = torch.stack([torch.randn(1, 8, 8, generator=g) for g in streams(2)])
    noise = (noise - a[-1] ** 0.5 * X0) / (1 - a[-1]) ** 0.5
    for timestep in (spec.timesteps - 1, spec.timesteps - 2, spec.timesteps * 4 // 5 - 1, 137, 1):
        state = model.state(NONE, 8, SamplingSpec(steps=10), streams(2), timestep)
        expected = a[timestep] ** 0.5 * X0 + (1 - a[timestep]) ** 0.5 * noise
        assert torch.allclose(state, expected.float(), atol=2e-3)
    assert torch.allclose(model.state(NONE, 8, SamplingSpec(steps=10), streams(2), 0), X0.expand(2, 1, 8, 8), atol=0.02)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_truth_noised_holds_picture_and_noise_in_the_shares_of_its_timestep(schedule):
    spec = DiffusionSpec(**schedule)
    model, images = Diffusion(nn.Identity(), spec), torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    noise = torch.stack([torch.randn(1, 8, 8, generator=g) for g in streams(2)])
    for timestep in (1, 300, spec.timesteps - 1):
        a = alphas(spec)[timestep]
        expected = a**0.5 * (2 * images - 1) + (1 - a) ** 0.5 * noise
        assert torch.allclose(model.noised(images, timestep, streams(2)), expected, atol=1e-5)
    assert torch.equal(model.noised(images, 0, streams(2)), 2 * images - 1)


def test_deterministic_samplers_start_at_pure_noise_and_ddim_draws_no_more():
    scheduler = noise_scheduler(DiffusionSpec(), SamplingSpec(steps=20))
    assert scheduler.timesteps[0] == 999
    assert scheduler.alphas_cumprod[999] < 1e-4
    generator = torch.Generator().manual_seed(0)
    spec = DiffusionSpec()
    Diffusion(Oracle(X0, spec), spec).sample(NONE[:1], 8, SamplingSpec(steps=5), [generator])
    expected = torch.Generator().manual_seed(0)
    torch.randn(1, 8, 8, generator=expected)
    assert torch.equal(generator.get_state(), expected.get_state())
