"""What is set in processes that belong to Hyperfactor: the command line, and the workers of a sweep.

A program that imports the library belongs to its user: there the library sets no environment variable and no memory
setting, and changes the number of threads within a call of `train` only.
"""

import ctypes
import logging
import os
from contextlib import suppress
from pathlib import Path

# Numerical libraries get one thread, unless the user's environment says otherwise: two processes with one thread each do
# more than one process with two.  Threads that wait for each other sleep, so they take no core from anybody else.
THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
MALLOPT = {-1: 2**28, -3: 2**25}  # bytes: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's mallopt(3)


def prepare_command() -> None:
    """Set up the process of a command, before numpy, torch, numba or matplotlib is imported in it."""
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
    os.environ["MPLBACKEND"] = "agg"  # figures are files; the user's windows may not work here
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # the user's settings of it are not used, nor complained of
    _find_caches()
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let this process keep up to 256 MiB that it has freed, where the C library is glibc.

    Training takes and frees the same memory at every step.  By default large pieces go back to the system each time and
    come again page by page, filled with zeros.  Dask's workers give back even more: it took a fifth of their time.
    """
    with suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        for parameter, size in MALLOPT.items():
            library.mallopt(parameter, size)


def room() -> int:
    """Bytes of memory that this process may still take: what the machine has free, and what is left of the limits of
    the process (`ulimit -v`) and of its control group."""
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
    """Where the user's own folders cannot be written, let libraries keep compiled functions and lists of fonts in a
    temporary folder, until this process ends."""
    home = os.path.expanduser("~")
    cache = os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache"
    config = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    if _can_be_written(cache) and _can_be_written(config):
        return
    import atexit
    import shutil
    import tempfile

    with suppress(OSError):  # no temporary folder either: nothing is kept
        folder = tempfile.mkdtemp(prefix="hyperfactor-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["XDG_CACHE_HOME"] = os.environ["MPLCONFIGDIR"] = folder
        if not os.path.isdir(home):
            os.environ["DASK_CONFIG"] = folder


def _can_be_written(folder: str) -> bool:
    """Whether a folder can be written, or made."""
    while not os.path.lexists(folder):
        above = os.path.dirname(folder)
        if above == folder or not above:  # a relative name: no home folder is known
            return False
        folder = above
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
