import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hyperfactor.training.flat import flatten
from hyperfactor.training.optimizers import AdamW, Muon, is_matrix, near_orthogonal

SHAPES = [(4, 6), (4, 9), (8, 4), (6, 6)]
RATE, DECAY, MOMENTUM = 0.05, 0.1, 0.9


def matrices(seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def step(weights: list[nn.Parameter], gradients: list[Tensor]) -> None:
    for weight, gradient in zip(weights, gradients, strict=True):
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.copy_(gradient)


def test_steps_of_adamw_are_those_of_torch():
    ours, theirs = matrices(0), matrices(0)
    one = AdamW(flatten(ours), RATE, DECAY, (0.9, 0.95))
    other = torch.optim.AdamW([flatten(theirs)], RATE, (0.9, 0.95), weight_decay=DECAY, fused=True)
    for k in range(3):
        gradients = [weight.detach() for weight in matrices(k + 1)]
        step(ours, gradients)
        step(theirs, gradients)
        one.step(RATE / (k + 1))
        other.param_groups[0]["lr"] = RATE / (k + 1)
        other.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_training_does_not_import_torchs_compiler():
    """It takes two seconds and more, in each process that trains."""
    program = """
import sys
from hyperfactor.training.loop import fit
from tests.training.test_loop import EXAMPLES, MUON, Perceptron
fit(Perceptron(), EXAMPLES, MUON, 0)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("condition", [1.0, 30.0])
def test_singular_values_come_near_1_and_singular_vectors_stay(condition: float):
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(3, 8, 8, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(3, 20, 8, generator=generator))
    values = torch.linspace(1, condition, 8).expand(3, 8)
    X = left @ torch.diag_embed(values) @ right.mT
    found = left.mT @ near_orthogonal(X @ X.mT) @ X @ right
    assert torch.allclose(found, torch.diag_embed(found.diagonal(dim1=1, dim2=2)), atol=1e-4)
    assert found.diagonal(dim1=1, dim2=2).min() > 0.6
    assert found.diagonal(dim1=1, dim2=2).max() < 1.3


def test_a_matrix_without_gradient_stays():
    assert torch.equal(near_orthogonal(torch.zeros(1, 3, 3)) @ torch.zeros(3, 5), torch.zeros(1, 3, 5))


def test_steps_are_those_of_torch_one_matrix_at_a_time():
    """torch rounds to bfloat16 in between, which moves entries of a step by a few percent of its size."""
    ours, theirs = matrices(0), matrices(0)
    before = [weight.detach().clone() for weight in ours]
    one = Muon(flatten(ours), SHAPES, RATE, DECAY, MOMENTUM)
    other = torch.optim.Muon(theirs, lr=RATE, weight_decay=DECAY, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw")
    for k in range(3):
        gradients = [weight.detach() for weight in matrices(k + 1)]
        step(ours, gradients)
        step(theirs, gradients)
        one.step(RATE)
        other.step()
    for start, a, b in zip(before, ours, theirs, strict=True):
        assert (a - b).norm() < 0.03 * (a - start).norm()


def test_entries_of_a_step_have_the_root_mean_square_that_the_rate_says():
    weights = [nn.Parameter(torch.zeros(16, 144))]
    optimizer = Muon(flatten(weights), [(16, 144)], RATE, 0.0, MOMENTUM)
    step(weights, [torch.randn(16, 144, generator=torch.Generator().manual_seed(0))])
    optimizer.step(RATE)
    assert weights[0].square().mean().sqrt().item() == pytest.approx(0.2 * RATE, rel=0.2)


def test_kernels_and_matrices_are_matrices_and_vectors_are_not():
    convolution = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    assert is_matrix(convolution.weight)
    assert is_matrix(nn.Linear(3, 4).weight)
    assert not is_matrix(nn.Linear(3, 1).weight)
    assert not is_matrix(nn.Linear(3, 4).bias)
    assert not is_matrix(nn.Linear(3, 4).weight.T)
