"""The noise of drawings: standard normal numbers on any device, with a stream for each sample.

A stream is a generator of torch on the CPU, which is the Mersenne Twister MT19937 (M. Matsumoto and T. Nishimura, ACM
TOMACS 8(1), 1998). On another device the numbers of all streams are computed there at once, with the integer operations
of the twister and the Box-Muller transform in torch's order. They are those of the CPU, up to the rounding of logarithm
and cosine, and no noise is copied.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

WORDS = 624  # of the twister's state
MIDDLE = 397
UPPER, LOWER = 0x80000000, 0x7FFFFFFF
MATRIX = 0x9908B0DF
LANES = 8  # torch pairs uniform numbers that are this far apart
STATE = slice(24, 24 + 8 * WORDS)  # bytes of the words in the state of a torch.Generator on the CPU
LEFT = slice(8, 12)  # bytes of one more than the number of words that have not been used


class Noise:
    """Standard normal numbers of a shape, one stream a sample.

    Parameters
    ----------
    streams : sequence of torch.Generator
        All numbers of sample i come from streams[i], which are on the CPU. On another device they are only read.
    shape : tuple of int
        Shape of a sample.
    device : torch.device
        Where the numbers are needed.
    """

    def __init__(self, streams: Sequence[torch.Generator], shape: tuple[int, ...], device: torch.device):
        self.streams, self.shape, self.device = streams, shape, device
        states = None if device.type == "cpu" or math.prod(shape) % (2 * LANES) else _states(streams)
        self._twisters = states and Twisters(*states, device)

    def draw(self) -> Float[Tensor, "b *shape"]:
        """The next numbers of each stream, float32."""
        if self._twisters is None:
            return torch.stack([torch.randn(self.shape, generator=stream, device="cpu") for stream in self.streams]).to(
                self.device
            )
        return normal(self._twisters.draw(math.prod(self.shape))).reshape(-1, *self.shape)


def _states(streams: Sequence[torch.Generator]) -> tuple[Int[Tensor, "b words"], int] | None:
    """The words of each generator, and the number of words used, or None if the numbers differ."""
    states = torch.stack([stream.get_state() for stream in streams])
    left = set(states[:, LEFT].contiguous().view(torch.int32).flatten().tolist())
    return (states[:, STATE].contiguous().view(torch.int64), WORDS + 1 - left.pop()) if len(left) == 1 else None


class Twisters:
    """Many Mersenne Twisters that advance together.

    Parameters
    ----------
    words : Tensor, (b, 624)
        The state of each, int64.
    used : int
        The number of words that each has already given.
    device : torch.device
        Where they advance.
    """

    def __init__(self, words: Int[Tensor, "b words"], used: int, device: torch.device | str):
        self.words, self.used = words.to(device), used

    def draw(self, count: int) -> Int[Tensor, "b count"]:
        """The next numbers of 32 bits of each, int64."""
        parts = []
        while count:
            if self.used == WORDS:
                self.words, self.used = _twisted(self.words), 0
            part = self.words[:, self.used : self.used + count]
            parts.append(part)
            self.used += part.shape[1]
            count -= part.shape[1]
        return _tempered(torch.cat(parts, dim=1))


def _twisted(old: Int[Tensor, "b words"]) -> Int[Tensor, "b words"]:
    """The next words. Each word needs one that is MIDDLE words ahead, which in the end is a new one."""

    def turned(upper: Tensor, lower: Tensor) -> Tensor:
        word = (upper & UPPER) | (lower & LOWER)
        return (word >> 1) ^ ((word & 1) * MATRIX)

    turns = turned(old[:, :-1], old[:, 1:])
    ahead = WORDS - MIDDLE
    first = old[:, MIDDLE:] ^ turns[:, :ahead]
    second = first ^ turns[:, ahead : 2 * ahead]
    third = second[:, : WORDS - 1 - 2 * ahead] ^ turns[:, 2 * ahead :]
    last = second[:, WORDS - 1 - 2 * ahead : WORDS - 2 * ahead] ^ turned(old[:, -1:], first[:, :1])
    return torch.cat([first, second, third, last], dim=1)


def _tempered(words: Int[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    words = words ^ (words >> 11)
    words = words ^ ((words << 7) & 0x9D2C5680)
    words = words ^ ((words << 15) & 0xEFC60000)
    return words ^ (words >> 18)


def normal(words: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Standard normal numbers from random words, as torch makes them on the CPU.

    A word gives a uniform number of 24 bits. In each 16 of them, number i and number i + 8 are a pair of the Box-Muller
    transform.

    Parameters
    ----------
    words : Tensor, (b, n)
        Numbers of 32 bits, n a multiple of 16.

    Returns
    -------
    Tensor, (b, n)
        float32.
    """
    uniform = ((words & (2**24 - 1)).float() / 2**24).unflatten(1, (-1, 2, LANES))
    radius, angle = (-2 * (1 - uniform[:, :, 0]).log()).sqrt(), 2 * math.pi * uniform[:, :, 1]
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2).flatten(1)
