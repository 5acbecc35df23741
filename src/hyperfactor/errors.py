"""Exceptions of Hyperfactor.

Each message is one line. It says where the fault is, what was given, and what is allowed.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class HyperfactorError(Exception):
    """Base class of the errors that Hyperfactor reports."""


class RequestError(HyperfactorError, ValueError):
    """The request is wrong: a bad spec, region, factor value, layer, file or store."""


class StoreError(RequestError):
    """The named store cannot be used: it is not a store, it may not be read, or one of its files is damaged."""


class DamagedError(StoreError):
    """A file of the store differs from what was written."""


class CheckpointError(StoreError):
    """A checkpoint is intact but belongs to another run."""


class WriteError(StoreError):
    """The named store may not be written."""


class MachineError(HyperfactorError):
    """The machine failed: its disk is full, read-only or gone, it has too little memory, or a connection was lost."""


class BusyError(HyperfactorError):
    """Another process holds the run, or has taken it over."""


class RunError(HyperfactorError):
    """A run failed, through no fault of the request or the machine."""


class DivergedError(RunError):
    """The loss is no longer finite. The run stopped at its last good checkpoint."""


QUOTED = 60  # characters of a value that a message quotes

# Errors that mean a wrong name or a missing permission. Every other error number is a fault of the machine.
_REQUEST = {
    errno.EACCES, errno.EBADF, errno.EEXIST, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR, errno.ENOTEMPTY, errno.EPERM, errno.ETXTBSY,
}  # fmt: skip
_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|cannot allocate memory", re.I)
_AMOUNT = re.compile(r"allocate ([\d.]+ (?:bytes|[KMGTPE]i?B))")


def quoted(value: Any) -> str:
    """The value as a message quotes it: in one line, cut to QUOTED characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= QUOTED else text[: QUOTED - 3] + "..."


def is_machine_fault(error: OSError) -> bool:
    """Whether the cause is a lack of room, memory or connection, and not a wrong name or a missing permission."""
    return error.errno is not None and error.errno not in _REQUEST


def machine_fault(error: BaseException) -> MachineError | None:
    """Recognise a fault of the machine in an exception of Python, numpy, torch or the system.

    Parameters
    ----------
    error : BaseException
        Any exception.

    Returns
    -------
    MachineError or None
        An error with a message of one line if memory ran out or a system call failed through no fault of the request.
        None for any other exception, such as a bug.
    """
    if isinstance(error, MachineError):
        return error
    said = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _MEMORY.search(said)):
        amount = _AMOUNT.search(said)
        tried = f" (the request of {amount[1]} was refused)" if amount else ""
        return MachineError(f"out of memory{tried}, needs a machine with more memory, or a smaller task")
    if isinstance(error, OSError) and is_machine_fault(error):
        if error.errno == errno.ENOMEM:
            return MachineError("out of memory, needs a machine with more memory, or a smaller task")
        where = f"{error.filename}: " if error.filename else ""
        return MachineError(f"{where}{error.strerror or type(error).__name__}, needs a machine without this fault")
    return None


@contextmanager
def told(what: str, needs: str = "one that works") -> Iterator[None]:
    """Within the block, turn an exception of the user's code into an error of one line, whose cause it is.

    Parameters
    ----------
    what : str
        What was run, for the message.
    needs : str
        What is needed, for the message.

    Raises
    ------
    RequestError
        If the block raises an exception that is not Hyperfactor's own.
    MachineError
        If this exception reports a fault of the machine.
    """
    try:
        yield
    except HyperfactorError:
        raise
    except (Exception, SystemExit) as error:
        if fault := machine_fault(error):
            raise fault from error
        said = " ".join(str(error).split())
        raise RequestError(f"{what}: {type(error).__name__}: {said}, needs {needs}") from error
