"""The encoder: a projection of the condition on features of the picture."""

import pytest
import torch

from hyperfactor import RequestError
from hyperfactor.networks.encoder import Encoder


def encoder(length: int = 1) -> Encoder:
    torch.manual_seed(0)
    return Encoder((3, 16, 24), 5, length, width=2)


def test_with_one_output_it_is_the_projection_discriminator():
    """A score of the picture, plus the scalar product of its features with an embedding of the condition."""
    network, x, c = encoder(), torch.randn(4, 3, 16, 24), torch.randn(4, 5)
    features = network.features(network.conv3(network.conv2(network.conv1(x))).flatten(1))
    embedding = network.embedding(c) * network.vector.weight
    expected = network.vector(features)[:, 0] + (features * embedding).sum(dim=1)
    assert torch.allclose(network(x, c)[:, 0], expected, atol=1e-6)


def test_shapes_weights_and_samples():
    network, x, c = encoder(7), torch.randn(4, 3, 16, 24), torch.randn(4, 5)
    shapes = []
    for name in ("conv1", "conv2", "conv3"):
        network.get_submodule(name).register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    out = network(x, c)
    assert shapes == [(4, 8, 12), (8, 4, 6), (8, 2, 3)]
    by_hand = (27 * 4 + 4) + (36 * 8 + 8) + (72 * 8 + 8) + (48 * 16 + 16) + (6 * 16 + 17 * 16) + 17 * 7
    assert sum(p.numel() for p in network.parameters()) == by_hand
    assert torch.allclose(network(x[1:2], c[1:2]), out[1:2], atol=1e-6)


def test_sides_that_cannot_be_halved_three_times_are_refused():
    with pytest.raises(RequestError, match="model: got pictures of 12 x 8 pixels, needs multiples of 8"):
        Encoder((1, 12, 8), 5, 1)
