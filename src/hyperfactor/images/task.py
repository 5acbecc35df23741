"""A task is a resolved data spec: the points to train on and to test, their codes, and their pictures.

A task computes its training points once. It renders a small set of pictures once and keeps it. Pictures of a large set
are rendered each time they are asked for.
"""

import math
import re
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field, field_validator

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.encoding import Encoding
from hyperfactor.factors.regions import Everything, Region, inside
from hyperfactor.factors.space import FactorSpace, PositiveByFactor
from hyperfactor.images import bumps, digits, dsprites, mpi3d, shapes, shapes3d  # noqa: F401  specs know them by name
from hyperfactor.images.family import Family
from hyperfactor.images.gaussian import Bump
from hyperfactor.strict import Integer, Number, Strict

TRAIN = "train"  # name of the training region in an evaluation; no test region may have it
NAME = re.compile(r"[\w+-]+( [\w+-]+)*")  # names of test regions, which also name columns of tables
# columns of tables of drawings, which have further ones named x_read, x_correct and x_copied for a factor x
COLUMNS = ("region", "n", "all", "valid", "right", "error")
PARTS = ("_read", "_correct", "_copied")
KEPT = 2**28  # size of the largest set of training pictures that a task keeps, in bytes
ROUNDED = 1e-5  # by which a picture may leave [0, 1], because numbers are rounded
AT_ONCE = 2**20  # pixel values rendered at a time, in float64


class DataSpec(Strict):
    """What is drawn, what is trained on, and what is tested.

    Attributes
    ----------
    picture : Family
        The family of pictures.
    spacing : float or mapping
        Step of the training lattice, in each factor's unit: one number for all factors, or numbers by name.
    fixed : mapping
        The value of each factor that does not vary, by name.
    train : Region
        The region to train on.
    fraction : float
        Share of the region's lattice points that is trained on (lambda), drawn at random; 0 < fraction <= 1.
    test : mapping
        The regions to test on, by name.
    test_spacing : float or mapping, optional
        Lattice step used for testing and for representations. Default: `spacing`.
    test_fixed : mapping
        Further factors that do not vary in testing and in representations, with their values, by name. A factor that
        is in `fixed` too has this value there.
    test_points : int, optional
        Largest number of points that are tested in a region, drawn at random. Default: all.
    """

    picture: Family = Bump()
    spacing: PositiveByFactor = 1.0
    fixed: dict[str, Number] = {}
    train: Region = Everything()
    fraction: Number = Field(default=1.0, gt=0.0, le=1.0)
    test: dict[str, Region] = {}
    test_spacing: PositiveByFactor | None = None
    test_fixed: dict[str, Number] = {}
    test_points: Integer | None = Field(default=None, ge=1)

    @field_validator("test")
    @classmethod
    def _names(cls, test: dict[str, Region]) -> dict[str, Region]:
        for name in test:
            if name == TRAIN:
                raise ValueError(f"got the name {name!r}, which is that of the training region, needs another one")
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"got the name {name!r}, needs words of letters, digits, '_', '-' and '+', one blank between them"
                )
        return test

    def lattice(self) -> Float[np.ndarray, "n k"]:
        """The lattice points among which the training points are chosen."""
        return self.picture.space().lattice(self.spacing, self.fixed)

    def test_axes(self) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """The values of each factor for testing and for representations."""
        return self.picture.space().axes(self.test_spacing or self.spacing, {**self.fixed, **self.test_fixed})

    def test_lattice(self) -> Float[np.ndarray, "n k"]:
        """The lattice points for testing and for representations."""
        return self.picture.space().lattice(self.test_spacing or self.spacing, {**self.fixed, **self.test_fixed})


