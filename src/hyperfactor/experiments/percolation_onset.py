"""Does learning set in with the amount of data as percolation does, and at the predicted amount?

Figures 6, 13, 14 and 15 of the paper. A fraction lambda of the bumps of width sigma on the 32 x 32 lattice is trained
on. Two bumps are neighbours if they overlap by a threshold, so the data are the occupied sites of a lattice whose reach
grows with sigma. Above a critical lambda most of them are connected.

Models of each sigma are trained on each lambda and asked for the whole lattice. The onset is the lambda at which a
share HALF of the requests is right, by a line between the two nearest lambdas; for the claims it is 1 if that share is
never reached. The steepness is the exponent of lambda with which the share grows from QUARTER to 1 - QUARTER: 1 if it
grows in proportion to the pictures, more if learning sets in more suddenly. It is not measured where one of these two
shares is reached between lambdas that lie more than a factor of WIDE apart, because a line between them is too flat.
"""

import math
from collections.abc import Callable

import numpy as np
import polars as pl
import torch

from hyperfactor import rng
from hyperfactor.experiments.base import LEARNT, Analysis, Experiment, Runs, few, is_smoke, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim
from hyperfactor.experiments.lattice import read
from hyperfactor.factors.regions import Everything
from hyperfactor.images.gaussian import Bump
from hyperfactor.measures.embedding import umap
from hyperfactor.percolation import critical_fraction, discrete_overlap, neighbours, overlap, reach, site_percolation
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import summarize

SIGMAS = (0.5, 1.0, 1.5, 2.0)
LAMBDAS = (0.01, 0.02, 0.03, 0.05, 0.1, 1.0)  # fractions of 1,024 bumps
THRESHOLDS = (0.005, 0.05, 0.3)
PREDICTED = 0.05  # threshold of the claim
LATTICES, FEW_LATTICES = (64, 20), (16, 2)  # side and number, for the simulated curves; the latter for `smoke`
OVERLAPPED = (0.3, 0.5, 1.0, 1.5, 2.0)  # sigmas of figures 6 (a, b)
TINY = 0.1  # the sigma of figure 6 (d)
HALF, QUARTER = 0.5, 0.25
WIDE = 2.5  # largest ratio of two lambdas between which a crossing is taken for exact
RESAMPLED = 1000
LOOKED = 256  # points from which a loss is measured
SHOWN = (0.02, 0.1, 1.0)  # lambdas whose representation is shown
TRAINING = {"steps": 350, "batch": 16, "optimizer": "muon", "evaluate_every": 0}


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return a model for each sigma and lambda, with roles such as "1 | 0.3"."""
    return {
        f"{sigma:g} | {fraction:g}": preset_spec(
            preset, seed, training=TRAINING,
            data={"picture": Bump(sigma=sigma), "fraction": fraction,
                  "test": {"lattice": Everything()}},
        )
        for sigma in few(preset, SIGMAS) for fraction in few(preset, LAMBDAS)
    }  # fmt: skip


def analyse(runs: Runs) -> Analysis:
    """Return the claims of figure 6, the accuracy and losses of every model, onsets with predictions, and arrays."""
    rows = []
    for role, of_role in runs.items():
        sigma, fraction = (float(part) for part in role.split(" | "))
        for run in of_role:
            judged = {row["region"]: row for row in summarize(run.evaluate(), ("x", "y")).to_dicts()}["lattice"]
            trained, unseen = losses(run)
            rows.append({
                "sigma": sigma, "fraction": fraction, "seed": run.spec.seed, "n": judged["n"], "right": judged["right"],
                "copied": judged["all_copied"], "error": judged["error"], "training_loss": trained,
                "validation_loss": unseen,
            })  # fmt: skip
    accuracy = pl.DataFrame(rows, infer_schema_length=None).sort("sigma", "fraction", "seed")
    sigmas = sorted(accuracy["sigma"].unique())
    expected = {sigma: {f"at {tau:g}": predicted(sigma, tau) for tau in THRESHOLDS} for sigma in sigmas}
    onsets = pl.DataFrame(
        [
            {"sigma": sigma, "seed": seed, "onset": onset(fractions, shares), "steepness": steepness(fractions, shares),
             **expected[sigma]}
            for (sigma, seed), of_one in accuracy.group_by("sigma", "seed", maintain_order=True)
            for fractions, shares in [(of_one["fraction"].to_numpy(), of_one["right"].to_numpy())]
        ],
        schema_overrides={"onset": pl.Float64},
    )  # fmt: skip
    smoke = is_smoke(*(run for of_role in runs.values() for run in of_role))
    curves = simulated(sigmas, *(FEW_LATTICES if smoke else LATTICES))
    return _claims(accuracy), {"accuracy": accuracy, "onset": onsets, "simulated": curves}, _arrays(runs)


def losses(run: Run) -> tuple[float, float | None]:
    """Return the trained model's loss on trained points and on the others, on at most LOOKED points of each."""
    task, generator = run.spec.task, rng.stream(run.spec.seed, "onset.points")
    trained = task.points
    keys = {tuple(point) for point in trained.tolist()}
    others = np.array([point for point in run.spec.data.lattice().tolist() if tuple(point) not in keys])

    def loss(points: np.ndarray) -> float:
        points = generator.permutation(points)[:LOOKED]
        condition = torch.from_numpy(task.encode(points)).to(run.device)
        images = torch.from_numpy(task.render(points)).to(run.device)
        with torch.no_grad():
            return run.model.loss(images, condition, rng.torch_stream(run.spec.seed, "onset.noise")).item()

    return loss(trained), loss(others) if len(others) else None


