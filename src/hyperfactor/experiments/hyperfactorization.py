"""Is the hyper-factorized signature of figure 3 the code of the network, or the noise of the drawings it is read from?

The paper's signature is this: curves of one factor at different values of the other are as orthogonal, and as little
parallel, as the x-on-y curves of a 3D torus (orthogonality 1/2, parallelism 0). Those of a Clifford torus are neither
(0 and 1). Noise produces the signature too, because each lattice point is read from a drawing of its own, and steps
between neighbours are short. Here each point is drawn several times, and every statistic is computed from one drawing,
from the mean of several, and corrected for noise (see `measures.readings`).

A recipe is the prediction, the side of the canvas, and the code of the condition. All models draw one bump of sigma 1
on a periodic canvas, trained on its whole lattice of pixels, 16 pictures a step.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import polars as pl

from hyperfactor.errors import RequestError
from hyperfactor.experiments.base import LEARNT, PRESETS, Analysis, Experiment, few, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim, less
from hyperfactor.experiments.lattice import stride
from hyperfactor.experiments.signature import (
    DRAWINGS,
    DRAWN,
    FEWEST,
    KINDS,
    LAYER,
    TESTS,
    Drawn,
    Geometry,
    as_row,
    draw_readings,
    measure,
    one_by_one,
)
from hyperfactor.generators.paths import SamplingSpec
from hyperfactor.images.gaussian import Bump
from hyperfactor.measures.geometry import clifford_torus, compare
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec

CODES: dict[str, dict[str, Any]] = {
    "wraps": {"kind": "periodic", "harmonics": 3},
    "sinusoidal": {"kind": "sinusoidal"},
}
PLAIN = {"time_bias": 1.0, "signal_weight": 0.0}  # uniform timesteps, every pixel alike
DIFFUSION: dict[str, dict[str, Any]] = {
    "sample": {"prediction": "sample"},
    "v": {"prediction": "v", **PLAIN},
    "epsilon": {"prediction": "epsilon", **PLAIN},
}
# side of the canvas -> prediction -> training steps
STEPS = {16: {"sample": 1500, "v": 3000, "epsilon": 5000}, 32: {"sample": 1500, "v": 5000, "epsilon": 10_000}}
RECIPES = tuple((prediction, side, code) for side in STEPS for prediction in DIFFUSION for code in CODES)
WATCHED = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # shares of training after which a model is examined
LAYERS = ("down3", "bottleneck", "up1", "up2")
EVERY = {16: 1, 32: 2}  # step between the watched steps that are examined, by side
PART = 16  # largest number of lattice values of each factor before the end of training
MEANS = (1, 2, 4, 8)  # drawings of a point in the mean that is read
NOISY = (0.02, 0.1, 0.3, 0.5)  # shares of noise between which the signature is averaged
CORRECTS = 0.5  # share of noise up to which the correction is tested
_WITHOUT_NOISE = pl.when(pl.col("noise") <= CORRECTS).then(pl.col("signature")).alias("without noise")
_CLAIMED = {
    "name": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "method": pl.String,
    "least": pl.Float64, "most": pl.Float64,
}  # fmt: skip


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return the models of one seed, one a recipe.

    A preset that sets the prediction keeps only the recipes with that one.
    """
    found, base = {}, PRESETS.get(preset, {})
    for prediction, side, code in few(preset, RECIPES):
        if base.get("diffusion", {}).get("prediction", prediction) != prediction:
            continue
        steps = base.get("training", {}).get("steps", STEPS[side][prediction])
        found[f"{prediction} {side} {code}"] = preset_spec(
            preset,
            seed,
            data={"picture": Bump(boundary="periodic", size=side), "spacing": 1.0},
            encoding=CODES[code],
            diffusion=DIFFUSION[prediction],
            training={
                "steps": steps, "batch": 16, "evaluate_every": 0,
                "snapshots": sorted({round(part * steps) for part in WATCHED}),
            },
        )  # fmt: skip
    return found


