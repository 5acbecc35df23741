"""The training loop.

It asks a generator for its loss and does not know how the generator draws. All randomness of step s comes from the
streams of (seed, purpose, s), and a checkpoint holds everything else. Therefore a resumed run ends in the same bits as
one that was never interrupted.
"""

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import not_
from typing import Literal, TypeVar

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from hyperfactor import rng
from hyperfactor.errors import CheckpointError, DivergedError
from hyperfactor.generators.base import Generator
from hyperfactor.strict import Integer, Number, Strict
from hyperfactor.training.batches import Examples, batches
from hyperfactor.training.flat import flatten, views
from hyperfactor.training.gradient import differentiator
from hyperfactor.training.optimizers import AdamW, Muon, Optimizer, is_matrix


class TrainingSpec(Strict):
    """AdamW, or Muon for matrices, with a linear warm-up, then a cosine.

    Attributes
    ----------
    steps : int
        Number of training steps.
    batch : int
        Pictures a step.
    optimizer : {"adamw", "muon"}
        AdamW, or Muon for matrices and kernels of convolutions and AdamW for all other weights (see
        `training.optimizers`).
    learning_rate : float
        Largest learning rate of AdamW.
    matrix_rate : float
        Largest learning rate of Muon.
    warmup : int
        Steps in which the rate rises linearly to its largest value.
    final_rate : float
        Learning rate at the end, as a share of the largest.
    betas : (float, float)
        Decay a step of the two moments of AdamW.
    momentum : float
        Decay a step of the mean gradient of Muon.
    weight_decay : float
        Decoupled weight decay.
    ema : float
        Decay a step of the running mean of the weights. Pictures are drawn with the mean.
    clip : float
        Largest norm of the gradient.
    record_every : int
        Steps between two rows of the history.
    evaluate_every, checkpoint_every : int
        Steps, multiples of `record_every`; 0 for never.
    precision : {"float32", "bfloat16"}
        Type of the network's products in training. With bfloat16 they are made by autocast; weights, their updates and
        drawings stay float32.
    snapshots : tuple of int
        Steps after which the mean weights are kept for good; 0 is the untrained network.
    """

    steps: Integer = Field(default=1400, ge=1)
    batch: Integer = Field(default=8, ge=1)
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: Number = Field(default=1e-3, gt=0.0)
    matrix_rate: Number = Field(default=1e-2, gt=0.0, le=1e30)
    warmup: Integer = Field(default=50, ge=0)
    final_rate: Number = Field(default=0.02, ge=0.0, le=1.0)
    betas: tuple[Number, Number] = (0.9, 0.95)
    momentum: Number = Field(default=0.95, ge=0.0, lt=1.0)
    weight_decay: Number = Field(default=0.01, ge=0.0)
    ema: Number = Field(default=0.99, ge=0.0, lt=1.0)
    clip: Number = Field(default=1.0, gt=0.0)
    record_every: Integer = Field(default=50, ge=1)
    evaluate_every: Integer = Field(default=350, ge=0)
    checkpoint_every: Integer = Field(default=100, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    snapshots: tuple[Integer, ...] = ()

    @field_validator("snapshots")
    @classmethod
    def _in_order(cls, snapshots: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(snapshots)))

    @model_validator(mode="after")
    def _multiples(self):
        for name in ("evaluate_every", "checkpoint_every"):
            if getattr(self, name) % self.record_every:
                raise ValueError(
                    f"{name}: got {getattr(self, name)}, needs a multiple of record_every, {self.record_every}"
                )
        if any(not 0 <= step <= self.steps for step in self.snapshots):
            raise ValueError(f"snapshots: got {list(self.snapshots)}, needs integers in 0..steps, {self.steps}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas: got {list(self.betas)}, needs two numbers of at least 0 and below 1")
        return self

    def rate(self, step: int, largest: float | None = None) -> float:
        """The learning rate of a step, counted from 0, if the largest is `learning_rate` or the one given."""
        largest = self.learning_rate if largest is None else largest
        if step < self.warmup:
            return largest * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        cosine = (1 + math.cos(math.pi * done)) / 2
        return largest * (self.final_rate + (1 - self.final_rate) * cosine)


AnyModel = TypeVar("AnyModel", bound=Generator)
Checkpoint = tuple[dict[str, Tensor], dict[str, str]]  # tensors, and text beside them


