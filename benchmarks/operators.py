"""Where a training step goes, and how near the limit of the machine each kind of operation is.

    python -m benchmarks.operators [--out FOLDER] [--steps N] [--batch N] [--width N]

Trains the laptop network on one thread and times each operation of torch by the processor time of the thread, the
smallest of all steps. Counts its floating-point operations (those of convolutions, matrix products and attention) and
its bytes (of the arrays that it reads and writes, each once). Its limit is the longer of two times: of the operations
at the rate of a matrix product, and of the bytes at the rate of a copy of as many bytes. Prints two tables, one by kind
of operation and one of the single operations, of convolutions by shape, that take longest. Writes operators.json and
operators.md to the folder.
"""

from hyperfactor import process

if __name__ == "__main__":
    process.prepare_command()  # before numpy or torch is imported: one thread

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from benchmarks.machine import describe, product_rate
from benchmarks.networks import bumps
from hyperfactor import RunSpec
from hyperfactor.runs.run import build_model
from hyperfactor.training.loop import fit

ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"
KINDS = {
    "convolution": "convolution",
    "convolution: gradient": "convolution_backward",
    "linear layer": "addmm mm bmm",
    "attention": f"{ATTENTION} {ATTENTION}_backward",
    "norm": "native_group_norm native_layer_norm",
    "norm: gradient": "native_group_norm_backward native_layer_norm_backward",
    "GELU and SiLU": "gelu silu",
    "GELU and SiLU: gradient": "gelu_backward silu_backward",
    "up- and downsampling": "upsample_bilinear2d upsample_bilinear2d_backward max_pool2d_with_indices "
    "max_pool2d_with_indices_backward",
    "sums, products and copies": "add add_ mul mul_ cat clone copy_ sum slice_backward",
    "optimizer and running mean": "_fused_adamw_ lerp_ _foreach_norm _foreach_mul_ _foreach_zero_",
}  # names of operations in ATen, by kind; all others are "other"
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}
SHOWN = 20  # rows of the second table
COPIED = [2**k for k in range(13, 28)]  # bytes that copies read and write, for the rate at each size


@dataclass(frozen=True)
class Call:
    """One or more calls of operations.

    Attributes
    ----------
    kind : str
        One of `KINDS`, or "other".
    what : str
        Channels and pixels of a convolution; the name of any other operation.
    seconds : float
        Processor time.
    flops : float
        Floating-point operations.
    bytes : float
        Size of the arrays that are read and written.
    limit : float
        The least time that the machine needs, in seconds.
    """

    kind: str
    what: str
    seconds: float
    flops: float
    bytes: float
    limit: float = 0.0


class Recorder(TorchDispatchMode):
    """Times the operations of torch within a `with` block. `calls` has those since it was last emptied."""

    def __init__(self):
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        began = time.thread_time()
        out = func(*args, **(kwargs or {}))
        seconds = time.thread_time() - began
        name = func.overloadpacket.__name__
        flops = _flops(func.overloadpacket, name, args, kwargs or {}, out)
        self.calls.append(Call(KIND.get(name, "other"), _what(name, args), seconds, flops, _traffic(func, args, out)))
        return out


def _what(name: str, args: tuple) -> str:
    """Channels and pixels of a convolution; the name of any other operation."""
    if not name.startswith("convolution"):
        return name
    image, weight = args[1:3] if name.endswith("backward") else args[:2]
    (outputs, inputs, side, _), pixels = weight.shape, image.shape[-1]
    return f"{inputs} to {outputs} channels, {side} x {side}, on {pixels} x {pixels} pixels"


def _flops(function: Any, name: str, args: tuple, kwargs: dict, out: Any) -> float:
    """Floating-point operations of a convolution, a matrix product or attention; 0 for others."""
    if name == ATTENTION:
        return sdpa_flop_count(*(array.shape for array in args[:3]))
    if name == f"{ATTENTION}_backward":
        return sdpa_backward_flop_count(*(array.shape for array in args[:4]))
    count = flop_registry.get(function)
    return count(*args, **kwargs, out_val=out) if count else 0


def _traffic(func: Any, args: tuple, out: Any) -> int:
    """Bytes that an operation reads and writes; none if it only makes a view."""
    schema = func._schema
    if any(result.alias_info and not result.alias_info.is_write for result in schema.returns):
        return 0
    written = [
        value for argument, value in zip(schema.arguments, args, strict=False)
        if argument.alias_info and argument.alias_info.is_write
    ]  # fmt: skip
    arrays = [leaf for leaf in tree_leaves((args, written or out)) if isinstance(leaf, Tensor)]
    return sum(min(array.numel() * array.element_size(), array.untyped_storage().nbytes()) for array in arrays)


def train(spec: RunSpec, boundary: Callable[[], None]) -> None:
    """Train, and call boundary() once a step, before the network is called."""
    model = build_model(spec)
    model.network.register_forward_pre_hook(lambda *_: boundary())
    fit(model, spec.task, spec.training, spec.seed)


