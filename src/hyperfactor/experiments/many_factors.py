"""Do the findings hold with more than two factors, and how does the number of pictures needed grow with their number?

A picture has one bump for every two factors, each in a channel of its own: x1, y1, x2, y2, x3. With an odd number of
factors the last bump moves along x only. Each factor has VALUES values, two pixels apart, so that k factors make
VALUES^k pictures. A copy of a neighbouring picture is wrong.

    whole            all combinations; the representation is read from these models
    composition      combinations of upper values of all factors held out: a share HELD_OUT of all
    interpolation    a value in between left out, of every factor: a share HELD_OUT of all combinations or more
    combinations     a random part of all combinations
    with axes        the same, and the pictures that differ from the first one in a single factor

For the last two a search finds the number of pictures with which a share NEEDED of requests from the whole lattice is
right (see `data_efficiency`). It starts from one picture a value of a factor, or from the axes alone. A model that
learns combinations as such needs a constant share of them, so the number needed grows as VALUES^k; it grows as k if it
is in proportion to the number of values, as that of the axes is. A random picture shows a value of every factor, so a
model to which each value must only be shown a few times needs a number that does not grow.

The number of pictures at which most of a random set hang together is found by percolation on the overlap graph of the
pictures themselves.
"""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from hyperfactor import rng
from hyperfactor.experiments.base import Analysis, Experiment, Runs, few, is_smoke, preset_spec, share, unmet
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim
from hyperfactor.experiments.data_efficiency import by_seed, exponent, following, needed
from hyperfactor.experiments.lattice import every, over_lines, read
from hyperfactor.factors.regions import AtLeast, Everything, Random, Region
from hyperfactor.factors.split import Split, splits
from hyperfactor.images.bumps import Bumps
from hyperfactor.images.family import Family
from hyperfactor.images.gaussian import Bump
from hyperfactor.measures.additivity import additivity
from hyperfactor.measures.dimension import participation_ratio
from hyperfactor.measures.geometry import displacement_cosines
from hyperfactor.measures.representation import Axis, Representation
from hyperfactor.percolation.graph import giant_component
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.subjects.judge import summarize

FACTORS = (2, 3, 4, 5)
SIZE, SPACING = 16, 2.0  # pixels
VALUES = 8
REST = 8.0  # y of a bump that moves along x only
HELD_OUT = 0.2
SPLITS = ("composition", "interpolation")
SETS = ("combinations", "with axes")
TESTED = 300  # requests of each model
READ = 1024  # largest number of lattice points from which a representation is read
THRESHOLDS = (0.05, 0.3, 0.6)  # overlaps from which two pictures are neighbours
PREDICTED = 0.05  # threshold of the claim, as in the onset experiment
MOST, FEW = 4096, 256  # largest number of pictures of an overlap graph; the latter for `smoke`
ORDERS = 20  # random orders of which the percolation threshold is the mean
BOOTSTRAP = 200
EXPECTED = 3  # expected trials of a search after its first
TRAINING = {"steps": 750, "batch": 16, "optimizer": "muon", "evaluate_every": 0}
MODEL = {"condition_gain": 3.0}


def family(count: int) -> Family:
    """Return pictures with a bump for every two factors."""
    return Bump(size=SIZE) if count == 2 else Bumps(count=math.ceil(count / 2), size=SIZE)


def fixed(count: int) -> dict[str, float]:
    """Return the factor that does not vary, with its value; none if the number of factors is even."""
    return {f"y{math.ceil(count / 2)}": REST} if count % 2 else {}


def _spec(
    preset: str, seed: int, count: int, train: Region, test: Mapping[str, Region], fraction: float = 1.0
) -> RunSpec:
    data = {
        "picture": family(count), "spacing": SPACING, "fixed": fixed(count), "train": train, "fraction": fraction,
        "test": test, "test_points": TESTED,
    }  # fmt: skip
    return preset_spec(preset, seed, data=data, model=MODEL, training=TRAINING)


