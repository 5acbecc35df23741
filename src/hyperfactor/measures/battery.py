"""The whole battery of measures on one representation: of a run's layer, or an array of the user's own.

Of several readings of a representation (see `readings`) some measures are corrected for noise, and the others
are those of the mean of the readings, in which noise is smaller but not gone:

    corrected       additivity, cosines of steps, comparison, participation ratio
    of the mean     topology, intrinsic dimension, spectrum, principal axes
"""

import time
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from hyperfactor.errors import RequestError
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.geometry import (
    Additivity,
    Comparison,
    DisplacementCosines,
    additivity,
    compare,
    displacement_cosines,
)
from hyperfactor.measures.representation import Given, Periodic, Representation
from hyperfactor.measures.topology import Persistence, over_fields

STEPLESS = "not measured: too few steps that have a length"


@dataclass(frozen=True)
class Battery:
    """What was found of R.

    A single cosine of several readings has noise, which makes its magnitude too large.  Tables and JSON then have the
    magnitudes of the mean cosines that `compare` takes.

    Topology is measured over the fields of 2 and of 3 elements.  They disagree on a surface that closes with a twist: a
    Klein bottle has the Betti numbers (1, 2, 1) of a torus over 2, and (1, 1, 0) over 3.

    Parameters
    ----------
    shape
        Of R, (n_1, ..., n_k, d).
    names
        Of the factors.
    additivity, cosines, comparison, participation_ratio, spectrum
        What the measures of these names found.
    intrinsic_dimension
        By `levina_bickel`; NaN where it cannot be measured: for fewer than 21 distinct points, or ones equally far
        apart.
    persistence, persistence_3
        Over the fields of 2 and of 3 elements.
    coordinates
        Along the first 3 principal axes, or fewer, (n_1, ..., n_k, 3).
    seconds
        That it took.
    """

    shape: tuple[int, ...]
    names: tuple[str, ...]
    additivity: Additivity
    cosines: DisplacementCosines
    comparison: Comparison
    participation_ratio: float
    intrinsic_dimension: float
    spectrum: np.ndarray
    persistence: Persistence
    persistence_3: Persistence
    coordinates: np.ndarray
    seconds: float

    @property
    def noise(self) -> float | None:
        """The share of a reading's variance that is noise; None for a single array."""
        return self.additivity.noise

    def table(self) -> pl.DataFrame:
        """A row a measure: what it is, its value; null where it has none."""
        rows = [(name, None if value is None else float(value)) for name, value, _ in self._rows()]
        return pl.DataFrame(rows, schema={"measure": pl.String, "value": pl.Float64}, orient="row")

    def printed(self) -> pl.DataFrame:
        """The table as text: counts as whole numbers, and where there is no value the reason."""
        rows = [
            (name, why if value is None else str(value) if isinstance(value, int) else f"{value:z.3f}")
            for name, value, why in self._rows()
        ]
        return pl.DataFrame(rows, schema={"measure": pl.String, "value": pl.String}, orient="row")

    def _rows(self) -> list[tuple[str, float | int | None, str]]:
        """Measure, value, and the reason where there is none."""
        rows: list[tuple[str, float | int | None, str]]
        rows = [(f"variance explained by {n}", v, "") for n, v in zip(self.names, self.additivity.main, strict=True)]
        rows.append(("variance explained only together", self.additivity.interaction, ""))
        if self.noise is not None:
            rows.append(("variance of a reading that is noise", self.noise, ""))
        rows += self._steps()
        rows.append(("participation ratio", self.participation_ratio, ""))
        dimension = None if np.isnan(self.intrinsic_dimension) else self.intrinsic_dimension
        rows.append(("intrinsic dimension", dimension, "not measured: too few points, or all equally far apart"))
        rows.append(("variance along 4 axes", float(self.spectrum[:4].sum()), ""))
        topology = self.persistence.to_json()
        for dim, (count, clear) in enumerate(zip(topology["betti"], topology["clarity"], strict=True)):
            rows.append((f"Betti number {dim}", count, "cannot be told from so few points"))
            if clear is not None:
                rows.append((f"   how clear (ratio to the next bar), H{dim}", clear, ""))
        for dim, count in enumerate(self.persistence_3.to_json()["betti"][1:], 1):
            rows.append((f"Betti number {dim} over the field of 3", count, "cannot be told from so few points"))
        for shape, total in self.comparison.total.items():
            nearest = " (nearest)" if shape == self.comparison.nearest else ""
            rows.append((f"distance to the {shape}{nearest}", total, ""))
        rows += [(f"   left out of the distances: {name}", None, STEPLESS) for name in self.comparison.missing]
        return rows

    def _steps(self) -> list[tuple[str, float | None, str]]:
        """The rows of the cosines of steps."""
        cosines, several = self._cosines(), len(self.names) > 1
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
        return [(measure, value, STEPLESS) for measure, value in rows]

    def _cosines(self) -> dict[str, Any]:
        """The cosines in JSON; of several readings, with the magnitudes of mean cosines."""
        cosines = self.cosines.to_json()
        if self.noise is not None:
            pairs = [f"{p}-on-{q} parallelism" for p, q in combinations(self.names, 2)]
            cosines["cross"]["mean_magnitude"] = self._magnitude(*pairs)
            for name, across, within in zip(self.names, cosines["across"], cosines["within"], strict=True):
                across["mean_magnitude"] = self._magnitude(f"{name}-on-{name} parallelism")
                within["mean_magnitude"] = self._magnitude(f"{name} within")
        return cosines

    def _magnitude(self, *statistics: str) -> float | None:
        """The mean magnitude of the values of the comparison's statistics; None where there are none."""
        found = [self.comparison.statistics[name] for name in statistics if name in self.comparison.statistics]
        return float(np.abs(np.concatenate(found)).mean()) if found else None

    def to_json(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "factors": list(self.names),
            "additivity": self.additivity.to_json(),
            "noise": self.noise,
            "displacement_cosines": self._cosines(),
            "comparison": self.comparison.to_json(),
            "participation_ratio": self.participation_ratio,
            "intrinsic_dimension": None if np.isnan(self.intrinsic_dimension) else self.intrinsic_dimension,
            "spectrum": self.spectrum[:15].tolist(),
            "topology": self.persistence.to_json(),
            "topology_3": self.persistence_3.to_json(),
            "seconds": self.seconds,
        }