@dataclass(frozen=True)
class Examined:
    """The measurements of one model.

    Attributes
    ----------
    seed : int
        Its seed.
    both : float
        Share of drawings at the end of training that are at the right place.
    size : int
        Number of lattice values of each factor at the end.
    claimed : mapping of str to Estimate
        `Geometry.claimed` of LAYER at the end, from one drawing a point and from all, as "plain.dimension" and
        "corrected.dimension"; none for a model that has not learnt. "noisiest" is the signature of one drawing minus
        the corrected one, at the training step with most noise up to CORRECTS, if there is one.
    statistics : mapping of str to array
        Values of figure 3's statistics of these two that can be measured, as "plain.x-on-y orthogonality".
    rows : DataFrame
        Rows of the table.
    """

    seed: int
    both: float
    size: int
    claimed: Mapping[str, Estimate]
    statistics: Mapping[str, np.ndarray]
    rows: pl.DataFrame

    def as_analysis(self) -> Analysis:
        """Return the measurements in the form that a store keeps."""
        model = pl.DataFrame({"seed": [self.seed], "both": [self.both], "size": [self.size]})
        estimates = [(name, one.value, one.low, one.high, one.method, *one.span) for name, one in self.claimed.items()]
        claimed = pl.DataFrame(estimates, schema=_CLAIMED, orient="row")
        return [], {"model": model, "claimed": claimed, "geometry": self.rows}, dict(self.statistics)

    @classmethod
    def of_analysis(cls, analysis: Analysis) -> Self:
        """The inverse of `as_analysis`."""
        _, tables, statistics = analysis
        (model,) = tables["model"].iter_rows(named=True)
        claimed = {
            name: Estimate(value, low, high, method, (least, most))
            for name, value, low, high, method, least, most in tables["claimed"].iter_rows()
        }
        return cls(**model, claimed=claimed, statistics=statistics, rows=tables["geometry"])


def examine(role: str, run: Run) -> Examined:
    """Draw and measure a model at the end of its training, and on a coarser lattice along it."""
    data, last, apart = run.spec.data, run.spec.training.steps, stride(run.spec.data)
    few_points = data.test_points is not None
    count, how = (FEWEST, run.spec.sampling) if few_points else (DRAWINGS, DRAWN)
    end = draw_readings(run, last, count, apart, LAYERS, how)
    truth = draw_readings(run, last, 1, apart, [LAYER], None)
    rows, claimed = [], []
    for of in (end, truth):
        for layer in of.readings:
            for kind, k, geometry in measure(of, layer, MEANS):
                rows.append(as_row(role, of, layer, kind, k, geometry))
                if of is end and layer == LAYER:
                    claimed.append(geometry)
    plain, corrected = claimed[0], claimed[-1]
    along, noisiest = _along(role, run, end, truth, how)
    both = float(end.both.mean())
    found = {"noisiest": noisiest} if noisiest else {}
    for name, geometry in (("plain", plain), ("corrected", corrected)) if both >= LEARNT else ():
        found |= {f"{name}.{key}": estimate for key, estimate in geometry.claimed().items()}
    size, table = len(end.readings[LAYER][0]), pl.DataFrame([*rows, *along], infer_schema_length=None)
    return Examined(run.spec.seed, both, size, found, _shown(plain, corrected), table)


def _shown(plain: Geometry, corrected: Geometry) -> dict[str, np.ndarray]:
    """Return the values of figure 3's statistics that can be measured."""
    found = {}
    for name, geometry in (("plain", plain), ("corrected", corrected)):
        with suppress(RequestError):
            values = geometry.statistics.values
            found |= {f"{name}.{kind} {test}": values[f"{kind} {test}"].astype(np.float32)
                      for kind in KINDS for test in TESTS if f"{kind} {test}" in values}  # fmt: skip
    return found


