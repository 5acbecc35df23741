"""The published U-Net, with every layer named.

    stem -> down1 -> down2 -> down3 -> bottleneck -> up1 -> up2 -> up3 -> head

At base width w and size N the outputs are, as (channels, pixels a side):
    stem (w, N)  down1 (2w, N/2)  down2 (4w, N/4)  down3 (4w, N/8)  bottleneck (4w, N/8)
    up1 (2w, N/4)  up2 (w, N/2)  up3 (w, N)  head (1, N)
Up blocks take the output of the down block (or stem) of their own size as a skip connection.
Self-attention follows a down or up block whose output has a size that was asked for.
"""

from itertools import pairwise

from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor, nn

from hyperfactor.errors import RequestError
from hyperfactor.models.blocks import DoubleConv, Down, SelfAttention, Up
from hyperfactor.strict import Integer, Strict

LAYERS = ("stem", "down1", "down2", "down3", "bottleneck", "up1", "up2", "up3", "head")
HEADS = 4


class UNetSpec(Strict):
    """width: channels of the stem.  attention: sizes, in pixels a side, at which attention follows."""

    width: Integer = Field(default=8, ge=4, multiple_of=4)
    attention: tuple[Integer, ...] = (8, 4)

    @field_validator("attention")
    @classmethod
    def _positive(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in sizes):
            raise ValueError(f"got {list(sizes)}, needs sizes of at least 1 pixel")
        return tuple(sorted(set(sizes), reverse=True))

    def check(self, size: int) -> None:
        """RequestError where attention is asked for at a size that no block has, for pictures of `size` pixels."""
        allowed = [size // n for n in (1, 2, 4, 8)]
        if unknown := set(self.attention) - set(allowed):
            raise RequestError(f"model.attention: got {sorted(unknown)}, needs sizes among {allowed}")


class UNet(nn.Module):
    """Image and condition in, image out."""

    def __init__(self, spec: UNetSpec, size: int, condition: int):
        """`size`: pixels a side, a multiple of 8.  `condition`: length of the condition vector.

        Raises RequestError where attention is asked for at a size that no block has.
        """
        super().__init__()
        spec.check(size)
        w = spec.width
        channels = {"down1": 2 * w, "down2": 4 * w, "down3": 4 * w, "up1": 2 * w, "up2": w, "up3": w}
        sizes = {"down1": size // 2, "down2": size // 4, "down3": size // 8}
        sizes |= {"up1": size // 4, "up2": size // 2, "up3": size}

        self.stem = DoubleConv(1, w)
        self.down1 = Down(w, 2 * w, condition)
        self.down2 = Down(2 * w, 4 * w, condition)
        self.down3 = Down(4 * w, 4 * w, condition)
        widths = (4 * w, 8 * w, 8 * w, 4 * w)
        self.bottleneck = nn.Sequential(*(DoubleConv(a, b) for a, b in pairwise(widths)))
        self.up1 = Up(8 * w, 2 * w, condition)
        self.up2 = Up(4 * w, w, condition)
        self.up3 = Up(2 * w, w, condition)
        self.head = nn.Conv2d(w, 1, kernel_size=1)
        self.attention = nn.ModuleDict(
            {name: SelfAttention(channels[name], HEADS) for name in channels if sizes[name] in spec.attention}
        )

    def forward(
        self, x: Float[Tensor, "b 1 size size"], condition: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b 1 size size"]:
        def attend(name: str, h: Tensor) -> Tensor:
            return self.attention[name](h) if name in self.attention else h

        h0 = self.stem(x)  # (b,  w, N,   N)
        h1 = attend("down1", self.down1(h0, condition))  # (b, 2w, N/2, N/2)
        h2 = attend("down2", self.down2(h1, condition))  # (b, 4w, N/4, N/4)
        h3 = attend("down3", self.down3(h2, condition))  # (b, 4w, N/8, N/8)
        h = self.bottleneck(h3)  # (b, 4w, N/8, N/8)
        h = attend("up1", self.up1(h, h2, condition))  # (b, 2w, N/4, N/4)
        h = attend("up2", self.up2(h, h1, condition))  # (b,  w, N/2, N/2)
        h = attend("up3", self.up3(h, h0, condition))  # (b,  w, N,   N)
        return self.head(h)  # (b,  1, N,   N)
