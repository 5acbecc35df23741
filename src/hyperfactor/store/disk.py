"""Files on a disk that are written whole or not at all.

A write goes to a temporary name in the same folder, is flushed to the disk, and is renamed. File systems without
`fsync` of folders or without permissions are allowed.
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
_LONG = 200  # bytes; a longer name may not be allowed


def refused(where: object, error: OSError, needs: str, kind: type[RequestError] = WriteError) -> HyperfactorError:
    """What to raise when the system refuses: `kind` for a wrong request, a MachineError for a fault of the machine."""
    which = MachineError if is_machine_fault(error) else kind
    return which(f"{where}: {error.strerror or error}, needs {needs}")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and let none of them be lost in a power cut."""
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
    """Write a file under a temporary name and rename it."""
    temporary = temporary_beside(path)
    try:
        write_new(temporary, content)
        rename(temporary, path)
    finally:
        discard(temporary)


def rename(temporary: Path, path: Path) -> None:
    os.replace(temporary, path)
    sync_folder(path.parent)


def write_new(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file that must not be there yet, down to the disk."""
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
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_folder(folder: Path) -> None:
    """Let new names in a folder outlive a power cut, where the file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # one that may be written and not read
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A name beside a file, which nobody else uses."""
    name = path.name if len(os.fsencode(path.name)) <= _LONG else path.name[: _LONG // 4]
    return path.with_name(f".{name}.{secrets.token_hex(6)}.tmp")


def is_temporary(name: str) -> bool:
    """Whether a name is one that an interrupted write left behind."""
    return _TEMPORARY.fullmatch(name) is not None


def meant_for(temporary: str) -> str:
    """The file that an interrupted write was to make."""
    return temporary[1:].rpartition(".tmp")[0].rpartition(".")[0]
