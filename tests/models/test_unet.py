import pytest
import torch
from torch import nn

from hyperfactor import RequestError
from hyperfactor.models.unet import LAYERS, UNet, UNetSpec


def by_hand(w: int, condition: int, attention: list[int]) -> int:
    """Trained numbers, counted from the published description at base width w.

    attention: the channels of each attention.
    """

    def conv3(a, b):
        return 9 * a * b  # no bias

    def norm(c):
        return 2 * c

    def double(a, b, m):
        return conv3(a, m) + norm(m) + conv3(m, b) + norm(b)

    def projection(c):
        return condition * c + c

    def down(a, b):
        return double(a, a, a) + double(a, b, b) + projection(b)

    def up(a, b):  # a: channels after the skip is joined
        return double(a, a, a) + double(a, b, a // 2) + projection(b)

    def attend(c):
        return norm(c) + (3 * c * c + 3 * c) + (c * c + c) + norm(c) + 2 * (c * c + c)

    stem = double(1, w, w)
    downs = down(w, 2 * w) + down(2 * w, 4 * w) + down(4 * w, 4 * w)
    bottleneck = double(4 * w, 8 * w, 8 * w) + double(8 * w, 8 * w, 8 * w) + double(8 * w, 4 * w, 4 * w)
    ups = up(8 * w, 2 * w) + up(4 * w, w) + up(2 * w, w)
    return stem + downs + bottleneck + ups + (w + 1) + sum(attend(c) for c in attention)


@pytest.mark.parametrize(
    ("width", "sizes", "channels"),
    [
        (8, (8, 4), [32, 32, 16]),  # down2, down3, up1
        (64, (32, 16, 8, 4), [128, 256, 256, 128, 64, 64]),
        (8, (), []),
    ],
)
def test_parameters_by_hand(width, sizes, channels):
    network = UNet(UNetSpec(width=width, attention=sizes), 32, condition=192)
    assert sum(p.numel() for p in network.parameters()) == by_hand(width, 192, channels)


@pytest.mark.parametrize("size", [16, 32])
def test_the_shape_of_every_named_layer(size):
    w = 8
    network = UNet(UNetSpec(width=w), size, condition=10)
    shapes: dict[str, tuple[int, ...]] = {}
    for name in LAYERS:

        def record(_module, _inputs, output: torch.Tensor, name: str = name) -> None:
            shapes[name] = tuple(output.shape[1:])

        network.get_submodule(name).register_forward_hook(record)
    assert network(torch.zeros(3, 1, size, size), torch.zeros(3, 10)).shape == (3, 1, size, size)
    half, quarter, eighth = size // 2, size // 4, size // 8
    assert shapes == {
        "stem": (w, size, size),
        "down1": (2 * w, half, half),
        "down2": (4 * w, quarter, quarter),
        "down3": (4 * w, eighth, eighth),
        "bottleneck": (4 * w, eighth, eighth),
        "up1": (2 * w, quarter, quarter),
        "up2": (w, half, half),
        "up3": (w, size, size),
        "head": (1, size, size),
    }


def test_the_gradient_reaches_every_parameter():
    torch.manual_seed(0)
    network = UNet(UNetSpec(width=8, attention=(32, 16, 8, 4)), 32, condition=10)
    network(torch.randn(2, 1, 32, 32), torch.randn(2, 10)).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_pictures_in_a_batch_do_not_mix():
    torch.manual_seed(0)
    network = UNet(UNetSpec(), 32, condition=10).eval()
    x, c = torch.randn(4, 1, 32, 32), torch.randn(4, 10)
    assert torch.allclose(network(x, c)[2:3], network(x[2:3], c[2:3]), atol=1e-5)


def test_the_condition_matters_and_enters_each_block():
    network = UNet(UNetSpec(), 32, condition=10)
    widths = [m.in_features for m in network.modules() if isinstance(m, nn.Linear) and m.in_features == 10]
    assert len(widths) == 6  # three down blocks, three up blocks
    x = torch.randn(1, 1, 32, 32)
    assert not torch.allclose(network(x, torch.zeros(1, 10)), network(x, torch.ones(1, 10)))


def test_attention_at_a_size_that_no_block_has_is_refused():
    with pytest.raises(RequestError, match=r"model.attention: got \[7\], needs sizes among \[32, 16, 8, 4\]"):
        UNet(UNetSpec(attention=(7,)), 32, condition=10)
