"""Calls in another thread, which the caller does not wait for."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec

P = ParamSpec("P")


@contextmanager
def aside(call: Callable[P, None]) -> Iterator[Callable[P, None]]:
    """Within the block, call a function in another thread, one call at a time.

    The block ends after the last call, also when it fails.

    Parameters
    ----------
    call : callable
        The function.

    Yields
    ------
    callable
        Takes the arguments of a call, waits for the call before, and starts the new one. An error of a call is raised
        here by the next call, or at the end of the block.
    """
    running: list[Future[None]] = []

    def begin(*args: P.args, **kwargs: P.kwargs) -> None:
        for earlier in running:
            earlier.result()
        running[:] = [thread.submit(call, *args, **kwargs)]

    with ThreadPoolExecutor(1, thread_name_prefix="aside") as thread:
        yield begin
    for last in running:
        last.result()
