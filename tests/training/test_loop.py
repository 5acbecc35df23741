import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hyperfactor import DivergedError, RunSpec
from hyperfactor.errors import CheckpointError
from hyperfactor.generators.base import Generator
from hyperfactor.runs.run import build_model
from hyperfactor.training.loop import TrainingSpec, fit

SPEC = TrainingSpec(
    steps=60,
    batch=4,
    learning_rate=0.05,
    warmup=5,
    weight_decay=0,
    ema=0.9,
    record_every=10,
    evaluate_every=20,
    checkpoint_every=10,
)
INPUTS = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
TRUTH = torch.tensor([[1.0], [-2.0], [0.5]])
TARGETS = INPUTS @ TRUTH


class Examples:
    """Targets, and what they follow from, a row each."""

    keeps = True

    def __init__(self, targets: Tensor, inputs: Tensor):
        self.targets, self.inputs = targets.numpy(), inputs.numpy()

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, indices: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        return self.targets[indices], self.inputs[indices]


EXAMPLES = Examples(TARGETS, INPUTS)


class Regression(Generator):
    """A generator that is no network of images: the loop asks for a loss and for nothing else."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 1))

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        noise = 0.01 * torch.randn(images.shape, generator=generator)
        return ((condition @ self.weight - images + noise) ** 2).mean()


def test_it_finds_the_truth_and_records_the_way():
    steps: list[int] = []
    average, history = fit(
        Regression(), EXAMPLES, SPEC.model_copy(update={"steps": 400}), 0,
        evaluate=lambda model: {"norm": model.weight.norm().item()}, report=steps.append,
    )  # fmt: skip
    assert torch.allclose(average.weight, TRUTH, atol=0.02)
    assert [row["step"] for row in history] == steps == list(range(10, 401, 10))
    assert history[-1]["images"] == 1600
    assert history[-1]["loss"] < history[0]["loss"] / 100
    assert [row["step"] for row in history if "norm" in row] == list(range(20, 401, 20))


WIDE = {"model.weight": torch.zeros(5, 1)}


@pytest.mark.parametrize(
    ("tensors", "text", "words"),
    [
        (WIDE, {}, r"model\.weight: got shape \(5, 1\), needs \(3, 1\)"),
        ({"model.bias": torch.zeros(1)}, {}, r"model\.bias: got shape \(1,\), needs none"),
        ({"model.weight": None}, {}, r"model\.weight: got shape none, needs \(3, 1\)"),
        ({"optimizer.exp_avg.0": torch.zeros(2)}, {}, r"optimizer\.exp_avg\.0: got shape \(2,\), needs \(3, 1\)"),
        ({"optimizer.more": torch.zeros(())}, {}, r"optimizer\.more: got shape \(\), needs none"),
        ({}, {"step": "61"}, "got 61 steps, needs 1 to the 60 of the spec"),
        ({}, {"step": "many"}, "got no steps and history that can be read"),
        ({}, {"history": "[1]"}, "got no steps and history that can be read"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_told(tensors, text, words: str):
    saved = []
    fit(Regression(), EXAMPLES, SPEC, 3, save=saved.append)
    was, said = saved[0]
    changed = {name: value for name, value in {**was, **tensors}.items() if value is not None}
    with pytest.raises(CheckpointError, match=words):
        fit(Regression(), EXAMPLES, SPEC, 3, (changed, {**said, **text}))


def test_a_run_taken_up_from_any_checkpoint_ends_in_the_same_bits():
    saved = []
    whole, history = fit(Regression(), EXAMPLES, SPEC, 3, save=saved.append)
    assert len(saved) == 6
    for checkpoint in saved[:-1]:
        again, later = fit(Regression(), EXAMPLES, SPEC, 3, checkpoint)
        assert torch.equal(again.weight, whole.weight)
        assert [row["loss"] for row in later] == [row["loss"] for row in history]


class Perceptron(Generator):
    """A generator with matrices, for Muon, and vectors, for AdamW."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        return ((self.network(condition) - images + 0.01 * torch.randn(images.shape, generator=generator)) ** 2).mean()


