"""Handwritten digits at positions: pictures of a category that has no closed form, and two coordinates.

The pictures are those of scikit-learn's `load_digits`: 1,797 digits of 8 x 8 pixels, from the test set of the UCI
"Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998). Each digit has one exemplar: the picture
whose squared distances from all pictures of its class have the smallest sum (the medoid). Between whole pixels it is
shifted by bilinear interpolation.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from hyperfactor.factors.space import Factor, FactorSpace
from hyperfactor.images.family import Family, Reading, correlation
from hyperfactor.strict import Integer

SIDE = 8  # rows and columns of a digit, in pixels
BEFORE = 4  # pixels of a digit before its place
READ = 64  # pictures read at a time
PARTS = 64  # parts of a pixel to which a place is read
FINER = 8  # parts of a pixel between places on the second of three grids; on the first it is half a pixel


@lru_cache(maxsize=1)
def exemplars() -> Float[np.ndarray, "10 8 8"]:
    """The exemplar of each digit, in [0, 1]."""
    from sklearn.datasets import load_digits  # 1 s to import

    pictures, digits = load_digits(return_X_y=True)
    pictures = pictures / 16
    chosen = []
    for digit in range(10):
        of_digit = pictures[digits == digit]
        square = (of_digit**2).sum(axis=1)
        distance = square[:, None] + square - 2 * of_digit @ of_digit.T
        chosen.append(of_digit[distance.sum(axis=1).argmin()])
    return np.reshape(chosen, (10, SIDE, SIDE))


class Digits(Family):
    """A handwritten digit at (x, y), bright on dark.

    Attributes
    ----------
    size : int
        Rows and columns, in pixels; at least 16, and a multiple of 8.
    """

    family: Literal["digits"] = "digits"
    resolution = 1 / PARTS

    size: Integer = Field(default=32, ge=16, multiple_of=8)

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, self.size, self.size

    def space(self) -> FactorSpace:
        """The factors digit, x and y. The digit fills the columns x - 4 .. x + 3 and the rows y - 4 .. y + 3."""
        low, high = BEFORE, self.size - (SIDE - BEFORE)
        return FactorSpace(
            (Factor("digit", 0, 9, "categorical"), Factor("x", low, high, "open", 1), Factor("y", low, high, "open", 1))
        )

    def render(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 1 size size"]:
        digits, places = points[:, 0].astype(int), points[:, 1:] - BEFORE
        pixel = np.arange(self.size)
        # the bilinear weight of each column of the digit in each column of the picture, and of each row
        columns, rows = (
            (1 - np.abs(pixel[:, None] - place[:, None, None] - np.arange(SIDE))).clip(0) for place in places.T
        )
        return (rows @ exemplars()[digits] @ columns.transpose(0, 2, 1))[:, None]

    def read(self, images: Float[np.ndarray, "n 1 size size"]) -> Reading:
        """Read the digit and its place, to `resolution`.

        The picture of which digit at which place correlates most with the given one: first at all places of a grid of
        half a pixel, then for each digit on two finer grids around its best place. The correlation is exact: the inner
        product with a shifted digit is itself interpolated between those at whole pixels. A uniform picture shows no
        factor (NaN).

        Parameters
        ----------
        images : (n, 1, size, size)
            Pictures.

        Returns
        -------
        Reading
            Digits and places, and fit.
        """
        parts = [self._values(images[i : i + READ, 0]) for i in range(0, len(images), READ)]
        values = np.concatenate(parts) if parts else np.empty((0, 3))
        known = np.isfinite(values).all(axis=1)
        fit = np.zeros(len(images))
        fit[known] = correlation(images[known], self.render(values[known]))
        return Reading(values, fit)

    def _values(self, images: Float[np.ndarray, "n size size"]) -> Float[np.ndarray, "n 3"]:
        flat = images - images.mean(axis=(1, 2), keepdims=True)
        windows = np.lib.stride_tricks.sliding_window_view(flat, (SIDE, SIDE), axis=(1, 2))
        inner = np.einsum("nyxij,dij->ndyx", windows, exemplars(), optimize=True)
        norms = _norms(self.size)
        at = _best_on_halves(inner, norms)
        for around in (FINER * np.arange(-4, 5), np.arange(-FINER, FINER + 1)):
            near = np.stack(np.meshgrid(around, around, indexing="ij"), axis=-1).reshape(-1, 2)
            tried = (at[:, :, None] + near).clip(0, PARTS * (self.size - SIDE))
            found = _match(inner, norms, tried)  # (n, digit, place)
            best = found.argmax(axis=2)[:, :, None]
            at = np.take_along_axis(tried, best[..., None], axis=2)[:, :, 0]
        digit = np.take_along_axis(found, best, axis=2)[:, :, 0].argmax(axis=1)
        y, x = at[np.arange(len(at)), digit].T / PARTS + BEFORE
        seen = np.abs(flat).max(axis=(1, 2)) > 1e-9
        return np.where(seen[:, None], np.stack([digit, x, y], axis=1), np.nan)


@lru_cache(maxsize=4)
def _norms(size: int) -> Float[np.ndarray, "10 parts parts"]:
    """The norm of a digit in a picture, less the mean of the picture, at each part of a pixel along y and along x."""
    part = np.arange(PARTS)[:, None, None] / PARTS
    weights = (1 - np.abs(np.arange(SIDE + 1)[:, None] - part - np.arange(SIDE))).clip(0)  # (part, pixel, its own)
    gram = weights.transpose(0, 2, 1) @ weights
    square = np.einsum("dki,ykl,dlj,xji->dyx", exemplars(), gram, exemplars(), gram, optimize=True)
    return np.sqrt(square - exemplars().sum(axis=(1, 2))[:, None, None] ** 2 / size**2)


def _best_on_halves(
    inner: Float[np.ndarray, "n 10 h w"], norms: Float[np.ndarray, "10 parts parts"]
) -> Int[np.ndarray, "n 10 2"]:
    """The place (y, x) of each digit that correlates most, among all multiples of half a pixel, in parts of a pixel."""
    count = inner.shape[2]
    halves = (1 - np.abs(np.arange(2 * count - 1)[:, None] / 2 - np.arange(count))).clip(0)
    of_half = np.arange(2 * count - 1) % 2 * (PARTS // 2)
    found = halves @ inner @ halves.T / norms[:, of_half][:, :, of_half]
    best = found.reshape(*inner.shape[:2], -1).argmax(axis=2)
    return np.stack(np.divmod(best, 2 * count - 1), axis=-1) * (PARTS // 2)


def _match(
    inner: Float[np.ndarray, "n 10 h w"],
    norms: Float[np.ndarray, "10 parts parts"],
    at: Int[np.ndarray, "n 10 m 2"],
) -> Float[np.ndarray, "n 10 m"]:
    """The correlation with each digit at places (y, x), in parts of a pixel, up to the norm of the picture."""
    (row, column), (down, right) = np.moveaxis(at // PARTS, -1, 0), np.moveaxis(at % PARTS, -1, 0)
    picture, digit = np.arange(len(at))[:, None, None], np.arange(at.shape[1])[:, None]
    below, beside = (np.minimum(place + 1, inner.shape[2] - 1) for place in (row, column))
    upper = (PARTS - right) * inner[picture, digit, row, column] + right * inner[picture, digit, row, beside]
    lower = (PARTS - right) * inner[picture, digit, below, column] + right * inner[picture, digit, below, beside]
    return ((PARTS - down) * upper + down * lower) / PARTS**2 / norms[digit, down, right]
