"""A gradient that is replayed from a recording equals the one that is computed."""

from collections.abc import Callable
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import nn

from hyperfactor import rng
from hyperfactor.generators.base import Generator
from hyperfactor.training import gradient
from hyperfactor.training.gradient import WARM, Replayed, differentiator

CPU = torch.device("cpu")


class Line(Generator):
    """Its loss draws noise, and depends on all that it is given."""

    capturable = True

    def __init__(self):
        super().__init__()
        self.network = nn.Linear(3, 3)

    def loss(self, images, condition, generator):
        noise = torch.randn(images.shape, generator=generator)
        return (self.network(images + noise) - condition).square().mean()


class Graph:
    """A stand-in for a CUDA graph. A replay repeats what was recorded, on the same tensors."""

    recording: "Graph | None" = None
    modes: list[str] = []
    replay: Callable[[], object]

    def register_generator_state(self, generator):
        self.generator = generator

    @classmethod
    @contextmanager
    def record(cls, graph, capture_error_mode):
        cls.modes.append(capture_error_mode)
        cls.recording = graph
        yield
        cls.recording = None


def recordable(compute):
    """The computation. Within a recording nothing is computed before the replay."""

    def call(images, condition, generator):
        if (graph := Graph.recording) is None:
            return compute(images, condition, generator)
        assert generator is graph.generator
        loss = torch.zeros(())
        graph.replay = lambda: loss.copy_(compute(images, condition, generator))
        return loss

    return call


@pytest.fixture
def modes(monkeypatch):
    """Let the CPU stand for a GPU. Returns the mode of each recording."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", Graph.record)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(Graph, "modes", [])
    return Graph.modes


def batch(step):
    stream = rng.torch_stream(0, "check.batch", step)
    images, condition = (torch.randn(4, 3, generator=stream) for _ in range(2))
    return images, condition, rng.torch_stream(0, "check.noise", step)


def test_a_replayed_gradient_is_the_computed_one(modes):
    plain, recorded = Line(), Line()
    recorded.load_state_dict(plain.state_dict())
    compute = differentiator(plain, "float32", CPU)
    replayed = Replayed(recordable(differentiator(recorded, "float32", CPU)), CPU)
    losses = []
    for step in range(WARM + 4):
        losses.append((compute(*batch(step)), replayed(*batch(step))))
        for a, b in zip(plain.parameters(), recorded.parameters(), strict=True):
            assert a.grad is not None
            assert b.grad is not None
            assert torch.equal(a.grad, b.grad)
    assert all(torch.equal(a, b) for a, b in losses)  # also those of earlier steps, after later ones
    assert len({loss.item() for loss, _ in losses}) == len(losses)
    assert modes == ["thread_local"]  # recorded once


def test_only_a_capturable_model_on_a_gpu_is_recorded(monkeypatch):
    monkeypatch.setattr(gradient, "Replayed", lambda compute, device: ("replayed", device))
    card, model = torch.device("cuda"), Line()
    assert differentiator(model, "float32", card) == ("replayed", card)
    assert callable(differentiator(model, "float32", CPU))
    model.capturable = Generator.capturable  # what a generator is that does not say
    assert callable(differentiator(model, "float32", card))
