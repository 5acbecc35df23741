"""Run: one trained model that draws, with all that was recorded of it."""

import math
import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeGuard, overload

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from safetensors.torch import load as load_tensors
from torch import Tensor

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.regions import Region
from hyperfactor.factors.space import FactorSpace
from hyperfactor.generators.base import Generator
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.measures.accuracy import Accuracy, measure
from hyperfactor.networks.layers import Pool, check_layers, collect
from hyperfactor.networks.layers import size as measure_size
from hyperfactor.runs.record import Record
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store.store import Store
from hyperfactor.subjects.judge import judge

BATCH = 64  # pictures drawn at a time; it changes no picture
ROUNDED = 1e-5  # pictures may be so far outside of [0, 1], by rounding
MODELS = 4  # of several training steps, that a run keeps in memory
CAPTURE = 2**32  # bytes that the activations asked for at once may take

Pictures = Float[np.ndarray, "n c h w"]

# A forked child lacks the threads that torch started in its parent, and would wait for them for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def build_model(spec: RunSpec) -> Generator:
    """The untrained model of a spec; its first weights depend on the spec alone."""
    picture = spec.data.picture
    with rng.torch_seeded(spec.seed, "model.weights"):
        model = spec.model.build(
            spec.data.picture.shape,
            spec.encoding.width(picture.space()),
            background=picture.background,
            diffusion=spec.diffusion,
            sampling=spec.sampling,
        )
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def snapshot_name(step: int) -> str:
    """The artifact that holds the averaged weights after `step` steps."""
    return f"snapshot-{step}.safetensors"


def _one_of(value: object, name: str, allowed: Container[int], needs: str) -> int:
    """The value as an integer, or RequestError unless it is one of those allowed."""
    try:
        whole = arrays.whole(value, name, 0)
    except RequestError:
        whole = -1
    if whole not in allowed:
        raise RequestError(f"{name}: got {' '.join(repr(value).split())}, needs {needs}")
    return whole


def _pictures(given: object, shape: tuple[int, ...]) -> Float[Tensor, "n c h w"]:
    """Pictures in [0, 1] of this shape, float32, or RequestError."""
    values = arrays.numbers(given, "pictures")
    if values.shape != shape:
        raise RequestError(f"pictures: got shape {values.shape}, needs {shape}")
    if str(getattr(given, "dtype", "")).endswith("uint8"):
        raise RequestError("pictures: got type uint8, whose values are 0..255, needs numbers in [0, 1]")
    if values.size and not (values.min() >= -ROUNDED and values.max() <= 1 + ROUNDED):  # NaN is in no range
        raise RequestError(f"pictures: got values in {values.min():g}..{values.max():g}, needs numbers in [0, 1]")
    return torch.from_numpy(values.astype(np.float32))


def _is_sequence(given: Any) -> TypeGuard[Sequence[int]]:
    return (isinstance(given, Sequence) and not isinstance(given, str | bytes)) or getattr(given, "ndim", 0) > 0


def _timesteps(given: int | Sequence[int], total: int) -> tuple[int, ...]:
    """One or more timesteps as integers below a total, or RequestError."""
    needs = f"an integer in 0..{total - 1}"
    several = tuple(given) if _is_sequence(given) else (given,)
    if not several:
        raise RequestError(f"timestep: got none, needs {needs}, or several")
    return tuple(_one_of(timestep, "timestep", range(total), needs) for timestep in several)


def _seeds(given: Sequence[int]) -> tuple[int, ...]:
    """Two or more different seeds, or RequestError."""
    seeds = tuple(rng.check_seed(seed) for seed in given)
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise RequestError(f"seed: got {list(seeds)}, needs an integer, or two or more different ones")
    return seeds


def _pictures_by_seed(
    given: Any, seeds: Sequence[int], shape: tuple[int, ...], several: bool
) -> Sequence[Float[Tensor, "n c h w"] | None]:
    """For each seed the pictures to look at, None for the model's own; RequestError as `_pictures`.

    Of several seeds a list of arrays of four axes has an array for each seed; anything else is one array for all.
    """
    if given is None:
        return [None] * len(seeds)
    if not (several and isinstance(given, list | tuple) and all(getattr(part, "ndim", 0) == 4 for part in given)):
        return [_pictures(given, shape)] * len(seeds)
    if len(given) != len(seeds):
        raise RequestError(
            f"pictures: got a list of {len(given)}, needs one array, or one for each of {len(seeds)} seeds"
        )
    return [_pictures(part, shape) for part in given]


