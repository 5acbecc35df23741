"""The whole battery of measures on one representation: of a run's layer, or an array of the user's own."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from hyperfactor.errors import RequestError
from hyperfactor.measures import arrays
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum
from hyperfactor.measures.embedding import pca
from hyperfactor.measures.geometry import (
    Additivity,
    Comparison,
    DisplacementCosines,
    additivity,
    compare,
    displacement_cosines,
    factor_names,
)
from hyperfactor.measures.topology import Persistence, persistence


@dataclass(frozen=True)
class Battery:
    """What was found of R (n_1, ..., n_k, d); `coordinates` (n_1, ..., n_k, 3 or fewer) along its principal axes.

    intrinsic_dimension is NaN where it cannot be measured: for fewer than 21 distinct points, or ones equally far apart.
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
    coordinates: np.ndarray
    seconds: float

    def table(self) -> pl.DataFrame:
        """A row a measure: what it is, its value; null where it has none."""
        rows = [(name, None if value is None else float(value)) for name, value, _ in self._rows()]
        return pl.DataFrame(rows, schema={"measure": pl.String, "value": pl.Float64}, orient="row")

    def printed(self) -> pl.DataFrame:
        """The table as text: counts as whole numbers, and where there is no value the reason."""
        rows = [
            (name, why if value is None else str(value) if isinstance(value, int) else f"{value:.3f}")
            for name, value, why in self._rows()
        ]
        return pl.DataFrame(rows, schema={"measure": pl.String, "value": pl.String}, orient="row")

    def _rows(self) -> list[tuple[str, float | int | None, str]]:
        """Measure, value, and the reason where there is none."""
        none = "not measured: too few steps that have a length"
        rows: list[tuple[str, float | int | None, str]]
        rows = [(f"variance explained by {n}", v, "") for n, v in zip(self.names, self.additivity.main, strict=True)]
        rows.append(("variance explained only together", self.additivity.interaction, ""))
        cosines = self.cosines.to_json()
        if len(self.names) > 1:
            rows.append(
                ("steps of two factors: mean magnitude of the cosine", cosines["cross"]["mean_magnitude"], none)
            )
        for name, across, within in zip(self.names, cosines["across"], cosines["within"], strict=True):
            if len(self.names) > 1:
                rows.append((f"steps of {name}, another factor differs: mean cosine", across["mean"], none))
            rows.append(
                (f"steps of {name} at two values: mean magnitude of the cosine", within["mean_magnitude"], none)
            )
        rows.append(("participation ratio", self.participation_ratio, ""))
        dimension = None if np.isnan(self.intrinsic_dimension) else self.intrinsic_dimension
        rows.append(("intrinsic dimension", dimension, "not measured: too few points, or all equally far apart"))
        rows.append(("variance along 4 axes", float(self.spectrum[:4].sum()), ""))
        topology = self.persistence.to_json()
        for dim, (count, clear) in enumerate(zip(topology["betti"], topology["clarity"], strict=True)):
            rows.append((f"Betti number {dim}", count, "cannot be told from so few points"))
            if clear is not None:
                rows.append((f"   how clear (ratio to the next bar), H{dim}", clear, ""))
        for shape, total in self.comparison.total.items():
            nearest = " (nearest)" if shape == self.comparison.nearest else ""
            rows.append((f"distance to the {shape}{nearest}", total, ""))
        rows += [(f"   left out of the distances: {name}", None, none) for name in self.comparison.missing]
        return rows

    def to_json(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "factors": list(self.names),
            "additivity": self.additivity.to_json(),
            "displacement_cosines": self.cosines.to_json(),
            "comparison": self.comparison.to_json(),
            "participation_ratio": self.participation_ratio,
            "intrinsic_dimension": None if np.isnan(self.intrinsic_dimension) else self.intrinsic_dimension,
            "spectrum": self.spectrum[:15].tolist(),
            "topology": self.persistence.to_json(),
            "seconds": self.seconds,
        }


def battery(
    R: np.ndarray,
    periodic: bool | Sequence[bool] = True,
    names: Sequence[str] | None = None,
    landmarks: int = 300,
    max_dim: int = 2,
    width: float = 1.0,
    seed: int = 0,
) -> Battery:
    """Every measure on R (n_1, ..., n_k, d), the representation at each point of a lattice of k factors.

    Parameters
    ----------
    R: shape (n_1, ..., n_k, d).
    periodic: whether the factors, or each, wrap round.
    names: of the factors; x, y, z, ... where left out.
    landmarks, max_dim: of `persistence`.
    width: of the hyper-factorized reference, in lattice steps.
    seed: of all that is drawn.

    Raises
    ------
    RequestError
        As the measures do.
    """
    began = time.perf_counter()
    R = arrays.lattice(R)
    names = factor_names(R.ndim - 1, names)
    points = R.reshape(-1, R.shape[-1])
    topology = persistence(points, max_dim, landmarks, seed)  # first: a request too large is refused before the rest
    drawn = pca(points, min(3, *points.shape)).coordinates
    found = (
        additivity(R),
        displacement_cosines(R, periodic=periodic, seed=seed),
        compare(R, periodic, width=width, names=names, seed=seed),
        participation_ratio(points),
        _intrinsic_dimension(points),
        spectrum(points),
        topology,
        drawn.reshape(*R.shape[:-1], -1),
    )
    return Battery(R.shape, names, *found, time.perf_counter() - began)


def _intrinsic_dimension(points: np.ndarray) -> float:
    try:
        return levina_bickel(points)
    except RequestError:  # too few distinct points, or all equally far apart
        return float("nan")
