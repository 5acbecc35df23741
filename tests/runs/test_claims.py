"""Claims, on a folder and on a bucket; times are short, so that the tests are."""

import json
import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from hyperfactor.errors import BusyError
from hyperfactor.runs import claims
from hyperfactor.runs.claims import Claims
from hyperfactor.runs.files import files_at


def watcher(place: str) -> Claims:
    return Claims(files_at(place), beat=0.1, dead=0.6)


def test_a_run_has_one_holder_until_it_is_released(place: str):
    first = watcher(place).take("run")
    assert first is not None
    other = watcher(place)
    for _ in range(8):  # for longer than a claim without beats would live
        assert other.take("run") is None
        time.sleep(0.1)
    assert other.take("another run") is not None
    first.check()
    first.release()
    second = other.take("run")
    assert second is not None
    with pytest.raises(BusyError, match="run run: taken over by another process"):
        first.check()
    second.check()


def test_of_many_that_want_a_run_one_has_it(place: str):
    barrier, won = threading.Barrier(8), []

    def attempt() -> None:
        mine = watcher(place)
        barrier.wait()
        if claim := mine.take("run"):
            won.append(claim)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].check()


def abandon(place: str, machine: str, number: int = 1) -> None:
    """The claim of a holder that beats no more."""
    content = {"machine": machine, "pid": 1, "started": 0.0, "beats": 7}
    assert files_at(place).create(f"{claims.FOLDER}/run.{number}", json.dumps(content).encode())


def test_a_holder_elsewhere_is_dead_when_its_beats_stood_still(place: str):
    abandon(place, "another machine", number=3)
    mine = watcher(place)
    began = time.monotonic()
    while (claim := mine.take("run")) is None:
        assert time.monotonic() - began < 5
        time.sleep(0.05)
    assert time.monotonic() - began >= 0.6
    assert files_at(place).children(claims.FOLDER) == ["run.4"]  # the dead one's is cleared away
    claim.release()
    assert files_at(place).children(claims.FOLDER) == []


def test_who_is_told_that_a_claim_is_dead_takes_it_at_once(place: str):
    """A worker that begins to look now learns from the sweep, which has looked for long."""
    abandon(place, "another machine")
    watching = watcher(place)
    assert watching.dead("run") == 0
    time.sleep(0.7)
    assert watching.dead("run") == 1
    fresh = Claims(files_at(place))
    assert fresh.take("run") is None
    claim = fresh.take("run", dead=1)
    assert claim is not None
    assert Claims(files_at(place)).take("run", dead=1) is None  # it is number 2 that holds the run now


def test_a_holder_of_this_machine_is_dead_when_its_process_is(tmp_path: Path):
    """Process 1 lives, but did not start at second 0: its number was given out again."""
    abandon(str(tmp_path), claims._machine())
    assert Claims(files_at(tmp_path)).take("run") is not None


def test_a_holder_that_slept_stops_when_it_was_taken_over(place: str):
    asleep = Claims(files_at(place), beat=3600).take("run")
    assert asleep is not None
    mine = watcher(place)
    while (claim := mine.take("run")) is None:
        mine._dead = 0.2
        time.sleep(0.05)
    with pytest.raises(BusyError):
        asleep.check()
    asleep._beat()  # waking up writes nothing
    assert files_at(place).children(claims.FOLDER) == ["run.2"]
    asleep.release()
    claim.check()


def test_a_claim_of_the_same_number_is_told_from_an_earlier_one(place: str):
    """The sleeper held number 1; it was taken over, released, and number 1 was given out again."""
    asleep = Claims(files_at(place), beat=3600).take("run")
    assert asleep is not None
    files_at(place).delete(f"{claims.FOLDER}/run.1")
    later = watcher(place).take("run")
    assert later is not None
    with pytest.raises(BusyError):
        asleep.check()
    asleep.release()
    later.check()


def _hold(place: str, held, release) -> None:
    claim = Claims(files_at(place)).take("run")
    assert claim is not None
    held.set()
    release.wait(60)


def test_a_killed_holder_is_taken_over_at_once(place: str):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(place, held, release))
    holder.start()
    assert held.wait(60)
    mine, lines = Claims(files_at(place)), []
    assert mine.take("run") is None
    thread = threading.Thread(target=lambda: lines.append(mine.wait("run", lines.append)))
    thread.start()
    patience = time.monotonic() + 30
    while not lines and time.monotonic() < patience:
        time.sleep(0.05)
    time.sleep(0.5)  # it waits on, and says so once
    assert len(lines) == 1
    assert lines[0].startswith(f"run run: waiting for process {holder.pid} on ")
    holder.kill()
    holder.join()
    killed = time.monotonic()
    thread.join(10)
    assert time.monotonic() - killed < 5  # far sooner than claims.DEAD
    lines[1].check()
