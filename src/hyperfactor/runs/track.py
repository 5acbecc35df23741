"""Optional trackers send the history of a run, row by row, to TensorBoard, Weights & Biases or MLflow.

A tracker only watches. The store keeps the history in any case, and no bit of a run depends on a tracker. It works in a
thread of its own, so training never waits for it. If it fails, the user is told once, in one line, and training goes
on. A run that is continued after an interruption keeps its name in the tracker.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from urllib.parse import urlsplit

from hyperfactor.errors import RequestError
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store.named import named_path
from hyperfactor.strict import leaves

Row = Mapping[str, float]
Log = Callable[[Row, int], None]
_given_up: set[tuple[str, str]] = set()  # trackers that failed, which this process does not try again
PATIENCE = 5.0  # seconds for which the end of a run waits for a tracker that makes no progress
_DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}
_SCHEMES = _DATABASES | {"http", "https", "file", "databricks"}
_MODULES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb", "mlflow": "mlflow"}


@contextmanager
def tracker(
    target: str | None, spec: RunSpec, tell: Callable[[str], None] = lambda _line: None
) -> Iterator[Callable[[Row], None]]:
    """Start a tracker, and close it after the block.

    Parameters
    ----------
    target : str or None
        `tensorboard:FOLDER`, `wandb:PROJECT` (offline with WANDB_MODE=offline), or `mlflow:ADDRESS` (a tracking server,
        or sqlite:///FILE). None for no tracker.
    spec : RunSpec
        The run to follow.
    tell : callable
        tell(line): called if the tracker does not work.

    Yields
    ------
    callable
        record(row): to be called with each row of the history, which has a `step`.

    Raises
    ------
    RequestError
        Before the block, if the target is malformed or cannot work, or a package is missing.
    """
    if target is None:
        yield lambda _row: None
        return
    kind, place = check_target(target)
    if (kind, place) in _given_up:
        yield lambda _row: None
        return
    watcher = _Watcher(kind, place, spec, tell)
    try:
        yield watcher.add
    finally:
        watcher.close()


def check_target(target: str) -> tuple[str, str]:
    """Validate the target of a tracker, as far as possible without using it.

    Parameters
    ----------
    target : str
        The target, as for `tracker`.

    Returns
    -------
    (str, str)
        The kind and the place of the tracker.

    Raises
    ------
    RequestError
        If the target is malformed or cannot work, or a package is missing.
    """
    kind, _, place = target.partition(":")
    if kind not in _KINDS or not place.strip():
        raise RequestError(f"track: got {target!r}, needs tensorboard:FOLDER, wandb:PROJECT or mlflow:ADDRESS")
    try:
        import_module(_MODULES[kind])
    except ImportError as error:
        raise RequestError(f"track: got {kind} ({error}), needs pip install 'hyperfactor[track]'") from None
    scheme = urlsplit(place).scheme.partition("+")[0]
    if kind == "tensorboard" and "://" not in place:
        folder = named_path(place, "track")
        above = next(path for path in (folder, *folder.parents) if os.path.exists(path))
        if not os.path.isdir(above) or not os.access(above, os.W_OK):
            raise RequestError(f"track: got {target!r}, needs a folder that can be written")
        place = str(folder)
    elif kind == "wandb" and (wrong := set(place) & set("/\\#?%:")):
        raise RequestError(f"track: got {target!r}, needs a project's name without {' '.join(sorted(wrong))}")
    elif kind == "mlflow" and place != "databricks":
        if scheme not in _SCHEMES or (scheme in ("http", "https") and not urlsplit(place).netloc):
            raise RequestError(
                f"track: got {target!r}, needs the address of a server (http://HOST:PORT) or sqlite:///FILE"
            )
        if scheme in _DATABASES and find_spec("sqlalchemy") is None:
            raise RequestError(f"track: got {target!r} (No module named 'sqlalchemy'), needs pip install mlflow")
    return kind, place


class _Watcher:
    """A tracker in a thread of its own."""

    def __init__(self, kind: str, place: str, spec: RunSpec, tell: Callable[[str], None]):
        self.kind, self.place, self.spec, self.tell = kind, place, spec, tell
        self.rows: SimpleQueue[Row | None] = SimpleQueue()
        self.moved = threading.Event()  # the thread has made progress since the last check
        self.failure: str | None = None
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def add(self, row: Row) -> None:
        self.rows.put(row)
        self._report()

    def close(self) -> None:
        """Wait until all rows are logged, as long as the tracker makes progress."""
        self.rows.put(None)
        while self.thread.is_alive() and self.moved.wait(PATIENCE):
            self.moved.clear()
            self.thread.join(0.01)
        if self.thread.is_alive():
            self.failure = f"no answer for {PATIENCE:.0f} s"
        self._report()

    def _report(self) -> None:
        """Tell the user what went wrong, once."""
        if self.failure:
            self.tell(f"track: {self.kind}:{self.place} does not work ({self.failure}); the store keeps the history")
            self.failure, self.tell = None, lambda _line: None
            _given_up.add((self.kind, self.place))

    def _work(self) -> None:
        try:
            log, close = _KINDS[self.kind](self.place, self.spec)
            self.moved.set()
            while (row := self.rows.get()) is not None:
                log({key: value for key, value in row.items() if value is not None}, int(row["step"]))
                self.moved.set()
            close()
        except BaseException as error:  # each tracker raises its own exceptions, and some would end the process
            said = (str(error).strip().splitlines() or [""])[0]
            self.failure = f"{type(error).__name__}: {said}"[:200]
        finally:
            self.moved.set()


def _tensorboard(folder: str, spec: RunSpec) -> tuple[Log, Callable[[], None]]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(f"{folder}/{spec.id}")
    writer.add_text("spec", f"```\n{spec.model_dump_json()}\n```")

    def log(row: Row, step: int) -> None:
        for key, value in row.items():
            writer.add_scalar(key, value, step)

    return log, writer.close


def _wandb(project: str, spec: RunSpec) -> tuple[Log, Callable[[], None]]:
    import wandb

    run = wandb.init(
        project=project, id=spec.id, name=spec.id, resume="allow", config=spec.model_dump(mode="json"),
        settings=wandb.Settings(silent=True, console="off", login_timeout=1),  # do not ask the user to log in
    )  # fmt: skip
    return lambda row, step: run.log(dict(row), step=step), run.finish


def _mlflow(address: str, spec: RunSpec) -> tuple[Log, Callable[[], None]]:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(address)
    found = client.get_experiment_by_name("hyperfactor")
    experiment = found.experiment_id if found else client.create_experiment("hyperfactor")
    earlier = client.search_runs([experiment], f"attributes.run_name = '{spec.id}'")
    run = (earlier[0] if earlier else client.create_run(experiment, run_name=spec.id)).info.run_id
    if not earlier:
        params = [Param(key, str(value)) for key, value in leaves(spec.model_dump(mode="json"))]
        for k in range(0, len(params), 100):  # the most that one request may hold
            client.log_batch(run, params=params[k : k + 100])

    def log(row: Row, step: int) -> None:
        now = int(time.time() * 1000)
        client.log_batch(run, [Metric(key, float(value), now, step) for key, value in row.items()])

    return log, lambda: client.set_terminated(run)


_KINDS = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
