"""What the layers of a network put out: hooks on named modules of any torch module.

    with watch(network, ("up1", "head")) as seen:
        network(x)
    seen["up1"]                       # its output of the last call

`capture` does this over batches and gathers arrays; `collect` does it for calls that somebody else makes.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperfactor.errors import RequestError

Pool = Literal["mean", "max"]
Key = TypeVar("Key")


def check_layers(module: nn.Module, layers: Sequence[str]) -> tuple[str, ...]:
    """The names as given, or RequestError for one that the module does not have."""
    named = dict(module.named_modules(remove_duplicate=False))
    if not isinstance(layers, Iterable):
        raise RequestError(f"layers: got {layers!r}, needs the name of a layer, or several")
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    if not names:
        raise RequestError("layers: got none, needs at least one")
    for name in names:
        if not isinstance(name, str) or not name or name not in named:
            top = [known for known in named if known and "." not in known]
            raise RequestError(f"layer: got {name!r}, needs one of {', '.join(top)}, or a module within them")
    return names


@contextmanager
def watch(module: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Record what layers put out: within the block the dict holds the output of each layer at its last call.

    Outputs are copied when the layer returns, so that later code may change them in place: an activation, a
    sum into a residual, a buffer used again.  The hooks are removed after the block, whatever happens.

    Parameters
    ----------
    module: the network.
    layers: names of modules within it.

    Raises
    ------
    RequestError
        For an unknown layer, and during a call for one whose output is not a tensor of real numbers with a
        row for each sample.
    """
    names = check_layers(module, layers)
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if not isinstance(output, Tensor):
                raise RequestError(f"layer {name}: got an output of {type(output).__name__}, needs a tensor")
            if output.ndim == 0 or output.is_complex():
                given = "complex numbers" if output.is_complex() else "one number"
                raise RequestError(f"layer {name}: got an output of {given}, needs real numbers, a row for each sample")
            seen[name] = output.detach().clone()

        return hook

    handles = []
    try:
        for name in names:
            handles.append(module.get_submodule(name).register_forward_hook(keep(name)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def collect(
    module: nn.Module, layers: Sequence[str], visits: Iterable[Key], pool: Pool | None = None
) -> dict[Key, dict[str, Float[np.ndarray, "n d"]]]:
    """The outputs of the layers at each visit to the module, gathered by the visits' keys.

    Parameters
    ----------
    module: the network.
    layers: names of modules within it.
    visits: an iterator that calls the module and then stops, with a key such as the timestep.  The output of a layer
        at its last call before the stop is kept.  Equal keys may come again, with more samples.
    pool: as for `capture`.

    Returns
    -------
    For each key and layer an array of shape (n, d), float32.

    Raises
    ------
    RequestError
        As `watch` does, and for a layer that was not called before a stop.
    """
    parts: dict[Key, dict[str, list[np.ndarray]]] = {}
    names = check_layers(module, layers)
    with watch(module, names) as seen:
        for key in visits:
            of_key = parts.setdefault(key, {name: [] for name in names})
            for name, of_layer in of_key.items():
                if name not in seen:
                    raise RequestError(f"layer {name}: got no call in a forward pass, needs a layer that is used")
                of_layer.append(_flat(seen[name], pool))
            seen.clear()
    return {key: {name: np.concatenate(of_layer) for name, of_layer in of_key.items()} for key, of_key in parts.items()}


@torch.no_grad()
def capture(
    module: nn.Module,
    layers: Sequence[str],
    batches: Iterable[tuple],
    pool: Pool | None = None,
    call: Callable[..., object] | None = None,
) -> dict[str, Float[np.ndarray, "n d"]]:
    """The outputs of the layers over all batches, from one forward pass for each batch.

    Only the requested outputs are kept, so the memory needed is that of the result and of one batch.  For a
    module that one forward pass calls several times, the last call counts.

    Parameters
    ----------
    module: the network.
    layers: names of modules within it.
    batches: the arguments of each call.  The first axis of every output is the sample.
    pool: "mean" or "max" over all axes after the channels (the second axis), so that d is the number of
        channels.  Without it an output is flattened, row by row of each channel.
    call: what is called; the module itself where left out.

    Returns
    -------
    For each layer an array of shape (n, d), float32.

    Raises
    ------
    RequestError
        As `watch` does, for a layer that no forward pass calls, and where there are no batches.
    """

    def called() -> Iterator[None]:
        for arguments in batches:
            (call or module)(*arguments)
            yield

    if not (found := collect(module, layers, called(), pool)):
        raise RequestError("batches: got none, needs at least one")
    return found[None]


def _flat(output: Tensor, pool: Pool | None) -> np.ndarray:
    output = output.float()
    if pool and output.ndim > 2:
        wide = output.flatten(2)
        output = wide.mean(dim=2) if pool == "mean" else wide.amax(dim=2)
    return output.reshape(len(output), math.prod(output.shape[1:])).cpu().numpy()


@dataclass(frozen=True)
class Size:
    """shapes: of each layer's output for one sample; bytes: of all float32 results together."""

    shapes: dict[str, tuple[int, ...]]
    bytes: int


@torch.no_grad()
def size(
    module: nn.Module,
    layers: Sequence[str],
    arguments: tuple,
    samples: int,
    pool: Pool | None = None,
    call: Callable[..., object] | None = None,
) -> Size:
    """How large the result of `capture` would be over `samples`, from one call with a small batch."""
    with watch(module, layers) as seen:
        (call or module)(*arguments)
    shapes = {name: tuple(output.shape[1:]) for name, output in seen.items()}
    numbers = sum(math.prod(shape[:1] if pool else shape) for shape in shapes.values())
    return Size(shapes, 4 * samples * numbers)
