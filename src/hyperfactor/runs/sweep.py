"""Train many specs, as independent tasks on Dask.

Each run is one task of a worker process with one thread. Two such processes train more pictures than one process with
two threads, and the bits of a run do not depend on the number of workers. The workers run on the cores or the GPUs of
this machine, or belong to any Dask cluster that can reach the store.

A task can be repeated: it trains what the store lacks, from the last checkpoint. If a worker dies, another worker
continues its task. If everything dies, the same call continues the sweep. The leases of the store decide which process
trains a run, not Dask. A run that another process is training is left to it, and is checked again later.
"""

import bisect
import hashlib
import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hyperfactor import plugins
from hyperfactor.errors import (
    BusyError,
    DivergedError,
    HyperfactorError,
    MachineError,
    RequestError,
    RunError,
    StoreError,
    WriteError,
    machine_fault,
)
from hyperfactor.plugins import Plugin
from hyperfactor.process import keep_freed_memory
from hyperfactor.runs.cluster import client
from hyperfactor.runs.cost import effort, effort_of_a_picture, memory
from hyperfactor.runs.device import default_device, free_memory, processes
from hyperfactor.runs.execute import train
from hyperfactor.runs.progress import Progress, visible
from hyperfactor.runs.recorded import is_finished
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.runs.track import check_target
from hyperfactor.store.store import Store

TOPIC = "hyperfactor"  # topic of the events with which workers report (id, steps done)
LOOK = 0.05  # seconds between checks for ended tasks
PATIENCE = 5.0  # seconds without a worker until the user is told
LOOK_AGAIN = 1.0  # seconds between checks of a run that another process trains
GONE = "scheduler: got no answer any more, needs one that runs; the same command continues the sweep"
_ERRORS: dict[str, type[HyperfactorError]] = {
    kind.__name__: kind
    for kind in (BusyError, DivergedError, MachineError, RequestError, RunError, StoreError, WriteError)
}


