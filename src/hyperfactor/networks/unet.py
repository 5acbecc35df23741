"""The published U-Net, with every layer named.

    stem -> down1 -> down2 -> down3 -> bottleneck -> up1 -> up2 -> up3 -> head

At base width w and N pixels a side the outputs are, as (channels, pixels a side):
    stem (w, N)  down1 (2w, N/2)  down2 (4w, N/4)  down3 (4w, N/8)  bottleneck (4w, N/8)
    up1 (2w, N/4)  up2 (w, N/2)  up3 (w, N)  head (channels of the picture, N)
Up blocks take the output of the down block (or stem) of their own size as a skip connection.
Self-attention follows each down or up block for which it was asked.
"""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from hyperfactor.errors import RequestError
from hyperfactor.networks.blocks import DoubleConv, Down, SelfAttention, Up

LAYERS = ("stem", "down1", "down2", "down3", "bottleneck", "up1", "up2", "up3", "head")
BLOCKS = ("down1", "down2", "down3", "up1", "up2", "up3")  # attention may follow them
HEADS = 4
HALVINGS = 3


def check_sides(shape: tuple[int, int, int]) -> None:
    """RequestError unless pictures of a shape (channels, rows, columns) can be halved three times."""
    if any(side < 2**HALVINGS or side % 2**HALVINGS for side in shape[1:]):
        raise RequestError(f"model: got pictures of {shape[1]} x {shape[2]} pixels, needs multiples of {2**HALVINGS}")


class UNet(nn.Module):
    """Picture and condition in, picture out.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns of the pictures. Rows and columns are multiples of 8.
    condition : int
        Length of the condition vector.
    width : int
        Channels of the stem, a multiple of 4.
    attention : sequence of str
        Blocks that attention follows, of `BLOCKS`.
    gain : float
        First weights of the condition's projections, relative to torch's usual ones.

    Raises
    ------
    RequestError
        For rows or columns that are no multiple of 8.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        condition: int,
        width: int = 8,
        attention: Sequence[str] = (),
        gain: float = 1.0,
    ):
        super().__init__()
        check_sides(shape)
        w, colours = width, shape[0]
        channels = dict(zip(BLOCKS, (2 * w, 4 * w, 4 * w, 2 * w, w, w), strict=True))

        self.stem = DoubleConv(colours, w)
        self.down1 = Down(w, 2 * w, condition, gain)
        self.down2 = Down(2 * w, 4 * w, condition, gain)
        self.down3 = Down(4 * w, 4 * w, condition, gain)
        widths = (4 * w, 8 * w, 8 * w, 4 * w)
        self.bottleneck = nn.Sequential(*(DoubleConv(a, b) for a, b in pairwise(widths)))
        self.up1 = Up(8 * w, 2 * w, condition, gain)
        self.up2 = Up(4 * w, w, condition, gain)
        self.up3 = Up(2 * w, w, condition, gain)
        self.head = nn.Conv2d(w, colours, kernel_size=1)
        self.attention = nn.ModuleDict(
            {name: SelfAttention(channels[name], HEADS) for name in BLOCKS if name in attention}
        )

    def forward(
        self, x: Float[Tensor, "b channels rows columns"], condition: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b channels rows columns"]:
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
        return self.head(h)  # (b, channels, N, N)