def fit(
    model: AnyModel,
    examples: Examples,
    spec: TrainingSpec,
    seed: int,
    checkpoint: Checkpoint | None = None,
    save: Callable[[Checkpoint], None] = lambda _: None,
    evaluate: Callable[[AnyModel], dict[str, float]] = lambda _: {},
    snapshot: Callable[[int, AnyModel], None] = lambda _step, _model: None,
    record: Callable[[dict[str, float]], None] = lambda _: None,
    report: Callable[[int], None] = lambda _: None,
) -> tuple[AnyModel, list[dict[str, float]]]:
    """Train `model` and return its running mean and the history.

    Parameters
    ----------
    model : Generator
        The model, which is trained in place.
    examples : Examples
        Pictures and conditions.
    spec : TrainingSpec
        The recipe.
    seed : int
        Seed of the batches and of the noise.
    checkpoint : Checkpoint, optional
        Where to continue. Default: train from the beginning.
    save : callable
        save(checkpoint): called every `checkpoint_every` steps.
    evaluate : callable
        evaluate(average): called every `evaluate_every` steps and after the last. What it returns joins the row.
    snapshot : callable
        snapshot(step, average): called after each step of `snapshots`.
    record : callable
        record(row): called with each row of the history, every `record_every` steps and after the last.
    report : callable
        report(steps): called as often as `record`, with the number of steps done.

    Returns
    -------
    Generator
        The model with the running mean of the weights, and the buffers of the last step.
    list of dict
        The rows of the history.

    Raises
    ------
    RequestError
        If the model has no trainable weights, or weights of several types or devices.
    DivergedError
        If a loss, a gradient or a weight is not finite.
    CheckpointError
        If the checkpoint is one of another model or of more steps.
    """
    average = copy.deepcopy(model)
    optimizers = _optimizers(model, spec)
    weights = [optimizer.weights for optimizer in optimizers]
    means = [flatten(part) for part in _split(average, spec) if part]
    trained = _Trained(model, average, optimizers, spec)
    first, history = trained.restore(checkpoint) if checkpoint else (0, [])
    began, earlier = time.perf_counter(), history[-1]["seconds"] if history else 0.0
    losses, norms, device = [], [], weights[0].device
    batch, differentiate = batches(examples, device), differentiator(model, spec.precision, device)
    if first == 0 and 0 in spec.snapshots:
        snapshot(0, average)

    for step in range(first, spec.steps):
        stream = rng.torch_stream(seed, "training.batch", step)
        chosen = torch.randint(len(examples), (spec.batch,), generator=stream, device="cpu")
        noise = rng.torch_stream(seed, "training.noise", step, device=device)
        losses.append(differentiate(*batch(chosen), noise))
        norms.append(nn.utils.clip_grad_norm_(weights, spec.clip))
        for optimizer, mean in zip(optimizers, means, strict=True):
            optimizer.step(spec.rate(step, optimizer.rate))
            optimizer.gradient.zero_()
            mean.data.lerp_(optimizer.weights.data, 1 - spec.ema if step else 1.0)
        for of_average, of_model in zip(average.buffers(), model.buffers(), strict=True):
            of_average.copy_(of_model)  # such as the statistics of a BatchNorm; a module may put others in their place

        done = step + 1
        if done in spec.snapshots:
            snapshot(done, average)
        if done % spec.record_every == 0 or done == spec.steps:
            row = _row(done, spec, losses, norms, earlier, began)
            losses, norms = [], []
            _check_finite(row, (*weights, *means))
            if spec.evaluate_every and (done % spec.evaluate_every == 0 or done == spec.steps):
                row |= evaluate(average)
            history.append(row)
            record(row)
            if spec.checkpoint_every and done % spec.checkpoint_every == 0:
                save(trained.checkpoint(done, history))
            report(done)
    return average, history


def _row(
    done: int, spec: TrainingSpec, losses: list[Tensor], norms: list[Tensor], earlier: float, began: float
) -> dict[str, float]:
    """The row of the history after `done` steps. It waits for the device, and then reads the time."""
    loss, norm = torch.stack(losses).mean().item(), torch.stack(norms).mean().item()
    return {
        "step": done,
        "images": done * spec.batch,
        "seconds": earlier + time.perf_counter() - began,
        "loss": loss,
        "gradient_norm": norm,
        "learning_rate": spec.rate(done - 1),
    }


