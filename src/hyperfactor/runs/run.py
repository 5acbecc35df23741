"""Run: a trained model that draws, with everything that was recorded about it."""

import math
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeGuard, overload

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from safetensors.torch import load as load_tensors
from torch import Tensor

from hyperfactor import arrays, notebook, rng
from hyperfactor.errors import RequestError, quoted
from hyperfactor.factors.regions import Region
from hyperfactor.factors.space import FactorSpace
from hyperfactor.generators.base import Generator
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.measures.accuracy import Accuracy, measure
from hyperfactor.networks.layers import Pool, check_layers, collect, size as measure_size
from hyperfactor.networks.memory import kept
from hyperfactor.runs.device import at_once, device_of, exact
from hyperfactor.runs.record import Record
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store.store import Store
from hyperfactor.subjects.base import checked_points
from hyperfactor.subjects.judge import judge

ROUNDED = 1e-5  # how far pictures may lie outside [0, 1], because of rounding
MODELS = 4  # models of different training steps that a run keeps in memory
CAPTURE = 2**32  # largest size of the activations of one call, in bytes

Pictures = Float[np.ndarray, "n c h w"]

# Threads of torch do not survive a fork, and a forked child would wait for them for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def build_model(spec: RunSpec, device: str | torch.device = "cpu") -> Generator:
    """The untrained model of a spec, on a device and in the layout that trains fastest there.

    Parameters
    ----------
    spec : RunSpec
        The spec. The initial weights depend on it alone.
    device : str or torch.device
        Where the model is put after its weights were drawn.

    Returns
    -------
    Generator
        The model.
    """
    picture = spec.data.picture
    with rng.torch_seeded(spec.seed, "model.weights"):
        model = spec.model.build(
            spec.data.picture.shape,
            spec.encoding.width(picture.space()),
            background=picture.background,
            diffusion=spec.diffusion,
            sampling=spec.sampling,
        )
    layout = torch.contiguous_format if torch.device(device).type == "cuda" else torch.channels_last
    return model.to(device, memory_format=layout)  # pyright: ignore[reportCallIssue]


def snapshot_name(step: int) -> str:
    """The name of the artifact with the averaged weights after `step` training steps."""
    return f"snapshot-{step}.safetensors"


def _one_of(value: object, name: str, allowed: Container[int], needs: str) -> int:
    """The value as an integer. Raises `RequestError` if it is not allowed."""
    number = arrays.integer(value)
    if number is None or number not in allowed:
        raise RequestError(f"{name}: got {quoted(value)}, needs {needs}")
    return number


def _pictures(given: object, shape: tuple[int, ...]) -> Float[Tensor, "n c h w"]:
    """Pictures in [0, 1] of this shape, as float32. Raises `RequestError` for anything else."""
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
    """One or more timesteps as integers below a total. Raises `RequestError` for anything else."""
    needs = f"an integer in 0..{total - 1}"
    several = tuple(given) if _is_sequence(given) else (given,)
    if not several:
        raise RequestError(f"timestep: got none, needs {needs}, or several")
    return tuple(_one_of(timestep, "timestep", range(total), needs) for timestep in several)


def _seeds(given: Sequence[int]) -> tuple[int, ...]:
    """Two or more different seeds. Raises `RequestError` for anything else."""
    seeds = tuple(rng.check_seed(seed) for seed in given)
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise RequestError(f"seed: got {list(seeds)}, needs an integer, or two or more different ones")
    return seeds


