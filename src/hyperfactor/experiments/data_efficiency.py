"""How many pictures does a model need, and how does that number grow with the size of the picture?

Figures 4 (g) and 5 of the paper. N is the number of values of a factor, and of pixels a side.

    bumps               all N x N bumps of the window
    bumps + stripes     these, and single stripes: the points of a canvas with one centre in the window

A model is trained on a random fraction of its set, and asked for bumps of the whole window. A search finds the number
of pictures with which a share NEEDED of them is right. It starts from FIRST pictures a value of a factor, takes twice
as many while they are too few and half as many while they are enough, then the geometric mean of the two nearest, until
enough is less than CLOSE times too few. For the largest N the whole set is tried too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import scipy  # imports scipy.stats when it is needed: a second

from hyperfactor.experiments.base import LEARNT, Analysis, Experiment, Runs, few, preset_spec
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim
from hyperfactor.factors.regions import Region
from hyperfactor.images.gaussian import Bump
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import summarize

SIZES = (8, 16, 24, 32)
MARGIN = 13  # values of the canvas outside the window
FIRST, CLOSE = 2, 1.5
EXPECTED = 2  # expected trials of a search after its first
NEEDED = 0.6
FEWEST_SIZES = 3  # values of N for an exponent
FAMILIES = ("bumps", "bumps + stripes")
# With fewer, models of bumps and stripes drew stripes for bumps beside the window's edge: docs/experiments.md.
TRAINING = {"steps": 1500, "batch": 16, "optimizer": "muon", "evaluate_every": 0}
MODEL = {"condition_gain": 3.0}
TESTED = 300  # requests of each model


def _spec(preset: str, seed: int, family: str, size: int, fraction: float) -> RunSpec:
    picture = Bump(size=size, canvas=size + MARGIN)
    train: Region = picture.window()
    if family == "bumps + stripes":
        train = train | picture.outside_one()
    data = {
        "picture": picture, "train": train, "fraction": fraction, "test": {"window": picture.window()},
        "test_points": TESTED,
    }  # fmt: skip
    return preset_spec(preset, seed, data=data, model=MODEL, training=TRAINING)


def _whole(family: str, size: int) -> int:
    """Return the number of pictures of a set: N x N bumps, and MARGIN N stripes along each factor."""
    return size**2 + (2 * MARGIN * size if family == "bumps + stripes" else 0)


def specs(preset: str, seed: int, sizes: Sequence[int] = SIZES) -> dict[str, RunSpec]:
    """Return the first models of each family and size, with roles such as "bumps | 32 | 0"."""
    sizes = few(preset, sizes)
    return {
        f"{family} | {size} | {k}": _spec(preset, seed, family, size, fraction)
        for family in FAMILIES
        for size in sizes
        for k, fraction in enumerate((FIRST * size / _whole(family, size), *((1.0,) if size == sizes[-1] else ())))
    }


def search(role: str) -> str:
    """Return the family and size of a model: "bumps | 32"."""
    return role.rsplit(" | ", 1)[0]


def more(preset: str, seed: int, runs: Mapping[str, Run]) -> dict[str, RunSpec]:
    """Return the next model of a family and size, from all models of that search; none for `smoke`."""
    if preset == "smoke":
        return {}
    family, size, _ = next(iter(runs)).split(" | ")
    fraction = following([(run.spec.data.fraction, right(run)) for run in runs.values()])
    if fraction is None:
        return {}
    return {f"{family} | {size} | {len(runs)}": _spec(preset, seed, family, int(size), fraction)}


def searched(preset: str, _role: str) -> int:
    """Return about how many models of a family and size `more` asks for."""
    return 0 if preset == "smoke" else EXPECTED


def right(run: Run) -> float:
    """Return the share of the window's requests drawn right."""
    return float(run.evaluate("window")["right"].to_numpy().mean())


def _ends(tried: list[tuple[float, float]]) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Return the last (amount, share right) that was too small and the first that was enough; None if there is none."""
    tried = sorted(tried)
    enough = next((k for k, (_, share) in enumerate(tried) if share >= NEEDED), len(tried))
    return (tried[enough - 1] if enough else None), (tried[enough] if enough < len(tried) else None)


def following(tried: list[tuple[float, float]]) -> float | None:
    """Return the fraction that a search tries next, from (fraction, share right); None if the search is over."""
    too_few, enough = _ends(tried)
    if too_few is None:
        return min(tried)[0] / 2
    low = too_few[0]
    if enough is None:
        return min(2 * low, 1.0) if low < 1 else None
    high = enough[0]
    return min(2 * low, (low * high) ** 0.5) if high >= CLOSE * low else None


def needed(tried: list[tuple[float, float]]) -> tuple[float, float, float] | None:
    """Return the number of pictures at which a share NEEDED of the requests is right.

    Parameters
    ----------
    tried : list of (float, float)
        Numbers of pictures, with the share right of each.

    Returns
    -------
    (float, float, float) or None
        The number, by a line through the shares of the two nearest numbers, in the logarithm; and these two. None if no
        number was enough, or all were.
    """
    too_few, enough = _ends(tried)
    if too_few is None or enough is None:
        return None
    (n0, a), (n1, b) = too_few, enough
    return float(n0 * (n1 / n0) ** ((NEEDED - a) / (b - a))), n0, n1


def by_seed(table: pl.DataFrame, sizes: str, seeds: Iterable[int]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return for each seed the sizes, in a column of this name, and the pictures needed."""
    return {
        seed: tuple(table.filter(pl.col("seed") == seed).select(pl.col(sizes, "needed").cast(float)).to_numpy().T)
        for seed in sorted(seeds)
    }