MUON = SPEC.model_copy(update={"optimizer": "muon", "learning_rate": 0.01, "matrix_rate": 0.1})


def test_muon_and_adamw_train_their_own_weights_and_a_run_taken_up_again_ends_in_the_same_bits():
    saved = []
    whole, history = fit(Perceptron(), EXAMPLES, MUON, 3, save=saved.append)
    assert history[-1]["loss"] < history[0]["loss"] / 3
    tensors, _ = saved[0]
    shapes = {name: tuple(value.shape) for name, value in tensors.items() if name.startswith("optimizer.")}
    assert shapes.pop("optimizer.momentum.0") == (8, 3)  # one matrix: the last layer has one output
    assert shapes.pop("optimizer.step") == ()
    moments = [f"optimizer.{name}.{k}" for name in ("exp_avg", "exp_avg_sq") for k in range(3)]
    assert shapes == dict(zip(moments, 2 * [(8,), (1, 8), (1,)], strict=True))
    again, later = fit(Perceptron(), EXAMPLES, MUON, 3, saved[2])
    assert [row["loss"] for row in later] == [row["loss"] for row in history]
    for one, other in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(CheckpointError, match=r"optimizer\.exp_avg\.0: got shape \(8,\), needs \(8, 3\)"):
        fit(Perceptron(), EXAMPLES, SPEC, 3, saved[2])


def test_muon_without_matrices_is_adamw():
    one, _ = fit(Regression(), EXAMPLES, SPEC, 0)
    other, _ = fit(Regression(), EXAMPLES, SPEC.model_copy(update={"optimizer": "muon"}), 0)
    assert torch.equal(one.weight, other.weight)


def test_each_rate_has_the_same_course():
    assert [MUON.rate(step, MUON.matrix_rate) / MUON.rate(step) for step in (0, 4, 30, 60)] == pytest.approx([10.0] * 4)


def test_snapshots_hold_the_average_of_their_step():
    seen = {}
    spec = SPEC.model_copy(update={"snapshots": (0, 7, 60)})

    def snapshot(step, averaged):
        seen[step] = averaged.weight.detach().clone()

    last, _ = fit(Regression(), EXAMPLES, spec, 0, snapshot=snapshot)
    assert list(seen) == [0, 7, 60]
    assert torch.equal(seen[0], torch.zeros(3, 1))

    saved = []
    fit(Regression(), EXAMPLES, spec, 0, save=saved.append)
    resumed = {}  # from the checkpoint of step 10
    fit(Regression(), EXAMPLES, spec, 0, saved[0], snapshot=lambda s, m: resumed.update({s: m.weight.clone()}))
    assert list(resumed) == [60]
    assert torch.equal(resumed[60], seen[60])
    assert torch.equal(last.weight, seen[60])
    assert not torch.equal(seen[7], seen[60])


def test_seeds_matter():
    a, _ = fit(Regression(), EXAMPLES, SPEC, 0)
    b, _ = fit(Regression(), EXAMPLES, SPEC, 1)
    assert not torch.equal(a.weight, b.weight)


def test_the_average_is_the_stated_running_mean():
    spec = SPEC.model_copy(update={"ema": 0.5, "steps": 10})
    path: list[Tensor] = []

    class Spied(Regression):
        def loss(self, images, condition, generator):
            path.append(self.weight.detach().clone())  # the weights before this step
            return super().loss(images, condition, generator)

    model = Spied()
    average, _ = fit(model, EXAMPLES, spec, 0)
    path.append(model.weight.detach().clone())
    mean = path[1]  # torch starts the average at the first update
    for weight in path[2:]:
        mean = 0.5 * mean + 0.5 * weight
    assert torch.allclose(average.weight, mean, atol=1e-6)


