"""Splits of a lattice into the points to train on and the points to test, with what copying would score on them.

    kind            points to test                                          factors that take part
    random          each point with the same probability                    all
    composition     those with all factors beyond their thresholds          all
    orthotopic      those with more than `most` factors beyond              all
    extrapolation   those with a factor beyond its threshold                open
    interpolation   those with a factor at one of some values in between    open and periodic

The threshold of a factor cuts off its upper values. A periodic factor has no end, so it cannot be extrapolated, and
categories have no order. Training is on all other points. With k factors, composition is orthotopic with most = k - 1,
and extrapolation is orthotopic with most = 0.

References
----------
Schott et al., "Visual Representation Learning Does Not Generalize Strongly Within the Same Domain", ICLR 2022, arXiv
2107.08221: random, composition (a corner is left out), interpolation (values are left out periodically) and
extrapolation (values above some value are left out). Which factors take part is our choice.
Camposampiero et al., "Scalable Evaluation and Neural Models for Compositional Generalization", NeurIPS 2025, arXiv
2511.02667: orthotopic, with at most c attributes at or above their thresholds in training.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from hyperfactor import rng
from hyperfactor.arrays import real, whole
from hyperfactor.errors import RequestError, quoted
from hyperfactor.factors.copying import copied
from hyperfactor.factors.regions import AtLeast, Everything, Random, Region, Strip, Union, inside
from hyperfactor.factors.space import Factor, FactorSpace

Kind = Literal["random", "composition", "orthotopic", "extrapolation", "interpolation"]
SUITS = {"extrapolation": ("open",), "interpolation": ("open", "periodic")}  # kinds of factors; other splits take all
COPIED = 1000  # largest number of test points whose nearest trained point is found


@dataclass(frozen=True)
class Split:
    """Regions to train on and to test, which a spec takes as they are.

    Attributes
    ----------
    kind : str
        Kind of the split.
    train, test : Region
        The regions.
    trained, tested : int
        Numbers of their lattice points.
    copied : dict of str to float
        For each factor, the share of test points at which the nearest trained point is correct in it.
    baseline : float
        Share of test points at which the nearest trained point is correct in all factors. All factors count as visible.
    """

    kind: Kind
    train: Region
    test: Region
    trained: int
    tested: int
    copied: dict[str, float]
    baseline: float


def splits(
    space: FactorSpace,
    kind: Kind,
    *,
    share: float = 0.3,
    most: int = 1,
    factors: Sequence[str] | None = None,
    spacing: float | Mapping[str, float] = 1.0,
    fixed: Mapping[str, float] | None = None,
    seed: int = 0,
    difference: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> Split:
    """Split the lattice of a factor space.

    Each factor that takes part has the same share of its values beyond its threshold, or left out in between, rounded
    to a whole number of at least one; at least one value is left to train on. The share of points that is tested
    therefore differs from `share` where factors have few values.

    Parameters
    ----------
    space : FactorSpace
        The factors.
    kind : {"random", "composition", "orthotopic", "extrapolation", "interpolation"}
        What is tested.
    share : float
        Share of the points to test; 0 < share < 1.
    most : int
        Orthotopic only: the largest number of factors that are beyond their thresholds in a point to train on.
    factors : sequence of str, optional
        Names of the factors that take part; not for a random split. Default: those that vary and suit the kind. The
        values of other factors do not matter.
    spacing : float or mapping
        Step of the lattice, in each factor's unit, as for `FactorSpace.axes`.
    fixed : mapping, optional
        The value of each factor that does not vary, by name.
    seed : int
        Seed of the points that are chosen at random: those of a random split, and those whose copies are judged where
        there are more than 1,000.
    difference : callable, optional
        `difference` of a picture family with symmetries, for the copying baseline. Default: that of the space.

    Returns
    -------
    Split
        Regions, sizes and copying baseline.

    Raises
    ------
    RequestError
        If the kind is unknown, a number is out of range, an argument or a factor does not suit the kind, a factor does
        not vary enough, or no point is left on one of the two sides.
    """
    if kind not in get_args(Kind):
        raise RequestError(f"kind: got {quoted(kind)}, needs one of {', '.join(get_args(Kind))}")
    if not 0 < real(share) < 1:
        raise RequestError(f"share: got {quoted(share)}, needs a number between 0 and 1")
    seed = rng.check_seed(seed)
    if isinstance(factors, str):
        raise RequestError(f"factors: got {quoted(factors)}, needs a list of names")
    if kind != "orthotopic" and most != 1:
        raise RequestError(f"most: got {quoted(most)} with the kind {kind}, needs the kind orthotopic")
    if kind == "random" and factors is not None:
        raise RequestError(f"factors: got {quoted(factors)} with the kind random, needs a kind that splits by values")
    axes = dict(zip(space.names, space.axes(spacing, fixed), strict=True))
    part = {name: axes[name] for name in _taking_part(space, kind, axes, factors)}
    test = Random(share=share, seed=seed) if kind == "random" else _left_out(space, kind, part, share, most)
    return _measured(kind, test, space, space.lattice(spacing, fixed), seed, difference)


def _taking_part(
    space: FactorSpace, kind: Kind, axes: Mapping[str, np.ndarray], given: Sequence[str] | None
) -> tuple[str, ...]:
    """The names of the factors that take part in a split."""
    suits = SUITS.get(kind, ("open", "periodic", "categorical"))

    def fits(factor: Factor) -> bool:
        ends = 2 if kind == "interpolation" and factor.kind == "open" else 1  # values that stay
        return factor.kind in suits and len(axes[factor.name]) > ends

    chosen = [space.factors[space.index(name)] for name in (space.names if given is None else given)]
    if given is not None and (bad := [factor for factor in chosen if not fits(factor)]):
        raise RequestError(
            f"factors: got {bad[0].name}, which is {bad[0].kind} with {len(axes[bad[0].name])} values, needs factors "
            f"that vary and are {' or '.join(suits)} for {kind}"
        )
    names = tuple(factor.name for factor in chosen if fits(factor))
    if not names:
        raise RequestError(f"factors: got none for {kind}, needs one that varies and is {' or '.join(suits)}")
    return names


def _left_out(space: FactorSpace, kind: Kind, axes: Mapping[str, np.ndarray], share: float, most: int) -> Region:
    """The test region of a split by values.

    At a point drawn at random, each of k factors is beyond its threshold with a probability f. At least j of them are
    with the probability I_f(j, k - j + 1), the regularised incomplete beta function, whose inverse gives f.
    """
    from scipy.special import betaincinv  # 0.1 s to import

    k = len(axes)
    if kind == "orthotopic" and not whole(most, "most", 0) < k:
        raise RequestError(f"most: got {most}, needs an integer below {k}, the number of factors")
    count = {"composition": k, "orthotopic": most + 1}.get(kind, 1)
    of_values = float(betaincinv(count, k - count + 1, share))
    if kind == "interpolation":
        named = {name: _between(values, of_values, space, name) for name, values in axes.items()}
        return Union(of=tuple(Strip(factor=name, low=v, high=v) for name, left in named.items() for v in left))
    bounds = {}
    for name, values in axes.items():
        beyond = min(max(round(of_values * len(values)), 1), len(values) - 1)
        factor = space.factors[space.index(name)]
        bounds[name] = (float(values[-beyond]), float(values[-1] if factor.kind == "periodic" else factor.high))
    return AtLeast(bounds=bounds, count=count)


def _between(values: Float[np.ndarray, " n"], share: float, space: FactorSpace, name: str) -> list[float]:
    """Evenly spaced values of a factor, no two of them next to each other, and none at an end of an open factor."""
    ends = 1 if space.factors[space.index(name)].kind == "open" else 0
    count = min(max(round(share * len(values)), 1), (len(values) - ends) // 2)
    at = np.floor((np.arange(count) + 0.5) * (len(values) - 2 * ends) / count).astype(int) + ends
    return [float(value) for value in values[at]]


def _measured(
    kind: Kind,
    test: Region,
    space: FactorSpace,
    lattice: Float[np.ndarray, "n k"],
    seed: int,
    difference: Callable[[np.ndarray, np.ndarray], np.ndarray] | None,
) -> Split:
    """The split with this test region, with its sizes and its copying baseline."""
    train = Everything() - test
    asked, trained = lattice[inside(test, lattice, space)], lattice[inside(train, lattice, space)]
    if not len(asked) or not len(trained):
        raise RequestError(
            f"share: got one that leaves {len(trained)} of {len(lattice)} points to train on and {len(asked)} to test, "
            "needs at least one of each"
        )
    judged = asked
    if len(asked) > COPIED:
        judged = asked[np.sort(rng.stream(seed, "splits.copied").permutation(len(asked))[:COPIED])]
    _, correct = copied(judged, trained, space, difference)
    shares = dict(zip(space.names, map(float, correct.mean(axis=0)), strict=True))
    return Split(kind, train, test, len(trained), len(asked), shares, float(correct.all(axis=1).mean()))
