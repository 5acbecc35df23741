"""A description of the machine, and the rate of a matrix product."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "torch", "numpy", "scipy", "numba", "gudhi", "diffusers", "denoising-diffusion-pytorch", "ripser",
)  # fmt: skip
SIDE = 1024  # of the matrices


def product_rate(seconds: float = 1.0, clock: Callable[[], float] = time.perf_counter) -> float:
    """GFLOP/s of a product of two square matrices in float32, with torch's threads: the best of all calls."""
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    best, began = float("inf"), clock()
    while clock() - began < seconds:
        start = clock()
        torch.mm(a, b)
        best = min(best, clock() - start)
    return 2 * SIDE**3 / best / 1e9


def _cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def kind() -> str:
    """Maker of the processor and its vectors, such as "GenuineIntel, AVX-512": ratios differ between kinds."""
    about = _cpuinfo()
    flags = about.get("flags", "").split()
    vectors = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), None)
    return ", ".join(part for part in (about.get("vendor_id", platform.machine()), vectors) if part)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two descriptions are of the same kind of machine and software."""
    return all(one[key] == other[key] for key in ("processor", "cores", "python", "packages", "threads"))


def describe() -> dict[str, Any]:
    """The machine as plain data. `load` is the number of busy processes when the measurement began."""
    return {
        "processor": _cpuinfo().get("model name") or platform.processor() or platform.machine(),
        "kind": kind(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "threads": torch.get_num_threads(),
        "matrix product, GFLOP/s of one thread": round(product_rate(), 1),
    }
