"""Leases decide which process may write a run. They use heartbeats and need no locks of the file system.

    .leases/<run>.<n>    lease number n of a run: its holder, and a count of its heartbeats

- A process takes a lease by creating its file. Of several processes that try, one succeeds. The lease with the highest
  number holds the run.
- The holder increases the count every BEAT seconds. A lease is dead when its count has not changed for DEAD seconds by
  the clock of the process that watches, so clocks need not agree. If its holder was a process of this machine that has
  ended, it is dead at once.
- A lease that cannot be read, for example because a power cut has emptied it, is treated like a lease held on another
  machine: it is dead when it has not changed for DEAD seconds. Without hard links, a lease may be incomplete for a
  moment.
- A process that finds lease n dead takes the run over by creating lease n + 1. If the holder was only suspended, it
  sees this at its next heartbeat or write, raises `BusyError` and never writes again.
- Releasing a lease deletes its file. Taking a run over deletes the files of dead leases.
"""

import hashlib
import json
import os
import platform
import re
import secrets
import shlex
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from hyperfactor.errors import BusyError, DamagedError, MachineError, StoreError
from hyperfactor.store.disk import is_temporary, meant_for
from hyperfactor.store.files import Files
from hyperfactor.strict import dump_json

FOLDER = ".leases"
BEAT, DEAD = 5.0, 30.0  # seconds
CLOCK = 60.0  # seconds by which the system clock may be adjusted during the life of a process
_LEASE = re.compile(r"(.+)\.([0-9]{1,15})", re.S)
POLL = 0.2  # seconds between checks of a lease that this process waits for


@cache
def _machine() -> str:
    """A name for the range in which process numbers are valid: this boot of the machine, and the container."""
    marks = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            marks.append(os.readlink(path) if path.endswith("pid") else Path(path).read_text().strip())
    return "|".join(marks)


