import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from hyperfactor import RequestError, Run, RunSpec, rng
from hyperfactor.factors.regions import Corner
from hyperfactor.generators.denoiser import TIME_CODE, Denoiser
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.measures.accuracy import measure
from hyperfactor.measures.geometry import additivity
from hyperfactor.runs import device, run as run_module
from hyperfactor.runs.run import build_model, draw
from hyperfactor.subjects.judge import summarize

POINTS = np.array([[1.0, 2.0], [3.5, 4.25], [9.0, 1.0], [1.0, 2.0], [0.0, 15.0]])


def test_pictures_have_the_contract_s_shape_and_range(run: Run):
    images = run.sample(POINTS)
    assert images.shape == (5, 1, 16, 16)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert run.sample(POINTS[:0]).shape == (0, 1, 16, 16)


def test_pictures_by_another_sampler_are_those_of_a_spec_that_has_it(run: Run):
    other = SamplingSpec(sampler="ddpm", steps=7)
    model = build_model(run.spec.model_copy(update={"sampling": other}))
    model.load_state_dict(run.model.state_dict())
    assert np.array_equal(run.sample(POINTS, seed=2, sampling=other), draw(model, run.spec, POINTS, seed=2))
    plain = other.model_dump()
    assert np.array_equal(run.sample(POINTS, seed=2, sampling=other), run.sample(POINTS, seed=2, sampling=plain))
    assert np.array_equal(run.sample(POINTS, sampling=run.spec.sampling), run.sample(POINTS))
    with pytest.raises(RequestError, match="sampler: got 'dream'"):
        run.sample(POINTS, sampling={"sampler": "dream"})
    with pytest.raises(RequestError, match=r"sampling.steps: got 1001, needs at most diffusion.timesteps, 1000"):
        run.sample(POINTS, sampling=SamplingSpec(steps=1001))


@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver++", "ddpm"])
def test_neither_batches_nor_order_change_a_picture(tiny: RunSpec, sampler, monkeypatch):
    spec = tiny.model_copy(update={"sampling": tiny.sampling.model_copy(update={"sampler": sampler})})
    model = build_model(spec)
    whole = draw(model, spec, POINTS, seed=3)
    assert not np.allclose(whole[0], whole[3])  # the same request twice: other noise
    for batch in (1, 2, 64):
        monkeypatch.setattr(device, "BATCH", batch)
        assert np.abs(draw(model, spec, POINTS, seed=3) - whole).max() < 1e-4
        backwards = draw(model, spec, POINTS[::-1], seed=3)[::-1]
        assert np.abs(backwards[[1, 2, 4]] - whole[[1, 2, 4]]).max() < 1e-4
        assert np.abs(backwards[[3, 0]] - whole[[0, 3]]).max() < 1e-4  # of equal requests the first is first
        assert np.abs(draw(model, spec, POINTS[2:3], seed=3) - whole[2:3]).max() < 1e-4


def test_the_noise_is_the_same_to_the_bit(tiny: RunSpec):
    space = tiny.data.picture.space()

    def noise(points: np.ndarray) -> list[torch.Tensor]:
        return [torch.randn(8, generator=g) for g in run_module._streams(points, space, 0)]

    forward, backward = noise(POINTS), noise(POINTS[::-1])
    assert len({tuple(some.tolist()) for some in forward}) == len(POINTS)  # rows 0 and 3 ask for the same
    for k, row in enumerate((4, 0, 2, 1, 3)):  # backward, row 3 is the first of the two and has the first's noise
        assert torch.equal(backward[k], forward[row])
    for point, some in zip(POINTS[:3], forward[:3], strict=True):
        assert torch.equal(noise(point[None])[0], some)
    assert torch.equal(noise(np.array([[-0.0, 1.0]]))[0], noise(np.array([[0.0, 1.0]]))[0])


def test_seeds_give_other_pictures(run: Run):
    assert not np.allclose(run.sample(POINTS, seed=0), run.sample(POINTS, seed=1))
    assert (run.sample(POINTS, seed=1) == run.sample(POINTS, seed=1)).all()


def test_the_first_weights_depend_on_the_spec_alone(tiny: RunSpec):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    a = build_model(tiny).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)  # the global generator is left alone
    torch.manual_seed(6)
    b = build_model(tiny).state_dict()
    other = build_model(tiny.model_copy(update={"seed": 1})).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["network.head.weight"], other["network.head.weight"])