def _pictures_by_seed(
    given: Any, seeds: Sequence[int], shape: tuple[int, ...], several: bool
) -> Sequence[Float[Tensor, "n c h w"] | None]:
    """The pictures to look at for each seed; None for drawings of the model.

    If there are several seeds, a list of arrays of four axes has an array for each seed. Anything else is one array for
    all seeds. Raises `RequestError` as `_pictures` does.
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


def draw(model: Generator, spec: RunSpec, points: Float[np.ndarray, "n k"], seed: int) -> Pictures:
    """Draw one picture for each point.

    The noise of a picture depends on the seed, on its factor values, and on the number of equal points before it.
    Therefore neither the order nor the batches change a picture.

    Parameters
    ----------
    model : Generator
        The model.
    spec : RunSpec
        The spec of the model.
    points : (n, k)
        Factor values, in the factors' units.
    seed : int
        Seed of the noise, 0 <= seed < 2^128.

    Returns
    -------
    (n, c, h, w)
        Pictures in [0, 1], float32.

    Raises
    ------
    RequestError
        If a factor cannot be coded.
    DivergedError
        If a picture is not finite.
    """
    space = spec.data.picture.space()
    device = next(model.parameters()).device
    condition = torch.from_numpy(spec.encoding.encode(points, space)).to(device)
    streams = list(_streams(points, space, seed))
    model.eval()
    if not streams:
        return np.zeros((0, *spec.data.picture.shape), np.float32)
    some = _at_once(model, spec, condition)
    with exact():
        batches = [model.sample(condition[i : i + some], streams[i : i + some]) for i in range(0, len(points), some)]
    return torch.cat(batches).cpu().numpy()


def _at_once(model: Generator, spec: RunSpec, condition: Float[Tensor, "n d"]) -> int:
    """Number of pictures to draw at a time."""
    pixels = math.prod(spec.data.picture.shape[1:])
    return at_once(
        condition.device, pixels, lambda: kept(model.network, lambda: model.network(*model.inputs(condition[:1])))
    )


def _streams(points: np.ndarray, space: FactorSpace, seed: int) -> Iterator[torch.Generator]:
    """A random stream for each point, named by its values. The two ends of a periodic factor are the same value.

    The words of the 64 bits of each value are part of the name. Only the value 0 has a single word, and only its last
    word is 0. Read from the end, two different points therefore never have the same words.
    """
    wrapped = np.where(np.abs(points) < np.finfo(np.float64).tiny, 0.0, points)  # -0.0 and subnormal numbers become 0.0
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
    some: int,
) -> Iterator[int]:
    """Stop at each requested timestep, in batches: of drawings of the model, or of the given pictures, noised."""
    with exact():
        for i in range(0, len(condition), some):
            pictures = None if given is None else given[i : i + some].to(condition.device)
            for timestep, _ in model.visit(condition[i : i + some], streams[i : i + some], timesteps, pictures):
                yield timestep


def _check_memory(
    model: Generator, names: Sequence[str], condition: Float[Tensor, "n d"], readings: dict[str, int], pool: Pool | None
) -> None:
    """Raise `RequestError` if the layers of all points and readings take more than CAPTURE bytes.

    `readings` has the numbers of seeds and of timesteps, by these words.
    """
    count = len(condition) * math.prod(readings.values())
    needed = measure_size(model.network, names, model.inputs(condition[:1]), count, pool)
    if needed.bytes > CAPTURE:
        several = {what: number for what, number in readings.items() if number > 1}
        of = "".join(f" and {number} {what}" for what, number in several.items())
        raise RequestError(
            f"layers {', '.join(names)}: got {needed.bytes / 1e9:.1f} GB for {len(condition)} points{of}, "
            f"needs at most {CAPTURE / 1e9:.1f} GB; pool the pixels, "
            f"or ask for fewer {', '.join(['points', *several])} or layers"
        )


def evaluate(model: Generator, spec: RunSpec, most: int | None = None) -> tuple[pl.DataFrame, dict[str, Tensor]]:
    """Draw and judge the training region and all test regions.

    Parameters
    ----------
    model : Generator
        The model.
    spec : RunSpec
        The spec of the model.
    most : int, optional
        Largest number of points a region. Default: the spec's `data.test_points`.

    Returns
    -------
    polars.DataFrame
        One row a drawing (see `subjects.judge.judge`).
    dict of str to Tensor
        "images" and "factors": the pictures (n, c, h, w) and their factor values (n, k).
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
    """A finished run that draws, and whose layers can be read.

    Parameters
    ----------
    store : Store
        The store of the run.
    run : str
        The run's id.
    device : str or torch.device
        Device on which it draws. The noise of a drawing is the same on all devices, up to rounding.

    Attributes
    ----------
    device : torch.device
        The device.

    Raises
    ------
    RequestError
        If the run is not finished, or torch does not have the device.
    """

    def __init__(self, store: Store, run: str, device: str | torch.device = "cpu"):
        super().__init__(store, run)
        self.device = device_of(device)
        self._models: dict[str, Generator] = {}  # by the name of their weights, the last used at the end

    @classmethod
    def open(cls, store: str | Path, prefix: str, device: str | torch.device = "cpu") -> Self:
        """Open the finished run whose id begins with `prefix`.

        Parameters
        ----------
        store : str or Path
            A folder of runs, or a bucket.
        prefix : str
            The beginning of one id.
        device : str or torch.device
            Device on which it draws.

        Returns
        -------
        Run
            The run.

        Raises
        ------
        RequestError
            If no run, several runs, or an unfinished run has such an id, or torch does not have the device.
        """
        opened = Store(store)
        return cls(opened, opened.resolve(prefix), device)

    def _repr_html_(self) -> str:
        spec, accuracy = self.spec, self.accuracy().select("region", "n", "right", "all", "all_copied", "valid")
        family, steps = getattr(spec.data.picture, "family", "pictures"), spec.training.steps
        return notebook.table(f"run {self.id}: {family}, {steps} steps", accuracy.columns, accuracy.iter_rows())

    @property
    def space(self) -> FactorSpace:
        """The factors."""
        return self.spec.task.space

    @property
    def model(self) -> Generator:
        """The trained model, with averaged weights."""
        return self._model("weights.safetensors")

    def _model(self, name: str) -> Generator:
        """The model with the named weights. The last MODELS models are kept."""
        model = self._models.pop(name) if name in self._models else self._load(name)
        self._models = dict([*self._models.items(), (name, model)][-MODELS:])
        return model

    def _load(self, name: str) -> Generator:
        model = build_model(self.spec, self.device)
        model.load_state_dict(load_tensors(self._store.read(self.id, name)))
        return model.eval()

    def axes(self) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """The values of each factor in representations, (n_k,) each."""
        return self.spec.data.test_axes()

    def default_layers(self) -> tuple[str, ...]:
        """The layer that is read if no other is named."""
        return (self.model.default_layer,)

    def assess(self, images: Pictures, points: Float[np.ndarray, "n k"]) -> Accuracy:
        """Judge pictures against the closed form of their family (see `measures.accuracy`).

        Parameters
        ----------
        images : (n, c, h, w)
            Pictures, in [0, 1].
        points : (n, k)
            The factor values asked for, in the factors' units.

        Returns
        -------
        Accuracy
            The verdict on each picture.
        """
        return measure(images, points, self.spec.task.family)

    def reading_errors(self) -> dict[str, float]:
        """The share of true pictures that the family misreads.

        Returns
        -------
        dict of str to float
            For each factor, for "all" factors together, and for "valid".
        """
        points = self.spec.data.test_lattice()
        told = measure(self.spec.task.render(points), points, self.spec.task.family)
        rates = {name: float(1 - told.correct[:, k].mean()) for k, name in enumerate(self.space.names)}
        return rates | {"all": float(1 - told.all.mean()), "valid": float(1 - told.valid.mean())}

    def model_at(self, step: int | None = None) -> Generator:
        """The model after some number of training steps.

        Parameters
        ----------
        step : int, optional
            One of `training.snapshots`. Default: the trained model.

        Returns
        -------
        Generator
            The model, with averaged weights.

        Raises
        ------
        RequestError
            If the run kept no model of this step.
        """
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
        sampling: SamplingSpec | Mapping[str, Any] | None = None,
    ) -> Float[np.ndarray, "n c h w"]:
        """Draw one picture for each row of factor values, which need not be on the lattice.

        Equal rows get different noise.

        Parameters
        ----------
        factors : (n, k)
            Factor values in the factors' units, of any numeric type.
        seed : int
            Seed of the noise, 0 <= seed < 2^128.
        step : int, optional
            Training step of a model that the run kept. Default: the trained model.
        sampling : SamplingSpec or mapping, optional
            The sampler and its number of steps, such as {"sampler": "ddim", "steps": 20}. Default: those of the spec.

        Returns
        -------
        (n, c, h, w)
            Pictures in [0, 1], float32.

        Raises
        ------
        RequestError
            If this is not an array of numbers, a value is outside its factor's range, the seed or step is invalid, or
            the model cannot use the sampler.
        DivergedError
            If a picture is not finite.
        """
        seed, spec, model = rng.check_seed(seed), self.spec, self.model_at(step)
        if sampling is not None:
            given = sampling if isinstance(sampling, SamplingSpec) else SamplingSpec.parse(sampling)
            model = model.drawing_by(given)
        return draw(model, spec, spec.data.picture.space().check(factors), seed)

    def states(
        self, factors: Float[np.ndarray, "n k"], timesteps: Sequence[int], seed: int = 0, step: int | None = None
    ) -> dict[int, Float[np.ndarray, "n c h w"]]:
        """The states of drawings on the way from noise to picture.

        Parameters
        ----------
        factors : (n, k)
            Factor values in the factors' units.
        timesteps : sequence of int
            Where to stop; 0 is the finished picture, as `sample` draws it.
        seed : int
            Seed of the noise.
        step : int, optional
            Training step of a model that the run kept. Default: the trained model.

        Returns
        -------
        dict of int to (n, c, h, w)
            By timestep, from the largest to the smallest, the states in the brightness of pictures, float32. Only the
            finished picture is within [0, 1].

        Raises
        ------
        RequestError
            If a value is outside its factor's range, or a timestep, the seed or the step is invalid.
        """
        model, space, seed = self.model_at(step), self.space, rng.check_seed(seed)
        asked = _timesteps(timesteps, model.timesteps)
        points = checked_points(space, factors)
        condition = torch.from_numpy(self.spec.encoding.encode(points, space)).to(self.device)
        with exact():
            visits = model.visit(condition, list(_streams(points, space, seed)), asked)
            return {timestep: state.cpu().numpy() for timestep, state in visits}

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
        """The outputs of layers while the model draws.

        Several seeds give several readings of each layer, with the same factors and other noise. Measures of geometry
        take the list of readings and correct for noise (see `hyperfactor.measures.geometry`). Several timesteps are
        read from the same drawing, which takes hardly longer than one timestep.

        Parameters
        ----------
        layers : str or sequence of str
            Names of modules of the network, such as "up1" (see `hyperfactor.networks.unet.LAYERS`).
        timestep : int or sequence of int
            Timestep of the drawing, or several; 0 is the finished picture.
        factors : (n, k), optional
            Points, in the factors' units. Default: the whole lattice.
        step : int, optional
            Training step of a model that the run kept. Default: the trained model.
        pictures : (n, c, h, w), optional
            Pictures in [0, 1], such as the true ones, which are noised to each timestep and then seen by the network.
            With several seeds, one array for all seeds or a list with an array for each. Default: the model's own
            drawings.
        pool : {"mean", "max"}, optional
            Reduce each channel to its mean or maximum over the pixels. Default: keep the pixels.
        seed : int or sequence of int
            Seed of the noise, or two or more different seeds.

        Returns
        -------
        dict
            For each layer an array (n, d), float32, with d = channels x rows x columns, or d = channels if pooled. For
            the whole lattice, (n_1, ..., n_k, d). With several seeds, a list of such arrays, each as its seed alone
            gives it. With several timesteps, a dict of these by timestep, each as its timestep alone gives it.

        Raises
        ------
        RequestError
            If a layer, timestep, step, pool or seed is invalid, seeds are equal, a value is outside its factor's range,
            pictures do not have the shape of the points or are outside [0, 1], this kind of model takes no pictures,
            or the results of all seeds and timesteps exceed CAPTURE bytes.
        DivergedError
            If a state is not finite.
        """
        model, space = self.model_at(step), self.spec.data.picture.space()
        timesteps = _timesteps(timestep, model.timesteps)
        if pool not in (None, "mean", "max"):
            raise RequestError(f"pool: got {pool!r}, needs mean, max or None")
        several = _is_sequence(seed)
        points = self.spec.data.test_lattice() if factors is None else checked_points(space, factors)
        names = check_layers(model.network, layers)
        condition = torch.from_numpy(self.spec.encoding.encode(points, space)).to(self.device)
        readings = {"seeds": len(seed) if several else 1, "timesteps": len(timesteps)}
        _check_memory(model, names, condition, readings, pool)
        seeds = _seeds(seed) if several else (rng.check_seed(seed),)
        given = _pictures_by_seed(pictures, seeds, (len(points), *self.spec.data.picture.shape), several)
        shape = tuple(len(axis) for axis in self.spec.data.test_axes()) if factors is None else (len(points),)
        found, some = [], _at_once(model, self.spec, condition)
        for one, looked_at in zip(seeds, given, strict=True):
            visits = _visits(model, condition, list(_streams(points, space, one)), timesteps, looked_at, some)
            found.append(collect(model.network, names, visits, pool))

        def of(timestep: int, name: str) -> Any:
            arrays = [reading[timestep][name].reshape(*shape, -1) for reading in found]
            return arrays if several else arrays[0]

        by_timestep = {timestep: {name: of(timestep, name) for name in names} for timestep in timesteps}
        return by_timestep if _is_sequence(timestep) else by_timestep[timesteps[0]]

    def evaluate(self, region: str | Region | None = None, step: int | None = None) -> pl.DataFrame:
        """Judge drawings, with one row a drawing (see `subjects.judge.judge`).

        Parameters
        ----------
        region : str or Region, optional
            The name of a recorded region, or a region whose lattice points are drawn now. Default: all recorded
            regions.
        step : int, optional
            Training step of a model that the run kept, which draws now. Default: the trained model.

        Returns
        -------
        polars.DataFrame
            For each factor x: its value, what was read of it (`x_read`), whether it is correct (`x_correct`), and
            whether a copy of the nearest training point is correct (`x_copied`). Also region, all, valid, right and
            error.

        Raises
        ------
        RequestError
            If no region of this name was recorded, the region has no lattice point, or the run kept no model of this
            step.
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
    """Within the block, torch uses `count` threads; None leaves the number unchanged."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