def _check_finite(row: dict[str, float], vectors: Sequence[Tensor]) -> None:
    """Raise `DivergedError` unless the loss, the gradient and the weights are finite."""
    done = row["step"]
    if not (math.isfinite(row["loss"]) and math.isfinite(row["gradient_norm"])):
        raise DivergedError(f"training: got a loss of {row['loss']} by step {done}, needs a finite one")
    if not all(vector.isfinite().all() for vector in vectors):
        raise DivergedError(f"training: got weights that are not finite by step {done}, needs finite ones")


def _split(module: nn.Module, spec: TrainingSpec) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trainable weights that Muon trains, and those that AdamW trains."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    by_muon = [spec.optimizer == "muon" and is_matrix(weight) for weight in weights]
    return list(compress(weights, by_muon)), list(compress(weights, map(not_, by_muon)))


def _optimizers(model: nn.Module, spec: TrainingSpec) -> list[Optimizer]:
    """An optimizer for each part of the weights, all in one vector a part."""
    matrices, others = _split(model, spec)
    made: list[Optimizer] = []
    if matrices:
        shapes = [(len(weight), weight.numel() // len(weight)) for weight in matrices]
        made.append(Muon(flatten(matrices), shapes, spec.matrix_rate, spec.weight_decay, spec.momentum))
    if others or not matrices:
        made.append(AdamW(flatten(others), spec.learning_rate, spec.weight_decay, spec.betas))
    return made


@dataclass(frozen=True)
class _Trained:
    """What a checkpoint keeps of a training."""

    model: nn.Module
    average: nn.Module
    optimizers: Sequence[Optimizer]
    spec: TrainingSpec

    def state(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint, by name.

        Moments are stored weight by weight, because the order of a weight's entries in a vector depends on the device.
        """
        moments = {}
        parts = filter(None, _split(self.model, self.spec))
        for optimizer, weights in zip(self.optimizers, parts, strict=True):
            for name, value in optimizer.moments.items():
                each = enumerate(views(value, weights)) if value.ndim else ()
                moments |= {f"{name}.{k}": view for k, view in each} or {name: value}
        named = {"model": self.model.state_dict(), "average": self.average.state_dict(), "optimizer": moments}
        return {f"{part}.{name}": value for part, values in named.items() for name, value in values.items()}

    def checkpoint(self, step: int, history: list) -> Checkpoint:
        """A copy of the state in the memory of the CPU, which further training does not change."""
        state = self.state()
        tensors = {name: _copied(value) for name, value in state.items()}
        for device in {value.device for value in state.values() if value.is_cuda}:
            torch.cuda.synchronize(device)  # the copies do not wait one by one
        return tensors, {"step": str(step), "history": json.dumps(history)}

    def restore(self, checkpoint: Checkpoint) -> tuple[int, list[dict[str, float]]]:
        """Load the state of a checkpoint, and return the steps done and the history.

        Raises `CheckpointError` if the checkpoint does not fit.
        """
        tensors, text = checkpoint
        state = self.state()
        _check(tensors, {name: value.shape for name, value in state.items()})
        done, history = _progress(text, self.spec.steps)

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.model.load_state_dict(part("model."))
        self.average.load_state_dict(part("average."))
        for name, value in part("optimizer.").items():
            state[f"optimizer.{name}"].copy_(value)
        return done, history


def _copied(value: Tensor) -> Tensor:
    if not value.is_cuda:
        return value.detach().to("cpu", copy=True)
    return torch.empty_like(value, device="cpu", pin_memory=True).copy_(value, non_blocking=True)


def _check(given: dict[str, Tensor], needed: dict[str, torch.Size]) -> None:
    """Raise `CheckpointError` unless the given tensors have the needed names and shapes."""
    found = {name: value.shape for name, value in given.items()}
    for name in sorted(needed.keys() | found.keys()):
        got, needs = (tuple(of[name]) if name in of else "none" for of in (found, needed))
        if got != needs:
            raise CheckpointError(f"checkpoint, {name}: got shape {got}, needs {needs}")


def _progress(text: dict[str, str], steps: int) -> tuple[int, list[dict[str, float]]]:
    """The steps done and the history that a checkpoint's text holds."""
    try:
        done, history = int(text["step"]), json.loads(text["history"])
        if any(not isinstance(row["seconds"], float) for row in history):
            raise TypeError
    except (KeyError, TypeError, ValueError):
        raise CheckpointError("checkpoint: got no steps and history that can be read, needs both") from None
    if not 0 < done <= steps:
        raise CheckpointError(f"checkpoint: got {done} steps, needs 1 to the {steps} of the spec")
    return done, history
