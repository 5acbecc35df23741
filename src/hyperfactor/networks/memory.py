"""The memory that a call of a network takes."""

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


def kept(module: nn.Module, arguments: tuple[Tensor, ...]) -> int:
    """Bytes that a call of a module keeps for the gradient, without its weights. Makes such a call.

    A call without gradients takes less, because it frees what later layers do not need.

    Parameters
    ----------
    module : Module
        The network.
    arguments : tuple of Tensor
        Arguments of the call.
    """
    own = {weights.untyped_storage()._cdata for weights in module.parameters()}
    sizes: dict[int, int] = {}
    alive = []  # keeps the values, so that no two have the same address

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        sizes[storage._cdata] = 0 if storage._cdata in own else storage.nbytes()
        alive.append(value)
        return value

    with torch.enable_grad(), saved_tensors_hooks(keep, lambda value: value):
        module(*arguments)
    return sum(sizes.values())
