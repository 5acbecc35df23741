"""The named exceptions.  Each message is one line: where, what was given, what is allowed."""

import errno
import re


class HyperfactorError(Exception):
    """Anything that Hyperfactor itself reports."""


class RequestError(HyperfactorError, ValueError):
    """The request was wrong: a bad spec, region, factor value, layer, file or store."""


class StoreError(RequestError):
    """The store that was named cannot be used: it is none, may not be read, or a file in it is damaged."""


class DamagedError(StoreError):
    """A file of the store is not as it was written."""


class CheckpointError(StoreError):
    """A checkpoint is whole, and is not one of this run."""


class WriteError(StoreError):
    """The store that was named may not be written."""


class MachineError(HyperfactorError):
    """The machine failed: a disk that is full, read-only or gone, too little memory, a lost connection."""


class BusyError(HyperfactorError):
    """Somebody else holds the run, or has taken it over."""


class RunError(HyperfactorError):
    """A run failed by itself."""


class DivergedError(RunError):
    """The loss was no longer finite; the run stopped at its last good checkpoint."""


# What the system answers to a name or a permission that is wrong; every other answer is a fault of the machine.
_REQUEST = {
    errno.EACCES, errno.EBADF, errno.EEXIST, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR, errno.ENOTEMPTY, errno.EPERM, errno.ETXTBSY,
}  # fmt: skip
_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|cannot allocate memory", re.I)
_AMOUNT = re.compile(r"allocate ([\d.]+ (?:bytes|[KMGTPE]i?B))")


def is_machine_fault(error: OSError) -> bool:
    """Whether the system refuses for want of room, memory or a connection, and not because of a name or a
    permission."""
    return error.errno is not None and error.errno not in _REQUEST


def machine_fault(error: BaseException) -> MachineError | None:
    """The fault of the machine that an exception of Python, numpy, torch or the system reports.

    Parameters
    ----------
    error : BaseException
        Any exception.

    Returns
    -------
    MachineError or None
        One line for memory that ran out and for a system call that failed through no fault of the request;
        None for everything else, such as a bug.
    """
    if isinstance(error, MachineError):
        return error
    said = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _MEMORY.search(said)):
        amount = _AMOUNT.search(said)
        tried = f" ({amount[1]} more were asked for)" if amount else ""
        return MachineError(f"out of memory{tried}, needs a machine with more, or a smaller request")
    if isinstance(error, OSError) and is_machine_fault(error):
        if error.errno == errno.ENOMEM:
            return MachineError("out of memory, needs a machine with more, or a smaller request")
        where = f"{error.filename}: " if error.filename else ""
        return MachineError(f"{where}{error.strerror or type(error).__name__}, needs a machine that works")
    return None
