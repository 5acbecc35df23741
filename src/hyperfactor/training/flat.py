"""All weights of a module in one vector, so that one operation clips, updates or averages them."""

import torch
from torch import nn


def flatten(module: nn.Module) -> nn.Parameter:
    """Move the trainable weights of a module, and their gradients, into one vector each.

    The weights keep their shapes and their layouts in memory. They become views of the vector, and their gradients
    views of its gradient, so that a change of one is a change of the other.

    Parameters
    ----------
    module : Module
        Changed in place. Its trainable weights are of one type and on one device.

    Returns
    -------
    Parameter
        The vector, with a gradient of zeros. Gradients have to be zeroed in place: a weight whose gradient is set to
        None would get another one.
    """
    weights = [weight for weight in module.parameters() if weight.requires_grad]
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
