"""Computations in the background, with progress, which visitors share and may stop."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from hyperfactor.errors import BusyError, HyperfactorError

THREADS = 2  # computations at a time
KEPT = 32  # computations that are kept
WAITING = 16  # most that may wait


class Job:
    """One computation.

    Attributes
    ----------
    share : float
        What share of it is done.
    future : Future
        Its result.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self.future: Future[Any]
        self._stop = threading.Event()

    def reach(self, share: float) -> None:
        """Report progress. Raises `CancelledError` if the computation was stopped."""
        self.share = share
        if self._stop.is_set():
            raise CancelledError

    def stop(self) -> None:
        """End the computation at its next report."""
        self._stop.set()
        self.future.cancel()


class Work:
    """Computations by key; equal requests share one computation."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="explorer")
        self._jobs: dict[object, Job] = {}
        self._lock = threading.Lock()

    def ask(self, key: object, compute: Callable[[Job], Any]) -> Job:
        """Return the computation of a key, which is started if it is not there, was stopped, or failed by a fault.

        Parameters
        ----------
        key : hashable
            What is computed.
        compute : function
            compute(job): computes it, and reports to the job.

        Raises
        ------
        BusyError
            If too many computations wait.
        """
        with self._lock:
            job = self._jobs.pop(key, None)
            if job is None or _stopped(job):
                if sum(not one.future.done() for one in self._jobs.values()) >= WAITING + THREADS:
                    raise BusyError(f"explorer: got more than {WAITING} computations that wait, needs fewer visitors")
                job = Job()
                job.future = self._pool.submit(compute, job)
            self._jobs[key] = job  # the last that was asked for is the last to go
            for old in [one for one, of in self._jobs.items() if of.future.done()][: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[old]
            return job

    def stop(self, key: object) -> None:
        """Stop the computation of a key, if there is one."""
        with self._lock:
            if job := self._jobs.pop(key, None):
                job.stop()


def _stopped(job: Job) -> bool:
    """Whether a computation has ended without an answer. An error that says what is wrong is one."""
    if not job.future.done() or job.future.cancelled():
        return job.future.cancelled()
    error = job.future.exception()
    return error is not None and not isinstance(error, HyperfactorError)
