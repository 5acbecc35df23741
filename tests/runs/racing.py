"""Threads that try the same thing at the same moment."""

import threading
from collections.abc import Callable
from typing import TypeVar

from hyperfactor.runs.claims import Claim, Claims

T = TypeVar("T")


def winners(attempt: Callable[[int], T | None], count: int = 8) -> list[T]:
    """What the attempts that succeeded returned; `attempt` takes its number."""
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


def the_holder(claims: Callable[[], Claims]) -> Claim:
    """The claim of the one, out of eight, that gets a run."""
    each = [claims() for _ in range(8)]
    (claim,) = winners(lambda k: each[k].take("run"))
    claim.check()
    return claim
