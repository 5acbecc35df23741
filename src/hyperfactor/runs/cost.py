"""The cost of a run, known before it is trained.

A sweep orders its runs by a cruder number, because counting operations imports parts of torch that take two seconds.
"""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.generators.base import Generator
from hyperfactor.images import task
from hyperfactor.measures.accuracy import COMPARED
from hyperfactor.networks.memory import kept
from hyperfactor.runs.run import build_model, torch_threads
from hyperfactor.runs.spec import RunSpec

CODED = 20  # bytes for each number of a condition, while it is computed
CALLED = 2**28  # weights of the largest network that is called to measure its memory; larger ones take most for weights
COPIES = 13  # of each weight: itself, gradient, average, two moments, and those and their bytes in a checkpoint
PASSED = 1.2  # peak memory of a training step, relative to the memory that is kept for the gradient
JUDGED = 56  # bytes for each pixel of a drawing, while it is judged
TIMED = 16  # largest batch while a rate is measured


@dataclass(frozen=True)
class _Network:
    """Counts of a generator's network.

    Attributes
    ----------
    parameters : int
        Learnt numbers.
    forward : int
        Floating-point operations of a call for one picture.
    both : int
        Floating-point operations of a call and of its gradient.
    calls : int
        Calls for one drawing.
    """

    parameters: int
    forward: int
    both: int
    calls: int


def parameters(spec: RunSpec) -> int:
    """Number of weights of a spec's network."""
    return _counted(spec).parameters


def training(spec: RunSpec) -> int:
    """Floating-point operations of training: those of convolutions and matrix products.

    A multiplication and an addition are two operations. They are counted without computing the network.
    """
    return _counted(spec).both * spec.training.steps * spec.training.batch


def judging(spec: RunSpec) -> int:
    """Floating-point operations of the drawings by which the finished run is judged."""
    return _counted(spec).forward * _counted(spec).calls * len(spec.task.judged())


def _counted(spec: RunSpec) -> _Network:
    sections = (section.model_dump_json() for section in (spec.model, spec.diffusion, spec.sampling))
    code = spec.encoding.width(spec.data.picture.space())
    key = (*sections, spec.data.picture.shape, code)
    if key not in _COUNTED:
        _COUNTED[key] = _count(*_without_numbers(spec))
    return _COUNTED[key]


_COUNTED: dict[tuple, _Network] = {}


def _without_numbers(spec: RunSpec) -> tuple[Generator, tuple[Tensor, ...]]:
    """The generator of a spec, and the arguments of its network for one picture, without memory for their numbers."""
    with torch.device("meta"):
        model = build_model(spec)
        return model, model.inputs(torch.empty(1, spec.encoding.width(spec.data.picture.space())))


def _count(model: Generator, inputs: tuple[Tensor, ...]) -> _Network:
    from torch.utils.flop_counter import FlopCounterMode  # 2 s to import

    with FlopCounterMode(display=False) as forward, torch.no_grad():
        model.network(*inputs)
    with FlopCounterMode(display=False) as both:
        model.network(*inputs).sum().backward()
    return _Network(_parameters(model), forward.get_total_flops(), both.get_total_flops(), model.calls)


def _parameters(model: Generator) -> int:
    return sum(weights.numel() for weights in model.network.parameters())


def _kept(spec: RunSpec) -> int:
    """Bytes that a call of the network keeps for the gradient of one picture, without weights. Makes such a call."""
    model = build_model(spec)
    inputs = model.inputs(torch.zeros(1, spec.encoding.width(spec.data.picture.space())))
    return kept(model.network, inputs)


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
    code, weights = spec.encoding.width(space), _parameters(_without_numbers(spec)[0])
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


def rate(spec: RunSpec, seconds: float = 1.0) -> float:
    """Measure the speed of training the network of a spec, with one thread of this machine.

    Parameters
    ----------
    spec : RunSpec
        The run.
    seconds : float
        Duration of the measurement. A single step may take longer.

    Returns
    -------
    float
        Floating-point operations a second.
    """
    model = build_model(spec)
    batch = min(spec.training.batch, TIMED)
    images = torch.zeros(batch, *spec.data.picture.shape)
    condition = torch.zeros(batch, spec.encoding.width(spec.data.picture.space()))
    generator = rng.torch_stream(spec.seed, "cost.rate")
    with torch_threads(1):
        model.loss(images[:1], condition[:1], generator).backward()
        began, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - began < seconds:
            model.loss(images, condition, generator).backward()
            steps += 1
    one = training(spec) / (spec.training.steps * spec.training.batch)
    return one * steps * batch / (time.perf_counter() - began)