def _whole(preset: str, seed: int, count: int, train: Region, fraction: float = 1.0) -> RunSpec:
    return _spec(preset, seed, count, train, {"lattice": Everything()}, fraction)


@cache
def _held_out(count: int, kind: Any) -> Split:
    return splits(family(count).space(), kind, share=HELD_OUT, spacing=SPACING, fixed=fixed(count))


def _split(preset: str, seed: int, count: int, kind: str) -> RunSpec:
    found = _held_out(count, kind)
    return _spec(preset, seed, count, found.train, {"held out": found.test})


def axes(count: int) -> Region:
    """Return the combinations that differ from the first one in a single factor at most."""
    names = [name for name in family(count).space().names if name not in fixed(count)]
    beyond = (SPACING / 2, SIZE - 1.0)
    return Everything() - AtLeast(bounds=dict.fromkeys(names, beyond), count=2)


def _part(preset: str, seed: int, of: str, count: int, fraction: float) -> RunSpec:
    """Return the model of a fraction of all combinations, of which the axes are a part if the set has them."""
    if of == "combinations":
        return _whole(preset, seed, count, Everything(), fraction)
    others = round(fraction * VALUES**count) - round(_alone(count) * VALUES**count)
    return _whole(preset, seed, count, axes(count) | _some(seed, count, others) if others > 0 else axes(count))


def _some(seed: int, count: int, number: int) -> Region:
    """Return a random region that contains a given number of combinations beside the axes."""
    space = family(count).space()
    lattice = space.lattice(SPACING, fixed(count))
    others = lattice[~axes(count).contains(lattice, space)]
    if number >= len(others):
        return Everything()
    ranks = np.sort(Random.rank(seed, others, space))
    return Random(share=float(ranks[number - 1 : number + 1].mean()), seed=seed)


def _alone(count: int) -> float:
    """Return the share of all combinations that lies on the axes."""
    return (1 + count * (VALUES - 1)) / VALUES**count


def specs(preset: str, seed: int) -> dict[str, RunSpec]:
    """Return the first models of each number of factors, with roles such as "combinations | 3 | 0"."""
    found = {}
    for count in few(preset, FACTORS):
        found[f"whole | {count}"] = _whole(preset, seed, count, Everything())
        for kind in SPLITS:
            found[f"{kind} | {count}"] = _split(preset, seed, count, kind)
        for of, first in zip(SETS, (count * VALUES / VALUES**count, _alone(count)), strict=True):
            found[f"{of} | {count} | 0"] = _part(preset, seed, of, count, first)
    return found


def search(role: str) -> str:
    """Return the set and the number of factors of a model: "combinations | 3"."""
    return role.rsplit(" | ", 1)[0] if role.startswith(SETS) else role


def more(preset: str, seed: int, runs: Mapping[str, Run]) -> dict[str, RunSpec]:
    """Return the next model of a search; none for `smoke`, or if the axes alone are enough."""
    of, count, *_ = next(iter(runs)).split(" | ")
    if preset == "smoke" or of not in SETS:
        return {}
    tried = [(len(run.spec.task.points) / VALUES ** int(count), right(run)) for run in runs.values()]
    fraction = following(tried)
    if fraction is None or (of == "with axes" and fraction <= _alone(int(count))):
        return {}
    return {f"{of} | {count} | {len(runs)}": _part(preset, seed, of, int(count), fraction)}


def searched(preset: str, role: str) -> int:
    """Return about how many further models a search asks for."""
    return EXPECTED if preset != "smoke" and role.startswith(SETS) else 0


def right(run: Run) -> float:
    """Return the share of the requests from the whole lattice that is drawn right."""
    return float(run.evaluate("lattice")["right"].to_numpy().mean())


def representation(run: Run) -> Representation:
    """Return the representation of at most READ lattice points: of every value, or of every second one."""
    step = 1
    while len((found := every(run.spec.data, step))[0]) > READ:
        step *= 2
    points, sides = found
    R = read(run, points, run.sample(points, run.spec.seed))
    varied = [
        Axis(factor.name, "open")
        for factor, side in zip(run.spec.data.picture.space().factors, sides, strict=True)
        if side > 1
    ]
    return Representation.of(R.reshape(*(side for side in sides if side > 1), -1), varied)


