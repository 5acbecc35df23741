"""The progress of training, drawn in a terminal or in a notebook."""

import math
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeElapsedColumn

from hyperfactor import notebook
from hyperfactor.runs.cost import Outlook
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec

SETTLED = 5.0  # seconds of training from which the time left is estimated
AGAIN = 600.0  # seconds without a line after which the time left is printed again where there is no bar
OFTEN = 0.2  # seconds between two drawings in a notebook
BESIDE = 44  # columns beside the bar


def visible() -> bool:
    """Whether somebody sees the progress of a program: in a notebook or in a terminal."""
    return notebook.running() or sys.stderr.isatty()


def duration(seconds: float) -> str:
    """Format a time that is known roughly: about 40 s, about 12 minutes, about 3.4 hours."""
    if seconds < 100:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} minutes" if seconds < 100 * 60 else f"about {seconds / 3600:.3g} hours"


class Progress:
    """A bar over runs with the time left, a line when that is first known, and a line for each finished run.

    The bar needs a notebook, or a terminal that can move its cursor. Elsewhere, as in a file, there are only the lines,
    and the time left is printed every ten minutes. A notebook shows the bar without widgets, and no line of time left.

    Parameters
    ----------
    specs : sequence of RunSpec
        The runs to train.
    titles : callable, optional
        titles() returns the names of runs by id. Default: "run 1 of 3".
    quiet : bool
        Whether to show nothing but what `say` is called with.
    later : callable
        later() returns the effort of what follows (see `Outlook`).
    """

    def __init__(
        self, specs: Sequence[RunSpec], titles: Callable[[], dict[str, str]] | None = None, quiet: bool = False,
        later: Callable[[], float] = lambda: 0.0,
    ):  # fmt: skip
        self.titles = titles or self._numbers
        self._quiet, self._runs = quiet, [spec.id for spec in specs]
        self._outlook = Outlook(specs, later)
        self._in_notebook = notebook.running()
        self._due: float | None = None  # when the time left is to be printed; None before the first report
        self._cell = None  # what updates the bar in a notebook
        self._drawn = 0.0  # time of its last update
        self._console = Console(stderr=True)
        self._moves = self._console.is_terminal and not self._console.is_dumb_terminal
        width = min(40, max(4, self._console.width - BESIDE))
        self._bar = Bar(
            TextColumn("{task.description}"), BarColumn(width), TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(), TextColumn("{task.fields[left]}"),
            console=self._console, disable=quiet or not (self._moves or self._in_notebook), transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=1.0, left="")

    def __enter__(self) -> "Progress":
        if not self._in_notebook:
            self._bar.start()
        elif not self._quiet:
            from IPython.display import display

            self._cell = display(self._bar, display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._cell:
            self._bar.stop_task(self._task)
            self._cell.update(self._bar)
        elif not self._in_notebook:
            self._bar.stop()

    def _numbers(self) -> dict[str, str]:
        return {run: f"run {k} of {len(self._runs)}" for k, run in enumerate(self._runs, 1)}

    def follow(self, following: Callable[[Run], Sequence[RunSpec]]) -> Callable[[Run], Sequence[RunSpec]]:
        """Let the progress know of each finished run, and of the specs that `following` returns for it."""

        def known(run: Run) -> Sequence[RunSpec]:
            further = following(run)
            self._runs += [spec.id for spec in further]
            self._outlook.expect(further)
            self._outlook.finish(run.id, time.monotonic())
            self._draw()
            return further

        return known

    def step(self, spec: RunSpec, step: int) -> None:
        """Take the number of steps done of a run. Print the time left when it is known, and in a file now and then."""
        now = time.monotonic()
        self._due = now + SETTLED if self._due is None else self._due
        self._outlook.step(spec.id, step, now)
        self._draw()
        if now >= self._due and not (self._quiet or self._in_notebook) and (left := self._left()):
            self._due = now + (math.inf if self._moves else AGAIN)
            self.say(f"training: {left}")

    def finished(self, run: Run) -> None:
        """Print that a run is trained, and the time left, unless quiet."""
        self._outlook.finish(run.id, time.monotonic())
        self._draw()
        seconds, left = run.manifest["seconds"], self._left()
        if self._due is not None and left:
            self._due = max(self._due, time.monotonic() + AGAIN)
        if not self._quiet:
            self.say(
                f"{self.titles()[run.id]}: trained in {seconds['train']:.0f} s, judged in {seconds['evaluate']:.0f} s "
                f"({run.id})" + (f"; {left}" if left else "")
            )

    def analysing(self) -> None:
        """Say that all runs are trained, and how long the analyses take, if any run was trained now."""
        self._bar.update(self._task, description="analysing")
        self._draw()
        if not self._quiet and (left := self._left()):
            self.say(f"analysing: {left}")

    def analysed(self, name: str, seconds: float) -> None:
        """Print that an analysis is done, and the time left, unless quiet."""
        self._draw()
        if not self._quiet:
            self.say(f"{name}: analysed in {seconds:.0f} s" + (f"; {left}" if (left := self._left()) else ""))

    def say(self, line: str) -> None:
        """Print a line, also if quiet. In a terminal it wraps between words."""
        wraps = self._console.is_terminal or self._in_notebook
        self._console.print(line, highlight=False, markup=False, soft_wrap=not wraps)

    def _left(self) -> str:
        """The time left, or nothing if it is not known or nothing is left."""
        seconds = self._outlook.seconds() or 0.0
        return f"{duration(seconds)} left" if seconds >= 0.5 else ""

    def _draw(self) -> None:
        self._bar.update(self._task, completed=self._outlook.share, left=self._left())
        if self._cell and time.monotonic() - self._drawn >= OFTEN:
            self._drawn = time.monotonic()
            self._cell.update(self._bar)