class Task:
    """A data spec, resolved with the encoding and the seed of a run.

    Parameters
    ----------
    data : DataSpec
        What is drawn, trained on and tested.
    encoding : Encoding
        How factor values become conditions.
    seed : int
        Seed of the points that are drawn at random.

    Attributes
    ----------
    family : Family
        The family of pictures.
    space : FactorSpace
        The factors.
    """

    def __init__(self, data: DataSpec, encoding: Encoding, seed: int):
        self.data = data
        self.encoding = encoding
        self.seed = seed
        self.family: Family = data.picture
        self.space: FactorSpace = data.picture.space()
        if taken := [name for name in self.space.names if name in COLUMNS or name.endswith(PARTS)]:
            raise RequestError(
                f"data.picture: got a factor called {taken[0]!r}, needs another name than columns of drawings have "
                f"({', '.join(COLUMNS)}, *{', *'.join(PARTS)})"
            )

    @cached_property
    def points(self) -> Float[np.ndarray, "n k"]:
        """The lattice points to train on, (n, k). Raises `RequestError` if there are none."""
        lattice = self.data.lattice()
        points = lattice[inside(self.data.train, lattice, self.space)]
        keep = round(round(self.data.fraction * len(points), 6))  # 0.575 of 100 is 57.5, but less in floating point
        if keep == 0:
            raise RequestError(
                f"data.train: got {keep} of the {len(lattice)} lattice points, needs a region and a fraction "
                "that leave at least one"
            )
        if keep < len(points):
            points = points[np.sort(rng.stream(self.seed, "data.fraction").permutation(len(points))[:keep])]
        return points

    def region(self, region: Region | str, most: int | None = None) -> Float[np.ndarray, "n k"]:
        """The lattice points of a region, for testing.

        Parameters
        ----------
        region : Region or str
            The region, or its name: TRAIN, or a key of the spec's `test`.
        most : int, optional
            Largest number of points, drawn at random. Default: the spec's `test_points`.

        Returns
        -------
        (n, k)
            The points.

        Raises
        ------
        RequestError
            If the name is unknown, or the region has no lattice point.
        """
        lattice = self.data.test_lattice()
        points = lattice[inside(self._region(region), lattice, self.space)]
        if len(points) == 0:
            raise RequestError(f"region: got none of the {len(lattice)} lattice points, needs at least one")
        most = most or self.data.test_points
        if most is not None and most < len(points):
            points = points[np.sort(rng.stream(self.seed, "data.test").permutation(len(points))[:most])]
        return points

    def _region(self, region: Region | str) -> Region:
        if not isinstance(region, str):
            return region
        named = {TRAIN: self.data.train, **self.data.test}
        if region not in named:
            raise RequestError(f"region: got {region!r}, needs one of {', '.join(named)}")
        return named[region]

    def regions(self, most: int | None = None) -> dict[str, Float[np.ndarray, "n k"]]:
        """The points of the training region and of each test region, by name.

        Parameters
        ----------
        most : int, optional
            Largest number of points a region, as for `region`.

        Returns
        -------
        dict of str to (n, k)
            The training region comes first.

        Raises
        ------
        RequestError
            If a region has no lattice point.
        """
        return {name: self.region(name, most) for name in (TRAIN, *self.data.test)}

    def judged(self) -> Float[np.ndarray, "n k"]:
        """The points that are drawn to judge a model: those of all regions, each once, (n, k)."""
        return np.unique(np.concatenate(list(self.regions().values())), axis=0)

    def trained_on(self, points: Float[np.ndarray, "n k"]) -> Bool[np.ndarray, " n"]:
        """Which points were trained on: those that equal a training point within the rounding of each factor.

        Parameters
        ----------
        points : (n, k)
            Factor values, in the factors' units.

        Returns
        -------
        (n,) of bool
            True for each training point.

        Raises
        ------
        RequestError
            If a point is outside the factor space.
        """
        return self.space.among(self.space.check(points), self.points)

    def encode(self, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n width"]:
        """The conditions of points, (n, k) to (n, width), float32."""
        return self.encoding.encode(points, self.space)

    @cached_property
    def width(self) -> int:
        """Length of a condition."""
        return self.encoding.width(self.space)

    @property
    def keeps(self) -> bool:
        """Whether the task keeps its training pictures."""
        return 4 * len(self.points) * math.prod(self.family.shape) <= KEPT

    def render(self, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c h w"]:
        """The true pictures of points, (n, k) to (n, c, h, w), float32, in [0, 1]."""
        images = np.empty((len(points), *self.family.shape), dtype=np.float32)
        some = max(1, AT_ONCE // math.prod(self.family.shape))
        for i in range(0, len(points), some):
            images[i : i + some] = _pictures(self.family, points[i : i + some])
        return images

    @cached_property
    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        return self.render(self.points), self.encode(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def batch(
        self, indices: Int[np.ndarray, " b"] | slice
    ) -> tuple[Float[np.ndarray, "b c h w"], Float[np.ndarray, "b width"]]:
        """Training pictures with their conditions.

        Parameters
        ----------
        indices : (b,) or slice
            Indices into `points`.

        Returns
        -------
        (b, c, h, w), (b, width)
            Pictures in [0, 1] and conditions, both float32.
        """
        if self.keeps:
            images, conditions = self._kept
            return images[indices], conditions[indices]
        points = self.points[indices]
        return self.render(points), self.encode(points)


def _pictures(family: Family, points: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c h w"]:
    """Render points. Raises `RequestError` for pictures of another shape, or with values outside [0, 1]."""
    images, shape = np.asarray(family.render(points)), (len(points), *family.shape)
    name = type(family).__name__
    if images.shape != shape:
        raise RequestError(f"{name}.render: got shape {images.shape}, needs {shape}, that of `shape`")
    if images.size and (images.min() < -ROUNDED or images.max() > 1 + ROUNDED):
        raise RequestError(f"{name}.render: got values from {images.min():g} to {images.max():g}, needs 0 to 1")
    return images
