"""Streams of random numbers.

There is no global generator. Every draw names its stream by (seed, purpose, index). A draw therefore depends on
nothing that happened before it: not on the batch size, the order of requests, or an interruption.

A name becomes a list of 32-bit words: four words of the seed, one word of the purpose (its CRC-32), and the words of
the index. If each number of the index fits into one word, these words follow as they are. Otherwise the word WIDE comes
first, and the words of each number follow their count. Without these counts, the index 2^32 would have the same words
as the index (0, 1). So two names never share a stream of numpy's. torch's generator on the CPU keeps 32 bits of its
seed: any two of its streams are the same with a probability of 2^-32, and of n streams about n^2 / 2^33 pairs are.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from hyperfactor.arrays import integer, whole
from hyperfactor.errors import RequestError, quoted

if TYPE_CHECKING:
    import torch

SEED_BITS = 128  # numpy mixes these into a stream before the words of its name
WIDE = zlib.crc32(b"rng.wide")  # takes the place of the word of a purpose; no purpose has this word
STEP, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # constants of SplitMix64


def check_seed(seed: Any) -> int:
    """Validate a seed.

    Parameters
    ----------
    seed : int
        An integer of Python, numpy or torch, 0 <= seed < 2^128.

    Returns
    -------
    int
        The seed as an integer of Python.

    Raises
    ------
    RequestError
        If the seed is not such an integer.
    """
    number = integer(seed)
    if number is None or not 0 <= number < 2**SEED_BITS:
        raise RequestError(f"seed: got {quoted(seed)}, needs an integer of at least 0 and below 2^{SEED_BITS}")
    return number


def words(number: int) -> tuple[int, ...]:
    """The 32-bit words of a number of at least 0, lowest word first. The number 0 has one word."""
    parts = [number & 0xFFFFFFFF]
    while number := number >> 32:
        parts.append(number & 0xFFFFFFFF)
    return tuple(parts)


def _sequence(seed: int, purpose: str, index: tuple[int, ...]) -> np.random.SeedSequence:
    parts = [words(whole(number, f"index of the stream {purpose!r}", 0)) for number in index]
    key = [zlib.crc32(purpose.encode()), *(word for part in parts for word in part)]
    if any(len(part) > 1 for part in parts):
        key = [WIDE, key[0], *(word for part in parts for word in (len(part), *part))]
    return np.random.SeedSequence(check_seed(seed), spawn_key=key)


def stream(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """The numpy generator of a stream.

    Parameters
    ----------
    seed : int
        0 <= seed < 2^128.
    purpose : str
        What is drawn, such as "data.fraction".
    *index : int
        Numbers of at least 0 that tell apart the streams of one purpose.

    Returns
    -------
    numpy.random.Generator
        A new generator at the beginning of the stream.

    Raises
    ------
    RequestError
        If the seed or the index is out of range.
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose, index)))


def torch_stream(
    seed: int, purpose: str, *index: int, device: "torch.device | Literal['cpu']" = "cpu"
) -> "torch.Generator":
    """The torch generator of a stream, on a device. Other parameters and errors are those of `stream`.

    Generators of equal name on devices of different kinds give different numbers. On the CPU, two of other names are
    the same with a probability of 2^-32.
    """
    import torch

    key = _sequence(seed, purpose, index).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(key >> np.uint64(1)))


def uniform_at(seed: int, purpose: str, keys: Int[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """A number for each row of integers. It depends on the row and the name, and not on the other rows.

    Parameters
    ----------
    seed : int
        0 <= seed < 2^128.
    purpose : str
        What is drawn, as for `stream`.
    keys : (n, k) of int64
        The rows.

    Returns
    -------
    (n,)
        Numbers in [0, 1). They pass for uniform and independent where rows differ.

    Raises
    ------
    RequestError
        If the seed is out of range.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: the mixing function.
    """
    state = np.full(len(keys), _sequence(seed, purpose, ()).generate_state(1, np.uint64)[0])
    for key in keys.astype(np.uint64).T:
        state = (state ^ key) + np.uint64(STEP)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(FIRST)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(SECOND)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)) / 2.0**53


@contextmanager
def torch_seeded(seed: int, purpose: str, *index: int) -> Iterator[None]:
    """Within the block, let draws of this thread from torch's global CPU generator use a stream of their own.

    Use this only for code of torch that takes no generator, such as the initial weights of its modules. The global
    generator is neither read nor changed, so other threads may draw from it at the same time.

    Parameters
    ----------
    seed, purpose, *index
        The name of the stream, as for `stream`.

    Raises
    ------
    RequestError
        If the seed or the index is out of range.
    RuntimeError
        If an operation draws random numbers and cannot be given a generator.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode  # the mode of one thread

    generator = torch_stream(seed, purpose, *index)

    class Seeded(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # otherwise the first call imports torch's compiler, which takes a second

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = dict(kwargs or {})
            if torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None:
                takes = [argument.name for argument in func._schema.arguments]
                if "generator" not in takes:
                    if "generator" not in func.overloadpacket.overloads():
                        raise RuntimeError(f"{func}: draws without a generator, needs one while weights are made")
                    func = func.overloadpacket.generator
                kwargs["generator"] = generator
            return func(*args, **kwargs)

    with Seeded():
        yield
