"""Pairs of everything but networks: percolation, persistence, sweeps, and the start of commands."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import label
from scipy.spatial.distance import pdist, squareform

from benchmarks.ratios import MissingError, Pair
from hyperfactor import RunSpec, rng, train
from hyperfactor.measures import topology
from hyperfactor.percolation import site_percolation

LEVELS = 64  # fillings that scipy labels; our curve has up to 1,000
WORKERS = 2


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def command(*words: str) -> float:
    """Seconds of a Python command, from its start to its end. CalledProcessError if it fails."""
    return seconds(lambda: subprocess.run([sys.executable, *words], check=True, capture_output=True))


def label_levels(side: int) -> None:
    """Label the open lattice of side x side sites at LEVELS fillings, and take the largest cluster of each."""
    height = rng.stream(0, "benchmark.percolation").random((side, side), dtype=np.float32)
    for level in np.linspace(0, 1, LEVELS + 1)[1:]:
        labels, _ = label(height < level)  # pyright: ignore[reportGeneralTypeIssues]
        np.bincount(labels.ravel())[1:].max(initial=0)


@cache
def bonds(side: int) -> np.ndarray:
    """The neighbours (n, 2) of an open lattice of side x side sites."""
    sites = np.arange(side**2, dtype=np.int32).reshape(side, side)
    ahead = [(sites[:, :-1], sites[:, 1:]), (sites[:-1], sites[1:])]
    return np.concatenate([np.stack(pair, axis=-1).reshape(-1, 2) for pair in ahead])


def bond_curve(side: int) -> float:
    """Seconds of a whole curve by cpyrcolate, which adds the bonds of the same lattice one by one."""
    try:
        from cpyrcolate import compute_percolation_single  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingError(f"cpyrcolate ({error})") from None
    edges = bonds(side)
    return seconds(lambda: compute_percolation_single(edges))


def torus(points: int) -> np.ndarray:
    """A noisy torus in 100 dimensions, with four times as many points as landmarks."""
    stream = rng.stream(0, "benchmark.torus")
    angles = stream.random((4 * points, 2)) * 2 * np.pi
    flat = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    frame = np.linalg.qr(stream.normal(size=(100, 4)))[0]
    return flat @ frame.T + 0.02 * stream.normal(size=(4 * points, 100))


@cache
def landmarks(points: int) -> np.ndarray:
    """The distances (n, n) between the landmarks that `persistence` takes of `torus`."""
    cloud = torus(points)
    return squareform(pdist(cloud[topology.maxmin(cloud, points)[0]]))


def gudhi_child(points: int) -> float:
    """Seconds of the child process of `topology.persistence` for one cloud, to H2."""
    clouds = {"points": landmarks(points)}
    return seconds(lambda: topology._in_child(clouds, 2, (2,), topology.MEMORY, topology.SECONDS))


def _ripser() -> Callable[..., object]:
    try:
        from ripser import ripser  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingError(f"ripser ({error})") from None
    return ripser


def ripser_child(points: int) -> float:
    """Seconds of a process that imports ripser.py and takes the persistence of the same distances, to H2."""
    _ripser()
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "distances.npy"), landmarks(points))
        code = f"import numpy, ripser; ripser.ripser(numpy.load(r'{folder}/distances.npy'), 2, distance_matrix=True)"
        return command("-c", code)


def ripser_here(points: int) -> float:
    """Seconds of ripser.py in this process."""
    ripser = _ripser()
    return seconds(lambda: ripser(landmarks(points), 2, distance_matrix=True))


POOL = """
import multiprocessing, sys
from functools import partial
from hyperfactor import RunSpec, train

def one(store, text):
    train(RunSpec.model_validate_json(text), store, threads=1).id

if __name__ == "__main__":
    store, workers, *texts = sys.argv[1:]
    with multiprocessing.get_context("spawn").Pool(int(workers)) as pool:
        pool.map(partial(one, store), texts, chunksize=1)
