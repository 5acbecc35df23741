"""Figures of the GPU path: see check.sh.

Each section is a process of its own with a time limit, so that one that fails or hangs spares the others.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hyperfactor import Run, RunSpec, train
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.networks import blocks
from hyperfactor.runs import sweep
from hyperfactor.runs.device import exact, repeatable
from hyperfactor.runs.run import build_model
from hyperfactor.training.flat import flatten
from hyperfactor.training.loop import Checkpoint, fit

ROOT = Path(__file__).parents[2]
LIMIT = 570  # seconds for all sections
Row = tuple[str, str, str]  # what, measured, target
SMOKE = ["model.width=4", "model.attention=[]", "training.batch=2", "sampling.steps=2", "data.test_points=20"]


class Check:
    """The sections. Each yields rows.

    Parameters
    ----------
    device : str
        Device of torch.
    smoke : bool
        Whether to use the smallest sizes, whose figures mean nothing.
    """

    def __init__(self, device: str, smoke: bool):
        self.device, self.smoke, self.gpu = device, smoke, device.startswith("cuda")

    def published(self, *changes: str) -> RunSpec:
        """The published network."""
        small = SMOKE if self.smoke else []
        return RunSpec.load(ROOT / "examples" / "published.yaml", [*small, "training.snapshots=[]", *changes])

    def laptop(self, seed: int, *changes: str) -> RunSpec:
        """A model of the laptop preset."""
        file = ROOT / "examples" / "sos.yaml"
        return RunSpec.load(file, [*(SMOKE if self.smoke else []), f"seed={seed}", *changes])

    def machine(self) -> Iterator[Row]:
        """What the figures were measured on."""
        name = torch.cuda.get_device_name() if self.gpu else platform.processor() or platform.machine()
        yield "device", name, ""
        yield "torch, CUDA", f"{torch.__version__}, {torch.version.cuda}", ""  # pyright: ignore
        yield "cores", str(os.cpu_count()), ""

    def training(self) -> Iterator[Row]:
        """The product's own loop."""
        every = 1 if self.smoke else 50
        for name, precision, setting, deterministic, recorded in (
            ("float32, torch's settings", "float32", nullcontext, True, True),
            ("float32 without TF32", "float32", exact, True, True),
            ("float32, TF32 also in products", "float32", _tf32, True, True),
            ("bfloat16", "bfloat16", nullcontext, True, True),
            ("bfloat16, not recorded", "bfloat16", nullcontext, True, False),
            ("bfloat16, not deterministic", "bfloat16", nullcontext, False, True),
        ):
            spec = self.published(
                f"training.precision={precision}", f"training.steps={4 * every}", f"training.record_every={every}",
                "training.checkpoint_every=0", "training.warmup=2",
            )  # fmt: skip
            model = build_model(spec, self.device)
            model.capturable = recorded
            with setting(), repeatable() if deterministic else nullcontext():
                _, history = fit(model, spec.task, spec.training, 0)
            yield f"training, {name}", f"{_rate(history):,.0f} pictures/s", "12,000"

    def compiled(self) -> Iterator[Row]:
        """A step of a compiled network, which the product has not."""
        if not self.gpu:
            yield "training, torch.compile", "not measured without a GPU", "12,000"
            return
        blocks.upsampled = _interpolated
        with repeatable():
            began = time.perf_counter()
            step = _step(self.published(), self.device)
            step()
            torch.cuda.synchronize()
            yield "training, torch.compile, the first step", f"{time.perf_counter() - began:.0f} s", ""
            yield "training, bfloat16, torch.compile", self._timed(step), "12,000"
            yield "training, bfloat16, torch.compile, CUDA graph", self._timed(_graphed(step)), "12,000"

    def _timed(self, step: Callable[[], None], count: int = 100) -> str:
        for _ in range(5):
            step()
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(count):
            step()
        torch.cuda.synchronize()
        return f"{count * self.published().training.batch / (time.perf_counter() - began):,.0f} pictures/s"

    def _trained(self, spec: RunSpec, store: str) -> Run:
        """A run of a few steps; the time of a drawing does not depend on what the network has learnt."""
        few = {"steps": 6, "record_every": 3, "checkpoint_every": 3, "evaluate_every": 0, "warmup": 2}
        return train(
            spec.model_copy(update={"training": spec.training.model_copy(update=few)}), store, device=self.device
        )

    def drawing(self) -> Iterator[Row]:
        """A lattice of 1,024 points: drawn, captured, and judged at the end of training."""
        with tempfile.TemporaryDirectory() as store:
            run = self._trained(self.published(), store)
            points = run.spec.data.test_lattice()[: 16 if self.smoke else None]
            run.sample(points[:16])
            began = time.perf_counter()
            run.sample(points)
            drawn = time.perf_counter()
            found = run.activations("up1", factors=points)["up1"]
            captured = time.perf_counter()
            yield f"{len(points)} drawings", f"{drawn - began:.1f} s", ""
            yield f"capture of {len(points)} x {found.shape[1]}", f"{captured - drawn:.1f} s", ""
            yield "drawing and capture", f"{captured - began:.1f} s", "30 s"
            yield "judging the finished run", f"{run.manifest['seconds']['evaluate']:.1f} s", ""

    def devices(self) -> Iterator[Row]:
        """Pictures of the CPU and of the device, with the same weights and noise."""
        torch.set_num_threads(os.cpu_count() or 1)
        for name, spec in (("published", self.published()), ("laptop", self.laptop(0))):
            with tempfile.TemporaryDirectory() as store:
                there = self._trained(spec, store)
                here = Run.open(store, there.id)
                points = there.spec.data.test_lattice()[::64][:16]
                steps = 2 if self.smoke else 10 if name == "published" else 1000
                for sampler in (spec.sampling, SamplingSpec(sampler="ddpm", steps=steps)):
                    apart = np.abs(there.sample(points, sampling=sampler) - here.sample(points, sampling=sampler)).max()
                    what = f"CPU and device, {name}, {sampler.sampler} of {sampler.steps} steps"
                    yield what, f"{apart:.1e}", "1e-3"
                layers = (run.activations("up1", factors=points)["up1"] for run in (there, here))
                a, b = layers
                yield f"CPU and device, {name}, up1, relative", f"{np.abs(a - b).max() / np.abs(b).max():.1e}", "1e-3"

    def resume(self) -> Iterator[Row]:
        """Two trainings, one from the middle, and one whose steps are not recorded."""
        steps = 4 if self.smoke else 40
        for precision in ("float32", "bfloat16"):
            spec = self.published(
                f"training.precision={precision}", f"training.steps={steps}", f"training.record_every={steps // 2}",
                f"training.checkpoint_every={steps // 2}", "training.warmup=2",
            )  # fmt: skip
            saved: list[Checkpoint] = []
            whole = self._fitted(spec, None, saved.append)
            again = self._fitted(spec, None, lambda _: None)
            resumed = self._fitted(spec, saved[0], lambda _: None)
            plain = self._fitted(spec, None, lambda _: None, recorded=False)
            for name, other in (("again", again), ("resumed", resumed), ("not recorded", plain)):
                yield (
                    f"training {name}, {precision}",
                    "equal bits" if _equal(whole, other) else "other bits",
                    "equal bits",
                )

    def _fitted(
        self, spec: RunSpec, checkpoint: Checkpoint | None, save: Callable[[Checkpoint], None], recorded: bool = True
    ) -> nn.Module:
        with repeatable():
            model = build_model(spec, self.device)
            model.capturable = recorded
            return fit(model, spec.task, spec.training, spec.seed, checkpoint, save)[0]

    def processes(self) -> Iterator[Row]:
        """Laptop models, side by side on one card."""
        usual = sweep._workers([self.laptop(0)], self.gpu)
        yield "processes that --gpu starts" if self.gpu else "processes", str(usual), ""
        counts = (1, 2) if self.smoke else sorted({1, 8, min(14, usual)})
        yield from self._at_once(counts, "")
        if self.gpu:
            with _mps():
                yield from self._at_once(counts[1:], ", MPS")

    def _at_once(self, counts: Sequence[int], how: str) -> Iterator[Row]:
        steps, every = (4, 2) if self.smoke else (900, 100)
        for count in counts:
            specs = [
                self.laptop(
                    seed, f"training.steps={steps}", f"training.record_every={every}", "training.evaluate_every=0",
                    "training.checkpoint_every=0", "training.warmup=2", "data.test_points=20",
                )
                for seed in range(count)
            ]  # fmt: skip
            with tempfile.TemporaryDirectory() as store:
                runs, failures = sweep.train_all(specs, store, workers=count, gpu=self.gpu)
                rates = [_rate(run.history.to_dicts()) for run in runs.values()]
            failed = f", {len(failures)} failed: {next(iter(failures.values()))}" if failures else ""
            yield f"laptop models, {count} at once{how}", f"{sum(rates):,.0f} pictures/s{failed}", ""

    def paper(self, seconds: float) -> Iterator[Row]:
        """The whole paper from an empty store, or as much as the time allows."""
        what = ["composition", "--preset", "smoke"] if self.smoke else ["--preset", "laptop"]
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "hyperfactor.cli", "reproduce", *what, *(["--gpu"] if self.gpu else []),
                "--quiet", "--store", f"{folder}/store", "--out", f"{folder}/report",
            ]  # fmt: skip
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
            try:
                status = process.wait(seconds)
                said = f"{time.perf_counter() - began:.0f} s, status {status}"
            except subprocess.TimeoutExpired:
                said = f"stopped after {seconds:.0f} s"
                _stop(process)
            finished = len(list(Path(folder).glob("store/*/manifest.json")))
            yield "smoke of composition" if self.smoke else "laptop paper", f"{said}, {finished} runs", "600 s"


