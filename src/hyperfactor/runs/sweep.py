"""Many specs -> many runs, as independent tasks on Dask.

Each run is one task of a worker process with one thread: two such processes train more pictures than
one process with two threads, and a run's bits do not depend on how many workers there are.  The
workers are an embedded cluster on the cores (or the GPUs) of this machine, or any Dask cluster that
the store can be reached from.

A task can be repeated: it trains what the store lacks, from the last checkpoint.  So when a worker dies
its task goes to another one and goes on; when everything dies, the same call goes on.  Who trains a run
is settled by the store's leases, not by Dask: a run that somebody else is training is left to them, and
looked at again.
"""

import asyncio
import hashlib
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

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
from hyperfactor.process import keep_freed_memory
from hyperfactor.runs.execute import train
from hyperfactor.runs.recorded import is_finished
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.runs.track import check_target
from hyperfactor.store.store import Store

TOPIC = "hyperfactor"  # of the events in which workers report (id, steps done)
SCHEDULER = "needs tcp://host:port or a scheduler file"
ANSWER = 10  # seconds that a scheduler has to answer
LOOK = 0.05  # seconds between looks at what has ended
PATIENCE = 5.0  # seconds without a sign of a worker before it is said
LOOK_AGAIN = 1.0  # seconds between looks at a run that somebody else trains
GONE = "scheduler: got no answer from it any more, needs one that lives; the same command goes on"
SILENT = logging.CRITICAL + 1
# Dask samples each worker's stack every 10 ms and the lag of its loop every 20 ms; both take the interpreter from training.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}
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
    report: Callable[[RunSpec, int], None] = lambda _spec, _step: None,
    finished: Callable[[Run], None] = lambda _run: None,
    tell: Callable[[str], None] = lambda _line: None,
) -> tuple[dict[str, Run], dict[str, HyperfactorError]]:
    """Train what is not in the store yet, equal specs once, the longest expected first.

    A script that calls it with several workers should have `if __name__ == "__main__":` around its calls, because each
    worker reads the script; without, the workers are started once more and do not read it.

    Parameters
    ----------
    specs: what to train.
    store: a folder of runs, or a bucket.
    workers: processes of the embedded cluster; None for one a core (with gpu: one a GPU).  A single one trains in
        this process.
    scheduler: of an existing cluster instead, `tcp://host:port` or a scheduler file.
    gpu: train on GPUs; a worker of an existing cluster that has one declares `--resources GPU=1`.
    track: a tracker that watches each run, see `track.tracker`.
    report: called here with a spec and its steps done.
    finished: called with each run that is trained now.
    tell: called with a line for each run that somebody else trains, and for a tracker that does not work.

    Returns
    -------
    The runs by id, and the errors of those that failed by themselves, which stop no other.

    Raises
    ------
    WriteError, MachineError
        Where the store can no longer be written.
    RequestError
        For a cluster that is not there, or a tracker that cannot work.
    RunError
        For a cluster that is lost, or workers that do not start.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(1)  # a worker that reads a script without a guard: it is started again without reading it
    if workers is not None and workers < 1:
        raise RequestError(f"workers: got {workers}, needs an integer of at least 1")
    if workers is not None and scheduler is not None:
        raise RequestError("workers: got a number and a scheduler, needs one of them: a cluster has its own workers")
    if gpu and scheduler is None and not torch.cuda.is_available():
        raise RequestError("gpu: got no GPU on this machine, needs one, or a scheduler with workers that have some")
    wanted = {spec.id: spec for spec in specs}
    opened = Store(store)
    missing, failures = _missing(wanted, opened)
    opened.clear_up(wanted.keys() - {spec.id for spec in missing} - failures.keys())
    missing.sort(key=_cost, reverse=True)
    if missing and track:
        track = ":".join(check_target(track))
    units = torch.cuda.device_count() if gpu else os.cpu_count()
    count = min(workers or units or 1, len(missing))
    if scheduler is None and count <= 1:
        device = "cuda" if gpu else "cpu"
        for spec in missing:
            try:
                progress = partial(report, spec)
                finished(train(spec, store, threads=1, device=device, track=track, report=progress, tell=tell))
            except (MachineError, WriteError):
                raise
            except HyperfactorError as error:
                failures[spec.id] = error
            except (MemoryError, RuntimeError) as error:  # too large a run, as in a worker, stops no other
                if (fault := machine_fault(error)) is None:
                    raise
                failures[spec.id] = RunError(f"run {spec.id}: {fault}")
    elif missing:
        with _client(scheduler, count, gpu) as (client, keep_up):
            failures |= _Sweep(client, missing, opened, gpu, track, report, finished, tell).run(keep_up)
    return {run: Run(opened, run) for run in wanted if run not in failures}, failures


def _missing(wanted: dict[str, RunSpec], store: Store) -> tuple[list[RunSpec], dict[str, HyperfactorError]]:
    """The specs without a finished run, and the errors of those of which a file is damaged or may not be read."""
    missing, failures = [], {}
    for run, spec in wanted.items():
        try:
            if not is_finished(store, spec):
                missing.append(spec)
        except StoreError as error:
            failures[run] = error
    return missing, failures


def _cost(spec: RunSpec) -> float:
    """Proportional to the time of training, roughly: pictures x pixels x effort a pixel."""
    return spec.training.steps * spec.training.batch * spec.data.picture.size**2 * spec.model.effort()


@contextmanager
def _client(scheduler: str | None, count: int, gpu: bool) -> Iterator[tuple[Any, Callable[[], None]]]:
    """A client of the cluster at `scheduler`, or of an embedded one of `count` workers; and what is to be
    called now and then to keep the workers up."""
    import dask.config
    from distributed import Client, Nanny, Scheduler, SpecCluster

    with ExitStack() as stack:
        _be_silent(stack)
        if scheduler is not None:
            address = _address(scheduler)
            try:
                with ThreadPoolExecutor(1) as aside:  # this thread may have an event loop, as in a notebook
                    aside.submit(asyncio.run, _knock(address)).result()
                client = stack.enter_context(Client(address, timeout=ANSWER))
            except (OSError, ValueError, TypeError) as error:
                said = (str(error).splitlines() or [f"no answer in {ANSWER} s"])[0]
                raise RequestError(f"scheduler: got {scheduler!r} ({said}), needs one that answers") from None
            _check_workers(list(client.scheduler_info(n_workers=-1)["workers"].values()), gpu)
            yield client, lambda: None
            return
        stack.enter_context(dask.config.set(QUIET))
        configured = dask.config.get("distributed.nanny.pre-spawn-environ")
        stack.enter_context(_kept([*configured, "PYTHONHASHSEED", "__DASK_PARENT_PID"]))
        options = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1", "silence_logs": SILENT}
        each = [
            {"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": str(k % torch.cuda.device_count())}}
            if gpu
            else {}
            for k in range(count)
        ]

        def start() -> SpecCluster:
            return SpecCluster(
                workers={k: {"cls": Nanny, "options": options | extra} for k, extra in enumerate(each)},
                scheduler={
                    "cls": Scheduler,
                    "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "port": 0},
                },
                silence_logs=False,
                shutdown_on_close=True,
            )

        if not _main_can_be_read():
            stack.enter_context(_main_unread())
        try:
            cluster = stack.enter_context(start())
        except RuntimeError:  # as for a script without a guard, which would start workers of its own in each worker
            stack.enter_context(_main_unread())
            try:
                cluster = stack.enter_context(start())
            except RuntimeError as error:
                said = str(error.__cause__ or error).splitlines()[0]
                raise RunError(f"workers: got {count} that did not start ({said}), needs a machine that can") from None
        yield stack.enter_context(Client(cluster)), _Workers(cluster).keep_up


def _address(scheduler: str) -> str:
    """Of a scheduler that is named by its address or by its file."""
    if "://" in scheduler:
        return scheduler
    try:
        found = json.loads(Path(os.path.expanduser(scheduler)).read_bytes())["address"]
    except OSError as error:
        raise RequestError(f"scheduler: got {scheduler!r} ({error.strerror}), {SCHEDULER}") from None
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, str) or "://" not in found:
        raise RequestError(f"scheduler: got {scheduler!r}, a file without an address, {SCHEDULER}")
    return found


async def _knock(address: str) -> None:
    """Greet the scheduler at an address; TimeoutError where it does not answer, for which a client would wait for
    ever."""
    from distributed.comm.core import connect

    comm = await asyncio.wait_for(connect(address, timeout=ANSWER), ANSWER)
    await comm.close()


def _main_can_be_read() -> bool:
    """Whether the main module has a file, if any: one that came from standard input is named as if it had."""
    return os.path.exists(getattr(sys.modules["__main__"], "__file__", None) or os.curdir)


@contextmanager
def _main_unread() -> Iterator[None]:
    """Within the block, new processes do not read the main module."""
    main = vars(sys.modules["__main__"])
    before = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(before)


@contextmanager
def _kept(names: Iterable[str]) -> Iterator[None]:
    """Put these environment variables back after the block: Dask sets them here, for the processes that it starts."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Workers:
    """The processes of the embedded cluster.  Dask starts a worker again that dies, but not one that dies while
    it starts: then its nanny stands idle for good, and is replaced here."""

    def __init__(self, cluster: Any):
        self.cluster, self.count = cluster, len(cluster.workers)
        self.down: set[Any] = set()  # nannies that had no process at the last look

    def keep_up(self) -> None:
        self.cluster.sync(self._replace)

    async def _replace(self) -> None:
        down = {name for name, nanny in self.cluster.workers.items() if not nanny.is_alive()}
        for name in down & self.down:  # at two looks, so it is not just being started again
            await self.cluster.workers.pop(name).close(timeout=1)
        self.down = down - self.down
        self.cluster.scale(self.count)  # opens those that the cluster lacks