def test_the_evaluation_is_what_measuring_the_recorded_pictures_gives(run: Run):
    frame = run.evaluate("held_out")
    points, images = run.pictures
    rows = [np.flatnonzero((points == p).all(axis=1))[0] for p in frame.select("x", "y").to_numpy()]
    again = measure(images[rows], points[rows], run.spec.data.picture)
    assert frame["x_correct"].to_list() == again.correct[:, 0].tolist()
    assert frame["valid"].to_list() == again.valid.tolist()
    assert np.allclose(frame["error"].to_numpy(), again.error)


def test_recorded_pictures_can_be_drawn_again(run: Run):
    points, images = run.pictures
    assert np.abs(run.sample(points, run.spec.seed) - images).max() < 1e-4


def test_regions_by_name_by_value_and_unknown(run: Run):
    assert run.evaluate()["region"].unique(maintain_order=True).to_list() == ["train", "held_out"]
    assert run.evaluate("held_out").height == 7
    corner = run.evaluate(Corner(bounds=(0, 15), width=2))
    assert corner.select("x", "y").rows() == [(14, 14), (14, 15), (15, 14), (15, 15)]
    with pytest.raises(RequestError, match="region: got 'nowhere', needs one of train, held_out"):
        run.evaluate("nowhere")


def test_the_summary_is_the_mean_of_the_rows():
    frame = pl.DataFrame(
        {
            "region": ["a", "a", "b"], "x_correct": [True, False, True], "y_correct": [True, True, False],
            "all": [True, False, False], "valid": [True, True, False], "right": [True, False, False],
            "error": [0.1, 0.3, 2.0], "x_copied": [False, False, True], "y_copied": [True, False, True],
        }
    )  # fmt: skip
    rows = summarize(frame, ("x", "y")).to_dicts()
    assert rows[0] == {
        "region": "a", "n": 2, "x": 0.5, "y": 1.0, "all": 0.5, "valid": 1.0, "right": 0.5, "error": pytest.approx(0.2),
        "x_copied": 0.0, "y_copied": 0.5, "all_copied": 0.0,
    }  # fmt: skip
    assert rows[1]["all_copied"] == 1


def test_the_history_is_complete(run: Run):
    assert run.history["step"].to_list() == [2, 4, 6, 8, 10, 12]
    assert run.history["seconds"].is_sorted()
    assert run.history["held_out.all"].is_not_null().to_list() == [False, False, True, False, False, True]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"factors": [[1.0, 99.0]]}, "factors row 0, y: got 99, needs a value in -3..18"),
        ({"factors": [[1.0]]}, r"needs \(n, 2\) for x, y"),
        ({"factors": [1.0, 2.0]}, r"needs \(n, 2\) for x, y"),
        ({"factors": [[np.nan, 1]]}, "factors row 0, x: got nan"),
        ({"factors": [["1", "2"]]}, "factors: got text, needs an array of real numbers"),
        ({"factors": [[1, 2], [3]]}, "factors: got list of unequal parts, needs an array of real"),
        ({"factors": None}, "factors: got None, needs an array of real numbers"),
        ({"factors": "POINTS"}, "factors: got text, needs an array of real numbers"),
        ({"factors": {"x": [1], "y": [2]}}, "factors: got dict, needs an array of real numbers"),
        *(
            ({"seed": seed}, "seed: got .*, needs an integer of at least 0")
            for seed in (-1, 2**200, 1.5, None, True, "1")
        ),
        *(
            ({"step": step}, "step: got .*, needs one that run .* kept: 0, 5, 12")
            for step in (3, -1, 5.0, "5", True, [5])
        ),
    ],
)
def test_wrong_requests(run: Run, asked: dict, message: str):
    with pytest.raises(RequestError, match=message) as caught:
        run.sample(**{"factors": POINTS, **asked})
    assert "\n" not in str(caught.value)


