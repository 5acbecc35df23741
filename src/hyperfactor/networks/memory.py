"""The memory that a computation takes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


def kept(module: nn.Module, call: Callable[[], object]) -> int:
    """Bytes that a computation keeps for the gradient, without the weights of a module. Makes the computation.

    A computation without gradients takes less, because it frees what later operations do not need.

    Parameters
    ----------
    module : Module
        The module whose weights do not count.
    call : callable
        call(): the computation, such as a call of the module.
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
        call()
    return sum(sizes.values())
