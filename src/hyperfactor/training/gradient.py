"""The loss of a batch and its gradient, which a GPU replays from a recording."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from hyperfactor.generators.base import Generator

WARM = 3  # calls before the recording, in which the libraries of CUDA choose kernels and take memory
Differentiate = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def differentiator(model: Generator, precision: Literal["float32", "bfloat16"], device: torch.device) -> Differentiate:
    """A function from pictures, conditions and a generator to the loss, which adds to the gradients of the weights.

    Parameters
    ----------
    model : Generator
        The model.
    precision : {"float32", "bfloat16"}
        Type of the network's products; bfloat16 by autocast.
    device : torch.device
        Where the model is.

    Returns
    -------
    callable
        On a GPU, and if the model is `capturable`, a `Replayed`. The values are the same either way.
    """
    compute = partial(_differentiate, model, precision)
    return Replayed(compute, device) if device.type == "cuda" and model.capturable else compute


def _differentiate(
    model: Generator, precision: str, images: Tensor, condition: Tensor, generator: torch.Generator
) -> Float[Tensor, ""]:
    with torch.autocast(images.device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext():
        loss = model.loss(images, condition, generator)
    loss.backward()
    return loss.detach()


class Replayed:
    """A computation of losses that is recorded once as a CUDA graph, and replayed from then on.

    Without a graph, Python starts each operation of a step by itself, and the GPU waits between those of a small
    network.

    Parameters
    ----------
    compute : callable
        compute(images, condition, generator): what is recorded.
    device : torch.device
        A GPU.
    """

    def __init__(self, compute: Differentiate, device: torch.device):
        self._compute, self._device, self._calls = compute, device, 0
        self._generator = torch.Generator(device)

    def __call__(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Float[Tensor, ""]:
        self._calls += 1
        if self._calls <= WARM:
            return self._compute(images, condition, generator)
        if self._calls == WARM + 1:
            self._record(images, condition)
        for recorded, given in zip(self._inputs, (images, condition), strict=True):
            recorded.copy_(given)
        self._generator.set_state(generator.get_state())
        self._graph.replay()
        return self._loss.clone()

    def _record(self, images: Tensor, condition: Tensor) -> None:
        self._inputs = images.clone(), condition.clone()
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(self._generator)
        with torch.cuda.device(self._device), torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._loss = self._compute(*self._inputs, self._generator)
