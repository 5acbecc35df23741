"""The cost of a run, known before it is trained.

Time is estimated in *pictures*: how many pictures the network of a run could be trained on in that time. The number of
pictures that a worker trains on in a second is measured, with all workers at work, because workers that share cores,
caches and memory slow each other down.
"""

import heapq
import json
import math
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from hyperfactor import plugins, rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.copying import COMPARED
from hyperfactor.generators.base import Generator
from hyperfactor.images import task
from hyperfactor.networks.memory import kept
from hyperfactor.process import keep_freed_memory, start_method
from hyperfactor.runs.run import build_model
from hyperfactor.runs.spec import RunSpec
from hyperfactor.training.loop import fit

CODED = 20  # bytes for each number of a condition, while it is computed
CALLED = (
    2**28
)  # weights of the largest model whose loss is computed to measure memory; larger ones take most for weights
COPIES = 13  # of each weight: itself, gradient, average, two moments, and those and their bytes in a checkpoint
PASSED = 1.2  # peak memory of a training step, relative to the memory that is kept for the gradient
JUDGED = 56  # bytes for each pixel of a drawing, while it is judged
CALL = 0.25  # time of a call of a network while drawing, relative to training on a picture; 0.22 to 0.26 were measured
TIMED = 5e10  # floating-point operations of a step while a rate is measured, unless a single picture needs more
STEPS = 2  # steps before the first one that is timed


@dataclass(frozen=True)
class _Counts:
    """Counts of a generator.

    Attributes
    ----------
    parameters : int
        Learnt numbers, with those of networks that only training needs.
    forward : int
        Floating-point operations of a call of its network for one picture.
    training : int
        Floating-point operations of the loss of one picture, and of its gradient.
    """

    parameters: int
    forward: int
    training: int


def parameters(spec: RunSpec) -> int:
    """Number of weights that the training of a spec changes."""
    return _counted(spec).parameters


def training(spec: RunSpec) -> int:
    """Floating-point operations of training: those of convolutions and matrix products.

    A multiplication and an addition are two operations. They are counted while the loss of one picture is computed.
    """
    return _counted(spec).training * spec.training.steps * spec.training.batch


def judging(spec: RunSpec) -> int:
    """Floating-point operations of the drawings by which the finished run is judged."""
    return _counted(spec).forward * _calls(spec) * len(spec.task.judged())


def _counted(spec: RunSpec) -> _Counts:
    if (key := _network(spec)) not in _COUNTED:
        _COUNTED[key] = _count(spec)
    return _COUNTED[key]


def _calls(spec: RunSpec) -> int:
    """Calls of the network for one drawing."""
    if (key := (*_network(spec), spec.sampling.model_dump_json())) not in _CALLS:
        _CALLS[key] = _without_numbers(spec).calls
    return _CALLS[key]


def _network(spec: RunSpec) -> tuple:
    """What the network of a spec and its loss depend on, without the seed."""
    sections = (section.model_dump_json() for section in (spec.model, spec.diffusion))
    return (*sections, spec.data.picture.shape, spec.encoding.width(spec.data.picture.space()), _few(spec))


_COUNTED: dict[tuple, _Counts] = {}
_CALLS: dict[tuple, int] = {}


def _without_numbers(spec: RunSpec) -> Generator:
    """The generator of a spec, without memory for its numbers."""
    with torch.device("meta"):
        return build_model(spec, "meta")


def _count(spec: RunSpec) -> _Counts:
    model = build_model(spec)
    inputs = model.inputs(torch.zeros(1, spec.encoding.width(spec.data.picture.space())))
    with sdpa_kernel(SDPBackend.MATH):  # the counter does not know the CPU's fused attention
        with torch.no_grad():
            forward = _operations(lambda: model.network(*inputs))
        training = _operations(lambda: _loss(spec, model).backward()) // _few(spec)
    return _Counts(_parameters(model), forward, training)


class _Whole(nullcontext):
    """Takes the place of the counter's record of modules, whose hooks refuse a loss that contains a gradient."""

    parents = ("Global",)


def _operations(call: Callable[[], object]) -> int:
    """Floating-point operations of a computation."""
    from torch.utils.flop_counter import FlopCounterMode  # 2 s to import

    counter: Any = FlopCounterMode(display=False)
    counter.mod_tracker = _Whole()
    with counter:
        call()
    return counter.get_total_flops()