@contextmanager
def _tf32() -> Iterator[None]:
    """Within the block, products of float32 may be rounded to TF32."""
    products: Any = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = "tf32"
    try:
        yield
    finally:
        products.fp32_precision = before


@contextmanager
def _mps() -> Iterator[None]:
    """Within the block, kernels of processes that start run at the same time: CUDA's multi-process service."""
    control = "nvidia-cuda-mps-control"
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {f"CUDA_MPS_{kind}_DIRECTORY": folder for kind in ("PIPE", "LOG")}
        subprocess.run([control, "-d"], check=True)
        try:
            yield
        finally:
            subprocess.run([control], input="quit", text=True, timeout=30)
            for kind in ("PIPE", "LOG"):
                del os.environ[f"CUDA_MPS_{kind}_DIRECTORY"]


def _rate(history: list[dict[str, float]]) -> float:
    """Pictures a second between the first row and the last."""
    first, last = history[0], history[-1]
    return (last["images"] - first["images"]) / max(1e-9, last["seconds"] - first["seconds"])


def _interpolated(x: torch.Tensor, aligned: bool) -> torch.Tensor:
    """Bilinear upsampling by two with aligned corners, of operations that a compiler can fuse with others."""
    assert aligned
    for dim in (2, 3):
        n, shape = x.shape[dim], [1, 1, 1, 1]
        shape[dim] = n
        part = torch.arange(n, device=x.device, dtype=x.dtype).view(shape) / (2 * n - 1)
        before = torch.cat([x.narrow(dim, 0, 1), x.narrow(dim, 0, n - 1)], dim)
        after = torch.cat([x.narrow(dim, 1, n - 1), x.narrow(dim, n - 1, 1)], dim)
        even, odd = torch.lerp(x, before, part.expand_as(x)), torch.lerp(x, after, part.flip(dim).expand_as(x))
        x = torch.stack([even, odd], dim + 1).flatten(dim, dim + 1)
    return x