def _me() -> dict[str, Any]:
    return {"machine": _machine(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that has ended."""
    if holder.get("machine") != _machine():
        return False
    try:
        process = psutil.Process(holder["pid"])
        other = abs(process.create_time() - holder["started"]) > CLOCK  # another process has its number now
        return other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return not _is_hidden(holder["pid"])


def _is_hidden(pid: int) -> bool:
    """Whether a process exists that this one may not see: /proc may hide processes of other users."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


class Lease:
    """The right to write a run, until it is released or lost. `Leases.take` makes one.

    Parameters
    ----------
    files : Files
        The files of the store.
    run : str
        The run's id.
    number : int
        The number of the lease.
    beat : float
        Seconds between heartbeats.
    """

    def __init__(self, files: Files, run: str, number: int, beat: float):
        self._files, self._run, self._number, self._every = files, run, number, beat
        self._beats, self._ended = 0, threading.Event()
        self._token = secrets.token_hex(8)  # distinguishes this lease from others of the same number
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, daemon=True, name=f"lease of {run}")

    def _name(self) -> str:
        return _file(self._run, self._number)

    def content(self) -> bytes:
        """The content of the lease's file."""
        return dump_json({**_me(), "token": self._token, "beats": self._beats}).encode()

    def begin(self) -> None:
        """Start the heartbeats."""
        self._thread.start()

    def _live(self) -> None:
        while not self._ended.wait(self._every):
            with suppress(MachineError, StoreError):  # a heartbeat that cannot be written is skipped
                self._beat()

    def _beat(self) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            if not self._is_mine():
                self._ended.set()
                return
            self._beats += 1
            self._files.write(self._name(), self.content())

    def _is_mine(self) -> bool:
        """Whether this lease has the highest number of the run's leases."""
        if _numbers(self._files, self._run)[-1:] != [self._number]:
            return False
        try:
            return _parsed(self._files.read(self._name())).get("token") == self._token
        except (FileNotFoundError, DamagedError):
            return False

    def check(self) -> None:
        """Raise `BusyError` if another process has taken the run over."""
        if self._ended.is_set() or not self._is_mine():
            self._ended.set()
            raise BusyError(f"run {self._run}: another process took it over because this one missed its heartbeats")

    def release(self) -> None:
        """Give the run up, so that other processes can take it."""
        self._ended.set()
        with self._lock:  # wait for a heartbeat that is being written
            if self._is_mine():
                self._files.delete(self._name())


def run_of(name: str) -> str:
    """The run that the file of a lease belongs to. Temporary files of interrupted writes are recognised too."""
    return (meant_for(name) if is_temporary(name) else name).rpartition(".")[0]


def can_be_read(files: Files, name: str) -> bool:
    """Whether the file of a lease, below FOLDER, names its holder."""
    try:
        return bool(_parsed(files.read(f"{FOLDER}/{name}")))
    except DamagedError:
        return False
    except FileNotFoundError:  # released just now
        return True


def _parsed(content: bytes) -> dict[str, Any]:
    """The holder that a lease names; empty if the lease cannot be read."""
    try:
        holder = json.loads(content)
        known = isinstance(holder["machine"], str) and 0 < holder["pid"] < 2**31 and holder["started"] >= 0
    except (ValueError, LookupError, TypeError):
        return {}
    return holder if known else {}


def _file(run: str, number: int) -> str:
    return f"{FOLDER}/{run}.{number}"


def _numbers(files: Files, run: str) -> list[int]:
    """The numbers of a run's leases, ascending. The folder is small, because only runs in training have leases."""
    found = (_LEASE.fullmatch(name) for name in files.children(FOLDER))
    return sorted(int(match[2]) for match in found if match and match[1] == run)


class Leases:
    """The leases of a store, as seen by one process.

    Parameters
    ----------
    files : Files
        The files of the store.
    beat : float
        Seconds between heartbeats of the leases taken here.
    dead : float
        Seconds without a heartbeat after which a lease is dead.
    """

    def __init__(self, files: Files, beat: float = BEAT, dead: float = DEAD):
        self._files, self._beat, self._dead = files, beat, dead
        self._seen: dict[str, tuple[int, bytes, float]] = {}  # run -> number, content, time when first seen

    def holder(self, run: str) -> dict[str, Any] | None:
        """The holder of a run.

        A holder on another machine is recognised as dead only after repeated checks.

        Parameters
        ----------
        run : str
            The run's id.

        Returns
        -------
        dict or None
            The keys are machine, pid, started and beats. None if no process holds the run. Empty if the lease cannot be
            read.

        Raises
        ------
        StoreError, MachineError
            If the leases cannot be listed or read.
        """
        return self._look(run)[1]

    def dead(self, run: str) -> str:
        """The mark of a run's highest lease if that lease is dead, else ""."""
        number, holder = self._look(run)
        return self._mark(run) if number and holder is None else ""

    def _mark(self, run: str) -> str:
        """What tells the lease that was last looked at from all others of the run, since its content names its holder.

        Numbers begin again at 1 when a lease is released.
        """
        number, content, _ = self._seen.get(run, (0, b"", 0.0))
        return f"{number} {hashlib.sha256(content).hexdigest()}" if number else ""

    def _look(self, run: str) -> tuple[int, dict[str, Any] | None]:
        """The number of a run's highest lease, and its holder if the lease is alive."""
        numbers = _numbers(self._files, run)
        if not numbers:
            self._seen.pop(run, None)
            return 0, None
        try:
            content = self._files.read(_file(run, numbers[-1]))
        except FileNotFoundError:  # released just now
            return numbers[-1], None
        except DamagedError:
            content = b""
        now = time.monotonic()
        number, before, since = self._seen.get(run, (0, b"", now))
        if (number, before) != (numbers[-1], content):
            self._seen[run] = (numbers[-1], content, now)
            since = now
        holder = _parsed(content)
        dead = now - since >= self._dead or _is_gone(holder)
        return numbers[-1], None if dead else holder

    def take(self, run: str, dead: str = "") -> Lease | None:
        """Take the lease of a run.

        Parameters
        ----------
        run : str
            The run's id.
        dead : str
            The mark of a lease that another process has found dead (see `dead`); "" for none.

        Returns
        -------
        Lease or None
            None if another process holds the run.

        Raises
        ------
        WriteError, MachineError
            If the lease cannot be written.
        """
        number, holder = self._look(run)
        if holder is not None and not (dead and self._mark(run) == dead):
            return None
        lease = Lease(self._files, run, number + 1, self._beat)
        if not self._files.create(_file(run, number + 1), lease.content()):
            return None
        if _numbers(self._files, run)[-1:] != [number + 1]:  # another process has taken a later lease in the meantime
            lease.release()
            return None
        self._delete_others(run, number + 1)
        lease.begin()
        return lease

    def _delete_others(self, run: str, number: int) -> None:
        for name in self._files.children(FOLDER):
            if name != f"{run}.{number}" and run_of(name) == run:
                with suppress(MachineError, StoreError):  # a lease of a lower number does no harm
                    self._files.delete(f"{FOLDER}/{name}")

    def wait(self, run: str, tell: Callable[[str], None] = lambda _: None) -> Lease:
        """Wait until the lease of a run is free, and take it.

        Parameters
        ----------
        run : str
            The run's id.
        tell : callable
            tell(line): called once, with the name of the holder, if there is something to wait for.

        Returns
        -------
        Lease
            The lease.

        Raises
        ------
        WriteError, MachineError
            If the lease cannot be written.
        """
        told = False
        while (lease := self.take(run)) is None:
            if not told and (holder := self.holder(run)) is not None:
                tell(self._waiting(run, holder))
                told = True
            time.sleep(POLL)
        return lease

    def _waiting(self, run: str, holder: dict[str, Any]) -> str:
        if holder:
            return f"run {run}: waiting for {describe(holder)}, which is training it"
        return (
            f"run {run}: its lease cannot be read, waiting up to {self._dead:.0f} s for a heartbeat; "
            f"`hyperfactor runs repair --store {shlex.quote(self._files.where)}` deletes the lease"
        )


def describe(holder: dict[str, Any]) -> str:
    """The name of a run's holder, for messages."""
    if not holder:
        return "a process whose lease cannot be read"
    return f"process {holder['pid']} on {holder['machine'].partition('|')[0]}"
