"""Conditional denoising diffusion: noising, prediction targets, samplers.

With alpha_t the cumulated product of (1 - beta) up to t, x_0 the picture scaled to [-1, 1] and
e standard normal noise:
    x_t = sqrt(alpha_t) x_0 + sqrt(1 - alpha_t) e
and the network, given x_t, t and the condition, predicts
    sample: x_0     epsilon: e     v: sqrt(alpha_t) e - sqrt(1 - alpha_t) x_0
(DDPM, arXiv 2006.11239; v, arXiv 2202.00512).  The noise schedules and the samplers DDPM and DPM-Solver++ are
diffusers'; the timesteps and the step of DDIM are here, because diffusers' DDIM takes all steps to be equally long.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from hyperfactor.errors import DivergedError, RequestError
from hyperfactor.strict import Integer, Number, Strict
from hyperfactor.training.loop import Model

CLEAN = -1  # where the last step of drawing leads: below timestep 0, without noise
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
    timesteps: Integer = Field(default=1000, ge=2)
    schedule: Literal["linear", "squaredcos_cap_v2"] = "linear"
    beta_start: Number = Field(default=1e-4, gt=0, lt=1)
    beta_end: Number = Field(default=0.02, gt=0, lt=1)
    time_bias: Number = Field(default=2.0, ge=1)
    signal_weight: Number = Field(default=20.0, ge=0)

    def alphas(self) -> Float[Tensor, " timesteps"]:
        """alpha_t of every timestep, in float32, to the bit as diffusers has it."""
        if self.schedule == "linear":
            betas = torch.linspace(self.beta_start, self.beta_end, self.timesteps, dtype=torch.float32)
        else:  # arXiv 2102.09672, equation 17
            bar = [math.cos((t / self.timesteps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(self.timesteps + 1)]
            betas = torch.tensor([min(1 - b / a, 0.999) for a, b in pairwise(bar)], dtype=torch.float32)
        return torch.cumprod(1 - betas, dim=0)


class SamplingSpec(Strict):
    """How pictures are drawn from noise.  ddim is deterministic (eta = 0) given the first noise."""

    sampler: Literal["ddpm", "ddim", "dpm-solver++"] = "ddim"
    steps: Integer = Field(default=10, ge=1)

    def timesteps(self, total: int) -> list[int]:
        """The timesteps at which the network is called, out of 0 .. total - 1: `steps` of them, falling.

        They are spaced "trailing" (arXiv 2305.08891, table 2): evenly, to the nearest whole number, from total - 1,
        where the picture is pure noise.
        """
        return [int(t) - 1 for t in np.round(total * np.arange(self.steps, 0, -1) / self.steps)]

    def check(self, diffusion: DiffusionSpec) -> None:
        """RequestError where a step of the sampler cannot be computed on this noise schedule.

        The steps of DDPM divide by alpha_s, s the timestep that follows, those of DPM-Solver++ by alpha_t, and an
        epsilon is turned into a picture by dividing by sqrt(alpha_t): in float32 these vanish on a long or strong
        schedule.  All but DDIM on epsilon or v divide by 1 - alpha_t, which vanishes on a weak one.
        """
        if self.steps > diffusion.timesteps:
            raise RequestError(
                f"sampling.steps: got {self.steps}, needs at most diffusion.timesteps, {diffusion.timesteps}"
            )
        told = self.timesteps(diffusion.timesteps)
        noisiest = told[:1] if diffusion.prediction == "epsilon" or self.sampler == "dpm-solver++" else []
        noisiest = noisiest or (told[1:2] if self.sampler == "ddpm" else [])
        alphas = diffusion.alphas()
        settings = f"{diffusion.prediction} prediction and {self.sampler}"
        schedule = f"{diffusion.schedule}, {diffusion.beta_start:g} to {diffusion.beta_end:g}"
        if any(alphas[t] < torch.finfo(torch.float32).tiny for t in noisiest):
            raise RequestError(
                f"diffusion: got betas ({schedule}) that leave nothing of the picture at timestep {noisiest[0]}, needs "
                f"less noise for {settings}: smaller betas or fewer timesteps"
            )
        if alphas[told[-1]] == 1 and (self.sampler != "ddim" or diffusion.prediction == "sample"):
            raise RequestError(
                f"diffusion: got betas ({schedule}) that add no noise by timestep {told[-1]}, needs larger ones for "
                f"{settings}"
            )


def noise_scheduler(spec: DiffusionSpec, sampling: SamplingSpec | None = None) -> Any:
    """The diffusers scheduler of a noise schedule, with the timesteps of a sampler where one is given.

    It is DDPM's for DDIM too, whose step is `Diffusion._ddim`.
    """
    # 3 s to import
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    solver = sampling is not None and sampling.sampler == "dpm-solver++"
    clipping = {} if solver else {"clip_sample": True, "clip_sample_range": 1.0}
    kind: Any = DPMSolverMultistepScheduler if solver else DDPMScheduler
    scheduler = kind(
        num_train_timesteps=spec.timesteps,
        beta_start=spec.beta_start,
        beta_end=spec.beta_end,
        beta_schedule=spec.schedule,
        prediction_type={"v": "v_prediction"}.get(spec.prediction, spec.prediction),
        **clipping,
    )
    if sampling:
        scheduler.set_timesteps(timesteps=sampling.timesteps(spec.timesteps))
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
        """Draw one picture in [0, 1] for each condition, all noise of picture i from streams[i].

        Raises DivergedError where a picture is not finite.
        """
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

        A timestep between two of the sampler's is reached from the one before by a DDIM step (eta = 0).  Raises
        DivergedError where a picture is not finite.
        """
        noise = torch.stack([torch.randn(1, size, size, generator=stream) for stream in streams])
        x = self._drawn(noise.to(condition.device), condition, sampling, streams, timestep)
        if not x.isfinite().all():
            raise DivergedError("drawing: got a picture that is not finite, needs a model whose pictures are finite")
        return x

    def _drawn(
        self,
        x: Tensor,
        condition: Tensor,
        sampling: SamplingSpec,
        streams: Sequence[torch.Generator],
        timestep: int,
    ) -> Tensor:
        """x, pure noise, drawn down to a timestep."""
        scheduler = noise_scheduler(self.spec, sampling)
        stochastic: dict[str, Any] = {"generator": list(streams)} if sampling.sampler == "ddpm" else {}
        for now, after in pairwise([*sampling.timesteps(self.spec.timesteps), CLEAN]):
            if 0 < timestep == now:
                break
            prediction = self(x, torch.full((len(x),), now, device=x.device), condition)
            if after < timestep != 0:
                return self._ddim(x, prediction, now, timestep)
            if sampling.sampler == "ddim":
                x = self._ddim(x, prediction, now, after)
            else:
                x = scheduler.step(prediction, now, x, **stochastic).prev_sample
        return x

    def _ddim(self, x: Tensor, prediction: Tensor, now: int, to: int) -> Tensor:
        """A step of DDIM with eta = 0 from timestep `now` to `to` (arXiv 2010.02502, equation 12):
            x_to = sqrt(alpha_to) x_0 + sqrt(1 - alpha_to) e
        with the x_0, clipped to [-1, 1], and the e that the network predicts.  alpha is 1 for `CLEAN`."""
        alphas = self.noising.alphas_cumprod
        alpha, alpha_to = alphas[now], alphas[to] if to != CLEAN else torch.ones(())
        signal, sigma = alpha**0.5, (1 - alpha) ** 0.5
        if self.spec.prediction == "sample":
            x0, noise = prediction, (x - signal * prediction) / sigma
        elif self.spec.prediction == "epsilon":
            x0, noise = (x - sigma * prediction) / signal, prediction
        else:
            x0, noise = signal * x - sigma * prediction, signal * prediction + sigma * x
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