def _device(given: str | torch.device) -> torch.device:
    """The device, or RequestError where torch does not have it."""
    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise RequestError(f"device: got {given!r} ({said}), needs cpu, or a device of this machine") from None
    return device


def draw(model: Generator, spec: RunSpec, points: Float[np.ndarray, "n k"], seed: int) -> Pictures:
    """One picture a point. The noise of a picture depends on the seed, its factor values, and on
    how many equal points come before it, so neither the order nor the batches change a picture."""
    space = spec.data.picture.space()
    device = next(model.parameters()).device
    condition = torch.from_numpy(spec.encoding.encode(points, space)).to(device)
    streams = list(_streams(points, space, seed))
    model.eval()
    batches = [model.sample(condition[i : i + BATCH], streams[i : i + BATCH]) for i in range(0, len(points), BATCH)]
    return torch.cat(batches).cpu().numpy() if batches else np.zeros((0, *spec.data.picture.shape), np.float32)


def _streams(points: np.ndarray, space: FactorSpace, seed: int) -> Iterator[torch.Generator]:
    """A stream for each point, named by its values; the high end of a periodic factor is its low end.

    A value enters the name as the words of its 64 bits. Only 0 takes one word and only its last word is 0, so
    read from the end two points never have the same words.
    """
    wrapped = np.where(np.abs(points) < np.finfo(np.float64).tiny, 0.0, points)  # -0.0 and subnormal numbers are 0.0
    for k, factor in enumerate(space.factors):
        if factor.period is not None:
            wrapped[wrapped[:, k] == factor.high, k] = factor.low
    seen: dict[tuple[int, ...], int] = {}
    for bits in map(tuple, np.ascontiguousarray(wrapped).view(np.uint64).tolist()):
        seen[bits] = seen.get(bits, -1) + 1
        yield rng.torch_stream(seed, "sample", *(word for value in bits for word in rng.words(value)), seen[bits])


def _visits(
    model: Generator,
    condition: Float[Tensor, "n d"],
    streams: Sequence[torch.Generator],
    timesteps: Sequence[int],
    given: Float[Tensor, "n c h w"] | None,
) -> Iterator[int]:
    """Stops at each timestep asked for, in batches: of the model's own drawings, or of the pictures given, noised."""
    for i in range(0, len(condition), BATCH):
        pictures = None if given is None else given[i : i + BATCH].to(condition.device)
        for timestep, _ in model.visit(condition[i : i + BATCH], streams[i : i + BATCH], timesteps, pictures):
            yield timestep


def _check_memory(
    model: Generator, names: Sequence[str], condition: Float[Tensor, "n d"], readings: dict[str, int], pool: Pool | None
) -> None:
    """RequestError where the layers of all points and readings take over CAPTURE bytes.

    readings: how many seeds and timesteps, by these words.
    """
    count = len(condition) * math.prod(readings.values())
    needed = measure_size(model.network, names, model.inputs(condition[:1]), count, pool)
    if needed.bytes > CAPTURE:
        several = {what: number for what, number in readings.items() if number > 1}
        of = "".join(f" and {number} {what}" for what, number in several.items())
        raise RequestError(
            f"layers {', '.join(names)}: got {needed.bytes / 1e9:.1f} GB for {len(condition)} points{of}, needs at "
            f"most {CAPTURE / 1e9:.1f} GB; pool the pixels, or ask for fewer {', '.join(['points', *several])} or layers"
        )


def evaluate(model: Generator, spec: RunSpec, most: int | None = None) -> tuple[pl.DataFrame, dict[str, Tensor]]:
    """Draw and judge the training region and every test region, `most` points of each at most.

    Returns the frame of `judge` over all regions, and the pictures with their factors.
    """
    regions = spec.task.regions(most)
    points = np.unique(np.concatenate(list(regions.values())), axis=0)
    images = draw(model, spec, points, spec.seed)
    where = {tuple(point): row for row, point in enumerate(points.tolist())}
    frames = [
        judge(spec.task, name, some, images[[where[tuple(point)] for point in some.tolist()]])
        for name, some in regions.items()
    ]
    return pl.concat(frames), {"images": torch.from_numpy(images), "factors": torch.from_numpy(points)}


