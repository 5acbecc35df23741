"""Does learning set in with the amount of data as percolation does, and where percolation says?

Figures 6, 13, 14 and 15 of the paper.  Bumps of width sigma on the 32 x 32 lattice, of which a fraction lambda is
trained on: two of them are neighbours where they overlap by a threshold, so that the data are the occupied
sites of a lattice whose reach grows with sigma, and above a critical lambda most of them hang together.
Models of each sigma are trained on each lambda and asked for the whole lattice.  The onset is the lambda at
which HALF of the requests come right, by a line between the two lambdas around it; for the claims it is 1 where
they never do.
"""

from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.stats import pearsonr

from hyperfactor import rng
from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, claim, exactly
from hyperfactor.factors.regions import Everything
from hyperfactor.images.dataset import training_points
from hyperfactor.images.gaussian import Picture
from hyperfactor.measures.embedding import umap
from hyperfactor.percolation import critical_fraction, discrete_overlap, neighbours, overlap, reach, site_percolation
from hyperfactor.runs.run import Run, summarize
from hyperfactor.runs.spec import RunSpec

LAYER = "up1"
SIGMAS = (0.5, 1.0, 1.5, 2.0)
LAMBDAS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.45, 1.0)  # of 1,024 bumps
THRESHOLDS = (0.005, 0.05, 0.3)
PREDICTED = 0.05  # the threshold of the predicted onset
LATTICES, FEW_LATTICES = (64, 20), (16, 2)  # side, number; for the simulated curves, and those of `smoke`
OVERLAPPED = (0.3, 0.5, 1.0, 1.5, 2.0)  # sigmas of figures 6 (a, b)
TINY = 0.1  # the sigma of figure 6 (d)
HALF = 0.5
LOOKED = 256  # points, for a loss
SHOWN = (0.02, 0.1, 1.0)  # lambdas whose representation is shown
TRAINING = {"steps": 1500, "batch": 16, "evaluate_every": 0}


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """A model a sigma and lambda; roles such as "1 | 0.3"."""
    return {
        f"{sigma:g} | {fraction:g}": preset_spec(
            preset, seed, training=TRAINING,
            data={"picture": Picture(family="bump", sigma=(sigma, sigma)), "fraction": fraction,
                  "test": {"lattice": Everything()}},
        )
        for sigma in few(preset, SIGMAS) for fraction in few(preset, LAMBDAS)
    }  # fmt: skip


def analyse(runs: Runs) -> Analysis:
    """The claims of figure 6, accuracy and losses of every model, onsets beside predictions, and what is drawn."""
    rows = []
    for role, of_role in runs.items():
        sigma, fraction = (float(part) for part in role.split(" | "))
        for run in of_role:
            judged = {row["region"]: row for row in summarize(run.evaluate(), ("x", "y")).to_dicts()}["lattice"]
            trained, unseen = losses(run)
            rows.append({
                "sigma": sigma, "fraction": fraction, "seed": run.spec.seed, "n": judged["n"], "right": judged["right"],
                "error": judged["error"], "training_loss": trained, "validation_loss": unseen,
            })  # fmt: skip
    accuracy = pl.DataFrame(rows, infer_schema_length=None).sort("sigma", "fraction", "seed")
    expected = {sigma: predicted(sigma) for sigma in accuracy["sigma"].unique()}
    onsets = pl.DataFrame(
        [
            {"sigma": sigma, "seed": seed, "onset": onset(of_one["fraction"].to_numpy(), of_one["right"].to_numpy()),
             "predicted": expected[sigma]}
            for (sigma, seed), of_one in accuracy.group_by("sigma", "seed", maintain_order=True)
        ],
        schema_overrides={"onset": pl.Float64},
    )  # fmt: skip
    smoke = any(run.spec.data.test_points for of_role in runs.values() for run in of_role)
    curves = simulated(sorted(expected), *(FEW_LATTICES if smoke else LATTICES))
    return _claims(accuracy, onsets), {"accuracy": accuracy, "onset": onsets, "simulated": curves}, _arrays(runs)


def losses(run: Run) -> tuple[float, float | None]:
    """What the trained model's loss is on trained points and on the others, LOOKED of each at most."""
    picture, generator = run.spec.data.picture, rng.stream(run.spec.seed, "onset.points")
    trained = training_points(run.spec.data, run.spec.seed)
    keys = {tuple(point) for point in trained.tolist()}
    others = np.array([point for point in run.spec.data.lattice().tolist() if tuple(point) not in keys])

    def loss(points: np.ndarray) -> float:
        points = generator.permutation(points)[:LOOKED]
        condition = torch.from_numpy(run.spec.encoding.encode(points, picture.space()))
        images = torch.from_numpy(picture.render(points)[:, None].astype(np.float32))
        with torch.no_grad():
            return run.model.loss(images, condition, rng.torch_stream(run.spec.seed, "onset.noise")).item()

    return loss(trained), loss(others) if len(others) else None


