"""What the explorer shows: the runs and results of a store, and perhaps a subject that a user brings."""

import threading
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from hyperfactor.errors import MachineError, RequestError, StoreError
from hyperfactor.store.results import load
from hyperfactor.store.store import RUN, Store

if TYPE_CHECKING:  # torch takes seconds to import, and the list of runs does not need it
    from hyperfactor.experiments.base import Result
    from hyperfactor.runs.run import Run

GIVEN = "subject"  # name of the user's subject in addresses
OPEN = 8  # runs and results that are kept in memory
AT_ONCE = 64  # points of one call of a run's network, between which other visitors get their turn


class Collection:
    """The runs and results of a store, and a subject.

    Parameters
    ----------
    where : str or Path
        The store.
    given : Model or ArraySubject, optional
        A subject that a user brings. It is called GIVEN.
    device : str
        Device on which runs draw.

    Attributes
    ----------
    store : Store
        The store.
    given : Model, ArraySubject or None
        The user's subject.
    """

    def __init__(self, where: Any, given: Any = None, device: str = "cpu"):
        self.store, self.given = Store(where), given
        self._where, self._device = where, device
        self._figures = lru_cache(maxsize=OPEN)(self._drawn)
        self._warmed, self._matplotlib = False, threading.Lock()
        self._networks = threading.Lock()  # hooks and torch's settings are shared by all threads
        self._run = lru_cache(maxsize=OPEN)(self._open)
        self._result = lru_cache(maxsize=OPEN)(self._open_result)
        self._verdicts = lru_cache(maxsize=None)(self._counted)

    def warm(self) -> None:
        """Import torch in the background. It takes seconds; most pages need it, and the list of runs does not."""
        if not self._warmed:
            self._warmed = True
            threading.Thread(target=import_module, args=("hyperfactor.runs.run",), daemon=True).start()

    def run(self, name: str) -> "Run":
        """Return a finished run. Raises `RequestError` if there is none with this id."""
        if not RUN.fullmatch(name):
            raise RequestError(f"run: got {name[:40]!r}, needs an id, which has 16 hexadecimal digits")
        return self._run(name)

    def subject(self, name: str) -> Any:
        """Return a finished run, or the user's subject. Raises `RequestError` if there is none of this name."""
        if name != GIVEN:
            return self.run(name)
        if self.given is None:
            raise RequestError("subject: got none, needs one: hyperfactor explore MODEL.py:NAME or ARRAY.npy")
        return self.given

    def result(self, key: str) -> "Result":
        """Return a kept result. Raises `RequestError` if there is none with this key."""
        if not RUN.fullmatch(key):
            raise RequestError(f"result: got {key[:40]!r}, needs a key, which has 16 hexadecimal digits")
        return self._result(key)

    def verdicts(self, key: str) -> dict[str, int] | None:
        """Return the number of claims of a kept result by verdict; None if it cannot be read."""
        try:
            return self._verdicts(key)
        except (MachineError, StoreError, LookupError, TypeError):
            return None

    def figures(self, key: str) -> list[tuple[str, str, bytes]]:
        """Return the number, caption and SVG of each figure of a kept result.

        Raises `RequestError` if other code kept the result, in a form that cannot be drawn.
        """
        with self._matplotlib:  # its settings are shared by all threads
            return self._figures(key)

    def draw(
        self, name: str, points: Float[np.ndarray, "n k"], seed: int = 0, step: int | None = None
    ) -> Float[np.ndarray, "n c h w"]:
        """Draw pictures with a subject. The parameters are those of `Run.sample`."""
        subject = self.subject(name)
        with self._networks:
            return subject.sample(points, seed) if step is None else subject.sample(points, seed, step)

    def states(
        self, name: str, point: Float[np.ndarray, "1 k"], timesteps: Sequence[int], seed: int, step: int | None
    ) -> dict[int, Float[np.ndarray, "1 c h w"]]:
        """Return the states of one drawing of a run. The parameters are those of `Run.states`."""
        run = self.run(name)
        with self._networks:
            return run.states(point, timesteps, seed, step)

    def activations(
        self, name: str, layer: str, points: Float[np.ndarray, "n k"], timestep: int, step: int | None
    ) -> Float[np.ndarray, "n d"]:
        """Return the outputs of a layer at one of the `parts`. The parameters are those of `Run.activations`."""
        subject = self.subject(name)
        with self._networks:
            more = {} if step is None else {"step": step}
            return subject.activations(layer, timestep, points, **more)[layer]

    def _open(self, name: str) -> "Run":
        from hyperfactor.runs.run import Run

        return Run(self.store, name, self._device)

    def _drawn(self, key: str) -> list[tuple[str, str, bytes]]:
        from polars.exceptions import PolarsError

        from hyperfactor.figures import draw, style

        result = self.result(key)
        try:
            return [(number, caption, style.save(figure, "svg")) for number, caption, figure in draw(result)]
        except (LookupError, PolarsError):
            raise RequestError(
                f"result {key}: got one that other code kept and that cannot be drawn, needs one of this version; "
                f"`hyperfactor reproduce {result.experiment}` computes it again"
            ) from None

    def _counted(self, key: str) -> dict[str, int]:
        return Counter(claim["verdict"] for claim in load(self.store.files, key).documents["claims"])

    def _open_result(self, key: str) -> "Result":
        from hyperfactor.experiments.base import Result

        return Result.open(self._where, key)


def parts(name: str, points: Float[np.ndarray, "n k"]) -> Sequence[Float[np.ndarray, "m k"]]:
    """Split points at which a subject is read into parts of AT_ONCE or fewer.

    Points of the user's subject are one part, as in a study: its noise may depend on a point's place in the call.
    """
    size = len(points) if name == GIVEN else AT_ONCE
    return [points[i : i + size] for i in range(0, len(points), size)]


def steps_of(subject: Any) -> list[int]:
    """Return the training steps whose models a run kept; [0] for any other subject."""
    spec = getattr(subject, "spec", None)
    return [0] if spec is None else sorted({*spec.training.snapshots, spec.training.steps})
