import numpy as np
import pytest
import torch
from torch import nn

from hyperfactor.errors import RequestError
from hyperfactor.networks.layers import capture, collect, size, watch
from hyperfactor.networks.unet import UNet


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


def test_outputs_are_gathered_by_the_stop_at_which_they_were_the_last(network):
    """Two stops a batch; before the first the module is called twice, of which the last call counts."""
    parts, x = batches()

    def visits():
        for (part,) in parts:
            network(-part)
            network(part)
            yield "picture"
            network(2 * part)
            yield "twice"

    with torch.no_grad():
        found = collect(network, "first", visits())
        expected = {"picture": network.first(x), "twice": network.first(2 * x)}
    assert list(found) == list(expected)
    for outputs, output in zip(found.values(), expected.values(), strict=True):
        assert outputs["first"] == pytest.approx(output.flatten(1).numpy(), abs=1e-6)
    with pytest.raises(RequestError, match="layer unused: got no call in a forward pass"):
        collect(network, "unused", iter(["stop"]))


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
    unet = UNet((1, 16, 16), 7, 4, ("down1", "up1"))
    x, condition = torch.zeros(2, 1, 16, 16), torch.zeros(2, 7)
    shapes = size(unet, ("stem", "up1", "attention.up1", "head"), (x, condition), 1).shapes
    assert shapes == {"stem": (4, 16, 16), "up1": (8, 4, 4), "attention.up1": (8, 4, 4), "head": (1, 16, 16)}


class Reused(nn.Module):
    """What a layer puts out is changed in place afterwards: by an activation, a residual, a buffer used again."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.same = nn.Identity()
        self.view = nn.Flatten()
        self.again = self.first
        self.kept = nn.Buffer(torch.zeros(2, 2, 4, 4))

    def forward(self, x):
        self.kept.copy_(self.same(self.first(x)))
        y = self.same(self.kept)
        y += 1000
        self.view(self.relu(y.sub_(1000)))[:, 0] = -7
        y *= 2
        return self.first(x + 1).mul_(0)


def test_a_layer_is_captured_before_later_code_changes_its_output_in_place():
    torch.manual_seed(0)
    network, x = Reused(), torch.randn(4, 1, 4, 4)
    with torch.no_grad():
        first, second = network.first(x).flatten(1), network.first(x + 1).flatten(1)
    found = capture(network, ("first", "relu", "same", "view"), [(part,) for part in x.split(2)])
    assert found["first"] == pytest.approx(second.numpy(), abs=1e-6)  # the last call of two
    assert found["same"] == pytest.approx(first.numpy(), abs=1e-6)
    for name in ("relu", "view"):
        assert found[name] == pytest.approx(first.relu().numpy(), abs=1e-4)  # 1000 was added and taken away
    assert capture(network, ("again",), [(x[:2],)])["again"] == pytest.approx(second[:2].numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (torch.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        (torch.arange(2), [[0], [1]]),
        (torch.ones(2, 3, 4, dtype=torch.bool), np.ones((2, 3))),
        (torch.full((2, 1, 4), 3e4, dtype=torch.float16), [[3e4], [3e4]]),
    ],
)
def test_outputs_of_other_types(output, expected):
    class Puts(nn.Module):
        def forward(self):
            return output

    network = nn.Sequential(Puts())
    assert capture(network, ("0",), [()], pool="mean", call=network[0])["0"] == pytest.approx(np.array(expected))
    assert size(network, ("0",), (), 10, pool="mean", call=network[0]).bytes == 4 * 10 * len(expected[0])


@pytest.mark.parametrize(("output", "said"), [
    (torch.ones(2, 3) * 1j, "layer 0: got an output of complex numbers"),
    (torch.tensor(1.0), "layer 0: got an output of one number, needs real numbers, a row for each sample"),
])  # fmt: skip
def test_outputs_that_would_lose_something_are_refused(output, said):
    network = nn.Sequential(nn.Identity())
    with pytest.raises(RequestError, match=said):
        capture(network, ("0",), [(output,)])


def test_mistakes(network):
    with pytest.raises(RequestError, match=r"layer: got 'frist', needs one of first, rest, unused, pair"):
        capture(network, ("frist",), batches()[0])
    with pytest.raises(RequestError, match="layers: got none"):
        capture(network, (), batches()[0])
    with pytest.raises(RequestError, match="layer unused: got no call"):
        capture(network, ("unused",), batches()[0])
    with pytest.raises(RequestError, match="batches: got none"):
        capture(network, ("first",), [])