class Run(Record):
    """A finished run, alive: it draws, and its layers can be looked at.

    Parameters
    ----------
    store : Store
        Where the run is.
    run : str
        Its id.
    device : str or torch.device
        Where it draws. The noise of a drawing is the same everywhere.

    Raises
    ------
    RequestError
        Where the run is not finished, and for a device that torch does not have.
    """

    def __init__(self, store: Store, run: str, device: str | torch.device = "cpu"):
        super().__init__(store, run)
        self.device = _device(device)
        self._models: dict[str, Generator] = {}  # the one that was asked for last at the end

    @classmethod
    def open(cls, store: str | Path, prefix: str, device: str | torch.device = "cpu") -> Self:
        """The finished run whose id begins with `prefix`, on a device."""
        opened = Store(store)
        return cls(opened, opened.resolve(prefix), device)

    @property
    def space(self) -> FactorSpace:
        """The factors."""
        return self.spec.task.space

    @property
    def model(self) -> Generator:
        """The trained model, with averaged weights."""
        return self._model("weights.safetensors")

    def _model(self, name: str) -> Generator:
        """The model of some weights; the last MODELS that were asked for are kept."""
        model = self._models.pop(name) if name in self._models else self._load(name)
        self._models = dict([*self._models.items(), (name, model)][-MODELS:])
        return model

    def _load(self, name: str) -> Generator:
        model = build_model(self.spec)
        model.load_state_dict(load_tensors(self._store.read(self.id, name)))
        return model.to(self.device).eval()

    def axes(self) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """The values of each factor at which the model is looked at."""
        return self.spec.data.test_axes()

    def default_layers(self) -> tuple[str, ...]:
        """The layer that is looked at unless others are named."""
        return (self.model.default_layer,)

    def assess(self, images: Pictures, points: Float[np.ndarray, "n k"]) -> Accuracy:
        """Judge drawings against the closed form of their family (see `measures.accuracy`)."""
        return measure(images, points, self.spec.task.family)

    def reading_errors(self) -> dict[str, float]:
        """How often the family misreads its own true pictures, by factor."""
        points = self.spec.data.test_lattice()
        told = measure(self.spec.task.render(points), points, self.spec.task.family)
        rates = {name: float(1 - told.correct[:, k].mean()) for k, name in enumerate(self.space.names)}
        return rates | {"all": float(1 - told.all.mean()), "valid": float(1 - told.valid.mean())}

    def model_at(self, step: int | None = None) -> Generator:
        """The model after `step` training steps, one of `training.snapshots`; None for the trained one."""
        training = self.spec.training
        if step is None:
            return self.model
        kept = sorted({*training.snapshots, training.steps})
        step = _one_of(step, "step", kept, f"one that run {self.id} kept: {', '.join(map(str, kept))}")
        return self.model if step == training.steps else self._model(snapshot_name(step))

    def sample(
        self,
        factors: Float[np.ndarray, "n k"],
        seed: int = 0,
        step: int | None = None,
        *,
        sampling: SamplingSpec | None = None,
    ) -> Float[np.ndarray, "n c h w"]:
        """Draw a picture in [0, 1], float32, for each row of factor values, which need not be on the lattice.

        Equal rows get different noise.

        Parameters
        ----------
        factors : (n, k), in the factors' units, of any numeric type and layout.
        seed : of the noise, an integer of at least 0 and below 2^128.
        step : of training, one that was kept; None for the trained model.
        sampling : the sampler and its steps; None for the spec's.

        Raises
        ------
        RequestError : for values outside the factor space, what is no array of numbers, a bad seed or step, and a
            sampler that the model has not or that its noise schedule does not allow.
        """
        seed, spec = rng.check_seed(seed), self.spec
        model = self.model_at(step) if sampling is None else self.model_at(step).drawing_by(sampling)
        return draw(model, spec, spec.data.picture.space().check(factors), seed)

    @overload
    def activations(
        self,
        layers: str | Sequence[str],
        timestep: int = 0,
        factors: Float[np.ndarray, "n k"] | None = None,
        step: int | None = None,
        *,
        pictures: Pictures | None = None,
        pool: Pool | None = None,
        seed: int = 0,
    ) -> dict[str, Float[np.ndarray, "*n d"]]: ...

    @overload
    def activations(
        self,
        layers: str | Sequence[str],
        timestep: int = 0,
        factors: Float[np.ndarray, "n k"] | None = None,
        step: int | None = None,
        *,
        pictures: Pictures | Sequence[Pictures] | None = None,
        pool: Pool | None = None,
        seed: Sequence[int],
    ) -> dict[str, list[Float[np.ndarray, "*n d"]]]: ...

    @overload
    def activations(
        self,
        layers: str | Sequence[str],
        timestep: Sequence[int],
        factors: Float[np.ndarray, "n k"] | None = None,
        step: int | None = None,
        *,
        pictures: Pictures | Sequence[Pictures] | None = None,
        pool: Pool | None = None,
        seed: int | Sequence[int] = 0,
    ) -> dict[int, dict[str, Any]]: ...

    def activations(
        self,
        layers: str | Sequence[str],
        timestep: int | Sequence[int] = 0,
        factors: Float[np.ndarray, "n k"] | None = None,
        step: int | None = None,
        *,
        pictures: Pictures | Sequence[Pictures] | None = None,
        pool: Pool | None = None,
        seed: int | Sequence[int] = 0,
    ) -> dict[str, Any] | dict[int, dict[str, Any]]:
        """What layers put out when the model draws.

        Several seeds give several readings of the layers: the factors are the same, the noise is not. Measures of
        geometry take the list of a layer and correct for noise (see `hyperfactor.measures.geometry`). Several
        timesteps are read from the same drawing, which takes hardly longer than one of them.

        Parameters
        ----------
        layers : names of modules of the network, such as "up1" (see `hyperfactor.networks.unet.LAYERS`).
        timestep : of the drawing, 0 for the finished picture; or several.
        factors : the points, (n, k); None for the whole lattice.
        step : of training, one that was kept; None for the trained model.
        pictures : in [0, 1], noised to the timestep and looked at in place of the model's own drawings, such as the
            truth. Of several seeds one array, which is noised with each seed, or a list with one array for each.
        pool : "mean" or "max" over the pixels, which leaves the channels.
        seed : of the noise; or two or more different seeds.

        Returns
        -------
        For each layer an array (n, d), float32, with d its channels x rows x columns; (n_1, ..., n_k, d) for the whole
        lattice. Of several seeds a list of such arrays, one a seed: each is what that seed alone gives. Of several
        timesteps a dict of these by timestep: each is what that timestep alone gives.

        Raises
        ------
        RequestError : for an unknown layer, a bad timestep, step, pool or seed, equal seeds, values outside the factor
            space, pictures that are not of the points' shape or not in [0, 1] or that the model does not look at, and
            results that would take over CAPTURE bytes, those of all seeds and timesteps together.
        """
        model, space = self.model_at(step), self.spec.data.picture.space()
        timesteps = _timesteps(timestep, model.timesteps)
        if pool not in (None, "mean", "max"):
            raise RequestError(f"pool: got {pool!r}, needs mean, max or None")
        several = _is_sequence(seed)
        points = self.spec.data.test_lattice() if factors is None else space.check(factors)
        names = check_layers(model.network, layers)
        condition = torch.from_numpy(self.spec.encoding.encode(points, space)).to(self.device)
        readings = {"seeds": len(seed) if several else 1, "timesteps": len(timesteps)}
        _check_memory(model, names, condition, readings, pool)
        seeds = _seeds(seed) if several else (rng.check_seed(seed),)
        given = _pictures_by_seed(pictures, seeds, (len(points), *self.spec.data.picture.shape), several)
        shape = tuple(len(axis) for axis in self.spec.data.test_axes()) if factors is None else (len(points),)
        found = []
        for one, looked_at in zip(seeds, given, strict=True):
            visits = _visits(model, condition, list(_streams(points, space, one)), timesteps, looked_at)
            found.append(collect(model.network, names, visits, pool))

        def of(timestep: int, name: str) -> Any:
            arrays = [reading[timestep][name].reshape(*shape, -1) for reading in found]
            return arrays if several else arrays[0]

        by_timestep = {timestep: {name: of(timestep, name) for name in names} for timestep in timesteps}
        return by_timestep if _is_sequence(timestep) else by_timestep[timesteps[0]]

    def evaluate(self, region: str | Region | None = None, step: int | None = None) -> pl.DataFrame:
        """A row a drawing: factors, centres, correct, both, valid, right, error, copying baseline.

        region: None for every region recorded, a name for that one; a Region for its lattice points, drawn
        now. step: of training, one that was kept, whose model draws now. Raises RequestError for a name
        that was not recorded, or a region without lattice points.
        """
        if region is not None and not isinstance(region, str):
            try:
                region = Region.parse(region)
            except RequestError as error:
                raise RequestError(f"region: {str(error).removeprefix('spec: ')}") from None
            points = self.spec.task.region(region)
            return judge(self.spec.task, getattr(region, region.tag), points, self.sample(points, self.spec.seed, step))
        if step is None:
            judged = self.evaluation
        else:
            judged, _ = evaluate(self.model_at(step), self.spec)
        if region is None:
            return judged
        if region not in (names := judged["region"].unique(maintain_order=True).to_list()):
            raise RequestError(f"region: got {region!r}, needs one of {', '.join(names)}")
        return judged.filter(pl.col("region") == region)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Within the block torch uses `count` threads; None leaves its own choice."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
