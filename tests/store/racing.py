"""Threads that attempt the same thing at the same moment."""

import threading
from collections.abc import Callable
from typing import TypeVar

from hyperfactor.store.lease import Lease, Leases

T = TypeVar("T")


def winners(attempt: Callable[[int], T | None], count: int = 8) -> list[T]:
    """The results of the attempts that succeeded. `attempt` takes the number of the thread."""
    barrier, won = threading.Barrier(count), []

    def run(k: int) -> None:
        barrier.wait()
        if (found := attempt(k)) is not None:
            won.append(found)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def the_holder(leases: Callable[[], Leases]) -> Lease:
    """The lease of the one thread of eight that gets the run."""
    each = [leases() for _ in range(8)]
    (lease,) = winners(lambda k: each[k].take("run"))
    lease.check()
    return lease
