"""The estimated cost of a run, against counts by hand."""

from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn

from hyperfactor import RunSpec
from hyperfactor.generators.denoiser import Denoiser
from hyperfactor.runs import cost
from hyperfactor.runs.run import build_model


def layers_by_hand(spec: RunSpec) -> dict[str, tuple[nn.Module, int]]:
    """Operations of each convolution (2 k^2 c_in c_out pixels) and linear layer (2 c_in c_out) for one picture."""
    network, counted = build_model(spec).network, {}

    def count(name: str):
        def hook(module: nn.Module, _inputs: tuple, output: torch.Tensor) -> None:
            weights = cast(torch.Tensor, module.weight)
            counted[name] = (module, 2 * weights[0].numel() * output[0].numel())

        return hook

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count(name))
    size = spec.data.picture.shape[1]
    network(torch.zeros(1, 1, size, size), torch.zeros(1, 16 + spec.encoding.width(spec.data.picture.space())))
    return counted


@pytest.mark.parametrize("width", [4, 8])
def test_operations_of_a_network_without_attention(width: int):
    spec = RunSpec.parse({"model": {"width": width, "attention": []}, "training": {"steps": 7, "batch": 3}})
    counted = layers_by_hand(spec)
    forward = sum(operations for _, operations in counted.values())
    # Backward costs as much again for the weights and for the inputs, save where the input is data.
    first = sum(n for name, (module, n) in counted.items() if name == "stem.conv1" or isinstance(module, nn.Linear))
    assert cost.training(spec) == 7 * 3 * (3 * forward - first)
    assert cost.judging(spec) == forward * spec.sampling.steps * 32**2


def test_parameters_are_those_of_the_network():
    spec = RunSpec()
    assert cost.parameters(spec) == sum(weights.numel() for weights in build_model(spec).network.parameters())


def test_judging_counts_each_request_once():
    data = {"test": {"left": {"kind": "strip", "factor": "x", "low": 0, "high": 3}}}
    assert cost.judging(RunSpec.parse({"data": data})) == cost.judging(RunSpec())


def test_a_rate_is_operations_a_second_of_one_thread(monkeypatch: pytest.MonkeyPatch):
    """By a clock with which a training step of a batch of 3 takes half a second and everything else no time."""
    spec = RunSpec.parse({"model": {"width": 4, "attention": []}, "training": {"batch": 3}})
    clock, batches, loss = [100.0], [], Denoiser.loss

    def slow(self: Denoiser, images: torch.Tensor, *others) -> torch.Tensor:
        clock[0] += 0.5
        batches.append(len(images))
        assert torch.get_num_threads() == 1
        return loss(self, images, *others)

    monkeypatch.setattr(Denoiser, "loss", slow)
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    one_step = RunSpec.parse({"model": {"width": 4, "attention": []}, "training": {"batch": 3, "steps": 1}})
    assert cost.rate(spec, seconds=2) == pytest.approx(cost.training(one_step) / 0.5)
    assert batches == [1, 3, 3, 3, 3]  # one to warm up, then 2 seconds
