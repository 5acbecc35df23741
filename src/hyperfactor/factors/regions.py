"""Regions: sets of points in factor space, for what is trained on, held out and tested.

A region is a small frozen value that reads and writes as YAML.  `|` joins two, `-` takes one from another.  Bounds are
a range (low, high) for all factors, or a range for each factor by name, which leaves the other factors free.  They are
inclusive and compared by `Factor.between`, which allows for the rounding of floating point.  On a periodic factor a
range goes up from low to high and may cross the seam.

    window = Rectangle(bounds=(0, 31))
    held_out = Cross(bounds={"x": (13, 19), "y": (13, 19)})
    trained = window - held_out
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, model_validator

from hyperfactor.factors.space import ROUNDING, FactorSpace, Positive
from hyperfactor.strict import BY_NAME, EACH, NAMED, Number, Open

Points = Float[np.ndarray, "n k"]
Mask = Bool[np.ndarray, " n"]


Range = tuple[Number, Number]
Bounds = Annotated[Annotated[Range, EACH] | Annotated[dict[str, Range], Field(min_length=1), NAMED], BY_NAME]


class Region(Open):
    """A set of points in factor space.  `kind` names the rule."""

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        """Which points belong to the region."""
        raise NotImplementedError

    def __or__(self, other: "Region") -> "Union":
        return Union(of=(self, other))

    def __sub__(self, other: "Region") -> "Difference":
        return Difference(of=self, without=other)


def _inside(points: Points, space: FactorSpace, bounds: Mapping[int, Range]) -> Bool[np.ndarray, "n bounded"]:
    """For each bounded factor, by its position, which points have a value within its bounds."""
    return np.stack([space.factors[k].between(points[:, k], low, high) for k, (low, high) in bounds.items()], axis=1)


class Everything(Region):
    """The whole space."""

    kind: Literal["everything"] = "everything"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.ones(len(points), dtype=bool)


class _Bounded(Region):
    bounds: Bounds

    def ranges(self, space: FactorSpace) -> dict[int, Range]:
        """The bounds of each bounded factor, by its position."""
        return space.by_factor(self.bounds)

    def given(self) -> list[Range]:
        """The ranges that were given: one for all factors, or one for each named factor."""
        return list(self.bounds.values()) if isinstance(self.bounds, Mapping) else [self.bounds]


class Rectangle(_Bounded):
    """Every bounded factor within its bounds."""

    kind: Literal["rectangle"] = "rectangle"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.all(_inside(points, space, self.ranges(space)), axis=1)


class Strip(Region):
    """One factor within [low, high]."""

    kind: Literal["strip"] = "strip"
    factor: str
    low: Number
    high: Number

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        k = space.index(self.factor)
        return space.factors[k].between(points[:, k], self.low, self.high)


class Cross(_Bounded):
    """At least one bounded factor within its bounds."""

    kind: Literal["cross"] = "cross"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.any(_inside(points, space, self.ranges(space)), axis=1)


class Rim(_Bounded):
    """Of the box within the bounds, the lattice points nearest its faces: `width` of them at each side."""

    kind: Literal["rim"] = "rim"
    width: Positive

    @model_validator(mode="after")
    def _leaves_a_core(self):
        for low, high in self.given():
            if 2 * self.width > (1 + ROUNDING) * (high - low):
                raise ValueError(f"got width {self.width:g}, needs at most half of {low:g}..{high:g}")
        return self

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        box = self.ranges(space)
        core = {k: (low + self.width, high - self.width) for k, (low, high) in box.items()}
        return np.all(_inside(points, space, box), axis=1) & ~np.all(_inside(points, space, core), axis=1)


class _Box(_Bounded):
    width: Annotated[Number, Field(ge=1)]

    @model_validator(mode="after")
    def _fits(self):
        for low, high in self.given():
            if self.width > (1 + ROUNDING) * (high - low + 1):
                raise ValueError(f"got width {self.width:g}, needs at most {high - low + 1:g} to fit")
        return self


class Interior(_Box):
    """The box of `width` unit-spaced values a side in the middle of the bounds."""

    kind: Literal["interior"] = "interior"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        inner = {}
        for k, (low, high) in self.ranges(space).items():
            start = np.ceil((low + high) / 2 - (self.width - 1) / 2 - ROUNDING * (high - low))
            inner[k] = (start, start + self.width - 1)
        return np.all(_inside(points, space, inner), axis=1)


class Corner(_Box):
    """The box of `width` unit-spaced values a side at the upper end of every bounded factor."""

    kind: Literal["corner"] = "corner"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        upper = {k: (high - self.width + 1, high) for k, (_, high) in self.ranges(space).items()}
        return np.all(_inside(points, space, upper), axis=1)


class Union(Region):
    """In any of the regions."""

    kind: Literal["union"] = "union"
    of: tuple[Region, ...] = Field(min_length=1)

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.any([region.contains(points, space) for region in self.of], axis=0)


class Difference(Region):
    """In `of` and not in `without`."""

    kind: Literal["difference"] = "difference"
    of: Region
    without: Region

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return self.of.contains(points, space) & ~self.without.contains(points, space)
