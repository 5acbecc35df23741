"""A user's torch module, as a subject."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError, told
from hyperfactor.factors.space import FactorSpace, PositiveByFactor
from hyperfactor.images.family import Reading
from hyperfactor.measures.accuracy import Accuracy, measure_by_reading
from hyperfactor.networks.layers import check_layers, collect, watch
from hyperfactor.subjects.read import Fitted

BATCH = 64  # pictures that are drawn at a time
CAPTURE = 2**32  # bytes that the layers of one request may take


class TorchSubject:
    """A module that draws pictures of some factors.

    Parameters
    ----------
    module : torch.nn.Module
        Its named modules are the layers. It is in evaluation mode while it is studied.
    space : FactorSpace
        The factors, with the tolerances within which a drawing is correct.
    call : function
        `call(module, factors)` draws: it takes factor values (n, k), float64, and returns pictures (n, c, h, w), a
        tensor or an array. It is called with up to BATCH rows, without gradients.
    read : function, optional
        `read(images)` returns the factor values of pictures as a `Reading`: the user's own function, or one that
        `fitted` has learnt. Default: no drawing is judged.
    spacing : float or mapping
        Step of the lattice where the module is studied unless points are given, in each factor's unit: one for all, or
        by name.
    """

    def __init__(
        self,
        module: nn.Module,
        space: FactorSpace,
        call: Callable[[Any, Float[np.ndarray, "n k"]], Any],
        read: Callable[[Float[np.ndarray, "n c h w"]], Reading] | None = None,
        spacing: PositiveByFactor = 1.0,
    ):
        self.module, self.space, self.call, self.read, self.spacing = module, space, call, read, spacing

    def __repr__(self) -> str:
        return f"module {type(self.module).__name__}"

    @property
    def device(self) -> torch.device:
        """The device of the module's first parameter or buffer; the CPU if it has none."""
        tensors = (*self.module.parameters(), *self.module.buffers())
        return tensors[0].device if tensors else torch.device("cpu")

    def axes(self) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """Return the values of each factor on the lattice."""
        return self.space.axes(self.spacing)

    def default_layers(self) -> tuple[str, ...]:
        """Return the names of the module's children."""
        return tuple(name for name, _ in self.module.named_children())

    def sample(self, factors: Float[np.ndarray, "n k"], seed: int = 0) -> Float[np.ndarray, "n c h w"]:
        """Draw a picture, float32, at each row of factor values.

        Parameters
        ----------
        factors : (n, k)
            Requested values, in the factors' units.
        seed : int
            Seed of the numbers that the module draws from torch's global generator on the CPU. If the module is on
            another device, nothing is seeded.

        Raises
        ------
        RequestError
            For values outside the space, a call that fails, and a result that is not one finite picture a row.
        """
        return np.concatenate(list(self._drawn(self.space.check(factors), seed)))

    def activations(
        self,
        layers: str | Sequence[str],
        timestep: int = 0,
        factors: Float[np.ndarray, "n k"] | None = None,
        step: int | None = None,
        *,
        seed: int = 0,
    ) -> dict[str, Float[np.ndarray, "*n d"]]:
        """Return the outputs of layers while the module draws, each at its last call.

        Parameters
        ----------
        layers : str or sequence of str
            Names of modules within it, at any depth.
        timestep, step : int, optional
            0 and None; a module has no others.
        factors : (n, k), optional
            Points. Default: the whole lattice.
        seed : int
            As for `sample`.

        Returns
        -------
        dict of str to array
            For each layer (n, d), float32; (n_1, ..., n_k, d) for the whole lattice.

        Raises
        ------
        RequestError
            As `sample` does; for an unknown layer, one that is not called, or one whose output is not a tensor with one
            row a sample; and for layers that would take over CAPTURE bytes.
        """
        if timestep != 0 or step is not None:
            raise RequestError(f"timestep, step: got {timestep} and {step}, needs 0 and None: a module has one of each")
        names = check_layers(self.module, layers)
        points = self.space.lattice(self.spacing) if factors is None else self.space.check(factors)
        shape = tuple(map(len, self.axes())) if factors is None else (len(points),)
        self._check_memory(names, points, seed)
        visits = (0 for _ in self._drawn(points, seed))
        found = collect(self.module, names, visits)[0]
        for name, values in found.items():
            if len(values) != len(points):
                raise RequestError(
                    f"layer {name}: got {len(values)} rows for {len(points)} points, needs one row for each point"
                )
        return {name: values.reshape(*shape, -1) for name, values in found.items()}

    def assess(self, images: Float[np.ndarray, "n c h w"], points: Float[np.ndarray, "n k"]) -> Accuracy:
        """Judge drawings by `read`; raise RequestError if there is none."""
        if self.read is None:
            raise RequestError("read: got none, needs a function that tells the factor values of pictures")
        with told("read"):
            reading = self.read(images)
        if not isinstance(reading, Reading):
            raise RequestError(f"read: got {type(reading).__name__}, needs a Reading")
        return measure_by_reading(reading, self.space.check(points), self.space)

    def reading_errors(self) -> dict[str, float] | None:
        """Return how often `read` is wrong on held-out labelled pictures; None unless it was learnt by `fitted`."""
        return dict(self.read.error_rates) if isinstance(self.read, Fitted) else None

    def _check_memory(self, names: Sequence[str], points: Float[np.ndarray, "n k"], seed: int) -> None:
        with watch(self.module, names) as seen:
            next(self._drawn(points[:1], seed))
        for name, output in seen.items():
            if output.ndim == 0 or len(output) != 1:  # of many points, other rows may be taken for points
                rows = 0 if output.ndim == 0 else len(output)
                raise RequestError(f"layer {name}: got {rows} rows for 1 point, needs one row for each point")
        needed = 4 * len(points) * sum(output[:1].numel() for output in seen.values())
        if needed > CAPTURE:
            raise RequestError(
                f"layers {', '.join(names)}: got {needed / 1e9:.1f} GB for {len(points)} points, needs at most "
                f"{CAPTURE / 1e9:.1f} GB: fewer points or layers"
            )

    def _drawn(self, points: Float[np.ndarray, "n k"], seed: int) -> Iterator[Float[np.ndarray, "b c h w"]]:
        """Draw pictures, a batch at a time."""
        if not len(points):
            raise RequestError("factors: got no rows, needs at least one")
        for i in range(0, len(points), BATCH):
            batch = points[i : i + BATCH]
            with torch.no_grad(), _evaluating(self.module), self._seeded(seed, i), told("call"):
                drawn = self.call(self.module, batch.copy())
            yield _pictures(drawn, len(batch))

    def _seeded(self, seed: int, index: int) -> Any:
        on_cpu = self.device.type == "cpu"
        return rng.torch_seeded(rng.check_seed(seed), "subject", index) if on_cpu else nullcontext()


def _pictures(drawn: Any, count: int) -> Float[np.ndarray, "n c h w"]:
    """Return pictures as float32; raise RequestError for anything else."""
    given = drawn.detach().float().cpu() if isinstance(drawn, Tensor) else drawn
    values = arrays.finite(arrays.numbers(given, "call"), "call")
    if values.ndim != 4 or len(values) != count:
        raise RequestError(f"call: got pictures of shape {values.shape} for {count} points, needs ({count}, c, h, w)")
    return values.astype(np.float32)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put the module and its parts into evaluation mode within the block, and restore each afterwards."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
