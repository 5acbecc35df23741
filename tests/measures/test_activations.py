import numpy as np
import pytest
import torch
from torch import nn

from hyperfactor.errors import RequestError
from hyperfactor.measures.activations import capture, size, watch
from hyperfactor.models.unet import UNet, UNetSpec


class Foreign(nn.Module):
    """A network that knows nothing of this package."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, padding=1)
        self.rest = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 5))
        self.unused = nn.Linear(1, 1)
        self.pair = nn.LSTM(5, 4)

    def forward(self, x):
        return self.pair(self.rest(self.first(x)))[0]


@pytest.fixture(scope="module")
def network() -> Foreign:
    torch.manual_seed(0)
    return Foreign()


def batches(n=10, size=4):
    x = torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return [(part,) for part in x.split(size)], x


def test_layers_of_a_foreign_network_are_what_they_compute(network):
    parts, x = batches()
    found = capture(network, ("first", "rest.2"), parts)
    with torch.no_grad():
        first = network.first(x)
        assert found["first"] == pytest.approx(first.flatten(1).numpy(), abs=1e-6)
        assert found["rest.2"] == pytest.approx(network.rest(first).numpy(), abs=1e-6)
    assert found["first"].dtype == np.float32
    assert capture(network, ("first",), parts, pool="mean")["first"] == pytest.approx(
        first.mean(dim=(2, 3)).numpy(), abs=1e-6
    )
    assert capture(network, ("first",), parts, pool="max")["first"] == pytest.approx(
        first.amax(dim=(2, 3)).numpy(), abs=1e-6
    )


def test_one_forward_pass_a_batch_whatever_the_number_of_layers(network):
    calls = []

    def call(x):
        calls.append(len(x))
        return network(x)

    capture(network, ("first", "rest", "rest.0", "rest.2"), batches()[0], call=call)
    assert calls == [4, 4, 2]


def test_hooks_are_removed_whatever_happens(network):
    def hooks():
        return sum(len(module._forward_hooks) for module in network.modules())

    def watched_badly():
        with watch(network, ("first", "rest")):
            assert hooks() == 2
            _ = 1 / 0

    capture(network, ("first",), batches()[0])
    assert hooks() == 0
    with pytest.raises(ZeroDivisionError):
        watched_badly()
    assert hooks() == 0
    with pytest.raises(RequestError, match="layer pair: got an output of tuple, needs a tensor"):
        capture(network, ("pair",), batches()[0])
    assert hooks() == 0


def test_the_size_is_known_before(network):
    found = size(network, ("first", "rest"), batches()[0][0], samples=1000)
    assert found.shapes == {"first": (3, 4, 4), "rest": (5,)}
    assert found.bytes == 4 * 1000 * (48 + 5)
    assert size(network, ("first",), batches()[0][0], 1000, pool="mean").bytes == 4 * 1000 * 3


def test_every_layer_of_the_unet_can_be_had():
    unet = UNet(UNetSpec(width=4, attention=(4,)), 16, 7)
    x, condition = torch.zeros(2, 1, 16, 16), torch.zeros(2, 7)
    shapes = size(unet, ("stem", "up1", "attention.up1", "head"), (x, condition), 1).shapes
    assert shapes == {"stem": (4, 16, 16), "up1": (8, 4, 4), "attention.up1": (8, 4, 4), "head": (1, 16, 16)}


def test_mistakes(network):
    with pytest.raises(RequestError, match=r"layer: got 'frist', needs one of first, rest, unused, pair"):
        capture(network, ("frist",), batches()[0])
    with pytest.raises(RequestError, match="layers: got none"):
        capture(network, (), batches()[0])
    with pytest.raises(RequestError, match="layer unused: got no call"):
        capture(network, ("unused",), batches()[0])
    with pytest.raises(RequestError, match="batches: got none"):
        capture(network, ("first",), [])
