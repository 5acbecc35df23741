"""Conditional denoising diffusion: noising, prediction targets, samplers.

With alpha_t the cumulated product of (1 - beta) up to t, x_0 the picture scaled to [-1, 1] and
e standard normal noise:
    x_t = sqrt(alpha_t) x_0 + sqrt(1 - alpha_t) e
and the network, given x_t, t and the condition, predicts
    sample: x_0     epsilon: e     v: sqrt(alpha_t) e - sqrt(1 - alpha_t) x_0
(DDPM, arXiv 2006.11239; v, arXiv 2202.00512).  Schedules and samplers are diffusers' own.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from hyperfactor.strict import Strict
from hyperfactor.training.loop import Model

TIME_CODE = 16  # length of the timestep's code; a long one drowns the factors and slows learning


class DiffusionSpec(Strict):
    """The noise schedule and what is predicted.

    time_bias: a training timestep is t = T u^(1 / time_bias) with u uniform, so 1 is uniform and
    2 favours noisy pictures, where the position can be had from the condition alone.
    signal_weight: the squared error of a pixel counts 1 + signal_weight times, scaled by how far
    the true pixel is from the background.  The best prediction stays the same only where the
    picture is a function of the condition, as in every data set here.
    """

    prediction: Literal["sample", "epsilon", "v"] = "sample"
    timesteps: int = Field(default=1000, ge=2)
    schedule: Literal["linear", "squaredcos_cap_v2"] = "linear"
    beta_start: float = Field(default=1e-4, gt=0, lt=1)
    beta_end: float = Field(default=0.02, gt=0, lt=1)
    time_bias: float = Field(default=2.0, ge=1)
    signal_weight: float = Field(default=20.0, ge=0)


class SamplingSpec(Strict):
    """How pictures are drawn from noise.  ddim is deterministic (eta = 0) given the first noise."""

    sampler: Literal["ddpm", "ddim", "dpm-solver++"] = "ddim"
    steps: int = Field(default=10, ge=1)


def noise_scheduler(spec: DiffusionSpec, sampling: SamplingSpec | None = None) -> Any:
    """The diffusers scheduler of a sampler (DDPM's where none is given), its steps set.

    Timesteps are spaced "trailing": from T - 1, where the picture is pure noise, down.
    """
    # 3 s to import
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    kinds = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler, "dpm-solver++": DPMSolverMultistepScheduler}
    sampler = sampling.sampler if sampling else "ddpm"
    clipping = {} if sampler == "dpm-solver++" else {"clip_sample": True, "clip_sample_range": 1.0}
    scheduler = kinds[sampler](
        num_train_timesteps=spec.timesteps,
        beta_start=spec.beta_start,
        beta_end=spec.beta_end,
        beta_schedule=spec.schedule,
        prediction_type={"v": "v_prediction"}.get(spec.prediction, spec.prediction),
        timestep_spacing="trailing",
        **clipping,
    )
    if sampling:
        scheduler.set_timesteps(sampling.steps)
    return scheduler


class Diffusion(Model):
    """A network that denoises, with its schedule: it can say its loss, and it can draw."""

    frequencies: Tensor

    def __init__(self, network: nn.Module, spec: DiffusionSpec, background: float = 0.0):
        """`network(x, condition)`; `background`: the brightness, in [0, 1], where nothing is drawn."""
        super().__init__()
        self.network = network
        self.spec = spec
        self.background = background
        self.noising = noise_scheduler(spec)
        frequencies = 10_000.0 ** (-torch.arange(TIME_CODE // 2) / (TIME_CODE // 2))
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(
        self, x: Float[Tensor, "b 1 n n"], timestep: Tensor, condition: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b 1 n n"]:
        """The prediction for noisy pictures x at timesteps (b,)."""
        phase = timestep[:, None] * self.frequencies
        return self.network(x, torch.cat([phase.sin(), phase.cos(), condition], dim=1))

    def target(self, x0: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """What the network should predict."""
        if self.spec.prediction == "sample":
            return x0
        if self.spec.prediction == "epsilon":
            return noise
        return self.noising.get_velocity(x0, noise, timestep)

    def loss(self, images: Float[Tensor, "b 1 n n"], condition: Tensor, generator: torch.Generator) -> Tensor:
        """Weighted mean squared error at random timesteps and noise; `images` in [0, 1]."""
        spec = self.spec
        u = torch.rand(len(images), generator=generator).to(images.device)
        timestep = (spec.timesteps * u ** (1 / spec.time_bias)).long().clamp(max=spec.timesteps - 1)
        noise = torch.randn(images.shape, generator=generator).to(images)
        x0 = 2 * images - 1
        prediction = self(self.noising.add_noise(x0, noise, timestep), timestep, condition)
        weight = 1 + spec.signal_weight * (images - self.background).abs()
        return (weight * (prediction - self.target(x0, noise, timestep)) ** 2).mean()

    @torch.no_grad()
    def sample(
        self, condition: Float[Tensor, "b c"], size: int, sampling: SamplingSpec, streams: Sequence[torch.Generator]
    ) -> Float[Tensor, "b 1 size size"]:
        """Draw one picture in [0, 1] for each condition, all noise of picture i from streams[i]."""
        return (self.state(condition, size, sampling, streams).clamp(-1, 1) + 1) / 2

    @torch.no_grad()
    def state(
        self,
        condition: Float[Tensor, "b c"],
        size: int,
        sampling: SamplingSpec,
        streams: Sequence[torch.Generator],
        timestep: int = 0,
    ) -> Float[Tensor, "b 1 size size"]:
        """Where drawing stands at a timestep: noisy pictures x_t, scaled to [-1, 1]; at 0 the finished ones.

        A timestep between two of the sampler's is reached from the one before by a DDIM step (eta = 0),
            x_t = sqrt(alpha_t) x_0 + sqrt(1 - alpha_t) e    with the x_0 and e that the network predicts.
        """
        device = condition.device
        scheduler = noise_scheduler(self.spec, sampling)
        noise = [torch.randn(1, size, size, generator=stream) for stream in streams]
        x = torch.stack(noise).to(device) * scheduler.init_noise_sigma
        stochastic: dict[str, Any] = {"generator": list(streams)} if sampling.sampler == "ddpm" else {}
        following = [*scheduler.timesteps[1:].tolist(), 0]
        for now, after in zip(scheduler.timesteps, following, strict=True):
            if 0 < timestep == now:
                return x
            prediction = self(x, now.to(device).expand(len(x)), condition)
            if after < timestep:
                return self._ddim(x, prediction, int(now), timestep)
            x = scheduler.step(prediction, now, x, **stochastic).prev_sample
        return x

    def _ddim(self, x: Tensor, prediction: Tensor, now: int, to: int) -> Tensor:
        """From x at timestep `now` to timestep `to`, then x_0 clipped to [-1, 1] (arXiv 2010.02502, equation 12)."""
        alpha_now, alpha_to = self.noising.alphas_cumprod[[now, to]].tolist()
        if self.spec.prediction == "sample":
            x0 = prediction
        elif self.spec.prediction == "epsilon":
            x0 = (x - (1 - alpha_now) ** 0.5 * prediction) / alpha_now**0.5
        else:
            x0 = alpha_now**0.5 * x - (1 - alpha_now) ** 0.5 * prediction
        noise = (x - alpha_now**0.5 * x0) / (1 - alpha_now) ** 0.5
        return alpha_to**0.5 * x0.clamp(-1, 1) + (1 - alpha_to) ** 0.5 * noise

    def noised(
        self, images: Float[Tensor, "b 1 n n"], timestep: int, streams: Sequence[torch.Generator]
    ) -> Float[Tensor, "b 1 n n"]:
        """Pictures in [0, 1], scaled to [-1, 1] and noised to a timestep; at 0 without noise."""
        x0 = 2 * images - 1
        if timestep == 0:
            return x0
        noise = torch.stack([torch.randn(x0.shape[1:], generator=stream) for stream in streams]).to(x0)
        return self.noising.add_noise(x0, noise, torch.full((len(x0),), timestep, device=x0.device))