def interaction(R: Representation, seed: int) -> Estimate:
    """Return the share of the variance that the factors explain only together."""
    generator = rng.stream(seed, "many.lines")
    return over_lines(lambda *lines: additivity(R.values[np.ix_(*lines)]).interaction, R.sizes, generator, BOOTSTRAP)


def pictures(count: int, most: int = MOST) -> np.ndarray:
    """Return at most `most` pictures of a number of factors, in random order."""
    picture = family(count)
    lattice = picture.space().lattice(SPACING, fixed(count))
    return picture.render(rng.stream(0, "many.graph", count).permutation(lattice)[:most])


def analyse(runs: Runs) -> Analysis:
    """Return the claims, and tables of accuracy, geometry, pictures needed and percolation."""
    counts = sorted({int(role.split(" | ")[1]) for role in runs})
    accuracy = []
    groups: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    for role, of_role in runs.items():
        of, count, *_ = role.split(" | ")
        for run in of_role:
            trained, names = len(run.spec.task.points), run.spec.data.picture.space().names
            about = {"set": of, "factors": int(count), "seed": run.spec.seed, "trained": trained}
            rows = summarize(run.evaluate(), names).select("region", "n", "right", "all", "valid", "all_copied")
            accuracy.append(rows.select(*(pl.lit(value).alias(name) for name, value in about.items()), pl.all()))
            if of in SETS:
                groups.setdefault((of, int(count), run.spec.seed), []).append((float(trained), right(run)))
    read_of = {count: [(run.spec.seed, representation(run)) for run in runs[f"whole | {count}"]] for count in counts}
    geometry = [_geometry(count, seed, R) for count, of_count in read_of.items() for seed, R in of_count]
    found = [_needed(of, count, seed, tried) for (of, count, seed), tried in groups.items()]
    most = FEW if is_smoke(*(run for of_role in runs.values() for run in of_role)) else MOST
    clusters = [
        {"factors": count, "threshold": threshold, "pictures": number}
        for count in counts
        for threshold, number in giant_component(pictures(count, most), THRESHOLDS, ORDERS).items()
    ]
    tables = {
        "accuracy": pl.concat(accuracy),
        "geometry": pl.DataFrame(geometry),
        "needed": pl.DataFrame(found, infer_schema_length=None),
        "percolation": pl.DataFrame(clusters, infer_schema_length=None),
    }
    claims = [*_of_growth(runs, tables["needed"], tables["percolation"]), *_of_findings(runs, read_of)]
    return claims, tables, {}


def _geometry(count: int, seed: int, R: Representation) -> dict[str, Any]:
    """Return a row of the table of geometry."""
    cross = np.abs(displacement_cosines(R).cross)
    return {
        "factors": count, "seed": seed, "points": math.prod(R.sizes), "interaction": additivity(R).interaction,
        "cross": float(cross.mean()), "dimension": participation_ratio(R),
    }  # fmt: skip


def _needed(of: str, count: int, seed: int, tried: list[tuple[float, float]]) -> dict[str, Any]:
    """Return a row of the table of the pictures needed; beside the axes, as many fewer as these are."""
    n, low, high = needed(tried) or (None, None, None)
    alone = round(_alone(count) * VALUES**count) if of == "with axes" else 0
    return {
        "set": of, "factors": count, "seed": seed, "needed": n, "too_few": low, "enough": high,
        "combinations": None if n is None else n - alone,
    }  # fmt: skip


