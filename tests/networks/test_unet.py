import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hyperfactor import RequestError
from hyperfactor.networks.blocks import upsampled_by_products
from hyperfactor.networks.decoder import decoder
from hyperfactor.networks.unet import BLOCKS, LAYERS, UNet


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
    ("width", "attention", "channels"),
    [
        (8, ("down2", "down3", "up1"), [32, 32, 16]),
        (64, BLOCKS, [128, 256, 256, 128, 64, 64]),
        (8, (), []),
    ],
)
def test_parameters_by_hand(width, attention, channels):
    network = UNet((1, 32, 32), 192, width, attention)
    assert sum(p.numel() for p in network.parameters()) == by_hand(width, 192, channels)


def shapes_of(network: nn.Module, names: tuple[str, ...], *inputs: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """What each layer puts out for one sample."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in names:

        def record(_module, _inputs, output: torch.Tensor, name: str = name) -> None:
            shapes[name] = tuple(output.shape[1:])

        network.get_submodule(name).register_forward_hook(record)
    network(*inputs)
    return shapes


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 32, 32), (3, 16, 40)])
def test_the_shape_of_every_named_layer(shape):
    w, (colours, rows, columns) = 8, shape

    def at(channels: int, halvings: int) -> tuple[int, int, int]:
        return channels, rows >> halvings, columns >> halvings

    network = UNet(shape, 10, w, BLOCKS)
    assert shapes_of(network, LAYERS, torch.zeros(3, *shape), torch.zeros(3, 10)) == {
        "stem": at(w, 0), "down1": at(2 * w, 1), "down2": at(4 * w, 2), "down3": at(4 * w, 3),
        "bottleneck": at(4 * w, 3), "up1": at(2 * w, 2), "up2": at(w, 1), "up3": at(w, 0), "head": at(colours, 0),
    }  # fmt: skip
    layers = ("stem", "up1", "up2", "up3", "head")
    assert shapes_of(decoder(shape, 10, w), layers, torch.zeros(3, 10)) == {
        "stem": at(8 * w, 3), "up1": at(4 * w, 2), "up2": at(2 * w, 1), "up3": at(w, 0), "head": at(colours, 0),
    }  # fmt: skip


def test_the_gradient_reaches_every_parameter():
    torch.manual_seed(0)
    network = UNet((1, 32, 32), 10, attention=BLOCKS)
    network(torch.randn(2, 1, 32, 32), torch.randn(2, 10)).square().sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_pictures_in_a_batch_do_not_mix():
    torch.manual_seed(0)
    network = UNet((1, 32, 32), 10, attention=("down2", "down3", "up1")).eval()
    x, c = torch.randn(4, 1, 32, 32), torch.randn(4, 10)
    assert torch.allclose(network(x, c)[2:3], network(x[2:3], c[2:3]), atol=1e-5)


def test_the_condition_matters_and_enters_each_block():
    network = UNet((1, 32, 32), 10)
    widths = [m.in_features for m in network.modules() if isinstance(m, nn.Linear) and m.in_features == 10]
    assert len(widths) == 6  # three down blocks, three up blocks
    x = torch.randn(1, 1, 32, 32)
    assert not torch.allclose(network(x, torch.zeros(1, 10)), network(x, torch.ones(1, 10)))


@pytest.mark.parametrize("shape", [(1, 32, 20), (1, 4, 32), (3, 0, 8)])
def test_sides_that_cannot_be_halved_three_times_are_refused(shape):
    for network in (UNet, decoder):
        with pytest.raises(
            RequestError, match=f"model: got pictures of {shape[1]} x {shape[2]} pixels, needs multiples of 8"
        ):
            network(shape, 10)


def test_the_gain_scales_the_first_weights_of_the_condition_and_nothing_else():
    def weights(gain: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        return UNet((1, 16, 16), 5, 4, ("up1",), gain).state_dict()

    usual, wider = weights(1.0), weights(3.0)
    projections = {name for name in usual if name.endswith("condition.project.weight")}
    assert len(projections) == 6
    for name, value in usual.items():
        assert torch.equal(wider[name], 3 * value if name in projections else value)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_upsampling_by_products_is_torchs_bilinear_upsampling(aligned, layout):
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    given = [x.clone(memory_format=layout).requires_grad_() for _ in range(2)]
    own = upsampled_by_products(given[0], aligned)
    of_torch = F.interpolate(given[1], scale_factor=2, mode="bilinear", align_corners=aligned)
    torch.testing.assert_close(own, of_torch, rtol=0, atol=1e-12)
    weights = torch.randn(own.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    a, b = (torch.autograd.grad((out * weights).sum(), x)[0] for out, x in zip((own, of_torch), given, strict=True))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
