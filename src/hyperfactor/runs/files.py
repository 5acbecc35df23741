"""Where the bytes of a store live: a folder, or a bucket reached by fsspec; and the files that users name.

Both kinds of store offer the same few verbs over names with slashes:

    read      the bytes; FileNotFoundError where there are none
    write     replace the file whole, or not at all
    create    the same, but only if there is none yet: of many that try, one succeeds
    move      a file, or a folder with all that is in it
    delete    a missing one is fine
    children  the names right below one
    sizes     of the files right below one, in bytes

A name or a permission that is wrong is a `StoreError` (a `WriteError` where something was to be written), and what the
machine cannot do (no room, no connection) a `MachineError`, each of one line.

A file system need not have hard links, permissions, or `fsync` of folders.
"""

import errno
import os
import re
import secrets
import shlex
import shutil
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hyperfactor.errors import (
    DamagedError,
    HyperfactorError,
    MachineError,
    RequestError,
    StoreError,
    WriteError,
    is_machine_fault,
)

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_TORN_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")  # what a Path makes of one
_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"(?:/dev|/proc/self|/proc/thread-self)/fd/(\d+)")
_LINKS = 40  # as many as Linux follows
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EBADF, errno.EISDIR}
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]+\.tmp", re.S)
_LONG = 200  # bytes of a name, from which a longer one might not be allowed


def _refused(where: object, error: OSError, needs: str, kind: type[RequestError] = WriteError) -> HyperfactorError:
    """What to raise when the system refuses: `kind` for a wrong request, a MachineError for a fault of the machine."""
    which = MachineError if is_machine_fault(error) else kind
    return which(f"{where}: {error.strerror or error}, needs {needs}")


def named_path(given: object, what: str) -> Path:
    """The absolute path that a user's name of a file or folder stands for.

    Parameters
    ----------
    given : str or os.PathLike
        The name; `~` and `~user` at its beginning stand for home folders.
    what : str
        What is named, for the message.

    Raises
    ------
    RequestError
        For an empty name, for `-`, for what is no name, for an unknown user, and for a relative name in a folder
        that was deleted.
    """
    if not isinstance(given, str | os.PathLike):
        raise RequestError(f"{what}: got {given!r}, needs a name")
    text = os.fsdecode(given)
    if not text.strip() or text == "-" or "\0" in text:
        raise RequestError(f"{what}: got {text!r}, needs a name" + " (./- is one)" * (text == "-"))
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise RequestError(f"{what}: got {text!r}, needs a name that this system can write") from None
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise RequestError(f"{what}: got {text!r}, needs ~ or ~user for a user of this machine with a home folder")
    try:
        return Path(expanded).absolute()
    except OSError:  # there is no current folder
        raise RequestError(f"{what}: got {text!r} in a folder that was deleted, needs one that exists") from None


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file that a user named, whole or not at all, and make its folder: see `write_together`."""
    write_together({path: content})


def write_together(contents: Mapping[str | Path, bytes]) -> None:
    """Write files that a user named, and make their folders.

    Each is written under a temporary name first, so that a disk without room leaves all as they were.  A link is
    followed, and the file that it leads to is replaced.  What is no file, such as a pipe, a terminal or /dev/null, is
    written into.  A file keeps its permissions.

    Parameters
    ----------
    contents : mapping of str or Path to bytes
        Names that `named_path` takes, and all that each file is to hold.

    Raises
    ------
    RequestError
        Where a name is one of a folder, or may not be written.
    MachineError
        Where there is no room.
    """
    with ExitStack() as stack:
        prepared = []
        for path, content in contents.items():
            with _told(path):
                prepared.append((path, _prepare(named_path(path, "file"), content, stack)))
        for path, finish in prepared:
            with _told(path):
                finish()


def check_writable(*paths: str | Path | None) -> None:
    """Raise now, before any work is done, what `write_together` would raise for these names; None is passed over."""
    with ExitStack() as stack:
        for path in paths:
            if path is not None:
                with _told(path):
                    _prepare(named_path(path, "file"), b"", stack)


@contextmanager
def _told(path: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(path, error, "a file that can be written, on a disk with room", RequestError) from None


def _prepare(place: Path, content: bytes, stack: ExitStack) -> Callable[[], None]:
    """Do all that needs room; returns what is left to do.  stack: deletes the temporary file at its end."""
    if (descriptor := _descriptor(place)) is not None:
        os.fstat(descriptor)  # it is open
        return partial(_pour, descriptor, content)
    target = Path(os.path.realpath(place))
    mode = target.stat().st_mode if os.path.lexists(target) else None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if mode is not None and not stat.S_ISREG(mode):
        return partial(_pour, target, content)
    if mode is not None:
        os.close(os.open(target, os.O_WRONLY))  # a file that may not be written is not replaced either
    _make_folder(target.parent)
    temporary = _temporary(target)
    stack.callback(_discard, temporary)
    _write_new(temporary, content, mode)
    return partial(_rename, temporary, target)


def _pour(into: Path | int, content: bytes) -> None:
    """Write into what is no file, after all that was printed."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    with open(os.dup(into) if isinstance(into, int) else into, "wb") as file:
        file.write(content)


