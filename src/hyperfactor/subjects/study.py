"""The study of a subject: is what it draws right, and how are the factors laid out within it?

Every measure that the subject allows is taken. One that it does not allow is named, with the reason.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Float

from hyperfactor.errors import RequestError
from hyperfactor.factors.space import FactorSpace
from hyperfactor.measures import geometry
from hyperfactor.measures.accuracy import Accuracy
from hyperfactor.measures.dimension import levina_bickel, participation_ratio, spectrum
from hyperfactor.measures.representation import Representation
from hyperfactor.measures.sampled import LeastSquares, Sampled, least_squares_additivity
from hyperfactor.measures.topology import Persistence, over_fields
from hyperfactor.subjects.array import LAYER, ArraySubject
from hyperfactor.subjects.base import Model

Found = TypeVar("Found")
AXES = 15  # of the spectrum that JSON has


@dataclass(frozen=True)
class Drawings:
    """What was drawn at n points.

    Attributes
    ----------
    n : int
        How many drawings were judged.
    correct : dict of str to float
        For each factor the share of drawings that are correct in it (see `measures.accuracy`).
    all, valid, right : float
        The share of those that are correct in every factor, valid, and both.
    reading_errors : dict of str to float or None
        How often what tells the factors of pictures is wrong on held-out labelled pictures; None: not measured.
    """

    n: int
    correct: dict[str, float]
    all: float
    valid: float
    right: float
    reading_errors: dict[str, float] | None

    @classmethod
    def of(cls, found: Accuracy, names: Sequence[str], reading_errors: dict[str, float] | None) -> "Drawings":
        correct = {name: float(found.correct[:, k].mean()) for k, name in enumerate(names)}
        every, valid, right = (float(of.mean()) for of in (found.all, found.valid, found.right))
        return cls(len(found.all), correct, every, valid, right, reading_errors)

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n, "correct": self.correct, "all": self.all, "valid": self.valid, "right": self.right,
            "reading_errors": self.reading_errors,
        }  # fmt: skip

    def rows(self) -> list[tuple[str, float | None, str]]:
        """Measure, value, and the reason where there is none."""
        rows: list[tuple[str, float | None, str]] = [
            (f"correct in {n}", share, "") for n, share in self.correct.items()
        ]
        rows += [("correct in all", self.all, ""), ("valid", self.valid, ""), ("right", self.right, "")]
        if self.reading_errors is None:
            return [
                *rows,
                ("error rate of the reading", None, "not measured: it was not learnt from labelled pictures"),
            ]
        return rows + [(f"error rate of the reading: {name}", share, "") for name, share in self.reading_errors.items()]


@dataclass(frozen=True)
class Layout:
    """How factors are laid out in one representation. None: not measured, for the reason that `missing` gives.

    Attributes
    ----------
    names : tuple of str
        The factors.
    sizes : tuple of int
        The number of values of each.
    conditions : int
        How many combinations of them are there.
    rows : tuple of int
        The fewest and the most rows of one combination.
    additivity, cosines, comparison : Additivity or LeastSquares, DisplacementCosines, Comparison
        See `measures.geometry`; of a table without some combinations, `measures.sampled`.
    participation_ratio, intrinsic_dimension : float
        See `measures.dimension`.
    spectrum : (r,)
        Shares of the variance along the principal axes.
    topology : dict of int to Persistence
        By the field of coefficients.
    missing : dict of str to str
        Measure to reason.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    conditions: int
    rows: tuple[int, int]
    additivity: geometry.Additivity | LeastSquares | None
    cosines: geometry.DisplacementCosines | None
    comparison: geometry.Comparison | None
    participation_ratio: float | None
    intrinsic_dimension: float | None
    spectrum: np.ndarray | None
    topology: dict[int, Persistence] | None
    missing: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        axes, topology = self.spectrum, self.topology
        return {
            "factors": list(self.names),
            "sizes": list(self.sizes),
            "conditions": self.conditions,
            "rows_of_a_condition": list(self.rows),
            "additivity": self.additivity.to_json() if self.additivity else None,
            "displacement_cosines": self.cosines.to_json() if self.cosines else None,
            "comparison": self.comparison.to_json() if self.comparison else None,
            "participation_ratio": self.participation_ratio,
            "intrinsic_dimension": self.intrinsic_dimension,
            "spectrum": None if axes is None else axes[:AXES].tolist(),
            "topology": {str(order): of.to_json() for order, of in topology.items()} if topology else None,
            "not_measured": self.missing,
        }

    def rows_of_table(self) -> list[tuple[str, float | None, str]]:
        """Measure, value, and the reason where there is none."""
        rows: list[tuple[str, float | None, str]] = []
        if found := self.additivity:
            not_estimable = "not estimable: " + "; ".join(getattr(found, "inestimable", ()))
            rows += [
                (f"variance explained by {name}", share, not_estimable)
                for name, share in zip(self.names, found.main, strict=True)
            ]
            if isinstance(found, LeastSquares):
                rows.append(("variance of factors that go together", found.shared, ""))
            rows.append(("variance explained only together", found.interaction, not_estimable))
        if self.cosines:
            cross = self.cosines.to_json()["cross"]["mean_magnitude"]
            rows.append(("steps of two factors: mean magnitude of the cosine", cross, "not measured: too few steps"))
        rows += [
            ("participation ratio", self.participation_ratio, ""),
            ("intrinsic dimension", self.intrinsic_dimension, ""),
        ]
        for order, of in (self.topology or {}).items():
            betti = enumerate(of.to_json()["betti"])
            rows += [(f"Betti number {k} over the field of {order}", n, "cannot be told") for k, n in betti]
        if self.comparison:
            nearest, total = self.comparison.nearest, self.comparison.total
            rows.append((f"distance to the {nearest} (nearest)", total[nearest], ""))
        rows = [row for row in rows if row[1] is not None or row[2]]
        return rows + [(measure, None, f"not measured: {reason}") for measure, reason in self.missing.items()]


