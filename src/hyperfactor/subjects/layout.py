"""How the factors are laid out in one representation: every measure that it allows.

A measure that the representation does not allow is named, with the reason. With several readings of a representation
(see `measures.readings`), some measures are corrected for noise. The others are taken of the mean of the readings, in
which noise is smaller but not gone:

    corrected       additivity, cosines of steps, comparison, participation ratio
    of the mean     topology, intrinsic dimension, spectrum, principal axes
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Float

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.measures import geometry
from hyperfactor.measures.additivity import LeastSquares, least_squares_additivity
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.representation import Representation
from hyperfactor.measures.topology import Persistence, over_fields
from hyperfactor.subjects.sampled import Sampled

Found = TypeVar("Found")
AXES = 15  # entries of the spectrum in JSON
COSINES, COMPARISON = "displacement cosines", "comparison with ideal shapes"  # their names in `missing`
STEPLESS = "not measured: too few steps that have a length"
UNTOLD = "cannot be told from so few points"


class Row(NamedTuple):
    """One line of a table: a measure, its value, and the reason if it has none."""

    measure: str
    value: float | int | None
    reason: str = ""

    @property
    def number(self) -> float | None:
        """The value as a float; None if there is none."""
        return None if self.value is None else float(self.value)

    @property
    def text(self) -> str:
        """The value with three decimals, a count as a whole number; or the reason."""
        if self.value is None:
            return self.reason
        return str(self.value) if isinstance(self.value, int) else f"{self.value:z.3f}"


@dataclass(frozen=True)
class Layout:
    """What was found of one representation.

    A measure that is None was not taken, for the reason that `missing` gives.

    Attributes
    ----------
    names : tuple of str
        The factors.
    shape : tuple of int
        The number of values of each factor, and the length d of a vector: (n_1, ..., n_k, d).
    conditions : int
        The number of combinations of factor values that were measured.
    rows : tuple of int
        The fewest and the most samples of one combination.
    additivity : Additivity or LeastSquares or None
        Shares of variance; by least squares if combinations are missing.
    cosines : DisplacementCosines or None
        See `measures.geometry.displacement_cosines`.
    comparison : Comparison or None
        See `measures.geometry.compare`.
    participation_ratio, intrinsic_dimension : float or None
        See `measures.dimension`; the intrinsic dimension is that of `levina_bickel`.
    spectrum : (r,) or None
        Shares of the variance along the principal axes.
    coordinates : (conditions, 3) or None
        Coordinates along the first three principal axes, or along all if there are fewer.
    topology : dict of int to Persistence or None
        Persistent homology over the fields of 2 and of 3 elements. The two disagree on a surface that closes with a
        twist: a Klein bottle has the Betti numbers (1, 2, 1) of a torus over 2, and (1, 1, 0) over 3.
    missing : dict of str to str
        The reason for each measure that was not taken.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    conditions: int
    rows: tuple[int, int]
    additivity: geometry.Additivity | LeastSquares | None
    cosines: geometry.DisplacementCosines | None
    comparison: geometry.Comparison | None
    participation_ratio: float | None
    intrinsic_dimension: float | None
    spectrum: Float[np.ndarray, " r"] | None
    coordinates: Float[np.ndarray, "n c"] | None
    topology: dict[int, Persistence] | None
    missing: dict[str, str]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each factor."""
        return self.shape[:-1]

    @property
    def noise(self) -> float | None:
        """The share of a reading's variance that is noise; None for a single reading."""
        return self.additivity.noise if isinstance(self.additivity, geometry.Additivity) else None

    def table(self) -> pl.DataFrame:
        """One row a measure: its name, its value, and the reason if it has no value."""
        rows = [(row.measure, row.number, row.reason if row.value is None else "") for row in self.table_rows()]
        return pl.DataFrame(rows, schema={"measure": pl.String, "value": pl.Float64, "reason": pl.String}, orient="row")

    def printed(self) -> pl.DataFrame:
        """The table as text: the value, or the reason."""
        rows = [(row.measure, row.text) for row in self.table_rows()]
        return pl.DataFrame(rows, schema={"measure": pl.String, "value": pl.String}, orient="row")

    def table_rows(self) -> list[Row]:
        """The rows of `table`, in order."""
        rows = [*self._variance(), *self._steps()]
        for measure in ("participation ratio", "intrinsic dimension"):
            if (value := getattr(self, measure.replace(" ", "_"))) is not None:
                rows.append(Row(measure, value))
        if self.spectrum is not None:
            rows.append(Row("variance along 4 axes", float(self.spectrum[:4].sum())))
        rows += [*self._homology(), *self._distances()]
        return rows + [Row(measure, None, f"not measured: {reason}") for measure, reason in self.missing.items()]

    def _variance(self) -> list[Row]:
        found = self.additivity
        if found is None:
            return []
        why = "not estimable: " + "; ".join(found.inestimable) if isinstance(found, LeastSquares) else ""
        rows = [Row(f"variance explained by {name}", v, why) for name, v in zip(self.names, found.main, strict=True)]
        if isinstance(found, LeastSquares):
            rows.append(Row("variance of factors that go together", found.shared))
        rows.append(Row("variance explained only together", found.interaction, why))
        return rows if self.noise is None else [*rows, Row("variance of a reading that is noise", self.noise)]

    def _steps(self) -> list[Row]:
        """The rows of the cosines of steps."""
        if (cosines := self._cosines()) is None:
            return []
        several = len(self.names) > 1
        what = "cosine" if self.noise is None else "mean cosine"
        rows = []
        if several:
            rows.append((f"steps of two factors: mean magnitude of the {what}", cosines["cross"]["mean_magnitude"]))
        for k, name in enumerate(self.names):
            if several:
                rows.append((f"steps of {name}, another factor differs: mean cosine", cosines["across"][k]["mean"]))
            if self.noise is not None:
                rows.append((f"   the same steps of {name} in two readings (ceiling)", cosines["ceiling"][k]))
            magnitude = cosines["within"][k]["mean_magnitude"]
            rows.append((f"steps of {name} at two values: mean magnitude of the {what}", magnitude))
        return [Row(measure, value, STEPLESS) for measure, value in rows]

    def _homology(self) -> list[Row]:
        rows = []
        for order, shape in (self.topology or {}).items():
            found = shape.to_json()
            over = "" if order == 2 else f" over the field of {order}"
            for dim, (count, clear) in enumerate(zip(found["betti"], found["clarity"], strict=True)):
                if order == 2 or dim > 0:  # pieces are the same over every field
                    rows.append(Row(f"Betti number {dim}{over}", count, UNTOLD))
                if order == 2 and clear is not None:
                    rows.append(Row(f"   how clear (ratio to the next bar), H{dim}", clear))
        return rows

    def _distances(self) -> list[Row]:
        if (found := self.comparison) is None:
            return []
        nearest = {found.nearest: " (nearest)"}
        rows = [Row(f"distance to the {shape}{nearest.get(shape, '')}", total) for shape, total in found.total.items()]
        return rows + [Row(f"   left out of the distances: {name}", None, STEPLESS) for name in found.missing]

    def _cosines(self) -> dict[str, Any] | None:
        """The cosines in JSON.

        A single cosine of several readings has noise, which makes its magnitude too large. The magnitudes are then
        those of the mean cosines that `compare` takes.
        """
        if self.cosines is None:
            return None
        cosines = self.cosines.to_json()
        if self.noise is not None:
            pairs = [f"{p}-on-{q} parallelism" for p, q in combinations(self.names, 2)]
            cosines["cross"]["mean_magnitude"] = self._magnitude(*pairs)
            for name, across, within in zip(self.names, cosines["across"], cosines["within"], strict=True):
                across["mean_magnitude"] = self._magnitude(f"{name}-on-{name} parallelism")
                within["mean_magnitude"] = self._magnitude(f"{name} within")
        return cosines

    def _magnitude(self, *statistics: str) -> float | None:
        """The mean magnitude of the values of the comparison's statistics; None if there are none."""
        values = self.comparison.statistics if self.comparison else {}
        found = [values[name] for name in statistics if name in values]
        return float(np.abs(np.concatenate(found)).mean()) if found else None

    def to_json(self) -> dict[str, Any]:
        topology = {order: shape.to_json() for order, shape in (self.topology or {}).items()}
        return {
            "shape": list(self.shape),
            "factors": list(self.names),
            "sizes": list(self.sizes),
            "conditions": self.conditions,
            "rows_of_a_condition": list(self.rows),
            "additivity": self.additivity and self.additivity.to_json(),
            "noise": self.noise,
            "displacement_cosines": self._cosines(),
            "comparison": self.comparison and self.comparison.to_json(),
            "participation_ratio": self.participation_ratio,
            "intrinsic_dimension": self.intrinsic_dimension,
            "spectrum": None if self.spectrum is None else self.spectrum[:AXES].tolist(),
            "topology": topology.get(2),
            "topology_3": topology.get(3),
            "not_measured": self.missing,
        }