def _along(
    role: str, run: Run, end: Drawn, truth: Drawn, how: SamplingSpec
) -> tuple[list[dict[str, Any]], Estimate | None]:
    """Measure a model at the watched steps of its training.

    The end of training is among them if the lattice is coarser than that of the end.

    Parameters
    ----------
    role : str
        Role of the model.
    run : Run
        The model.
    end, truth : Drawn
        The model at the end of training, from its drawings and from the truth.
    how : SamplingSpec
        How pictures are drawn.

    Returns
    -------
    rows : list of dict
        Rows of the table.
    noisiest : Estimate or None
        As in `Examined.claimed`.
    """
    training, side = run.spec.training, run.spec.data.picture.shape[1]
    coarse = max(end.stride, side // PART)
    steps = sorted(step for step in training.snapshots if step < training.steps)[:: EVERY[side]]
    views = [
        (
            partial(draw_readings, run, step, FEWEST, coarse, [LAYER], how),
            partial(draw_readings, run, step, 1, coarse, [LAYER], None),
        )
        for step in steps
    ]
    if (times := coarse // end.stride) > 1:
        views.append((partial(end.part, FEWEST, times, [LAYER]), partial(truth.part, 1, times, [LAYER])))
    rows, most, noisiest = [], -np.inf, None
    for draw, draw_truth in views:
        drawn, of_truth = draw(), draw_truth()
        (_, _, plain), (_, _, corrected) = measure(drawn, LAYER)
        rows.append(as_row(role, drawn, LAYER, "plain", 1, plain))
        rows.append(found := as_row(role, drawn, LAYER, "corrected", FEWEST, corrected))
        if np.isfinite(found["signature"]) and most < found["noise"] <= CORRECTS:
            most, noisiest = found["noise"], (plain, corrected)
        rows += [as_row(role, of_truth, LAYER, kind, k, geometry) for kind, k, geometry in measure(of_truth, LAYER)]
    return rows, noisiest and less(*(geometry.signature() for geometry in noisiest))


def _join(analysed: Mapping[str, Sequence[Analysis]]) -> Analysis:
    """Return the claims, a table of all measurements, and the statistics that figure 3 draws."""
    found = {role: [Examined.of_analysis(one) for one in of_role] for role, of_role in analysed.items()}
    table = pl.concat([one.rows for of_role in found.values() for one in of_role], how="vertical_relaxed")
    arrays: dict[str, np.ndarray] = {}
    for role, (first, *_) in found.items():
        arrays |= {f"{role}.{key}": values for key, values in first.statistics.items()}
        arrays[f"{role}.size"] = np.array(first.size)
    for size in sorted({one.size for of_role in found.values() for one in of_role}):
        arrays |= {f"{size}.{key}": values for key, values in _ideal(size).items()}
    return _claims(found), {"models": models(table), "noise": by_noise(table), "geometry": table}, arrays


def models(table: pl.DataFrame) -> pl.DataFrame:
    """Return what was measured of LAYER at the end of training, one row a model.

    Parameters
    ----------
    table : DataFrame
        The table of all measurements.

    Returns
    -------
    DataFrame
        recipe, seed, and the share of drawings at the right place; the signature of one drawing a point, of the mean of
        most, without noise, and of true pictures; the noise; and without it the dimension and the interaction.
    """
    model = ["recipe", "seed"]
    end = table.filter(
        (pl.col("layer") == LAYER)
        & (pl.col("step") == pl.col("step").max().over(model))
        & (pl.col("stride") == pl.col("stride").min().over(model))
    ).sort("drawings", maintain_order=True)
    drawn, truth = end.filter(pl.col("source") != "truth"), end.filter(pl.col("source") == "truth")
    plain, corrected = (drawn.filter(pl.col("kind") == kind) for kind in ("plain", "corrected"))
    found = [
        plain.unique(model, keep="first", maintain_order=True).select(
            *model, "both", pl.col("signature").alias("one drawing")
        ),
        plain.unique(model, keep="last", maintain_order=True).select(
            *model, pl.col("signature").alias("mean of drawings")
        ),
        corrected.unique(model, keep="last", maintain_order=True).select(
            *model, _WITHOUT_NOISE, "noise", "dimension", "interaction"
        ),
        truth.select(*model, pl.col("signature").alias("true pictures")),
    ]
    whole = table.select(model).unique(maintain_order=True)
    for one in found:
        whole = whole.join(one, on=model, how="left", maintain_order="left")
    return whole


def by_noise(table: pl.DataFrame) -> pl.DataFrame:
    """Return the mean signature of LAYER along training, by the share of variance that is noise.

    Parameters
    ----------
    table : DataFrame
        The table of all measurements.

    Returns
    -------
    DataFrame
        noise, in steps of NOISY; the numbers of measurements and of models; and the mean signature of one drawing a
        point, without noise, and of true pictures.
    """
    model, moment = ["recipe", "seed"], ["recipe", "seed", "step"]
    watched = table.filter((pl.col("layer") == LAYER) & (pl.col("stride") == pl.col("stride").max().over(model)))
    drawn, truth = watched.filter(pl.col("source") != "truth"), watched.filter(pl.col("source") == "truth")
    corrected = drawn.filter((pl.col("kind") == "corrected") & (pl.col("drawings") == FEWEST))
    plain = drawn.filter((pl.col("kind") == "plain") & (pl.col("drawings") == 1))
    whole = corrected.select(*moment, _WITHOUT_NOISE, pl.col("noise").alias("share"))
    for name, one in (("one drawing", plain), ("true pictures", truth)):
        signature = one.select(*moment, pl.col("signature").alias(name))
        whole = whole.join(signature, on=moment, maintain_order="left")
    whole = whole.drop_nans()
    ends = np.array([f"{low:g} to {high:g}" for low, high in itertools.pairwise((0, *NOISY, 1))])
    return (
        whole.with_columns(noise=pl.Series(ends[np.searchsorted(NOISY, whole["share"].to_numpy())], dtype=pl.String))
        .group_by("noise", maintain_order=True)
        .agg(
            pl.len().alias("measurements"),
            pl.struct(model).n_unique().alias("models"),
            pl.col("one drawing", "without noise", "true pictures").mean(),
        )
        .sort("noise")
    )


def _ideal(size: int) -> dict[str, np.ndarray]:
    """Return figure 3's statistics of the two reference shapes."""
    references = compare(clifford_torus(size), bootstrap=1).references
    return {
        f"{shape}.{kind} {test}": references[shape][f"{kind} {test}"].astype(np.float32)
        for shape in ("3D torus", "Clifford torus") for kind in KINDS for test in TESTS
    }  # fmt: skip


def _claims(found: Mapping[str, Sequence[Examined]]) -> list[Claim]:
    """Make the claims of each recipe.

    They are the paper's claims of figure 3 and of the dimension, from one drawing a point and without noise; how much
    of the signature is left; and whether noise produces the signature while the network learns.
    """

    def estimates(ones: Sequence[Examined], name: str) -> Callable[[], list[Estimate]]:
        return lambda: [one.claimed[name] for one in ones if name in one.claimed]

    claims = []
    for role, ones in found.items():
        slug = role.replace(" ", ".")
        unless = [
            f"model {role!r} of seed {one.seed} draws {one.both:.2f} of the lattice at the right place, needs "
            f"{LEARNT:g}"
            for one in ones
            if not one.both >= LEARNT
        ]
        for kind, words in (("plain", "one drawing a point"), ("corrected", "without noise")):
            for test in TESTS:
                claims.append(claim(
                    f"{slug}.{kind}.{test}", "3",
                    f"{role}, {words}: {test} of x-on-x and y-on-y, distance to the Clifford torus's less distance to "
                    "the 3D torus's x-on-y",
                    Bound(">", 0), estimates(ones, f"{kind}.{test}"),
                    terms="paper", roles=[role], unless=unless,
                ))  # fmt: skip
            claims.append(claim(
                f"{slug}.{kind}.dimension", "3", f"{role}, {words}: effective dimension (participation ratio)",
                Bound(">", 4), estimates(ones, f"{kind}.dimension"), terms="paper",
                roles=[role], unless=unless,
            ))  # fmt: skip
        claims.append(claim(
            f"{slug}.left", "8", f"{role}: share of the paper's signature that is left without noise", Bound(">=", 0.5),
            estimates(ones, "corrected.signature"), roles=[role], unless=unless,
        ))  # fmt: skip
        missing = [
            f"model {role!r} of seed {one.seed} has no step with noise of at most {CORRECTS:g} of the variance"
            for one in ones
            if "noisiest" not in one.claimed
        ]
        claims.append(claim(
            f"{slug}.noise", "noise",
            f"{role}, at the noisiest step of training: signature of one drawing a point less that without noise",
            Bound(">", 0), estimates(ones, "noisiest"), roles=[role], unless=[*unless, *missing],
        ))  # fmt: skip
    return claims


EXPERIMENT = Experiment(
    name="hyperfactorization",
    question="Is the hyper-factorized signature of figure 3 the code of the network, or the noise of its drawings?",
    figures=("3", "8", "noise"),
    specs=specs,
    analyse=one_by_one(lambda role, run: examine(role, run).as_analysis(), _join, lambda side: 50 * side**2),
)