def onset(fractions: np.ndarray, shares: np.ndarray) -> float | None:
    """Where a curve first reaches HALF, between the two points around it by a line; None where it never does.
    Where the first point is above HALF already, the line runs from (0, 0)."""
    fractions, shares = np.append(0.0, fractions), np.append(0.0, shares)
    above = np.flatnonzero(shares >= HALF)
    if not len(above):
        return None
    k = above[0]
    return float(fractions[k - 1] + (HALF - shares[k - 1]) / (shares[k] - shares[k - 1]) * np.diff(fractions)[k - 1])


def predicted(sigma: float, threshold: float = PREDICTED) -> float:
    """The critical fraction of an endless lattice whose sites reach as far as bumps overlap by the threshold; 1
    where they reach no neighbour."""
    distance = reach(sigma, threshold)
    if not len(neighbours(2, distance)):
        return 1.0
    return critical_fraction(distance, (64, 128), 50).value


def simulated(sigmas: list[float], side: int, count: int) -> pl.DataFrame:
    """A row a sigma, threshold and fraction: the largest cluster's share of the occupied sites, mean over `count`
    periodic lattices of side x side."""
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
                rows.append({"sigma": sigma, "threshold": threshold, "fraction": fraction, "ratio": float(ratio)})
    return pl.DataFrame(rows)


def _claims(accuracy: pl.DataFrame, onsets: pl.DataFrame) -> list[Claim]:
    sigmas = sorted(accuracy["sigma"].unique())
    seeds = sorted(accuracy["seed"].unique())
    reached = onsets.with_columns(pl.col("onset").fill_null(1.0))

    def of_seed(seed: int) -> pl.DataFrame:
        return reached.filter(pl.col("seed") == seed).sort("sigma")

    claims = [
        claim("onset.earlier", "6", f"onset of sigma {sigmas[0]:g} less that of sigma {sigmas[-1]:g} (lambda)",
              Bound(">", 0), [exactly(of_seed(s)["onset"][0] - of_seed(s)["onset"][-1]) for s in seeds]),
        claim("onset.sharp", "6", "largest share of the rise of accuracy between two neighbouring lambdas, mean of sigmas",
              Bound(">=", 0.5), [exactly(_steepest(accuracy.filter(pl.col("seed") == s))) for s in seeds]),
    ]  # fmt: skip
    if len(reached) >= 4:
        found: Any = pearsonr(reached["onset"], reached["predicted"])
        low, high = found.confidence_interval(0.95)
        claims.append(
            claim("onset.predicted", "6", "correlation of onset and percolation threshold, over sigmas and seeds",
                  Bound(">=", 0.9), [(float(found.statistic), float(low), float(high))])
        )  # fmt: skip
    return claims


def _steepest(accuracy: pl.DataFrame) -> float:
    """Of each sigma the largest step between neighbouring lambdas over the whole rise; the mean."""
    steps = []
    for _, of_sigma in accuracy.group_by("sigma", maintain_order=True):
        shares = np.append(0.0, of_sigma.sort("fraction")["right"].to_numpy())
        steps.append(np.diff(shares).max() / max(np.ptp(shares), 1e-9))
    return float(np.mean(steps))


def _arrays(runs: Runs) -> dict[str, np.ndarray]:
    """Overlaps against distance, closed form and on pixels; a bump a sigma; and UMAP of the first seed's models."""
    distances = np.linspace(0, 8, 65)
    arrays: dict[str, np.ndarray] = {"distance": distances, "steps": np.arange(0.0, 8.5, 1.0)}
    for sigma in OVERLAPPED:
        arrays[f"overlap.{sigma:g}"] = np.asarray(overlap(distances, sigma))
        arrays[f"drawn.{sigma:g}"] = np.array([discrete_overlap((step, 0.0), sigma) for step in arrays["steps"]])
    centre = np.array([[16.0, 16.0]])
    for sigma in (TINY, *SIGMAS):
        arrays[f"bump.{sigma:g}"] = Picture(family="bump", sigma=(sigma, sigma)).render(centre)[0]
    for role, of_role in runs.items():
        if float(role.split(" | ")[1]) in SHOWN:
            run = of_role[0]
            points = run.spec.data.lattice()[:: 1 if run.spec.data.test_points is None else 16]
            arrays[f"umap.{role}"] = umap(run.activations(LAYER, factors=points)[LAYER], seed=run.spec.seed)
            arrays[f"points.{role}"] = points
    return arrays


EXPERIMENT = Experiment(
    name="percolation_onset",
    question="Does learning set in with the amount of data as percolation does, and where percolation says?",
    figures=("6", "13", "14", "15"),
    specs=specs,
    analyse=analyse,
)