def onset(fractions: np.ndarray, shares: np.ndarray, level: float = HALF) -> float | None:
    """Return where a curve first reaches a level, by a line between the two nearest points; None if it never does.

    If the first point is already above the level, the line runs from (0, 0).

    Parameters
    ----------
    fractions, shares : (n,)
        The curve.
    level : float
        The level.
    """
    fractions, shares = np.append(0.0, fractions), np.append(0.0, shares)
    above = np.flatnonzero(shares >= level)
    if not len(above):
        return None
    k = above[0]
    return float(fractions[k - 1] + (level - shares[k - 1]) / (shares[k] - shares[k - 1]) * np.diff(fractions)[k - 1])


def _bracket(fractions: np.ndarray, shares: np.ndarray, level: float) -> tuple[float, float] | None:
    """Return the two fractions between which a curve first reaches a level; None if it does at the first or never."""
    above = np.flatnonzero(shares >= level)
    return (float(fractions[above[0] - 1]), float(fractions[above[0]])) if len(above) and above[0] > 0 else None


def steepness(fractions: np.ndarray, shares: np.ndarray) -> float:
    """Return the slope of ln share against ln fraction, from the fraction that reaches QUARTER to that of 1 - QUARTER.

    If the curve does not reach one of them, the first or the last of all fractions stands for it. Both are found by
    lines between neighbouring fractions, which makes the slope too small where these lie far apart.

    Parameters
    ----------
    fractions, shares : (n,)
        The curve.
    """
    low, high = onset(fractions, shares, QUARTER), onset(fractions, shares, 1 - QUARTER)
    return float(np.log((1 - QUARTER) / QUARTER) / np.log((high or fractions[-1]) / (low or fractions[0])))


def predicted(sigma: float, threshold: float) -> float:
    """Return the critical fraction of an infinite lattice whose sites reach as far as bumps overlap by the threshold.

    It is 1 if they reach no neighbour.

    Parameters
    ----------
    sigma : float
        Width of the bumps, in pixels.
    threshold : float
        Overlap from which two bumps are neighbours.
    """
    distance = reach(sigma, threshold)
    if not len(neighbours(2, distance)):
        return 1.0
    return critical_fraction(distance, (64, 128), 50).value


def simulated(sigmas: list[float], side: int, count: int) -> pl.DataFrame:
    """Simulate the largest cluster's share of the occupied sites.

    Parameters
    ----------
    sigmas : list of float
        Widths of the bumps, in pixels.
    side : int
        Sites of a side of a periodic lattice.
    count : int
        Number of lattices that are averaged.

    Returns
    -------
    polars.DataFrame
        One row a sigma, threshold and fraction.
    """
    fractions = np.linspace(0, 1, 51)
    rows = []
    for sigma in sigmas:
        for threshold in THRESHOLDS:
            distance = reach(sigma, threshold)
            ratios = []
            for k in range(count):
                curve = site_percolation((side, side), distance, k)
                ratios.append(np.interp(fractions, curve.fraction, curve.ratio()))
            for fraction, ratio in zip(fractions, np.mean(ratios, axis=0), strict=True):
                rows.append({
                    "sigma": sigma, "threshold": threshold, "side": side, "lattices": count, "fraction": fraction,
                    "ratio": float(ratio),
                })  # fmt: skip
    return pl.DataFrame(rows)


Curve = tuple[np.ndarray, np.ndarray]  # fractions, shares right


def curves(accuracy: pl.DataFrame, seed: int, by: str = "sigma") -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return fractions, shares right and numbers of drawings of one seed's models, for each value of a column."""
    of_seed = accuracy.filter(pl.col("seed") == seed).sort(by, "fraction").partition_by(by)
    return [(of_one["fraction"].to_numpy(), of_one["right"].to_numpy(), of_one["n"].to_numpy()) for of_one in of_seed]


