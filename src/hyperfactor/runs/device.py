"""Devices: which there are, what fits on a GPU, and torch's settings for drawing and training on one."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from hyperfactor.errors import RequestError

BATCH = 64  # pictures of PIXELS pixels drawn at a time on the CPU; no picture depends on it but for rounding
PIXELS = 32 * 32
LARGEST = 1024  # pictures drawn at a time on a GPU
CONTEXT = 10**9  # bytes of a GPU that a process takes before it trains: CUDA, its libraries, and torch's reserve
DRAWN = 4  # share of the free memory that a batch of drawings may take is 1 / DRAWN; other processes may draw too
TRAINED = 0.9  # share of the free memory that processes which train may take


def device_of(given: str | torch.device) -> torch.device:
    """A device of torch. Raises `RequestError` if torch does not have it."""
    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise RequestError(f"device: got {given!r} ({said}), needs cpu, or a device of this machine") from None
    return device


def default_device() -> str:
    """A GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def at_once(device: torch.device, pixels: int, kept: Callable[[], int]) -> int:
    """Number of pictures to draw at a time.

    Parameters
    ----------
    device : torch.device
        Where they are drawn.
    pixels : int
        Pixels of a picture.
    kept : callable
        kept(): memory of one picture in a call of the network, in bytes; asked only on a GPU.

    Returns
    -------
    int
        On the CPU BATCH, and more of pictures that are at most half as large as PIXELS. On a GPU the free memory
        decides.
    """
    if device.type != "cuda":
        return BATCH * max(1, PIXELS // pixels)
    free, _ = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return fitting(kept(), free + reserved)


def fitting(each: int, free: int) -> int:
    """The largest number of pictures that fit into a share of the free memory: a power of 2 from 1 to LARGEST.

    Parameters
    ----------
    each : int
        Memory of one picture, in bytes.
    free : int
        Free memory, in bytes.
    """
    count = min(LARGEST, free // (DRAWN * max(1, each)))
    return 1 << max(0, count.bit_length() - 1)


def processes(free: Sequence[int], needed: int, cores: int) -> int:
    """Number of processes that train on the GPUs of this machine: equally many on each.

    Parameters
    ----------
    free : sequence of int
        Free memory of each GPU, in bytes.
    needed : int
        Memory that a run takes, in bytes, without that of CUDA itself.
    cores : int
        Cores of this machine; each process keeps one busy.

    Returns
    -------
    int
        At least one a GPU.
    """
    fit = min(int(TRAINED * room) for room in free) // (CONTEXT + needed)
    return len(free) * max(1, min(fit, cores // len(free)))


def free_memory() -> list[int]:
    """Free memory of each GPU of this machine, in bytes."""
    return [torch.cuda.mem_get_info(k)[0] for k in range(torch.cuda.device_count())]


def cards(visible: str | None, count: int) -> list[str]:
    """Names of the GPUs of this machine, for CUDA_VISIBLE_DEVICES.

    Parameters
    ----------
    visible : str or None
        That variable of this process.
    count : int
        Number of GPUs that torch sees.
    """
    names = [name.strip() for name in visible.split(",")][:count] if visible else []
    return names if len(names) == count else [str(k) for k in range(count)]


class _Setting:
    """A change of torch's global settings, which holds while any thread is in its block."""

    def __init__(self, change: Callable[[], Callable[[], None]]):
        self._change, self._lock, self._inside = change, threading.Lock(), 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._undo = self._change()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._undo()


def _without_tf32() -> Callable[[], None]:
    products: Any = torch.backends.cuda.matmul
    convolutions: Any = torch.backends.cudnn
    if hasattr(products, "fp32_precision"):  # torch 2.9 and later, which refuses a mixture of both ways
        convolutions, name, value = convolutions.conv, "fp32_precision", "ieee"
    else:
        name, value = "allow_tf32", False
    before = [(part, getattr(part, name)) for part in (products, convolutions)]
    for part, _ in before:
        setattr(part, name, value)

    def undo() -> None:
        for part, was in before:
            setattr(part, name, was)

    return undo


def _deterministic() -> Callable[[], None]:
    name: str = "CUBLAS_WORKSPACE_CONFIG"
    filled: Any = torch.utils.deterministic
    before = os.environ.get(name), torch.are_deterministic_algorithms_enabled(), filled.fill_uninitialized_memory
    os.environ.setdefault(name, ":4096:8")  # torch asks for it
    torch.use_deterministic_algorithms(True)
    filled.fill_uninitialized_memory = False  # it takes time, and nothing reads such memory

    def undo() -> None:
        was, torch_was, filled.fill_uninitialized_memory = before
        torch.use_deterministic_algorithms(torch_was)
        if was is None:
            del os.environ[name]

    return undo


# Within the block, convolutions and products of float32 are not rounded to TF32 on a GPU.
exact = _Setting(_without_tf32)
# Within the block, equal operations on a GPU give equal bits. Torch refuses operations that have no such form.
repeatable = _Setting(_deterministic)
