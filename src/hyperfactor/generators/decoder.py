"""Plain decoders: one call of a network turns a condition into a picture.

A decoder may also be given latent numbers, which are standard normal when it draws. The plain ones have none. The
generators of `vae` and `gan` have some; they differ from a plain decoder in the loss alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from hyperfactor.errors import RequestError
from hyperfactor.generators.base import WIDEST, Generator, ModelSpec, Shape, emphasis, finite
from hyperfactor.generators.noise import Noise
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.networks.decoder import decoder, perceptron
from hyperfactor.networks.unet import check_sides
from hyperfactor.strict import Integer, Number


class DecoderSpec(ModelSpec):
    """A plain convolutional decoder.

    Attributes
    ----------
    width : int
        Channels of the last block.
    hidden : int or None
        Units of the hidden layer before the first block. None: 32 `width`.
    signal_weight : float
        Additional weight in the loss of pixels far from the background (see `emphasis`).
    """

    kind: Literal["decoder"] = "decoder"
    width: Integer = Field(default=8, ge=1, le=WIDEST)
    hidden: Integer | None = Field(default=None, ge=1)
    signal_weight: Number = Field(default=20.0, ge=0.0)

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        super().check(shape, diffusion, sampling)
        check_sides(shape)

    def build(self, shape: Shape, condition: int, *, background: float, **_sections: Any) -> "Decoder":
        network = decoder(shape, condition, self.width, self.hidden)
        return Decoder(network, self.signal_weight, background)

    def effort(self) -> float:
        return self.width


class PerceptronSpec(ModelSpec):
    """A plain decoder that is a multilayer perceptron.

    Attributes
    ----------
    width : int
        Units of each hidden layer.
    depth : int
        Number of hidden layers.
    signal_weight : float
        Additional weight in the loss of pixels far from the background (see `emphasis`).
    """

    kind: Literal["mlp"] = "mlp"
    width: Integer = Field(default=240, ge=1, le=WIDEST)
    depth: Integer = Field(default=3, ge=1)
    signal_weight: Number = Field(default=20.0, ge=0.0)

    def build(self, shape: Shape, condition: int, *, background: float, **_sections: Any) -> "Decoder":
        network = perceptron(shape, condition, self.width, self.depth)
        return Decoder(network, self.signal_weight, background, default_layer=f"hidden{(self.depth + 1) // 2}")

    def effort(self) -> float:
        return self.width * self.depth / 1000


class Decoder(Generator):
    """A generator with `network(condition and latent numbers)` as the picture.

    The loss is that of a plain decoder, which has no latent numbers. Its best prediction is the mean picture of each
    condition.

    Parameters
    ----------
    network : Module
        Maps vectors (b, d + latent) to pictures (b, c, h, w). A vector is a condition, followed by the latent numbers.
    signal_weight : float
        Additional weight in the loss of pixels far from the background (see `emphasis`).
    background : float
        Brightness where nothing is drawn, in [0, 1].
    default_layer : str
        The layer that is read if no other is named.
    latent : int
        Number of latent numbers.
    """

    capturable = True

    def __init__(
        self,
        network: nn.Module,
        signal_weight: float = 0.0,
        background: float = 0.0,
        default_layer: str = "up1",
        latent: int = 0,
    ):
        super().__init__()
        self.network, self.signal_weight, self.background = network, signal_weight, background
        self.default_layer, self.latent = default_layer, latent

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        return self.error(self.network(condition), images)

    def error(self, drawn: Tensor, images: Tensor) -> Tensor:
        """The mean squared error of pictures, with the weights of `emphasis`."""
        return (emphasis(images, self.background, self.signal_weight) * (drawn - images) ** 2).mean()

    @torch.no_grad()
    def visit(
        self, condition: Tensor, streams: Sequence, timesteps: Sequence[int] = (0,), pictures: Tensor | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        if pictures is not None:
            raise RequestError("pictures: got some, needs none: a decoder sees only conditions")
        if self.latent:
            latent = Noise(streams, (self.latent,), condition.device).draw()
            condition = torch.cat([condition, latent.to(condition)], dim=1)
        yield 0, finite(self.network(condition)).clamp(0, 1)

    def inputs(self, condition: Tensor) -> tuple[Tensor, ...]:
        return (condition.new_zeros(len(condition), condition.shape[1] + self.latent),)
