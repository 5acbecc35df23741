"""The variational autoencoder, against torch.distributions and the plain decoder."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from hyperfactor import RunSpec
from hyperfactor.generators.base import emphasis
from hyperfactor.generators.decoder import Decoder
from hyperfactor.generators.vae import VAE, divergence
from hyperfactor.runs.run import build_model, draw

SMALL = {"data": {"picture": {"size": 8}}, "model": {"kind": "vae", "width": 2, "hidden": 8, "encoder_width": 2}}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vae(**keys: object) -> VAE:
    model = build_model(RunSpec.parse({**SMALL, "model": {**SMALL["model"], **keys}}))
    assert isinstance(model, VAE)
    return model


def batch() -> tuple[Tensor, Tensor]:
    return torch.rand(5, 1, 8, 8, generator=seeded(1)), torch.randn(5, 32, generator=seeded(2))


def test_the_divergence_is_that_of_torch():
    mean, log_variance = torch.randn(2, 7, 3, generator=seeded(), dtype=torch.float64)
    theirs = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(dim=1)
    assert torch.allclose(divergence(mean, log_variance), theirs)
    assert divergence(torch.zeros(2, 4), torch.zeros(2, 4)).tolist() == [0, 0]


@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_the_loss_is_the_evidence_lower_bound(weight: float):
    """Of Gaussian pixels, by torch.distributions, with one sample of z."""
    model, (images, condition) = vae(kl_weight=weight, signal_weight=3.0), batch()
    mean, log_variance = model.encoder(images, condition).chunk(2, dim=1)
    q = Normal(mean, (log_variance / 2).exp())
    z = mean + q.stddev * torch.randn(mean.shape, generator=seeded(3))
    weights = emphasis(images, 0.0, 3.0)
    pixels = Normal(model.network(torch.cat([condition, z], dim=1)), (weight / (2 * weights)).sqrt())
    constants = (math.log(2 * math.pi) + (weight / (2 * weights)).log()) / 2
    bound = (pixels.log_prob(images) + constants).sum() / 5 - kl_divergence(q, Normal(0.0, 1.0)).sum() / 5
    assert model.loss(images, condition, seeded(3)).item() == pytest.approx(-bound.item() * weight / 64, rel=1e-5)


def test_an_encoder_that_tells_nothing_leaves_the_error_of_a_drawing():
    """q = N(0, 1): no divergence, and z is that of a drawing."""

    class Silent(nn.Module):
        def forward(self, images: Tensor, condition: Tensor) -> Tensor:
            return torch.zeros(len(images), 6)

    images, condition = batch()
    network = nn.Sequential(nn.Linear(32 + 3, 64), nn.Unflatten(1, (1, 8, 8)))
    model = VAE(network, Silent(), 3, kl_weight=5.0, signal_weight=0.0)
    z = torch.randn(5, 3, generator=seeded(4))
    expected = (network(torch.cat([condition, z], dim=1)) - images).square().mean()
    assert torch.allclose(model.loss(images, condition, seeded(4)), expected)


def test_without_latent_numbers_it_is_the_plain_decoder():
    given = {"width": 2, "hidden": 8}
    ours = build_model(RunSpec.parse({**SMALL, "model": {"kind": "vae", "latent": 0, "kl_weight": 0, **given}}))
    plain = build_model(RunSpec.parse({**SMALL, "model": {"kind": "decoder", **given}}))
    assert type(ours) is Decoder
    weights = plain.state_dict()
    assert ours.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in ours.state_dict().items())
    assert torch.equal(ours.loss(*batch(), seeded()), plain.loss(*batch(), seeded()))


def test_pictures_depend_on_the_seed_and_not_on_the_batch():
    spec = RunSpec.parse(SMALL)
    model = build_model(spec)
    nn.init.constant_(model.network.get_parameter("head.bias"), 0.5)  # a grey that can be brighter and darker
    points = spec.task.points[:40]
    together = draw(model, spec, points, 3)
    alone = draw(model, spec, points[7:8], 3)
    assert together[7:8] == pytest.approx(alone, abs=1e-5)
    assert abs(together - draw(model, spec, points, 4)).max() > 1e-4


def test_the_gradient_reaches_every_weight():
    model = vae()
    model.loss(*batch(), seeded()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
