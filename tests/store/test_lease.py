"""Leases in a folder and in a bucket, with a clock that the tests set."""

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from hyperfactor.errors import BusyError
from hyperfactor.store.files import files_at
from hyperfactor.store.lease import DEAD, FOLDER, Lease, Leases, _is_gone, _machine

from .racing import the_holder


class Clock:
    """A clock that advances only when a test says so."""

    now = 1000.0

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("hyperfactor.store.lease.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture(autouse=True)
def _no_lease_lives_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the heartbeats of leases that a test does not release."""
    begun: list[Lease] = []
    begin = Lease.begin
    monkeypatch.setattr(Lease, "begin", lambda lease: (begun.append(lease), begin(lease)))
    yield
    for lease in begun:
        lease._ended.set()
        lease._thread.join()


def watcher(place: str) -> Leases:
    """Leases whose heartbeats are sent only when a test says so."""
    return Leases(files_at(place), beat=3600)


def test_a_run_has_one_holder_until_it_is_released(place: str, clock: Clock):
    first = watcher(place).take("run")
    assert first is not None
    other = watcher(place)
    for _ in range(3):  # for longer than a lease without beats would live
        assert other.take("run") is None
        clock.pass_(0.9 * DEAD)
        first._beat()
    assert other.take("another run") is not None
    first.check()
    first.release()
    second = other.take("run")
    assert second is not None
    with pytest.raises(BusyError, match="run run: another process took it over"):
        first.check()
    second.check()


def test_a_holder_beats_while_it_lives(tmp_path: Path):
    lease = Leases(files_at(tmp_path), beat=0.01).take("run")
    assert lease is not None

    def beats() -> int:
        return json.loads(files_at(tmp_path).read(f"{FOLDER}/run.1"))["beats"]

    patience = time.monotonic() + 600
    while beats() < 3:
        assert time.monotonic() < patience
        time.sleep(0.01)
    lease.release()
    assert files_at(tmp_path).children(FOLDER) == []


def test_of_many_that_want_a_run_one_has_it(place: str):
    the_holder(lambda: watcher(place))


def abandon(place: str, machine: str, number: int = 1) -> None:
    """A lease whose holder sends no more heartbeats."""
    content = {"machine": machine, "pid": 1, "started": 0.0, "beats": 7}
    assert files_at(place).create(f"{FOLDER}/run.{number}", json.dumps(content).encode())


def test_a_holder_elsewhere_is_dead_when_its_beats_stood_still(place: str, clock: Clock):
    abandon(place, "another machine", number=3)
    mine = watcher(place)
    assert mine.take("run") is None
    clock.pass_(0.99 * DEAD)
    assert mine.take("run") is None
    clock.pass_(0.01 * DEAD)
    lease = mine.take("run")
    assert lease is not None
    assert files_at(place).children(FOLDER) == ["run.4"]  # the dead one's is cleared away
    lease.release()
    assert files_at(place).children(FOLDER) == []


def test_who_is_told_that_a_lease_is_dead_takes_it_at_once(place: str, clock: Clock):
    """A worker that has just started learns this from the sweep, which has watched the lease for long."""
    abandon(place, "another machine")
    watching = watcher(place)
    assert watching.dead("run") == ""
    clock.pass_(DEAD)
    dead = watching.dead("run")
    fresh = watcher(place)
    assert fresh.take("run") is None
    lease = fresh.take("run", dead=dead)
    assert lease is not None
    assert Leases(files_at(place)).take("run", dead=dead) is None  # it is number 2 that holds the run now
    lease.release()
    alive = watcher(place).take("run")
    assert alive is not None
    assert files_at(place).children(FOLDER) == ["run.1"]  # a new lease has the number of the dead one
    assert Leases(files_at(place)).take("run", dead=dead) is None
    alive.release()


def test_a_holder_that_only_hides_is_alive(monkeypatch: pytest.MonkeyPatch):
    """Where /proc hides the processes of other users, psutil finds none, but a signal is not permitted."""

    def none(_pid: int) -> None:
        raise psutil.NoSuchProcess(_pid)

    def refused(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "Process", none)
    holder = {"machine": _machine(), "pid": 2**22 + 1, "started": 0.0}
    assert _is_gone(holder)
    monkeypatch.setattr(os, "kill", refused)
    assert not _is_gone(holder)


def test_a_holder_of_this_machine_is_dead_when_its_process_is(tmp_path: Path):
    """Process 1 is alive, but did not start at second 0, so another process had its number."""
    abandon(str(tmp_path), _machine())
    assert Leases(files_at(tmp_path)).take("run") is not None


def test_a_holder_that_slept_stops_when_it_was_taken_over(place: str, clock: Clock):
    asleep = watcher(place).take("run")
    assert asleep is not None
    mine = watcher(place)
    assert mine.take("run") is None
    clock.pass_(DEAD)
    lease = mine.take("run")
    assert lease is not None
    with pytest.raises(BusyError):
        asleep.check()
    asleep._beat()  # waking up writes nothing
    assert files_at(place).children(FOLDER) == ["run.2"]
    asleep.release()
    lease.check()


def test_a_lease_of_the_same_number_is_told_from_an_earlier_one(place: str):
    """A suspended process held number 1, which was then taken over, released, and taken again."""
    asleep = watcher(place).take("run")
    assert asleep is not None
    files_at(place).delete(f"{FOLDER}/run.1")
    later = watcher(place).take("run")
    assert later is not None
    with pytest.raises(BusyError):
        asleep.check()
    asleep.release()
    later.check()


def _hold(place: str, held, release) -> None:
    lease = Leases(files_at(place)).take("run")
    assert lease is not None
    held.set()
    release.wait(600)


def test_a_killed_holder_is_taken_over_at_once(bucket: str, monkeypatch: pytest.MonkeyPatch):
    """The other process never considers a lease dead because its heartbeats stopped."""
    monkeypatch.setattr("hyperfactor.store.lease.POLL", 0.01)
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(bucket, held, release))
    holder.start()
    assert held.wait(600)
    mine, said, found = Leases(files_at(bucket), dead=float("inf")), [], []
    assert mine.take("run") is None
    waiting = threading.Thread(target=lambda: found.append(mine.wait("run", said.append)), daemon=True)
    waiting.start()
    waiting.join(0.5)
    assert not found
    holder.kill()
    waiting.join(600)
    found[0].check()
    assert len(said) == 1  # once, however long it waits
    assert said[0].startswith(f"run run: waiting for process {holder.pid} on ")
    holder.join()
