"""Nothing on the way of a run to a device is made on the CPU by mistake, and nothing waits for the device."""

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperfactor import RunSpec, rng
from hyperfactor.generators import denoiser
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.runs.run import build_model
from hyperfactor.training import optimizers
from hyperfactor.training.loop import fit

SOURCES = Path(__file__).parents[1] / "src" / "hyperfactor"
ON_DEVICES = ("generators", "networks", "training", "subjects", "runs/run.py", "runs/execute.py")
FACTORIES = {
    "arange", "as_tensor", "asarray", "empty", "empty_strided", "eye", "from_numpy", "frombuffer", "full",
    "linspace", "logspace", "normal", "ones", "rand", "randint", "randn", "randperm", "scalar_tensor",
    "tensor", "tril_indices", "triu_indices", "zeros",
}  # fmt: skip
ON_THE_CPU = {
    ("training/batches.py", "render"): "rendered pictures, which _copied moves",
    ("runs/run.py", "_pictures"): "a user's pictures, which _visits moves a batch at a time",
    ("runs/run.py", "evaluate"): "drawings and their factor values, which are stored",
}


def made(tree: ast.AST, function: str = "", parent: ast.AST | None = None) -> Iterator[tuple[str, int, str]]:
    """The functions of torch that make a tensor and are given no device: name, line and enclosing function.

    A tensor whose `.to` is called at once has a device.
    """
    if isinstance(tree, ast.FunctionDef):
        function = tree.name
    placed = None  # the function of a call whose result is on a named device
    if isinstance(tree, ast.Call):
        moved = isinstance(parent, ast.Attribute) and parent.attr == "to"
        placed = tree.func if moved or any(keyword.arg == "device" for keyword in tree.keywords) else None
    if isinstance(tree, ast.Attribute) and ast.unparse(tree.value) == "torch" and tree.attr in FACTORIES:
        yield f"torch.{tree.attr}", tree.lineno, function
    for child in ast.iter_child_nodes(tree):
        if child is not placed:
            yield from made(child, function, tree)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("torch.zeros(3)", ["torch.zeros"]),
        ("torch.zeros(3, device=x.device)", []),
        ("torch.tensor([1.0]).to(x)", []),
        ("map(torch.from_numpy, parts)", ["torch.from_numpy"]),
        ("f(torch.ones(2), device=d)", ["torch.ones"]),
        ("torch.full((2,), torch.rand(1), device=d)", ["torch.rand"]),
        ("(torch.rand(2) + 1).to(d)", ["torch.rand"]),
        ("torch.zeros_like(x); x.new_zeros(2)", []),
    ],
)
def test_the_walk_finds_tensors_without_a_device(code, names):
    assert [name for name, _, _ in made(ast.parse(code))] == names


def test_every_tensor_is_made_on_a_named_device():
    found, used = [], set()
    for place in ON_DEVICES:
        for path in sorted((SOURCES / place).rglob("*.py")) if "." not in place else [SOURCES / place]:
            file = path.relative_to(SOURCES).as_posix()
            for name, line, function in made(ast.parse(path.read_text())):
                used.add((file, function))
                found += [f"{file}:{line} {name}"] if (file, function) not in ON_THE_CPU else []
    assert found == []
    assert used == set(ON_THE_CPU)


class Steps(Exception):  # noqa: N818
    """The loop has recorded a row."""


KINDS = ("transformer", "decoder", "mlp", "vae", "gan")
META = torch.device("meta")  # a device other than the CPU, whose tensors have no values, so nothing can wait for them


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": {"optimizer": "muon"}},
        *({"model": {"kind": kind}} for kind in ("decoder", "mlp", "transformer")),
    ],
)
def test_training_stays_on_the_device_and_waits_only_for_a_row(changes, keeps, monkeypatch):
    spec = RunSpec.parse({"data": {"picture": {"size": 16}}, "seed": 1, **changes})
    model, losses = build_model(spec, META), []

    def stream(*name, device="cpu"):
        if name[1] == "training.noise":
            assert torch.device(device) == META
        return torch_stream(*name)

    def loss(*given):
        losses.append(of_model(*given))
        return losses[-1]

    def adamw(weights, gradients, means, squares, largest, steps, fused, **named):  # a fused step cannot be either
        optimizers_adamw(weights, gradients, means, squares, largest, [torch.zeros(())], **named)

    torch_stream, of_model, optimizers_adamw = rng.torch_stream, model.loss, optimizers.adamw
    monkeypatch.setattr(rng, "torch_stream", stream)  # a generator cannot be on this device
    monkeypatch.setattr(model, "loss", loss)
    monkeypatch.setattr(optimizers, "adamw", adamw)
    monkeypatch.setattr(type(spec.task), "keeps", keeps)
    recipe = spec.training.model_copy(update={"steps": 3, "batch": 2, "snapshots": ()})
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta tensors"):
        fit(model, spec.task, recipe, 0)
    assert len(losses) == 3
    assert {one.device for one in losses} == {META}


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm-solver++"])
@pytest.mark.parametrize("given", [False, True])
def test_drawing_stays_on_the_device(sampler, given, monkeypatch):
    spec = RunSpec.parse({"data": {"picture": {"size": 16}}})
    model = build_model(spec, META).drawing_by(SamplingSpec(sampler=sampler, steps=4))
    monkeypatch.setattr(denoiser, "finite", lambda x: x)  # the one look at the values, at the end of a drawing
    condition = torch.from_numpy(spec.task.encode(np.array([[1.0, 2.0], [3.0, 4.0]]))).to(META)
    pictures = torch.zeros(2, 1, 16, 16, device=META) if given else None
    streams = [rng.torch_stream(0, "check", k) for k in range(2)]
    states = dict(model.visit(condition, streams, (0, 400, 999), pictures))
    assert list(states) == [999, 400, 0]
    assert {(x.device, x.shape) for x in states.values()} == {(META, (2, 1, 16, 16))}