def test_neither_type_nor_layout_nor_a_copy_of_the_run_changes_a_picture(run: Run):
    points = np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 15.0], [1.0, 2.0]])
    images = run.sample(points, seed=1)
    tensor = torch.tensor(points, requires_grad=True)
    same = [points.astype(kind) for kind in (np.int8, np.uint64, np.float16, np.float32, np.longdouble, ">f8")]
    same += [
        np.asfortranarray(points),
        np.repeat(points, 2, 0)[::2],
        points.tolist(),
        tensor,
        tensor.bfloat16(),
        tensor.int(),
    ]
    same += [np.where(points == 0, -0.0, points)]
    for again in same:
        assert np.array_equal(run.sample(again, seed=1), images)
    for seed in (np.int64(1), np.uint8(1), torch.tensor(1)):
        assert np.array_equal(run.sample(points, seed=seed), images)  # pyright: ignore[reportArgumentType]
    for other in (copy.copy(run), copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert np.array_equal(other.sample(points, seed=1), images)
    assert np.array_equal(run.sample(points, 1, step=np.int64(12)), images)  # pyright: ignore[reportArgumentType]


def test_threads_draw_the_same_pictures_beside_each_other(run: Run):
    requests = [(POINTS[:3], seed, step) for seed in (0, 1) for step in (None, 0)]
    alone = [run.sample(*request) for request in requests]
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda request: run.sample(*request), requests * 2))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 2, together, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_first_weights_do_not_depend_on_what_other_threads_do(tiny: RunSpec):
    def weights(spec: RunSpec) -> bytes:
        return b"".join(value.detach().numpy().tobytes() for value in build_model(spec).parameters())

    specs = [tiny.model_copy(update={"seed": seed}) for seed in range(4)]
    alone = [weights(spec) for spec in specs]
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            torch.rand(3)

    with ThreadPoolExecutor(5) as pool:
        noise = pool.submit(disturb)
        together = list(pool.map(weights, specs * 2))
        done.set()
        noise.result()
    assert together == alone * 2
    with torch.random.fork_rng():  # and they are those that torch's global generator would give
        torch.manual_seed(rng.torch_stream(3, "model.weights").initial_seed())
        width = tiny.encoding.width(tiny.data.picture.space())
        model = tiny.model.build(
            tiny.data.picture.shape, width, background=0, diffusion=tiny.diffusion, sampling=tiny.sampling
        )
    assert b"".join(value.detach().numpy().tobytes() for value in model.parameters()) == alone[3]


def test_snapshots_are_the_model_of_their_step(run: Run, tiny: RunSpec):
    untrained = build_model(tiny).state_dict()
    assert all(torch.equal(value, untrained[name]) for name, value in run.model_at(0).state_dict().items())
    trained = run.model.state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in run.model_at(12).state_dict().items())
    assert not torch.equal(run.model_at(5).state_dict()["network.head.weight"], trained["network.head.weight"])
    assert set(run.manifest["artifacts"]) >= {"snapshot-0.safetensors", "snapshot-5.safetensors"}
    assert np.array_equal(run.sample(POINTS, step=0), draw(build_model(tiny), tiny, POINTS, 0))
    assert run.evaluate("held_out", step=12)["error"].to_list() == pytest.approx(run.evaluate("held_out")["error"])
    with pytest.raises(RequestError, match=rf"step: got 3, needs one that run {run.id} kept: 0, 5, 12"):
        run.sample(POINTS, step=3)


def test_states_lead_from_noise_to_the_drawing(run: Run):
    points = np.array([[3.0, 4.0], [8.0, 1.5]])
    found = run.states(points, [0, 999, 400], 7)
    assert list(found) == [999, 400, 0]
    assert np.array_equal(found[0], run.sample(points, 7))
    assert np.array_equal(run.states(points, [0], 7, step=5)[0], run.sample(points, 7, step=5))
    noise = 2 * found[999] - 1
    assert abs(noise.mean()) < 0.2
    assert noise.std() == pytest.approx(1, abs=0.1)
    with pytest.raises(RequestError, match="timestep: got 1000"):
        run.states(points, [1000])


def test_activations_are_those_of_the_drawing(run: Run, tiny: RunSpec):
    found = run.activations(("up1", "head"), factors=POINTS)
    assert found["up1"].shape == (5, 8 * 4 * 4)
    assert found["head"].shape == (5, 16 * 16)
    # by hand: the finished pictures once more through the network, at timestep 0
    x = 2 * torch.from_numpy(run.sample(POINTS)) - 1
    condition = torch.from_numpy(tiny.encoding.encode(POINTS, tiny.data.picture.space()))
    with torch.no_grad():
        out = run.model(x, torch.zeros(5, dtype=torch.int64), condition)
    assert found["head"] == pytest.approx(out.flatten(1).numpy(), abs=1e-5)
    given = run.activations("head", factors=POINTS, pictures=run.sample(POINTS))
    assert given["head"] == pytest.approx(found["head"], abs=1e-5)


