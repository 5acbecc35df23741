"""The study of a subject: are its drawings right, and how are the factors laid out within it?

Every measure that the subject allows is taken. A measure that it does not allow is named, with the reason.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.space import FactorSpace, product
from hyperfactor.measures.accuracy import Accuracy
from hyperfactor.measures.representation import Representation
from hyperfactor.subjects.array import LAYER, ArraySubject
from hyperfactor.subjects.base import Model, checked_points
from hyperfactor.subjects.layout import Layout, Row, attempt, laid_out, tuning_width
from hyperfactor.subjects.sampled import Sampled


@dataclass(frozen=True)
class Drawings:
    """The judgement of n drawings.

    Attributes
    ----------
    n : int
        Number of drawings.
    correct : dict of str to float
        By factor, the share of drawings that are correct in it (see `measures.accuracy`).
    all, valid, right : float
        Shares of drawings that are correct in every factor, valid, and both.
    reading_errors : dict of str to float or None
        How often factors are read wrong from held-out labelled pictures; None if this was not measured.
    """

    n: int
    correct: dict[str, float]
    all: float
    valid: float
    right: float
    reading_errors: dict[str, float] | None

    @classmethod
    def of(cls, found: Accuracy, names: Sequence[str], reading_errors: dict[str, float] | None) -> "Drawings":
        """Summarize the judgement of drawings.

        Parameters
        ----------
        found : Accuracy
            The judgement.
        names : sequence of str
            The factors.
        reading_errors : dict of str to float or None
            As for the class.
        """
        correct = {name: float(found.correct[:, k].mean()) for k, name in enumerate(names)}
        every, valid, right = (float(of.mean()) for of in (found.all, found.valid, found.right))
        return cls(len(found.all), correct, every, valid, right, reading_errors)

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n, "correct": self.correct, "all": self.all, "valid": self.valid, "right": self.right,
            "reading_errors": self.reading_errors,
        }  # fmt: skip

    def table_rows(self) -> list[Row]:
        """The rows of a table: shares of drawings, and error rates of the reading."""
        rows = [Row(f"correct in {name}", share) for name, share in self.correct.items()]
        rows += [Row("correct in all", self.all), Row("valid", self.valid), Row("right", self.right)]
        if self.reading_errors is None:
            reason = "not measured: the reading was not learnt from labelled pictures"
            return [*rows, Row("error rate of the reading", None, reason)]
        return rows + [Row(f"error rate of the reading: {name}", share) for name, share in self.reading_errors.items()]


@dataclass(frozen=True)
class Study:
    """Result of `study`.

    Attributes
    ----------
    subject : str
        What was studied.
    factors : tuple of str
        Its factors.
    drawings : Drawings or None
        The judgement of its drawings; None if it draws none, or nothing tells what they show.
    layers : dict of str to Layout
        The layout of each layer; of an array under "values".
    missing : dict of str to str
        The reason for each part that was not measured.
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
        """One row a measure: what it is of, its name, its value, and the reason if it has no value."""
        rows = [(of, row.measure, row.number, row.reason if row.value is None else "") for of, row in self._rows()]
        schema = {"of": pl.String, "measure": pl.String, "value": pl.Float64, "reason": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def printed(self) -> pl.DataFrame:
        """The table as text: the value, or the reason."""
        rows = [(of, row.measure, row.text) for of, row in self._rows()]
        return pl.DataFrame(rows, schema={"of": pl.String, "measure": pl.String, "value": pl.String}, orient="row")

    def _rows(self) -> list[tuple[str, Row]]:
        parts = {"drawings": self.drawings.table_rows()} if self.drawings else {}
        parts |= {name: layout.table_rows() for name, layout in self.layers.items()}
        rows = [(of, row) for of, part in parts.items() for row in part]
        return rows + [(of, Row("", None, f"not measured: {why}")) for of, why in self.missing.items()]


def study(
    subject: Any,
    *,
    layers: str | Sequence[str] | None = None,
    factors: Any = None,
    seed: int = 0,
    drawings: int = 1,
    landmarks: int = 300,
    max_dim: int = 2,
) -> Study:
    """Take every measure that a subject allows.

    The drawings of a model are judged, and its layers are recorded while it draws. The values of an array are taken as
    they are.

    Parameters
    ----------
    subject : Run, TorchSubject, ArraySubject, or array
        What to study. Any object with the methods of `subjects.base.Model` is a model.
    layers : str or sequence of str, optional
        Layers of a model. Default: a run's default layer, a module's children.
    factors : optional
        For a model, the points to draw at, (n, k), or the lattice steps of factors by name. Default: the whole lattice.
        For an array, the factors that `ArraySubject` takes: axes of a lattice, or a table of factor values.
    seed : int
        Seed of everything that is drawn; of the layers' noise if `activations` of the model takes a seed.
    drawings : int
        Number of readings of each layer of a model, with seeds `seed`, `seed` + 1, ... With 2 or more, geometry and
        participation ratio are corrected for noise (see `subjects.layout`).
    landmarks : int
        Number of points for persistent homology.
    max_dim : int
        Highest dimension of homology.

    Raises
    ------
    RequestError
        For an object that is not a subject, points outside its space, layers that it does not have, factors or layers
        of an `ArraySubject`, which has its own, and several drawings of a subject whose layers take no seed.
    """
    began, missing = time.perf_counter(), {}
    judged = None

    def look(given: Representation | Sampled, width: float = 1.0) -> Layout:
        return laid_out(given, seed=seed, landmarks=landmarks, max_dim=max_dim, width=width)

    seeds = [rng.check_seed(seed) + k for k in range(arrays.whole(drawings, "drawings", 1))]
    if isinstance(subject, Model):
        points = _points(subject, factors)
        assessed = attempt(missing, "drawings", lambda: subject.assess(subject.sample(points, seed), points))
        if assessed:
            judged = Drawings.of(assessed, subject.space.names, subject.reading_errors())
        given, width = _representations(subject, layers, points, seeds, missing), tuning_width(subject, points)
        looked = {name: attempt(missing, name, lambda of=of: look(of, width)) for name, of in given.items()}
        found = {name: got for name, got in looked.items() if got}
    else:
        if drawings > 1:
            raise RequestError(f"drawings: got {drawings} for an array, needs 1: an array is what it is")
        subject = _array(subject, layers, factors)
        found = {LAYER: look(subject.given)}
    seconds = time.perf_counter() - began
    return Study(repr(subject), subject.space.names, judged, found, missing, seconds)


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
    """Return the points to draw at."""
    if factors is None or isinstance(factors, Mapping):
        named = subject.space.by_factor(factors or {})
        steps = subject.space.axes(factors or {})
        axes = [steps[k] if k in named else axis for k, axis in enumerate(subject.axes())]
        return product(axes)
    return checked_points(subject.space, factors)


def _representations(
    subject: Model,
    layers: str | Sequence[str] | None,
    points: Float[np.ndarray, "n k"],
    seeds: Sequence[int],
    missing: dict[str, str],
) -> dict[str, Sampled]:
    """Return the output of each layer at the points, one reading a seed.

    If no layers were asked for, these are the layers that can be recorded.
    """
    seeded: list[dict[str, Any]] = [{"seed": seed} for seed in seeds]
    if "seed" not in signature(subject.activations).parameters:
        if len(seeds) > 1:
            raise RequestError(f"drawings: got {len(seeds)} of {subject!r}, needs a model whose layers take a seed")
        seeded = [{}]
    if layers is None:
        names = [name for name in subject.default_layers() if _can_be_seen(subject, name, points[:1], missing)]
    else:
        if not isinstance(layers, Iterable):
            raise RequestError(f"layers: got {layers!r}, needs the name of a layer, or several")
        names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        return {}
    varied = [k for k in range(points.shape[1]) if (points[:, k] != points[0, k]).any()]
    if not varied:
        raise RequestError(f"factors: got {len(points)} points that are all equal, needs some that differ")
    space = FactorSpace(tuple(subject.space.factors[k] for k in varied))
    readings = [subject.activations(names, factors=points, **one) for one in seeded]
    table = np.tile(points[:, varied], (len(readings), 1))

    def sampled(name: str) -> Sampled:
        return Sampled.of(np.concatenate([of[name] for of in readings]), table, space)

    found = {name: attempt(missing, name, lambda name=name: sampled(name)) for name in readings[0]}
    return {name: of for name, of in found.items() if of is not None}


def _can_be_seen(subject: Model, name: str, point: np.ndarray, missing: dict[str, str]) -> bool:
    return attempt(missing, name, lambda: subject.activations([name], factors=point)) is not None
