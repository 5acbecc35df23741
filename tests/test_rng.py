import re
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, strategies as st
from torch import nn

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.measures.embedding import umap
from hyperfactor.measures.geometry import clifford_torus, compare
from hyperfactor.measures.topology import persistence
from hyperfactor.percolation import boolean_model, site_percolation
from hyperfactor.runs.run import _streams


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


NUMBERS = st.integers(0, 3) | st.integers(2**32 - 2, 2**32 + 2) | st.integers(0, 2**80)
NAMES = st.tuples(st.integers(0, 1) | st.integers(0, 2**128 - 1), st.sampled_from("ab"), st.lists(NUMBERS, max_size=4))


@given(NAMES, NAMES)
@example((0, "a", [2**32]), (0, "a", [0, 1]))
@example((0, "a", [2**32, 5]), (0, "a", [0, 2**32 * 5 + 1]))
@example((2**96, "a", [1]), (0, "a", [0, 1]))
def test_no_two_names_share_a_stream(one, other):
    first, second = (
        rng.stream(seed, purpose, *index).bit_generator.seed_seq.entropy  # pyright: ignore[reportAttributeAccessIssue]
        for seed, purpose, index in (one, other)
    )
    draws = [
        rng.stream(seed, purpose, *index).integers(2**63, size=2).tolist() for seed, purpose, index in (one, other)
    ]
    assert (draws[0] == draws[1]) == (one == other)
    assert (first, second) == (one[0], other[0])


def test_names_of_numbers_below_2_to_the_32_have_the_streams_of_numpy_s_spawn_keys():
    for index in ((), (0,), (7, 2**32 - 1), (0, 0, 1)):
        expected = np.random.SeedSequence(2**32 - 1, spawn_key=(zlib.crc32(b"a"), *index))
        assert rng.stream(2**32 - 1, "a", *index).random() == np.random.Generator(np.random.PCG64(expected)).random()


def test_the_noise_of_a_picture_keeps_its_bits_and_no_two_points_share_it():
    space = FactorSpace((Factor("x", -4, 31), Factor("y", -4, 31)))
    points = np.array([[0.0, 3.0], [3.0, 0.0], [0.5, 1 / 3], [3.0, 0.0], [-0.0, 0.0], [0.0, 5e-324]])
    seeds = [stream.initial_seed() for stream in _streams(points, space, 5)]
    for point, again, found in zip(points[:4], (0, 0, 0, 1), seeds, strict=False):
        key = (zlib.crc32(b"sample"), *point.view(np.uint64).tolist(), again)
        expected = np.random.SeedSequence(5, spawn_key=key).generate_state(1, np.uint64)[0]
        assert found == int(expected >> np.uint64(1))
    assert len(set(seeds)) == len(points)


def test_purposes_have_words_of_their_own():
    source = Path(rng.__file__).parent.rglob("*.py")
    purposes = {
        name
        for path in source
        for name in re.findall(r"(?:stream|torch_seeded)\([^\"\n]*\"([^\"]+)\"", path.read_text())
    }
    assert {"sample", "model.weights", "training.noise", "topology.null"} <= purposes
    assert len({*(zlib.crc32(name.encode()) for name in purposes), rng.WIDE}) == len(purposes) + 1


@pytest.mark.parametrize("seed", [-1, 1.5, 1.0, None, True, np.True_, "1", np.float64(2), 2**128, [1], float("nan")])
def test_what_is_no_seed_is_refused(seed):
    for draw in (rng.stream, rng.torch_stream):
        with pytest.raises(RequestError, match=r"^seed: got .*, needs an integer of at least 0 and below 2\^128$"):
            draw(seed, "a")


@pytest.mark.parametrize("index", [-1, 1.5, None, True, "1"])
def test_what_is_no_index_is_refused(index):
    with pytest.raises(RequestError, match=r"^index of the stream 'a': got .*, needs an integer of at least 0$"):
        rng.stream(0, "a", 0, index)


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_every_measure_names_the_seed_that_it_refuses(seed):
    asked = [
        lambda: persistence(np.eye(5), seed=seed),
        lambda: compare(clifford_torus(6), seed=seed),
        lambda: umap(np.random.default_rng(0).random((30, 3)), seed=seed),
        lambda: site_percolation((8, 8), seed=seed),
        lambda: boolean_model(100, seed=seed),
    ]
    for request in asked:
        with pytest.raises(RequestError, match="^seed: got "):
            request()


