"""Denoisers: diffusion models and flow matching. They differ in their path and in what they predict.

The noise levels and the predictions are defined in `paths`. Two steps are implemented here: that of DDIM because that
of diffusers assumes steps of equal length, and that of DDPM because that of diffusers makes its noise on the CPU. The
sampler DPM-Solver++ comes from diffusers.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor, nn

from hyperfactor.generators.base import WIDEST, Generator, ModelSpec, Shape, emphasis, finite
from hyperfactor.generators.noise import Noise
from hyperfactor.generators.paths import CLEAN, DiffusionSpec, Path, SamplingSpec
from hyperfactor.networks.unet import BLOCKS, UNet, check_sides
from hyperfactor.strict import Integer, Number

TIME_CODE = 16  # length of the timestep's code; a long code outweighs the factors and slows learning
Block = Literal["down1", "down2", "down3", "up1", "up2", "up3"]
Step = Callable[[Tensor, Tensor, Tensor, int, int], Tensor]


class UNetSpec(ModelSpec):
    """A denoiser with the published U-Net.

    Attributes
    ----------
    width : int
        Channels of the first layer; a multiple of 4.
    attention : tuple of str
        Blocks that are followed by self-attention. The published network has it after all six.
    condition_gain : float
        First weights of the projections of the condition, relative to torch's usual ones. With larger ones the network
        learns sooner to follow the condition.
    """

    kind: Literal["unet"] = "unet"
    width: Integer = Field(default=8, ge=4, le=WIDEST, multiple_of=4)
    attention: tuple[Block, ...] = ("down2", "down3", "up1")
    condition_gain: Number = Field(default=1.0, gt=0.0)

    @field_validator("attention")
    @classmethod
    def _in_order(cls, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        return tuple(sorted(set(blocks), key=BLOCKS.index))

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        check_sides(shape)
        sampling.check(diffusion)

    def build(
        self, shape: Shape, condition: int, *, background: float, diffusion: DiffusionSpec, sampling: SamplingSpec
    ) -> "Denoiser":
        network = UNet(shape, TIME_CODE + condition, self.width, self.attention, self.condition_gain)
        return Denoiser(network, shape, diffusion, sampling, background)

    def effort(self) -> float:
        return self.width


USUAL = UNetSpec()  # the model of a spec that names none


class Denoiser(Generator):
    """A network that separates pictures from noise, with its path and its sampler.

    The network sees pictures scaled to [-1, 1]. Outside this class pictures are in [0, 1].

    Parameters
    ----------
    network : Module
        Called with noisy pictures (b, c, h, w) and a code for each, which is the code of the timestep followed by the
        condition.
    shape : tuple of int
        Channels, rows and columns of the pictures.
    diffusion : DiffusionSpec
        The path, the prediction and the weights of the loss.
    sampling : SamplingSpec
        The sampler and its number of steps.
    background : float
        Brightness where nothing is drawn, in [0, 1].
    default_layer : str
        The layer that is read if no other is named.
    """

    capturable = True
    frequencies: Tensor

    def __init__(
        self,
        network: nn.Module,
        shape: Shape,
        diffusion: DiffusionSpec,
        sampling: SamplingSpec,
        background: float = 0.0,
        default_layer: str = "up1",
    ):
        super().__init__()
        self.network = network
        self.default_layer = default_layer
        self.shape = shape
        self.diffusion = diffusion
        self.sampling = sampling
        self.background = background
        self.path = Path(diffusion)
        frequencies = 10_000.0 ** (-torch.arange(TIME_CODE // 2, device="cpu") / (TIME_CODE // 2))
        self.register_buffer("frequencies", frequencies, persistent=False)

    @property
    def timesteps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.diffusion.timesteps

    @property
    def calls(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.sampling.steps

    def drawing_by(self, sampling: SamplingSpec) -> Self:
        sampling.check(self.diffusion)
        other = copy.copy(self)
        other.sampling = sampling
        return other

    def forward(
        self, x: Float[Tensor, "b c h w"], timestep: Tensor | int, condition: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b c h w"]:
        """The prediction of the network.

        Parameters
        ----------
        x : Tensor, (b, c, h, w)
            Noisy pictures x_t, scaled to [-1, 1].
        timestep : Tensor of shape (b,), or int
            The timestep of each picture, or of all.
        condition : Tensor, (b, d)
            The condition of each picture.

        Returns
        -------
        Tensor, (b, c, h, w)
            What `diffusion.prediction` names.
        """
        return self.network(x, self._coded(timestep, condition))

    def inputs(self, condition: Float[Tensor, "b d"]) -> tuple[Tensor, ...]:
        count, length = condition.shape
        return condition.new_zeros(count, *self.shape), condition.new_zeros(count, TIME_CODE + length)

    def _coded(self, timestep: Tensor | int, condition: Tensor) -> Tensor:
        """The codes of timesteps, followed by the conditions."""
        if isinstance(timestep, int):
            timestep = torch.full((len(condition),), timestep, device=condition.device)
        phase = timestep[:, None] * self.frequencies
        return torch.cat([phase.sin(), phase.cos(), condition], dim=1)

    def loss(
        self, images: Float[Tensor, "b c h w"], condition: Float[Tensor, "b d"], generator: torch.Generator
    ) -> Float[Tensor, ""]:
        """The weighted mean squared error of the prediction, at random timesteps and with random noise."""
        spec = self.diffusion
        u = torch.rand(len(images), generator=generator, device=generator.device).to(images.device)
        timestep = (spec.timesteps * u ** (1 / spec.time_bias)).long().clamp(max=spec.timesteps - 1)
        noise = torch.randn(images.shape, generator=generator, device=generator.device).to(images)
        x0 = 2 * images - 1
        output = self(self.path.mix(x0, noise, timestep), timestep, condition)
        error = output - self.path.target(spec.prediction, x0, noise, timestep)
        return (emphasis(images, self.background, spec.signal_weight) * error**2).mean()

    @torch.no_grad()
    def visit(
        self,
        condition: Float[Tensor, "b d"],
        streams: Sequence[torch.Generator],
        timesteps: Sequence[int] = (0,),
        pictures: Float[Tensor, "b c h w"] | None = None,
    ) -> Iterator[tuple[int, Float[Tensor, "b c h w"]]]:
        asked = sorted(set(timesteps), reverse=True)
        if pictures is None:
            states = self._drawing(condition, streams, asked)
        else:
            states = self._noised(pictures, streams, asked)
        for timestep, x, seen in states:
            x = finite(x) if timestep else finite(x).clamp(-1, 1)
            if not seen:
                self(x, timestep, condition)
            yield timestep, (x + 1) / 2

    @torch.no_grad()
    def sample(self, condition: Float[Tensor, "b d"], streams: Sequence[torch.Generator]) -> Float[Tensor, "b c h w"]:
        ((_, x, _),) = self._drawing(condition, streams, [0])
        return (finite(x).clamp(-1, 1) + 1) / 2

    def _drawing(
        self, condition: Tensor, streams: Sequence[torch.Generator], asked: Sequence[int]
    ) -> Iterator[tuple[int, Tensor, bool]]:
        """Draw, and yield each requested timestep, the state there, and whether the network was just called on it.

        Timesteps fall. A timestep between two of the sampler's is reached by a step of DDIM from the one before.
        """
        noises = self._noises(condition, streams)
        x, step = noises.draw(), self._step(noises)
        last = asked[-1] or CLEAN
        for now, after in pairwise([*self.sampling.timesteps(self.timesteps), CLEAN]):
            output = self(x, now, condition)
            x0, noise = self.path.split(self.diffusion.prediction, output, x, now)
            for timestep in asked:
                if timestep == now > 0:
                    yield timestep, x, True
                elif max(after, 0) < timestep < now:
                    yield timestep, self._ddim(x0, noise, timestep), False
            if after < last:
                return
            x = step(x0, noise, x, now, after)
        yield 0, x, False

    def _noised(
        self, pictures: Tensor, streams: Sequence[torch.Generator], asked: Sequence[int]
    ) -> Iterator[tuple[int, Tensor, bool]]:
        """As `_drawing`, with noised pictures in place of drawings. At timestep 0 they have no noise."""
        x0 = 2 * pictures - 1
        noise = self._noises(x0, streams).draw()
        for timestep in asked:
            yield timestep, self.path.mix(x0, noise, timestep) if timestep else x0, False

    def _noises(self, like: Tensor, streams: Sequence[torch.Generator]) -> Noise:
        return Noise(streams, self.shape, like.device)

    def _step(self, noises: Noise) -> Step:
        """A function for the sampler's step, from x_0, e and x at one timestep to x at the next."""
        match self.sampling.sampler:
            case "ddim":
                return lambda x0, noise, _x, _now, after: self._ddim(x0, noise, after)
            case "ddpm":
                return ddpm(self.diffusion, noises.draw)
            case "dpm-solver++":
                scheduler = _dpm_solver(self.diffusion, self.sampling)
                return lambda x0, _noise, x, now, _after: scheduler.step(x0, now, x).prev_sample

    def _ddim(self, x0: Tensor, noise: Tensor, to: int) -> Tensor:
        """A step of DDIM with eta = 0, with x_0 clipped to [-1, 1] (arXiv 2010.02502, equation 12).

        On the straight path it is a step of Euler's method along the velocity e - x_0.
        """
        return self.path.mix(x0.clamp(-1, 1), noise, to)