def _descriptor(path: Path) -> int | None:
    """The open file of this process that a path such as /dev/stdout stands for."""
    for _ in range(_LINKS):
        if str(path) in _STREAMS:
            return _STREAMS[str(path)]
        if found := _DESCRIPTOR.fullmatch(str(path)):
            return int(found[1])
        if not path.is_symlink():
            break
        path = path.parent / os.readlink(path)
    return None


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, and let none of them be lost in a power cut."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        if folder.is_dir():
            return
        if error.errno == errno.EEXIST:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        raise
    _sync_folder(folder.parent)


def _replace(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it."""
    temporary = _temporary(path)
    try:
        _write_new(temporary, content)
        _rename(temporary, path)
    finally:
        _discard(temporary)


def _rename(temporary: Path, path: Path) -> None:
    os.replace(temporary, path)
    _sync_folder(path.parent)


def _write_new(path: Path, content: bytes, mode: int | None = None) -> None:
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
            _discard(path)
            raise


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Let new names in a folder outlive a power cut, where the file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # one that may be written and not read
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    """A name beside a file, which nobody else uses."""
    name = path.name if len(os.fsencode(path.name)) <= _LONG else path.name[: _LONG // 4]
    return path.with_name(f".{name}.{secrets.token_hex(6)}.tmp")


def is_temporary(name: str) -> bool:
    """Whether a name is one that an interrupted write left behind."""
    return _TEMPORARY.fullmatch(name) is not None


def meant_for(temporary: str) -> str:
    """The file that an interrupted write was to make."""
    return temporary[1:].rpartition(".tmp")[0].rpartition(".")[0]


class Files(ABC):
    """The verbs above.  `url` finds the place again, `where` names it in messages."""

    url: str
    where: str

    @abstractmethod
    def read(self, name: str) -> bytes: ...
    @abstractmethod
    def write(self, name: str, content: bytes) -> None: ...
    @abstractmethod
    def create(self, name: str, content: bytes) -> bool: ...
    @abstractmethod
    def move(self, name: str, to: str) -> None: ...
    @abstractmethod
    def delete(self, name: str) -> None: ...
    @abstractmethod
    def delete_folder(self, name: str) -> None: ...
    @abstractmethod
    def children(self, name: str = "") -> list[str]: ...
    @abstractmethod
    def sizes(self, name: str) -> dict[str, int]: ...

    def path(self, name: str) -> str:
        """The full name of a file, for messages."""
        return f"{self.where.rstrip('/')}/{name}" if name else self.where

    @property
    def remedy(self) -> str:
        """What to do about a damaged file, for messages."""
        return f"`hyperfactor runs repair --store {shlex.quote(self.where)}` sets aside what is damaged"


class Folder(Files):
    """A folder of this machine or of a shared disk.

    A write goes to a temporary name in the same folder, is flushed to the disk, and is renamed.  The folder stays the
    same one when the process changes its current folder.
    """

    def __init__(self, path: str | Path):
        self._path = named_path(path, "store")
        self.where = os.fsdecode(path)
        self.url = str(self._path)

    def read(self, name: str) -> bytes:
        try:  # a pipe in place of a file is not waited for
            with open(os.open(f"{self._path}/{name}", os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
                return file.read()
        except FileNotFoundError:
            raise
        except NotADirectoryError:
            raise FileNotFoundError(name) from None
        except IsADirectoryError:
            raise DamagedError(
                f"{self.path(name)}: got a folder, needs the file that was written; {self.remedy}"
            ) from None
        except OSError as error:
            raise _refused(self.path(name), error, "a file that can be read", StoreError) from None

    def write(self, name: str, content: bytes) -> None:
        path = self._path / name
        with self._writing(name, "a disk with room that can be written"):
            _make_folder(path.parent)
            _replace(path, content)

    def create(self, name: str, content: bytes) -> bool:
        path = self._path / name
        temporary = _temporary(path)
        try:
            _make_folder(path.parent)
            try:
                _write_new(temporary, content)
                return _give_name(temporary, path, content)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(f"store {self.where}", error, "a folder that can be written") from None

    def move(self, name: str, to: str) -> None:
        source, target = self._path / name, self._path / to
        with self._writing(name):
            _make_folder(target.parent)
            os.rename(source, target)
            _sync_folder(target.parent)
            _sync_folder(source.parent)

    def delete(self, name: str) -> None:
        with self._writing(name):
            (self._path / name).unlink(missing_ok=True)

    def delete_folder(self, name: str) -> None:
        with self._writing(name), suppress(FileNotFoundError):
            shutil.rmtree(self._path / name)

    @contextmanager
    def _writing(self, name: str, needs: str = "a store that can be written") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _refused(self.path(name), error, needs) from None

    def children(self, name: str = "") -> list[str]:
        try:
            return sorted(os.listdir(self._path / name))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _refused(self.path(name), error, "a folder that can be read", StoreError) from None

    def sizes(self, name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        try:
            with os.scandir(self._path / name) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # gone since it was listed
                        if entry.is_file():
                            found[entry.name] = entry.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise _refused(self.path(name), error, "a folder that can be read", StoreError) from None
        return found


def _give_name(temporary: Path, path: Path, content: bytes) -> bool:
    """Give a file its name, on shared disks too; False where another one has it.

    Without hard links the file is created under its name, and who reads it at this moment may see only a part of it.
    """
    try:
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):  # the latter: who was first has cleared up
        return False
    except OSError:
        try:
            _write_new(path, content)
        except FileExistsError:
            return False
    _sync_folder(path.parent)
    return True


class Bucket(Files):
    """Object storage: `protocol://bucket/prefix?option=value`, the options being those of fsspec's file system.

    An object is written whole or not at all by the protocol itself, and is created only if it is new by a
    conditional request (If-None-Match), which the storage must offer, as S3 does.
    """

    def __init__(self, url: str):
        import fsspec

        self.url, self.where = url, url.partition("?")[0].rstrip("/")
        try:
            parts = urlsplit(url)
            options = dict(parse_qsl(parts.query))
            self._root = (parts.netloc + parts.path).strip("/")
            if not self._root:
                raise ValueError("got no bucket")
            self._system: Any = fsspec.filesystem(parts.scheme, use_listings_cache=False, **options)
        except (ImportError, ValueError, TypeError) as error:
            raise RequestError(
                f"store {self.where}: {error}, needs a protocol that fsspec knows; "
                "for s3 there is `pip install hyperfactor[s3]`"
            ) from None

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _refused(self, name: str, error: Exception, kind: type[StoreError] = StoreError) -> HyperfactorError:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        lost = any("Connection" in base.__name__ or "Timeout" in base.__name__ for base in type(error).__mro__)
        fault = lost or (isinstance(error, OSError) and is_machine_fault(error))
        return (MachineError if fault else kind)(
            f"{self.path(name)}: {said}, needs a bucket that can be reached, with permission to use it"
        )

    def read(self, name: str) -> bytes:
        try:
            return self._system.cat_file(self._at(name))
        except FileNotFoundError:
            raise
        except Exception as error:  # each protocol has exceptions of its own
            raise self._refused(name, error) from None

    def write(self, name: str, content: bytes) -> None:
        try:
            self._system.pipe_file(self._at(name), content)
        except Exception as error:
            raise self._refused(name, error, WriteError) from None

    def create(self, name: str, content: bytes) -> bool:
        try:
            self._system.pipe_file(self._at(name), content, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            raise self._refused(name, error, WriteError) from None
        return True

    def delete(self, name: str) -> None:
        try:
            self._system.rm_file(self._at(name))
        except FileNotFoundError:
            pass
        except Exception as error:
            raise self._refused(name, error, WriteError) from None

    def delete_folder(self, name: str) -> None:
        for below in self._below(name):
            self.delete(f"{name}{below}")

    def move(self, name: str, to: str) -> None:
        for below in self._below(name):
            self.write(f"{to}{below}", self.read(f"{name}{below}"))
            self.delete(f"{name}{below}")

    def _below(self, name: str) -> list[str]:
        """What follows a name in those of all objects under it: "" for an object of this name itself."""
        self._system.invalidate_cache()
        try:
            return sorted(path.strip("/").removeprefix(self._at(name)) for path in self._system.find(self._at(name)))
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._refused(name, error) from None

    def _list(self, name: str) -> list[dict[str, Any]]:
        self._system.invalidate_cache()
        try:
            return self._system.ls(self._at(name), detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._refused(name, error) from None

    def children(self, name: str = "") -> list[str]:
        found = {entry["name"].strip("/") for entry in self._list(name)} - {self._at(name)}
        return sorted(path.rpartition("/")[2] for path in found)

    def sizes(self, name: str) -> dict[str, int]:
        return {
            entry["name"].rpartition("/")[2]: entry["size"]
            for entry in self._list(name)
            if entry["type"] == "file" and entry["name"].strip("/") != self._at(name)
        }


def files_at(where: str | Path) -> Files:
    """A bucket for an address such as s3://bucket/prefix, else a folder; RequestError for what is neither."""
    text = os.fspath(where) if isinstance(where, str | os.PathLike) else ""
    if isinstance(text, str) and _TORN_ADDRESS.match(text):
        raise RequestError(f"store: got {text!r}, needs protocol://bucket/prefix, as text, or ./{text} for a folder")
    if not isinstance(text, str) or not _ADDRESS.match(text):
        return Folder(where)
    return Folder(text[7:]) if text.lower().startswith("file://") else Bucket(text)
