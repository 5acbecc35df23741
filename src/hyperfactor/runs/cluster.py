"""The cluster that trains a sweep: Dask workers on this machine, or an existing cluster."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from hyperfactor.errors import RequestError, RunError
from hyperfactor.process import kept_environment, start_method
from hyperfactor.runs.device import cards

SCHEDULER = "needs tcp://host:port or a scheduler file"
ANSWER = 10  # seconds within which a scheduler must answer
SILENT = logging.CRITICAL + 1
# By default Dask samples the stack of each worker every 10 ms and the lag of its loop every 20 ms. This slows training.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}


@contextmanager
def client(scheduler: str | None, count: int, gpu: bool) -> Iterator[tuple[Any, Callable[[], None]]]:
    """A client of a cluster.

    Parameters
    ----------
    scheduler : str or None
        Address or file of the scheduler of an existing cluster. None: start workers on this machine.
    count : int
        Number of workers to start.
    gpu : bool
        Whether each worker has a GPU, which it may share.

    Yields
    ------
    Client, callable
        The client, and a function that replaces workers that died, to be called now and then.

    Raises
    ------
    RequestError
        If the scheduler does not answer, or its workers do not suit.
    RunError
        If workers do not start.
    """
    from distributed import Client

    with ExitStack() as stack:
        _be_silent(stack)
        if scheduler is not None:
            yield _connected(scheduler, gpu, stack), lambda: None
        else:
            cluster = _started(count, gpu, stack)
            yield stack.enter_context(Client(cluster)), _Workers(cluster).keep_up


def _connected(scheduler: str, gpu: bool, stack: ExitStack) -> Any:
    """A client of an existing cluster."""
    from distributed import Client

    address = _address(scheduler)
    try:
        with ThreadPoolExecutor(1) as aside:  # this thread may already run an event loop, as in a notebook
            aside.submit(asyncio.run, _knock(address)).result()
        connected = stack.enter_context(Client(address, timeout=ANSWER))
    except (OSError, ValueError, TypeError) as error:
        said = (str(error).splitlines() or [f"no answer in {ANSWER} s"])[0]
        raise RequestError(f"scheduler: got {scheduler!r} ({said}), needs one that answers") from None
    _check_workers(list(connected.scheduler_info(n_workers=-1)["workers"].values()), gpu)
    return connected


def _started(count: int, gpu: bool, stack: ExitStack) -> Any:
    """A cluster with `count` workers on this machine."""
    import dask.config
    import distributed  # noqa: F401  (it defines settings that are read below)

    stack.enter_context(dask.config.set(QUIET | {"distributed.worker.multiprocessing-method": start_method()}))
    configured = dask.config.get("distributed.nanny.pre-spawn-environ")
    stack.enter_context(kept_environment([*configured, "PYTHONHASHSEED", "__DASK_PARENT_PID"]))
    if not _main_can_be_read():
        stack.enter_context(_main_unread())
    try:
        return stack.enter_context(_embedded(count, gpu))
    except RuntimeError:  # such as for a script without a guard, which starts workers in each worker
        stack.enter_context(_main_unread())
    try:
        return stack.enter_context(_embedded(count, gpu))
    except RuntimeError as error:
        said = str(error.__cause__ or error).splitlines()[0]
        raise RunError(f"workers: got {count} that did not start ({said}), needs a machine that can") from None


def _embedded(count: int, gpu: bool) -> Any:
    from distributed import Nanny, Scheduler, SpecCluster

    options = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "host": "127.0.0.1", "silence_logs": SILENT}
    here = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "port": 0}
    return SpecCluster(
        workers={k: {"cls": Nanny, "options": options | extra} for k, extra in enumerate(_extras(count, gpu))},
        scheduler={"cls": Scheduler, "options": here},
        silence_logs=False,
        shutdown_on_close=True,
    )


def _extras(count: int, gpu: bool) -> list[dict[str, Any]]:
    """The options in which workers differ: each sees one GPU, and they take turns on the GPUs of this machine."""
    if not gpu:
        return [{}] * count
    names = cards(os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())
    return [{"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": names[k % len(names)]}} for k in range(count)]


def _address(scheduler: str) -> str:
    """The address of a scheduler, from the address itself or from a file."""
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
    """Connect to a scheduler. Raises `TimeoutError` if it does not answer, for which a client would wait for ever."""
    from distributed.comm.core import connect

    comm = await asyncio.wait_for(connect(address, timeout=ANSWER), ANSWER)
    await comm.close()


def _main_can_be_read() -> bool:
    """Whether the file of the main module exists, if it names one. A module from standard input names a file too."""
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


class _Workers:
    """The worker processes on this machine.

    Dask restarts a worker that dies, but not a worker that dies while it starts. The nanny of such a worker stays idle,
    and is replaced here.
    """

    def __init__(self, cluster: Any):
        self.cluster, self.count = cluster, len(cluster.workers)
        self.down: set[Any] = set()  # nannies that had no process at the last check

    def keep_up(self) -> None:
        self.cluster.sync(self._replace)

    async def _replace(self) -> None:
        down = {name for name, nanny in self.cluster.workers.items() if not nanny.is_alive()}
        for name in down & self.down:  # without a process at two checks, so it is not just being restarted
            await self.cluster.workers.pop(name).close(timeout=1)
        self.down = down - self.down
        self.cluster.scale(self.count)  # starts the missing workers


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
    """Within the stack, suppress Dask's own logs. The summary of a sweep says what matters."""
    for name in ("distributed", "tornado.application", "asyncio"):
        log = logging.getLogger(name)
        stack.callback(log.setLevel, log.level)
        log.setLevel(SILENT)