def test_activations_over_the_lattice_and_pooled(run: Run, tiny: RunSpec, monkeypatch):
    whole = run.activations("up1", timestep=400)["up1"]
    assert whole.shape == (22, 22, 8 * 4 * 4)
    points = tiny.data.lattice()
    monkeypatch.setattr(device, "BATCH", 100)
    again = run.activations("up1", timestep=400, factors=points)["up1"]
    assert again.reshape(whole.shape) == pytest.approx(whole, abs=1e-4)
    pooled = run.activations("up1", timestep=400, pool="mean")["up1"]
    assert pooled == pytest.approx(whole.reshape(22, 22, 8, 16).mean(axis=3), abs=1e-4)


class Tell(nn.Module):
    """A network whose layer `told` returns its input: the picture, and the code of the timestep.

    It predicts a uniform picture, `share` of the last number of the condition.
    """

    def __init__(self, share: float):
        super().__init__()
        self.told, self.share = nn.Identity(), nn.Parameter(torch.tensor(share))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        self.told(torch.cat([x.flatten(1), condition[:, :TIME_CODE]], dim=1))
        return (self.share * condition[:, -1])[:, None, None, None].expand_as(x)


@pytest.mark.parametrize("step", [None, 0])
@pytest.mark.parametrize("timestep", [0, 400, 666])  # 666 is one of the sampler's, 400 lies between two of them
@pytest.mark.parametrize("source", ["own", "truth"])
def test_the_network_is_looked_at_in_the_state_that_was_asked_for(
    run: Run, tiny: RunSpec, monkeypatch: pytest.MonkeyPatch, source: str, timestep: int, step: int | None
):
    """The state is sqrt(a) x0 + sqrt(1 - a) e. On the model's own trajectory, e is the sampler's first noise without
    its share of x0. On true pictures, e is fresh noise.
    """
    shares = {None: 1.0, 0: 0.5}
    monkeypatch.setattr(
        run,
        "model_at",
        lambda step=None: Denoiser(Tell(shares[step]), tiny.data.picture.shape, tiny.diffusion, tiny.sampling),
    )
    space, alphas = tiny.data.picture.space(), np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    noise = np.stack([torch.randn(1, 16, 16, generator=g).numpy() for g in run_module._streams(POINTS, space, 4)])
    if source == "truth":
        pictures = tiny.data.picture.render(POINTS).astype(np.float32)
        x0 = 2 * pictures - 1
    else:
        pictures = None
        flat = shares[step] * tiny.encoding.encode(POINTS, space)[:, -1]
        x0 = np.broadcast_to(flat[:, None, None, None], noise.shape)
        noise = (noise - alphas[999] ** 0.5 * x0) / (1 - alphas[999]) ** 0.5
    x = x0 if timestep == 0 else alphas[timestep] ** 0.5 * x0 + (1 - alphas[timestep]) ** 0.5 * noise
    phase = timestep * 10_000.0 ** (-np.arange(TIME_CODE // 2) / (TIME_CODE // 2))
    code = np.broadcast_to(np.concatenate([np.sin(phase), np.cos(phase)]), (len(POINTS), TIME_CODE))
    told = run.activations("told", timestep, POINTS, step, pictures=pictures, seed=4)["told"]
    assert told == pytest.approx(np.concatenate([x.reshape(len(POINTS), -1), code], axis=1), abs=1e-3)


@pytest.mark.parametrize("seeds", [[3, 0], (0, 3, 2**100), range(2), np.array([5, 1])])
def test_several_seeds_give_the_reading_of_each(run: Run, monkeypatch: pytest.MonkeyPatch, seeds):
    monkeypatch.setattr(device, "BATCH", 2)
    loaded, model_at = [], run.model_at
    monkeypatch.setattr(run, "model_at", lambda step=None: loaded.append(step) or model_at(step))
    found = run.activations(("up1", "head"), 300, POINTS, 5, pool="max", seed=seeds)
    assert loaded == [5]
    assert list(found) == ["up1", "head"]
    for layer, readings in found.items():
        assert isinstance(readings, list)
        assert len(readings) == len(seeds)
        for seed, reading in zip(seeds, readings, strict=True):
            alone = run.activations(layer, 300, POINTS, 5, pool="max", seed=int(seed))[layer]
            assert reading.tobytes() == alone.tobytes()
    assert not np.array_equal(found["up1"][0], found["up1"][1])


def test_readings_of_the_whole_lattice_go_straight_to_the_measures(run: Run):
    found = run.activations("up1", timestep=400, pool="mean", seed=[0, 1])["up1"]
    assert [reading.shape for reading in found] == [(22, 22, 8)] * 2
    assert found[1].tobytes() == run.activations("up1", timestep=400, pool="mean", seed=1)["up1"].tobytes()
    noise = additivity(found).noise
    assert noise is not None
    assert 0 < noise < 1


@pytest.mark.parametrize("asked", [{}, {"seed": [2, 7]}, {"pictures": np.zeros((5, 1, 16, 16)), "pool": "mean"}])
def test_several_timesteps_are_read_from_one_drawing(run: Run, monkeypatch: pytest.MonkeyPatch, asked: dict):
    timesteps = (0, 400, 666)
    alone = {t: run.activations(("up1", "head"), t, POINTS, **asked) for t in timesteps}
    drawings, visit = [], Denoiser.visit
    monkeypatch.setattr(Denoiser, "visit", lambda self, *given: drawings.append(given[2]) or visit(self, *given))
    found = run.activations(("up1", "head"), timesteps, POINTS, **asked)
    assert drawings == [timesteps] * (2 if "seed" in asked else 1)
    assert list(found) == list(timesteps)
    for timestep in timesteps:
        for name in ("up1", "head"):
            assert np.array_equal(found[timestep][name], alone[timestep][name])
    assert list(run.activations("up1", [400], POINTS)) == [400]


def test_pictures_are_noised_with_each_seed(run: Run):
    truth = run.spec.data.picture.render(POINTS)
    other = 1 - truth
    for given, by_seed in ((truth, [truth, truth]), ([truth, other], [truth, other]), (list(truth), [truth, truth])):
        found = run.activations("up1", 400, POINTS, pictures=given, seed=[2, 7])["up1"]
        for reading, seed, pictures in zip(found, (2, 7), by_seed, strict=True):
            alone = run.activations("up1", 400, POINTS, pictures=pictures, seed=seed)["up1"]
            assert reading.tobytes() == alone.tobytes()
        assert not np.array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"seed": []}, r"seed: got \[\], needs an integer, or two or more different ones"),
        ({"seed": (4,)}, r"seed: got \[4\], needs an integer, or two or more"),
        ({"seed": [1, 2, np.int64(1)]}, r"seed: got \[1, 2, 1\], needs an integer, or two or more different ones"),
        ({"seed": [0, -1]}, "seed: got -1, needs an integer of at least 0"),
        ({"seed": [0, 1.0]}, r"seed: got 1\.0, needs an integer"),
        ({"seed": [0, [1, 2]]}, r"seed: got \[1, 2\], needs an integer"),
        ({"seed": np.zeros((2, 2))}, r"seed: got array\(.*, needs an integer"),
        ({"seed": "12"}, "seed: got '12', needs an integer"),
        ({"seed": {1, 2}}, r"seed: got {1, 2}, needs an integer"),
        (
            {"pictures": [np.zeros((5, 1, 16, 16))] * 3},
            "pictures: got a list of 3, needs one array, or one for each of 2",
        ),
        ({"pictures": [np.zeros((5, 1, 16, 16)), np.zeros((4, 1, 16, 16))]}, r"pictures: got shape \(4, 1, 16, 16\)"),
        (
            {"seed": range(10**12)},
            r"layers up1: got .* GB for 5 points and 1000000000000 seeds, needs .* points, seeds or",
        ),
    ],
)
def test_wrong_requests_for_several_readings(run: Run, asked: dict, message: str):
    with pytest.raises(RequestError, match=message) as caught:
        run.activations(**{"layers": "up1", "factors": POINTS, "seed": [0, 1], **asked})
    assert "\n" not in str(caught.value)


