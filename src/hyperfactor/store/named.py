"""Files that users name: the path that a name stands for, and writes that are complete or have no effect."""

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from hyperfactor.errors import RequestError
from hyperfactor.store.disk import discard, make_folder, refused, rename, temporary_beside, write_new

_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_DESCRIPTOR = re.compile(r"(?:/dev|/proc/self|/proc/thread-self)/fd/(\d+)")
RUN = "spec.json"  # a file that the folder of a run has
_LINKS = 40  # number of links that Linux follows


def named_path(given: object, what: str) -> Path:
    """The absolute path that the name of a file or folder stands for.

    Parameters
    ----------
    given : str or os.PathLike
        The name. `~` and `~user` at its beginning stand for home folders.
    what : str
        What is named, for the message of an error.

    Returns
    -------
    Path
        The path; nothing need exist there.

    Raises
    ------
    RequestError
        If the name is empty, is `-` or is not text, its user is unknown, or it is relative and the working directory
        was deleted.
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
    """Write a file that a user named. See `write_together`."""
    write_together({path: content})


def write_together(contents: Mapping[str | Path, bytes]) -> None:
    """Write files that a user named, and make their folders.

    Each file is first written under a temporary name, so all files stay as they were if the disk has no room. A link is
    followed, and the file that it points to is replaced. Content for a pipe, a terminal or a device such as /dev/null
    is written into it. A file keeps its permissions.

    Parameters
    ----------
    contents : mapping of str or Path to bytes
        The whole content of each file, by its name as `named_path` takes it.

    Raises
    ------
    RequestError
        If a name is that of a folder, or may not be written.
    MachineError
        If the disk has no room.
    """
    with ExitStack() as stack:
        prepared = []
        for path, content in contents.items():
            with _told(path):
                prepared.append((path, _prepare(named_path(path, "file"), content, stack)))
        for path, finish in prepared:
            with _told(path):
                finish()


def check_writable(*paths: str | Path | None, inputs: Sequence[str | Path] = ()) -> None:
    """Raise the error that `write_together` would raise for these names, before any work is done.

    Parameters
    ----------
    *paths : str, Path or None
        Names; None is ignored.
    inputs : sequence of str or Path
        Files that are read, and may not be written.

    Raises
    ------
    RequestError
        If a name is that of a folder, of an input, of a file of a run, or of another output, or may not be written.
    """
    outputs = [os.path.realpath(named_path(path, "file")) for path in paths if path is not None]
    inputs = [named_path(path, "file") for path in inputs]
    for output in outputs:
        regular = os.path.isfile(output)
        if regular and any(os.path.exists(one) and os.path.samefile(one, output) for one in inputs):
            raise RequestError(f"{output}: got the file of an input for an output, needs another name")
        if regular and (Path(output).parent / RUN).is_file():
            raise RequestError(f"{output}: got a file of a run for an output, needs another name")
        if outputs.count(output) > 1 and (regular or not os.path.exists(output)):
            raise RequestError(f"{output}: got one name for two outputs, needs two")
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
        raise refused(path, error, "a file that can be written, on a disk with room", RequestError) from None


def _prepare(place: Path, content: bytes, stack: ExitStack) -> Callable[[], None]:
    """Do everything that needs room, and return the call that completes the write. `stack` deletes temporary files."""
    if (descriptor := _descriptor(place)) is not None:
        os.fstat(descriptor)  # raises OSError if it is not open
        return partial(_pour, descriptor, content)
    target = Path(os.path.realpath(place))
    mode = target.stat().st_mode if os.path.lexists(target) else None
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if mode is not None and not stat.S_ISREG(mode):
        return partial(_pour, target, content)
    if mode is not None:
        os.close(os.open(target, os.O_WRONLY))  # a file that may not be written is not replaced either
    make_folder(target.parent)
    temporary = temporary_beside(target)
    stack.callback(discard, temporary)
    write_new(temporary, content, mode)
    return partial(rename, temporary, target)


def _pour(into: Path | int, content: bytes) -> None:
    """Write into a pipe, a terminal or a device, after all output that was printed so far."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    with open(os.dup(into) if isinstance(into, int) else into, "wb") as file:
        file.write(content)


def _descriptor(path: Path) -> int | None:
    """The open file of this process that a path such as /dev/stdout stands for, or None."""
    for _ in range(_LINKS):
        if str(path) in _STREAMS:
            return _STREAMS[str(path)]
        if found := _DESCRIPTOR.fullmatch(str(path)):
            return int(found[1])
        if not path.is_symlink():
            break
        path = path.parent / os.readlink(path)
    return None
