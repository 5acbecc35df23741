"""The representation of a subject on a part of its lattice, and coordinates in which it can be looked at."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float

from hyperfactor.errors import RequestError
from hyperfactor.explorer.collection import Collection, parts
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.measures.embedding import pca, umap
from hyperfactor.measures.representation import Representation
from hyperfactor.subjects.array import ArraySubject
from hyperfactor.subjects.layout import tuning_width
from hyperfactor.subjects.sampled import Sampled

VALUES = 16  # of a factor, at most; of one that wraps round more, if no stride that fits leaves half as many
POINTS = 600  # at most, for all factors together
RING = 2.2  # radius of the ring of toroidal coordinates, whose tube has radius 1


@dataclass(frozen=True)
class Shape:
    """A representation of n points.

    Attributes
    ----------
    factors : tuple of Factor
        The factors that vary.
    points : (n, k)
        Their values.
    given : Representation or Sampled
        The representation, on a lattice if it is one.
    width : float
        Width of tuning curves, in steps between the points (see `subjects.layout.tuning_width`).
    """

    factors: tuple[Factor, ...]
    points: np.ndarray
    given: Representation | Sampled
    width: float = 1.0

    @property
    def vectors(self) -> Float[np.ndarray, "n d"]:
        """The representation of each point."""
        return self.given.means if isinstance(self.given, Sampled) else self.given.points

    def coordinates(self, view: str) -> Float[np.ndarray, "n 3"]:
        """Return coordinates to look at.

        Parameters
        ----------
        view : str
            "PCA", "UMAP", or "toroidal": for each of the first two factors, the angle in the plane of the first two
            principal components of its mean curve; the angles are those of a ring and of its tube.

        Raises
        ------
        RequestError
            If the representation does not allow the view.
        """
        if view == "UMAP":
            return umap(self.vectors, 3, min(15, len(self.vectors) - 1))
        if view == "toroidal":
            return self._toroidal()
        found = pca(self.vectors, min(3, *self.vectors.shape)).coordinates
        return np.pad(found, ((0, 0), (0, 3 - found.shape[1])))

    def _toroidal(self) -> Float[np.ndarray, "n 3"]:
        if isinstance(self.given, Sampled) or len(self.given.sizes) < 2:
            raise RequestError("toroidal: got no complete lattice of two factors, needs one")
        values = self.given.values
        ring, tube = (self._angle(values, k) for k in (0, 1))
        away = RING + np.cos(tube)
        return np.stack([away * np.cos(ring), away * np.sin(ring), np.sin(tube)], axis=1)

    def _angle(self, values: Float[np.ndarray, "*n d"], k: int) -> Float[np.ndarray, " n"]:
        others = tuple(axis for axis in range(values.ndim - 1) if axis != k)
        curve = values.mean(axis=others)
        centre = curve.mean(axis=0)
        if min(curve.shape) < 2:
            raise RequestError("toroidal: got a curve of one dimension, needs two")
        axes = pca(curve, 2).axes
        along = (values.reshape(-1, values.shape[-1]) - centre) @ axes.T
        return np.arctan2(along[:, 1], along[:, 0])

    def edges(self) -> list[tuple[int, int]]:
        """Return the pairs of points that are neighbours on the lattice; none for samples."""
        if isinstance(self.given, Sampled):
            return []
        sizes, wraps = self.given.sizes, self.given.wraps
        number = np.arange(len(self.points)).reshape(sizes)
        found = []
        for k, wrap in enumerate(wraps):
            after = np.roll(number, -1, axis=k)
            keep = slice(None) if wrap and sizes[k] > 2 else slice(0, sizes[k] - 1)
            at = (slice(None),) * k + (keep,)
            found += zip(number[at].ravel().tolist(), after[at].ravel().tolist(), strict=True)
        return found


def layers_of(subject: Any) -> tuple[str, ...]:
    """Return the names of the layers that can be chosen."""
    if isinstance(subject, ArraySubject):
        return ("values",)
    named = getattr(getattr(subject, "model", None), "network", None)
    if named is not None:
        return tuple(_layers(named))
    return tuple(subject.default_layers())


def timesteps_of(subject: Any) -> int:
    """Return the number of timesteps at which a layer can be read."""
    return 1 if isinstance(subject, ArraySubject) else getattr(getattr(subject, "model", None), "timesteps", 1)


def varied_of(subject: Any) -> tuple[str, ...]:
    """Return the names of the factors that vary in the shape of a subject."""
    if isinstance(subject, ArraySubject):
        return subject.space.names
    axes, _ = _thinned(subject.space.factors, subject.axes())
    return tuple(name for name, axis in zip(subject.space.names, axes, strict=True) if len(axis) > 1)


def _layers(network: Any) -> Iterator[str]:
    """Yield the names of a network's parts, and of the parts of a list or dict of them."""
    from torch.nn import ModuleDict, ModuleList

    for name, part in network.named_children():
        if isinstance(part, ModuleDict | ModuleList):
            yield from (f"{name}.{inner}" for inner, _ in part.named_children())
        else:
            yield name


