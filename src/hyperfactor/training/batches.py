"""Batches of pictures on the device of the model."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Examples(Protocol):
    """What is trained on."""

    @property
    def keeps(self) -> bool:
        """Whether all of them are in memory."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...

    def batch(self, indices: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """The pictures (b, c, h, w), in [0, 1], and conditions (b, width), float32, at some indices."""
        ...


def batches(examples: Examples, device: torch.device) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """A function from indices (b,), on the CPU, to pictures and conditions on a device.

    Examples that are in memory are copied to the device once, and chosen there. Others are rendered for each batch and
    copied. Neither waits for the device.

    Parameters
    ----------
    examples : Examples
        What is trained on.
    device : torch.device
        Where it is needed.
    """

    def render(chosen: Tensor) -> tuple[Tensor, Tensor]:
        images, conditions = examples.batch(chosen.numpy())
        return _copied(torch.from_numpy(images), device), _copied(torch.from_numpy(conditions), device)

    if not examples.keeps:
        return render
    images, conditions = (torch.from_numpy(part).to(device) for part in examples.batch(slice(None)))

    def choose(chosen: Tensor) -> tuple[Tensor, Tensor]:
        there = _copied(chosen, device)
        return images[there], conditions[there]

    return choose


def _copied(value: Tensor, device: torch.device) -> Tensor:
    """The value on the device. A copy from memory that is not pinned would wait."""
    return (value.pin_memory() if device.type == "cuda" else value).to(device, non_blocking=True)
