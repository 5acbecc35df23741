"""Regions are sets of points in factor space, on which models are trained and tested.

A region is a small frozen value that is read from and written to YAML. `a | b` is the union of two regions, `a - b`
their difference. The bounds of a region are one range (low, high) for all factors, or a range for each of some factors
by name; the other factors are then free. Bounds are inclusive and are compared by `Factor.between`, which allows for
rounding. The range of a periodic factor runs upwards from low to high, and may pass the end of the period.

    window = Rectangle(bounds=(0, 31))
    held_out = Cross(bounds={"x": (13, 19), "y": (13, 19)})
    trained = window - held_out
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, model_validator

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.space import ROUNDING, FactorSpace, Positive
from hyperfactor.strict import BY_NAME, EACH, NAMED, Integer, Number, Open

Points = Float[np.ndarray, "n k"]
Mask = Bool[np.ndarray, " n"]


Range = tuple[Number, Number]
Bounds = Annotated[Annotated[Range, EACH] | Annotated[dict[str, Range], Field(min_length=1), NAMED], BY_NAME]


class Region(Open):
    """A set of points in factor space. `kind` chooses the rule.

    A subclass gives `contains`.
    """

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        """Which points belong to the region.

        Parameters
        ----------
        points : (n, k)
            Factor values, in the factors' units.
        space : FactorSpace
            The factors.

        Returns
        -------
        (n,) of bool
            True for each point in the region.

        Raises
        ------
        RequestError
            If the region names an unknown factor, a range is empty, or a width does not fit into its range.
        """
        raise NotImplementedError

    def __or__(self, other: "Region") -> "Union":
        return Union(of=(self, other))

    def __sub__(self, other: "Region") -> "Difference":
        return Difference(of=self, without=other)


def inside(region: Region, points: Points, space: FactorSpace) -> Mask:
    """`region.contains`, whose result is checked, because the region may be a user's.

    Raises
    ------
    RequestError
        If the region raises one, or returns anything but a truth value for each point.
    """
    found = np.asarray(region.contains(points, space))
    if found.dtype != bool or found.shape != (len(points),):
        raise RequestError(
            f"{type(region).__name__}.contains: got {found.dtype} of shape {found.shape} for {len(points)} points, "
            "needs a truth value for each"
        )
    return found


def _inside(points: Points, space: FactorSpace, bounds: Mapping[int, Range]) -> Bool[np.ndarray, "n bounded"]:
    """Which points have a value within the bounds of each bounded factor. Keys of `bounds` are positions of factors."""
    return np.stack([space.factors[k].between(points[:, k], low, high) for k, (low, high) in bounds.items()], axis=1)


class Everything(Region):
    """The whole space."""

    kind: Literal["everything"] = "everything"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.ones(len(points), dtype=bool)


class _Bounded(Region):
    bounds: Bounds

    def ranges(self, space: FactorSpace) -> dict[int, Range]:
        """The bounds of each bounded factor, by the factor's position in the space."""
        return space.by_factor(self.bounds)

    def given(self) -> list[Range]:
        """The ranges as given: one for all factors, or one for each named factor."""
        return list(self.bounds.values()) if isinstance(self.bounds, Mapping) else [self.bounds]


class Rectangle(_Bounded):
    """All bounded factors lie within their bounds.

    Attributes
    ----------
    bounds : (low, high) or mapping
        One range for all factors, or ranges by the names of factors.
    """

    kind: Literal["rectangle"] = "rectangle"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.all(_inside(points, space, self.ranges(space)), axis=1)


class Strip(Region):
    """One factor lies within its bounds.

    Attributes
    ----------
    factor : str
        Name of the factor.
    low, high : float
        The bounds, in the factor's unit.
    """

    kind: Literal["strip"] = "strip"
    factor: str
    low: Number
    high: Number

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        k = space.index(self.factor)
        return space.factors[k].between(points[:, k], self.low, self.high)


class Cross(_Bounded):
    """At least one bounded factor lies within its bounds.

    Attributes
    ----------
    bounds : (low, high) or mapping
        One range for all factors, or ranges by the names of factors.
    """

    kind: Literal["cross"] = "cross"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.any(_inside(points, space, self.ranges(space)), axis=1)


class AtLeast(_Bounded):
    """At least `count` bounded factors lie within their bounds.

    A count of 1 is a `Cross`, and a count of all bounded factors is a `Rectangle`.

    Attributes
    ----------
    bounds : (low, high) or mapping
        One range for all factors, or ranges by the names of factors.
    count : int
        Number of factors; at most that of the bounded factors.
    """

    kind: Literal["at least"] = "at least"
    count: Annotated[Integer, Field(ge=1)]

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        inside = _inside(points, space, self.ranges(space))
        if self.count > inside.shape[1]:
            raise RequestError(f"region at least: got count {self.count}, needs at most {inside.shape[1]}, all bounded")
        return inside.sum(axis=1) >= self.count


