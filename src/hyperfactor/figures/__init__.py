"""From results to figures. Nothing is computed here."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from hyperfactor.experiments.base import Result
from hyperfactor.figures import (
    ancestral,
    composition,
    data_efficiency,
    emergence,
    exterior,
    hyperfactorization,
    interpolation,
    many_factors,
    matrix,
    percolation_families,
    percolation_onset,
    richer_pictures,
    style,
    torus,
)

FIGURES: dict[str, dict[str, Callable[[Result], Figure]]] = {
    "composition": {
        "1": composition.figure_1,
        "4": composition.figure_4,
        "9": composition.figure_9,
        "10": composition.figure_10,
    },
    "torus": {
        "2": torus.figure_2,
        "3": torus.figure_3,
        "8": torus.figure_8,
    },
    "hyperfactorization": {
        "3": hyperfactorization.figure_3,
        "8": hyperfactorization.figure_8,
        "noise": hyperfactorization.figure_noise,
    },
    "ancestral": {"ancestral": ancestral.figure_ancestral},
    "interpolation": {"11": interpolation.figure_11},
    "emergence": {"emergence": emergence.figure_emergence},
    "many_factors": {"many_factors": many_factors.figure_many_factors},
    "richer_pictures": {"richer_pictures": richer_pictures.figure_richer_pictures},
    "percolation_families": {"percolation_families": percolation_families.figure_percolation_families},
    "architectures": {"architectures": matrix.figure_architectures},
    "recipes": {"recipes": matrix.figure_recipes},
    "exterior": {"12": exterior.figure_12},
    "data_efficiency": {"4g": data_efficiency.figure_4g, "5": data_efficiency.figure_5},
    "percolation_onset": {
        "6": percolation_onset.figure_6,
        "13": percolation_onset.figure_13,
        "14": percolation_onset.figure_14,
        "15": percolation_onset.figure_15,
    },
}


def draw(result: Result) -> Iterator[tuple[str, str, Figure]]:
    """Draw each figure of a result.

    Yields
    ------
    number : str
        Number of the figure in the paper.
    caption : str
        Its caption.
    figure : matplotlib.figure.Figure
        The figure.
    """
    for number, function in FIGURES.get(result.experiment, {}).items():
        with style.context():
            yield number, " ".join((function.__doc__ or "").split()), function(result)
