"""The shape of a cloud of points: persistent homology, Betti numbers, distance to a reference.

The Vietoris-Rips complex at scale r joins points at most r apart.  As r grows, pieces (H0), loops (H1)
and hollows (H2) are born and die; a bar is such a life, and a long one is a feature of the shape.  A
torus has Betti numbers (1, 2, 1), a sphere (1, 0, 1).  Homology is taken over the field of `field`
elements: over 2 a Klein bottle is like a torus, over 3 it has (1, 1, 0).

Computed by gudhi on *landmarks*, the points that a maxmin walk picks, of which each is the farthest
from those before it, in a child process with a limit on memory and time.
"""

import io
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

from hyperfactor import rng
from hyperfactor.errors import RequestError
from hyperfactor.measures import arrays

Points = Float[np.ndarray, "n d"]
GAP = 1.5  # how many times longer the last bar counted is than the next
SIGNIFICANCE = 0.001  # the largest p-value of a bar that counts
ENOUGH = 10  # bars, to know what those of noise are like
MEMORY, SECONDS = 2 * 2**30, 600.0  # limits of the child process


@dataclass(frozen=True)
class Persistence:
    """What `persistence` found.

    diagrams[k]        births and deaths in H_k, shape (bars, 2); one H0 bar never dies
    landmarks          indices of the points used, in the order of the walk
    covering_radius    the farthest that a point is from its nearest landmark
    radius             root mean square distance of the points from their mean
    seconds            that it took
    null[k]            the diagrams of the null: the landmarks, each principal coordinate permuted by itself
    """

    diagrams: tuple[np.ndarray, ...]
    landmarks: np.ndarray
    covering_radius: float
    radius: float
    seconds: float
    null: tuple[np.ndarray, ...]

    def lifetimes(self, dim: int) -> Float[np.ndarray, " bars"]:
        """Death - birth of the bars that die, longest first."""
        return np.sort(_finite(self.diagrams[dim]) @ [-1, 1])[::-1]

    def p_values(self, dim: int) -> Float[np.ndarray, " bars"]:
        """For dim >= 1, how likely noise is to have a bar of so large a ratio of death to birth, in the
        order of `lifetimes`.

        With l = ln ln(death / birth), bars of noise follow one law whatever the cloud: l is left-skewed
        Gumbel but for a shift (Bobrowski and Skraba, Sci. Rep. 13 (2023) 11954), so p = exp(-exp(l - c)).
        The shift c puts the median bar of the null at p = 1/2; where the null has fewer than ENOUGH bars,
        the median is over its bars and those here.
        """
        bars = _finite(self.diagrams[dim])
        bars = bars[np.argsort(bars @ [1, -1], kind="stable")]
        if not len(bars):
            return np.zeros(0)
        spread, noise = _loglog(bars), _loglog(_finite(self.null[dim]))
        if len(noise) < ENOUGH:
            noise = np.concatenate([noise, spread])
        return np.exp(-np.exp(spread - np.median(noise)) * np.log(2))

    def betti(self) -> tuple[int, ...]:
        """The number of features in each dimension, by the gap rule.

        Bars are counted down from the longest to a gap: a bar at least GAP times as long as the next.  In H1
        and above only bars of a p-value of at most SIGNIFICANCE may count, and the last gap among them
        decides, so that a short loop beside a long one counts as well.  In H0, where the null says nothing,
        the widest gap within the longer half decides, and the bar that never dies is added.
        """
        return tuple(self._rule(dim)[0] for dim in range(len(self.diagrams)))

    def clarity(self) -> tuple[float, ...]:
        """For each dimension how many times longer the last bar counted is than the next; NaN where none
        counts.  The longest bar of the null stands for a next one where there is none."""
        return tuple(self._rule(dim)[1] for dim in range(len(self.diagrams)))

    def _rule(self, dim: int) -> tuple[int, float]:
        lifetimes = self.lifetimes(dim)
        if dim == 0:
            allowed, endless = len(lifetimes) // 2, int(np.isinf(self.diagrams[0][:, 1]).sum())
        else:
            allowed = int(np.sum(self.p_values(dim) <= SIGNIFICANCE)) if len(lifetimes) else 0
            endless = 0
        floor = max(_finite(self.null[dim]) @ [-1, 1], default=0.0)
        after = np.append(lifetimes, min(floor, lifetimes.min(initial=np.inf)))
        if allowed == 0:
            return endless, math.nan
        with np.errstate(divide="ignore"):
            ratios = lifetimes[:allowed] / after[1 : allowed + 1]
        last = int(ratios.argmax()) if dim == 0 else int(np.flatnonzero(ratios >= GAP).max(initial=0))
        return (last + 1 + endless, float(ratios[last])) if ratios[last] >= GAP else (endless, math.nan)

    def to_json(self) -> dict[str, Any]:
        """Betti numbers, clarity, and the five longest bars of each dimension with their p-values."""
        return {
            "betti": list(self.betti()),
            "clarity": [None if math.isnan(ratio) else ratio for ratio in self.clarity()],
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


def maxmin(points: Points, count: int, seed: int = 0) -> tuple[Int[np.ndarray, " count"], float]:
    """Indices of `count` landmarks, and the covering radius.

    The first is drawn at random, each next one is the point farthest from all before it; fewer are
    returned where the points run out (de Silva and Carlsson, SPBG 2004).
    """
    points = arrays.points(points)
    if count < 2:
        raise RequestError(f"landmarks: got {count}, needs an integer of at least 2")
    chosen = [int(rng.stream(seed, "topology.landmarks").integers(len(points)))]
    nearest = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < count and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen), float(nearest.max())


