"""The diffusion transformer, against torch's attention, diffusers' codes of places, and counts by hand."""

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_2d_sincos_pos_embed
from torch import nn

from hyperfactor import RequestError, RunSpec
from hyperfactor.generators.denoiser import Denoiser
from hyperfactor.networks.layers import watch
from hyperfactor.networks.transformer import Block, Head, Transformer, places
from hyperfactor.runs.run import build_model


def awake(network: nn.Module) -> nn.Module:
    """The network, with random numbers in place of the zeros with which training begins."""
    stream = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        if not weight.any():
            nn.init.normal_(weight, std=0.3, generator=stream)
    return network


def test_a_block_is_attention_and_a_perceptron_between_shifts_and_scales():
    torch.manual_seed(0)
    block = awake(Block(8, 2))
    assert isinstance(block, Block)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": block.qkv.weight, "in_proj_bias": block.qkv.bias,
            "out_proj.weight": block.out.weight, "out_proj.bias": block.out.bias,
        }
    )  # fmt: skip
    h, code = torch.randn(3, 8, 2, 5), torch.randn(3, 8)
    a, b, c, d, e, f = F.linear(code, block.modulation.weight, block.modulation.bias).reshape(3, 6, 1, 8).unbind(1)
    tokens = h.permute(0, 2, 3, 1).reshape(3, 10, 8)
    shown = nn.LayerNorm(8, elementwise_affine=False)(tokens) * (1 + b) + a
    tokens = tokens + c * theirs(shown, shown, shown)[0]
    shown = nn.LayerNorm(8, elementwise_affine=False)(tokens) * (1 + e) + d
    tokens = tokens + f * block.mlp(shown)
    assert torch.allclose(block(h, code).permute(0, 2, 3, 1).reshape(3, 10, 8), tokens, atol=1e-5)


def test_codes_of_places_are_those_of_diffusers():
    """Theirs begin with the place along the width."""
    theirs = get_2d_sincos_pos_embed(16, 5, base_size=5, output_type="pt")
    ours = places(5, 5, 16)[0].permute(2, 1, 0).reshape(25, 16)
    assert torch.allclose(ours.double(), theirs.double(), atol=1e-6)
    assert places(2, 3, 8).shape == (1, 8, 2, 3)


def test_the_untrained_network_puts_out_zero_and_its_blocks_change_nothing():
    network = Transformer((3, 8, 12), 5, width=8, depth=2, heads=2, patch=4)
    with watch(network, ("patches", "block1", "block2")) as seen:
        assert not network(torch.randn(2, 3, 8, 12), torch.randn(2, 5)).any()
    assert {name: value.shape[1:] for name, value in seen.items()} == dict.fromkeys(seen, (8, 2, 3))
    assert torch.equal(seen["block1"], seen["block2"])
    assert torch.allclose(seen["block1"], seen["patches"] + places(2, 3, 8))


def test_each_token_becomes_the_pixels_of_its_patch():
    torch.manual_seed(0)
    head = awake(Head(8, 3, 4))
    h, code = torch.randn(1, 8, 2, 3), torch.randn(1, 8)
    changed = h.clone()
    changed[:, :, 1, 2] += torch.randn(8)
    differs = (head(h, code) != head(changed, code))[0]
    expected = torch.zeros(8, 12, dtype=torch.bool)
    expected[4:, 8:] = True
    assert torch.equal(differs, expected.expand(3, 8, 12))


def test_the_gradient_reaches_every_weight_and_pictures_of_a_batch_do_not_mix():
    torch.manual_seed(0)
    network = awake(Transformer((1, 8, 8), 5, width=8, depth=2, heads=2, patch=2))
    x, vector = torch.randn(3, 1, 8, 8), torch.randn(3, 5)
    out = network(x, vector)
    out.square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert torch.allclose(out[1:2], network(x[1:2], vector[1:2]), atol=1e-5)
    assert not torch.allclose(out, network(x, vector.flip(0)), atol=1e-2)


def test_weights_by_hand():
    w, length, depth, pixels = 64, 16 + 32, 5, 16
    block = 6 * w * (w + 1) + 3 * w * (w + 1) + w * (w + 1) + 4 * w * (w + 1) + w * (4 * w + 1)
    vector, head = w * (length + 1) + w * (w + 1), 2 * w * (w + 1) + pixels * (w + 1)
    network = build_model(RunSpec.parse({"model": {"kind": "transformer"}})).network
    assert sum(p.numel() for p in network.parameters()) == vector + w * (pixels + 1) + depth * block + head


def test_only_the_network_differs_from_the_u_net_s_denoiser():
    sections = {"diffusion": {"prediction": "v", "timesteps": 50}, "sampling": {"steps": 3}}
    model = build_model(RunSpec.parse({"model": {"kind": "transformer"}, **sections}))
    other = build_model(RunSpec.parse(sections))
    assert type(model) is type(other) is Denoiser
    assert (model.diffusion, model.sampling, model.shape) == (other.diffusion, other.sampling, other.shape)
    assert model.default_layer == "block3"
    model.network.get_submodule("block3")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"patch": 5}, "model.patch: got 5 for pictures of 32 x 32 pixels, needs a divisor of both"),
        ({"heads": 3}, "heads: got 3, needs a divisor of width, 64"),
        ({"width": 6}, "model.width: got 6, needs an integer that is a multiple of 4"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(keys: dict, message: str):
    with pytest.raises(RequestError, match=message):
        RunSpec.parse({"model": {"kind": "transformer", **keys}})
