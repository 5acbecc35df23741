"""Networks from a vector to a picture, with named layers.

The convolutional one:

    stem -> up1 -> up2 -> up3 -> head

At base width w and N pixels a side the outputs are, as (channels, pixels a side):
    stem (8w, N/8)  up1 (4w, N/4)  up2 (2w, N/2)  up3 (w, N)  head (channels of the picture, N)

The fully connected one has no notion of neighbouring pixels:

    hidden1 -> hidden2 -> ... -> head
"""

import math
from collections import OrderedDict

from torch import nn

from hyperfactor.networks.blocks import DoubleConv, Upsample
from hyperfactor.networks.unet import check_sides


def decoder(shape: tuple[int, int, int], length: int, width: int = 8, hidden: int | None = None) -> nn.Sequential:
    """The untrained convolutional network.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns of the pictures. Rows and columns are multiples of 8.
    length : int
        Length of the vector.
    width : int
        Channels of up3.
    hidden : int, optional
        Units of the hidden layer within the stem. Default: 32 `width`.

    Raises
    ------
    RequestError
        For rows or columns that are no multiple of 8.
    """
    check_sides(shape)
    w, (channels, rows, columns) = width, shape
    units = 32 * w if hidden is None else hidden

    def grow(inputs: int, outputs: int) -> nn.Module:
        twice = DoubleConv(inputs, inputs, residual=True), DoubleConv(inputs, outputs)
        return nn.Sequential(Upsample(), *twice, nn.GELU())

    stem = nn.Sequential(
        nn.Linear(length, units), nn.GELU(), nn.Linear(units, w * rows * columns // 8),
        nn.Unflatten(1, (8 * w, rows // 8, columns // 8)),
    )  # fmt: skip
    layers = {"stem": stem, "up1": grow(8 * w, 4 * w), "up2": grow(4 * w, 2 * w), "up3": grow(2 * w, w)}
    return nn.Sequential(OrderedDict(layers | {"head": nn.Conv2d(w, channels, kernel_size=1)}))


def perceptron(shape: tuple[int, int, int], length: int, width: int = 240, depth: int = 3) -> nn.Sequential:
    """The untrained fully connected network.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns of the pictures.
    length : int
        Length of the vector.
    width : int
        Units of each hidden layer.
    depth : int
        Number of hidden layers, at least 1.
    """
    lengths = [length] + depth * [width]
    layers = {f"hidden{k}": nn.Sequential(nn.Linear(lengths[k - 1], width), nn.GELU()) for k in range(1, depth + 1)}
    head = nn.Sequential(nn.Linear(width, math.prod(shape)), nn.Unflatten(1, shape))
    return nn.Sequential(OrderedDict(layers | {"head": head}))