@dataclass(frozen=True)
class Study:
    """What was found of a subject.

    Attributes
    ----------
    subject : str
        What was studied.
    factors : tuple of str
        Its factors.
    drawings : Drawings or None
        How its drawings were judged; None where it draws none, or nothing tells what they show.
    layers : dict of str to Layout
        What was found of each layer; of an array under "values".
    missing : dict of str to str
        What was not measured at all, with the reason.
    seconds : float
        Time that the study took.
    """

    subject: str
    factors: tuple[str, ...]
    drawings: Drawings | None
    layers: dict[str, Layout]
    missing: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "factors": list(self.factors),
            "drawings": self.drawings.to_json() if self.drawings else None,
            "layers": {name: layout.to_json() for name, layout in self.layers.items()},
            "not_measured": self.missing,
            "seconds": self.seconds,
        }

    def table(self) -> pl.DataFrame:
        """A row a measure: of what, measure, value, and the reason where there is none."""
        parts = [("drawings", self.drawings.rows())] if self.drawings else []
        parts += [(name, layout.rows_of_table()) for name, layout in self.layers.items()]
        rows = [
            (of, m, None if v is None else float(v), "" if v is not None else why) for of, p in parts for m, v, why in p
        ]
        rows += [(of, "", None, f"not measured: {why}") for of, why in self.missing.items()]
        schema = {"of": pl.String, "measure": pl.String, "value": pl.Float64, "reason": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")


def study(
    subject: Any,
    *,
    layers: str | Sequence[str] | None = None,
    factors: Any = None,
    seed: int = 0,
    landmarks: int = 300,
    max_dim: int = 2,
) -> Study:
    """Take every measure that a subject allows.

    Of a model its drawings are judged, and its layers are looked at when it draws. Of an array its values are looked
    at.

    Parameters
    ----------
    subject : Run, TorchSubject, ArraySubject, or array
        What to study. Anything that has what `subjects.base.Model` asks for is a model.
    layers : str or sequence of str, optional
        Of a model. Default: a run's default layer, a module's children.
    factors : optional
        Of a model the points to draw at, (n, k); or, by name, the lattice step of factors. Default: the whole lattice.
        Of an array what `ArraySubject` takes: axes of a lattice, or a table of factor values.
    seed : int
        Of all that is drawn.
    landmarks, max_dim : int
        Of persistent homology.

    Raises
    ------
    RequestError
        For a subject that is none, points outside its space, layers that it does not have, and factors or layers of an
        `ArraySubject`, which has its own.
    """
    began, missing = time.perf_counter(), {}
    drawings = None

    def look(given: Representation | Sampled) -> Layout:
        return laid_out(given, seed=seed, landmarks=landmarks, max_dim=max_dim)

    if isinstance(subject, Model):
        points = _points(subject, factors)
        assessed = _attempt(missing, "drawings", lambda: subject.assess(subject.sample(points, seed), points))
        if assessed:
            drawings = Drawings.of(assessed, subject.space.names, subject.reading_errors())
        given = _representations(subject, layers, points, missing)
        found = {name: got for name, of in given.items() if (got := _attempt(missing, name, lambda of=of: look(of)))}
    else:
        subject = _array(subject, layers, factors)
        found = {LAYER: look(subject.given)}
    seconds = time.perf_counter() - began
    return Study(repr(subject), subject.space.names, drawings, found, missing, seconds)


def _array(given: Any, layers: Any, factors: Any) -> ArraySubject:
    if layers is not None:
        raise RequestError(f"layers: got {layers!r} for an array, needs none")
    if not isinstance(given, ArraySubject):
        if isinstance(given, Representation):
            return ArraySubject(given, factors)
        if hasattr(given, "__array__") or isinstance(given, list | tuple):
            return ArraySubject(given, factors)
        raise RequestError(f"subject: got {type(given).__name__}, needs a model or an array")
    if factors is not None:
        raise RequestError("factors: got factors beside those of the array, needs none")
    return given


def _points(subject: Model, factors: Any) -> Float[np.ndarray, "n k"]:
    """The points to draw at."""
    if factors is None or isinstance(factors, Mapping):
        named = subject.space.by_factor(factors or {})
        steps = subject.space.axes(factors or {})
        axes = [steps[k] if k in named else axis for k, axis in enumerate(subject.axes())]
        return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    return subject.space.check(factors)


def _representations(
    subject: Model, layers: str | Sequence[str] | None, points: Float[np.ndarray, "n k"], missing: dict[str, str]
) -> dict[str, Sampled]:
    """What each layer puts out at the points; of layers that were not asked for, those that can be looked at."""
    if layers is None:
        names = [name for name in subject.default_layers() if _can_be_seen(subject, name, points[:1], missing)]
    else:
        names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        return {}
    varied = [k for k in range(points.shape[1]) if (points[:, k] != points[0, k]).any()]
    if not varied:
        raise RequestError(f"factors: got {len(points)} points that are all equal, needs some that differ")
    space = FactorSpace(tuple(subject.space.factors[k] for k in varied))
    put_out = subject.activations(names, factors=points)
    found = {
        name: _attempt(missing, name, lambda of=of: Sampled.of(of, points[:, varied], space))
        for name, of in put_out.items()
    }
    return {name: of for name, of in found.items() if of is not None}


def _can_be_seen(subject: Model, name: str, point: np.ndarray, missing: dict[str, str]) -> bool:
    return _attempt(missing, name, lambda: subject.activations([name], factors=point)) is not None


def laid_out(given: Representation | Sampled, seed: int = 0, landmarks: int = 300, max_dim: int = 2) -> Layout:
    """Every measure that a representation allows.

    Parameters
    ----------
    given : Representation or Sampled
        A complete lattice, or samples. Of samples the mean of each condition is looked at; where all conditions have
        as many rows, two or more, the rows are readings, and measures are corrected for noise as far as they can be.
    seed, landmarks, max_dim : int
        As for `study`.
    """
    missing: dict[str, str] = {}
    lattice = _attempt(missing, "displacement cosines", given.complete) if isinstance(given, Sampled) else given
    if lattice is None:
        missing["comparison with ideal shapes"] = missing["displacement cosines"]
    points = given.means if isinstance(given, Sampled) else given.points

    def along(measure: str, take: Callable[[Representation], Found]) -> Found | None:
        return None if lattice is None else _attempt(missing, measure, lambda R=lattice: take(R))

    additive = (
        _attempt(missing, "additivity", lambda: least_squares_additivity(given))
        if lattice is None and isinstance(given, Sampled)
        else along("additivity", geometry.additivity)
    )
    rows = (int(given.counts.min()), int(given.counts.max())) if isinstance(given, Sampled) else (1, 1)
    return Layout(
        given.names, given.sizes, len(points), rows, additive,
        along("displacement cosines", lambda R: geometry.displacement_cosines(R, seed=seed)),
        along("comparison with ideal shapes", lambda R: geometry.compare(R, seed=seed)),
        _attempt(missing, "participation ratio", lambda: participation_ratio(points if lattice is None else lattice)),
        _attempt(missing, "intrinsic dimension", lambda: levina_bickel(points)),
        _attempt(missing, "spectrum", lambda: spectrum(points)),
        _attempt(missing, "topology", lambda: over_fields(points, max_dim=max_dim, landmarks=landmarks, seed=seed)),
        missing,
    )  # fmt: skip


def _attempt(missing: dict[str, str], measure: str, take: Callable[[], Found]) -> Found | None:
    """What `take` gives; where it refuses, None, and the reason in `missing`."""
    try:
        return take()
    except RequestError as error:
        missing[measure] = str(error)
        return None
