"""Run: one trained model, with all that was recorded of it."""

import io
import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard, overload

import numpy as np
import polars as pl
import torch
from jaxtyping import Float
from safetensors.torch import load as load_tensors
from torch import Tensor

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.regions import Region, parse_region
from hyperfactor.factors.space import FactorSpace
from hyperfactor.images.dataset import TRAIN, region_points, training_points
from hyperfactor.measures import arrays
from hyperfactor.measures.accuracy import copying_baseline, measure
from hyperfactor.measures.activations import Pool, capture, check_layers
from hyperfactor.measures.activations import size as measure_size
from hyperfactor.models.unet import UNet
from hyperfactor.runs.recorded import recorded_spec
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store.store import Store
from hyperfactor.training.diffusion import TIME_CODE, Diffusion, SamplingSpec

BATCH = 64  # pictures drawn at a time; it changes no picture
ROUNDED = 1e-5  # pictures may be so far outside of [0, 1], by rounding
CAPTURE = 2**32  # bytes that the activations asked for at once may take

Pictures = Float[np.ndarray, "n 1 N N"]

# A forked child lacks the threads that torch started in its parent, and would wait for them for ever.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def build_model(spec: RunSpec) -> Diffusion:
    """The untrained model of a spec; its first weights depend on the spec alone."""
    picture = spec.data.picture
    condition = TIME_CODE + spec.encoding.width(picture.space())
    with rng.torch_seeded(spec.seed, "model.weights"):
        network = UNet(spec.model, picture.size, condition)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return Diffusion(network, spec.diffusion, picture.background)


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


def _pictures(given: object, shape: tuple[int, ...]) -> Float[Tensor, "n 1 N N"]:
    """Pictures in [0, 1] of this shape, float32, or RequestError."""
    values = arrays.numbers(given, "pictures")
    if values.shape != shape:
        raise RequestError(f"pictures: got shape {values.shape}, needs {shape}")
    if str(getattr(given, "dtype", "")).endswith("uint8"):
        raise RequestError("pictures: got type uint8, whose values are 0..255, needs numbers in [0, 1]")
    if values.size and not (values.min() >= -ROUNDED and values.max() <= 1 + ROUNDED):  # NaN is in no range
        raise RequestError(f"pictures: got values in {values.min():g}..{values.max():g}, needs numbers in [0, 1]")
    return torch.from_numpy(values.astype(np.float32))


def _is_sequence(seed: Any) -> TypeGuard[Sequence[int]]:
    return (isinstance(seed, Sequence) and not isinstance(seed, str | bytes)) or getattr(seed, "ndim", 0) > 0


def _seeds(given: Sequence[int]) -> tuple[int, ...]:
    """Two or more different seeds, or RequestError."""
    seeds = tuple(rng.check_seed(seed) for seed in given)
    if len(seeds) < 2 or len(set(seeds)) < len(seeds):
        raise RequestError(f"seed: got {list(seeds)}, needs an integer, or two or more different ones")
    return seeds


def _pictures_by_seed(
    given: Any, seeds: Sequence[int], shape: tuple[int, ...], several: bool
) -> Sequence[Float[Tensor, "n 1 N N"] | None]:
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


def draw(model: Diffusion, spec: RunSpec, points: Float[np.ndarray, "n k"], seed: int) -> Float[np.ndarray, "n 1 N N"]:
    """One picture a point.  The noise of a picture depends on the seed, its factor values, and on
    how many equal points come before it, so neither the order nor the batches change a picture."""
    space = spec.data.picture.space()
    device = next(model.parameters()).device
    condition = torch.from_numpy(spec.encoding.encode(points, space)).to(device)
    streams = list(_streams(points, space, seed))
    model.eval()
    batches = [
        model.sample(condition[i : i + BATCH], spec.data.picture.size, spec.sampling, streams[i : i + BATCH])
        for i in range(0, len(points), BATCH)
    ]
    size = spec.data.picture.size
    return torch.cat(batches).cpu().numpy() if batches else np.zeros((0, 1, size, size), np.float32)