def _check_workers(workers: list[dict[str, Any]], gpu: bool) -> None:
    threads = {worker["nthreads"] for worker in workers}
    if threads - {1}:
        raise RequestError(
            f"scheduler: got workers with {max(threads)} threads, needs one each (dask worker --nthreads 1)"
        )
    if gpu and workers and not any(worker.get("resources", {}).get("GPU") for worker in workers):
        raise RequestError(
            f"scheduler: got {len(workers)} workers without a GPU, needs some (dask worker --resources GPU=1)"
        )


def _be_silent(stack: ExitStack) -> None:
    """Within the stack, Dask's own logs say nothing: what matters is in the summary."""
    for name in ("distributed", "tornado.application", "asyncio"):
        log = logging.getLogger(name)
        stack.callback(log.setLevel, log.level)
        log.setLevel(SILENT)


class _Sweep:
    """The runs of one call on a cluster: submitted, listened to, and sorted as they end."""

    def __init__(self, client, missing, store, gpu, track, report, finished, tell):
        from distributed import as_completed

        self.client, self.store, self.gpu, self.track = client, store, gpu, track
        self.report, self.finished, self.tell = report, finished, tell
        self.specs = {spec.id: spec for spec in missing}
        self.rank = {run: k for k, run in enumerate(self.specs)}
        # other stores' tasks for the same run, and other ways to train it, are other tasks
        self.way = hashlib.sha256(repr((store.url, gpu, track)).encode()).hexdigest()[:8]
        self.attempts = dict.fromkeys(self.specs, 0)
        self.steps: dict[str, int] = {}  # of a run: done
        self.given_up: dict[str, int] = {}  # of a run: done when Dask gave it up, after several workers died
        self.elsewhere: set[str] = set()  # runs that somebody else trains
        self.failures: dict[str, HyperfactorError] = {}
        self.told: set[str | int] = set()
        self.tasks: dict[Any, str] = {}
        self.ended = as_completed(loop=client.loop)
        client.subscribe_topic(TOPIC, self._heard)

    def run(self, keep_up: Callable[[], None]) -> dict[str, HyperfactorError]:
        """Until each run has ended; the errors of those that failed.  keep_up: looks after the workers."""
        try:
            for run in self.specs:
                self._submit(run)
            began = looked = time.monotonic()
            told = False
            while self.tasks or self.elsewhere:
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
                        self._submit(run)
                time.sleep(LOOK)
        finally:
            self.client.cancel(list(self.tasks))
        return self.failures

    def _submit(self, run: str) -> None:
        spec = self.specs[run]
        task = self.client.submit(
            _train_one, spec.model_dump_json(), self.store.url, "cuda" if self.gpu else "cpu", self.track,
            self.store.leases.dead(run), key=f"train-{run}-{self.way}-{self.attempts[run]}", priority=-self.rank[run],
            resources={"GPU": 1} if self.gpu else None, pure=False,
        )  # fmt: skip
        self.attempts[run] += 1
        self.tasks[task] = run
        self.ended.add(task)

    def _heard(self, event: tuple[float, tuple[str, int | str]]) -> None:
        """A worker says how many steps of a run are done, or what its user should know."""
        run, said = event[1]
        if run in self.specs and isinstance(said, int):
            self.steps[run] = said
            self.report(self.specs[run], said)
        elif run in self.specs and said not in self.told:
            self.told.add(said)
            self.tell(said)

    def _sort(self, task: Any) -> None:
        """What follows from a task that has ended."""
        run = self.tasks.pop(task)
        if task.status not in ("finished", "error"):  # lost or cancelled: the connection broke
            raise RunError(GONE)
        error = _error(task, run)
        if isinstance(error, BusyError):
            self.elsewhere.add(run)
            if self.attempts[run] == 1:
                self.tell(f"{error}; looked at again later")
        elif isinstance(error, _WorkersDiedError) and self.steps.get(run, 0) > self.given_up.get(run, 0):
            self.given_up[run] = self.steps[run]  # it comes forward, death by death
            self._submit(run)
        elif isinstance(error, MachineError | WriteError):
            raise error
        elif error is None and self.store.manifest(run) is None:
            raise RequestError(
                f"store {self.store.files.where}: got a run from a worker that wrote it elsewhere, needs a store "
                "that all workers reach under the same name"
            )
        elif error is None:
            self.finished(Run(self.store, run))
        else:
            self.failures[run] = error
        task.release()


