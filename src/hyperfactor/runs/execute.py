"""Run a spec: train, draw, judge, and record."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import polars as pl
import torch

from hyperfactor import arrays
from hyperfactor.errors import CheckpointError, DamagedError, DivergedError, RequestError, quoted
from hyperfactor.generators.base import Generator
from hyperfactor.process import room
from hyperfactor.runs.aside import aside
from hyperfactor.runs.cost import check_memory
from hyperfactor.runs.device import default_device, device_of, repeatable
from hyperfactor.runs.progress import Progress, visible
from hyperfactor.runs.recorded import check_same, is_finished
from hyperfactor.runs.run import Run, build_model, evaluate, snapshot_name, torch_threads
from hyperfactor.runs.spec import RunSpec
from hyperfactor.runs.track import Row, tracker
from hyperfactor.store.provenance import versions
from hyperfactor.store.store import Store
from hyperfactor.subjects.judge import summarize
from hyperfactor.training.loop import Checkpoint, fit

STORE = "hyperfactor-store"
PACKAGES = ("hyperfactor", "torch", "diffusers", "numpy")  # their versions may change the numbers of a run
MOST_THREADS = 512  # torch crashes with some thousands
EVALUATED = 16  # points of each region that are judged during training


def train(
    spec: RunSpec,
    store: str | Path = STORE,
    *,
    threads: int = 1,
    device: str | None = None,
    wait: bool = True,
    dead: str = "",
    track: str | None = None,
    report: Callable[[int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Run:
    """Train the run of a spec. A finished run is returned at once, and an interrupted run is continued.

    Parameters
    ----------
    spec : RunSpec
        What to train.
    store : str or Path
        A folder of runs, or a bucket (`s3://bucket/prefix?endpoint_url=...`).
    threads : int
        Number of threads of torch during training, 1 to MOST_THREADS. The same number gives the same bits.
    device : str, optional
        Device of torch, on which the run also draws. Default: the GPU if there is one, else the CPU. On a GPU equal
        operations give equal bits, and torch refuses operations for which it has no such form.
    wait : bool
        Whether to wait while another process trains the run.
    dead : str
        The mark of a lease that the caller has found dead (see `store.lease`); "" for none.
    track : str, optional
        A tracker that follows the run (see `track.tracker`).
    report : callable, optional
        report(step): called with the number of steps done. Default: show a progress bar in a notebook or a terminal.
    tell : callable, optional
        tell(line): called if the run waits for another process, or the tracker does not work. Default: print such lines
        above the bar, if there is one.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    RequestError
        If the number of threads is out of range, torch does not have the device, the tracker cannot work, or the run
        needs more memory than there is.
    StoreError
        If the store cannot be written, a file of the run is damaged, the checkpoint belongs to another run, or the run
        was recorded with other defaults.
    MachineError
        If the disk is full or gone.
    BusyError
        If another process trains the run and `wait` is False.
    DivergedError
        If the loss or a drawing is no longer finite. The reason and the last good checkpoint are kept, and the run is
        not tried again.
    """
    if not 1 <= (arrays.integer(threads) or 0) <= MOST_THREADS:
        raise RequestError(f"threads: got {threads!r}, needs an integer in 1..{MOST_THREADS}")
    if not isinstance(spec, RunSpec):
        raise RequestError(f"spec: got {quoted(spec)}, needs a RunSpec, such as RunSpec.load(path)")
    opened, device = Store(store), str(device_of(device or default_device()))
    if is_finished(opened, spec):
        opened.clear_up([spec.id])
        return Run(opened, spec.id, device)
    if report is None and visible():
        with Progress([spec]) as bar:
            run = train(
                spec, store, threads=threads, device=device, wait=wait, dead=dead, track=track,
                report=partial(bar.step, spec), tell=tell or bar.say,
            )  # fmt: skip
            bar.finished(run)
            return run
    report, tell = report or _ignore, tell or _ignore
    with opened.lease(spec.id, wait, tell, dead), torch_threads(threads):
        if opened.manifest(spec.id) is None:  # no other process has finished it during the wait
            _check_unfinished(spec, opened)
            check_memory(spec, room())
            with tracker(track, spec, tell) as record:
                _train(spec, opened, device, record, report)
    return Run(opened, spec.id, device)


def _ignore(_: object) -> None:
    """Take a report that nobody asked for."""


def _check_unfinished(spec: RunSpec, store: Store) -> None:
    """Raise an error if the run has failed before, or was started with other defaults."""
    if failure := store.failure(spec.id):
        check_same(spec, failure["spec"])
        raise DivergedError(f"{failure['reason']}; `hyperfactor runs remove {spec.id}` lets it be tried again")
    if recorded := store.spec(spec.id):
        check_same(spec, recorded)


def _train(
    spec: RunSpec, store: Store, device: str, record: Callable[[Row], None], report: Callable[[int], None]
) -> None:
    """Train and judge a run, or record why it cannot be finished."""
    try:
        model, history = _fit(spec, store, device, record, report)
        _record(spec, store, model, history, device)
    except DivergedError as error:
        reason = f"run {spec.id}: {error}; the last good checkpoint is kept"
        about = {"finished": _now(), "device": device, "versions": versions(PACKAGES)}
        store.fail(spec.id, spec.model_dump(mode="json"), reason, about)
        raise DivergedError(reason) from None


def _fit(
    spec: RunSpec, store: Store, device: str, record: Callable[[Row], None], report: Callable[[int], None]
) -> tuple[Generator, list[dict[str, float]]]:
    """The averaged model and the history, trained from the checkpoint if there is one."""
    checkpoint = store.resume(spec.id)
    model = build_model(spec, device)
    if checkpoint is not None:
        _check_snapshots(spec, store, checkpoint[1])
    store.start(spec.id, spec.model_dump(mode="json"))
    names = spec.data.picture.space().names

    def progress(network: Generator) -> dict[str, float]:
        frame, _ = evaluate(network, spec, most=EVALUATED)
        return {
            f"{row['region']}.{key}": row[key]
            for row in summarize(frame, names).to_dicts()
            for key in (*names, "all", "valid", "right", "error")
        }

    try:
        with _settings(device, lambda saved: store.save_checkpoint(spec.id, *saved)) as save:
            return fit(
                model,
                spec.task,
                spec.training,
                spec.seed,
                checkpoint,
                save=save,
                evaluate=progress,
                snapshot=lambda step, averaged: _keep(spec, store, step, averaged),
                record=record,
                report=report,
            )
    except CheckpointError as error:
        raise CheckpointError(
            f"run {spec.id}: the checkpoint does not fit the spec ({error}), needs the run's own; "
            f"`hyperfactor runs remove {spec.id}` lets the run begin again"
        ) from None


@contextmanager
def _settings(device: str, write: Callable[[Checkpoint], None]) -> Iterator[Callable[[Checkpoint], None]]:
    """Settings for training on a device, and how a checkpoint is written there.

    A GPU goes on while a checkpoint is written. On the CPU both need the same cores.
    """
    if device == "cpu":
        yield write
    else:
        with repeatable(), aside(write) as save:
            yield save


def _check_snapshots(spec: RunSpec, store: Store, text: dict[str, str]) -> None:
    """Raise `DamagedError` if a snapshot is missing that was written before the checkpoint."""
    done = int(text["step"]) if text.get("step", "").isdecimal() else 0
    for step in (step for step in spec.training.snapshots if step <= done and step < spec.training.steps):
        if not store.has(spec.id, snapshot_name(step)):
            raise DamagedError(
                f"run {spec.id}: got no {snapshot_name(step)}, needs the one that was written; "
                f"`hyperfactor runs remove {spec.id}` lets the run begin again"
            )


def _keep(spec: RunSpec, store: Store, step: int, model: Generator) -> None:
    """Write a snapshot, except at the last step, whose weights are those of the run."""
    if step < spec.training.steps:
        store.write_tensors(spec.id, snapshot_name(step), model.state_dict())


def _record(spec: RunSpec, store: Store, model: Generator, history: list[dict[str, float]], device: str) -> None:
    """Draw and judge, then write the files of the finished run."""
    began = time.perf_counter()
    frame, samples = evaluate(model, spec)
    artifacts = {
        name: store.write_tensors(spec.id, name, tensors)
        for name, tensors in (("weights.safetensors", model.state_dict()), ("samples.safetensors", samples))
    } | {
        name: store.write(spec.id, name, _parquet(table))
        for name, table in (
            ("evaluation.parquet", frame),
            ("history.parquet", pl.DataFrame(history, infer_schema_length=None)),
        )
    }
    kept = [snapshot_name(step) for step in spec.training.snapshots if step < spec.training.steps]
    artifacts |= {name: store.describe(spec.id, name) for name in kept}
    about = {
        "finished": _now(),
        "accuracy": {row.pop("region"): row for row in summarize(frame, spec.data.picture.space().names).to_dicts()},
        "seconds": {"train": history[-1]["seconds"], "evaluate": time.perf_counter() - began},
        "parameters": sum(value.numel() for value in model.network.parameters()),
        "trained_points": len(spec.task.points),
        "threads": torch.get_num_threads(),
        "device": device,
        "versions": versions(PACKAGES),
    }
    store.finish(spec.id, spec.model_dump(mode="json"), artifacts, about)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
