"""The files of a store, in a folder or in a bucket that fsspec reaches.

Both offer the same operations on names with slashes:

    read           the content; FileNotFoundError if there is no such file
    write          replace the whole file, or change nothing
    create         write the file only if it is new; of several processes that try, one succeeds
    move           rename a file, or a folder with its content
    delete         delete a file, if there is one
    age            seconds since a file was written; 0 if it is not known
    delete_folder  delete a folder with its content, if there is one; of a link only the link
    children       the names directly in a folder
    sizes          the sizes of the files directly in a folder, in bytes

Messages have one line. A wrong name or a missing permission raises `StoreError`, or `WriteError` if something was to be
written. A fault of the machine, such as no room or no connection, raises `MachineError`.

The file system need not have hard links, permissions, or `fsync` of folders.
"""

import os
import re
import shlex
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
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
from hyperfactor.store.disk import make_folder, refused, replace, sync_folder, temporary_beside, write_new
from hyperfactor.store.named import named_path

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_TORN_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)")  # an address that was converted to a Path


class Files(ABC):
    """The operations on files listed above.

    Attributes
    ----------
    url : str
        The address with which `files_at` opens the same place.
    where : str
        The place as the user named it, for messages.
    """

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
    def is_link(self, name: str) -> bool: ...
    @abstractmethod
    def delete_folder(self, name: str) -> None: ...
    @abstractmethod
    def children(self, name: str = "") -> list[str]: ...
    @abstractmethod
    def sizes(self, name: str) -> dict[str, int]: ...
    @abstractmethod
    def age(self, name: str) -> float: ...

    def path(self, name: str) -> str:
        """The full name of a file, for messages."""
        return f"{self.where.rstrip('/')}/{name}" if name else self.where

    @property
    def remedy(self) -> str:
        """How to proceed after damage, for messages."""
        return f"`hyperfactor runs repair --store {shlex.quote(self.where)}` sets aside what is damaged"


class Folder(Files):
    """A folder of this machine or of a shared disk.

    It remains the same folder when the process changes its working directory.

    Parameters
    ----------
    path : str or Path
        Name of the folder, as `named_path` takes it.

    Raises
    ------
    RequestError
        If this is not the name of a folder.
    """

    def __init__(self, path: str | Path):
        self._path = named_path(path, "store")
        self.where = os.fsdecode(path)
        self.url = str(self._path)

    def read(self, name: str) -> bytes:
        try:  # without waiting, if the file is a pipe
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
            raise refused(self.path(name), error, "a file that can be read", StoreError) from None

    def write(self, name: str, content: bytes) -> None:
        path = self._path / name
        with self._writing(name, "a disk with room that can be written"):
            make_folder(path.parent)
            replace(path, content)

    def create(self, name: str, content: bytes) -> bool:
        path = self._path / name
        temporary = temporary_beside(path)
        try:
            make_folder(path.parent)
            try:
                write_new(temporary, content)
                return _give_name(temporary, path, content)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise refused(f"store {self.where}", error, "a folder that can be written") from None

    def move(self, name: str, to: str) -> None:
        source, target = self._path / name, self._path / to
        with self._writing(name):
            make_folder(target.parent)
            os.rename(source, target)
            sync_folder(target.parent)
            sync_folder(source.parent)

    def delete(self, name: str) -> None:
        with self._writing(name):
            (self._path / name).unlink(missing_ok=True)

    def is_link(self, name: str) -> bool:
        return (self._path / name).is_symlink()

    def delete_folder(self, name: str) -> None:
        with self._writing(name), suppress(FileNotFoundError):
            folder = self._path / name
            folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)

    @contextmanager
    def _writing(self, name: str, needs: str = "a store that can be written") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise refused(self.path(name), error, needs) from None

    def children(self, name: str = "") -> list[str]:
        try:
            return sorted(os.listdir(self._path / name))
        except FileNotFoundError:
            return []
        except OSError as error:
            if name and isinstance(error, NotADirectoryError):
                return []
            raise refused(self.path(name), error, "a folder that can be read", StoreError) from None

    def age(self, name: str) -> float:
        with suppress(OSError):
            return time.time() - (self._path / name).stat().st_mtime
        return 0.0

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
            raise refused(self.path(name), error, "a folder that can be read", StoreError) from None
        return found


def _give_name(temporary: Path, path: Path, content: bytes) -> bool:
    """Give a file its name, also on a shared disk. Returns False if another file has this name.

    Without hard links, the file is created directly under its name, and for a moment a reader may see a part of it.
    """
    try:
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):  # the second: the process that was first has deleted `temporary`
        return False
    except OSError:
        try:
            write_new(path, content)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True


class Bucket(Files):
    """Object storage, with the address `protocol://bucket/prefix?option=value`.

    The protocol writes an object as a whole or not at all. A conditional request (If-None-Match) creates an object only
    if it is new. The storage must support this, as S3 does.

    Parameters
    ----------
    url : str
        The address, with options for fsspec's file system.

    Raises
    ------
    RequestError
        If the address has no bucket or fsspec does not know its protocol.
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
                "for s3 there is pip install 'hyperfactor[s3]'"
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
        except Exception as error:  # each protocol raises its own exceptions
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

    def is_link(self, name: str) -> bool:
        return False

    def delete_folder(self, name: str) -> None:
        for below in self._below(name):
            self.delete(f"{name}{below}")

    def move(self, name: str, to: str) -> None:
        for below in self._below(name):
            self.write(f"{to}{below}", self.read(f"{name}{below}"))
            self.delete(f"{name}{below}")

    def _below(self, name: str) -> list[str]:
        """The rest of the name of each object whose name begins with `name`; empty for the object `name` itself."""
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

    def age(self, name: str) -> float:
        self._system.invalidate_cache()
        with suppress(Exception):
            return (datetime.now(UTC) - self._system.modified(self._at(name))).total_seconds()
        return 0.0

    def sizes(self, name: str) -> dict[str, int]:
        return {
            entry["name"].rpartition("/")[2]: entry["size"]
            for entry in self._list(name)
            if entry["type"] == "file" and entry["name"].strip("/") != self._at(name)
        }


def files_at(where: str | Path) -> Files:
    """The files at an address such as s3://bucket/prefix, or in a folder.

    Parameters
    ----------
    where : str or Path
        The address or the folder.

    Returns
    -------
    Files
        A `Bucket` or a `Folder`.

    Raises
    ------
    RequestError
        If this is neither an address nor the name of a folder.
    """
    text = os.fspath(where) if isinstance(where, str | os.PathLike) else ""
    if isinstance(text, str) and _TORN_ADDRESS.match(text):
        raise RequestError(f"store: got {text!r}, needs protocol://bucket/prefix, as text, or ./{text} for a folder")
    if not isinstance(text, str) or not _ADDRESS.match(text):
        return Folder(where)
    return Folder(text[7:]) if text.lower().startswith("file://") else Bucket(text)