def ddpm(diffusion: DiffusionSpec, draw: Callable[[], Tensor]) -> Step:
    """A function for steps of DDPM, with x_0 clipped to [-1, 1] (arXiv 2006.11239, equations 6 and 7).

    Parameters
    ----------
    diffusion : DiffusionSpec
        The path.
    draw : callable
        draw(): fresh noise, (b, c, h, w).

    Returns
    -------
    callable
        step(x0, noise, x, now, after): x at the timestep `after`, from x_0 and x at the timestep `now`.
    """
    kept = torch.cat([diffusion.kept(), torch.ones(1, device="cpu")])  # the last entry belongs to CLEAN, which is -1

    def step(x0: Tensor, _noise: Tensor, x: Tensor, now: int, after: int) -> Tensor:
        lost_now, lost_after = 1 - kept[now], 1 - kept[after]
        alpha = kept[now] / kept[after]
        beta = 1 - alpha
        mean = kept[after] ** 0.5 * beta / lost_now * x0.clamp(-1, 1) + alpha**0.5 * lost_after / lost_now * x
        if now == 0:
            return mean
        return mean + (lost_after / lost_now * beta).clamp(min=1e-20) ** 0.5 * draw()  # as little as diffusers adds

    return step


def _dpm_solver(diffusion: DiffusionSpec, sampling: SamplingSpec) -> Any:
    """The scheduler of diffusers for DPM-Solver++. It takes the predicted picture."""
    from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler  # 3 s to import

    scheduler = DPMSolverMultistepScheduler(
        num_train_timesteps=diffusion.timesteps,
        beta_start=diffusion.beta_start,
        beta_end=diffusion.beta_end,
        beta_schedule=diffusion.schedule,
        prediction_type="sample",
    )
    scheduler.set_timesteps(timesteps=sampling.timesteps(diffusion.timesteps))
    return scheduler
