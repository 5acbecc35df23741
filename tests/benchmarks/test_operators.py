"""Counts of operations and bytes, and limits, of operations whose counts are known."""

import pytest
import torch
from torch import nn

from benchmarks import operators
from benchmarks.operators import Call, Recorder, grouped, limited, markdown


def calls_of(job) -> list[Call]:
    with Recorder() as recorder:
        job()
    return recorder.calls


def test_a_matrix_product_is_counted():
    a, b = torch.ones(20, 30), torch.ones(30, 50)
    (call,) = calls_of(lambda: a @ b)
    assert (call.kind, call.flops, call.bytes) == ("linear layer", 2 * 20 * 30 * 50, 4 * (600 + 1500 + 1000))
    assert call.seconds > 0


def test_a_view_moves_no_bytes_and_an_update_in_place_moves_its_target_twice():
    a, b = torch.ones(100), torch.ones(100)
    view, update = calls_of(lambda: (a.view(10, 10), a.add_(b)))
    assert (view.bytes, update.bytes) == (0, 4 * 300)


def test_a_broadcast_array_counts_its_own_size():
    a, b = torch.ones(100, 1).expand(100, 50), torch.ones(100, 50)
    (call,) = calls_of(lambda: a + b)
    assert call.bytes == 4 * (100 + 5000 + 5000)


def test_both_passes_of_a_convolution_are_counted():
    layer, image = nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.ones(2, 3, 8, 8, requires_grad=True)
    calls = [call for call in calls_of(lambda: layer(image).sum().backward()) if call.kind.startswith("convolution")]
    one = 2 * 2 * 64 * 5 * 3 * 9
    assert [(call.kind, call.flops) for call in calls] == [("convolution", one), ("convolution: gradient", 2 * one)]
    assert {call.what for call in calls} == {"3 to 5 channels, 3 x 3, on 8 x 8 pixels"}


def test_attention_is_counted():
    q, k, v = (torch.ones(2, 4, 16, 8, requires_grad=True) for _ in range(3))
    calls = [
        call for call in calls_of(lambda: nn.functional.scaled_dot_product_attention(q, k, v).sum().backward())
        if call.kind == "attention"
    ]  # fmt: skip
    product = 2 * 2 * 4 * 16 * 16 * 8
    assert [call.flops for call in calls] == [2 * product, 5 * product]


@pytest.mark.parametrize(("flops", "bytes_", "limit"), [(5e9, 1e6, 5.0), (0, 3e6, 3.0), (1e9, 3e6, 3.0)])
def test_the_limit_is_the_longer_of_two_times(
    flops: float, bytes_: float, limit: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(operators, "copy_rates", lambda: [1e6] * len(operators.COPIED))
    assert limited(Call("norm", "", 1.0, flops, bytes_), peak=1e9).limit == limit


def test_groups_are_summed_and_the_slowest_is_first():
    calls = [Call("a", "", 1.0, 2.0, 3.0, 0.5), Call("b", "", 3.0, 1e9, 6e9, 1.5), Call("a", "", 1.0, 2.0, 3.0, 0.5)]
    found = grouped(calls, lambda call: call.kind)
    assert found == [calls[1], Call("a", "", 2.0, 4.0, 6.0, 1.0)]
    row = markdown([("b", found[0])], step=6.0, peak=1e9).splitlines()[-1]
    assert row == "| b | 3000.00 | 50.0% | 0 | 33% | 2.0 | 50% |"
