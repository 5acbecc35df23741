"""Who may write to a run: claims with heartbeats, without a lock of the file system.

    .claims/<run>.<n>    the claim number n on a run: its holder, and a count of its heartbeats

- A claim is made by creating the file, which succeeds for one of many that try.  The highest number
  holds the run.
- While it lives the holder counts up the beats every BEAT seconds.  A claim is dead when its beats stood
  still for DEAD seconds by the watcher's own clock (so clocks need not agree), or at once when its holder
  was a process of this machine that is no more.
- A claim that cannot be read, such as one that a power cut has emptied, is dead when it stood still for DEAD
  seconds, as one of a holder elsewhere is.  Without hard links a claim can be read only in part for a moment.
- Who finds a dead claim n takes the run over by creating n + 1.  A holder that was only asleep finds
  that at its next beat or write, and stops with a `BusyError`: it never writes again.
- Releasing a claim deletes its file; taking a run over deletes what the dead have left.
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
from hyperfactor.runs.files import Files, is_temporary, meant_for
from hyperfactor.strict import dump_json

FOLDER = ".claims"
BEAT, DEAD = 5.0, 30.0  # seconds
CLOCK = 60.0  # seconds by which the clock may be set while a process lives
_CLAIM = re.compile(r"(.+)\.([0-9]{1,15})", re.S)
POLL = 0.2  # seconds between looks at a claim that is waited for


@cache
def _machine() -> str:
    """Names what process numbers are valid in: the machine since it started, and the container."""
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


class Claim:
    """The right to write to a run, until it is released or lost."""

    def __init__(self, files: Files, run: str, number: int, beat: float):
        self._files, self._run, self._number, self._every = files, run, number, beat
        self._beats, self._ended = 0, threading.Event()
        self._token = secrets.token_hex(8)  # tells this claim from an earlier or later one of its number
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._live, daemon=True, name=f"claim of {run}")

    def _name(self) -> str:
        return _file(self._run, self._number)

    def content(self) -> bytes:
        return dump_json({**_me(), "token": self._token, "beats": self._beats}).encode()

    def begin(self) -> None:
        self._thread.start()

    def _live(self) -> None:
        while not self._ended.wait(self._every):
            with suppress(MachineError, StoreError):  # a beat that cannot be written is one that is missed
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
        """Whether the highest claim on the run is this one."""
        if _numbers(self._files, self._run)[-1:] != [self._number]:
            return False
        try:
            return _parsed(self._files.read(self._name())).get("token") == self._token
        except (FileNotFoundError, DamagedError):
            return False

    def check(self) -> None:
        """Raises BusyError where somebody has taken the run over."""
        if self._ended.is_set() or not self._is_mine():
            self._ended.set()
            raise BusyError(f"run {self._run}: taken over by another process while this one was not heard of")

    def release(self) -> None:
        """Let others have the run."""
        self._ended.set()
        with self._lock:  # no beat is being written
            if self._is_mine():
                self._files.delete(self._name())


def run_of(name: str) -> str:
    """The run of a claim's file, or of a write to it that was interrupted."""
    return (meant_for(name) if is_temporary(name) else name).rpartition(".")[0]


def can_be_read(files: Files, name: str) -> bool:
    """Whether the file of a claim, below FOLDER, says who holds it."""
    try:
        return bool(_parsed(files.read(f"{FOLDER}/{name}")))
    except DamagedError:
        return False
    except FileNotFoundError:  # released just now
        return True


def _parsed(content: bytes) -> dict[str, Any]:
    """Who a claim says that its holder is; nothing where it cannot be read."""
    try:
        holder = json.loads(content)
        known = isinstance(holder["machine"], str) and 0 < holder["pid"] < 2**31 and holder["started"] >= 0
    except (ValueError, LookupError, TypeError):
        return {}
    return holder if known else {}


def _file(run: str, number: int) -> str:
    return f"{FOLDER}/{run}.{number}"


def _numbers(files: Files, run: str) -> list[int]:
    """Of the claims on a run, lowest first.  The folder holds few files: those of runs being trained."""
    found = (_CLAIM.fullmatch(name) for name in files.children(FOLDER))
    return sorted(int(match[2]) for match in found if match and match[1] == run)


class Claims:
    """The claims of a store, as one watcher sees them."""

    def __init__(self, files: Files, beat: float = BEAT, dead: float = DEAD):
        self._files, self._beat, self._dead = files, beat, dead
        self._seen: dict[str, tuple[int, bytes, float]] = {}  # of a run: number, content, since when

    def holder(self, run: str) -> dict[str, Any] | None:
        """Who holds a run: machine, pid, started, beats; None where nobody does, nothing where the claim cannot be
        read.

        A holder elsewhere that has died is recognised only after repeated looks.
        """
        return self._look(run)[1]

    def dead(self, run: str) -> int:
        """The number of the highest claim on a run if it is dead, else 0."""
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

    def take(self, run: str, dead: int = 0) -> Claim | None:
        """The claim on a run; None while somebody holds it.

        dead: the number of a claim that another watcher has found dead.
        """
        number, holder = self._look(run)
        if holder is not None and number != dead:
            return None
        claim = Claim(self._files, run, number + 1, self._beat)
        if not self._files.create(_file(run, number + 1), claim.content()):
            return None
        numbers = _numbers(self._files, run)
        if numbers[-1:] != [number + 1]:  # we looked long ago, and somebody went further
            claim.release()
            return None
        for name in self._files.children(FOLDER):
            if name != f"{run}.{number + 1}" and run_of(name) == run:
                with suppress(MachineError, StoreError):  # what cannot be deleted is lower, and in nobody's way
                    self._files.delete(f"{FOLDER}/{name}")
        claim.begin()
        return claim

    def wait(self, run: str, tell: Callable[[str], None] = lambda _: None) -> Claim:
        """The claim on a run, when it is free; `tell` is called once with who holds it."""
        told = False
        while (claim := self.take(run)) is None:
            if not told and (holder := self.holder(run)) is not None:
                if holder:
                    tell(f"run {run}: waiting for {describe(holder)}, which trains it")
                else:
                    tell(
                        f"run {run}: waiting at most {self._dead:.0f} s for a sign of its holder, whose claim cannot be read; "
                        f"`hyperfactor runs repair --store {shlex.quote(self._files.where)}` deletes the claim"
                    )
                told = True
            time.sleep(POLL)
        return claim


def describe(holder: dict[str, Any]) -> str:
    """Who holds a run, for a message."""
    return (
        f"process {holder['pid']} on {holder['machine'].partition('|')[0]}"
        if holder
        else "a process whose claim cannot be read"
    )