def shape(
    collection: Collection, name: str, layer: str, timestep: int, step: int | None, reach: Callable[[float], None]
) -> Shape:
    """Read a layer of a subject at a part of its lattice.

    Parameters
    ----------
    collection : Collection
        Where the subject is.
    name : str
        The subject.
    layer : str
        The layer.
    timestep : int
        Timestep of the drawing; 0 is the finished picture.
    step : int or None
        Training step; None for the trained model.
    reach : function
        reach(share): called with the share that is done.
    """
    subject = collection.subject(name)
    if isinstance(subject, ArraySubject):
        return _of_array(subject)
    axes, kinds = _thinned(subject.space.factors, subject.axes())
    points = np.array(list(product(*axes)))
    found = []
    for some in parts(name, points):
        found.append(collection.activations(name, layer, some, timestep, step))
        reach(sum(map(len, found)) / len(points))
    varied = [k for k, axis in enumerate(axes) if len(axis) > 1]
    factors = tuple(subject.space.factors[k] for k in varied)
    values = np.concatenate(found).reshape(*(len(axes[k]) for k in varied), -1)
    space = FactorSpace(tuple(kinds[k] for k in varied))
    given = Representation.of(values, space, lattice=[axes[k] for k in varied], name=layer)
    return Shape(factors, points[:, varied], given, tuning_width(subject, points))


def _of_array(subject: ArraySubject) -> Shape:
    given, factors = subject.given, subject.space.factors
    axes = [
        np.arange(size) if axis.values is None else np.asarray(axis.values)
        for axis, size in zip(given.axes, given.sizes, strict=True)
    ]
    if isinstance(given, Sampled):
        points = [axis[codes] for axis, codes in zip(axes, given.conditions.T, strict=True)]
        return Shape(factors, np.stack(points, axis=1).astype(float), given)
    return Shape(factors, np.array(list(product(*axes)), dtype=float), given)


def _thinned(
    factors: Sequence[Factor], axes: Sequence[Float[np.ndarray, " n"]]
) -> tuple[list[Float[np.ndarray, " m"]], list[Factor]]:
    """Return fewer values of each factor, POINTS points at most in all, and the factors of the lattice that is left.

    A factor that wraps round keeps equal steps all the way round. If it must be halved and cannot be, it becomes open.
    """
    found = [axis[:: _stride(factor, len(axis))] for factor, axis in zip(factors, axes, strict=True)]
    left = list(factors)

    def breaks(k: int) -> bool:
        return left[k].period is not None and len(found[k]) % 2 == 1

    while math.prod(map(len, found)) > POINTS:
        longest = max(range(len(found)), key=lambda k: len(found[k]) / (1 + breaks(k)))
        if breaks(longest):
            left[longest] = replace(left[longest], kind="open")
        found[longest] = found[longest][::2]
    return found, left


def _stride(factor: Factor, count: int) -> int:
    """Return the smallest stride that leaves VALUES values at most.

    Around a factor that wraps round it leaves no gap, and half of VALUES or more; 1 if no stride does.
    """
    least = -(-count // VALUES)
    if factor.period is None or least == 1:
        return least
    return next((stride for stride in range(least, 2 * count // VALUES + 1) if count % stride == 0), 1)
