"""How fast the explorer answers: its first page with many runs in the store, and visitors who click all at once.

    python -m benchmarks.visitors [--runs 1000] [--visitors 20] [--seconds 60]

The model has the size of the laptop preset; its weights are those of the first steps, which take as long as any others.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np

from hyperfactor import RunSpec, train
from hyperfactor.store.store import MANIFEST, Store

SEED = 0  # of the points that are clicked
STARTS = 3  # times that the first page is timed


def make_store(where: Path, runs: int) -> str:
    """Train a model for a moment, and list it under many ids. Returns the id of the model."""
    spec = RunSpec.parse({"training": {"steps": 2, "evaluate_every": 0}, "data": {"test_points": 8}})
    run = train(spec, where)
    store = Store(where)
    for number in range(runs - 1):
        folder = where / f"{number:016x}"
        folder.mkdir()
        shutil.copy(store.folder(run.id) / MANIFEST, folder)
    return run.id


def ask(address: str, of: dict[str, Any], values: dict[str, Any]) -> bytes:
    """Call a callback as a browser does.

    Parameters
    ----------
    address : str
        The server.
    of : dict
        The callback, as the server lists it.
    values : dict of str to Any
        By "id.property", the values of its inputs and states.
    """

    def filled(part: dict[str, Any]) -> Any:
        key = f"{part['id']}.{part['property']}"
        found = values[key]
        id = part["id"]
        if not id.startswith("{"):
            return {"id": id, "property": part["property"], "value": found}
        names = values["factors"]
        return [{"id": {"type": "factor", "of": name}, "property": part["property"], "value": value}
                for name, value in zip(names, found, strict=True)]  # fmt: skip

    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in _outputs(of["output"])]
    body = {
        "output": of["output"], "outputs": outputs if of["output"].startswith("..") else outputs[0],
        "inputs": [filled(part) for part in of["inputs"]], "state": [filled(part) for part in of.get("state", [])],
        "changedPropIds": [f"{of['inputs'][0]['id']}.{of['inputs'][0]['property']}"],
    }  # fmt: skip
    request = Request(
        f"{address}/_dash-update-component", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=60) as answer:
        return answer.read()


def _outputs(text: str) -> list[str]:
    return text.strip(".").split("...") if text.startswith("..") else [text]


def callback(address: str, output: str) -> dict[str, Any]:
    """Return the callback of the server that has an output."""
    with urlopen(f"{address}/_dash-dependencies") as answer:
        return next(one for one in json.load(answer) if output in _outputs(one["output"]))


def start(store: Path) -> tuple[subprocess.Popen[str], str, float]:
    """Start the explorer, and return its process, its address, and the time until its first page was there."""
    began = time.perf_counter()
    command = [str(Path(sys.executable).with_name("hyperfactor")), "explore", "--store", str(store), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"http://[\d.:]+", process.stdout.readline())
    assert found is not None
    address = found[0]
    with urlopen(address) as answer:
        answer.read()
    page = ask(address, callback(address, "page.children"), {"url.pathname": "/", "url.search": ""})
    assert b" runs" in page
    return process, address, time.perf_counter() - began


def click(address: str, run: str, visitors: int, seconds: float) -> tuple[list[float], int]:
    """Let visitors click as fast as answers come, and return the time of each answer, and how many failed."""
    of = callback(address, "drawing.children")
    times: list[float] = []
    failed: list[str] = []
    end = time.perf_counter() + seconds

    def visitor(number: int) -> None:
        generator = np.random.default_rng([SEED, number])
        while time.perf_counter() < end:
            point = generator.uniform(4, 28, 2).round(2).tolist()
            pattern = next(part["id"] for part in of["inputs"] if part["id"].startswith("{"))
            values = {
                f"{pattern}.value": point, f"{pattern}.id": [{"type": "factor", "of": name} for name in "xy"],
                "factors": ["x", "y"], "seed.value": number, "step.value": 0,
                "run-of.data": {"run": run, "h": "x", "v": "y", "steps": [2]},
            }  # fmt: skip
            began = time.perf_counter()
            answer = ask(address, of, values)
            times.append(time.perf_counter() - began)
            if b"drawing of the model at" not in answer:
                failed.append(answer[:200].decode())

    threads = [threading.Thread(target=visitor, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        print(failed[0], file=sys.stderr)
    return times, len(failed)


def main() -> None:
    """Print the time of the first page, and the times of drawings for one visitor and for many."""
    parser = argparse.ArgumentParser(description="How fast the explorer answers.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = make_store(Path(folder), given.runs)
        for _ in range(STARTS):
            process, _, seconds = start(Path(folder))
            stop(process)
            print(f"first page with {given.runs} runs: {seconds:.2f} s after the command", flush=True)
        process, address, _ = start(Path(folder))
        try:
            click(address, run, 1, 5.0)  # torch and the model are loaded
            for visitors, seconds in ((1, 10.0), (given.visitors, given.seconds)):
                times, failed = click(address, run, visitors, seconds)
                middle, most = np.quantile(times, [0.5, 0.95])
                print(
                    f"{visitors} visitors, {seconds:g} s: {len(times)} drawings, {failed} failed; median "
                    f"{middle:.3f} s, 95th percentile {most:.3f} s, longest {max(times):.3f} s",
                    flush=True,
                )
        finally:
            stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process, and wait for it."""
    process.terminate()
    process.wait()


if __name__ == "__main__":
    main()