def _loss(spec: RunSpec, model: Generator) -> Tensor:
    """The loss of a model of a spec, of a few black pictures."""
    images = torch.zeros(_few(spec), *spec.data.picture.shape)
    condition = torch.zeros(_few(spec), spec.encoding.width(spec.data.picture.space()))
    return model.loss(images, condition, rng.torch_stream(spec.seed, "cost.noise"))


def _few(spec: RunSpec) -> int:
    """Number of pictures whose loss is measured: two, because a BatchNorm refuses one, if the batches have as many."""
    return min(2, spec.training.batch)


def _parameters(model: Generator) -> int:
    return sum(weights.numel() for weights in model.parameters())


def _kept(spec: RunSpec) -> int:
    """Bytes that the loss keeps for the gradient of one picture, without weights. Computes the loss of a few."""
    model = build_model(spec)
    return kept(model, lambda: _loss(spec, model)) // _few(spec)


@dataclass(frozen=True)
class Memory:
    """Estimated peak memory of a run, in bytes.

    Attributes
    ----------
    data : int
        Training pictures with their conditions.
    model : int
        Weights with their gradients, moments, average and checkpoint.
    batch : int
        What a training step keeps for the gradient.
    judging : int
        Drawings that are judged, and what they are compared with.
    """

    data: int
    model: int
    batch: int
    judging: int

    @property
    def total(self) -> int:
        """The larger of the memory of training and of judging. Training pictures are freed before judging."""
        return self.model + max(self.data + self.batch, self.judging)


def memory(spec: RunSpec) -> Memory:
    """Estimate the memory that training and judging a run take on the CPU.

    Parameters
    ----------
    spec : RunSpec
        The run.

    Returns
    -------
    Memory
        In bytes. The estimate itself takes little memory.
    """
    space, pixels = spec.data.picture.space(), math.prod(spec.data.picture.shape)
    code, weights = spec.encoding.width(space), _parameters(_without_numbers(spec))
    trained, drawn = len(spec.task.points), len(spec.task.judged())
    return Memory(
        data=min(task.KEPT, trained * 4 * pixels) + trained * (CODED * code if spec.task.keeps else 8 * len(space)),
        model=4 * COPIES * weights,
        batch=round(PASSED * _kept(spec)) * spec.training.batch if weights <= CALLED else 0,
        judging=drawn * (JUDGED * pixels + CODED * code) + 3 * 8 * max(COMPARED, len(space) * trained),
    )


def check_memory(spec: RunSpec, room: int) -> None:
    """Refuse a run that needs too much memory.

    Parameters
    ----------
    spec : RunSpec
        The run.
    room : int
        Memory that may be used, in bytes.

    Raises
    ------
    RequestError
        If the run needs more. The message names the part that needs most.
    """
    needed = memory(spec)
    of = {
        "pictures trained on (data.spacing, encoding)": needed.data,
        "weights (model.width, encoding)": needed.model,
        "training steps (training.batch, model.width)": needed.batch,
        "judging (data.test_points, data.test_spacing)": needed.judging,
    }
    most = max(of, key=lambda what: of[what])
    if needed.total > room:
        raise RequestError(
            f"run {spec.id}: got a spec that takes about {needed.total / 1e9:,.3g} GB of memory, "
            f"{of[most] / 1e9:,.3g} GB of it for {most}; "
            f"needs at most {room / 1e9:,.3g} GB, which is available to this process"
        )


def pictures(spec: RunSpec) -> float:
    """The duration of a run, training and judging, in pictures on which its network could be trained meanwhile."""
    return spec.training.steps * spec.training.batch + CALL * _calls(spec) * len(spec.task.judged())


def effort(spec: RunSpec) -> float:
    """A number roughly proportional to the duration of a run: `pictures` x pixels x effort a pixel.

    It serves to compare runs. Counting operations would import parts of torch that take two seconds.
    """
    return pictures(spec) * effort_of_a_picture(spec)


def effort_of_a_picture(spec: RunSpec) -> float:
    """The effort of training on one picture."""
    return math.prod(spec.data.picture.shape[1:]) * spec.model.effort()


def later_effort(searched: "Searched", analyses: "Analyses") -> float:
    """Return the effort of what follows: runs that searches will request, and analyses (see `seconds`)."""
    runs = sum(count * fmean(effort(spec) for spec in like) for count, like in searched)
    return runs + sum(count * effort_of_a_picture(spec) for count, spec in analyses)


