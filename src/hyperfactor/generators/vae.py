"""A conditional variational autoencoder (D. P. Kingma and M. Welling, arXiv 1312.6114; K. Sohn et al., NeurIPS 2015).

With x a picture, c its condition, z latent numbers and n the numbers in a picture, the loss is
    E[ sum_i w_i (x_i - x'_i(c, z))^2 + kl_weight KL(q(z | x, c) || N(0, 1)) ] / n        z from q(z | x, c)
The encoder puts out means and variances of q, a diagonal Gaussian. The decoder draws x' from c and z. Up to constants,
the loss is kl_weight / n times the negative evidence lower bound for pixels x_i that are Gaussian around x'_i with the
variance kl_weight / (2 w_i). With no latent numbers it is the loss of a plain decoder. A drawing takes z from N(0, 1).

Where the condition determines the picture, as in most families, the best q is N(0, 1), and z tells nothing about x.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from hyperfactor.generators.base import WIDEST, ModelSpec, Shape
from hyperfactor.generators.decoder import Decoder
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.networks.decoder import decoder
from hyperfactor.networks.encoder import Encoder
from hyperfactor.networks.unet import check_sides
from hyperfactor.strict import Integer, Number


class VAESpec(ModelSpec):
    """A conditional variational autoencoder.

    Attributes
    ----------
    width : int
        Channels of the last block of the decoder.
    hidden : int
        Units of the hidden layer before its first block.
    latent : int
        Number of latent numbers.
    encoder_width : int
        Base width of the encoder.
    kl_weight : float
        Weight of the divergence, in nats, beside the squared error summed over a picture.
    signal_weight : float
        Additional weight in the squared error of pixels far from the background (see `emphasis`).
    """

    kind: Literal["vae"] = "vae"
    width: Integer = Field(default=8, ge=1, le=WIDEST)
    hidden: Integer = Field(default=192, ge=1)
    latent: Integer = Field(default=16, ge=0)
    encoder_width: Integer = Field(default=8, ge=1, le=WIDEST)
    kl_weight: Number = Field(default=1.0, ge=0.0)
    signal_weight: Number = Field(default=20.0, ge=0.0)

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        super().check(shape, diffusion, sampling)
        check_sides(shape)

    def build(self, shape: Shape, condition: int, *, background: float, **_sections: Any) -> Decoder:
        network = decoder(shape, condition + self.latent, self.width, self.hidden)
        if not self.latent:
            return Decoder(network, self.signal_weight, background)
        encoder = Encoder(shape, condition, 2 * self.latent, self.encoder_width)
        return VAE(network, encoder, self.latent, self.kl_weight, self.signal_weight, background)

    def effort(self) -> float:
        return 1.1 * self.width


class VAE(Decoder):
    """A decoder that is trained together with an encoder.

    Parameters
    ----------
    network : Module
        The decoder: maps conditions with latent numbers (b, d + latent) to pictures (b, c, h, w).
    encoder : Module
        Called with pictures (b, c, h, w) and conditions (b, d); returns means and logarithms of variances
        (b, 2 latent).
    latent : int
        Number of latent numbers.
    kl_weight : float
        Weight of the divergence.
    signal_weight : float
        Additional weight in the squared error of pixels far from the background (see `emphasis`).
    background : float
        Brightness where nothing is drawn, in [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        encoder: nn.Module,
        latent: int,
        kl_weight: float,
        signal_weight: float,
        background: float = 0.0,
    ):
        super().__init__(network, signal_weight, background, latent=latent)
        self.encoder, self.kl_weight = encoder, kl_weight

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        mean, log_variance = self.encoder(images, condition).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean)
        latent = mean + (log_variance / 2).exp() * noise
        error = self.error(self.network(torch.cat([condition, latent], dim=1)), images)
        return error + self.kl_weight * divergence(mean, log_variance).mean() / images[0].numel()


def divergence(mean: Float[Tensor, "b d"], log_variance: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
    """The Kullback-Leibler divergence of diagonal Gaussians from the standard normal distribution, in nats.

    Parameters
    ----------
    mean : Tensor, (b, d)
        Their means.
    log_variance : Tensor, (b, d)
        Logarithms of their variances.

    Returns
    -------
    Tensor, (b,)
        sum_i (mean_i^2 + variance_i - 1 - log variance_i) / 2 (arXiv 1312.6114, appendix B).
    """
    return (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
