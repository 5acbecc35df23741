"""Results -> figures.  Nothing is computed here."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from hyperfactor.experiments.base import Result
from hyperfactor.figures import composition, style

FIGURES: dict[str, dict[str, Callable[[Result], Figure]]] = {
    "composition": {
        "1": composition.figure_1,
        "4": composition.figure_4,
        "9": composition.figure_9,
        "10": composition.figure_10,
    },
}


def draw(result: Result) -> Iterator[tuple[str, str, Figure]]:
    """Each figure of a result: its number in the paper, a caption, and the figure."""
    for number, function in FIGURES[result.experiment].items():
        with style.context():
            yield number, (function.__doc__ or "").strip(), function(result)