def makespan(durations: Iterable[float], workers: int) -> float:
    """When the last of several workers is done if each free worker takes the longest remaining job.

    Parameters
    ----------
    durations : iterable of float
        Duration of each job.
    workers : int
        Number of workers, at least 1.

    Returns
    -------
    float
        In the unit of the durations; 0 without jobs.

    References
    ----------
    Graham, Bounds on multiprocessing timing anomalies, SIAM J. Appl. Math. 17 (1969) 416.
    """
    busy = [0.0] * workers  # when each worker is free, as a heap
    for duration in sorted(durations, reverse=True):
        heapq.heapreplace(busy, busy[0] + duration)
    return max(busy)


Searched = Sequence[tuple[int, Sequence[RunSpec]]]  # number of further runs, and runs that they are like
Analyses = Sequence[tuple[int, RunSpec]]  # number of pictures, and the spec whose network trains on them meanwhile


def seconds(
    specs: Sequence[RunSpec],
    rates: Mapping[str, float],
    workers: int,
    searched: Searched = (),
    analyses: Analyses = (),
) -> float:
    """Estimate how long workers take for runs and their analyses.

    Parameters
    ----------
    specs : sequence of RunSpec
        The runs to train and judge.
    rates : mapping of str to float
        For each run by id, and for those of `searched`, the pictures a second of one worker.
    workers : int
        Number of workers.
    searched : sequence of (int, sequence of RunSpec)
        Expected numbers of further runs, and runs that they are like.
    analyses : sequence of (int, RunSpec)
        For each analysis its cost in pictures, and the run whose network is trained on them meanwhile. All workers
        share it.

    Returns
    -------
    float
        Seconds.
    """
    runs = [pictures(spec) / rates[spec.id] for spec in specs]
    for count, like in searched:
        runs += count * [fmean(pictures(spec) / rates[spec.id] for spec in like)]
    return makespan(runs, workers) + sum(count / rates[spec.id] for count, spec in analyses) / workers


def rates_of_other_machine(specs: Sequence[RunSpec], stated: float) -> dict[str, float]:
    """Return the pictures a second of each run by id, from those of the largest network.

    Rates are taken as inverse to the operations of training on a picture.

    Parameters
    ----------
    specs : sequence of RunSpec
        The runs.
    stated : float
        Pictures a second on which the network with most operations is trained.
    """
    operations = {spec.id: _counted(spec).training for spec in specs}
    return {run: stated * max(operations.values()) / count for run, count in operations.items()}


class Outlook:
    """The time that a sweep still takes, by the pace of its runs so far.

    The pace of a worker is measured from the first report of each run, so the start of workers does not count. Threads
    may report while others ask.

    Parameters
    ----------
    specs : sequence of RunSpec
        The runs to train.
    later : callable
        later() returns the effort of what follows: runs that searches will request, and analyses.
    """

    def __init__(self, specs: Sequence[RunSpec], later: Callable[[], float] = lambda: 0.0):
        self.later = later
        self.workers = 1  # largest number of runs that were trained at the same time
        self._efforts: dict[str, float] = {}  # by run
        self._steps: dict[str, float] = {}  # effort of a training step, by run
        self._first: dict[str, tuple[float, float]] = {}  # run -> time and effort at its first report
        self._last: dict[str, tuple[float, float]] = {}
        self._active: set[str] = set()
        self._lock = threading.RLock()
        self.expect(specs)

    def expect(self, specs: Sequence[RunSpec]) -> None:
        """Add runs to train."""
        for spec in specs:
            run, whole = spec.id, effort(spec)
            with self._lock:
                self._efforts[run], self._steps[run] = whole, whole * spec.training.batch / pictures(spec)

    def step(self, run: str, step: int, now: float) -> None:
        """Take the report of a run by id: the number of steps done, at a time in seconds."""
        with self._lock:
            self._active.add(run)
            self.workers = max(self.workers, len(self._active))
            self._reach(run, step * self._steps[run], now)

    def finish(self, run: str, now: float) -> None:
        """Take the end of a run by id, at a time in seconds."""
        with self._lock:
            self._active.discard(run)
            self._reach(run, self._efforts[run], now)

    def _reach(self, run: str, done: float, now: float) -> None:
        self._last[run] = now, done
        self._first.setdefault(run, (now, done))

    @property
    def share(self) -> float:
        """The share of all effort that is done."""
        with self._lock:
            done, whole = sum(done for _, done in self._last.values()), sum(self._efforts.values())
        return done / (whole + self.later())

    def seconds(self) -> float | None:
        """Return the seconds left after the last report; None before a run has reported twice."""
        with self._lock:
            spans = [(self._last[run][0] - now, self._last[run][1] - done) for run, (now, done) in self._first.items()]
            left = [whole - self._last.get(run, (0.0, 0.0))[1] for run, whole in self._efforts.items()]
        time_spent, done = (sum(parts) for parts in zip(*spans, strict=True)) if spans else (0.0, 0.0)
        if not (time_spent > 0 and done > 0):
            return None
        return (makespan(left, self.workers) + self.later() / self.workers) * time_spent / done