def whole_step(spec: RunSpec) -> float:
    """Seconds of processor time of a training step, without timing its operations: the smallest of all steps."""
    ends: list[float] = []
    train(spec, lambda: ends.append(time.thread_time()))
    return float(np.diff(ends).min())


def recorded(spec: RunSpec) -> list[Call]:
    """The operations of a training step in their order, each with its smallest time of all steps but the first."""
    parts: list[list[Call]] = []
    with Recorder() as recorder:

        def boundary() -> None:
            parts.append(recorder.calls)
            recorder.calls = []

        train(spec, boundary)
    same = zip(*parts[2:], strict=True)  # the first part is the set-up
    return [replace(calls[0], seconds=min(call.seconds for call in calls)) for calls in same]


@cache
def copy_rates() -> list[float]:
    """Bytes a second that a copy reads and writes, for each size of COPIED: the best of several calls."""
    rates = []
    for size in COPIED:
        source, target = torch.zeros(size // 8), torch.zeros(size // 8)  # half of the bytes each, in float32
        times = []
        for _ in range(max(5, min(200, 2**24 // size))):
            began = time.thread_time()
            target.copy_(source)
            times.append(time.thread_time() - began)
        rates.append(size / min(times))
    return rates


def limited(call: Call, peak: float) -> Call:
    """A call with its limit, at the peak in floating-point operations a second."""
    rate = np.interp(np.log2(max(call.bytes, 1.0)), np.log2(COPIED), copy_rates())
    return replace(call, limit=max(call.flops / peak, call.bytes / rate))


def grouped(calls: Sequence[Call], key: Callable[[Call], Any]) -> list[Call]:
    """The sums of calls that have the same key, the slowest first."""
    groups: dict[Any, list[Call]] = {}
    for call in calls:
        groups.setdefault(key(call), []).append(call)
    sums = [
        replace(some[0], **{name: sum(getattr(call, name) for call in some) for name in SUMMED})
        for some in groups.values()
    ]
    return sorted(sums, key=lambda call: -call.seconds)


SUMMED = ("seconds", "flops", "bytes", "limit")


def markdown(rows: Sequence[tuple[str, Call]], step: float, peak: float) -> str:
    """A table of calls: time, its share of a step, rates, and the share of the time that the machine needs at least."""
    lines = [
        "| operation | ms | of the step | GFLOP/s | of a matrix product | GB/s | limit / time |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, call in rows:
        rate = call.flops / call.seconds
        figures = [f"{1e3 * call.seconds:.2f}", f"{call.seconds / step:.1%}"]
        figures += [f"{rate / 1e9:.0f}", f"{rate / peak:.0%}"] if call.flops else ["-", "-"]
        figures += [f"{call.bytes / call.seconds / 1e9:.1f}", f"{call.limit / call.seconds:.0%}"]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def text(calls: Sequence[Call], step: float, peak: float, batch: int) -> str:
    """Both tables, and what they come to."""
    kinds, parts = grouped(calls, lambda call: call.kind), grouped(calls, lambda call: (call.kind, call.what))
    inside, least = sum(call.seconds for call in calls), sum(call.limit for call in calls)
    return "\n".join(
        [
            markdown([(call.kind, call) for call in kinds], step, peak),
            markdown([(f"{call.kind}, {call.what}", call) for call in parts[:SHOWN]], step, peak),
            f"A step of {batch} pictures takes {1e3 * step:.1f} ms ({batch / step:.0f} pictures/s); its {len(calls)} "
            f"operations alone take {1e3 * inside:.1f} ms, and at their limits they would take {1e3 * least:.1f} ms "
            f"({batch / least:.0f} pictures/s). A product of two matrices runs at {peak / 1e9:.0f} GFLOP/s.\n",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("hyperfactor-bench"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--width", type=int, default=8)
    given = parser.parse_args(arguments)
    if given.steps < 3:
        parser.error(f"--steps: got {given.steps}, needs at least 3")
    torch.set_num_threads(1)
    machine, peak = describe(), 1e9 * product_rate(clock=time.thread_time)
    recipe = {"batch": given.batch, "record_every": given.steps}
    spec = bumps(given.steps, training=recipe, model={"width": given.width})
    step = whole_step(spec)
    calls = [limited(call, peak) for call in recorded(spec)]
    copies = {f"{size / 1024:g} KiB": round(rate / 1e9, 1) for size, rate in zip(COPIED, copy_rates(), strict=True)}
    machine["copy, GB/s read and written"] = copies
    found = text(calls, step, peak, given.batch)
    given.out.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "step": step, "calls": [asdict(call) for call in calls]}
    (given.out / "operators.json").write_text(json.dumps(document, indent=1) + "\n")
    about = "\n".join(f"- {key}: {value}" for key, value in machine.items())
    (given.out / "operators.md").write_text(f"# Where a training step goes\n\n{found}\n{about}\n")
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