def resampled(
    accuracy: pl.DataFrame,
    seed: int,
    statistic: Callable[[list[Curve]], float],
    span: tuple[float, float] = (-math.inf, math.inf),
    by: str = "sigma",
) -> Estimate:
    """Return a statistic of the curves of one seed's models, with its interval for the number of drawings.

    The interval has the percentiles of the parametric bootstrap (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 13): as many drawings are made again RESAMPLED times, each right with the measured share.

    Parameters
    ----------
    accuracy : polars.DataFrame
        Accuracy of every model, as `analyse` makes it.
    seed : int
        The seed.
    statistic : function
        Takes the curves in the order of sigma.
    span : (float, float)
        Smallest and largest possible value of the statistic.
    by : str
        The column, in place of sigma, whose values have a curve each.
    """
    found = curves(accuracy, seed, by)
    generator = rng.stream(seed, "onset.resampled")
    drawn = [statistic([(at, generator.binomial(n, p) / n) for at, p, n in found]) for _ in range(RESAMPLED)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    measured = statistic([(at, p) for at, p, _ in found])
    return Estimate(measured, float(low), float(high), "bootstrap over drawings", span)


def _flat(accuracy: pl.DataFrame, k: int) -> list[str]:
    """List the crossings of the k-th sigma's curves that lie between lambdas too far apart."""
    return [
        f"sigma {SIGMAS[k]:g}: seed {seed} reaches {level:g} between lambda {between[0]:g} and {between[1]:g}, "
        "needs it between nearer ones"
        for seed in sorted(accuracy["seed"].unique())
        for level in (QUARTER, 1 - QUARTER)
        if (between := _bracket(*curves(accuracy, seed)[k][:2], level)) and between[1] > WIDE * between[0]
    ]


def _claims(accuracy: pl.DataFrame) -> list[Claim]:
    seeds = sorted(accuracy["seed"].unique())
    sigmas = sorted(accuracy["sigma"].unique())
    unlearnt = [
        f"sigma {row['sigma']:g}: the model of all bumps of seed {row['seed']} draws {row['right']:.2f} right, "
        f"needs {LEARNT:g}"
        for row in accuracy.filter((pl.col("fraction") == LAMBDAS[-1]) & (pl.col("right") < LEARNT)).to_dicts()
    ]
    unless = [f"this preset has no models of sigma {s:g}" for s in SIGMAS if s not in sigmas] + unlearnt
    thresholds = [predicted(sigma, PREDICTED) for sigma in sigmas] if not unless else []

    def measure(
        statistic: Callable[[list[Curve]], float], span: tuple[float, float] = (-math.inf, math.inf)
    ) -> list[Estimate]:
        return [resampled(accuracy, seed, statistic, span) for seed in seeds]

    def earlier(curves: list[Curve]) -> float:
        first, *_, last = (onset(*curve) or 1.0 for curve in curves)
        return first - last

    def correlation(curves: list[Curve]) -> float:
        return float(np.corrcoef([onset(*curve) or 1.0 for curve in curves], thresholds)[0, 1])

    first, *_, last = SIGMAS
    return [
        claim("onset.earlier", "6", f"onset of sigma {first:g} less that of sigma {last:g} (lambda)",
              Bound(">", 0), lambda: measure(earlier), terms="paper", unless=unless),
        claim("onset.predicted", "6",
              f"correlation of onset and percolation threshold (overlap {PREDICTED:g}) over sigma", Bound(">=", 0.9),
              lambda: measure(correlation, (-1.0, 1.0)), terms="paper", unless=unless),
        *(
            claim(f"onset.sharp.{sigma:g}", "6",
                  f"sigma {sigma:g}: exponent of lambda from a quarter to three quarters right", Bound(">", 1),
                  lambda k=k: measure(lambda curves: steepness(*curves[k])),
                  unless=unless or _flat(accuracy, k))
            for k, sigma in enumerate(SIGMAS)
        ),
    ]  # fmt: skip


def _arrays(runs: Runs) -> dict[str, np.ndarray]:
    """Collect overlaps by distance (closed form, on pixels), a bump a sigma, and UMAP of the first seed's models."""
    distances = np.linspace(0, 8, 65)
    arrays: dict[str, np.ndarray] = {"distance": distances, "steps": np.arange(0.0, 8.5, 1.0)}
    for sigma in OVERLAPPED:
        arrays[f"overlap.{sigma:g}"] = np.asarray(overlap(distances, sigma))
        arrays[f"drawn.{sigma:g}"] = np.array([discrete_overlap((step, 0.0), sigma) for step in arrays["steps"]])
    centre = np.array([[16.0, 16.0]])
    for sigma in (TINY, *SIGMAS):
        arrays[f"bump.{sigma:g}"] = Bump(sigma=sigma).render(centre)[0, 0]
    for role, of_role in runs.items():
        if float(role.split(" | ")[1]) in SHOWN:
            run = of_role[0]
            points, images = run.pictures
            arrays[f"umap.{role}"] = umap(read(run, points, images), seed=run.spec.seed)
            arrays[f"points.{role}"] = points
    return arrays


EXPERIMENT = Experiment(
    name="percolation_onset",
    question="Does learning set in with the amount of data as percolation does, and where percolation says?",
    figures=("6", "13", "14", "15"),
    specs=specs,
    analyse=analyse,
    analysis=lambda preset: 0 if preset == "smoke" else 27_000,
)
