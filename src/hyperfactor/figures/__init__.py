"""Results -> figures.  Nothing is computed here."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from hyperfactor.experiments.base import Result
from hyperfactor.figures import composition, style, torus

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
}


def draw(result: Result) -> Iterator[tuple[str, str, Figure]]:
    """Each figure of a result: its number in the paper, a caption, and the figure."""
    for number, function in FIGURES[result.experiment].items():
        with style.context():
            yield number, " ".join((function.__doc__ or "").split()), function(result)
