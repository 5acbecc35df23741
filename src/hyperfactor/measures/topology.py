"""The shape of a cloud of points: persistent homology, Betti numbers, distance to a reference.

The Vietoris-Rips complex at scale r joins points at most r apart. As r grows, pieces (H0), loops (H1) and hollows (H2)
are born and die. A bar is such a life, and a long bar is a feature of the shape. A torus has the Betti numbers
(1, 2, 1), a sphere (1, 0, 1). Homology is taken over the field of `field` elements: over 2 a Klein bottle is like a
torus, over 3 it has (1, 1, 0). `over_fields` takes several fields at once.

gudhi computes the homology of *landmarks* in a child process with a limit on memory and time. A maxmin walk picks the
landmarks: each is the farthest from those before it. Repeated points count once (see `normalised.distinct`), and the
order of the points does not matter.

Few points give few bars, and few bars do not distinguish shape from noise: a circle of 12 points may be no clearer than
12 random points. `Persistence.told` says for each dimension whether its Betti number is known.

The result describes the points as they are, not a shape from which they were sampled: a lattice of 4 x 20 points of a
Clifford torus is a cloud of four circles, far apart.
"""

import io
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import cdist, pdist, squareform

from hyperfactor import arrays, notebook, rng
from hyperfactor.errors import RequestError, quoted
from hyperfactor.measures.normalised import distinct, normalised
from hyperfactor.measures.representation import Given, checked_points

Points = Float[np.ndarray, "n d"]
FIELDS = (2, 3)  # of coefficients: a torus has the same Betti numbers over both, a Klein bottle has not
GAP = 1.5  # least ratio of the last bar that counts to the next
SIGNIFICANCE = 0.001  # largest p-value of a bar that counts
DOUBT = 0.05  # largest p-value of a bar that may still be a feature
ENOUGH = 10  # bars that show what noise is like; H0 needs twice as many to show its gaps
PIECE = 5  # landmarks in the smallest piece that counts
CELL = 1.02  # times the ratio of death to birth of a cell of a cubic lattice; a feature has more
WIDE = 0.5  # of the radius of the cloud: a feature this wide must be visible among the landmarks
CLEAREST = 0.25  # of the clearest feature of as many points: a feature this clear would count, or absence is not told
COPIES, NULL_POINTS, NULL_SECONDS = 30, 1500, 20.0  # of the null: at most so many clouds, points and seconds in all
SPREAD = 1.6  # standard error of the median of n bars of noise, times sqrt(n)
CLIQUES = 400  # grown to count all cliques
LARGEST_FIELD = 46337  # the largest order of a field that gudhi takes
START = 2.0  # seconds that the child process, its libraries and the null take
BUSY = 8.0  # how many times longer a busy machine takes than the one that was measured
FEWER = 2.0  # how many times less memory than estimated a shape takes
MEMORY, SECONDS = 2 * 2**30, 600.0  # limits of the child process
NEEDS = "needs fewer landmarks, a lower max_dim or a higher limit"


