"""Ideal shapes: representations that keep their factors apart.

A shape is built factor by factor. Each factor has a code, which is a curve in dimensions of its own, and the shape is
the product of the codes: R[i_1, ..., i_k] = (code_1[i_1], ..., code_k[i_k]). Each kind of factor has a flat code and a
code of tuning curves, one a lattice value, whose limit for a width of 0 is a one-hot code:

    kind            flat            tuning curves
    periodic        circle          Gaussian ring
    open            segment         Gaussian row
    categorical     simplex         simplex

The simplex is the one-hot code: its corners are all equally far apart, because categories have no order.

Two periodic factors make the shapes of the paper, from the least factorized to the most:

    3D torus                a doughnut: y turns in a plane that x carries round
    Clifford torus          x and y each turn on a circle, in planes orthogonal to each other
    hyper-factorized torus  x and y each run round a Gaussian ring, which turns through many dimensions, so that far
                            values of one factor are orthogonal too
"""

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from jaxtyping import Float

from hyperfactor import arrays
from hyperfactor.errors import RequestError, quoted
from hyperfactor.measures.representation import Axis, Lattice

Code = Float[np.ndarray, "n c"]


def _circle(at: Float[np.ndarray, " n"], width: float) -> Code:
    angle = 2 * np.pi * at / len(at)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _segment(at: Float[np.ndarray, " n"], width: float) -> Code:
    return at[:, None]


def _simplex(at: Float[np.ndarray, " n"], width: float) -> Code:
    return np.eye(len(at))


def _gaussian_row(at: Float[np.ndarray, " n"], width: float) -> Code:
    return _tuned(np.abs(np.subtract.outer(at, at)), width)


def _gaussian_ring(at: Float[np.ndarray, " n"], width: float) -> Code:
    distance = np.abs(np.subtract.outer(at, at))
    return _tuned(np.minimum(distance, len(at) - distance), width)


def _tuned(distance: Float[np.ndarray, "n n"], width: float) -> Code:
    """exp(-distance^2 / 2 width^2); one-hot for a width of 0."""
    number = arrays.real(width)
    if not 0 <= number < math.inf:
        raise RequestError(f"width: got {quoted(width)}, needs a number of at least 0")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        codes = np.exp(-((distance / number) ** 2) / 2) if number else np.eye(len(distance))
    return np.where(distance == 0, 1.0, codes)


CODES: dict[str, dict[str, Callable[[np.ndarray, float], Code]]] = {
    "periodic": {"circle": _circle, "Gaussian ring": _gaussian_ring},
    "open": {"segment": _segment, "Gaussian row": _gaussian_row},
    "categorical": {"simplex": _simplex},
}
TORI = {
    "circle": "Clifford torus",
    "Gaussian ring": "hyper-factorized torus",
}  # names for two or more such factors alone


def references(axes: Sequence[Axis], sizes: Sequence[int], width: float = 1.0) -> dict[str, Lattice]:
    """Build the ideal shapes for factors of given kinds.

    Factors of one kind have one code, so there are at most four products: of circles or Gaussian rings with segments or
    Gaussian rows. A name joins the codes in the order of the factors, such as "circle x segment". Two or more periodic
    factors alone make tori, named as in the paper.

    Parameters
    ----------
    axes : sequence of Axis
        The factors.
    sizes : sequence of int
        Number of lattice values of each factor.
    width : float
        Width of the tuning curves, in lattice steps.

    Returns
    -------
    dict of str to (n_1, ..., n_k, c)
        The shapes, by name. The 3D torus is among them for two periodic factors with equally many, equally spaced
        values.

    Raises
    ------
    RequestError
        For a width that is not a number of at least 0.
    """
    places = [axis.positions(size) for axis, size in zip(axes, sizes, strict=True)]
    kinds = list(dict.fromkeys(axis.kind for axis in axes))
    found: dict[str, Lattice] = {}
    if kinds == ["periodic"] and len(axes) == 2 and all(np.array_equal(at, np.arange(sizes[0])) for at in places):
        found["3D torus"] = torus_3d(sizes[0])
    for words in product(*(CODES[kind] for kind in kinds)):
        chosen = dict(zip(kinds, words, strict=True))
        name = " x ".join(chosen[axis.kind] for axis in axes)
        if kinds == ["periodic"] and len(axes) > 1:
            name = TORI[words[0]]
        codes = [CODES[axis.kind][chosen[axis.kind]](at, width) for axis, at in zip(axes, places, strict=True)]
        found[name] = _product(codes)
    return found


def torus_3d(n: int, major: float = 2.0, minor: float = 1.0) -> Float[np.ndarray, "n n 3"]:
    """Build a doughnut at n equal angles a and b.

    Its points are ((major + minor cos b) cos a, (major + minor cos b) sin a, minor sin b).

    Parameters
    ----------
    n : int
        Number of values of each factor.
    major, minor : float
        Radii of the ring and of the tube, 0 < minor <= major.

    Raises
    ------
    RequestError
        For a number of values below 2, or other radii.
    """
    if not 0 < arrays.real(minor) <= arrays.real(major) < math.inf:
        raise RequestError(f"torus_3d: got radii {quoted(major)} and {quoted(minor)}, needs 0 < minor <= major")
    angles = 2 * np.pi * np.arange(arrays.whole(n, "n", 2)) / n
    a, b = np.meshgrid(angles, angles, indexing="ij")
    ring = major + minor * np.cos(b)
    return np.stack([ring * np.cos(a), ring * np.sin(a), minor * np.sin(b)], axis=-1)


def clifford_torus(n: int | Sequence[int]) -> Lattice:
    """Build (cos a, sin a, cos b, sin b, ...) at equal angles.

    Parameters
    ----------
    n : int or sequence of int
        Number of values of each of two factors, or n_1, ..., n_k.

    Returns
    -------
    (n_1, ..., n_k, 2 k)
        The torus.
    """
    return _product([_circle(np.arange(float(size)), 0.0) for size in _sizes(n)])


def hyper_factorized_torus(n: int | Sequence[int], width: float = 1.0) -> Lattice:
    """Code each factor by a ring of Gaussian tuning curves, one a lattice value.

    With ``|i - j|`` taken round the ring, the code of value i is ``exp(-|i - j|^2 / 2 width^2)`` for j = 1 .. n.

    Parameters
    ----------
    n : int or sequence of int
        Number of values of each of two factors, or n_1, ..., n_k.
    width : float
        Width of a tuning curve, in lattice steps; 0 for a one-hot code.

    Returns
    -------
    (n_1, ..., n_k, n_1 + ... + n_k)
        The torus.
    """
    return _product([_gaussian_ring(np.arange(float(size)), width) for size in _sizes(n)])


def _sizes(n: int | Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(arrays.whole(size, "n", 2) for size in (n if isinstance(n, Sequence) else (n, n)))
    if not sizes:
        raise RequestError("n: got no sizes, needs at least one")
    return sizes


def _product(codes: list[Code]) -> Lattice:
    shape = tuple(len(code) for code in codes)
    parts = []
    for k, code in enumerate(codes):
        spread = code.reshape([-1 if k == axis else 1 for axis in range(len(codes))] + [code.shape[1]])
        parts.append(np.broadcast_to(spread, (*shape, code.shape[1])))
    return np.concatenate(parts, axis=-1)
