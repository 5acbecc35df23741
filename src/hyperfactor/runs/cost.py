"""What a run costs, said before it is trained.

A sweep orders its runs by a cruder number: counting loads parts of torch that take two seconds.
"""

import time
from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from hyperfactor import rng
from hyperfactor.models.unet import UNet, UNetSpec
from hyperfactor.runs.run import build_model, judged_points, torch_threads
from hyperfactor.runs.spec import RunSpec
from hyperfactor.training.diffusion import TIME_CODE

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
    with torch.device("meta"):
        network = UNet(UNetSpec.model_validate_json(model), size, condition)
        x, c = torch.empty(1, 1, size, size), torch.empty(1, condition)
        with FlopCounterMode(display=False) as forward, torch.no_grad():
            network(x, c)
        with FlopCounterMode(display=False) as both:
            network(x, c).sum().backward()
    count = sum(weights.numel() for weights in network.parameters())
    return count, forward.get_total_flops(), both.get_total_flops()


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
