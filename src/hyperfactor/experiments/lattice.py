"""The lattice on which models are examined: a part of its points, and statistics with intervals over its lines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from hyperfactor.experiments.claims import Estimate
from hyperfactor.images.task import DataSpec
from hyperfactor.measures.dimension import participation_ratio_of_weighted
from hyperfactor.measures.normalised import normalised
from hyperfactor.runs.run import Run


def stride(data: DataSpec) -> int:
    """Return the step between the lattice points that an experiment uses.

    The step is 1. If `test_points` is set, it is the largest power of 2 that leaves at least that many points.
    """
    side, step = data.picture.shape[1], 1
    while data.test_points and (side // (2 * step)) ** 2 >= data.test_points:
        step *= 2
    return step


def every(data: DataSpec, step: int) -> tuple[Float[np.ndarray, "n k"], tuple[int, ...]]:
    """Return the lattice points at every step-th value of each factor.

    Returns
    -------
    points : (n, k)
        The points, in the lattice's order.
    sides : tuple of int
        Number of values of each factor.
    """
    axes = [axis[::step] for axis in data.test_axes()]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    return points, tuple(map(len, axes))


def drawn(run: Run, points: Float[np.ndarray, "n k"], step: int) -> Float[np.ndarray, "n c h w"]:
    """Return drawings of points by the model of a training step, with the noise of the run's own seed.

    At the end of training they are the recorded ones, if all of these points were judged.
    """
    if step == run.spec.training.steps:
        recorded, pictures = run.pictures
        rows = {point: row for row, point in enumerate(map(tuple, recorded.tolist()))}
        if all(point in rows for point in map(tuple, points.tolist())):
            return pictures[[rows[point] for point in map(tuple, points.tolist())]]
    return run.sample(points, run.spec.seed, step)


def read(
    run: Run, points: Float[np.ndarray, "n k"], images: Float[np.ndarray, "n c h w"], step: int | None = None
) -> Float[np.ndarray, "n d"]:
    """Return the default layer of a run's model for its own finished drawings.

    Parameters
    ----------
    run : Run
        The run.
    points : (n, k)
        Requested values, in the factors' units.
    images : (n, c, h, w)
        Their drawings, with the noise of the run's own seed. A model that draws in one call does not see them.
    step : int, optional
        Training step of a model that the run kept. Default: the trained model.
    """
    layer, seen = run.model.default_layer, images if run.model.timesteps > 1 else None
    return run.activations(layer, factors=points, step=step, pictures=seen, seed=run.spec.seed)[layer]


def over_lines(
    statistic: Callable[..., float],
    sides: Sequence[int],
    generator: np.random.Generator,
    samples: int,
) -> Estimate:
    """Return a statistic of a lattice with its bootstrap interval over lattice lines.

    Repeated lines bias many statistics, so the interval has the width of the samples' spread and is centred on the
    value.

    Parameters
    ----------
    statistic : function
        Takes for each factor the indices of its values, which choose the lines.
    sides : sequence of int
        Number of values of each factor.
    generator : numpy.random.Generator
        Draws the lines, with replacement.
    samples : int
        Number of bootstrap samples.
    """
    return _estimate([statistic(*lines) for lines in _lines(sides, generator, samples)])


def _lines(
    sides: Sequence[int], generator: np.random.Generator, samples: int
) -> list[tuple[Int[np.ndarray, " n_k"], ...]]:
    """Return all values of each factor, then those of each bootstrap sample."""
    drawn = [tuple(generator.integers(n, size=n) for n in sides) for _ in range(samples)]
    return [tuple(np.arange(n) for n in sides), *drawn]


def _estimate(values: Sequence[float] | np.ndarray) -> Estimate:
    """Return the first value, with the interval that the others give."""
    measured, drawn = float(values[0]), values[1:]
    low, high = measured + np.quantile(drawn, [0.025, 0.975]) - np.mean(drawn)
    return Estimate(measured, float(low), float(high), "bootstrap over lattice lines")


def dimension_over_lines(
    readings: Sequence[Float[np.ndarray, "n_1 n_2 d"]], generator: np.random.Generator, samples: int
) -> Estimate:
    """Return the participation ratio with its interval over lattice lines.

    With several readings it is corrected for noise (see `measures.readings`).

    Parameters
    ----------
    readings : sequence of (n_1, n_2, d)
        One array, or several independent ones.
    generator, samples
        As for `over_lines`.
    """
    sides = readings[0].shape[0], readings[0].shape[1]
    weighted = participation_ratio_of_weighted([R.reshape(-1, R.shape[-1]) for R in readings])
    times = [
        np.outer(*(np.bincount(lines, minlength=n) for lines, n in zip(of_sample, sides, strict=True))).ravel()
        for of_sample in _lines(sides, generator, samples)
    ]
    return replace(_estimate(weighted(np.stack(times))), span=(1.0, math.inf))


def interaction_over_lines(R: Float[np.ndarray, "n_1 n_2 d"], generator: np.random.Generator, samples: int) -> Estimate:
    """Return the share of the variance that two factors explain only together, with its interval over lattice lines.

    It is `additivity(R).interaction`. With K the inner products of the points, and w = u v the weights of the lines
    drawn along x and along y, which sum to 1,
        sum |R - m|^2 = sum_ij w_ij K_ij,ij - M,    sum |m_x - m|^2 = sum_i u_i sum_jk v_j v_k K_ij,ik - M
    where M = |m|^2 = w' K w, and likewise for y. No sample needs the points themselves.

    Parameters
    ----------
    R : (n_1, n_2, d)
        The representation.
    generator, samples
        As for `over_lines`.
    """
    n_1, n_2, _ = R.shape
    flat = normalised(R).values.reshape(n_1 * n_2, -1)
    K = (flat @ flat.T).reshape(n_1, n_2, n_1, n_2)
    own, of_x, of_y = np.einsum("ijij->ij", K), np.einsum("ijik->ijk", K), np.einsum("ijkj->jik", K)

    def interaction(x: np.ndarray, y: np.ndarray) -> float:
        u, v = np.bincount(x, minlength=n_1) / n_1, np.bincount(y, minlength=n_2) / n_2
        w = np.outer(u, v).ravel()
        mean = w @ K.reshape(len(w), -1) @ w
        total = u @ own @ v - mean
        return float(1 - (u @ (of_x @ v @ v) + v @ (of_y @ u @ u) - 2 * mean) / total)

    return over_lines(interaction, (n_1, n_2), generator, samples)
