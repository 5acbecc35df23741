# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
"""What a module that a user brings is asked for, and what is said where it cannot be studied."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hyperfactor import RequestError, TorchSubject
from hyperfactor.factors.space import Factor, FactorSpace

SPACE = FactorSpace((Factor("x", 0, 20), Factor("y", 0, 9, "periodic")))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.inner = nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Dropout(), nn.Linear(3, 4))
        self.double()

    def forward(self, points: np.ndarray) -> torch.Tensor:
        return self.inner(self.first(torch.from_numpy(points))).reshape(-1, 1, 2, 2)


def subject(call: Any = None, module: nn.Module | None = None) -> TorchSubject:
    return TorchSubject(module or Decoder(), SPACE, call or (lambda module, points: module(points)))


def test_layers_at_any_depth_are_what_the_module_puts_out():
    found = subject()
    points = SPACE.lattice()
    seen = found.activations(["first", "inner.0"], factors=points)
    first = found.module.first(torch.from_numpy(points)).detach().float().numpy()
    np.testing.assert_allclose(seen["first"], first, atol=1e-6)
    np.testing.assert_allclose(seen["inner.0"], first.clip(0), atol=1e-6)
    assert found.activations("first")["first"].shape == (21, 9, 3)
    assert found.sample(points).shape == (189, 1, 2, 2)
    assert found.default_layers() == ("first", "inner")


def test_the_module_keeps_its_modes_and_has_no_gradients():
    found = subject()
    found.module.inner.eval()
    found.sample([[1, 2]])
    assert (found.module.training, found.module.inner.training, found.module.first.training) == (True, False, True)
    assert found.module.first.weight.grad is None


def test_a_seed_names_the_noise_of_a_call():
    noisy = subject(lambda _, points: torch.randn(len(points), 1, 4, 4))
    points = SPACE.lattice()[:70]
    np.testing.assert_array_equal(noisy.sample(points, seed=3), noisy.sample(points, seed=3))
    assert np.abs(noisy.sample(points, seed=3) - noisy.sample(points, seed=4)).max() > 0.1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda _, points: 1 / 0, "call: ZeroDivisionError: division by zero"),
        (lambda _, points: torch.zeros(len(points), 4), r"shape \(1, 4\) for 1 points, needs \(1, c, h, w\)"),
        (lambda _, points: torch.full((len(points), 1, 2, 2), np.nan), "needs finite numbers"),
        (lambda _, points: "picture", "got text, needs an array of real numbers"),
    ],
)
def test_a_call_that_fails_is_said(call: Any, words: str):
    with pytest.raises(RequestError, match=words):
        subject(call).sample([[1, 2]])


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"layers": "up9"}, "needs one of first, inner"),
        ({"layers": "first", "timestep": 3}, "a module has one of each"),
        ({"layers": "first", "factors": [[30, 0]]}, "row 0, x: got 30"),
        ({"layers": "first", "factors": np.zeros((0, 2))}, "got no rows"),
    ],
)
def test_layers_that_are_refused(about: dict[str, Any], words: str):
    with pytest.raises(RequestError, match=words):
        subject().activations(**about)


def test_no_reading_is_said():
    with pytest.raises(RequestError, match="read: got none"):
        subject().assess(np.zeros((1, 1, 2, 2)), np.zeros((1, 2)))


class Tokens(nn.Module):
    """64 tokens, along the first axis, for each point."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Identity()

    def forward(self, points: np.ndarray) -> torch.Tensor:
        self.mix(torch.from_numpy(points).expand(64, *points.shape))
        return torch.zeros(len(points), 1, 2, 2)


def test_rows_that_are_not_points_are_refused_also_where_there_are_as_many():
    with pytest.raises(RequestError, match="layer mix: got 64 rows for 1 point, needs one row for each point"):
        subject(module=Tokens()).activations("mix", factors=SPACE.lattice()[:64])
