"""Plain decoders."""

import numpy as np
import pytest
import torch
from torch import nn

from hyperfactor import RunSpec
from hyperfactor.generators.decoder import Decoder
from hyperfactor.networks.decoder import decoder, perceptron
from hyperfactor.runs import cost
from hyperfactor.runs.run import build_model

MATCHED = [
    pytest.param({"kind": "decoder", "hidden": 224}, id="decoder"),
    pytest.param({"kind": "mlp"}, id="mlp"),
    pytest.param({"kind": "transformer"}, id="transformer"),
    pytest.param({"kind": "vae"}, id="vae"),
    pytest.param({"kind": "gan"}, id="gan"),
]


@pytest.mark.parametrize("model", MATCHED)
def test_a_generator_has_as_many_weights_as_the_u_net_to_within_a_tenth(model: dict):
    spec = RunSpec.parse({"model": model})
    drawing = sum(weights.numel() for weights in build_model(spec).network.parameters())
    for count in (drawing, cost.parameters(spec)):  # without and with an encoder or a discriminator
        assert count == pytest.approx(cost.parameters(RunSpec()), rel=0.1)


def test_a_plain_decoder_has_no_latent_numbers_and_the_weighted_error_of_its_picture_as_loss():
    class Grey(nn.Module):
        def forward(self, vector: torch.Tensor) -> torch.Tensor:
            assert vector.shape == (5, 3)
            return torch.full((5, 1, 4, 4), 0.3)

    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = Decoder(Grey(), 20.0, 0.1).loss(images, torch.zeros(5, 3), torch.Generator())
    x = images.double().numpy()
    assert found.item() == pytest.approx(np.mean((1 + 20 * np.abs(x - 0.1)) * (0.3 - x) ** 2))


def test_latent_numbers_come_from_the_stream_of_each_sample():
    """A network that shows them: standard normal numbers, the same in every batch, after the condition."""
    shown = nn.Unflatten(1, (1, 1, 6))
    model = Decoder(shown, latent=4)
    assert [value.shape for value in model.inputs(torch.zeros(3, 2))] == [(3, 6)]

    def streams() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(k) for k in range(3)]

    condition = torch.tensor([[0.25, 0.5]]).expand(3, 2)
    together = model.sample(condition, streams())
    expected = [torch.randn(4, generator=stream).clamp(0, 1) for stream in streams()]
    assert torch.equal(together[:, 0, 0, 2:], torch.stack(expected))
    assert torch.equal(together[:, 0, 0, :2], condition)
    alone = [model.sample(condition[:1], [stream]) for stream in streams()]
    assert torch.equal(torch.cat(alone), together)


def test_the_hidden_layer_of_a_convolutional_decoder_has_32_units_a_channel_or_as_many_as_asked_for():
    def weights(*given: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        return decoder((1, 8, 8), 5, *given).state_dict()

    usual, same, fewer = weights(2), weights(2, 64), weights(2, 10)
    assert all(torch.equal(usual[name], same[name]) for name in usual)
    assert fewer["stem.0.weight"].shape == (10, 5)


def test_the_layers_of_a_perceptron():
    network = perceptron((3, 5, 7), 4, width=6, depth=3)
    assert [name for name, _ in network.named_children()] == ["hidden1", "hidden2", "hidden3", "head"]
    assert sum(weights.numel() for weights in network.parameters()) == 5 * 6 + 2 * 7 * 6 + 7 * 3 * 5 * 7
    assert network(torch.zeros(2, 4)).shape == (2, 3, 5, 7)


@pytest.mark.parametrize(("depth", "layer"), [(1, "hidden1"), (2, "hidden1"), (3, "hidden2")])
def test_a_perceptron_is_read_in_the_middle(depth: int, layer: str):
    spec = RunSpec.parse({"model": {"kind": "mlp", "depth": depth}, "data": {"picture": {"size": 24}}})
    model = spec.model.build((1, 24, 24), 8, background=0, diffusion=spec.diffusion, sampling=spec.sampling)
    assert model.default_layer == layer
    model.network.get_submodule(layer)


def test_operations_of_a_perceptron():
    """2 for each weight of a matrix in a call, twice as many more for the gradient, but for that of the condition."""
    spec = RunSpec.parse({"model": {"kind": "mlp", "width": 10, "depth": 2}, "training": {"steps": 1, "batch": 1}})
    first, rest = 32 * 10, 10 * 10 + 10 * 32**2
    assert cost.training(spec) == 2 * (2 * first + 3 * rest)
    assert cost.judging(spec) == 2 * (first + rest) * 32**2