def _streams(points: np.ndarray, space: FactorSpace, seed: int) -> Iterator[torch.Generator]:
    """A stream for each point, named by its values; the high end of a periodic factor is its low end.

    A value enters the name as the words of its 64 bits.  Only 0 takes one word and only its last word is 0, so
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


def _states(
    model: Diffusion,
    spec: RunSpec,
    condition: Float[Tensor, "n c"],
    streams: Sequence[torch.Generator],
    timestep: int,
    given: Float[Tensor, "n 1 N N"] | None,
) -> Iterator[tuple[Tensor, ...]]:
    """In batches what the model is called with at a timestep: its own drawings, or the pictures given, noised."""
    for i in range(0, len(condition), BATCH):
        some, own = condition[i : i + BATCH], streams[i : i + BATCH]
        if given is None:
            x = model.state(some, spec.data.picture.size, spec.sampling, own, timestep)
            x = x.clamp(-1, 1) if timestep == 0 else x
        else:
            x = model.noised(given[i : i + BATCH], timestep, own)
        yield x, torch.full((len(x),), timestep), some


def _check_memory(
    model: Diffusion, names: Sequence[str], condition: Float[Tensor, "n c"], size: int, seeds: int, pool: Pool | None
) -> None:
    """RequestError where the layers of all points and seeds take over CAPTURE bytes."""
    example = (torch.zeros(1, 1, size, size), torch.zeros(1), condition[:1])
    needed = measure_size(model.network, names, example, len(condition) * seeds, pool, call=model)
    if needed.bytes > CAPTURE:
        of, fewer = (f" and {seeds} seeds", "points, seeds or layers") if seeds > 1 else ("", "points or layers")
        raise RequestError(
            f"layers {', '.join(names)}: got {needed.bytes / 1e9:.1f} GB for {len(condition)} points{of}, needs at "
            f"most {CAPTURE / 1e9:.1f} GB; pool the pixels, or ask for fewer {fewer}"
        )


def judge(spec: RunSpec, region: str, points: np.ndarray, images: np.ndarray) -> pl.DataFrame:
    """A row a drawing: region, factors, centres, correct, both, valid, right, error, and the copying baseline."""
    names, picture = spec.data.picture.space().names, spec.data.picture
    accuracy = measure(images[:, 0], points, picture)
    copied = copying_baseline(points, training_points(spec.data, spec.seed), picture)
    return pl.DataFrame(
        {"region": [region] * len(points)}
        | {name: points[:, k] for k, name in enumerate(names)}
        | {f"{name}_centre": accuracy.centres[:, k] for k, name in enumerate(names)}
        | {f"{name}_correct": accuracy.correct[:, k] for k, name in enumerate(names)}
        | {"both": accuracy.both, "valid": accuracy.valid, "right": accuracy.right, "error": accuracy.error}
        | {f"{name}_copied": copied[:, k] for k, name in enumerate(names)}
    )


def evaluate(model: Diffusion, spec: RunSpec, most: int | None = None) -> tuple[pl.DataFrame, dict[str, Tensor]]:
    """Draw and judge the training region and every test region, `most` points of each at most.

    Returns the frame of `judge` over all regions, and the pictures with their factors.
    """
    regions = _regions(spec, most)
    points = _points(regions)
    images = draw(model, spec, points, spec.seed)
    where = {tuple(point): row for row, point in enumerate(points.tolist())}
    frames = [
        judge(spec, name, some, images[[where[tuple(point)] for point in some.tolist()]])
        for name, some in regions.items()
    ]
    return pl.concat(frames), {"images": torch.from_numpy(images), "factors": torch.from_numpy(points)}


def _regions(spec: RunSpec, most: int | None) -> dict[str, np.ndarray]:
    """The requests of the training region and of each test region, `most` of each at most."""
    data = spec.data.model_copy(update={"test_points": most}) if most else spec.data
    named = {TRAIN: data.train, **data.test}
    return {name: region_points(data, region, spec.seed) for name, region in named.items()}


def _points(regions: dict[str, np.ndarray]) -> Float[np.ndarray, "n k"]:
    return np.unique(np.concatenate(list(regions.values())), axis=0)


def judged_points(spec: RunSpec) -> Float[np.ndarray, "n k"]:
    """The requests that are drawn once a run is trained, each once."""
    return _points(_regions(spec, None))


def summarize(evaluation: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """A row a region: n, the share correct in each factor, in both, valid, right, median error, and the
    copying baseline's share in each factor and in both."""
    copied = pl.all_horizontal(f"{name}_copied" for name in names)
    return evaluation.group_by("region", maintain_order=True).agg(
        pl.len().alias("n"),
        *(pl.col(f"{name}_correct").mean().alias(name) for name in names),
        pl.col("both").mean(),
        pl.col("valid").mean(),
        pl.col("right").mean(),
        pl.col("error").median(),
        *(pl.col(f"{name}_copied").mean() for name in names),
        copied.mean().alias("both_copied"),
    )