def train_all(
    specs: Sequence[RunSpec],
    store: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    gpu: bool = False,
    track: str | None = None,
    report: Callable[[RunSpec, int], None] | None = None,
    finished: Callable[[Run], None] = lambda _run: None,
    following: Callable[[Run], Sequence[RunSpec]] = lambda _run: (),
    tell: Callable[[str], None] | None = None,
) -> tuple[dict[str, Run], dict[str, HyperfactorError]]:
    """Train all specs that are not in the store yet, the longest expected run first. Equal specs are trained once.

    A script that calls this with several workers should guard its calls with `if __name__ == "__main__":`, because each
    worker reads the script. Without the guard, the workers are started a second time, and do not read it.

    Parameters
    ----------
    specs : sequence of RunSpec
        What to train.
    store : str or Path
        A folder of runs, or a bucket.
    workers : int, optional
        Number of worker processes on this machine. 1 trains in this process. Default: one a core; on GPUs as many as
        have memory and a core. They take turns on the GPUs.
    scheduler : str, optional
        An existing cluster to use instead: `tcp://host:port` or a scheduler file.
    gpu : bool
        Whether to train on GPUs. The runs also draw there, if this machine has one. A worker of an existing cluster
        declares its GPU by `--resources GPU=1`.
    track : str, optional
        A tracker that follows each run (see `track.tracker`).
    report : callable, optional
        report(spec, step): called in this process with the number of steps done. Default: show a progress bar in a
        notebook or a terminal.
    finished : callable
        finished(run): called for each run that this call has trained.
    following : callable
        following(run): called in this process for each finished run, also for one that was in the store. It returns
        further specs, which are trained too.
    tell : callable, optional
        tell(line): called for each run that another process trains, and if a tracker does not work. Default: print such
        lines above the bar, if there is one.

    Returns
    -------
    dict of str to Run
        The runs by id.
    dict of str to HyperfactorError
        The errors of runs that failed, by id. They stop no other run.

    Raises
    ------
    WriteError, MachineError
        If the store can no longer be written.
    RequestError
        If the cluster cannot be reached, or the tracker cannot work.
    RunError
        If the cluster is lost, or workers do not start.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(1)  # this worker reads a script without a guard; it is started again without reading it
    _check_request(workers, scheduler, gpu)
    if report is None and visible():
        with Progress(specs) as bar:
            return train_all(
                specs, store, workers=workers, scheduler=scheduler, gpu=gpu, track=track, report=bar.step,
                finished=lambda run: (bar.finished(run), finished(run))[1], following=bar.follow(following),
                tell=tell or bar.say,
            )  # fmt: skip
    report, tell = report or _ignore, tell or _ignore
    opened = Store(store)
    wanted = _Wanted(opened, default_device() if gpu else "cpu", following)
    missing = wanted.add(specs)
    opened.clear_up(wanted.specs.keys() - {spec.id for spec in missing} - wanted.failures.keys())
    if missing and track:
        track = ":".join(check_target(track))
    count = min(workers or _workers(missing, gpu and scheduler is None), len(missing))
    if scheduler is None and count <= 1:
        while missing:
            spec = missing.pop(0)
            if error := _train_here(spec, store, gpu, track, partial(report, spec), finished, tell):
                wanted.failures[spec.id] = error
            else:
                missing = sorted([*missing, *wanted.after(spec.id)], key=effort, reverse=True)
    elif missing:
        with client(scheduler, count, gpu) as (connected, keep_up):
            most = count if scheduler is None else math.inf
            _Sweep(connected, most, wanted, gpu, track, report, finished, tell).run(missing, keep_up)
    return {run: wanted.run(run) for run in wanted.specs if run not in wanted.failures}, wanted.failures


def _ignore(*_: object) -> None:
    """Take a report that nobody asked for."""


class _Wanted:
    """The runs that a call has to provide: those requested, and those that follow from finished ones.

    Attributes
    ----------
    specs : dict of str to RunSpec
        The specs by id.
    failures : dict of str to HyperfactorError
        The errors of runs that failed, by id.
    """

    def __init__(self, store: Store, device: str, following: Callable[[Run], Sequence[RunSpec]]):
        self.store, self.device, self.following = store, device, following
        self.specs: dict[str, RunSpec] = {}
        self.failures: dict[str, HyperfactorError] = {}

    def add(self, specs: Sequence[RunSpec]) -> list[RunSpec]:
        """Add specs, and those that follow from runs in the store. Returns those to be trained, the longest first."""
        missing = []
        for spec in specs:
            if (run := spec.id) in self.specs:
                continue
            self.specs[run] = spec
            try:
                missing += self.after(run) if is_finished(self.store, spec) else [spec]
            except StoreError as error:  # a file is damaged, or may not be read
                self.failures[run] = error
        return sorted(missing, key=effort, reverse=True)

    def after(self, run: str) -> list[RunSpec]:
        """Add the specs that follow from a finished run. Returns those to be trained, the longest first."""
        return self.add(self.following(self.run(run)))

    def run(self, run: str) -> Run:
        """A finished run."""
        return Run(self.store, run, self.device)


def _check_request(workers: int | None, scheduler: str | None, gpu: bool) -> None:
    if workers is not None and workers < 1:
        raise RequestError(f"workers: got {workers}, needs an integer of at least 1")
    if workers is not None and scheduler is not None:
        raise RequestError("workers: got a number and a scheduler, needs one of them: a cluster has its own workers")
    if gpu and scheduler is None and not torch.cuda.is_available():
        raise RequestError("gpu: got no GPU on this machine, needs one, or a scheduler with workers that have some")


def _workers(specs: Sequence[RunSpec], gpu: bool) -> int:
    """Number of worker processes on this machine, unless it is given."""
    cores = os.cpu_count() or 1
    if not gpu or not specs:
        return cores
    largest = max(specs, key=lambda spec: spec.training.batch * effort_of_a_picture(spec))
    return processes(free_memory(), memory(largest).total, cores)


def _train_here(
    spec: RunSpec, store: str | Path, gpu: bool, track: str | None, report: Callable[[int], None],
    finished: Callable[[Run], None], tell: Callable[[str], None],
) -> HyperfactorError | None:  # fmt: skip
    """Train a run in this process. Returns the error that ended the run, if other runs can go on."""
    device = "cuda" if gpu else "cpu"
    try:
        finished(train(spec, store, threads=1, device=device, track=track, report=report, tell=tell))
    except (MachineError, WriteError):
        raise
    except HyperfactorError as error:
        return error
    except (MemoryError, RuntimeError) as error:  # a run that is too large fails alone, as in a worker
        if (fault := machine_fault(error)) is None:
            raise
        return RunError(f"run {spec.id}: {fault}")
    return None


class _Sweep:
    """The runs of one call on a cluster: submits them, listens to them, and sorts them when they end.

    Dask deals tasks out to workers when they are submitted, without knowing how long they take. At most `most` tasks
    are therefore submitted at a time: as many as there are workers on this machine. A worker that is free gets the
    longest run that is left. The size of another cluster may depend on the number of submitted tasks, so it gets all.
    """

    def __init__(self, client, most, wanted, gpu, track, report, finished, tell):
        from distributed import as_completed

        self.most, self.waiting = most, []  # largest number of submitted tasks; runs to be submitted, the longest last
        self.client, self.wanted, self.store, self.gpu, self.track = client, wanted, wanted.store, gpu, track
        self.report, self.finished, self.tell = report, finished, tell
        self.plugins = plugins.loaded()
        # tasks for the same run with another store, device, tracker or plug-in are other tasks
        self.way = hashlib.sha256(repr((self.store.url, gpu, track, self.plugins)).encode()).hexdigest()[:8]
        self.efforts: dict[str, float] = {}  # by run
        self.attempts: dict[str, int] = {}  # by run
        self.steps: dict[str, int] = {}  # run -> steps done
        self.given_up: dict[str, int] = {}  # run -> steps done when Dask gave it up, after several workers died
        self.elsewhere: set[str] = set()  # runs that other processes train
        self.told: set[str | int] = set()
        self.tasks: dict[Any, str] = {}
        self.ended = as_completed(loop=client.loop)
        client.subscribe_topic(TOPIC, self._heard)

    def run(self, missing: Sequence[RunSpec], keep_up: Callable[[], None]) -> None:
        """Train these runs and all that follow from them. `keep_up` replaces dead workers."""
        try:
            self._want(spec.id for spec in missing)
            began = looked = time.monotonic()
            told = False
            while self.tasks or self.waiting or self.elsewhere:
                if self.client.status not in ("running", "connecting"):
                    raise RunError(GONE)
                if not (told or self.steps) and time.monotonic() - began > PATIENCE:
                    told = True
                    if not self.client.scheduler_info()["workers"]:
                        self.tell("scheduler: it has no workers yet; waiting for some")
                for task in self.ended.next_batch(block=False) if self.ended.has_ready() else ():
                    self._sort(task)
                if time.monotonic() - looked > LOOK_AGAIN:
                    looked = time.monotonic()
                    keep_up()
                    for run in [run for run in self.elsewhere if self.store.leases.holder(run) is None]:
                        self.elsewhere.remove(run)
                        self._want([run])
                time.sleep(LOOK)
        finally:
            self.client.cancel(list(self.tasks))

    def _want(self, runs: Iterable[str]) -> None:
        """Add runs to those that wait, and submit as many as workers can begin."""
        for run in runs:
            bisect.insort(self.waiting, run, key=self._effort)
        while self.waiting and len(self.tasks) < self.most:
            self._submit(self.waiting.pop())

    def _effort(self, run: str) -> float:
        if run not in self.efforts:
            self.efforts[run] = effort(self.wanted.specs[run])
        return self.efforts[run]

    def _submit(self, run: str) -> None:
        spec, attempt = self.wanted.specs[run], self.attempts.get(run, 0)
        task = self.client.submit(
            _train_one, spec.model_dump_json(), self.store.url, "cuda" if self.gpu else "cpu", self.track,
            self.store.leases.dead(run), self.plugins,
            key=f"train-{run}-{self.way}-{attempt}", priority=self._effort(run),
            resources={"GPU": 1} if self.gpu else None, pure=False,
        )  # fmt: skip
        self.attempts[run] = attempt + 1
        self.tasks[task] = run
        self.ended.add(task)

    def _heard(self, event: tuple[float, tuple[str, int | str]]) -> None:
        """Take a message of a worker: the number of steps done of a run, or a line for the user."""
        run, said = event[1]
        if run in self.attempts and isinstance(said, int):
            self.steps[run] = said
            self.report(self.wanted.specs[run], said)
        elif run in self.attempts and said not in self.told:
            self.told.add(said)
            self.tell(said)

    def _sort(self, task: Any) -> None:
        """Sort a run whose task has ended: finished, failed, submitted again, or trained by another process."""
        run = self.tasks.pop(task)
        if task.status not in ("finished", "error"):  # lost or cancelled: the connection broke
            raise RunError(GONE)
        self._want([])  # the worker that is free goes on meanwhile
        error = _error(task, run)
        if isinstance(error, BusyError):
            self.elsewhere.add(run)
            if self.attempts[run] == 1:
                self.tell(f"{error}; it is checked again later")
        elif isinstance(error, _WorkersDiedError) and self.steps.get(run, 0) > self.given_up.get(run, 0):
            self.given_up[run] = self.steps[run]  # the run advances, although workers die
            self._want([run])
        elif isinstance(error, MachineError | WriteError):
            raise error
        elif error is None and self.store.manifest(run) is None:
            raise RequestError(
                f"store {self.store.files.where}: got a run from a worker that wrote it elsewhere, needs a store "
                "that all workers reach under the same name"
            )
        elif error is None:
            self.finished(Run(self.store, run))
            self._want(spec.id for spec in self.wanted.after(run))
        else:
            self.wanted.failures[run] = error
        task.release()


class _WorkersDiedError(RunError):
    """Several workers that trained the run died, one after another."""


def _error(task: Any, run: str) -> HyperfactorError | None:
    """The error that ended a task, or None."""
    if task.status == "finished":
        if (said := task.result()) is None:
            return None
        kind, message = said
        return _ERRORS[kind](message) if kind in _ERRORS else RunError(f"run {run}: {message}")
    cause = task.exception()
    if type(cause).__name__ == "KilledWorker":
        return _WorkersDiedError(
            f"run {run}: each worker that trained it died, the last one {cause.last_worker.address}"
        )
    return RunError(f"run {run}: {type(cause).__name__}: {cause}")


def _train_one(
    canonical: str, store: str, device: str, track: str | None, dead: str, plugged: Sequence[Plugin]
) -> tuple[str, str] | None:
    """The task of a worker. Returns None, or the kind of an error and its message."""
    from distributed import get_worker

    if device == "cuda" and not torch.cuda.is_available():
        return "RunError", "gpu: got a worker that declares a GPU and has none that torch can use, needs one"
    keep_freed_memory()
    worker = get_worker()
    try:
        plugins.bring(plugged)
        spec = RunSpec.parse(json.loads(canonical))
        train(
            spec, store, threads=1, device=device, wait=False, dead=dead, track=track,
            report=lambda step: worker.log_event(TOPIC, (spec.id, step)),
            tell=lambda line: worker.log_event(TOPIC, (spec.id, line)),
        )  # fmt: skip
    except HyperfactorError as error:
        kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
        return kind, str(error)
    except Exception as error:  # a run that fails stops no other run
        said = machine_fault(error) or f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return "Exception", str(said)
    return None
