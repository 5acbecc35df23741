"""Leases: who may write a run, by heartbeats and without a lock of the file system.

    .leases/<run>.<n>    the lease number n of a run: its holder, and a count of its heartbeats

- A lease is taken by creating its file. Of many processes that try, one succeeds. The highest number holds the run.
- The holder raises the count every BEAT seconds. A lease is dead when its count has stood still for DEAD seconds by
  the clock of the process that watches, so clocks need not agree. It is dead at once when its holder was a process
  of this machine that has ended.
- A lease that cannot be read, such as one that a power cut has emptied, is dead when it has stood still for DEAD
  seconds, like one that is held on another machine. Without hard links a lease may be readable only in part for a
  moment.
- A process that finds lease n dead takes the run over by creating n + 1. A holder that was only asleep sees this at
  its next heartbeat or write and stops with a `BusyError`. It never writes again.
- Releasing a lease deletes its file. Taking a run over deletes the files of dead leases.
"""

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
CLOCK = 60.0  # seconds by which the clock may be set while a process lives
_LEASE = re.compile(r"(.+)\.([0-9]{1,15})", re.S)
POLL = 0.2  # seconds between looks at a lease that is waited for


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
        other = abs(process.create_time() - holder["started"]) > CLOCK  # its number was given out again
        return other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Lease:
    """The right to write a run, until it is released or lost."""

    def __init__(self, files: Files, run: str, number: int, beat: float):
        self._files, self._run, self._number, self._every = files, run, number, beat
        self._beats, self._ended = 0, threading.Event()
        self._token = secrets.token_hex(8)  # distinguishes this lease from an earlier or later one of its number
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, daemon=True, name=f"lease of {run}")

    def _name(self) -> str:
        return _file(self._run, self._number)

    def content(self) -> bytes:
        """What the file of the lease says."""
        return dump_json({**_me(), "token": self._token, "beats": self._beats}).encode()

    def begin(self) -> None:
        """Start the heartbeats."""
        self._thread.start()

    def _live(self) -> None:
        while not self._ended.wait(self._every):
            with suppress(MachineError, StoreError):  # a heartbeat that cannot be written is missed
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
        """Whether the highest lease of the run is this one."""
        if _numbers(self._files, self._run)[-1:] != [self._number]:
            return False
        try:
            return _parsed(self._files.read(self._name())).get("token") == self._token
        except (FileNotFoundError, DamagedError):
            return False

    def check(self) -> None:
        """Raise BusyError where another process has taken the run over."""
        if self._ended.is_set() or not self._is_mine():
            self._ended.set()
            raise BusyError(f"run {self._run}: another process took it over while this one gave no sign of life")

    def release(self) -> None:
        """Let others have the run."""
        self._ended.set()
        with self._lock:  # no heartbeat is being written
            if self._is_mine():
                self._files.delete(self._name())


def run_of(name: str) -> str:
    """The run of a lease's file, or of an interrupted write of one."""
    return (meant_for(name) if is_temporary(name) else name).rpartition(".")[0]


def can_be_read(files: Files, name: str) -> bool:
    """Whether the file of a lease, below FOLDER, says who holds it."""
    try:
        return bool(_parsed(files.read(f"{FOLDER}/{name}")))
    except DamagedError:
        return False
    except FileNotFoundError:  # released just now
        return True


def _parsed(content: bytes) -> dict[str, Any]:
    """The holder that a lease names; empty where it cannot be read."""
    try:
        holder = json.loads(content)
        known = isinstance(holder["machine"], str) and 0 < holder["pid"] < 2**31 and holder["started"] >= 0
    except (ValueError, LookupError, TypeError):
        return {}
    return holder if known else {}


def _file(run: str, number: int) -> str:
    return f"{FOLDER}/{run}.{number}"


def _numbers(files: Files, run: str) -> list[int]:
    """The numbers of a run's leases, lowest first. The folder holds few files: those of runs being trained."""
    found = (_LEASE.fullmatch(name) for name in files.children(FOLDER))
    return sorted(int(match[2]) for match in found if match and match[1] == run)


class Leases:
    """The leases of a store, as one process sees them.

    Parameters
    ----------
    files : Files
        Where the store is.
    beat : float
        Seconds between the heartbeats of a lease that is taken here.
    dead : float
        Seconds without a heartbeat after which a lease is dead.
    """

    def __init__(self, files: Files, beat: float = BEAT, dead: float = DEAD):
        self._files, self._beat, self._dead = files, beat, dead
        self._seen: dict[str, tuple[int, bytes, float]] = {}  # run -> number, content, time of the first look at it

    def holder(self, run: str) -> dict[str, Any] | None:
        """The holder of a run: machine, pid, started, beats. None where nobody holds it; empty where the lease cannot
        be read.

        A holder on another machine is recognised as dead only after repeated checks.
        """
        return self._look(run)[1]

    def dead(self, run: str) -> int:
        """The number of a run's highest lease if it is dead, else 0."""
        number, holder = self._look(run)
        return number if holder is None else 0

    def _look(self, run: str) -> tuple[int, dict[str, Any] | None]:
        """The highest number, and its holder if it lives."""
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

    def take(self, run: str, dead: int = 0) -> Lease | None:
        """Take the lease of a run.

        Parameters
        ----------
        run : str
            The run's id.
        dead : int
            The number of a lease that another process has found dead.

        Returns
        -------
        Lease or None
            None while somebody else holds the run.
        """
        number, holder = self._look(run)
        if holder is not None and number != dead:
            return None
        lease = Lease(self._files, run, number + 1, self._beat)
        if not self._files.create(_file(run, number + 1), lease.content()):
            return None
        if _numbers(self._files, run)[-1:] != [number + 1]:  # our look is old, and somebody has gone further
            lease.release()
            return None
        self._delete_others(run, number + 1)
        lease.begin()
        return lease

    def _delete_others(self, run: str, number: int) -> None:
        for name in self._files.children(FOLDER):
            if name != f"{run}.{number}" and run_of(name) == run:
                with suppress(MachineError, StoreError):  # a lower number that cannot be deleted is in nobody's way
                    self._files.delete(f"{FOLDER}/{name}")

    def wait(self, run: str, tell: Callable[[str], None] = lambda _: None) -> Lease:
        """Take the lease of a run as soon as it is free; `tell` is called once, with the holder."""
        told = False
        while (lease := self.take(run)) is None:
            if not told and (holder := self.holder(run)) is not None:
                tell(self._waiting(run, holder))
                told = True
            time.sleep(POLL)
        return lease

    def _waiting(self, run: str, holder: dict[str, Any]) -> str:
        if holder:
            return f"run {run}: waiting for {describe(holder)}, which trains it"
        return (
            f"run {run}: waiting at most {self._dead:.0f} s for a sign of its holder, whose lease cannot be read; "
            f"`hyperfactor runs repair --store {shlex.quote(self._files.where)}` deletes the lease"
        )


def describe(holder: dict[str, Any]) -> str:
    """The holder of a run, for a message."""
    if not holder:
        return "a process whose lease cannot be read"
    return f"process {holder['pid']} on {holder['machine'].partition('|')[0]}"
