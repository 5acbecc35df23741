"""A data spec -> images and factor values, in memory as one array each."""

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, field_validator

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.regions import Everything, Region
from hyperfactor.images.gaussian import Pair, Picture
from hyperfactor.strict import Integer, Number, Strict

TRAIN = "train"  # the name of the training region in an evaluation, which no test region may have
NAME = re.compile(r"[\w+-]+( [\w+-]+)*")  # of a test region: columns of tables are called by it
AT_ONCE = 1024  # pictures rendered in float64, for the sake of memory


class DataSpec(Strict):
    """What is drawn, what is trained on, and what is tested.

    picture: the family of pictures.  spacing: step of the lattice trained on, in x and y, in pixels.
    train: the region trained on.  fraction: share of its lattice points drawn at random (lambda).
    test: named regions to test on.  test_spacing: step of the lattice that the model is looked at on, for
    tests and for representations; `spacing` where it is left out.  test_points: at most so many a
    region, drawn at random; all where it is left out.
    """

    picture: Picture = Picture()
    spacing: Pair = (1.0, 1.0)
    train: Region = Everything()
    fraction: Number = Field(default=1.0, gt=0, le=1)
    test: dict[str, Region] = {}
    test_spacing: Pair | None = None
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
        """The points that may be trained on."""
        return self.picture.space().lattice(self.spacing)

    def looked_at(self) -> Pair:
        """The step of the lattice at which the model is looked at."""
        return self.test_spacing or self.spacing

    def test_axes(self) -> tuple[Float[np.ndarray, " n_k"], ...]:
        """The values of each factor at which the model is looked at."""
        return self.picture.space().axes(self.looked_at())

    def test_lattice(self) -> Float[np.ndarray, "n k"]:
        """The points at which the model is looked at."""
        return self.picture.space().lattice(self.looked_at())


@dataclass(frozen=True)
class Dataset:
    """images (n, 1, size, size) float32 in [0, 1]; factors (n, k) float64."""

    images: np.ndarray
    factors: np.ndarray

    def __len__(self) -> int:
        return len(self.factors)


def training_points(spec: DataSpec, seed: int) -> Float[np.ndarray, "n k"]:
    """The lattice points trained on; RequestError where there is none."""
    lattice = spec.lattice()
    points = lattice[spec.train.contains(lattice, spec.picture.space())]
    keep = round(round(spec.fraction * len(points), 6))  # 0.575 of 100 is 57.5, which floating point puts below it
    if keep == 0:
        raise RequestError(
            f"data.train: got {keep} of the {len(lattice)} lattice points, needs a region and a fraction "
            "that leave at least one"
        )
    if keep < len(points):
        points = points[np.sort(rng.stream(seed, "data.fraction").permutation(len(points))[:keep])]
    return points


def trained_on(points: Float[np.ndarray, "n k"], spec: DataSpec, seed: int) -> Bool[np.ndarray, " n"]:
    """Which points were trained on: those equal to a training point within the rounding of each factor.

    Parameters
    ----------
    points : (n, k), factor values in the factors' units.
    spec, seed : the data spec and the seed of the run.

    Raises
    ------
    RequestError : for points that are not in the factor space.
    """
    space = spec.picture.space()
    return space.among(space.check(points), training_points(spec, seed))


def training_set(spec: DataSpec, seed: int) -> Dataset:
    """The pictures trained on."""
    points = training_points(spec, seed)
    images = np.empty((len(points), 1, spec.picture.size, spec.picture.size), dtype=np.float32)
    for i in range(0, len(points), AT_ONCE):
        images[i : i + AT_ONCE, 0] = spec.picture.render(points[i : i + AT_ONCE])
    return Dataset(images, points)


def region_points(spec: DataSpec, region: Region, seed: int) -> Float[np.ndarray, "n k"]:
    """The points of a region to test on; RequestError where there is none."""
    lattice = spec.test_lattice()
    points = lattice[region.contains(lattice, spec.picture.space())]
    if len(points) == 0:
        raise RequestError(f"region: got none of the {len(lattice)} lattice points, needs at least one")
    if spec.test_points is not None and spec.test_points < len(points):
        points = points[np.sort(rng.stream(seed, "data.test").permutation(len(points))[: spec.test_points])]
    return points
