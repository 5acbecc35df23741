"""Writes to a disk that are complete or have no effect.

A file is written under a temporary name in the same folder, flushed to the disk, and renamed. The file system may lack
`fsync` of folders, and permissions.
"""

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from hyperfactor.errors import HyperfactorError, MachineError, RequestError, WriteError, is_machine_fault

_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EBADF, errno.EISDIR}
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]+\.tmp", re.S)
_LONG = 200  # bytes; many file systems limit names to 255


def refused(where: object, error: OSError, needs: str, kind: type[RequestError] = WriteError) -> HyperfactorError:
    """The error to raise when the system refuses an operation.

    Parameters
    ----------
    where : object
        The place, for the message.
    error : OSError
        What the system said.
    needs : str
        What is needed, for the message.
    kind : type of RequestError
        The error for a wrong request.

    Returns
    -------
    HyperfactorError
        A `MachineError` for a fault of the machine, else an error of this kind.
    """
    which = MachineError if is_machine_fault(error) else kind
    return which(f"{where}: {error.strerror or error}, needs {needs}")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, so that they survive a power cut."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        if folder.is_dir():
            return
        if error.errno == errno.EEXIST:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        raise
    sync_folder(folder.parent)


def replace(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, and rename it."""
    temporary = temporary_beside(path)
    try:
        write_new(temporary, content)
        rename(temporary, path)
    finally:
        discard(temporary)


def rename(temporary: Path, path: Path) -> None:
    """Give a file its final name, so that the name survives a power cut."""
    os.replace(temporary, path)
    sync_folder(path.parent)


def write_new(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file that must not exist yet, and flush it to the disk.

    Parameters
    ----------
    path : Path
        Name of the file.
    content : bytes
        Its whole content.
    mode : int, optional
        Its permissions, if the file system has permissions. Default: those of a new file.

    Raises
    ------
    OSError
        If the system refuses. What was written is deleted.
    """
    with open(path, "xb", buffering=0) as file:
        try:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
            if mode is not None:
                with suppress(OSError):  # a file system without permissions
                    os.fchmod(file.fileno(), stat.S_IMODE(mode))
            _sync(file.fileno())
        except BaseException:
            discard(path)
            raise


def discard(path: Path) -> None:
    """Delete a file, if that is possible."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the file system supports it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that may be written but not read
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A new temporary name in the folder of a file."""
    name = path.name if len(os.fsencode(path.name)) <= _LONG else path.name[: _LONG // 4]
    return path.with_name(f".{name}.{secrets.token_hex(6)}.tmp")


def is_temporary(name: str) -> bool:
    """Whether this is a temporary name, which an interrupted write may leave behind."""
    return _TEMPORARY.fullmatch(name) is not None


def meant_for(temporary: str) -> str:
    """The name of the file for which a temporary name was made."""
    return temporary[1:].rpartition(".tmp")[0].rpartition(".")[0]