@dataclass(frozen=True)
class Cost:
    """What a request may take at most, roughly: simplices looked at, seconds, bytes of memory."""

    simplices: float
    seconds: float
    bytes: float


def estimate(points: Points, max_dim: int = 2, landmarks: int = 300, seed: int = 0) -> Cost:
    """The cost of `persistence`, without doing it.

    Counted are the simplices of dimension max_dim + 1 at the scale where the complex becomes a cone, from
    20,000 random ones.  The seconds (36 ns each) and bytes (3.2 each) were measured on a sphere, the
    hardest shape met; noise and other shapes take a tenth of it or less.
    """
    points = arrays.points(points)
    chosen, _ = maxmin(points, landmarks, seed)
    distances = squareform(pdist(points[chosen]))
    n, corners = len(chosen), max_dim + 2
    scale = distances.max(axis=1).min()
    draws = rng.stream(seed, "topology.estimate").random((20_000, n)).argpartition(min(corners, n) - 1, axis=1)
    some = draws[:, :corners]
    inside = (distances[some[:, :, None], some[:, None, :]] <= scale).all(axis=(1, 2)).mean()
    simplices = math.comb(n, corners) * float(inside)
    return Cost(simplices, 36e-9 * simplices, 3.2 * simplices)


def persistence(
    points: Points,
    max_dim: int = 2,
    landmarks: int = 300,
    seed: int = 0,
    field: int = 2,
    *,
    memory: int = MEMORY,
    seconds: float = SECONDS,
) -> Persistence:
    """Persistent homology of the Vietoris-Rips complex of the points, in H_0 .. H_max_dim.

    landmarks: points used, at most; all where there are no more.  seed: of the first landmark and of the
    null.  field: a prime number.  memory, seconds: limits, in bytes and seconds.

    Raises RequestError for points that are not finite or all equal, and where a limit is reached.
    """
    began = time.perf_counter()
    points = arrays.points(points)
    if max_dim < 0:
        raise RequestError(f"max_dim: got {max_dim}, needs an integer of at least 0")
    if field < 2 or any(field % q == 0 for q in range(2, math.isqrt(field) + 1)):
        raise RequestError(f"field: got {field}, needs a prime number")
    chosen, covering_radius = maxmin(points, landmarks, seed)
    centred = points - points.mean(axis=0)
    cloud = points[chosen] - points[chosen].mean(axis=0)
    permuted = _permuted(cloud, seed)
    clouds = {"points": squareform(pdist(cloud)), "null": squareform(pdist(permuted))}
    found = _in_child(clouds, max_dim, field, memory, seconds)
    diagrams = {name: tuple(found[f"{name}.{dim}"] for dim in range(max_dim + 1)) for name in clouds}
    radius = float(np.sqrt(np.mean(np.sum(centred**2, axis=1))))
    took = time.perf_counter() - began
    return Persistence(diagrams["points"], chosen, covering_radius, radius, took, diagrams["null"])


def _permuted(cloud: Points, seed: int) -> Points:
    """The cloud in its principal coordinates, each permuted by itself."""
    left, size, _ = np.linalg.svd(cloud, full_matrices=False)
    return rng.stream(seed, "topology.null").permuted(left * size, axis=0)


def _in_child(
    clouds: dict[str, np.ndarray], max_dim: int, field: int, memory: int, seconds: float
) -> dict[str, np.ndarray]:
    buffer = io.BytesIO()
    np.savez(buffer, **clouds)  # pyright: ignore[reportArgumentType]
    command = [sys.executable, "-m", "hyperfactor.measures.rips", str(max_dim), str(field), str(int(memory))]
    what = f"persistence of {len(clouds['points'])} landmarks to H{max_dim}"
    needs = "needs fewer landmarks, a lower max_dim or a higher limit"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            command, input=buffer.getvalue(), capture_output=True, timeout=seconds, env={**os.environ, **threads}
        )
    except subprocess.TimeoutExpired:
        raise RequestError(f"{what}: got to the limit of {seconds:g} s, {needs}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if done.returncode < 0 or (said and ("MemoryError" in said[-1] or "bad_alloc" in said[-1])):
            raise RequestError(f"{what}: got to the limit of {memory / 2**30:.2g} GiB of memory, {needs}")
        raise RuntimeError(f"{what}: {said[-1] if said else done.returncode}")
    with np.load(io.BytesIO(done.stdout)) as file:
        return {name: file[name] for name in file.files}


def bottleneck(a: Persistence, b: Persistence) -> tuple[float, ...]:
    """The bottleneck distance of the two in each dimension, bars in units of each cloud's radius.

    It is the least, over all ways to match the bars of one with those of the other or with bars of
    length 0, of the largest change of a birth or death (Cohen-Steiner et al., 2007); by gudhi.
    """
    import gudhi

    dims = min(len(a.diagrams), len(b.diagrams))
    return tuple(
        float(gudhi.bottleneck_distance(a.diagrams[dim] / a.radius, b.diagrams[dim] / b.radius)) for dim in range(dims)
    )
