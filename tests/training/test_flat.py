import pytest
import torch
from torch import nn

from hyperfactor import RequestError
from hyperfactor.training.flat import flatten


def module() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(1, 4), nn.Conv2d(4, 2, 1))
    layers[2].weight.requires_grad_(False)
    return layers.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def trained(layers: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in layers.parameters() if weight.requires_grad]


def test_the_vector_holds_each_trainable_weight_once_and_leaves_values_and_layouts():
    plain, flat = module(), module()
    whole = flatten(trained(flat))
    assert whole.numel() == 3 * 4 * 9 + 4 + 4 + 4 + 2
    assert torch.equal(
        whole.sort().values, torch.cat([w.flatten() for w in plain.parameters() if w.requires_grad]).sort().values
    )
    for old, new in zip(plain.parameters(), flat.parameters(), strict=True):
        assert torch.equal(old, new)
        assert old.stride() == new.stride()


def test_a_change_of_the_vector_is_one_of_the_weights_and_back():
    flat = module()
    whole = flatten(trained(flat))
    with torch.no_grad():
        whole.fill_(2.0)
        assert all((w == 2).all() for w in flat.parameters() if w.requires_grad)
        assert flat.get_parameter("2.weight").abs().max() < 2
        flat.get_parameter("0.bias").zero_()
    assert (whole == 0).sum() == 4


def test_gradients_add_up_in_the_vector():
    plain, flat = module(), module()
    whole = flatten(trained(flat))
    pictures = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    for layers in (plain, flat):
        for _ in range(2):
            layers(pictures).square().sum().backward()
    assert whole.grad is not None
    assert torch.allclose(
        whole.grad.norm(), nn.utils.get_total_norm([w.grad for w in plain.parameters() if w.grad is not None])
    )
    for old, new in zip(plain.parameters(), flat.parameters(), strict=True):
        assert (old.grad is None) == (new.grad is None)
        if old.grad is not None and new.grad is not None:
            assert torch.allclose(old.grad, new.grad, rtol=1e-5, atol=1e-6)


def test_weights_that_fit_no_vector_are_refused_in_one_line():
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(RequestError, match=r"^weights: got torch.float32 on cpu, torch.float64 on cpu, needs"):
        flatten(trained(mixed))
    with pytest.raises(RequestError, match="^weights: got none to train, needs"):
        flatten([])
