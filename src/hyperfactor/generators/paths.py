"""The path from pictures to noise, the quantities that a network may predict along it, and the steps of a drawing.

With x_0 a picture scaled to [-1, 1], e standard normal noise and t a timestep in 0 .. T - 1:
    x_t = alpha_t x_0 + sigma_t e
A network is given x_t, t and the condition, and predicts one of
    sample: x_0     epsilon: e     v: alpha_t e - sigma_t x_0     velocity: e - x_0
Each prediction, together with x_t, determines x_0 and e. On the straight path, sigma_t = (t + 1) / T and
alpha_t = 1 - sigma_t, and the velocity is dx/dsigma (flow matching, arXiv 2210.02747; rectified flow, arXiv
2209.03003). The other paths have alpha_t^2 + sigma_t^2 = 1 (DDPM, arXiv 2006.11239; cosine, arXiv 2102.09672; v,
arXiv 2202.00512).
"""

import math
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from hyperfactor.errors import RequestError
from hyperfactor.strict import Integer, Number, Strict

CLEAN = -1  # the timestep without noise, to which the last step of a drawing leads
Prediction = Literal["sample", "epsilon", "v", "velocity"]


class DiffusionSpec(Strict):
    """The path, the prediction, and the weights of the loss.

    Attributes
    ----------
    prediction : {"sample", "epsilon", "v", "velocity"}
        What the network predicts.
    timesteps : int
        Number of timesteps T.
    schedule : {"linear", "squaredcos_cap_v2", "straight"}
        The path: beta rises linearly, the cosine path, or the straight path.
    beta_start, beta_end : float
        First and last beta of the linear path, in (0, 1).
    time_bias : float
        A training timestep is T u^(1 / time_bias) with u uniform. 1 gives uniform timesteps. 2 favours noisy pictures,
        where only the condition tells the position.
    signal_weight : float
        The squared error of a pixel has the weight 1 + signal_weight d, with d the distance of the true pixel from the
        background. The weight leaves the best prediction unchanged only if the condition determines the picture.
    """

    prediction: Prediction = "sample"
    timesteps: Integer = Field(default=1000, ge=2, le=1_000_000)
    schedule: Literal["linear", "squaredcos_cap_v2", "straight"] = "linear"
    beta_start: Number = Field(default=1e-4, gt=0.0, lt=1.0)
    beta_end: Number = Field(default=0.02, gt=0.0, lt=1.0)
    time_bias: Number = Field(default=2.0, ge=1.0)
    signal_weight: Number = Field(default=20.0, ge=0.0)

    @model_validator(mode="after")
    def _v_is_an_angle(self):
        if self.prediction == "v" and self.schedule == "straight":
            raise ValueError("prediction: got 'v' on the straight schedule, needs 'velocity' or 'sample' there")
        return self

    def levels(self) -> tuple[Float[Tensor, " timesteps"], Float[Tensor, " timesteps"]]:
        """alpha_t and sigma_t of every timestep, float32."""
        if self.schedule == "straight":
            sigma = torch.arange(1, self.timesteps + 1, device="cpu") / self.timesteps
            return 1 - sigma, sigma
        kept = self.kept()
        return kept**0.5, (1 - kept) ** 0.5

    def kept(self) -> Float[Tensor, " timesteps"]:
        """alpha_t^2 of every timestep, float32, on the CPU. Not for the straight path."""
        if self.schedule == "linear":
            betas = torch.linspace(self.beta_start, self.beta_end, self.timesteps, dtype=torch.float32, device="cpu")
        else:  # arXiv 2102.09672, equation 17
            bar = [math.cos((t / self.timesteps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(self.timesteps + 1)]
            betas = torch.tensor([min(1 - b / a, 0.999) for a, b in pairwise(bar)], dtype=torch.float32, device="cpu")
        return torch.cumprod(1 - betas, dim=0)


class SamplingSpec(Strict):
    """How pictures are drawn from noise.

    Attributes
    ----------
    sampler : {"ddim", "ddpm", "dpm-solver++"}
        "ddim" has eta = 0, so the first noise determines the picture. On the straight path it is Euler's method.
        "ddpm" and "dpm-solver++" are for the other paths.
    steps : int
        Calls of the network for one picture.
    """

    sampler: Literal["ddpm", "ddim", "dpm-solver++"] = "ddim"
    steps: Integer = Field(default=10, ge=1)

    def timesteps(self, total: int) -> list[int]:
        """The timesteps at which the network is called, from noise to picture.

        They are spaced evenly from total - 1, where the picture is pure noise, and rounded ("trailing").

        Parameters
        ----------
        total : int
            Number of timesteps T.

        Returns
        -------
        list of int
            `steps` falling numbers in 0 .. total - 1.

        References
        ----------
        arXiv 2305.08891, table 2.
        """
        return [int(t) - 1 for t in np.round(total * np.arange(self.steps, 0, -1) / self.steps)]

    def check(self, diffusion: DiffusionSpec) -> None:
        """Refuse a sampler whose steps cannot be computed on a path.

        A step of DDPM divides by alpha at the following timestep. A step of DPM-Solver++, and the conversion of an
        epsilon to a picture, divide by alpha_t. In float32, alpha vanishes on a long or strong schedule. DDPM,
        DPM-Solver++ and the prediction of samples divide by sigma_t, which vanishes on a weak schedule.

        Parameters
        ----------
        diffusion : DiffusionSpec
            The path and the prediction.

        Raises
        ------
        RequestError
            If a step divides by a number that vanishes, the path does not suit the sampler, or there are more steps
            than timesteps.
        """
        if self.steps > diffusion.timesteps:
            raise RequestError(
                f"sampling.steps: got {self.steps}, needs at most diffusion.timesteps, {diffusion.timesteps}"
            )
        if diffusion.schedule == "straight" and self.sampler != "ddim":
            raise RequestError(f"sampling.sampler: got {self.sampler!r}, needs 'ddim' on the straight schedule")
        told = self.timesteps(diffusion.timesteps)
        noisiest = told[:1] if diffusion.prediction == "epsilon" or self.sampler == "dpm-solver++" else []
        noisiest = noisiest or (told[1:2] if self.sampler == "ddpm" else [])
        alpha, sigma = diffusion.levels()
        settings = f"{diffusion.prediction} prediction and {self.sampler}"
        schedule = f"a schedule ({diffusion.schedule}, betas {diffusion.beta_start:g} to {diffusion.beta_end:g})"
        if any(alpha[t] < torch.finfo(torch.float32).tiny ** 0.5 for t in noisiest):
            raise RequestError(
                f"diffusion: got {schedule} with nothing left of the picture at timestep {noisiest[0]}, needs less "
                f"noise for {settings}: smaller betas or fewer timesteps, or another prediction"
            )
        if sigma[told[-1]] == 0 and (self.sampler != "ddim" or diffusion.prediction == "sample"):
            raise RequestError(
                f"diffusion: got {schedule} without noise by timestep {told[-1]}, needs larger betas for {settings}"
            )


class Path(nn.Module):
    """Mixes pictures with noise, and separates them again.

    Timesteps are an integer or a tensor of integers, (b,). At `CLEAN`, alpha is 1 and sigma is 0.

    Parameters
    ----------
    spec : DiffusionSpec
        The path.

    Attributes
    ----------
    alpha, sigma : Tensor, (T + 1,)
        alpha_t and sigma_t; the last entry is that of `CLEAN`.
    """

    alpha: Tensor
    sigma: Tensor

    def __init__(self, spec: DiffusionSpec):
        super().__init__()
        alpha, sigma = spec.levels()
        # The last entry belongs to CLEAN, which is -1.
        self.register_buffer("alpha", torch.cat([alpha, alpha.new_ones(1)]), persistent=False)
        self.register_buffer("sigma", torch.cat([sigma, sigma.new_zeros(1)]), persistent=False)

    def at(self, timestep: Tensor | int) -> tuple[Tensor, Tensor]:
        """alpha_t and sigma_t, of shape (b, 1, 1, 1), or (1, 1, 1, 1) for one timestep."""
        return self.alpha[timestep].reshape(-1, 1, 1, 1), self.sigma[timestep].reshape(-1, 1, 1, 1)

    def mix(
        self, x0: Float[Tensor, "b c h w"], noise: Float[Tensor, "b c h w"], timestep: Tensor | int
    ) -> Float[Tensor, "b c h w"]:
        """x_t = alpha_t x_0 + sigma_t e, from x_0, e and t."""
        alpha, sigma = self.at(timestep)
        return alpha * x0 + sigma * noise

    def target(
        self,
        prediction: Prediction,
        x0: Float[Tensor, "b c h w"],
        noise: Float[Tensor, "b c h w"],
        timestep: Tensor | int,
    ) -> Float[Tensor, "b c h w"]:
        """The correct prediction.

        Parameters
        ----------
        prediction : str
            What is predicted.
        x0, noise : Tensor, (b, c, h, w)
            x_0, scaled to [-1, 1], and e.
        timestep : Tensor of shape (b,), or int
            The timestep t.

        Returns
        -------
        Tensor, (b, c, h, w)
            What a perfect network would return for x_t.
        """
        alpha, sigma = self.at(timestep)
        match prediction:
            case "sample":
                return x0
            case "epsilon":
                return noise
            case "v":
                return alpha * noise - sigma * x0
            case "velocity":
                return noise - x0

    def split(
        self,
        prediction: Prediction,
        output: Float[Tensor, "b c h w"],
        x: Float[Tensor, "b c h w"],
        timestep: Tensor | int,
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        """Compute x_0 and e from a prediction.

        Parameters
        ----------
        prediction : str
            What is predicted.
        output : Tensor, (b, c, h, w)
            The prediction.
        x : Tensor, (b, c, h, w)
            x_t.
        timestep : Tensor of shape (b,), or int
            The timestep t.

        Returns
        -------
        Tensor, Tensor
            x_0 and e, both (b, c, h, w).
        """
        alpha, sigma = self.at(timestep)
        match prediction:
            case "sample":
                return output, (x - alpha * output) / sigma
            case "epsilon":
                return (x - sigma * output) / alpha, output
            case "v":
                return alpha * x - sigma * output, alpha * output + sigma * x
            case "velocity":
                return (x - sigma * output) / (alpha + sigma), (x + alpha * output) / (alpha + sigma)
