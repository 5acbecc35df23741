"""A reading of factor values that is learnt from labelled pictures, with its measured error rate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays, rng
from hyperfactor.errors import RequestError
from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.family import Reading, correlation
from hyperfactor.measures.accuracy import measure_by_reading

HELD_OUT = 0.2  # share of the labelled pictures that measure the error
FOLDS = 5  # folds of the cross-validation on the others
LEAST = 25  # labelled pictures needed


@dataclass(frozen=True, eq=False)
class Fitted:
    """A function from pictures to factor values. Make one with `fitted`.

    Attributes
    ----------
    method : str
        The regression that was chosen.
    error_rates : dict of str to float
        Share of held-out labelled pictures that are read wrong: by factor, in "all" factors together, and "valid" for
        those whose fit is too low.
    held_out : int
        Number of held-out pictures.
    """

    method: str
    error_rates: dict[str, float]
    held_out: int
    space: FactorSpace
    regression: Any
    images: Float[np.ndarray, "m c h w"]
    factors: Float[np.ndarray, "m k"]
    nearest: Any

    def __call__(self, images: Float[np.ndarray, "n c h w"]) -> Reading:
        """Read the factor values of pictures.

        The fit of a picture is its correlation with the labelled picture whose factor values are nearest to those read.

        Parameters
        ----------
        images : (n, c, h, w)
            Pictures of the shape of the labelled ones.

        Raises
        ------
        RequestError
            For pictures of another shape.
        """
        images = np.asarray(images, dtype=np.float64)
        if images.shape[1:] != self.images.shape[1:]:
            raise RequestError(f"read: got pictures of shape {images.shape[1:]}, needs {self.images.shape[1:]}")
        if not len(images):
            return Reading(np.zeros((0, len(self.space.factors))), np.zeros(0))
        codes = self.regression.predict(images.reshape(len(images), -1)).reshape(len(images), -1)
        values = _decoded(codes, self.space)
        _, rows = self.nearest.query(_coded(values, self.space))
        return Reading(values, correlation(images, self.images[rows]))


def fitted(
    images: Float[np.ndarray, "n c h w"], factors: Float[np.ndarray, "n k"], space: FactorSpace, seed: int = 0
) -> Fitted:
    """Learn to read factor values from labelled pictures.

    A fifth of the pictures is held out. Cross-validation on the others chooses between ridge regression and regressions
    on the nearest 1, 2 and 4 pictures, by least squared error. The held-out pictures give the shares of wrong readings;
    then the regression is fitted to all pictures. Periodic factors are learnt as points of a circle,
    categories as one-hot codes.

    Parameters
    ----------
    images : (n, c, h, w)
        Pictures.
    factors : (n, k)
        Their factor values, in the factors' units.
    space : FactorSpace
        The factors. Their tolerances decide which readings are wrong.
    seed : int
        Seed of the choice of held-out pictures.

    Raises
    ------
    RequestError
        For pictures that are not finite or of another shape, values outside the space, and fewer than LEAST pictures.
    """
    from scipy.spatial import KDTree

    images, factors = arrays.finite(arrays.numbers(images, "images"), "images"), space.check(factors)
    if images.ndim != 4 or len(images) != len(factors) or len(images) < LEAST:
        raise RequestError(
            f"images: got shape {images.shape} for {len(factors)} rows of factors, needs (n, c, h, w) for n rows, "
            f"n at least {LEAST}"
        )
    order = rng.stream(seed, "read.held_out").permutation(len(images))
    out, rest = order[: round(HELD_OUT * len(order))], order[round(HELD_OUT * len(order)) :]
    flat, codes = images[rest].reshape(len(rest), -1), _coded(factors[rest], space)
    method, regression = _chosen(flat, codes)
    nearest = KDTree(codes)
    found = Fitted(method, {}, len(out), space, regression, images[rest], factors[rest], nearest)
    judged = measure_by_reading(found(images[out]), factors[out], space)
    rates = {name: float(1 - judged.correct[:, k].mean()) for k, name in enumerate(space.names)}
    rates |= {"all": float(1 - judged.all.mean()), "valid": float(1 - judged.valid.mean())}
    every = _coded(factors, space)
    regression.fit(images.reshape(len(images), -1), every)
    return Fitted(method, rates, len(out), space, regression, images, factors, KDTree(every))


def _chosen(flat: Float[np.ndarray, "n p"], codes: Float[np.ndarray, "n d"]) -> tuple[str, Any]:
    """Choose the regression with the least squared error in cross-validation, and fit it on all pictures."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.neighbors import KNeighborsRegressor

    candidates: dict[str, Any] = {"ridge": RidgeCV(np.logspace(-4, 4, 9))} | {
        f"nearest {n}": KNeighborsRegressor(n, weights="distance") for n in (1, 2, 4)
    }
    errors = {
        name: np.mean((cross_val_predict(one, flat, codes, cv=KFold(FOLDS)) - codes) ** 2)
        for name, one in candidates.items()
    }
    best = min(errors, key=lambda name: errors[name])
    return best, candidates[best].fit(flat, codes)


def _width(factor: Factor) -> int:
    """Return the length of a factor's code."""
    return {"open": 1, "periodic": 2, "categorical": int(factor.high - factor.low) + 1}[factor.kind]


def _coded(points: Float[np.ndarray, "n k"], space: FactorSpace) -> Float[np.ndarray, "n d"]:
    """Code points as numbers that a regression predicts, each factor of about the same extent."""
    parts = []
    for k, factor in enumerate(space.factors):
        share = (points[:, k] - factor.low) / max(
            factor.high - factor.low, 1.0 if factor.kind == "categorical" else 0.0
        )
        if factor.kind == "open":
            parts.append(share[:, None])
        elif factor.kind == "periodic":
            parts.append(np.stack([np.cos(2 * np.pi * share), np.sin(2 * np.pi * share)], axis=1) / 2)
        else:
            parts.append(np.eye(_width(factor))[(points[:, k] - factor.low).astype(int)])
    return np.concatenate(parts, axis=1)


def _decoded(codes: Float[np.ndarray, "n d"], space: FactorSpace) -> Float[np.ndarray, "n k"]:
    """The inverse of `_coded`, to the nearest point of the space."""
    values, begin = [], 0
    for factor in space.factors:
        part = codes[:, begin : begin + _width(factor)]
        begin += _width(factor)
        if factor.kind == "open":
            values.append(factor.low + (factor.high - factor.low) * part[:, 0].clip(0, 1))
        elif factor.kind == "periodic":
            share = np.arctan2(part[:, 1], part[:, 0]) / (2 * np.pi) % 1
            values.append(factor.low + (factor.high - factor.low) * share)
        else:
            values.append(factor.low + part.argmax(axis=1))
    return np.stack(values, axis=1)
