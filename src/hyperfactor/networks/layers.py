"""The outputs of the layers of a network, recorded by hooks on the named modules of any torch module.

    with watch(network, ("up1", "head")) as seen:
        network(x)
    seen["up1"]                       # its output at the last call

`capture` does this over batches and returns arrays; `collect` does it for calls that other code makes.
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
    """Return the names of layers as a tuple; raise RequestError for one that the module does not have."""
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
    """Record the outputs of layers: within the block the dict holds the output of each layer at its last call.

    Outputs are copied when the layer returns, so later code may change them in place (an activation, a sum into a
    residual, a reused buffer). The hooks are removed after the block, also after an exception.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    layers : sequence of str
        Names of modules within it.

    Raises
    ------
    RequestError
        For an unknown layer. During a call: for an output that is not a tensor of real numbers with one row a sample.
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
    """Gather the outputs of layers at each visit to the module, by the keys of the visits.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    layers : sequence of str
        Names of modules within it.
    visits : iterable
        An iterator that calls the module, then stops and yields a key such as the timestep. The output of a layer at
        its last call before the stop is kept. A key may come again, with more samples.
    pool : {"mean", "max"}, optional
        As for `capture`.

    Returns
    -------
    dict
        For each key and layer an array (n, d), float32.

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
    """Gather the outputs of layers over all batches, with one forward pass a batch.

    Only the requested outputs are kept, so the memory needed is that of the result and of one batch. If a forward pass
    calls a module several times, the last call counts.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    layers : sequence of str
        Names of modules within it.
    batches : iterable of tuple
        Arguments of each call. The first axis of every output is the sample.
    pool : {"mean", "max"}, optional
        Pooling over all axes after the channels (the second axis), so that d is the number of channels. Default: none;
        an output is flattened.
    call : function, optional
        Function that is called with the arguments. Default: the module.

    Returns
    -------
    dict
        For each layer an array (n, d), float32.

    Raises
    ------
    RequestError
        As `watch` does, for a layer that no forward pass calls, and if there are no batches.
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
    """Size of a result of `capture`.

    Attributes
    ----------
    shapes : dict
        Shape of each layer's output for one sample.
    bytes : int
        Size of all float32 results together.
    """

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
    """Predict the size of the result of `capture`, from one call with a small batch.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    layers : sequence of str
        Names of modules within it.
    arguments : tuple
        Arguments of the call.
    samples : int
        Number of samples of the result.
    pool, call
        As for `capture`.
    """
    with watch(module, layers) as seen:
        (call or module)(*arguments)
    shapes = {name: tuple(output.shape[1:]) for name, output in seen.items()}
    numbers = sum(math.prod(shape[:1] if pool else shape) for shape in shapes.values())
    return Size(shapes, 4 * samples * numbers)