def exponent(sizes: np.ndarray, counts: np.ndarray) -> Estimate:
    """Return the slope of ln counts against ln sizes by least squares, with Student's interval.

    The interval takes the deviations from the line as independent. Those of several seeds at the same size are not,
    because they share what the line does not fit: give the counts of one seed, or means over seeds.
    """
    found = _line(sizes, counts)
    half = scipy.stats.t.ppf(0.975, len(sizes) - 2) * found.stderr
    slope = float(found.slope)
    return Estimate(slope, float(slope - half), float(slope + half), f"Student over {len(sizes)} counts")


def steeper(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> Estimate:
    """Return the exponent of (sizes, counts) a minus that of b, with Welch's interval (Biometrika 34 (1947) 28)."""
    lines = [_line(*points) for points in (a, b)]
    errors = [line.stderr**2 for line in lines]
    slope = float(lines[0].slope - lines[1].slope)
    free = sum(errors) ** 2 / sum(e**2 / (len(points[0]) - 2) for e, points in zip(errors, (a, b), strict=True))
    half = float(scipy.stats.t.ppf(0.975, free) * sum(errors) ** 0.5)
    return Estimate(slope, slope - half, slope + half, f"Welch over {len(a[0])} and {len(b[0])} counts")


def _line(sizes: np.ndarray, counts: np.ndarray) -> Any:
    return scipy.stats.linregress(np.log(sizes), np.log(counts))


def analyse(runs: Runs) -> Analysis:
    """Return the claims of figure 5, the accuracy of every model, and the pictures needed by family, size and seed."""
    tables, found = [], []
    groups: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    for role, of_role in runs.items():
        family, size, _ = role.split(" | ")
        for run in of_role:
            trained = len(run.spec.task.points)
            about = {
                "family": family, "size": int(size), "seed": run.spec.seed, "fraction": run.spec.data.fraction,
                "trained": trained,
            }  # fmt: skip
            window = summarize(run.evaluate("window"), ("x", "y"))
            tables.append(window.select(*(pl.lit(value).alias(name) for name, value in about.items()), pl.all()))
            groups.setdefault((family, int(size), run.spec.seed), []).append((float(trained), right(run)))
    for (family, size, seed), tried in groups.items():
        n, low, high = needed(tried) or (None, None, None)
        found.append(
            {
                "family": family, "size": size, "seed": seed, "needed": n, "too_few": low, "enough": high,
                "bumps": n and n * size**2 / _whole(family, size),
            }
        )  # fmt: skip
    counts = pl.DataFrame(found, infer_schema_length=None)
    return _claims(runs, counts), {"accuracy": pl.concat(tables), "needed": counts}, {}


def _claims(runs: Runs, counts: pl.DataFrame) -> list[Claim]:
    known = counts.filter(pl.col("needed").is_not_null())
    points, unless = [], []
    largest = max(int(role.split(" | ")[1]) for role in runs)
    for family in FAMILIES:
        of_family = by_seed(
            known.filter(pl.col("family") == family), "size", counts["seed"].unique(maintain_order=True)
        )
        points.append([*of_family.values()])
        unless += [
            f"{family}: got the pictures needed for {len(sizes)} values of N with seed {seed}, needs {FEWEST_SIZES} "
            "for an exponent"
            for seed, (sizes, _) in of_family.items()
            if len(sizes) < FEWEST_SIZES
        ]
        for run in runs.get(f"{family} | {largest} | 1", ()):
            if (share := right(run)) < LEARNT:
                unless.append(
                    f"{family}: the model of the whole set of seed {run.spec.seed} draws {share:.2f} right, "
                    f"needs {LEARNT:g}"
                )
    alone, both = points
    return [
        claim("efficiency.bumps", "5", "bumps alone: exponent of the pictures needed in N (the paper has about 2)",
              Bound(">", 1.5), lambda: [exponent(*of_seed) for of_seed in alone], terms="paper", unless=unless),
        claim("efficiency.both", "5", "bumps + stripes: exponent of the pictures needed in N (the paper has about 1)",
              Bound("<=", 1.5), lambda: [exponent(*of_seed) for of_seed in both], terms="paper", unless=unless),
        claim("efficiency.steeper", "5", "exponent of bumps less that of bumps + stripes",
              Bound(">", 0), lambda: [*map(steeper, alone, both)], terms="paper", unless=unless),
    ]  # fmt: skip


EXPERIMENT = Experiment(
    name="data_efficiency",
    question="How many pictures does a model need, and how does that grow with the size of the picture?",
    figures=("4g", "5"),
    specs=specs,
    analyse=analyse,
    search=search,
    more=more,
    searched=searched,
)