def test_the_limit_on_memory_counts_all_readings(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_module, "CAPTURE", 2 * 5 * 8 * 4)  # of two readings of 5 points and 8 channels, float32
    run.activations("up1", factors=POINTS, pool="mean", seed=[0, 1])
    with pytest.raises(RequestError, match="GB for 5 points and 3 seeds, needs at most"):
        run.activations("up1", factors=POINTS, pool="mean", seed=[0, 1, 2])
    run.activations("up1", [0, 1], POINTS, pool="mean")
    with pytest.raises(
        RequestError, match="for 5 points and 2 seeds and 2 timesteps, .* fewer points, seeds, timesteps or"
    ):
        run.activations("up1", [0, 1], POINTS, pool="mean", seed=[0, 1])


def test_bad_requests_for_activations_are_refused(run: Run, monkeypatch):
    with pytest.raises(RequestError, match="layer: got 'up9', needs one of stem, down1"):
        run.activations("up9")
    with pytest.raises(RequestError, match=r"timestep: got 1000, needs an integer in 0\.\.999"):
        run.activations("up1", timestep=1000)
    with pytest.raises(RequestError, match="step: got 4"):
        run.activations("up1", step=4)
    with pytest.raises(RequestError, match="row 0, x: got 99"):
        run.activations("up1", factors=np.array([[99.0, 0.0]]))
    truth = run.spec.data.picture.render(POINTS)
    for pictures, message in (
        (truth[:2], "got shape"),
        ([[1.0]], "got shape"),
        ((255 * truth).astype(np.uint8), "got type uint8, whose values are 0..255, needs numbers in"),
        (255 * truth, r"got values in .*\.\.2.*, needs numbers in \[0, 1\]"),
        ((255 * truth).astype(int), r"got values in 0\.\.2.*, needs numbers in \[0, 1\]"),
        (2 * truth - 1, r"got values in -1\.\..*, needs numbers in \[0, 1\]"),
        (np.where(truth > 0.5, np.nan, truth), r"got values in nan\.\.nan, needs numbers in"),
        (truth.astype(str), "needs an array of real numbers"),
    ):
        with pytest.raises(RequestError, match=f"pictures.*{message}") as caught:
            run.activations("up1", factors=POINTS, pictures=pictures)  # pyright: ignore[reportArgumentType]
        assert "\n" not in str(caught.value)
    for asked, message in (
        ({"timestep": "5"}, r"timestep: got '5', needs an integer in 0\.\.999"),
        ({"timestep": [5, 1000]}, r"timestep: got 1000, needs an integer in 0\.\.999"),
        ({"timestep": []}, r"timestep: got none, needs an integer in 0\.\.999, or several"),
        ({"timestep": {1, 2}}, r"timestep: got {1, 2}, needs"),
        ({"timestep": 1.0}, r"timestep: got 1\.0, needs"),
        ({"timestep": True}, "timestep: got True, needs"),
        ({"timestep": -1}, "timestep: got -1, needs"),
        ({"timestep": None}, "timestep: got None, needs"),
        ({"pool": "sum"}, "pool: got 'sum', needs mean, max or None"),
        ({"seed": 1.5}, "seed: got 1.5"),
        ({"layers": None}, "layers: got None, needs the name of a layer"),
        ({"layers": 3}, "layers: got 3, needs the name of a layer"),
        ({"layers": [3]}, "layer: got 3, needs one of stem"),
        ({"layers": [["up1"]]}, r"layer: got \['up1'\], needs one of stem"),
        ({"factors": "x"}, "factors: got text"),
    ):
        with pytest.raises(RequestError, match=message):
            run.activations(**{"layers": "up1", "factors": POINTS, **asked})
    for region, message in (
        (3, "region: .*got 3"), ({"kind": "cube"}, "region: .*got 'cube', needs one of"), ([], "region: "),
        ({"kind": "strip", "factor": "z", "low": 0, "high": 1}, "factor: got 'z', needs one of x, y"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=message):
            run.evaluate(region)  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(run_module, "CAPTURE", 1000)
    with pytest.raises(RequestError, match=r"layers up1: got 0\.0 GB for 484 points, needs at most 0\.0 GB; pool"):
        run.activations("up1")
