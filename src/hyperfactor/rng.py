"""Streams of randomness.

There is no global generator.  Every draw names its stream by (seed, purpose, index), so a draw
depends on nothing that happened before it: not on the batch size, the order of requests, or an
interruption.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _sequence(seed: int, purpose: str, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()), *index))


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """The numpy generator of (seed, purpose, index); all integers are non-negative."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose, index)))


def torch_stream(seed: int, purpose: str, *index: int) -> "torch.Generator":
    """The CPU torch generator of (seed, purpose, index)."""
    import torch

    key = _sequence(seed, purpose, index).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(key >> np.uint64(1)))


@contextmanager
def torch_seeded(seed: int, purpose: str, *index: int) -> Iterator[None]:
    """Within the block, what draws from torch's global CPU generator draws from this stream.

    Only for code of torch that takes no generator (the first weights of its modules); the global
    generator is put back after the block.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_stream(seed, purpose, *index).initial_seed())
        yield
