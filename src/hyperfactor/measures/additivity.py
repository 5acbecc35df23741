"""The share of the variance of a representation that each factor explains alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from hyperfactor.errors import RequestError
from hyperfactor.measures.normalised import normalised
from hyperfactor.measures.readings import inner, noise_share
from hyperfactor.measures.representation import Given, Representation

MOST_VALUES = 2000  # largest number of values of all factors together, for least squares


@dataclass(frozen=True)
class Additivity:
    """Shares of the variance of R over the lattice, which sum to 1.

    Attributes
    ----------
    main : tuple of float
        Share that each factor explains alone.
    interaction : float
        Share that no sum of functions of single factors explains.
    noise : float or None
        Share of a reading's variance that is noise, and is in none of the others; None for a single reading.
    """

    main: tuple[float, ...]
    interaction: float
    noise: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {"main": list(self.main), "interaction": self.interaction, "noise": self.noise}


def additivity(R: Given) -> Additivity:
    """Analyse the variance of R over its lattice.

    With m_k the mean of R over all factors but k, and m the mean over all, ::

        main[k] = sum |m_k - m|^2 / sum |R - m|^2,    interaction = 1 - sum_k main[k]

    where sums run over the lattice (Fisher, Statistical Methods for Research Workers, 1925). With several readings,
    squares are taken across them.

    Parameters
    ----------
    R : (n_1, ..., n_k, d), list of such arrays, or Representation
        A representation, or two or more readings of it.

    Raises
    ------
    RequestError
        If R is no representation, and for readings that contain only noise.
    """
    centred = Representation.of(R).normalised.values
    factors = range(1, centred.ndim - 1)
    total = np.mean(inner(centred, centred))
    if not total > 0:
        raise RequestError("R: got readings that have no variance in common, needs more of them or less noise")
    main = []
    for k in factors:
        effect = centred.mean(axis=tuple(other for other in factors if other != k))  # (m, n_k, d)
        main.append(float(np.mean(inner(effect, effect)) / total))
    return Additivity(tuple(main), 1.0 - sum(main), noise_share(centred))


@dataclass(frozen=True)
class LeastSquares:
    """Shares of the variance of the conditions that are there. The shares that are not None sum to 1.

    Attributes
    ----------
    main : tuple of float or None
        Share that each factor explains beside the others. None: not estimable.
    shared : float
        Share that sums of functions of single factors explain but that belongs to no single factor, because the
        factors' values go together in the table. It is 0 if all conditions are there. It is negative where the effects
        of factors that go together cancel, so that each explains more beside the others than alone.
    interaction : float or None
        Share that no sum of functions of single factors explains. None: not estimable.
    inestimable : tuple of str
        The reason for each None.
    """

    main: tuple[float | None, ...]
    shared: float
    interaction: float | None
    inestimable: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "main": list(self.main), "shared": self.shared, "interaction": self.interaction,
            "inestimable": list(self.inestimable), "noise": None,
        }  # fmt: skip


def least_squares_additivity(
    means: Float[np.ndarray, "c d"], conditions: Int[np.ndarray, "c k"], names: Sequence[str]
) -> LeastSquares:
    """Analyse the variance by least squares if some combinations of factor values are missing.

    With S the sum of squares around the mean, and S(A) the part of it that the best sum of functions of the factors A
    leaves,
        main[k] = (S(all but k) - S(all)) / S,    interaction = S(all) / S
    (the fitted squares of F. Yates, J. Amer. Statist. Assoc. 29 (1934) 51). With all combinations it is `additivity`.

    Parameters
    ----------
    means : (c, d)
        A vector for each combination of factor values that is there.
    conditions : (c, k)
        These combinations: for each factor the number of its value, from 0, without gaps.
    names : sequence of str
        The factors.

    Raises
    ------
    RequestError
        If the factors have more than MOST_VALUES values together.
    """
    sizes = conditions.max(axis=0) + 1
    if sizes.sum() > MOST_VALUES:
        raise RequestError(
            f"factors: got {sizes.sum():,} values of {', '.join(names)}, needs at most {MOST_VALUES:,}: "
            "values that come again"
        )
    given = normalised(means).values
    if not (whole := float(np.sum(given**2))):
        raise RequestError("means: got ones that are all equal, needs some that differ")
    effects = [np.eye(size)[codes, 1:] for size, codes in zip(sizes, conditions.T, strict=True)]
    explained, rank = _fit(given, effects)
    main, lines = [], []
    for k, (name, size) in enumerate(zip(names, sizes, strict=True)):
        without, lower = _fit(given, effects[:k] + effects[k + 1 :])
        if rank - lower < size - 1:
            main.append(None)
            lines.append(f"{name}: in this table {rank - lower} of its {size - 1} contrasts are apart from the others")
        else:
            main.append(max(0.0, explained - without) / whole)
    interaction = max(0.0, 1 - explained / whole)
    if rank == len(given):
        interaction = None
        lines.append(f"interaction: {len(given)} conditions leave nothing beside {rank} additive effects")
    shared = 1 - sum(share for share in (*main, interaction) if share is not None)
    return LeastSquares(tuple(main), shared, interaction, tuple(lines))


def _fit(given: Float[np.ndarray, "c d"], effects: Sequence[Float[np.ndarray, "c e"]]) -> tuple[float, int]:
    """Fit a constant and some effects: the sum of squares that they explain, and the number of parameters."""
    design = np.concatenate([np.ones((len(given), 1)), *effects], axis=1)
    u, s, _ = np.linalg.svd(design, full_matrices=False)
    u = u[:, s > s[0] * 1e-10]
    return float(np.sum((u.T @ given) ** 2)), u.shape[1]
