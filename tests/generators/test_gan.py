"""The conditional GAN: two losses in one."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hyperfactor import RunSpec
from hyperfactor.generators.gan import GAN
from hyperfactor.networks.decoder import perceptron
from hyperfactor.networks.encoder import Encoder
from hyperfactor.runs import cost
from hyperfactor.runs.run import build_model, draw
from hyperfactor.training.loop import fit

SMALL = {"data": {"picture": {"size": 8}}, "model": {"kind": "gan", "width": 2, "hidden": 8, "judge_width": 2}}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch() -> tuple[Tensor, Tensor]:
    return torch.rand(5, 1, 8, 8, generator=seeded(1)), torch.randn(5, 32, generator=seeded(2))


def gan() -> GAN:
    model = build_model(RunSpec.parse(SMALL))
    assert isinstance(model, GAN)
    return model


def test_each_player_gets_the_gradient_of_its_own_loss():
    """Computed alone, by plain autograd: L_D in the weights of D with G fixed, and L_G in those of G with D fixed."""
    model, (images, condition) = gan(), batch()
    model.loss(images, condition, seeded(3)).backward()
    z = torch.randn(5, 16, generator=seeded(3))

    def drawn() -> Tensor:
        return model.network(torch.cat([condition, z], dim=1))

    true, false = images.clone().requires_grad_(), drawn().detach().requires_grad_()
    by_true, by_false = (model.discriminator(x, condition) for x in (true, false))
    slopes = [
        torch.autograd.grad(score.sum(), x, create_graph=True)[0] for score, x in ((by_true, true), (by_false, false))
    ]
    penalty = sum((slope**2).sum() / 5 for slope in slopes)
    of_judge = -nn.functional.logsigmoid(by_true - by_false).mean() + model.penalty / 2 * penalty
    for weight, alone in zip(model.discriminator.parameters(), gradients(of_judge, model.discriminator), strict=True):
        assert weight.grad is not None
        assert torch.allclose(weight.grad, alone, atol=1e-6)
    scores = model.discriminator(images, condition), model.discriminator(drawn(), condition)
    of_network = -nn.functional.logsigmoid(scores[1] - scores[0]).mean()
    for weight, alone in zip(model.network.parameters(), gradients(of_network, model.network), strict=True):
        assert weight.grad is not None
        assert alone.any()
        assert torch.allclose(weight.grad, alone, atol=1e-6)


def gradients(loss: Tensor, module: nn.Module) -> tuple[Tensor, ...]:
    """The gradient of a loss in each weight; 0 where the loss does not depend on it, as on the last bias of D."""
    weights = tuple(module.parameters())
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return tuple(torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True))


def test_the_losses_of_a_discriminator_that_is_linear():
    """Its score is a sum over pixels times a, so that its squared slope is 64 a^2. The losses are closed forms."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.tensor(0.1))

        def forward(self, images: Tensor, condition: Tensor) -> Tensor:
            return self.a * images.sum(dim=(1, 2, 3))[:, None]

    true, false = torch.full((3, 1, 8, 8), 0.5), torch.full((3, 1, 8, 8), 0.25, requires_grad=True)
    model = GAN(nn.Identity(), Sum(), latent=1, penalty=4.0)
    nothing, ahead = torch.zeros(3, 0), 0.1 * (0.5 - 0.25) * 64
    of_judge = model.loss_of_discriminator(true, false, nothing)
    of_network = model.loss_of_network(true, false, nothing)
    assert of_judge.item() == pytest.approx(np.log1p(np.exp(-ahead)) + 4 / 2 * 2 * 64 * 0.1**2)
    assert of_network.item() == pytest.approx(np.log1p(np.exp(ahead)))
    of_network.backward()
    assert model.discriminator.a.grad is None
    assert false.grad is not None
    assert torch.allclose(false.grad, torch.full_like(false, -0.1 / 3 / (1 + np.exp(-ahead))))


def test_at_the_solution_no_player_gains():
    """Drawn pictures equal true ones, and the discriminator is flat: neither loss has a slope."""
    images, condition = batch()

    class Perfect(nn.Module):
        def __init__(self):
            super().__init__()
            self.images = nn.Parameter(images.clone())

        def forward(self, vector: Tensor) -> Tensor:
            return self.images

    model = GAN(Perfect(), gan().discriminator, latent=2, penalty=1.0)
    nn.init.zeros_(model.discriminator.get_parameter("vector.weight"))
    loss = model.loss(images, condition, seeded())
    loss.backward()
    assert loss.item() == pytest.approx(2 * np.log(2))
    assert all(weight.grad is None or not weight.grad.abs().max() > 1e-7 for weight in model.parameters())


def test_pictures_depend_on_the_seed_and_not_on_the_batch():
    spec, model = RunSpec.parse(SMALL), gan()
    nn.init.constant_(model.network.get_parameter("head.bias"), 0.5)  # a grey that can be brighter and darker
    points = spec.task.points[:40]
    together = draw(model, spec, points, 3)
    assert together[7:8] == pytest.approx(draw(model, spec, points[7:8], 3), abs=1e-5)
    assert abs(together - draw(model, spec, points, 4)).max() > 1e-4


def test_operations_include_those_of_the_discriminator_and_of_the_gradient_in_its_slope():
    def of(kind: dict) -> int:
        return cost.training(RunSpec.parse({"model": kind, "training": {"steps": 1, "batch": 1}}))

    plain = of({"kind": "vae", "latent": 0})
    narrow, wide = (of({"kind": "gan", "judge_width": width}) - plain for width in (8, 16))
    call = 2 * (16 * 9 * 256 + 32 * 16 * 9 * 64 + 32 * 32 * 9 * 16 + 512 * 64)  # of the discriminator's convolutions
    assert narrow > 4 * 3 * call  # two calls with a gradient, two with a gradient of a gradient
    assert wide > 3 * narrow


def test_it_learns_to_follow_the_condition():
    """Of four bumps, the drawing of each is nearest to its own picture."""
    picture = {"family": "bump", "size": 8, "boundary": "periodic"}
    training = {"steps": 400, "batch": 8, "betas": [0, 0.99], "learning_rate": 3e-3, "warmup": 10, "ema": 0.9}
    data, encoding = {"picture": picture, "spacing": 4.0}, {"kind": "periodic", "harmonics": 1}
    spec = RunSpec.parse({"data": data, "encoding": encoding, "training": {**training, "evaluate_every": 0}})
    torch.manual_seed(0)
    model = GAN(perceptron((1, 8, 8), 4 + 2, 32, 1), Encoder((1, 8, 8), 4, 1, 4), latent=2, penalty=1.0)
    model, _ = fit(model, spec.task, spec.training, 0)
    truth, drawn = spec.task.render(spec.task.points), draw(model, spec, spec.task.points, 0)
    distances = ((drawn[:, None] - truth[None]) ** 2).sum(axis=(2, 3, 4))
    assert distances.argmin(axis=1).tolist() == [0, 1, 2, 3]
