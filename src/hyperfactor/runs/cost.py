"""What a run costs, said before it is trained.

A sweep orders its runs by a cruder number: counting loads parts of torch that take two seconds.
"""

import time
from dataclasses import dataclass
from functools import cache

import torch

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.images.dataset import training_points
from hyperfactor.measures.accuracy import AT_ONCE
from hyperfactor.models.unet import UNet, UNetSpec
from hyperfactor.runs.run import build_model, judged_points, torch_threads
from hyperfactor.runs.spec import RunSpec
from hyperfactor.training.diffusion import TIME_CODE

CODED = 20  # bytes a number of a condition, while it is made
COPIES = 13  # of each weight: itself, gradient, average, two moments, and those and their bytes in a checkpoint
KEPT = 64  # numbers a pixel and channel of the stem that the network keeps for its gradient, for each picture
JUDGED = 56  # bytes a pixel of a drawing, while it is judged
TIMED = 16  # pictures at a time, at most, while a rate is measured


def parameters(spec: RunSpec) -> int:
    """How many numbers the network of a spec learns."""
    return _counted(spec)[0]


def training(spec: RunSpec) -> int:
    """Floating-point operations of training: of convolutions and matrix products, a multiplication and an addition
    counting as two.  The network is counted and not computed."""
    return _counted(spec)[2] * spec.training.steps * spec.training.batch


def judging(spec: RunSpec) -> int:
    """Floating-point operations of drawing what a finished run is judged by."""
    return _counted(spec)[1] * spec.sampling.steps * len(judged_points(spec))


def _counted(spec: RunSpec) -> tuple[int, int, int]:
    space = spec.data.picture.space()
    return _network(spec.model.model_dump_json(), spec.data.picture.size, TIME_CODE + spec.encoding.width(space))


@cache
def _network(model: str, size: int, condition: int) -> tuple[int, int, int]:
    """Of a network: its parameters, and the operations for one picture, forward, and forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode  # 2 s to import

    with torch.device("meta"):
        network = UNet(UNetSpec.model_validate_json(model), size, condition)
        x, c = torch.empty(1, 1, size, size), torch.empty(1, condition)
        with FlopCounterMode(display=False) as forward, torch.no_grad():
            network(x, c)
        with FlopCounterMode(display=False) as both:
            network(x, c).sum().backward()
    count = sum(weights.numel() for weights in network.parameters())
    return count, forward.get_total_flops(), both.get_total_flops()


@dataclass(frozen=True)
class Memory:
    """Bytes that a run takes at most, about.

    data        the pictures trained on, with their conditions
    model       the weights with their gradients, moments, average and checkpoint
    batch       what a training step keeps for its gradient
    judging     the drawings that are judged, and what they are compared with
    """

    data: int
    model: int
    batch: int
    judging: int

    @property
    def total(self) -> int:
        """While it is trained, or while it is judged: the pictures trained on are gone by then."""
        return self.model + max(self.data + self.batch, self.judging)


def memory(spec: RunSpec) -> Memory:
    """What training and judging the run of a spec takes on the CPU.  Nothing large is made to say so."""
    space, pixels = spec.data.picture.space(), spec.data.picture.size**2
    code = spec.encoding.width(space)
    with torch.device("meta"):
        network = UNet(spec.model, spec.data.picture.size, TIME_CODE + code)
    weights = sum(value.numel() for value in network.parameters())
    trained, drawn = len(training_points(spec.data, spec.seed)), len(judged_points(spec))
    return Memory(
        data=trained * (4 * pixels + CODED * code),
        model=4 * COPIES * weights,
        batch=4 * KEPT * spec.training.batch * spec.model.width * pixels,
        judging=drawn * (JUDGED * pixels + CODED * code) + 3 * 8 * AT_ONCE * len(space) * trained,
    )


def check_memory(spec: RunSpec, room: int) -> None:
    """RequestError where the run of a spec takes more than `room` bytes, with what takes most of it."""
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
            f"run {spec.id}: got a spec that takes about {needed.total / 1e9:,.3g} GB of memory, {of[most] / 1e9:,.3g} GB "
            f"of it for {most}; needs at most {room / 1e9:,.3g} GB, which this process may take here"
        )


def rate(spec: RunSpec, seconds: float = 1.0) -> float:
    """Operations a second that one thread of this machine reaches in training the network of a spec; measured for about
    `seconds`, or for one step where that takes longer."""
    model = build_model(spec)
    batch = min(spec.training.batch, TIMED)
    images = torch.zeros(batch, 1, *2 * (spec.data.picture.size,))
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
