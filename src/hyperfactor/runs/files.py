"""Where the bytes of a store live: a folder, or a bucket reached by fsspec.

Both offer the same few verbs over names with slashes:

    read      the bytes; FileNotFoundError where there are none
    write     replace the file whole, or not at all
    create    the same, but only if there is none yet: of many that try, one succeeds
    delete    a missing one is fine
    children  the names right below one
    sizes     of the files right below one, in bytes

A name or a permission that is wrong is a `StoreError` (a `WriteError` where something was to be written), and what the
machine cannot do (no room, no connection) a `MachineError`, each of one line.
"""

import os
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hyperfactor.errors import (
    HyperfactorError,
    MachineError,
    RequestError,
    StoreError,
    WriteError,
    is_machine_fault,
)


def _refused(where: object, error: OSError, needs: str, kind: type[StoreError] = WriteError) -> HyperfactorError:
    """What to raise when the system refuses: `kind` for a wrong request, a MachineError for a fault of the machine."""
    which = MachineError if is_machine_fault(error) else kind
    return which(f"{where}: {error.strerror or error}, needs {needs}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, making its folder; WriteError or MachineError where it cannot be done."""
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _refused(path, error, "a disk with room that can be written") from None


def _temporary(path: Path) -> Path:
    """A name beside a file, which nobody else uses."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def is_temporary(name: str) -> bool:
    """Whether a name is one that an interrupted write left behind."""
    return name.startswith(".") and name.endswith(".tmp")


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
    def delete(self, name: str) -> None: ...
    @abstractmethod
    def delete_folder(self, name: str) -> None: ...
    @abstractmethod
    def children(self, name: str = "") -> list[str]: ...
    @abstractmethod
    def sizes(self, name: str) -> dict[str, int]: ...

    def path(self, name: str) -> str:
        """The full name of a file, for messages."""
        return f"{self.where}/{name}"


class Folder(Files):
    """A folder of this machine or of a shared disk.

    A write goes to a temporary name in the same folder, is flushed to the disk, and is renamed.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self.where = str(path)
        self.url = str(self._path.absolute())  # workers may stand elsewhere

    def read(self, name: str) -> bytes:
        try:
            with open(f"{self.where}/{name}", "rb", buffering=0) as file:
                return file.read()
        except FileNotFoundError:
            raise
        except NotADirectoryError:
            raise FileNotFoundError(name) from None
        except OSError as error:
            raise _refused(self.path(name), error, "a file that can be read", StoreError) from None

    def write(self, name: str, content: bytes) -> None:
        write_whole(self._path / name, content)

    def create(self, name: str, content: bytes) -> bool:
        path = self._path / name
        temporary = _temporary(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            try:
                os.link(temporary, path)  # fails if there is one, on shared disks too
            except (FileExistsError, FileNotFoundError):  # the latter: who was first has cleared up
                return False
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(f"store {self.where}", error, "a folder that can be written") from None
        return True

    def delete(self, name: str) -> None:
        with self._writing(name):
            (self._path / name).unlink(missing_ok=True)

    def delete_folder(self, name: str) -> None:
        with self._writing(name), suppress(FileNotFoundError):
            shutil.rmtree(self._path / name)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _refused(self.path(name), error, "a store that can be written") from None

    def children(self, name: str = "") -> list[str]:
        try:
            return sorted(os.listdir(self._path / name))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _refused(self.path(name), error, "a folder that can be read", StoreError) from None

    def sizes(self, name: str) -> dict[str, int]:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._path / name) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        return {}


class Bucket(Files):
    """Object storage: `protocol://bucket/prefix?option=value`, the options being those of fsspec's file system.

    An object is written whole or not at all by the protocol itself, and is created only if it is new by a
    conditional request (If-None-Match), which the storage must offer, as S3 does.
    """

    def __init__(self, url: str):
        import fsspec

        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        self.url, self.where = url, url.partition("?")[0].rstrip("/")
        self._root = (parts.netloc + parts.path).strip("/")
        try:
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
        for child in self.sizes(name):
            self.delete(f"{name}/{child}")

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
    """A bucket for a name with `://`, else a folder."""
    if "://" not in str(where):
        return Folder(where)
    return Folder(str(where)[7:]) if str(where).startswith("file://") else Bucket(str(where))
