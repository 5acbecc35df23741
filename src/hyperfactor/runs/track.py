"""Optional trackers: the history of a run, row by row, to TensorBoard, Weights & Biases or MLflow.

A tracker only watches: the store keeps the history whether there is one or not, and no bit of a run depends
on it.  A run that goes on after an interruption goes on under its own name.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from hyperfactor.errors import RequestError
from hyperfactor.runs.spec import RunSpec
from hyperfactor.strict import leaves

Row = Mapping[str, float]


@contextmanager
def tracker(target: str | None, spec: RunSpec) -> Iterator[Callable[[Row], None]]:
    """Called with rows of the history, which have a `step`; closed after the block.

    target: `tensorboard:FOLDER`, `wandb:PROJECT` (offline with WANDB_MODE=offline), `mlflow:ADDRESS` (a
    tracking server, or sqlite:///FILE), or None for no tracker.  Raises RequestError for
    another one, or where its package is missing.
    """
    if target is None:
        yield lambda _row: None
        return
    kind, _, place = target.partition(":")
    if kind not in _KINDS or not place:
        raise RequestError(f"track: got {target!r}, needs tensorboard:FOLDER, wandb:PROJECT or mlflow:ADDRESS")
    try:
        log, close = _KINDS[kind](place, spec)
    except ImportError as error:
        raise RequestError(f"track: got {kind} ({error}), needs pip install 'hyperfactor[track]'") from None
    try:
        yield lambda row: log({key: value for key, value in row.items() if value is not None}, int(row["step"]))
    finally:
        close()


Log = Callable[[Row, int], None]


def _tensorboard(folder: str, spec: RunSpec) -> tuple[Log, Callable[[], None]]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(f"{folder}/{spec.id}")
    writer.add_text("spec", f"```\n{spec.canonical()}\n```")

    def log(row: Row, step: int) -> None:
        for key, value in row.items():
            writer.add_scalar(key, value, step)

    return log, writer.close


def _wandb(project: str, spec: RunSpec) -> tuple[Log, Callable[[], None]]:
    import wandb

    run = wandb.init(
        project=project, id=spec.id, name=spec.id, resume="allow", config=spec.model_dump(mode="json"),
        settings=wandb.Settings(silent=True, console="off"),
    )  # fmt: skip
    return lambda row, step: run.log(dict(row), step=step), run.finish


def _mlflow(address: str, spec: RunSpec) -> tuple[Log, Callable[[], None]]:
    from mlflow import MlflowClient

    client = MlflowClient(address)
    found = client.get_experiment_by_name("hyperfactor")
    experiment = found.experiment_id if found else client.create_experiment("hyperfactor")
    earlier = client.search_runs([experiment], f"attributes.run_name = '{spec.id}'")
    run = (earlier[0] if earlier else client.create_run(experiment, run_name=spec.id)).info.run_id
    if not earlier:
        for key, value in leaves(spec.model_dump(mode="json")):
            client.log_param(run, key, value)

    def log(row: Row, step: int) -> None:
        for key, value in row.items():
            client.log_metric(run, key, float(value), step=step)

    return log, lambda: client.set_terminated(run)


_KINDS = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
