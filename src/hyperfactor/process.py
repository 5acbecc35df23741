"""Settings and threads of the processes that belong to Hyperfactor: the command line, and the workers of a sweep.

A program that imports the library belongs to its user. There the library changes no environment variable and no
setting of memory. It changes the number of threads only during a call of `train`.
"""

import ctypes
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

# Numerical libraries get one thread unless the user's environment says otherwise, because two processes with one thread
# each do more work than one process with two threads. Waiting threads sleep, so that other processes can use the core.
THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
COMPUTING = "hyperfactor-core"  # how the names of the threads of `all_cores` begin
# What all workers need. A server imports it once, and workers are forked from the server.
WORKERS_IMPORT = ["hyperfactor.runs.sweep", "distributed.nanny", "distributed.worker"]
MALLOPT = {-1: 2**28, -3: 2**25}  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's mallopt(3), in bytes


_of_command = False  # whether this process belongs to a command
_servers: list["psutil.Process"] = []  # that workers are forked from: none, or one


def prepare_command() -> None:
    """Set up the process of a command. Call this before numpy, torch, numba or matplotlib is imported."""
    global _of_command
    _of_command = True
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
    os.environ["MPLBACKEND"] = "agg"  # figures are written to files, and there may be no display
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # no warnings about the user's settings, which are not used
    _keep_plain()
    _find_caches()
    keep_freed_memory()


def _keep_plain() -> None:
    """Let rich print no escape codes if NO_COLOR is set.

    It would leave out colours only, and still print bold type and move the cursor. In a dumb terminal it does neither,
    but takes the terminal to be 80 columns wide unless both of its sizes are given.
    """
    if os.environ.get("NO_COLOR"):
        os.environ["TERM"] = "dumb"
    if os.environ.get("TERM") in ("dumb", "unknown"):
        columns, lines = shutil.get_terminal_size()
        os.environ |= {"COLUMNS": str(columns), "LINES": str(lines)}


def begin_workers(workers: int | None, scheduler: str | None = None) -> None:
    """Let a command prepare its workers while it is still preparing itself, on Linux.

    A server process imports torch and Dask beside this process, and each worker is a fork of it. By default, each
    worker is a new process that imports them again, after this process has done so.

    In the program of a user this does nothing: the server would stay until the program ends, and the user's own pools
    of processes might be forked from it.

    Parameters
    ----------
    workers : int or None
        Number of workers that may be needed. None: one a core. Nothing is prepared for a single one.
    scheduler : str or None
        The cluster that trains, if it exists already. Nothing is prepared then.
    """
    if scheduler or not _of_command or sys.platform != "linux" or (workers or os.cpu_count()) in (1, None):
        return
    from multiprocessing import forkserver, resource_tracker

    import psutil

    multiprocessing.set_forkserver_preload(WORKERS_IMPORT)
    # Ctrl-C reaches all processes of a terminal. This one stops its workers, which need not be interrupted themselves.
    resource_tracker.ensure_running()  # first, because its start lets this thread be interrupted
    children, before = psutil.Process().children(), signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        # OSError: there is no folder for the server's socket, or the name of the folder is too long
        with suppress(OSError), kept_environment(["PYTHONSAFEPATH"]):
            os.environ["PYTHONSAFEPATH"] = "1"  # a file random.py in the current folder is not Python's
            forkserver.ensure_running()
            _servers[:] = set(psutil.Process().children()) - set(children)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_workers() -> None:
    """End the server of `begin_workers`. Otherwise it would first finish its imports, with the streams of a command."""
    if not _servers:
        return
    import psutil

    with suppress(psutil.NoSuchProcess):
        _servers.pop().kill()


def start_method() -> str:
    """Return how the workers of this process start: the name of a method of multiprocessing."""
    return "forkserver" if _servers else "spawn"


def keep_freed_memory() -> None:
    """Let this process keep up to 256 MiB of freed memory, if the C library is glibc.

    Each training step allocates and frees the same memory. By default, large blocks return to the system each time, and
    come back page by page, filled with zeros. The workers of Dask return even more memory, which took a fifth of their
    time.
    """
    with suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        for parameter, size in MALLOPT.items():
            library.mallopt(parameter, size)


@contextmanager
def kept_environment(names: Iterable[str]) -> Iterator[None]:
    """After the block, restore these environment variables, which are set in it for processes that start there."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def all_cores() -> Iterator[ThreadPoolExecutor]:
    """A pool with a thread for each core. A block that fails or is interrupted does not wait for the threads."""
    pool = ThreadPoolExecutor(os.cpu_count(), COMPUTING)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def is_computing() -> bool:
    """Whether threads of an interrupted `all_cores` still work. Python waits for them before it ends the process."""
    return any(thread.name.startswith(COMPUTING) for thread in threading.enumerate())


def room() -> int:
    """Memory that this process may still allocate, in bytes.

    It is the smallest of three numbers: the memory that the machine has available, the rest of the limit of the process
    (`ulimit -v`), and the rest of the limit of its control group.
    """
    import psutil

    rooms = [psutil.virtual_memory().available]
    with suppress(ImportError):  # not on Windows
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            rooms.append(limit - psutil.Process().memory_info().vms)
    with suppress(OSError, ValueError):  # no control group, or one without a limit
        group = Path("/sys/fs/cgroup")
        rooms.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(0, min(rooms))


def _find_caches() -> None:
    """Give libraries a temporary folder for caches if the user's own folders cannot be written.

    The folder holds compiled functions and lists of fonts, and is deleted when this process ends.
    """
    home = os.path.expanduser("~")
    cache = os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    config = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    if _can_be_written(cache) and _can_be_written(config):
        return
    import atexit
    import tempfile

    with suppress(OSError):  # there is no temporary folder either, so nothing is cached
        folder = tempfile.mkdtemp(prefix="hyperfactor-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["XDG_CACHE_HOME"] = os.environ["MPLCONFIGDIR"] = folder
        if not os.path.isdir(home):
            os.environ["DASK_CONFIG"] = folder


def _can_be_written(folder: str) -> bool:
    """Whether a folder can be written, or can be created."""
    while not os.path.lexists(folder):
        above = os.path.dirname(folder)
        if above == folder or not above:  # a relative name, because the home folder is unknown
            return False
        folder = above
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
