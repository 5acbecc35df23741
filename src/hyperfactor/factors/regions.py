"""Regions: sets of points in factor space, for what is trained on, held out and tested.

A region is a small frozen value that reads and writes as YAML.  `|` joins two, `-` takes one
from another.  Bounds are inclusive and compared by `Factor.between`, which allows for the rounding of
floating point.  On a periodic factor a range goes up from low to high and may cross the seam.

    window = Rectangle(bounds={"x": (0, 31), "y": (0, 31)})
    held_out = Cross(low=13, high=19)
    trained = window - held_out
"""

from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from hyperfactor.errors import RequestError
from hyperfactor.factors.space import ROUNDING, FactorSpace
from hyperfactor.strict import Number, Strict, one_line

Points = Float[np.ndarray, "n k"]
Mask = Bool[np.ndarray, " n"]


class _Region(Strict):
    def contains(self, points: Points, space: FactorSpace) -> Mask:
        """Which points belong to the region."""
        raise NotImplementedError

    def __or__(self, other: "Region") -> "Union":
        return Union(of=(self, other))  # pyright: ignore[reportArgumentType]

    def __sub__(self, other: "Region") -> "Difference":
        return Difference(of=self, without=other)  # pyright: ignore[reportArgumentType]


def _inside(points: Points, space: FactorSpace, low: float, high: float) -> Bool[np.ndarray, "n k"]:
    """For each factor, which points have a value in [low, high]."""
    return np.stack([f.between(points[:, k], low, high) for k, f in enumerate(space.factors)], axis=1)


class Everything(_Region):
    """The whole space."""

    kind: Literal["everything"] = "everything"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.ones(len(points), dtype=bool)


class Rectangle(_Region):
    """Each named factor within its bounds; a factor not named is free."""

    kind: Literal["rectangle"] = "rectangle"
    bounds: dict[str, tuple[Number, Number]] = Field(min_length=1)

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        inside = np.ones(len(points), dtype=bool)
        for name, (low, high) in self.bounds.items():
            k = space.index(name)
            inside &= space.factors[k].between(points[:, k], low, high)
        return inside


class Strip(_Region):
    """One factor within [low, high]."""

    kind: Literal["strip"] = "strip"
    factor: str
    low: Number
    high: Number

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        k = space.index(self.factor)
        return space.factors[k].between(points[:, k], self.low, self.high)


class Cross(_Region):
    """At least one factor within [low, high]."""

    kind: Literal["cross"] = "cross"
    low: Number
    high: Number

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.any(_inside(points, space, self.low, self.high), axis=1)


class Rim(_Region):
    """Of the cube [low, high], the lattice points nearest its faces: `width` of them at each side."""

    kind: Literal["rim"] = "rim"
    low: Number
    high: Number
    width: Number = Field(gt=0)

    @model_validator(mode="after")
    def _leaves_a_core(self):
        if 2 * self.width > (1 + ROUNDING) * (self.high - self.low):
            raise ValueError(f"got width {self.width:g}, needs at most half of {self.low:g}..{self.high:g}")
        return self

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        cube = np.all(_inside(points, space, self.low, self.high), axis=1)
        core = np.all(_inside(points, space, self.low + self.width, self.high - self.width), axis=1)
        return cube & ~core


class _Cube(_Region):
    low: Number
    high: Number
    width: Number = Field(ge=1)

    @model_validator(mode="after")
    def _fits(self):
        if self.width > (1 + ROUNDING) * (self.high - self.low + 1):
            raise ValueError(f"got width {self.width:g}, needs at most {self.high - self.low + 1:g} to fit")
        return self


class Interior(_Cube):
    """The cube of `width` unit-spaced values a side in the middle of [low, high]."""

    kind: Literal["interior"] = "interior"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        middle, half = (self.low + self.high) / 2, (self.width - 1) / 2
        start = np.ceil(middle - half - ROUNDING * (self.high - self.low))
        return np.all(_inside(points, space, start, start + self.width - 1), axis=1)


class Corner(_Cube):
    """The cube of `width` unit-spaced values a side at the upper end of every factor's [low, high]."""

    kind: Literal["corner"] = "corner"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.all(_inside(points, space, self.high - self.width + 1, self.high), axis=1)


class Union(_Region):
    """In any of the regions."""

    kind: Literal["union"] = "union"
    of: tuple["Region", ...] = Field(min_length=1)

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.any([region.contains(points, space) for region in self.of], axis=0)


class Difference(_Region):
    """In `of` and not in `without`."""

    kind: Literal["difference"] = "difference"
    of: "Region"
    without: "Region"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return self.of.contains(points, space) & ~self.without.contains(points, space)


Region = Annotated[
    Everything | Rectangle | Strip | Cross | Rim | Interior | Corner | Union | Difference,
    Field(discriminator="kind"),
]
Union.model_rebuild()
Difference.model_rebuild()


def parse_region(given: Any) -> Region:
    """A region as it is, or from plain data such as {"kind": "cross", "low": 13, "high": 19}.

    Raises RequestError for anything else.
    """
    try:
        return TypeAdapter(Region).validate_python(given)
    except ValidationError as error:
        raise RequestError(f"region: {one_line(error)}") from None
