"""A network from a condition to a picture, with named layers.

    stem -> up1 -> up2 -> up3 -> head

At base width w and N pixels a side the outputs are, as (channels, pixels a side):
    stem (8w, N/8)  up1 (4w, N/4)  up2 (2w, N/2)  up3 (w, N)  head (channels of the picture, N)
"""

from collections import OrderedDict

from torch import nn

from hyperfactor.networks.blocks import DoubleConv
from hyperfactor.networks.unet import check_sides


def decoder(shape: tuple[int, int, int], condition: int, width: int = 8) -> nn.Sequential:
    """The untrained network for pictures of a shape (channels, rows, columns) and conditions of a length.

    Raises
    ------
    RequestError
        For rows or columns that are no multiple of 8.
    """
    check_sides(shape)
    w, (channels, rows, columns) = width, shape

    def grow(inputs: int, outputs: int) -> nn.Module:
        larger = nn.Upsample(scale_factor=2, mode="bilinear")
        return nn.Sequential(larger, DoubleConv(inputs, inputs, residual=True), DoubleConv(inputs, outputs), nn.GELU())

    stem = nn.Sequential(
        nn.Linear(condition, 32 * w), nn.GELU(), nn.Linear(32 * w, w * rows * columns // 8),
        nn.Unflatten(1, (8 * w, rows // 8, columns // 8)),
    )  # fmt: skip
    layers = {"stem": stem, "up1": grow(8 * w, 4 * w), "up2": grow(4 * w, 2 * w), "up3": grow(2 * w, w)}
    return nn.Sequential(OrderedDict(layers | {"head": nn.Conv2d(w, channels, kernel_size=1)}))
