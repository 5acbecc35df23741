"""Tables of judged drawings: one row a drawing, and one row a region."""

import numpy as np
import polars as pl
from jaxtyping import Float

from hyperfactor.images.task import Task
from hyperfactor.measures.accuracy import copying_baseline, measure


def judge(
    task: Task, region: str, points: Float[np.ndarray, "n k"], images: Float[np.ndarray, "n c h w"]
) -> pl.DataFrame:
    """Judge drawings of a region.

    Parameters
    ----------
    task : Task
        Training data of the model.
    region : str
        Name for the rows.
    points : (n, k)
        Requested values, in the factors' units.
    images : (n, c, h, w)
        Drawings, in [0, 1].

    Returns
    -------
    polars.DataFrame
        One row a drawing: region, the factors, the value read of each (`x_read`), whether it is correct (`x_correct`),
        all, valid, right, error (see `measures.accuracy`), and whether a copy of the nearest trained point is correct
        (`x_copied`).
    """
    names, accuracy = task.space.names, measure(images, points, task.family)
    copied = copying_baseline(points, task.points, task.family)
    return pl.DataFrame(
        {"region": [region] * len(points)}
        | {name: points[:, k] for k, name in enumerate(names)}
        | {f"{name}_read": accuracy.read[:, k] for k, name in enumerate(names)}
        | {f"{name}_correct": accuracy.correct[:, k] for k, name in enumerate(names)}
        | {"all": accuracy.all, "valid": accuracy.valid, "right": accuracy.right, "error": accuracy.error}
        | {f"{name}_copied": copied[:, k] for k, name in enumerate(names)}
    )


def summarize(evaluation: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Summarize the rows of `judge` by region.

    Parameters
    ----------
    evaluation : polars.DataFrame
        Rows of `judge`.
    names : tuple of str
        The factors.

    Returns
    -------
    polars.DataFrame
        One row a region: region, n, the share correct in each factor, in all, valid, right, the median error, and the
        copying baseline's share correct in each factor (`x_copied`) and in all (`all_copied`).
    """
    copied = pl.all_horizontal(f"{name}_copied" for name in names)
    return evaluation.group_by("region", maintain_order=True).agg(
        pl.len().alias("n"),
        *(pl.col(f"{name}_correct").mean().alias(name) for name in names),
        pl.col("all").mean(),
        pl.col("valid").mean(),
        pl.col("right").mean(),
        pl.col("error").median(),
        *(pl.col(f"{name}_copied").mean() for name in names),
        copied.mean().alias("all_copied"),
    )