def _of_growth(runs: Runs, counts: pl.DataFrame, clusters: pl.DataFrame) -> list[Claim]:
    """Make claims about the number of pictures needed as the number of factors grows."""
    known = counts.filter(pl.col("needed").is_not_null())
    roles = [role for role in runs if role.startswith("whole")]
    claims = []
    for of in SETS:
        of_set = by_seed(known.filter(pl.col("set") == of), "factors", counts["seed"].unique(maintain_order=True))
        least = len(FACTORS) - 1
        unless: list[str | None] = [
            *unmet(runs, roles),
            *(f"{of}: got the pictures needed for {len(factors)} numbers of factors with seed {seed}, needs {least}"
              for seed, (factors, _) in of_set.items() if len(factors) < least),
        ]  # fmt: skip
        about = [role for role in runs if role in roles or search(role).startswith(f"{of} | ")]
        claims += [
            claim(f"many.share.{of}", "many_factors",
                  f"{of}: exponent of the pictures needed in the number of combinations (1: a constant share of them)",
                  Bound("<=", 0.5), lambda of=of_set: [exponent(VALUES**k, n) for k, n in of.values()],
                  roles=about, unless=unless),
            claim(f"many.power.{of}", "many_factors",
                  f"{of}: exponent of the pictures needed in the number of factors "
                  "(1: as many for each value of a factor)",
                  Bound("<=", 2), lambda of=of_set: [exponent(k, n) for k, n in of.values()],
                  roles=about, unless=unless),
        ]  # fmt: skip
    claims.append(_of_percolation(known, clusters, unmet(runs, roles)))
    return claims


def _of_percolation(known: pl.DataFrame, clusters: pl.DataFrame, unless: list[str]) -> Claim:
    """Make the claim that fewer pictures are needed where fewer hang together."""
    predicted = {
        row["factors"]: row["pictures"]
        for row in clusters.filter(pl.col("threshold") == PREDICTED).to_dicts()
        if row["pictures"]
    }
    means = (
        known.filter((pl.col("set") == SETS[0]) & pl.col("factors").is_in(list(predicted)))
        .group_by("factors", maintain_order=True)
        .agg(pl.col("needed").cast(pl.Float64).log().mean().exp())
    )
    at = np.array([predicted[count] for count in means["factors"]])
    if len(at) < len(FACTORS) - 1 or len(set(at)) < 2:
        unless = [*unless, f"got both numbers for {len(at)} numbers of factors, needs 3, of which two differ"]

    return claim(
        "many.percolation", "many_factors",
        "exponent of the pictures needed in the pictures that hang together at an overlap of "
        f"{PREDICTED:g} (1 if learning follows percolation)", Bound(">", 0),
        lambda: [exponent(at, means["needed"].to_numpy())], unless=unless, of_all=True,
    )  # fmt: skip


def _of_findings(runs: Runs, read_of: Mapping[int, list[tuple[int, Representation]]]) -> list[Claim]:
    """Make the claims of other experiments for each number of factors."""
    claims = []
    for count, of_count in read_of.items():
        roles = {kind: f"{kind} | {count}" for kind in SPLITS}
        about = f"{count} factors"
        claims += [
            claim(f"many.composition.{count}", "many_factors", f"{about}, upper values of all held out: right in all",
                  Bound(">=", 0.95), lambda role=roles["composition"]: share(runs[role], "held out", "all"),
                  roles=[roles["composition"]], unless=unmet(runs, [roles["composition"]], "held out")),
            claim(f"many.interpolation.{count}", "many_factors", f"{about}, values in between left out: right in all",
                  Bound("<=", 0.5), lambda role=roles["interpolation"]: share(runs[role], "held out", "all"),
                  roles=[roles["interpolation"]], unless=unmet(runs, [roles["interpolation"]], "held out")),
            claim(f"many.interaction.{count}", "many_factors",
                  f"{about}: share of the variance that they explain only together", Bound("<=", 0.1),
                  lambda of=of_count: [interaction(R, seed) for seed, R in of],
                  roles=[f"whole | {count}"], unless=unmet(runs, [f"whole | {count}"])),
        ]  # fmt: skip
    return claims


EXPERIMENT = Experiment(
    name="many_factors",
    question="Do the findings hold with more than two factors, and how does the number of pictures needed grow?",
    figures=("many_factors",),
    specs=specs,
    analyse=analyse,
    search=search,
    more=more,
    searched=searched,
    analysis=lambda preset: 0 if preset == "smoke" else 25_000,
    beyond=True,
)
