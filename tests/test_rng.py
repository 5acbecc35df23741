import numpy as np
import torch

from hyperfactor import rng


def test_a_stream_is_its_name_and_nothing_else():
    a = rng.stream(1, "noise", 5).normal(size=4)
    rng.stream(1, "noise", 6).normal(size=100)
    assert (rng.stream(1, "noise", 5).normal(size=4) == a).all()


def test_streams_of_other_names_are_other_streams():
    names = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, "a", 0, 1), (0, "a", 2**63)]
    first = {float(rng.stream(*name).random()) for name in names}
    assert len(first) == len(names)
    seeds = {rng.torch_stream(*name).initial_seed() for name in names}
    assert len(seeds) == len(names)


def test_streams_do_not_depend_on_the_library_s_version():
    """The first draws, as recorded once: a change would change every run."""
    assert rng.stream(0, "check").integers(0, 1000, 3).tolist() == [483, 984, 880]
    assert torch.randint(1000, (3,), generator=rng.torch_stream(0, "check")).tolist() == [185, 436, 861]


def test_neighbouring_streams_are_not_correlated():
    draws = np.array([rng.stream(0, "noise", k).normal(size=2000) for k in range(8)])
    assert np.abs(np.corrcoef(draws) - np.eye(8)).max() < 0.1


def test_the_global_generator_is_put_back():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with rng.torch_seeded(0, "x"):
        a = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with rng.torch_seeded(0, "x"):
        assert torch.equal(torch.rand(2), a)