@dataclass(frozen=True)
class Persistence:
    """Result of `persistence`.

    Attributes
    ----------
    diagrams : tuple of (bars, 2)
        For each dimension k the births and deaths in H_k; one H0 bar never dies.
    landmarks : (n,)
        Indices of the points used, in the order of the walk.
    covering_radius : float
        Largest distance of a point from its nearest landmark.
    radius : float
        Root mean square distance of the distinct points from their mean.
    seconds : float
        Time that it took, for all fields together.
    null : tuple of (bars, 2)
        For each dimension the bars of the null: the landmarks with each principal coordinate permuted by itself, once,
        or several times if there are few landmarks.
    rank : int
        Dimension of the linear space that the landmarks span.
    joined : (bars,)
        For each H0 bar that dies, longest first, the number of landmarks in the smaller of the two pieces that it
        joins.
    """

    diagrams: tuple[np.ndarray, ...]
    landmarks: np.ndarray
    covering_radius: float
    radius: float
    seconds: float
    null: tuple[np.ndarray, ...]
    rank: int = sys.maxsize
    joined: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    def lifetimes(self, dim: int) -> Float[np.ndarray, " bars"]:
        """Return death - birth of the bars that die, longest first."""
        return np.sort(_finite(self.diagrams[dim]) @ [-1, 1])[::-1]

    def p_values(self, dim: int) -> Float[np.ndarray, " bars"]:
        """Return for each bar, as in `lifetimes`, how likely noise is to have so large a ratio of death to birth.

        With l = ln ln(death / birth), bars of noise follow one law for every cloud: l is left-skewed Gumbel but for a
        shift (Bobrowski and Skraba, Sci. Rep. 13 (2023) 11954), so p = exp(-exp(l - c)). The shift c puts the median
        bar of the null at p = 1/2. If the null has fewer than ENOUGH bars, the median is over its bars and those here.

        Parameters
        ----------
        dim : int
            Dimension of homology, at least 1.
        """
        return _p(_loglog(self._bars(dim)), self._noise(dim)[0])

    def betti(self) -> tuple[int, ...]:
        """Return the number of features in each dimension, by the gap rule; `told` says whether it is known.

        Bars are counted from the longest down to a gap: a bar at least GAP times as long as the next, or the last of
        all. In H1 and above only bars with a p-value of at most SIGNIFICANCE may count, and the last gap among them
        decides, so that a short loop beside a long one counts as well. In H0, where the null says nothing, the widest
        gap within the longer half decides, and the bar that never dies is added. Points in r dimensions have no feature
        in H_r and above, and the cells of a lattice are not features.
        """
        return tuple(count for count, _ in self._counts())

    def clarity(self) -> tuple[float, ...]:
        """Return for each dimension how many times longer the last bar counted is than the next.

        It is NaN if no bar counts or the number cannot be told, and infinite if no bar follows.
        """
        return tuple(ratio if told else math.nan for (_, ratio), told in zip(self._counts(), self.told, strict=True))

    @property
    def told(self) -> tuple[bool, ...]:
        """Whether the Betti number of each dimension can be told from noise.

        Where this is False, the number that `betti` gives is not a result.

        H0 is told if all of these are true:

        - There are at least twice ENOUGH bars.
        - If pieces count: each piece has at least PIECE landmarks, the gap is at least twice GAP, and its p-value is at
          most SIGNIFICANCE (see `_gap_p_value`).
        - If no pieces count: no gap of a ratio of 1.25 or more passes the last two tests.

        H1 and above are told if all of these are true:

        - The number stays the same when the shift c of `p_values` moves by its standard error in either direction.
        - The number stays the same when bars with a p-value of up to DOUBT may count.
        - The landmarks are dense enough to show a further feature half as wide as the cloud (the circles of a torus of
          up to four equal factors are). A k-sphere of radius r dies at sqrt(2 (k + 2) / (k + 1)) r, and landmarks of a
          maxmin walk are nowhere nearer to each other than their covering radius, so no feature is born before that.
          The ratio of the two must be significant.
        - If the number is 0: no single bar is significant, and a feature with a quarter of the greatest possible
          clearness would be. For n points in H_k the greatest ratio of death to birth is about
          (4 / 5) (n / (k + 2))^(1/k).
        """
        return tuple(self._pieces_told() if dim == 0 else self._features_told(dim) for dim in range(len(self.diagrams)))

    def _counts(self) -> list[tuple[int, float]]:
        above = range(1, len(self.diagrams))
        return [self._pieces(), *(self._features(dim, self.p_values(dim) <= SIGNIFICANCE) for dim in above)]

    def _bars(self, dim: int) -> Float[np.ndarray, "bars 2"]:
        """Return the bars that die, longest first."""
        bars = _finite(self.diagrams[dim])
        return bars[np.argsort(bars @ [1, -1], kind="stable")]

    def _noise(self, dim: int) -> tuple[float, float]:
        """Return the median of the loglog of bars of noise, and its standard error; infinite if there are none."""
        noise = _loglog(_finite(self.null[dim]))
        if len(noise) < ENOUGH:
            noise = np.concatenate([noise, _loglog(self._bars(dim))])
        return (float(np.median(noise)), SPREAD / math.sqrt(len(noise))) if len(noise) else (math.inf, math.inf)

    def _pieces(self) -> tuple[int, float]:
        """Return the number of pieces, and the ratio at the gap."""
        lifetimes, endless = self.lifetimes(0), int(np.isinf(self.diagrams[0][:, 1]).sum())
        allowed = len(lifetimes) // 2
        ratios = lifetimes[:allowed] / lifetimes[1 : allowed + 1]
        if not allowed or ratios.max() < GAP:
            return endless, math.nan
        last = int(ratios.argmax())
        return last + 1 + endless, float(ratios[last])

    def _pieces_told(self) -> bool:
        lifetimes = self.lifetimes(0)
        if len(lifetimes) < 2 * ENOUGH:
            return False
        cut = self._pieces()[0] - 1
        if cut:
            return bool(
                lifetimes[cut - 1] >= 2 * GAP * lifetimes[cut]
                and self.joined[:cut].min() >= PIECE
                and _gap_p_value(lifetimes, cut) <= SIGNIFICANCE
            )
        return not any(
            lifetimes[m - 1] >= 1.25 * lifetimes[m]
            and self.joined[:m].min() >= PIECE
            and _gap_p_value(lifetimes, m) <= SIGNIFICANCE
            for m in range(1, len(lifetimes) // 2 + 1)
        )

    def _features(self, dim: int, significant: np.ndarray) -> tuple[int, float]:
        """Return the number of features if only those bars may count, and the ratio at the gap."""
        allowed = int(np.sum(significant & self._seen(dim)))
        lifetimes = np.append(self.lifetimes(dim), 0.0)
        with np.errstate(divide="ignore"):
            ratios = lifetimes[:allowed] / lifetimes[1 : allowed + 1]
        clear = np.flatnonzero(ratios >= GAP)
        return (int(clear[-1]) + 1, float(ratios[clear[-1]])) if clear.size else (0, math.nan)

    def _seen(self, dim: int) -> np.ndarray:
        """Mark the bars that are not cells of a lattice."""
        bars = self._bars(dim)
        return (bars[:, 1] > _cell(dim) * bars[:, 0]) & (self.rank > dim)

    def _features_told(self, dim: int) -> bool:
        if self.rank <= dim:
            return True
        bars, (shift, error), count = _loglog(self._bars(dim)), self._noise(dim), self._counts()[dim][0]
        strict = _p(bars, shift + error) <= SIGNIFICANCE
        doubtful = max(SIGNIFICANCE, min(DOUBT, 1 / max(len(bars), 1)))
        lenient = (_p(bars, shift - error) <= SIGNIFICANCE) | (_p(bars, shift) <= doubtful)
        if any(self._features(dim, counted)[0] != count for counted in (strict, lenient)):
            return False
        if not self._visible(dim, shift + error):
            return False
        if count:
            return True
        feature = CLEAREST * 0.8 * (len(self.landmarks) / (dim + 2)) ** (1 / dim)
        if feature <= _cell(dim) or np.any(strict & self._seen(dim)):
            return False
        return not len(bars) or bool(_p(np.log(np.log(feature)), shift + error) <= SIGNIFICANCE)

    def _visible(self, dim: int, shift: float) -> bool:
        """Whether a feature of WIDE times the radius of the cloud could be significant among these landmarks."""
        death = WIDE * self.radius * math.sqrt(2 * (dim + 2) / (dim + 1))
        if death <= _cell(dim) * self.covering_radius:
            return False
        if self.covering_radius == 0 or math.isinf(shift):
            return True
        return bool(_p(np.log(np.log(death / self.covering_radius)), shift) <= SIGNIFICANCE)

    def _repr_html_(self) -> str:
        rows = zip(range(len(self.diagrams)), self.betti(), self.clarity(), self.told, strict=True)
        named = (
            (f"H{dim}", count, clear if math.isfinite(clear) else None, "yes" if told else "no")
            for dim, count, clear, told in rows
        )
        title = f"persistent homology of {len(self.landmarks)} landmarks"
        table = notebook.table(title, ("dimension", "Betti number", "clarity", "known"), named)
        return table + notebook.diagram(title, [(f"H{dim}", bars.tolist()) for dim, bars in enumerate(self.diagrams)])

    def to_json(self) -> dict[str, Any]:
        """Return Betti numbers, clarity, and the five longest bars of each dimension with their p-values.

        A number that cannot be told is None, and so is a clarity if no bar follows.
        """
        return {
            "betti": [count if told else None for count, told in zip(self.betti(), self.told, strict=True)],
            "told": list(self.told),
            "clarity": [ratio if math.isfinite(ratio) else None for ratio in self.clarity()],
            "lifetimes": [self.lifetimes(dim)[:5].tolist() for dim in range(len(self.diagrams))],
            "p_values": [self.p_values(dim)[:5].tolist() for dim in range(1, len(self.diagrams))],
            "landmarks": len(self.landmarks),
            "covering_radius": self.covering_radius,
            "radius": self.radius,
        }


def _finite(diagram: np.ndarray) -> np.ndarray:
    return diagram[np.isfinite(diagram[:, 1])]


def _loglog(bars: np.ndarray) -> np.ndarray:
    return np.log(np.log(bars[:, 1] / bars[:, 0]))


def _cell(dim: int) -> float:
    """Return the ratio of death to birth that a feature exceeds: that of a cubic lattice, ((k + 1) / k)^(1/2)."""
    return CELL * math.sqrt((dim + 1) / dim)


def _p(heights: np.ndarray, shift: float) -> np.ndarray:
    """Return the p-values of bars from their loglog, if `shift` is that of the median bar of noise."""
    return np.exp(-np.exp(np.minimum(heights - shift, 100.0)) * np.log(2))


def _gap_p_value(lifetimes: np.ndarray, cut: int) -> float:
    """Return how likely one piece is to have so wide a gap below its `cut` longest H0 bars.

    Of n exponential spacings the m-th longest exceeds the next by an exponential variable of mean s / m, with s the
    mean excess of a spacing over any level (Renyi, Acta Math. Acad. Sci. Hung. 4 (1953) 191). s is measured above the
    median of the bars below the gap.
    """
    rest = lifetimes[cut:]
    middle = np.median(rest)
    excess = np.mean(rest[rest >= middle] - middle)
    gap = lifetimes[cut - 1] - rest[0]
    return math.exp(-cut * gap / excess) if excess > 1e-6 * middle else float(gap <= 1e-6 * middle)


@dataclass(frozen=True)
class _Cloud:
    """Distinct points, normalised, in an order that depends on the shape alone.

    They are sorted by their distance from the mean, to 9 decimals of the radius. Points equally far, as on a lattice,
    are sorted by their coordinates and shuffled, so that a walk does not leave its gaps in a row.
    """

    values: Points
    indices: Int[np.ndarray, " n"]  # of the given points
    unit: float

    @classmethod
    def of(cls, points: Given) -> "_Cloud":
        sorted_, first = np.unique(checked_points(points), axis=0, return_index=True)
        once = normalised(sorted_)
        kept = distinct(once.values)
        again = normalised(once.values[kept])
        far = _rounded(np.linalg.norm(again.values, axis=1) / again.radius)
        by_coordinates = np.lexsort(_rounded(again.values / again.radius).T[::-1])
        shuffled = rng.stream(0, "topology.order").permutation(by_coordinates)
        order = shuffled[np.argsort(-far[shuffled], kind="stable")]
        return cls(again.values[order], first[kept[order]], once.unit * again.unit)

    def walk(self, count: int, seed: int) -> tuple[Int[np.ndarray, " count"], float]:
        """Return the rows of `count` landmarks, and the covering radius."""
        count = arrays.whole(count, "landmarks", 2)
        radius = math.sqrt(np.mean(np.sum(self.values**2, axis=1)))
        chosen = [int(rng.stream(seed, "topology.landmarks").integers(len(self.values)))]
        nearest = self._distances(chosen[0])
        while len(chosen) < min(count, len(self.values)):
            chosen.append(int(_rounded(nearest / radius).argmax()))
            nearest = np.minimum(nearest, self._distances(chosen[-1]))
        return np.array(chosen), float(nearest.max())

    def _distances(self, row: int) -> Float[np.ndarray, " n"]:
        return cdist(self.values[row : row + 1], self.values)[0]


def _rounded(radii: np.ndarray) -> np.ndarray:
    """Round to 9 decimals of the radius, so that lengths on a lattice that differ by rounding alone are equal."""
    return np.round(radii, 9)


def maxmin(points: Given, count: int, seed: int = 0) -> tuple[Int[np.ndarray, " count"], float]:
    """Return the indices of landmarks, and their covering radius (de Silva and Carlsson, SPBG 2004).

    Parameters
    ----------
    points : (n, d) or Representation
        The cloud.
    count : int
        Number of landmarks; fewer are returned if there are fewer distinct points.
    seed : int
        Seed of the first landmark, which is drawn at random. Each next landmark is the point farthest from all before
        it.
    """
    cloud = _Cloud.of(points)
    chosen, covering = cloud.walk(count, seed)
    return cloud.indices[chosen], covering * cloud.unit


@dataclass(frozen=True)
class Cost:
    """The largest cost of a request, roughly.

    Attributes
    ----------
    simplices : float
        Number of simplices.
    seconds : float
        Time.
    bytes : float
        Memory.
    """

    simplices: float
    seconds: float
    bytes: float


def estimate(points: Given, max_dim: int = 2, landmarks: int = 300, seed: int = 0) -> Cost:
    """Estimate the cost of `persistence` over one field, without computing it.

    Counted are the simplices of dimension 2 to max_dim + 1 (the edges for max_dim 0) at the scale where the complex
    becomes a cone, after the collapse of edges that gudhi makes for max_dim 2 and above. They are counted by growing
    random cliques (Knuth, Math. Comp. 29 (1975) 122). The price of a simplex was measured on spheres, tori and noise,
    on one idle core: 40 ns and 5 bytes to H1, 20 ns and 1.2 bytes to H2, and 15 ns and 0.18 bytes times the square of
    the dimension above. Most shapes take less, down to a tenth.

    Parameters
    ----------
    points, max_dim, landmarks, seed
        As for `persistence`.
    """
    max_dim, cloud = arrays.whole(max_dim, "max_dim", 0), _Cloud.of(points)
    chosen, _ = cloud.walk(landmarks, seed)
    cost = _cost(squareform(pdist(cloud.values[chosen])), max_dim)
    return Cost(cost.simplices, cost.seconds + START, cost.bytes)


def _cost(distances: Float[np.ndarray, "n n"], max_dim: int) -> Cost:
    n = len(distances)
    near = (distances <= distances.max(axis=1).min()) & ~np.eye(n, dtype=bool)
    top = min(max_dim, max(0, n - 3))  # as gudhi does
    if top > 1:
        near = _collapsed(distances, near)
    growing = np.ones((CLIQUES, n), dtype=bool)
    weight, counts = np.ones(CLIQUES), [0.0]
    generator = rng.stream(0, "topology.estimate")
    while len(counts) < top + 3 and weight.any():
        weight = weight * growing.sum(axis=1) / len(counts)
        counts.append(float(weight.mean()))
        growing &= near[(generator.random((CLIQUES, n)) * growing).argmax(axis=1)]
    return _priced(sum(counts[min(3, top + 2) :]), min(top, len(counts) - 2))  # cliques may end before


def _priced(simplices: float, dim: int) -> Cost:
    """Return the cost of a number of simplices of dimension dim + 1 at most."""
    if dim < 3:
        return Cost(simplices, (20e-9 if dim == 2 else 40e-9) * simplices, (1.2 if dim == 2 else 5.0) * simplices)
    return Cost(simplices, 15e-9 * dim**2 * simplices, 0.18 * dim**2 * simplices)


def _most(n: int, max_dim: int) -> Cost:
    """Return the cost if every set of landmarks is a simplex."""
    top = min(max_dim, max(0, n - 3))
    return _priced(float(sum(math.comb(n, corners) for corners in range(min(3, top + 2), top + 3))), top)


def _collapsed(distances: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return the graph of near points without the edges that gudhi drops because they change no homology."""
    from gudhi.flag_filtration.edge_collapse import reduce_graph
    from scipy.sparse import coo_matrix

    rows, columns = np.nonzero(np.tril(near))
    left = reduce_graph(coo_matrix((distances[rows, columns], (rows, columns)), shape=distances.shape), 1)
    found = np.zeros_like(near)
    found[left.row, left.col] = True
    return found | found.T


def persistence(
    points: Given,
    max_dim: int = 2,
    landmarks: int = 300,
    seed: int = 0,
    field: int = 2,
    *,
    memory: int = MEMORY,
    seconds: float = SECONDS,
) -> Persistence:
    """Compute persistent homology of the Vietoris-Rips complex of the points, in H_0 .. H_max_dim.

    The result does not depend on the order of the points or their repetition, nor on the seed if all distinct points
    are landmarks.

    Parameters
    ----------
    points : (n, d) or Representation
        The cloud.
    max_dim : int
        Highest dimension of homology.
    landmarks : int
        Largest number of points used; all distinct points if there are no more.
    seed : int
        Seed of the first landmark.
    field : int
        Number of elements of the field of coefficients, a prime.
    memory : int
        Limit on memory, in bytes.
    seconds : float
        Limit on time.

    Raises
    ------
    RequestError
        For points that are not finite or all equal, and if a limit is reached or certain to be.
    """
    return over_fields(points, (field,), max_dim, landmarks, seed, memory=memory, seconds=seconds)[field]


def over_fields(
    points: Given,
    fields: Sequence[int] = FIELDS,
    max_dim: int = 2,
    landmarks: int = 300,
    seed: int = 0,
    *,
    memory: int = MEMORY,
    seconds: float = SECONDS,
) -> dict[int, Persistence]:
    """Compute persistent homology over several fields of coefficients, which share the landmarks.

    The fields disagree if the shape has torsion, as a surface that closes with a twist has (a Klein bottle). The null
    has none, so it is computed over the first field alone.

    Parameters
    ----------
    points, max_dim, landmarks, seed, memory, seconds
        As for `persistence`; the limits are for all fields together.
    fields : sequence of int
        Different primes.

    Returns
    -------
    dict of int to Persistence
        The result for each field.

    Raises
    ------
    RequestError
        As `persistence` does.
    """
    return over_landmarks(points, (seed,), fields, max_dim, landmarks, memory=memory, seconds=seconds)[0]


def over_landmarks(
    points: Given,
    seeds: Sequence[int],
    fields: Sequence[int] = FIELDS,
    max_dim: int = 2,
    landmarks: int = 300,
    *,
    memory: int = MEMORY,
    seconds: float = SECONDS,
) -> list[dict[int, Persistence]]:
    """Compute persistent homology for several choices of landmarks, in one child process.

    Parameters
    ----------
    points, fields, max_dim, landmarks, memory
        As for `over_fields`.
    seeds : sequence of int
        A seed of the first landmark for each choice.
    seconds : float
        Limit on the time of one choice.

    Returns
    -------
    list of dict of int to Persistence
        For each seed what `over_fields` returns.

    Raises
    ------
    RequestError
        As `persistence` does.
    """
    began = time.perf_counter()
    max_dim, fields = arrays.whole(max_dim, "max_dim", 0), tuple(arrays.whole(order, "field", 2) for order in fields)
    for order in fields:
        if order > LARGEST_FIELD or any(order % q == 0 for q in range(2, math.isqrt(order) + 1)):
            raise RequestError(f"field: got {order}, needs a prime number of at most {LARGEST_FIELD}")
    if not fields or not seeds:
        raise RequestError(f"{'seeds' if fields else 'fields'}: got none, needs at least one")
    if not arrays.real(seconds) > 0:
        raise RequestError(f"seconds: got {quoted(seconds)}, needs a number above 0")
    if not arrays.real(memory) > 0:
        raise RequestError(f"memory: got {quoted(memory)}, needs a number of bytes above 0")
    cloud = _Cloud.of(points)
    choices = [_Choice.of(cloud, landmarks, seed) for seed in seeds]
    for one in choices:
        one.check_cost(max_dim, len(fields), memory, seconds)
    clouds = {f"{k} {name}": given for k, one in enumerate(choices) for name, given in one.clouds(max_dim).items()}
    bars = _in_child(clouds, max_dim, fields, memory, len(choices) * seconds)
    took = (time.perf_counter() - began) / len(choices)
    return [one.persistence(cloud, f"{k} ", bars, max_dim, fields, took) for k, one in enumerate(choices)]


@dataclass(frozen=True)
class _Choice:
    """A choice of landmarks of a cloud.

    Attributes
    ----------
    chosen : (m,)
        Their indices in the cloud.
    covering : float
        Their covering radius, in units of the cloud.
    used : (m, d)
        The points in the order of the cloud, centred.
    distances : (m, m)
        Their distances.
    """

    chosen: Int[np.ndarray, " m"]
    covering: float
    used: Float[np.ndarray, "m d"]
    distances: Float[np.ndarray, "m m"]

    @classmethod
    def of(cls, cloud: "_Cloud", landmarks: int, seed: int) -> "_Choice":
        chosen, covering = cloud.walk(landmarks, seed)
        used = cloud.values[np.sort(chosen)]
        used = used - used.mean(axis=0)
        return cls(chosen, covering, used, squareform(pdist(used)))

    def check_cost(self, max_dim: int, fields: int, memory: int, seconds: float) -> None:
        """Raise RequestError if persistence over a number of fields leaves no hope of staying within the limits."""
        most = _most(len(self.used), max_dim)
        if fields * BUSY * most.seconds > seconds or most.bytes > FEWER * memory:
            cost = _cost(self.distances, max_dim)
            _check_cost(replace(cost, seconds=fields * cost.seconds), len(self.used), max_dim, memory, seconds)

    @cached_property
    def axes(self) -> tuple[Float[np.ndarray, "m r"], Float[np.ndarray, " r"]]:
        """Coordinates on the principal axes, of norm 1, and the norms."""
        left, size, _ = np.linalg.svd(self.used, full_matrices=False)
        return left, size

    def clouds(self, max_dim: int) -> dict[str, np.ndarray]:
        """Return distances: of the points, and of clouds without a shape, whose axes are permuted."""
        left, size = self.axes
        seconds = _most(len(self.used), max_dim).seconds
        copies = max(1, int(min(COPIES, NULL_POINTS // len(self.used), NULL_SECONDS / max(seconds, 1e-9))))
        null = (rng.stream(0, "topology.null", k).permuted(left * size, axis=0) for k in range(copies))
        return {"points": self.distances} | {f"null {k}": squareform(pdist(one)) for k, one in enumerate(null)}

    def persistence(
        self, cloud: "_Cloud", name: str, bars: Mapping[str, np.ndarray], max_dim: int, fields: Sequence[int],
        took: float,
    ) -> dict[int, Persistence]:  # fmt: skip
        """Return the result for each field, from all bars, whose names begin with that of this choice."""
        own = {key.removeprefix(name): value * cloud.unit for key, value in bars.items() if key.startswith(name)}
        copies = len({key.split(".")[0] for key in own}) - 1
        dims, first, (_, size) = range(max_dim + 1), fields[0], self.axes
        null = tuple(np.concatenate([own[f"null {k}.{first}.{dim}"] for k in range(copies)]) for dim in dims)
        radius = float(np.sqrt(np.mean(np.sum(cloud.values**2, axis=1)))) * cloud.unit
        rank, joined = int(np.sum(size > 1e-6 * size[0])), _joined(self.distances)
        return {
            order: Persistence(
                tuple(own[f"points.{order}.{dim}"] for dim in dims),
                cloud.indices[self.chosen], self.covering * cloud.unit, radius, took, null, rank, joined,
            )
            for order in fields
        }  # fmt: skip


def _check_cost(cost: Cost, landmarks: int, max_dim: int, memory: int, seconds: float) -> None:
    """Raise RequestError if the estimate leaves no hope of staying within the limits."""
    if BUSY * cost.seconds > seconds:
        limit = f"{seconds:g} s"
    elif cost.bytes > FEWER * memory:
        limit = f"{memory / 2**30:.2g} GiB of memory"
    else:
        return
    raise RequestError(
        f"{_request(landmarks, max_dim)}: got to the limit of {limit}, {NEEDS}; before it began, it was estimated to "
        f"take {cost.seconds:.2g} s on an idle machine and {cost.bytes / 2**30:.2g} GiB"
    )


def _request(landmarks: int, max_dim: int) -> str:
    return f"persistence of {landmarks} landmarks to H{max_dim}"


def _joined(distances: np.ndarray) -> Int[np.ndarray, " bars"]:
    """Return for each merger of two pieces, the last first, the number of points in the smaller."""
    tree = linkage(squareform(distances, checks=False), "single")
    sizes = np.concatenate([np.ones(len(distances)), tree[:, 3]])
    return sizes[tree[:, :2].astype(int)].min(axis=1).astype(int)[::-1]


def _in_child(
    clouds: dict[str, np.ndarray], max_dim: int, fields: Sequence[int], memory: int, seconds: float
) -> dict[str, np.ndarray]:
    """Run `rips.diagrams` in a process of its own."""
    buffer = io.BytesIO()
    np.savez(buffer, **clouds)  # pyright: ignore[reportArgumentType]
    module = ["-P", "-m", "hyperfactor.measures.rips"]  # -P: files of the current folder are no modules
    command = [sys.executable, *module, str(max_dim), str(int(min(memory, 2**60))), *map(str, fields)]
    what = _request(len(next(iter(clouds.values()))), max_dim)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            command,
            input=buffer.getvalue(),
            capture_output=True,
            env={**os.environ, **threads},
            timeout=None if seconds == math.inf else seconds,
        )
    except subprocess.TimeoutExpired:
        raise RequestError(f"{what}: got to the limit of {seconds:g} s, {NEEDS}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode < 0 or (said and ("MemoryError" in said[-1] or "bad_alloc" in said[-1])):
            raise RequestError(f"{what}: got to the limit of {memory / 2**30:.2g} GiB of memory, {NEEDS}")
        raise RuntimeError(f"{what}: {said[-1] if said else done.returncode}")
    with np.load(io.BytesIO(done.stdout)) as file:
        return {name: file[name] for name in file.files}


def bottleneck(a: Persistence, b: Persistence) -> tuple[float, ...]:
    """Return the bottleneck distance of two shapes in each dimension, with bars in units of each cloud's radius.

    It is the smallest largest change of a birth or death over all ways to match the bars of one with those of the other
    or with bars of length 0 (Cohen-Steiner et al., 2007); computed by gudhi.
    """
    import gudhi

    dims = min(len(a.diagrams), len(b.diagrams))
    return tuple(
        float(gudhi.bottleneck_distance(a.diagrams[dim] / a.radius, b.diagrams[dim] / b.radius)) for dim in range(dims)
    )