def test_integers_of_numpy_and_torch_are_seeds():
    expected = rng.stream(3, "a", 4).random()
    for three, four in ((np.uint8(3), np.int64(4)), (torch.tensor(3), np.array(4))):
        assert rng.stream(three, "a", four).random() == expected  # pyright: ignore[reportArgumentType]


def test_streams_do_not_depend_on_the_library_s_version():
    """The first draws were recorded once. If they change, every run changes."""
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


@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.rand(2, 3),
        lambda: torch.randn(2, dtype=torch.float64),
        lambda: torch.randperm(9),
        lambda: torch.randint(5, (4,)),
        lambda: torch.empty(7).uniform_(-1, 2),
        lambda: torch.empty(40).normal_(1, 3),
        lambda: torch.empty(5).bernoulli_(0.3),
        lambda: torch.multinomial(torch.ones(6), 4),
        lambda: nn.init.trunc_normal_(torch.empty(9)),
        lambda: nn.init.orthogonal_(torch.empty(4, 4)),
        lambda: nn.Linear(3, 4).weight.detach(),
        lambda: nn.MultiheadAttention(8, 2).in_proj_weight.detach(),
    ],
)
def test_what_torch_draws_in_the_block_is_what_its_global_generator_would_draw(draw):
    with torch.random.fork_rng():
        torch.manual_seed(rng.torch_stream(4, "x", 2).initial_seed())
        expected = [draw(), draw()]
    before = torch.random.get_rng_state()
    with rng.torch_seeded(4, "x", 2):
        assert all(torch.equal(draw(), value) for value in expected)
        assert torch.equal(torch.random.get_rng_state(), before)  # also while the block lasts


def test_what_takes_no_generator_is_refused_in_the_block():
    with (
        pytest.raises(RuntimeError, match=r"aten\.native_dropout.*: draws without a generator"),
        rng.torch_seeded(0, "x"),
    ):
        torch.native_dropout(torch.ones(3), 0.5, True)


def test_threads_draw_beside_each_other():
    """Two threads in blocks of their own and the main thread outside any block draw in turns."""
    turns = threading.Barrier(3, timeout=60)

    def draws(seed: int | None) -> list[torch.Tensor]:
        with rng.torch_seeded(seed, "x") if seed is not None else nullcontext():
            found = []
            for _ in range(5):
                turns.wait()
                found.append(torch.empty(3).normal_())
            return found

    torch.manual_seed(11)
    with ThreadPoolExecutor(2) as pool:
        inside = [pool.submit(draws, seed) for seed in (1, 2)]
        outside = draws(None)
        found = [future.result() for future in inside]
    turns = threading.Barrier(1)
    torch.manual_seed(11)
    for seed, beside in ((1, found[0]), (2, found[1]), (None, outside)):
        assert all(torch.equal(a, b) for a, b in zip(draws(seed), beside, strict=True))


def test_numbers_of_rows_are_uniform_and_independent_of_the_other_rows():
    keys = np.stack(np.meshgrid(np.arange(-50, 50), np.arange(100), indexing="ij"), axis=-1).reshape(-1, 2)
    found = rng.uniform_at(0, "test", keys)
    assert (found == rng.uniform_at(0, "test", keys[::-1])[::-1]).all()
    assert np.histogram(found, bins=20, range=(0, 1))[0] == pytest.approx(500, abs=6 * np.sqrt(500))
    others = (rng.uniform_at(1, "test", keys), rng.uniform_at(0, "else", keys), rng.uniform_at(0, "test", keys + 1))
    neighbours = (np.roll(found, 1), np.roll(found.reshape(100, 100), 1, axis=0).ravel())
    for other in (*others, *neighbours, rng.uniform_at(0, "test", keys[:, ::-1])):
        assert abs(np.corrcoef(found, other)[0, 1]) < 0.05