def laid_out(
    given: Representation | Sampled, *, landmarks: int = 300, max_dim: int = 2, width: float = 1.0, seed: int = 0
) -> Layout:
    """Take every measure that a representation allows.

    Parameters
    ----------
    given : Representation or Sampled
        A complete lattice, or samples. Of samples the mean of each condition is measured. If all conditions have the
        same number of samples, two or more, these are readings, and measures are corrected for noise.
    landmarks : int
        Number of points for persistent homology.
    max_dim : int
        Highest dimension of homology.
    width : float
        Width of the tuning curves of the ideal shapes, in lattice steps.
    seed : int
        Seed of the landmarks, of the bootstrap, and of the curves and steps that stand for all.

    Raises
    ------
    RequestError
        For a number of landmarks below 2, a dimension below 0, or a seed out of range.
    """
    landmarks, max_dim = arrays.whole(landmarks, "landmarks", 2), arrays.whole(max_dim, "max_dim", 0)
    seed, missing = rng.check_seed(seed), {}
    lattice = attempt(missing, COSINES, given.complete) if isinstance(given, Sampled) else given
    if lattice is None:
        missing[COMPARISON] = missing[COSINES]
    points = given.means if isinstance(given, Sampled) else given.points

    def along(measure: str, take: Callable[[Representation], Found]) -> Found | None:
        return None if lattice is None else attempt(missing, measure, lambda R=lattice: take(R))

    additive = (
        attempt(missing, "additivity", lambda: least_squares_additivity(given.means, given.conditions, given.names))
        if lattice is None and isinstance(given, Sampled)
        else along("additivity", geometry.additivity)
    )
    counts = given.counts if isinstance(given, Sampled) else [len(given.readings)]
    rows = (int(min(counts)), int(max(counts)))
    return Layout(
        given.names, (*given.sizes, points.shape[1]), len(points), rows, additive,
        along(COSINES, lambda R: geometry.displacement_cosines(R, seed=seed)),
        along(COMPARISON, lambda R: geometry.compare(R, width=width, seed=seed)),
        attempt(missing, "participation ratio", lambda: participation_ratio(points if lattice is None else lattice)),
        attempt(missing, "intrinsic dimension", lambda: levina_bickel(points)),
        attempt(missing, "spectrum", lambda: spectrum(points)),
        attempt(missing, "principal axes", lambda: pca(points, min(3, *points.shape)).coordinates),
        attempt(missing, "topology", lambda: over_fields(points, max_dim=max_dim, landmarks=landmarks, seed=seed)),
        missing,
    )  # fmt: skip


def tuning_width(subject: Any, points: Float[np.ndarray, "n k"]) -> float:
    """Return the width of a run's pictures (`Family.widths`) in steps between points, along the first that varies.

    It is 1 for points that are all equal, for other subjects, and for families that have no such width.

    Parameters
    ----------
    subject : Run, or any other
        The subject.
    points : (n, k)
        The points at which it is read.
    """
    picture = getattr(getattr(getattr(subject, "spec", None), "data", None), "picture", None)
    varied = [k for k in range(points.shape[1]) if np.ptp(points[:, k])]
    widths = getattr(picture, "widths", None)
    if widths is None or not varied:
        return 1.0
    return float(widths[varied[0]] / np.diff(np.unique(points[:, varied[0]]))[0])


def attempt(missing: dict[str, str], measure: str, take: Callable[[], Found]) -> Found | None:
    """Take a measure; if it is refused, return None, and keep the reason.

    Parameters
    ----------
    missing : dict of str to str
        Reasons by measure; the new reason is added to it.
    measure : str
        Name of the measure.
    take : function
        Takes the measure.
    """
    try:
        return take()
    except RequestError as error:
        missing[measure] = str(error)
        return None