class Run:
    """A finished run in a store."""

    def __init__(self, store: Store, run: str):
        """Raises RequestError where the run is not finished."""
        self._store = store
        self.id = run
        manifest = store.manifest(run)
        if manifest is None:
            raise RequestError(f"run {run}: got one that is not finished, needs a finished run")
        self.manifest = manifest

    @classmethod
    def open(cls, store: str | Path, prefix: str) -> "Run":
        """The finished run whose id begins with `prefix`."""
        opened = Store(store)
        return cls(opened, opened.resolve(prefix))

    def __repr__(self) -> str:
        return f"Run({self.id})"

    @cached_property
    def spec(self) -> RunSpec:
        """What the run is."""
        return recorded_spec(self._store, self.id)

    @cached_property
    def history(self) -> pl.DataFrame:
        """A row each `record_every` steps: step, images, seconds, loss, ..., and `<region>.<measure>`."""
        return pl.read_parquet(io.BytesIO(self._store.read(self.id, "history.parquet")))

    @cached_property
    def model(self) -> Diffusion:
        """The trained model, with averaged weights, on the CPU."""
        return self._load("weights.safetensors")

    def _load(self, name: str) -> Diffusion:
        model = build_model(self.spec)
        model.load_state_dict(load_tensors(self._store.read(self.id, name)))
        return model.eval()

    def model_at(self, step: int | None = None) -> Diffusion:
        """The model after `step` training steps, one of `training.snapshots`; None for the trained one."""
        training = self.spec.training
        if step is None:
            return self.model
        kept = sorted({*training.snapshots, training.steps})
        step = _one_of(step, "step", kept, f"one that run {self.id} kept: {', '.join(map(str, kept))}")
        return self.model if step == training.steps else self._load(snapshot_name(step))

    @cached_property
    def pictures(self) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n 1 N N"]]:
        """The factors of the evaluated drawings, and the drawings."""
        tensors = load_tensors(self._store.read(self.id, "samples.safetensors"))
        return tensors["factors"].numpy(), tensors["images"].numpy()

    def sample(
        self,
        factors: Float[np.ndarray, "n k"],
        seed: int = 0,
        step: int | None = None,
        *,
        sampling: SamplingSpec | None = None,
    ) -> Float[np.ndarray, "n 1 N N"]:
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
        sampler
            that the noise schedule does not allow.
        """
        seed, spec = rng.check_seed(seed), self.spec
        if sampling is not None:
            sampling.check(spec.diffusion)
            spec = spec.model_copy(update={"sampling": sampling})
        return draw(self.model_at(step), spec, spec.data.picture.space().check(factors), seed)

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

    def activations(
        self,
        layers: str | Sequence[str],
        timestep: int = 0,
        factors: Float[np.ndarray, "n k"] | None = None,
        step: int | None = None,
        *,
        pictures: Pictures | Sequence[Pictures] | None = None,
        pool: Pool | None = None,
        seed: int | Sequence[int] = 0,
    ) -> dict[str, Float[np.ndarray, "*n d"]] | dict[str, list[Float[np.ndarray, "*n d"]]]:
        """What layers put out when the model draws.

        Several seeds give several readings of the layers: the factors are the same, the noise is not.  Measures of
        geometry take the list of a layer and correct for noise (see `hyperfactor.measures.geometry`).

        Parameters
        ----------
        layers : names of modules of the network, such as "up1" (see `hyperfactor.models.unet.LAYERS`).
        timestep : of diffusion; 0 for the finished picture.
        factors : the points, (n, k); None for the whole lattice.
        step : of training, one that was kept; None for the trained model.
        pictures : in [0, 1], noised to the timestep and looked at in place of the model's own drawings, such as the
            truth.  Of several seeds one array, which is noised with each seed, or a list with one array for each.
        pool : "mean" or "max" over the pixels, which leaves the channels.
        seed : of the noise; or two or more different seeds.

        Returns
        -------
        For each layer an array (n, d), float32, with d its channels x rows x columns; (n_1, ..., n_k, d) for the whole
        lattice.  Of several seeds a list of such arrays, one a seed: each is what that seed alone gives.

        Raises
        ------
        RequestError : for an unknown layer, a bad timestep, step, pool or seed, equal seeds, values outside the factor
            space, pictures that are not of the points' shape or not in [0, 1], and results that would take over CAPTURE
            bytes, those of all seeds together.
        """
        space, size = self.spec.data.picture.space(), self.spec.data.picture.size
        last = self.spec.diffusion.timesteps - 1
        timestep = _one_of(timestep, "timestep", range(last + 1), f"an integer in 0..{last}")
        if pool not in (None, "mean", "max"):
            raise RequestError(f"pool: got {pool!r}, needs mean, max or None")
        several = _is_sequence(seed)
        points = self.spec.data.test_lattice() if factors is None else space.check(factors)
        model = self.model_at(step)
        names = check_layers(model.network, layers)
        condition = torch.from_numpy(self.spec.encoding.encode(points, space))
        _check_memory(model, names, condition, size, len(seed) if several else 1, pool)
        seeds = _seeds(seed) if several else (rng.check_seed(seed),)
        given = _pictures_by_seed(pictures, seeds, (len(points), 1, size, size), several)
        shape = tuple(len(axis) for axis in self.spec.data.test_axes()) if factors is None else (len(points),)
        readings = []
        for one, looked_at in zip(seeds, given, strict=True):
            states = _states(model, self.spec, condition, list(_streams(points, space, one)), timestep, looked_at)
            found = capture(model.network, names, states, pool, call=model)
            readings.append({name: values.reshape(*shape, -1) for name, values in found.items()})
        return {name: [found[name] for found in readings] for name in names} if several else readings[0]

    def evaluate(self, region: str | Region | None = None, step: int | None = None) -> pl.DataFrame:
        """A row a drawing: factors, centres, correct, both, valid, right, error, copying baseline.

        region: None for every region recorded, a name for that one; a Region for its lattice points, drawn
        now.  step: of training, one that was kept, whose model draws now.  Raises RequestError for a name
        that was not recorded, or a region without lattice points.
        """
        if region is not None and not isinstance(region, str):
            region = parse_region(region)
            points = region_points(self.spec.data, region, self.spec.seed)
            return judge(self.spec, region.kind, points, self.sample(points, self.spec.seed, step))
        if step is None:
            judged = pl.read_parquet(io.BytesIO(self._store.read(self.id, "evaluation.parquet")))
        else:
            judged, _ = evaluate(self.model_at(step), self.spec)
        if region is None:
            return judged
        if region not in (names := judged["region"].unique(maintain_order=True).to_list()):
            raise RequestError(f"region: got {region!r}, needs one of {', '.join(names)}")
        return judged.filter(pl.col("region") == region)

    def accuracy(self) -> pl.DataFrame:
        """The recorded evaluation, a row a region (see `summarize`)."""
        return summarize(self.evaluate(), self.spec.data.picture.space().names)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Within the block torch uses `count` threads; None leaves its own choice."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
