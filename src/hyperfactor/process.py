"""Settings and threads of the processes that belong to Hyperfactor: the command line, and the workers of a sweep.

A program that imports the library belongs to its user. There the library changes no environment variable and no
setting of memory. It changes the number of threads only during a call of `train`.
"""

import ctypes
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

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
MALLOPT = {-1: 2**28, -3: 2**25}  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's mallopt(3), in bytes


def prepare_command() -> None:
    """Set up the process of a command. Call this before numpy, torch, numba or matplotlib is imported."""
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