def rates(specs: Sequence[RunSpec], workers: int, duration: float = 1.0) -> dict[str, float]:
    """Measure how fast workers of this machine train on pictures, all at the same time, each with one thread.

    Parameters
    ----------
    specs : sequence of RunSpec
        The runs. One run of each network, size of picture and batch is measured.
    workers : int
        Number of processes that train at the same time.
    duration : float
        Duration of each measurement, in seconds. A single step may take longer.

    Returns
    -------
    dict of str to float
        For each run by id, the pictures a second of one worker: the mean over the workers.
    """
    kinds = {_kind(spec): spec for spec in specs}
    jobs = [(spec.model_dump_json(), _timed_batch(spec)) for spec in kinds.values()]
    context = multiprocessing.get_context(
        start_method()
    )  # a fork of this process, which may have trained, cannot train
    with ProcessPoolExecutor(workers, context, _join, (context.Barrier(workers), plugins.loaded())) as pool:
        found = list(pool.map(_rates_here, [jobs] * workers, [duration] * workers))
    of_kind = dict(zip(kinds, (sum(of_one) / workers for of_one in zip(*found, strict=True)), strict=True))
    return {spec.id: of_kind[_kind(spec)] for spec in specs}


def _kind(spec: RunSpec) -> tuple:
    """What the rate of a run depends on."""
    return spec.model.model_dump_json(), spec.data.picture.shape, spec.training.batch, spec.training.optimizer


def _timed_batch(spec: RunSpec) -> int:
    """The batch with which a rate is measured: that of the spec, or a smaller one with TIMED operations."""
    return max(1, min(spec.training.batch, int(TIMED / _counted(spec).training)))


_TOGETHER: list[Barrier] = []  # in a process that measures: where it waits for the others


def _join(together: Barrier, plugged: Sequence[plugins.Plugin]) -> None:
    """Set up a process that measures rates as a worker of a sweep is set up."""
    keep_freed_memory()
    torch.set_num_threads(1)
    plugins.bring(plugged)
    _TOGETHER.append(together)


def _rates_here(jobs: Sequence[tuple[str, int]], duration: float) -> list[float]:
    """The rate of each spec and batch in this process. The processes begin each measurement together."""
    found = []
    try:
        for text, batch in jobs:
            spec = RunSpec.parse(json.loads(text))
            _TOGETHER[0].wait()
            found.append(rate(spec, batch, duration))
    except BaseException:
        _TOGETHER[0].abort()  # the others would wait for ever
        raise
    return found


class _EnoughError(Exception):
    """A training has been timed for long enough."""


def rate(spec: RunSpec, batch: int, duration: float) -> float:
    """Measure how fast this process trains on pictures, from the first steps of a run.

    Parameters
    ----------
    spec : RunSpec
        The run.
    batch : int
        Pictures a step, in place of those of the spec.
    duration : float
        Least duration of the steps that are timed, in seconds. STEPS others come before them.

    Returns
    -------
    float
        Pictures a second.
    """
    changes = {"steps": 10**6, "batch": batch, "record_every": 1, "evaluate_every": 0, "checkpoint_every": 0}
    training = spec.training.model_copy(update={**changes, "snapshots": ()})
    began = spent = 0.0
    timed = 0

    def report(done: int) -> None:
        nonlocal began, spent, timed
        now = time.perf_counter()
        if done <= STEPS:
            began = now
            return
        timed, spent = done - STEPS, now - began
        if spent >= duration:
            raise _EnoughError

    with suppress(_EnoughError):
        fit(build_model(spec), spec.task, training, spec.seed, report=report)
    return timed * batch / spent