class Normed(Regression):
    """A model with buffers: the running statistics of a BatchNorm, and a count that it moves itself."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.seen = nn.Buffer(torch.zeros(1, dtype=torch.int64))

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        self.seen += len(images)
        return super().loss(images, self.norm(condition), generator)


class Kernels(Generator):
    """A generator of convolutions, whose kernels are stored as the device likes."""

    def __init__(self, layout: torch.memory_format):
        super().__init__()
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh(), nn.Conv2d(5, 2, 2))
        self.network = network.to(memory_format=layout)  # pyright: ignore

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        drawn = self.network(condition.reshape(-1, 3, 1, 1).expand(-1, 3, 4, 4))
        return ((drawn.mean(dim=(1, 2, 3))[:, None] - images) ** 2).mean()


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_checkpoint_serves_another_layout_in_memory(optimizer: str):
    """As on a GPU, which stores kernels in another order than the CPU."""
    spec = SPEC.model_copy(update={"optimizer": optimizer, "learning_rate": 0.01, "matrix_rate": 0.1, "steps": 30})
    saved = []
    whole, _ = fit(Kernels(torch.channels_last), EXAMPLES, spec, 3, save=saved.append)
    again, _ = fit(Kernels(torch.contiguous_format), EXAMPLES, spec, 3, saved[1])
    other, _ = fit(Kernels(torch.contiguous_format), EXAMPLES, spec, 3)
    for one, two, three in zip(whole.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)
        assert torch.allclose(one, three, atol=1e-3)  # Muon takes a small gradient's rounding for a large step


class Replaced(Regression):
    """A model that puts another tensor in a buffer's place."""

    def __init__(self):
        super().__init__()
        self.last = nn.Buffer(torch.zeros(1))

    def loss(self, images: Tensor, condition: Tensor, generator: torch.Generator) -> Tensor:
        self.last = 0.9 * self.last + 1
        return super().loss(images, condition, generator)


def test_the_average_has_buffers_that_were_put_in_the_place_of_others():
    average, _ = fit(Replaced(), EXAMPLES, SPEC.model_copy(update={"steps": 3}), 0)
    assert average.last.item() == pytest.approx(1 + 0.9 + 0.81)


def test_the_average_has_the_last_step_s_buffers_also_after_a_resume():
    torch.manual_seed(0)
    model, saved = Normed(), []
    average, _ = fit(model, EXAMPLES, SPEC, 0, save=saved.append)
    assert average.seen.item() == 60 * 4
    assert average.norm.num_batches_tracked == 60
    for mean, value in zip(average.buffers(), model.buffers(), strict=True):
        assert torch.equal(mean, value)
    again, _ = fit(Normed(), EXAMPLES, SPEC, 0, saved[2])
    assert all(torch.equal(a, b) for a, b in zip(again.buffers(), model.buffers(), strict=True))