def battery(
    R: Given,
    periodic: Periodic | None = None,
    landmarks: int = 300,
    max_dim: int = 2,
    width: float = 1.0,
    seed: int = 0,
) -> Battery:
    """Every measure on R, the representation at each point of a lattice of k factors.

    Of several readings additivity, cosines, comparison and participation ratio are corrected for noise; topology,
    intrinsic dimension, spectrum and coordinates are those of the mean of the readings.

    Parameters
    ----------
    R
        Shape (n_1, ..., n_k, d), a list of two or more readings of that shape, or a `Representation`.
    periodic
        Whether the factors of an array wrap round: one value for all, or one for each.  None: they do.
    landmarks, max_dim
        Of `persistence`.
    width
        Of tuning curves of the references, in lattice steps.
    seed
        Of all that is drawn.

    Raises
    ------
    RequestError
        As the measures do.
    """
    began = time.perf_counter()
    given = Representation.of(R, periodic=periodic)
    points = given.points
    topology = over_fields(points, max_dim=max_dim, landmarks=landmarks, seed=seed)  # first: it may be refused
    drawn = pca(points, min(3, *points.shape)).coordinates
    found = (
        additivity(given),
        displacement_cosines(given, seed=seed),
        compare(given, width=width, seed=seed),
        participation_ratio(given),
        _intrinsic_dimension(points),
        spectrum(points),
        topology[2],
        topology[3],
        drawn.reshape(*given.sizes, -1),
    )
    return Battery(given.shape, given.names, *found, time.perf_counter() - began)


def _intrinsic_dimension(points: np.ndarray) -> float:
    try:
        return levina_bickel(points)
    except RequestError:  # too few distinct points, or all equally far apart
        return float("nan")
