"""Weights in one vector, so that one operation clips, updates or averages them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hyperfactor.errors import RequestError


def views(vector: Tensor, weights: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return the parts of a vector that belong to weights, in the weights' shapes and layouts in memory.

    Parameters
    ----------
    vector : Tensor
        A vector as long as that of the weights, such as a moment of an optimizer.
    weights : sequence of Parameter
        The weights that `flatten` moved into one vector.
    """
    return [vector.as_strided(weight.shape, weight.stride(), weight.storage_offset()) for weight in weights]


def flatten(weights: Sequence[nn.Parameter]) -> nn.Parameter:
    """Move weights, and their gradients, into one vector each.

    The weights keep their shapes and their layouts in memory. They become views of the vector, and their gradients
    become views of its gradient. The gradient of a weight that the loss does not use is 0.

    Parameters
    ----------
    weights : sequence of Parameter
        Weights of a module, which are changed in place.

    Returns
    -------
    Parameter
        The vector, with a gradient of zeros. Zero the gradients in place: a weight whose gradient is set to None gets a
        gradient of its own.

    Raises
    ------
    RequestError
        If there are no weights, or weights of several types or devices.
    """
    kinds = sorted({f"{weight.dtype} on {weight.device}" for weight in weights})
    if len(kinds) != 1:
        raise RequestError(
            f"weights: got {', '.join(kinds) or 'none to train'}, needs weights of one type on one device"
        )
    whole = nn.Parameter(weights[0].new_empty(sum(weight.numel() for weight in weights)))
    whole.grad = torch.zeros_like(whole)
    start = 0
    for weight in weights:
        strides = torch.empty_like(weight).stride()  # those of a weight that has no gaps in memory
        values, gradient = (of.as_strided(weight.shape, strides, start) for of in (whole.data, whole.grad))
        weight.data = values.copy_(weight.data)
        weight.grad = gradient
        start += weight.numel()
    return whole
