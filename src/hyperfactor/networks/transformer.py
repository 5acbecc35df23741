"""A small diffusion transformer, with every layer named (DiT: W. Peebles and S. Xie, arXiv 2212.09748).

    patches -> block1 -> block2 -> ... -> head

The picture is cut into patches, which are the tokens. Attention mixes them. The vector of timestep and condition enters
each block by an adaptive layer norm: it shifts and scales the normalised tokens, and scales what the block adds. These
scales of additions, and the head, are 0 at first ("adaLN-zero"), so the untrained network puts out 0.

At width w and N / p patches of p pixels a side, patches and blocks put out (w, N / p), as (channels, patches a side),
and head the picture.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from hyperfactor.errors import RequestError


def check_patches(shape: tuple[int, int, int], patch: int) -> None:
    """RequestError unless pictures of a shape (channels, rows, columns) can be cut into patches of that many pixels."""
    if shape[1] % patch or shape[2] % patch:
        raise RequestError(
            f"model.patch: got {patch} for pictures of {shape[1]} x {shape[2]} pixels, needs a divisor of both"
        )


class Transformer(nn.Module):
    """Picture and vector in, picture out.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns of the pictures.
    length : int
        Length of the vector of timestep and condition.
    width : int
        Channels of a token, a multiple of 4 and of `heads`.
    depth : int
        Number of blocks.
    heads : int
        Heads of the attention.
    patch : int
        Rows and columns of a patch, a divisor of those of the pictures.

    Raises
    ------
    RequestError
        If the pictures cannot be cut into such patches.
    """

    places: Tensor

    def __init__(
        self, shape: tuple[int, int, int], length: int, width: int = 64, depth: int = 5, heads: int = 4, patch: int = 4
    ):
        super().__init__()
        check_patches(shape, patch)
        channels, rows, columns = shape
        self.depth = depth
        self.register_buffer("places", places(rows // patch, columns // patch, width), persistent=False)
        self.vector = nn.Sequential(nn.Linear(length, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        for k in range(1, depth + 1):
            self.add_module(f"block{k}", Block(width, heads))
        self.head = Head(width, channels, patch)

    def forward(
        self, x: Float[Tensor, "b channels rows columns"], vector: Float[Tensor, "b length"]
    ) -> Float[Tensor, "b channels rows columns"]:
        h, code = self.patches(x) + self.places, self.vector(vector)
        for k in range(1, self.depth + 1):
            h = self.get_submodule(f"block{k}")(h, code)
        return self.head(h, code)


def places(rows: int, columns: int, width: int) -> Float[Tensor, "1 width rows columns"]:
    """The code of each patch's place: sines and cosines of its row, then of its column, at width / 4 frequencies each.

    The frequencies are those of A. Vaswani et al., arXiv 1706.03762.
    """
    frequencies = 10_000.0 ** (-torch.arange(width // 4, device="cpu") / (width // 4))

    def code(count: int) -> Tensor:
        phase = torch.arange(count, device="cpu") * frequencies[:, None]
        return torch.cat([phase.sin(), phase.cos()])

    by_row = code(rows)[:, :, None].expand(-1, -1, columns)
    by_column = code(columns)[:, None, :].expand(-1, rows, -1)
    return torch.cat([by_row, by_column])[None]


def _tokens(h: Float[Tensor, "b width rows columns"]) -> Float[Tensor, "b tokens width"]:
    return h.flatten(2).transpose(1, 2)


def _modulated(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Normalised tokens, shifted and scaled."""
    return F.layer_norm(tokens, tokens.shape[-1:]) * (1 + scale) + shift


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """Self-attention, then a perceptron, both residual and with the adaptive layer norm."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.modulation = _zero(nn.Linear(width, 6 * width))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h: Tensor, code: Tensor) -> Tensor:
        tokens = _tokens(h)
        shift1, scale1, add1, shift2, scale2, add2 = self.modulation(code)[:, None].chunk(6, dim=-1)
        tokens = tokens + add1 * self._attention(_modulated(tokens, shift1, scale1))
        tokens = tokens + add2 * self.mlp(_modulated(tokens, shift2, scale2))
        return tokens.transpose(1, 2).unflatten(2, h.shape[2:])

    def _attention(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Head(nn.Module):
    """The adaptive layer norm, then the pixels of each patch."""

    def __init__(self, width: int, channels: int, patch: int):
        super().__init__()
        self.modulation = _zero(nn.Linear(width, 2 * width))
        self.pixels = _zero(nn.Linear(width, channels * patch**2))
        self.patch = patch

    def forward(self, h: Tensor, code: Tensor) -> Tensor:
        shift, scale = self.modulation(code)[:, None].chunk(2, dim=-1)
        pixels = self.pixels(_modulated(_tokens(h), shift, scale))
        return F.pixel_shuffle(pixels.transpose(1, 2).unflatten(2, h.shape[2:]), self.patch)
