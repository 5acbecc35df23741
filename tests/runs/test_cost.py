"""The estimated cost of a run, against counts by hand."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn

from hyperfactor import RunSpec
from hyperfactor.generators.decoder import Decoder
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


TINY = {"model": {"width": 4, "attention": []}, "training": {"steps": 100, "batch": 3}}


def test_a_rate_is_pictures_a_second_after_the_first_steps(monkeypatch: pytest.MonkeyPatch):
    """By a clock with which a step of 2 pictures takes half a second, but 20 seconds in the beginning."""
    spec = RunSpec.parse(TINY)
    clock, batches, loss = [100.0], [], Denoiser.loss

    def slow(self: Denoiser, images: torch.Tensor, *others) -> torch.Tensor:
        clock[0] += 20 if len(batches) < cost.STEPS else 0.5
        batches.append(len(images))
        return loss(self, images, *others)

    monkeypatch.setattr(Denoiser, "loss", slow)
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    assert cost.rate(spec, 2, 1.75) == pytest.approx(2 / 0.5)
    assert batches == [2] * (cost.STEPS + 4)  # 2 seconds


def test_rates_are_means_over_workers_that_measure_one_run_of_each_kind(monkeypatch: pytest.MonkeyPatch):
    """In threads, of which one measures twice the rate of the other. A batch too large for a test is cut."""
    measured = []

    def pool(workers: int, _context, join, arguments) -> ThreadPoolExecutor:
        join(*arguments)
        return ThreadPoolExecutor(workers)

    def rate(spec: RunSpec, batch: int, duration: float) -> float:
        measured.append((spec.training.steps, batch, duration))
        of_kind = [one for one in measured if one[0] == spec.training.steps]
        return 100.0 * spec.training.batch * len(of_kind)

    monkeypatch.setattr(cost, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(cost, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(cost, "_TOGETHER", [])
    monkeypatch.setattr(cost, "rate", rate)
    one, longer = (RunSpec.parse({**TINY, "training": {"steps": steps, "batch": 3}}) for steps in (5, 6))
    other = RunSpec.parse({**TINY, "training": {"steps": 7, "batch": 100_000}})
    found = cost.rates([one, longer, other], 2, 0.5)
    assert found == pytest.approx({one.id: 450.0, longer.id: 450.0, other.id: 15_000_000.0})
    assert sorted({steps for steps, *_ in measured}) == [6, 7]  # the last of each kind
    assert len(measured) == 4
    assert {batch for steps, batch, _ in measured if steps == 6} == {3}
    (cut,) = {batch for steps, batch, _ in measured if steps == 7}
    assert cut == int(cost.TIMED / (cost.training(other) / (7 * 100_000)))


def test_the_cost_of_a_run_is_that_of_training_and_of_drawing():
    spec = RunSpec.parse({**TINY, "sampling": {"steps": 7}})
    assert cost.pictures(spec) == 100 * 3 + cost.CALL * 7 * 32**2
    assert cost.effort(spec) == cost.pictures(spec) * 32**2 * 4
    decoder = RunSpec.parse({"model": {"kind": "decoder"}, "training": {"steps": 10, "batch": 2}})
    assert cost.pictures(decoder) == 20 + cost.CALL * 32**2  # one call a drawing


@pytest.mark.parametrize(
    ("durations", "workers", "expected"),
    [([], 3, 0), ([5], 3, 5), ([3, 1, 2], 1, 6), ([3, 1, 2], 2, 3), ([3, 3, 2, 2, 2], 2, 7), ([1, 1, 10], 2, 10)],
)
def test_the_last_worker_is_done(durations: list[float], workers: int, expected: float):
    """By hand. The longest job first is not always best: 3 + 3 and 2 + 2 + 2 would take 6."""
    assert cost.makespan(durations, workers) == expected


def test_seconds_of_runs_of_searches_and_of_analyses():
    """Two runs of 300 pictures at 10 a second and one of 600 at 30, with one drawn point each."""
    data = {"test_points": 1, "fraction": 1 / 1024}
    small, again, large = (
        RunSpec.parse({"seed": seed, "data": data, "model": TINY["model"], "training": {"steps": 1, "batch": batch}})
        for seed, batch in ((0, 300), (1, 300), (2, 600))
    )
    runs = [small, again, large]
    drawn = [cost.CALL * 10 * len(spec.task.judged()) for spec in runs]
    rates = {small.id: 10.0, again.id: 10.0, large.id: 30.0}
    a, b, c = (300 + drawn[0]) / 10, (300 + drawn[1]) / 10, (600 + drawn[2]) / 30
    assert cost.seconds(runs, rates, 1) == pytest.approx(a + b + c)
    assert cost.seconds(runs, rates, 2) == pytest.approx(min(a, b) + c)
    assert cost.seconds([small], rates, 4) == pytest.approx(a)
    later = [(3, [small, large])], [(60, large), (50, small)]
    assert cost.seconds([], rates, 2, *later) == pytest.approx(a + c + (60 / 30 + 50 / 10) / 2)
    assert cost.seconds([], rates, 2) == 0


def test_rates_of_another_machine_are_inverse_to_operations():
    small, large = (RunSpec.parse({"model": {"width": width}}) for width in (4, 8))
    found = cost.rates_of_other_machine([small, large], 1000)
    assert found[large.id] == 1000
    assert found[small.id] == pytest.approx(1000 * cost.training(large) / cost.training(small))


def test_the_outlook_follows_the_pace_of_runs():
    """Three equal runs on two workers, at 10 and at 20 pictures a second at first."""
    specs = [
        RunSpec.parse({"seed": seed, "data": {"test_points": 1}, **TINY}) for seed in range(3)
    ]  # fmt: skip
    whole, one = cost.pictures(specs[0]), cost.effort_of_a_picture(specs[0])
    assert whole == cost.pictures(specs[1]) == cost.pictures(specs[2])
    a, b, c = (spec.id for spec in specs)
    later = [0.0]
    outlook = cost.Outlook(specs[:2], lambda: later[0])
    assert (outlook.seconds(), outlook.share) == (None, 0)
    outlook.step(a, 10, 1000.0)  # a resumed run: what was done before its first report took no time
    assert outlook.seconds() is None
    outlook.step(b, 20, 1000.0)
    outlook.step(a, 20, 1003.0)  # 30 pictures in 3 seconds
    outlook.step(b, 40, 1003.0)  # 60
    assert outlook.workers == 2
    assert outlook.seconds() == pytest.approx((whole - 60) / 15)  # a has most left
    assert outlook.share == pytest.approx((60 + 120) / (2 * whole))
    outlook.expect(specs[2:])
    third = max(whole, whole - 60 + whole - 120)  # c on one worker; a, then b on the other
    assert outlook.seconds() == pytest.approx(third / 15)
    later[0] = 90 * one
    assert outlook.seconds() == pytest.approx((third + 45) / 15)
    outlook.finish(a, 1053.0)
    outlook.finish(b, 1053.0)
    pace = (2 * whole - 30 - 60) / (2 * 53)
    assert outlook.seconds() == pytest.approx((whole + 45) / pace)
    outlook.step(c, 100, 1054.0)
    outlook.finish(c, 1054.0)
    assert outlook.share == pytest.approx(3 * whole / (3 * whole + 90))


def test_a_loss_that_looks_at_numbers_is_counted(monkeypatch: pytest.MonkeyPatch):
    def loss(self: Decoder, images: torch.Tensor, condition: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return of_model(self, images, condition, generator) * (2 if images.max() > 0 else 1)

    spec = RunSpec.parse({"model": {"kind": "decoder", "width": 3}, "training": {"steps": 1, "batch": 1}})
    of_model = Decoder.loss
    monkeypatch.setattr(cost, "_COUNTED", {})
    expected = cost.training(spec)
    assert expected > 0
    cost._COUNTED.clear()
    monkeypatch.setattr(Decoder, "loss", loss)
    assert cost.training(spec) == expected


def test_a_thread_may_report_while_another_asks(tiny: RunSpec):
    """Without a lock the dictionaries change while they are read."""
    specs = [tiny.model_copy(update={"seed": seed}) for seed in range(300)]
    outlook = cost.Outlook(specs)
    switches = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def report() -> None:
        for k, spec in enumerate(specs):
            outlook.step(spec.id, 1, float(k))

    thread = threading.Thread(target=report)
    try:
        thread.start()
        while thread.is_alive():
            _ = outlook.share, outlook.seconds()
    finally:
        sys.setswitchinterval(switches)
        thread.join()
    assert 0 < outlook.share < 1