def test_the_average_is_that_of_torch_to_the_bit():
    """AveragedModel.update_parameters after every step."""
    spec, ours = SPEC.model_copy(update={"snapshots": tuple(range(1, 61))}), []
    average, _ = fit(Normed(), EXAMPLES, spec, 0, snapshot=lambda _, mean: ours.append(mean.weight.clone()))
    model, path = Normed(), []
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(SPEC.ema))

    def report(_step: int) -> None:
        theirs.update_parameters(model)
        path.append(theirs.module.get_parameter("weight").clone())

    every = SPEC.model_copy(update={"record_every": 1, "evaluate_every": 0, "checkpoint_every": 0})
    fit(model, EXAMPLES, every, 0, report=report)
    assert all(torch.equal(a, b) for a, b in zip(ours, path, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(average.buffers(), theirs.module.buffers(), strict=True))


def test_the_rate_rises_linearly_and_falls_as_a_cosine():
    spec = TrainingSpec(steps=110, warmup=10, learning_rate=1.0, final_rate=0.1)
    assert [spec.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert spec.rate(60) == pytest.approx(0.1 + 0.9 / 2)
    assert spec.rate(85) == pytest.approx(0.1 + 0.9 * (1 + math.cos(0.75 * math.pi)) / 2)


def test_a_loss_that_is_not_finite_stops_the_run_and_the_last_checkpoint_is_good():
    class Fails(Regression):
        count = 0

        def loss(self, images, condition, generator):
            self.count += 1
            return super().loss(images, condition, generator) * (math.nan if self.count == 35 else 1)

    saved = []
    with pytest.raises(DivergedError, match="training: got a loss of nan by step 40, needs a finite one"):
        fit(Fails(), EXAMPLES, SPEC, 0, save=saved.append)
    tensors, text = saved[-1]
    assert text["step"] == "30"
    assert all(value.isfinite().all() for value in tensors.values())


def test_weights_that_are_not_finite_stop_the_run():
    """The rate is so large that the last step's weights overflow, while its loss was still finite."""
    spec = SPEC.model_copy(update={"steps": 1, "warmup": 0, "learning_rate": 1e38, "weight_decay": 10.0})
    model = Regression()
    model.weight.data += 1
    with pytest.raises(DivergedError, match="training: got weights that are not finite by step 1, needs finite ones"):
        fit(model, EXAMPLES, spec, 0)


def test_the_gradient_is_clipped_before_the_step():
    """With AdamW's first moment off, and its second frozen by a tiny beta, one step of a clipped
    gradient moves the weights as far as one of a gradient already of that norm."""
    ends = []
    for scale in (1.0, 1e6):

        class Scaled(Regression):
            factor = scale

            def loss(self, images, condition, generator):
                return self.factor * super().loss(images, condition, generator)

        saved = []
        spec = SPEC.model_copy(update={"steps": 10, "clip": 1e-3})
        _, history = fit(Scaled(), EXAMPLES, spec, 0, save=saved.append)
        assert history[0]["gradient_norm"] > 1e-2 * scale  # the norm recorded is the one before
        ends.append(saved[-1][0]["optimizer.exp_avg.0"])
    assert torch.allclose(ends[0], ends[1], rtol=1e-3, atol=1e-8)
    assert ends[0].norm() <= 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluate_every": 15}, "evaluate_every: got 15, needs a multiple of record_every, 10"),
        ({"betas": (0.9, 1.0)}, "betas: got"),
        ({"snapshots": (3, 61)}, r"snapshots: got \[3, 61\], needs integers in 0\.\.steps, 60"),
        ({"steps": -5}, "greater than or equal to 1"),
    ],
)
def test_wrong_specs_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSpec.model_validate({**SPEC.model_dump(), **change})


def test_bfloat16_changes_the_products_and_not_the_weights(tiny: RunSpec):
    """The losses of the two are near each other and differ; weights, moments and their file are float32."""
    history, saved = {}, {}
    for precision in ("float32", "bfloat16"):
        spec = tiny.training.model_copy(update={"precision": precision, "evaluate_every": 0, "record_every": 1})
        model, kept = build_model(tiny), []
        average, rows = fit(model, tiny.task, spec, 0, save=kept.append)
        assert {weight.dtype for weight in (*model.parameters(), *average.parameters())} == {torch.float32}
        history[precision], saved[precision] = [row["loss"] for row in rows], kept[-1][0]
    assert history["bfloat16"] == pytest.approx(history["float32"], rel=0.03)
    assert all(a != b for a, b in zip(*history.values(), strict=True))
    assert {value.dtype for value in saved["bfloat16"].values()} == {torch.float32}


def test_the_usual_precision_moves_no_id():
    assert RunSpec.parse({"training": {"precision": "float32"}}).id == RunSpec().id
    assert RunSpec.parse({"training": {"precision": "bfloat16"}}).id != RunSpec().id