class _Boxed(_Bounded):
    """A region whose width has to fit into its ranges. The length of one that passes a period's end depends on it."""

    def unfit(self, low: float, high: float) -> str:
        """What is wrong with the width for a range; empty if it fits."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _fits(self):
        for low, high in self.given():
            if low <= high and (wrong := self.unfit(low, high)):
                raise ValueError(wrong)
        return self

    def box(self, space: FactorSpace) -> dict[int, Range]:
        """The ranges as `ranges` gives them, but each upwards: one that passes the end of a period ends beyond it."""
        found = self.ranges(space)
        for k, (low, high) in found.items():
            if low > high:
                found[k] = low, low + space.factors[k].span(low, high)
                if wrong := self.unfit(*found[k]):
                    raise RequestError(f"region: {wrong}")
        return found


class Rim(_Boxed):
    """The outer layer of a box: its points that are less than `width` away from a face.

    Attributes
    ----------
    bounds : (low, high) or mapping
        The box: one range for all factors, or ranges by the names of factors.
    width : float
        Thickness of the layer, in the factors' units; at most half of each side. On a lattice of spacing 1 the layer is
        `width` points thick.
    """

    kind: Literal["rim"] = "rim"
    width: Positive

    def unfit(self, low: float, high: float) -> str:
        fits = 2 * self.width <= (1 + ROUNDING) * (high - low)
        return "" if fits else f"got width {self.width:g}, needs at most half of {low:g}..{high:g}"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        box = self.box(space)
        core = {k: (low + self.width, high - self.width) for k, (low, high) in box.items()}
        return np.all(_inside(points, space, box), axis=1) & ~np.all(_inside(points, space, core), axis=1)


class _Box(_Boxed):
    width: Annotated[Number, Field(ge=1.0)]

    def unfit(self, low: float, high: float) -> str:
        fits = self.width <= (1 + ROUNDING) * (high - low + 1)
        return "" if fits else f"got width {self.width:g}, needs at most {high - low + 1:g} to fit"


class Interior(_Box):
    """A box in the middle of the bounds.

    Attributes
    ----------
    bounds : (low, high) or mapping
        One range for all factors, or ranges by the names of factors.
    width : float
        Number of values along each side of the box, at a spacing of 1 from the lower bound.
    """

    kind: Literal["interior"] = "interior"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        inner = {}
        for k, (low, high) in self.box(space).items():
            start = low + np.ceil((high - low - (self.width - 1)) / 2 - ROUNDING * (high - low))
            inner[k] = (start, start + self.width - 1)
        return np.all(_inside(points, space, inner), axis=1)


class Corner(_Box):
    """A box at the upper end of every bounded factor.

    Attributes
    ----------
    bounds : (low, high) or mapping
        One range for all factors, or ranges by the names of factors.
    width : float
        Number of values along each side of the box, at a spacing of 1.
    """

    kind: Literal["corner"] = "corner"

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        upper = {k: (high - self.width + 1, high) for k, (_, high) in self.box(space).items()}
        return np.all(_inside(points, space, upper), axis=1)


class Random(Region):
    """Points chosen at random, each independently of the others.

    Whether a point is chosen depends on its values and the seed, not on the lattice. Of n points about share x n are
    chosen, with a standard deviation of sqrt(n share (1 - share)).

    Attributes
    ----------
    share : float
        Probability that a point is chosen; 0 < share < 1.
    seed : int
        Another seed chooses other points; 0 <= seed < 2^32.
    """

    kind: Literal["random"] = "random"
    share: Annotated[Number, Field(gt=0.0, lt=1.0)]
    seed: Annotated[Integer, Field(ge=0, lt=2**32)] = 0

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return self.rank(self.seed, points, space) < self.share

    @staticmethod
    def rank(seed: int, points: Points, space: FactorSpace) -> Float[np.ndarray, " n"]:
        """The share from which each point is chosen, which is uniform in [0, 1)."""
        return rng.uniform_at(seed, "region.random", space.ticks(points))


class Union(Region):
    """The points that are in at least one of several regions.

    Attributes
    ----------
    of : tuple of Region
        The regions.
    """

    kind: Literal["union"] = "union"
    of: tuple[Region, ...] = Field(min_length=1)

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return np.any([inside(region, points, space) for region in self.of], axis=0)


class Difference(Region):
    """The points that are in one region and not in another.

    Attributes
    ----------
    of : Region
        The region to take from.
    without : Region
        The region to take away.
    """

    kind: Literal["difference"] = "difference"
    of: Region
    without: Region

    def contains(self, points: Points, space: FactorSpace) -> Mask:
        return inside(self.of, points, space) & ~inside(self.without, points, space)
