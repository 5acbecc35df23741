"""A denoiser with a small diffusion transformer in place of the U-Net. All else is that of `denoiser`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hyperfactor.generators.base import WIDEST, ModelSpec, Shape
from hyperfactor.generators.denoiser import TIME_CODE, Denoiser
from hyperfactor.generators.paths import DiffusionSpec, SamplingSpec
from hyperfactor.networks.transformer import Transformer, check_patches
from hyperfactor.strict import Integer


class TransformerSpec(ModelSpec):
    """A denoiser with a diffusion transformer.

    Attributes
    ----------
    width : int
        Channels of a token; a multiple of 4 and of `heads`.
    depth : int
        Number of blocks.
    heads : int
        Heads of the attention.
    patch : int
        Pixels a side of a patch, which is a token.
    """

    kind: Literal["transformer"] = "transformer"
    width: Integer = Field(default=64, ge=4, le=WIDEST, multiple_of=4)
    depth: Integer = Field(default=5, ge=1)
    heads: Integer = Field(default=4, ge=1)
    patch: Integer = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _heads_share_channels(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads: got {self.heads}, needs a divisor of width, {self.width}")
        return self

    def check(self, shape: Shape, diffusion: DiffusionSpec, sampling: SamplingSpec) -> None:
        check_patches(shape, self.patch)
        sampling.check(diffusion)

    def build(
        self, shape: Shape, condition: int, *, background: float, diffusion: DiffusionSpec, sampling: SamplingSpec
    ) -> Denoiser:
        network = Transformer(shape, TIME_CODE + condition, self.width, self.depth, self.heads, self.patch)
        return Denoiser(network, shape, diffusion, sampling, background, f"block{(self.depth + 1) // 2}")

    def effort(self) -> float:
        return self.width * self.depth / 60
