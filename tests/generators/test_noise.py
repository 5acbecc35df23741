"""The numbers of a torch.Generator on the CPU, made by operations of any device."""

import math
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from hyperfactor.generators import noise
from hyperfactor.generators.noise import Noise, Twisters, normal

SHAPE = (1, 8, 8)


def streams(count: int = 3) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(7 * k + 2**40) for k in range(count)]


def elsewhere(given: list[torch.Generator], shape: tuple[int, ...] = SHAPE) -> Noise:
    """Noise that is made as on a GPU, on the CPU."""
    there: Any = SimpleNamespace(type="elsewhere")
    with mock.patch.object(noise, "Twisters", lambda words, used, _device: Twisters(words, used, "cpu")):
        return Noise(given, shape, there)


def test_the_words_are_those_of_mt19937():
    """numpy's, seeded by the same rule; 3 blocks of words, taken in unequal parts."""
    theirs: list[Any] = [np.random.RandomState(seed) for seed in (1, 5489, 2**32 - 1)]
    words = torch.tensor(np.stack([one.get_state()[1] for one in theirs]).astype(np.int64))
    ours = Twisters(words, 624, "cpu")
    found = torch.cat([ours.draw(count) for count in (1, 622, 2, 699, 500)], dim=1)
    for row, one in zip(found.tolist(), theirs, strict=True):
        assert row == one.randint(0, 2**32, 1824, dtype=np.uint32).tolist()


@pytest.mark.parametrize("shape", [SHAPE, (3, 8, 16), (1, 64, 64)])
def test_the_noise_of_a_device_is_that_of_the_cpu(shape):
    """Draw after draw, up to the rounding of logarithm and cosine."""
    here, there = Noise(streams(), shape, torch.device("cpu")), elsewhere(streams(), shape)
    for _ in range(4):
        a, b = here.draw(), there.draw()
        assert a.shape == b.shape == (3, *shape)
        assert torch.allclose(a, b, atol=2e-6)


def test_streams_that_have_been_used_go_on_from_where_they_are():
    used, again = streams(), streams()
    for generator in (*used, *again):
        torch.randn(160, generator=generator)
    here, there = Noise(used, SHAPE, torch.device("cpu")), elsewhere(again)
    assert torch.allclose(here.draw(), there.draw(), atol=2e-6)


def test_on_the_cpu_the_noise_is_torch_s_to_the_bit_also_in_any_batches():
    whole = Noise(streams(), SHAPE, torch.device("cpu")).draw()
    for k, generator in enumerate(streams()):
        assert torch.equal(whole[k], torch.randn(SHAPE, generator=generator))
        assert torch.allclose(elsewhere([streams()[k]]).draw()[0], whole[k], atol=2e-6)


def test_the_rarest_words_give_finite_numbers():
    """A uniform number of 0, and the largest below 1, whose radius is sqrt(-2 log 2^-24)."""
    words = torch.tensor([[0] * 8 + [0] * 8, [2**24 - 1] * 8 + [0] * 8])
    small, large = normal(words)
    assert torch.equal(small, torch.zeros(16))
    assert large[:8].tolist() == pytest.approx([math.sqrt(48 * math.log(2))] * 8)


@pytest.mark.parametrize("change", ["shape", "position"])
def test_what_cannot_be_made_at_once_is_made_on_the_cpu(change):
    """A shape that torch fills in another order, and streams at unequal positions."""
    shape = (1, 3, 3) if change == "shape" else SHAPE
    given, expected = streams(), streams()
    if change == "position":
        for of_one in (given, expected):
            torch.randn(16, generator=of_one[1])
    there = Noise(given, shape, torch.device("meta"))
    assert there._twisters is None
    there.device = torch.device("cpu")
    assert torch.equal(there.draw(), Noise(expected, shape, torch.device("cpu")).draw())