def _step(spec: RunSpec, device: str) -> Callable[[], None]:
    """A training step as in the loop, of a compiled network, with tensors that stay where they are."""
    model = build_model(spec, device)
    model.network.compile()
    weights = flatten(list(model.parameters()))
    mean = weights.detach().clone()
    optimizer = torch.optim.AdamW([weights], lr=4e-4, fused=True, capturable=True)
    batch = (torch.from_numpy(part).to(device) for part in spec.task.batch(np.arange(spec.training.batch)))
    images, conditions = batch
    generator = torch.cuda.default_generators[0]

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = model.loss(images, conditions, generator)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        mean.lerp_(weights.data, 0.01)

    return step


def _graphed(step: Callable[[], None]) -> Callable[[], None]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def _stop(process: "subprocess.Popen[Any]") -> None:
    """End a command as Ctrl-C does, and its whole group if it does not end."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


LIMITS = {  # seconds for each section
    "machine": 40, "training": 100, "compiled": 180, "drawing": 90, "devices": 90, "resume": 60,
    "processes": 150, "paper": LIMIT,
}  # fmt: skip


def section(name: str, check: Check, seconds: float) -> None:
    """Print the rows of a section, a line of JSON each."""
    rows = check.paper(seconds - 30) if name == "paper" else getattr(check, name)()
    for row in rows:
        print(json.dumps(row), flush=True)


def rows_of(name: str, arguments: list[str], seconds: float) -> Iterator[Row]:
    """The rows that a section prints in a process of its own, and how it failed if it did."""
    command = [sys.executable, __file__, *arguments, "--section", name, "--seconds", str(seconds)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, errors = process.communicate(timeout=seconds)
        failure = "" if process.returncode == 0 else f"failed: {(errors.strip().splitlines() or ['?'])[-1]}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
        failure = f"not over after {seconds:.0f} s"
    yield from (tuple(json.loads(line)) for line in out.splitlines() if line.startswith("["))
    if failure:
        print(errors[-3000:], file=sys.stderr)
        yield name, failure, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--smoke", action="store_true", help="the smallest sizes, whose figures mean nothing")
    parser.add_argument("--only", nargs="*", choices=list(LIMITS), default=list(LIMITS))
    parser.add_argument("--section", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.section:
        section(given.section, Check(given.device, given.smoke), given.seconds)
        return 0
    began, failed = time.perf_counter(), False
    arguments = ["--device", given.device, *(["--smoke"] if given.smoke else [])]
    print(f"{'':<60}{'measured':<34}target", flush=True)
    for name in given.only:
        left = LIMIT - (time.perf_counter() - began)
        for what, measured, target in rows_of(name, arguments, max(10.0, min(LIMITS[name], left))):
            failed |= what == name
            print(f"{what:<60}{measured:<34}{target}", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s in all")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