class _WorkersDiedError(RunError):
    """Several workers that trained the run died, one after the other."""


def _error(task: Any, run: str) -> HyperfactorError | None:
    """What a task that has ended says went wrong."""
    if task.status == "finished":
        said = task.result()
        return None if said is None else _ERRORS.get(said[0], RunError)(said[1])
    cause = task.exception()
    if type(cause).__name__ == "KilledWorker":
        return _WorkersDiedError(
            f"run {run}: each worker that trained it died, the last one {cause.last_worker.address}"
        )
    return RunError(f"run {run}: {type(cause).__name__}: {cause}")


def _train_one(canonical: str, store: str, device: str, track: str | None, dead: int) -> tuple[str, str] | None:
    """The task: None, or the kind of error and its message."""
    from distributed import get_worker

    if device == "cuda" and not torch.cuda.is_available():
        return "RunError", "gpu: got a worker that declares a GPU and has none that torch can use, needs one"
    keep_freed_memory()
    spec, worker = RunSpec.model_validate_json(canonical), get_worker()
    try:
        train(
            spec, store, threads=1, device=device, wait=False, dead=dead, track=track,
            report=lambda step: worker.log_event(TOPIC, (spec.id, step)),
            tell=lambda line: worker.log_event(TOPIC, (spec.id, line)),
        )  # fmt: skip
    except HyperfactorError as error:
        kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
        return kind, str(error)
    except Exception as error:  # a run that fails by itself stops no other
        said = machine_fault(error) or f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return "RunError", f"run {spec.id}: {said}"
    return None
