"""Many specs -> many runs, on the cores of this machine.

Each run is trained by one process with one thread: two such processes train more pictures than
one process with two threads, and a run's bits do not depend on how many workers there are.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from hyperfactor.errors import HyperfactorError, RequestError
from hyperfactor.runs.execute import train
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.runs.store import Store

_channel: Any = None  # in a worker: where it reports (id, steps done)


def train_all(
    specs: Sequence[RunSpec],
    store: str | Path,
    *,
    workers: int | None = None,
    report: Callable[[RunSpec, int], None] = lambda _spec, _step: None,
    finished: Callable[[Run], None] = lambda _run: None,
) -> tuple[dict[str, Run], dict[str, HyperfactorError]]:
    """Train what is not in the store yet, equal specs once, longest first.

    workers: processes, None for one a core.  report: called here with a spec and its steps done.
    finished: called with each run that was trained now.  Returns the runs by id, and the errors of
    those that failed; one failure does not stop the others.
    """
    if workers is not None and workers < 1:
        raise RequestError(f"workers: got {workers}, needs an integer of at least 1")
    wanted = {spec.id: spec for spec in specs}
    opened = Store(store)
    missing = [spec for spec in wanted.values() if opened.manifest(spec.id) is None]
    missing.sort(key=_cost, reverse=True)
    workers = min(workers or os.cpu_count() or 1, max(1, len(missing)))
    failures: dict[str, HyperfactorError] = {}
    run_here = _in_this_process if workers == 1 else _in_processes
    run_here(missing, store, workers, report, finished, failures)
    return {run: Run(opened, run) for run in wanted if run not in failures}, failures


def _cost(spec: RunSpec) -> float:
    """Proportional to the time of training, roughly: pictures x pixels x channels."""
    return spec.training.steps * spec.training.batch * spec.data.picture.size**2 * spec.model.width


def _in_this_process(missing, store, _workers, report, finished, failures) -> None:
    for spec in missing:
        try:
            finished(train(spec, store, threads=1, report=lambda step, spec=spec: report(spec, step)))
        except HyperfactorError as error:
            failures[spec.id] = error


def _in_processes(missing, store, workers, report, finished, failures) -> None:
    context = multiprocessing.get_context("spawn")
    channel = context.Queue()
    by_id = {spec.id: spec for spec in missing}

    def listen() -> None:
        while (message := channel.get()) is not None:
            report(by_id[message[0]], message[1])

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(channel,))
    try:
        futures = {pool.submit(_train_one, spec.canonical(), str(store)): spec for spec in missing}
        for future in as_completed(futures):
            spec = futures[future]
            if (error := future.result()) is None:
                finished(Run(Store(store), spec.id))
            else:
                failures[spec.id] = error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        channel.put(None)
        listener.join(timeout=1)


def _begin(channel: Any) -> None:
    global _channel
    _channel = channel
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends a worker at once; its checkpoint stays


def _train_one(canonical: str, store: str) -> HyperfactorError | None:
    spec = RunSpec.model_validate_json(canonical)
    try:
        train(spec, store, threads=1, report=lambda step: _channel.put((spec.id, step)))
    except HyperfactorError as error:
        return error
    return None
