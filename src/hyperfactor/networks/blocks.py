"""The building blocks of the published network."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def upsampled(x: Tensor, aligned: bool) -> Tensor:
    """Bilinear upsampling by two.

    On a GPU it is a product with two fixed matrices. There, the gradient of torch's operation adds in no fixed
    order, and torch's deterministic form is slow.

    Parameters
    ----------
    x : Tensor, (b, c, rows, columns)
        Maps.
    aligned : bool
        Whether the corners of both pictures are at the same place, as with torch's `align_corners`.

    Returns
    -------
    Tensor, (b, c, 2 rows, 2 columns)
        Larger maps.
    """
    if x.device.type == "cpu":
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=aligned)
    return upsampled_by_products(x, aligned)


def upsampled_by_products(x: Tensor, aligned: bool) -> Tensor:
    """The same as `upsampled`, up to rounding, on any device."""
    over_rows, over_columns = (_weights(side, aligned, x.device, x.dtype) for side in x.shape[2:])
    wide = over_columns @ x.permute(0, 2, 3, 1)  # (b, rows, 2 columns, c), in the order in which x lies in memory
    whole = over_rows @ wide.flatten(2)
    return whole.unflatten(2, wide.shape[2:]).permute(0, 3, 1, 2)


@cache
def _weights(side: int, aligned: bool, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The matrix (2 side, side) of linear upsampling by two."""
    one = torch.eye(side, dtype=torch.float64, device="cpu")[None]
    return F.interpolate(one, scale_factor=2, mode="linear", align_corners=aligned)[0].T.contiguous().to(device, dtype)


class Upsample(nn.Module):
    """Bilinear upsampling by two, without aligned corners."""

    def forward(self, x: Tensor) -> Tensor:
        return upsampled(x, aligned=False)


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with a group norm of one group; GELU between, and after if residual."""

    def __init__(self, inputs: int, outputs: int, middle: int | None = None, residual: bool = False):
        super().__init__()
        middle = middle or outputs
        self.residual = residual
        self.conv1 = nn.Conv2d(inputs, middle, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(1, middle)
        self.conv2 = nn.Conv2d(middle, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(1, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.norm1(self.conv1(x)))
        h = self.norm2(self.conv2(h))
        return F.gelu(x + h) if self.residual else h


class Conditioned(nn.Module):
    """Adds a projection of the condition to every pixel. Its first weights are `gain` times torch's usual ones."""

    def __init__(self, condition: int, channels: int, gain: float = 1.0):
        super().__init__()
        self.project = nn.Linear(condition, channels)
        with torch.no_grad():
            self.project.weight.mul_(gain)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return x + self.project(F.silu(condition))[:, :, None, None]


class Down(nn.Module):
    """Max-pool by two, two double convolutions, the condition."""

    def __init__(self, inputs: int, outputs: int, condition: int, gain: float = 1.0):
        super().__init__()
        self.refine = DoubleConv(inputs, inputs, residual=True)
        self.widen = DoubleConv(inputs, outputs)
        self.condition = Conditioned(condition, outputs, gain)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.condition(self.widen(self.refine(F.max_pool2d(x, 2))), condition)


class Up(nn.Module):
    """Bilinear upsampling by two, the skip connection, two double convolutions, the condition."""

    def __init__(self, inputs: int, outputs: int, condition: int, gain: float = 1.0):
        super().__init__()
        self.refine = DoubleConv(inputs, inputs, residual=True)
        self.narrow = DoubleConv(inputs, outputs, middle=inputs // 2)
        self.condition = Conditioned(condition, outputs, gain)

    def forward(self, x: Tensor, skip: Tensor, condition: Tensor) -> Tensor:
        x = torch.cat([skip, upsampled(x, aligned=True)], dim=1)
        return self.condition(self.narrow(self.refine(x)), condition)


class SelfAttention(nn.Module):
    """Pre-norm multi-head self-attention over pixels, then a two-layer perceptron, both residual."""

    def __init__(self, channels: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        b, c, height, width = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(b, height * width, c)
        qkv = self.qkv(self.norm(tokens)).reshape(b, height * width, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (b, heads, pixels, c / heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(b, height * width, c))
        tokens = tokens + self.mlp(tokens)
        return tokens.reshape(b, height, width, c).permute(0, 3, 1, 2)
