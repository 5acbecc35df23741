"""A plain decoder: one call of a network turns a condition into a picture, without noise."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from hyperfactor.errors import RequestError
from hyperfactor.generators.base import Generator, ModelSpec, Shape, emphasis, finite
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.networks.decoder import decoder
from hyperfactor.networks.unet import check_sides
from hyperfactor.strict import Integer, Number


class DecoderSpec(ModelSpec):
    """A plain decoder.

    Attributes
    ----------
    width : int
        Channels of the last block.
    signal_weight : float
        Additional weight in the loss of pixels far from the background (see `emphasis`).
    """

    kind: Literal["decoder"] = "decoder"
    width: Integer = Field(default=8, ge=1)
    signal_weight: Number = Field(default=20.0, ge=0)

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        super().check(shape, diffusion, sampling)
        check_sides(shape)

    def build(self, shape: Shape, condition: int, *, background: float, **_sections: Any) -> "Decoder":
        return Decoder(decoder(shape, condition, self.width), self.signal_weight, background)

    def effort(self) -> float:
        return self.width


class Decoder(Generator):
    """A generator with `network(condition)` as the picture. The best prediction is the mean picture of each condition.

    Parameters
    ----------
    network : Module
        Maps conditions (b, d) to pictures (b, c, h, w).
    signal_weight : float
        Additional weight in the loss of pixels far from the background (see `emphasis`).
    background : float
        Brightness where nothing is drawn, in [0, 1].
    """

    default_layer = "up1"

    def __init__(self, network: nn.Module, signal_weight: float, background: float = 0.0):
        super().__init__()
        self.network, self.signal_weight, self.background = network, signal_weight, background

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        error = self.network(condition) - images
        return (emphasis(images, self.background, self.signal_weight) * error**2).mean()

    @torch.no_grad()
    def visit(
        self, condition: Tensor, streams: Sequence, timesteps: Sequence[int] = (0,), pictures: Tensor | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        if pictures is not None:
            raise RequestError("pictures: got some, needs none: a decoder sees only conditions")
        yield 0, finite(self.network(condition)).clamp(0, 1)
