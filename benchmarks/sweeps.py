"""The cost of a sweep and of its store, and the gain of processes over threads.

    python benchmarks/sweeps.py [--runs N] [--steps S] [--listed L]

Trains the same N tiny runs three times: in a bare loop, divided among two processes of one thread, without store or
Dask; as a sweep with two workers; and in a bare loop of one process with two threads. Prints the times and their
ratios. Then lists a store of L recorded runs with the command, and prints the time of the whole command.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hyperfactor import RunSpec, Store, train

BARE = """
import json, sys, torch
from hyperfactor import RunSpec
from hyperfactor.runs.run import build_model, evaluate
from hyperfactor.training.loop import fit

threads, *canonical = sys.argv[1:]
torch.set_num_threads(int(threads))
for text in canonical:
    spec = RunSpec.model_validate_json(text)
    model, _ = fit(build_model(spec), spec.task, spec.training, spec.seed)
    evaluate(model, spec)
"""


def bare(specs: list[RunSpec], processes: int, threads: int) -> float:
    """Seconds of a loop over the specs, divided among processes."""
    began = time.perf_counter()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(threads), *(s.model_dump_json() for s in specs[k::processes])]
        )
        for k in range(processes)
    ]
    if any(process.wait() for process in started):
        raise RuntimeError("a bare loop failed")
    return time.perf_counter() - began


SWEEP = """
import sys
from hyperfactor import RunSpec
from hyperfactor.runs.sweep import train_all

if __name__ == "__main__":
    store, *canonical = sys.argv[1:]
    runs, failures = train_all([RunSpec.model_validate_json(text) for text in canonical], store, workers=2)
    assert not failures
"""


def sweep(specs: list[RunSpec], folder: Path) -> float:
    """Seconds of the same runs as a sweep with two workers, from the start of the command to its end."""
    script = folder / "sweep.py"
    script.write_text(SWEEP)
    began = time.perf_counter()
    command = [sys.executable, str(script), str(folder / "store"), *(spec.model_dump_json() for spec in specs)]
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def record(store: Store, count: int) -> None:
    """Fill an empty store with finished runs: one that is trained for a step, and copies of its record."""
    spec = RunSpec.parse({"training": {"steps": 1, "evaluate_every": 0}, "data": {"test_points": 1}})
    manifest = train(spec, store.url, threads=1).manifest
    template = {key: value for key, value in manifest.items() if key != "checksum"}
    for seed in range(1, count):
        other = spec.model_copy(update={"seed": seed})
        path = store.folder(other.id)
        path.mkdir()
        content = {**template, "id": other.id, "spec": other.model_dump(mode="json")}
        (path / "manifest.json").write_text(json.dumps(content, indent=1, sort_keys=True))


def listing(count: int, folder: Path) -> tuple[float, float]:
    """Seconds of `hyperfactor runs list` for `count` recorded runs: the first time, and the best of five."""
    store = Store(folder / "listed")
    record(store, count)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        command = [sys.executable, "-m", "hyperfactor.cli", "runs", "list", "--store", store.url]
        out = subprocess.run(command, check=True, capture_output=True).stdout
        times.append(time.perf_counter() - began)
        assert out.count(b"\n") > count
    return times[0], min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--listed", type=int, default=10_000)
    given = parser.parse_args()
    data = {"train": {"kind": "everything"}, "test_points": 40, "picture": {"family": "sos"}}
    training = {"steps": given.steps, "evaluate_every": 0}
    specs = [RunSpec.parse({"seed": k, "data": data, "training": training}) for k in range(given.runs)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{given.runs} runs of {given.steps} steps on {os.cpu_count()} cores", flush=True)
        two = bare(specs, processes=2, threads=1)
        print(f"bare loop, two processes of one thread   {two:7.1f} s", flush=True)
        swept = sweep(specs, folder)
        print(
            f"sweep with store, two workers            {swept:7.1f} s   {swept / two:.3f} of the bare loop's time",
            flush=True,
        )
        one = bare(specs, processes=1, threads=2)
        print(
            f"bare loop, one process of two threads    {one:7.1f} s   {one / swept:.2f} times as long as the sweep",
            flush=True,
        )
        first, best = listing(given.listed, folder)
        print(f"runs list over {given.listed} runs              first {first:.2f} s, best of five {best:.2f} s")


if __name__ == "__main__":
    main()
