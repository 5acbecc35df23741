"""A conditional GAN: a decoder with latent numbers, and a discriminator that tells its pictures from true ones.

With x a true picture, c its condition, z latent numbers, G the decoder and D the discriminator, the losses are
    L_D = E[ f(D(x, c) - D(G(c, z), c)) + penalty / 2 (|grad_x D(x, c)|^2 + |grad_x D(G(c, z), c)|^2) ]
    L_G = E[ f(D(G(c, z), c) - D(x, c)) ]          f(s) = log(1 + exp(-s))
The discriminator compares two pictures of one condition (A. Jolicoeur-Martineau, arXiv 1807.00734). The penalties on
its slope at true and at drawn pictures make training converge near the solution (L. Mescheder et al., arXiv 1801.04406;
for these losses Y. Huang et al., arXiv 2501.05441).

The training loop minimises one loss with one optimizer. It gets L_D + L_G, where L_D sees the drawn pictures as
constants, and L_G sees the weights of D as constants. The gradient of the sum in the weights of D is therefore that of
L_D, and its gradient in the weights of G is that of L_G: one backward pass gives a simultaneous step of both. AdamW
makes the step of a weight, and Muon that of a matrix, from its own gradients, so the steps are those of two optimizers.
Only the limit on the norm of the gradient sees both.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from hyperfactor.generators.base import WIDEST, ModelSpec, Shape
from hyperfactor.generators.decoder import Decoder
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.networks.decoder import decoder
from hyperfactor.networks.encoder import Encoder
from hyperfactor.networks.unet import check_sides
from hyperfactor.strict import Integer, Number


class GANSpec(ModelSpec):
    """A conditional GAN.

    Attributes
    ----------
    width : int
        Channels of the last block of the decoder.
    hidden : int
        Units of the hidden layer before its first block.
    latent : int
        Number of latent numbers.
    judge_width : int
        Base width of the discriminator.
    penalty : float
        Weight of the squared slope of the discriminator.
    """

    kind: Literal["gan"] = "gan"
    width: Integer = Field(default=8, ge=1, le=WIDEST)
    hidden: Integer = Field(default=192, ge=1)
    latent: Integer = Field(default=16, ge=1)
    judge_width: Integer = Field(default=8, ge=1, le=WIDEST)
    penalty: Number = Field(default=1.0, ge=0.0)

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        super().check(shape, diffusion, sampling)
        check_sides(shape)

    def build(self, shape: Shape, condition: int, **_sections: Any) -> "GAN":
        network = decoder(shape, condition + self.latent, self.width, self.hidden)
        return GAN(network, Encoder(shape, condition, 1, self.judge_width), self.latent, self.penalty)

    def effort(self) -> float:
        return 1.2 * self.width


class GAN(Decoder):
    """A decoder that is trained against a discriminator.

    Parameters
    ----------
    network : Module
        The decoder: maps conditions with latent numbers (b, d + latent) to pictures (b, c, h, w).
    discriminator : Module
        Called with pictures (b, c, h, w) and conditions (b, d); returns scores (b, 1). Its weights are trained; its
        buffers, if any, must not depend on what it is called with.
    latent : int
        Number of latent numbers.
    penalty : float
        Weight of the squared slope of the discriminator.
    """

    def __init__(self, network: nn.Module, discriminator: nn.Module, latent: int, penalty: float):
        super().__init__(network, latent=latent)
        self.discriminator, self.penalty = discriminator, penalty

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        latent = torch.randn(len(images), self.latent, generator=generator, device=generator.device).to(condition)
        drawn = self.network(torch.cat([condition, latent], dim=1))
        return self.loss_of_discriminator(images, drawn, condition) + self.loss_of_network(images, drawn, condition)

    def loss_of_discriminator(self, images: Tensor, drawn: Tensor, condition: Tensor) -> Tensor:
        """L_D, whose gradient reaches only the discriminator. Pictures (b, c, h, w), conditions (b, d)."""
        pair = tuple(pictures.detach().requires_grad_() for pictures in (images, drawn))
        true, false = (self.discriminator(pictures, condition) for pictures in pair)
        slopes = torch.autograd.grad((true + false).sum(), pair, create_graph=True)
        squared = sum(slope.square().flatten(1).sum(dim=1).mean() for slope in slopes)
        return F.softplus(false - true).mean() + self.penalty / 2 * squared

    def loss_of_network(self, images: Tensor, drawn: Tensor, condition: Tensor) -> Tensor:
        """L_G, whose gradient reaches only the network that drew. Parameters are as for L_D."""
        fixed = {name: weights.detach() for name, weights in self.discriminator.named_parameters()}
        true, false = (functional_call(self.discriminator, fixed, (x, condition)) for x in (images, drawn))
        return F.softplus(true - false).mean()