"""


def tiny(seed: int, steps: int) -> RunSpec:
    """A run of a few seconds."""
    data = {"test_points": 40, "picture": {"family": "sos"}}
    return RunSpec.parse({"seed": seed, "data": data, "training": {"steps": steps, "evaluate_every": 0}})


def sweep(runs: int, steps: int) -> float:
    """Seconds of the command that trains tiny runs with WORKERS processes."""
    with tempfile.TemporaryDirectory() as folder:
        grid = {"base": tiny(0, steps).model_dump(mode="json"), "product": {"seed": list(range(runs))}}
        Path(folder, "sweep.yaml").write_text(json.dumps(grid))
        files = f"{folder}/sweep.yaml", "--store", f"{folder}/store"
        return command("-m", "hyperfactor.cli", "sweep", *files, "--workers", str(WORKERS))


def pool(runs: int, steps: int) -> float:
    """Seconds of a script that trains the same runs in a pool of WORKERS processes."""
    texts = [tiny(seed, steps).model_dump_json() for seed in range(runs)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "script.py")
        path.write_text(POOL)
        return command(str(path), f"{folder}/store", str(WORKERS), *texts)


@cache
def listed(runs: int) -> tempfile.TemporaryDirectory:
    """A folder with a store of some finished runs; it lasts as long as this process."""
    folder = tempfile.TemporaryDirectory()
    for seed in range(runs):
        train(tiny(seed, steps=1), f"{folder.name}/store", threads=1)
    return folder


FIRST_STEP = """
import torch
from hyperfactor import RunSpec
from hyperfactor.runs.run import build_model
from hyperfactor.training.loop import fit
spec = RunSpec.parse({"training": {"steps": 1, "evaluate_every": 0}})
fit(build_model(spec), spec.task, spec.training, spec.seed)
"""
PEER_STEP = """
import torch
from diffusers import DDPMScheduler, UNet2DModel
widths = (16, 32, 32)
net = UNet2DModel(32, 1, 1, block_out_channels=widths, down_block_types=("DownBlock2D",) * 3,
                  up_block_types=("UpBlock2D",) * 3, norm_num_groups=8)
optimizer, scheduler = torch.optim.AdamW(net.parameters(), lr=1e-4), DDPMScheduler(1000)
x, e, t = torch.rand(8, 1, 32, 32), torch.randn(8, 1, 32, 32), torch.randint(1000, (8,))
torch.nn.functional.mse_loss(net(scheduler.add_noise(x, e, t), t).sample, e).backward()
optimizer.step()
"""
HELP = ("-m", "hyperfactor.cli", "--help")


def pairs(quick: bool) -> list[Pair]:
    """The pairs of this module."""
    side, points, runs, steps = (64, 30, 2, 2) if quick else (1000, 300, 8, 60)
    site_percolation((16, 16))  # compile

    def bare(_: float) -> float:
        return command("-c", "import torch")

    def store() -> str:
        return f"{listed(2 if quick else 8).name}/store"

    def sites(side: int) -> float:
        return seconds(lambda: site_percolation((side, side), periodic=False))

    def whole() -> float:
        return seconds(lambda: topology.persistence(torus(points), landmarks=points))

    listing = ("-m", "hyperfactor.cli", "runs", "list", "--store")
    return [
        Pair(
            f"percolation: {side} x {side} sites", "s", f"scipy.ndimage.label at {LEVELS} fillings",
            lambda: sites(side), lambda _: seconds(lambda: label_levels(side)),
        ),
        Pair(
            "percolation: whole curve", "s", "cpyrcolate, bonds of the same lattice",
            lambda: sites(side), lambda _: bond_curve(side),
        ),
        Pair(
            "persistence: one cloud, child process", "s", "ripser.py in a process",
            lambda: gudhi_child(points), lambda _: ripser_child(points),
        ),
        Pair(
            "persistence: whole, with its null clouds", "s", "ripser.py in this process, one cloud",
            whole, lambda _: ripser_here(points), 3,
        ),
        Pair("start: --help", "s", "python -c 'import torch'", lambda: command(*HELP), bare),
        Pair("start: runs list", "s", "python -c 'import torch'", lambda: command(*listing, store()), bare),
        Pair(
            "start: first training step", "s", "diffusers' first step",
            lambda: command("-c", FIRST_STEP), lambda _: command("-c", PEER_STEP),
        ),
        Pair(
            f"sweep: {runs} runs, {WORKERS} workers", "s", "multiprocessing.Pool that calls train",
            lambda: sweep(runs, steps), lambda _: pool(runs, steps), 3,
        ),
    ]  # fmt: skip
