"""The command line: it reads requests, calls the library and prints. Imports are lazy."""

import codecs
import io
import math
import os
import re
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Collection
from contextlib import contextmanager, suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

from hyperfactor.errors import HyperfactorError, MachineError, RequestError, StoreError, machine_fault
from hyperfactor.notebook import shown
from hyperfactor.process import begin_workers, end_workers, is_computing, prepare_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

    from hyperfactor.experiments.agenda import Agenda
    from hyperfactor.experiments.base import Experiment, Result
    from hyperfactor.experiments.claims import Claim
    from hyperfactor.measures.representation import Axis, Kind, Representation
    from hyperfactor.runs.cost import Analyses, Searched
    from hyperfactor.runs.progress import Progress
    from hyperfactor.runs.run import Run
    from hyperfactor.runs.spec import RunSpec
    from hyperfactor.store.files import Files
    from hyperfactor.store.store import Entry, Store
    from hyperfactor.store.verify import Problem
    from hyperfactor.subjects.layout import Layout

app = typer.Typer(
    help="Does a generative model learn the factors of what it draws, and can it compose them?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
runs_app = typer.Typer(help="List, show, check and remove the runs in a store.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")

StoreOption = Annotated[str, typer.Option("--store", help="Folder of the runs, or s3://bucket/prefix?endpoint_url=...")]
WorkersOption = Annotated[
    int | None, typer.Option(help="Number of processes. Default: one a core; with --gpu as many as fit.")
]
SchedulerOption = Annotated[
    str | None, typer.Option(help="Address of a Dask cluster that trains: tcp://host:port, or a scheduler file.")
]
GpuOption = Annotated[bool, typer.Option("--gpu", help="Train and draw on GPUs.")]
DrawOption = Annotated[bool, typer.Option("--gpu", help="Draw on a GPU.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only, not the progress.")]
PresetOption = Annotated[
    str, typer.Option(help="smoke (seconds; shows that everything works), laptop, or paper (needs a GPU).")
]
TrackOption = Annotated[
    str | None, typer.Option(help="Send the history to tensorboard:FOLDER, wandb:PROJECT or mlflow:ADDRESS.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="Only the parts of the experiment whose names contain this, such as 'epsilon prediction / torus' of "
        "recipes. The option may be given again.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the runs and their cost; train nothing.")]
RateOption = Annotated[
    float | None,
    typer.Option(
        metavar="PICTURES/S",
        help="With --dry-run: also print GPU hours, for a GPU that trains the largest network at this rate.",
    ),
]
DEFAULT_STORE = "hyperfactor-store"
STOPPED = (130, 143)  # exit status after Ctrl-C, and after SIGTERM
MOST_VISITS = 1e12  # to neighbours of sites, in one call of `percolate`


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"hyperfactor {version('hyperfactor')}")
        raise typer.Exit


@app.callback()
def _imported(
    names: Annotated[
        list[Path] | None,
        typer.Option(
            "--import",
            metavar="FILE.py|MODULE",
            envvar="HYPERFACTOR_IMPORT",
            help="First run Python code of yours that defines families, regions, encodings, models or experiments. The "
            "option may be given again. The file is run, so name only files that you trust.",
        ),
    ] = None,
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if named := [name for name in names or () if name != Path()]:  # nothing stands beside a colon too many
        from hyperfactor import plugins

        for name in named:
            plugins.load(name)


@app.command("list", epilog="Example: hyperfactor list")
def list_() -> None:
    """List the experiments, with their questions and the figures of the paper that they draw, if any."""
    from hyperfactor.experiments import EXPERIMENTS

    indent = max(map(len, EXPERIMENTS)) + 1
    for experiment in EXPERIMENTS.values():
        many = "s" if len(experiment.figures) != 1 else ""
        figures = "beyond the paper" if experiment.beyond else f"figure{many} {', '.join(experiment.figures) or '-'}"
        _say(f"{experiment.name:<{indent}}{figures}", indent)
        _say(" " * indent + experiment.question, indent)


@app.command(epilog="Example: hyperfactor reproduce torus composition --seeds 3")
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXPERIMENT]...", help="Names. Default: all of the paper.")
    ] = None,
    preset: PresetOption = "laptop",
    seeds: Annotated[int, typer.Option(help="Number of seeds; they are 0 .. K - 1.", metavar="K")] = 1,
    only: OnlyOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    gpu: GpuOption = False,
    track: TrackOption = None,
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="Folder for the report and the figures.")] = Path("hyperfactor-report"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write claims and tables to this file.")] = None,
    dry_run: DryRunOption = False,
    rate: RateOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train the missing runs, analyse them, and write a report with figures and verdicts."""
    begin_workers(workers, scheduler)
    from hyperfactor.experiments.agenda import Agenda
    from hyperfactor.report.page import write_report
    from hyperfactor.runs.cost import later_effort
    from hyperfactor.runs.progress import Progress
    from hyperfactor.store.files import files_at
    from hyperfactor.store.named import check_writable

    began = time.perf_counter()
    chosen = _chosen(names, preset, only)
    _check_plan(dry_run, rate, workers, seeds)
    agenda = Agenda(chosen, preset, seeds)
    if dry_run:
        if json_file:
            raise RequestError(f"json: got {json_file} with --dry-run, which has no results, needs none")
        return _plan(agenda, store, workers, rate)
    check_writable(out / "report.html", json_file)
    wanted, files = agenda.missing(), files_at(store)
    analyses = cache(lambda: agenda.analyses(files))
    with Progress(wanted, agenda.titles, quiet, lambda: later_effort(agenda.searched(), analyses())) as progress:
        _, failures = _train_all(wanted, progress, store, workers, scheduler, gpu, track, agenda.add)
        if failures:
            raise typer.Exit(_status(failures))
        results = _analyse(agenda, files, progress, analyses.cache_clear)
    page = write_report(results, out)
    _present(results, json_file)
    _say(f"{time.perf_counter() - began:.0f} s; report: {page}")


def _chosen(names: list[str] | None, preset: str, only: list[str] | None) -> "list[Experiment]":
    """The experiments with these names, or all of the paper, with the parts that are wanted."""
    from hyperfactor.experiments import EXPERIMENTS, named, of_the_paper

    if unknown := [name for name in names or () if name not in EXPERIMENTS]:
        raise RequestError(f"experiment: got {unknown[0]!r}, needs {named()}")
    return [EXPERIMENTS[name].only(preset, only or ()) for name in names or of_the_paper()]


def _analyse(agenda: "Agenda", files: "Files", progress: "Progress", forget: "Callable[[], None]") -> "list[Result]":
    """Analyse the runs of experiments, and print each analysis that is done.

    `forget` forgets the cost of the analyses, which is then computed again without those that are done.
    """

    def report(name: str, seconds: float) -> None:
        forget()
        progress.analysed(name, seconds)

    progress.analysing()
    return agenda.results(files, report)


def _present(results: "list[Result]", json_file: Path | None) -> None:
    """Print the claims of results, and write their numbers."""
    from hyperfactor.store.named import write_whole
    from hyperfactor.strict import dump_json

    for result in results:
        seeds = len(result.seeds)
        _print_claims(result.claims, f"{result.experiment}, preset {result.preset}, {seeds} seed{'s' * (seeds > 1)}")
    if json_file:
        documents = [result.to_json() for result in results]
        write_whole(json_file, dump_json(documents[0] if len(documents) == 1 else documents, indent=1).encode())


@app.command(epilog="Example: hyperfactor report --out my-report")
def report(
    results: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RESULT]...", help="Keys of results, or their beginnings. Default: the newest of each experiment."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[Path, typer.Option(help="Folder for the report and the figures.")] = Path("hyperfactor-report"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write claims and tables to this file.")] = None,
) -> None:
    """Write the report of results that the store keeps. Nothing is trained or analysed."""
    from hyperfactor.report.again import report_again
    from hyperfactor.store.named import check_writable

    check_writable(out / "report.html", json_file)
    found, page = report_again(store, results or [], out)
    _present(found, json_file)
    _print_kept(store)
    _say(f"report: {page}")


def _print_kept(store: str) -> None:
    """Print the results that a store keeps, one line each."""
    import polars as pl

    from hyperfactor.store.store import Store

    rows = [
        {"result": one.key, "made": one.made, "experiment": one.question.experiment, "preset": one.question.preset}
        | {"seeds": len(one.question.seeds), "runs": sum(map(len, one.question.runs.values()))}
        for one in Store(store).results()
    ]
    _print_table(pl.DataFrame(rows), f"results that {store} keeps")


def _check_plan(dry_run: bool, rate: float | None, workers: int | None = None, seeds: int = 1) -> None:
    if seeds < 1:
        raise RequestError(f"seeds: got {seeds}, needs an integer of at least 1")
    if workers is not None and workers < 1:
        raise RequestError(f"workers: got {workers}, needs an integer of at least 1")
    if rate is not None and not (dry_run and 0 < rate < math.inf):
        raise RequestError(f"rate: got {rate:g}, needs a number above 0, and --dry-run")


def _plan(agenda: "Agenda", store: str, workers: int | None, rate: float | None) -> None:
    """Print the runs that `reproduce` would train, and their cost."""
    from hyperfactor.runs.recorded import is_finished
    from hyperfactor.runs.run import Run
    from hyperfactor.store.store import Store

    opened = Store(store)
    while found := [Run(opened, spec.id) for spec in agenda.missing() if is_finished(opened, spec)]:
        for run in found:
            agenda.add(run)
    missing, searched = agenda.missing(), agenda.searched()
    _print_runs(agenda.specs(), missing, agenda.titles(), f"; preset {agenda.preset}")
    if count := sum(count for count, _ in searched):
        _say(f"Searches will ask for about {count} more runs; the cost below includes them.")
    _print_estimate(agenda.specs(), missing, workers, rate, searched, agenda.analyses(opened.files))


def _print_runs(specs: "list[RunSpec]", missing: "list[RunSpec]", titles: dict[str, str], preset: str = "") -> None:
    """Print runs with their cost, as a table."""
    import polars as pl

    from hyperfactor.runs import cost

    lacking = {spec.id for spec in missing}
    table = pl.DataFrame(
        {
            "run": [titles[spec.id] for spec in specs],
            "id": [spec.id for spec in specs],
            "state": ["to train" if spec.id in lacking else "finished" for spec in specs],
            "parameters": [cost.parameters(spec) for spec in specs],
            "steps": [spec.training.steps for spec in specs],
            "batch": [spec.training.batch for spec in specs],
            "TFLOP": [(cost.training(spec) + cost.judging(spec)) / 1e12 for spec in specs],
        }
    )
    _print_table(table, f"{len(specs)} run{'s' * (len(specs) > 1)}, {len(missing)} to train{preset}")


def _print_estimate(
    specs: "list[RunSpec]", missing: "list[RunSpec]", workers: int | None, rate: float | None,
    searched: "Searched" = (), analyses: "Analyses" = (),
) -> None:  # fmt: skip
    """Print how long this machine takes to train and analyse runs, and a GPU of a stated rate."""
    from hyperfactor.runs import cost
    from hyperfactor.runs.progress import duration

    if not missing and not analyses:
        print("Everything is finished.")
        return
    workers = min(workers or os.cpu_count() or 1, max(1, len(missing)))
    here = cost.rates(specs, workers)
    slowest, fastest = min(here.values()), max(here.values())
    left = cost.seconds(missing, here, workers, searched, analyses)
    examining = cost.seconds((), here, workers, analyses=analyses)
    _say(
        f"{duration(left)} with {workers} worker{'s' * (workers > 1)} on this machine's CPU"
        f"{f'; analyses take {duration(examining)} of it' if analyses else ''}. "
        f"Each worker trains on {slowest:,.0f} pictures/s"
        f"{f' to {fastest:,.0f} pictures/s, by network' if len(set(here.values())) > 1 else ''}, measured now"
        f"{' with all of them at work' if workers > 1 else ''}."
    )
    if rate is not None:
        there = cost.rates_of_other_machine(specs, rate)
        hours = cost.seconds(missing, there, 1, searched, analyses) / 3600
        _say(f"{hours:.3g} GPU hours at {rate:,g} pictures/s of the largest network.")


@app.command(epilog="Example: hyperfactor sweep examples/sweep.yaml --set training.steps=700 --dry-run")
def sweep(
    grid_file: Annotated[
        Path, typer.Argument(metavar="SWEEP.yaml", help="A file with the keys base, product, zip, list.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Set a key of the base: training.steps=100.")
    ] = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    gpu: GpuOption = False,
    track: TrackOption = None,
    store: StoreOption = DEFAULT_STORE,
    dry_run: DryRunOption = False,
    rate: RateOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train many runs: every combination, row or entry of changed keys."""
    begin_workers(workers, scheduler)
    from hyperfactor.runs.grid import load_grid
    from hyperfactor.runs.progress import Progress
    from hyperfactor.runs.recorded import is_finished
    from hyperfactor.store.store import Store

    _check_plan(dry_run, rate, workers)
    specs, wrong = load_grid(grid_file, overrides or [])
    for line in wrong:
        _complain(line)
    progress = Progress(specs, quiet=quiet)
    if dry_run:
        opened = Store(store)
        missing = [spec for spec in specs if not is_finished(opened, spec)]
        _print_runs(list(specs), missing, progress.titles())
        _print_estimate(list(specs), missing, workers, rate)
        raise typer.Exit(2 if wrong else 0)
    with progress:
        done, failures = _train_all(list(specs), progress, store, workers, scheduler, gpu, track)
    _say(f"{len(done)} of {len(specs) + len(wrong)} runs are finished; `hyperfactor runs list` shows them")
    if failures or wrong:
        raise typer.Exit(_status(failures) if failures else 2)


def _train_all(
    specs: "list[RunSpec]", progress: "Progress", store: str, workers: int | None, scheduler: str | None, gpu: bool,
    track: str | None, following: "Callable[[Run], Sequence[RunSpec]]" = lambda _run: (),
) -> tuple[dict[str, Any], dict[str, HyperfactorError]]:  # fmt: skip
    """Train with a progress bar, and print the causes of failures."""
    from hyperfactor.runs.sweep import train_all

    try:
        done, failures = train_all(
            specs, store, workers=workers, scheduler=scheduler, gpu=gpu, track=track,
            report=progress.step, finished=progress.finished, following=progress.follow(following), tell=progress.say,
        )  # fmt: skip
    except KeyboardInterrupt as stop:
        raise type(stop)(_so_far(store, progress.titles())) from None
    for run, error in failures.items():
        _complain(f"{progress.titles()[run]}: {error}")
    return done, failures


def _so_far(store: str, runs: Collection[str]) -> str:
    """How many of these runs are finished; nothing if the store cannot be read."""
    from hyperfactor.store.store import MANIFEST, Store

    with suppress(StoreError, MachineError):
        opened = Store(store)
        return f"{sum(opened.has(run, MANIFEST) for run in runs)} of {len(runs)} runs are finished"
    return ""


def _status(failures: dict[str, HyperfactorError]) -> int:
    """Return 2 if only requests were wrong, 1 if a run or the machine failed."""
    return 2 if all(isinstance(error, RequestError) for error in failures.values()) else 1


@app.command(epilog="Example: hyperfactor train examples/sos.yaml --set seed=3")
def train(
    spec_file: Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="A file with the keys of a spec.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Set a key: training.steps=100.")] = None,
    store: StoreOption = DEFAULT_STORE,
    threads: Annotated[
        int, typer.Option(help="Number of threads. Results differ in their last bits between numbers of threads.")
    ] = 1,
    track: TrackOption = None,
    dry_run: DryRunOption = False,
    rate: RateOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train the run of a spec, or continue it, and print its id and accuracy."""
    from hyperfactor.runs.execute import train as train_run
    from hyperfactor.runs.progress import Progress
    from hyperfactor.runs.recorded import is_finished
    from hyperfactor.runs.spec import RunSpec
    from hyperfactor.store.store import Store

    _check_plan(dry_run, rate)
    spec = RunSpec.load(spec_file, overrides or [])
    if dry_run:
        missing = [] if is_finished(Store(store), spec) else [spec]
        _print_runs([spec], missing, {spec.id: spec_file.name})
        return _print_estimate([spec], missing, 1, rate)
    with Progress([spec], lambda: {spec.id: spec_file.name}, quiet) as progress:
        run = train_run(
            spec, store, threads=threads, track=track,
            report=lambda step: progress.step(spec, step), tell=progress.say,
        )  # fmt: skip
    _print_table(run.accuracy(), f"run {run.id}")


@app.command(epilog="Example: hyperfactor sample 7174 --factors points.csv --out images.npz")
def sample(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a finished run, or its beginning.")],
    factors: Annotated[Path, typer.Option(help="CSV file with a column for each factor.")],
    out: Annotated[Path, typer.Option(help="NPZ file for the arrays `images` and `factors`.")],
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    gpu: DrawOption = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Draw a picture for each row of factor values."""
    import numpy as np

    from hyperfactor.runs.run import Run
    from hyperfactor.store.named import check_writable, write_whole

    check_writable(out, inputs=[factors])
    opened = Run.open(store, run, _device(gpu))
    points = _read_factors(factors, opened.spec.data.picture.space().names)
    images = opened.sample(points, seed)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, factors=points)
    write_whole(out, buffer.getvalue())
    _say(f"{len(images)} pictures of {images.shape[2]} x {images.shape[3]} pixels: {out}")


LandmarksOption = Annotated[int, typer.Option(help="Number of points for persistent homology.")]
DimensionOption = Annotated[int, typer.Option(help="Highest dimension of homology.")]
NumbersOption = Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file.")]
StepOption = Annotated[int | None, typer.Option(help="Step of training, one that the run kept. Default: the last.")]
SourceOption = Annotated[
    str, typer.Option(help="trajectory (the model's own drawings) or truth (true pictures with noise).")
]
DrawingsOption = Annotated[
    int,
    typer.Option(
        help="Number of drawings of each lattice point of a run, with seeds 0, 1, ... With 2 or more, geometry and "
        "participation ratio are corrected for noise; topology, intrinsic dimension and spectrum are those of the mean "
        "drawing."
    ),
]
ReadingsOption = Annotated[
    int,
    typer.Option(
        "--drawings",
        help="Number of readings of each layer of a model, with seeds SEED, SEED + 1, ... With 2 or more, geometry and "
        "participation ratio are corrected for noise.",
    ),
]
PointsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A CSV file with a column for each factor: the points to draw at, or the factor values of each row of an "
        "array. For a model, steps of its lattice instead: x:2,y:4. For an array, the kinds of its factors: "
        "x:periodic,size:open; give the option twice for a CSV file and kinds."
    ),
]
KindsOption = Annotated[
    str | None,
    typer.Option(
        help="The factors of an array, in the order of its axes: x:periodic,size:open,shape:categorical. Default: all "
        "periodic. A run knows its own factors."
    ),
]


@app.command(epilog="Example: hyperfactor analyse 7174 --layer up2 --drawings 2 --figure shape.svg")
def analyse(
    what: Annotated[
        str, typer.Argument(metavar="RUN|ARRAY.npy", help="A finished run, or an array of shape (n_1, ..., n_k, d).")
    ],
    layer: Annotated[
        str | None, typer.Option(help="Layer of the run's network. Default: the default layer of its generator.")
    ] = None,
    timestep: Annotated[int, typer.Option(help="Timestep of diffusion; 0 for the finished picture.")] = 0,
    step: StepOption = None,
    source: SourceOption = "trajectory",
    drawings: DrawingsOption = 1,
    factors: KindsOption = None,
    landmarks: LandmarksOption = 300,
    max_dim: DimensionOption = 2,
    json_file: NumbersOption = None,
    figure_file: Annotated[Path | None, typer.Option("--figure", help="Draw to this file, .svg or .pdf.")] = None,
    gpu: DrawOption = False,
    store: StoreOption = DEFAULT_STORE,
    quiet: QuietOption = False,
) -> None:
    """Measure geometry, dimension and topology of one layer of a run, or of an array."""
    from hyperfactor import arrays
    from hyperfactor.store.named import check_writable, write_whole
    from hyperfactor.strict import dump_json
    from hyperfactor.subjects.layout import laid_out

    drawings = arrays.whole(drawings, "drawings", 1)
    if figure_file is not None and figure_file.suffix not in (".svg", ".pdf"):
        raise RequestError(f"figure: got {figure_file}, needs a name that ends with .svg or .pdf")
    check_writable(json_file, figure_file, inputs=[what])
    _check_analysed(what, factors, drawings, layer=layer, timestep=timestep, step=step, source=source, gpu=gpu)
    if _is_array(what):
        R, width, title = _read_lattice(Path(what), factors), 1.0, what
    else:
        R, width, title = _representation(store, what, layer, timestep, step, source, drawings, gpu)
    if not quiet:
        _print_cost(R, title, max_dim, landmarks)
    began = time.perf_counter()
    found = laid_out(R, landmarks=landmarks, max_dim=max_dim, width=width)
    seconds = time.perf_counter() - began
    _print_table(found.printed(), title)
    if json_file:
        write_whole(json_file, dump_json({"of": title, **found.to_json(), "seconds": seconds}, indent=1).encode())
    if figure_file:
        _write_figure(figure_file, found, title)
    print(f"{seconds:.1f} s")


def _is_array(what: str) -> bool:
    return what.lower().endswith(".npy")


def _check_analysed(what: str, factors: str | None, drawings: int, **of_runs: Any) -> None:
    """Raise RequestError for options that an array, or a run, does not have."""
    usual = {"layer": None, "timestep": 0, "step": None, "source": "trajectory", "gpu": False}
    if _is_array(what) and (given := [name for name, value in of_runs.items() if value != usual[name]]):
        raise RequestError(f"{given[0]}: got {of_runs[given[0]]!r} for an array, needs a run")
    if _is_array(what) and drawings > 1:
        raise RequestError(f"drawings: got {drawings} for an array, needs a run: an array is one reading")
    if not _is_array(what) and factors is not None:
        raise RequestError(f"factors: got {factors!r} for a run, needs an array: a run knows its own factors")


def _write_figure(path: Path, found: "Layout", title: str) -> None:
    from hyperfactor.figures import style
    from hyperfactor.figures.layout import figure
    from hyperfactor.store.named import write_whole

    with style.context():
        write_whole(path, style.save(figure(found, title), path.suffix[1:]))


def _print_cost(R: "Representation", title: str, max_dim: int, landmarks: int) -> None:
    from hyperfactor.measures.topology import FIELDS, estimate

    cost = estimate(R, max_dim, landmarks)
    _say(
        f"{title}: {' x '.join(map(str, R.shape))}, {R.readings.nbytes / 1e6:.0f} MB; homology takes at most about "
        f"{len(FIELDS) * cost.seconds:.0f} s and {cost.bytes / 1e9:.1f} GB",
        file=sys.stderr,
    )


def _representation(
    store: str, prefix: str, layer: str | None, timestep: int, step: int | None, source: str, drawings: int, gpu: bool
) -> "tuple[Representation, float, str]":
    """Read the representation of a run over the factors that vary, one reading a drawing.

    Returns the representation, the width of tuning curves in lattice steps, and a title.
    """
    from hyperfactor.factors.space import FactorSpace
    from hyperfactor.measures.representation import Representation
    from hyperfactor.runs.run import Run
    from hyperfactor.subjects.layout import tuning_width

    if source not in ("trajectory", "truth"):
        raise RequestError(f"source: got {source!r}, needs trajectory or truth")
    if drawings > 1 and source == "truth" and timestep == 0:
        raise RequestError(
            f"drawings: got {drawings} of the true pictures at timestep 0, where they have no noise, needs 1"
        )
    run = Run.open(store, prefix, _device(gpu))
    data, layer = run.spec.data, run.model.default_layer if layer is None else layer
    truth = run.spec.task.render(data.test_lattice()) if source == "truth" else None
    seed = range(drawings) if drawings > 1 else 0
    found = cast(Any, run.activations(layer, timestep, step=step, pictures=truth, seed=cast(Any, seed))[layer])
    varies = [k for k, axis in enumerate(data.test_axes()) if len(axis) > 1]
    axes = [data.test_axes()[k] for k in varies]
    space = FactorSpace(tuple(run.space.factors[k] for k in varies))
    readings = [R.reshape(*map(len, axes), -1) for R in (found if drawings > 1 else [found])]
    R = Representation.of(readings if drawings > 1 else readings[0], space, lattice=axes)
    title = f"run {prefix}, layer {layer}, timestep {timestep}" + (f", {drawings} drawings" if drawings > 1 else "")
    return R, tuning_width(run, data.test_lattice()), title


def _read_lattice(path: Path, factors: str | None) -> "Representation":
    """Read the representation in a .npy file, with its factors if they are given."""
    from hyperfactor.measures.representation import Representation

    return Representation.of(_load_array(path), None if factors is None else _axes(factors), name=str(path))


def _load_array(path: Path) -> Any:
    """Read the array in a .npy file."""
    import numpy as np

    from hyperfactor.store.named import named_path

    file = named_path(path, "array")
    try:
        with open(file, "rb") as opened:
            if opened.read(6) != b"\x93NUMPY":
                raise RequestError(f"{path}: got a file of another kind, needs a .npy file of numbers")
        return np.load(file, allow_pickle=False)
    except RequestError:
        raise
    except (OSError, ValueError, EOFError) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RequestError(f"{path}: {said}, needs a .npy file of numbers") from None


def _axes(factors: str) -> "list[Axis]":
    """Parse axes such as "x:periodic,shape:categorical"."""
    from hyperfactor.measures.representation import KINDS, Axis

    parts = [tuple(word.strip() for word in part.split(":")) for part in factors.split(",")]
    if any(len(part) != 2 or not part[0] or part[1] not in KINDS for part in parts):
        raise RequestError(
            f"factors: got {factors!r}, needs name:kind for each axis, joined by commas; kinds: {', '.join(KINDS)}"
        )
    return [Axis(name, cast("Kind", kind)) for name, kind in parts]


@app.command("study", epilog="Example: hyperfactor study examples/my_decoder.py:decoder")
def study_(
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL.py:NAME|ARRAY.npy|RUN",
            help="A Python file and the name of a subject in it, or of a function that returns one; an array; or a "
            "finished run.",
        ),
    ],
    factors: PointsOption = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="Layer of a model; give the option again for more layers.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    drawings: ReadingsOption = 1,
    landmarks: LandmarksOption = 300,
    max_dim: DimensionOption = 2,
    json_file: NumbersOption = None,
    gpu: DrawOption = False,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take every measure that your model, an array or a run allows, and name the others with the reason."""
    from hyperfactor.store.named import check_writable, write_whole
    from hyperfactor.strict import dump_json
    from hyperfactor.subjects.study import study

    check_writable(json_file, inputs=[what.rpartition(":")[0] or what, *(factors or ())])
    if what.lower().endswith(".npy"):
        if layer:
            raise RequestError(f"layer: got {', '.join(layer)} for an array, needs none")
        subject, points = _array_subject(Path(what), factors or []), None
    else:
        subject = _model_subject(what, store, _device(gpu))
        points = _points(factors or [], subject.space.names) if factors else None
    options: dict[str, Any] = {"seed": seed, "drawings": drawings, "landmarks": landmarks, "max_dim": max_dim}
    found = study(subject, layers=layer or None, factors=points, **options)
    _print_table(found.printed(), found.subject)
    if json_file:
        write_whole(json_file, dump_json(found.to_json(), indent=1).encode())
    print(f"{found.seconds:.1f} s")


def _model_subject(what: str, store: str, device: str) -> Any:
    from hyperfactor.subjects.load import load_subject

    if ":" in what:
        return load_subject(what)
    from hyperfactor.runs.run import Run

    return Run.open(store, what, device)


def _points(factors: list[str], names: tuple[str, ...]) -> Any:
    """Read the points in a CSV file, or steps such as "x:2,y:4" by name."""
    if len(factors) > 1:
        raise RequestError(f"factors: got {' and '.join(factors)}, needs one file of points, or steps of a lattice")
    if factors[0].lower().endswith(".csv"):
        return _read_factors(Path(factors[0]), names)
    try:
        steps = [(name.strip(), float(step)) for name, step in (part.split(":") for part in factors[0].split(","))]
    except ValueError:
        raise RequestError(
            f"factors: got {factors[0]!r}, needs a CSV file, or name:step for factors among {', '.join(names)}"
        ) from None
    if len(found := dict(steps)) < len(steps):
        raise RequestError(f"factors: got {factors[0]!r}, needs each name once")
    return found


def _array_subject(path: Path, factors: list[str]) -> Any:
    """Read an array with its axes, or with the table of a CSV file."""
    from hyperfactor.subjects.array import ArraySubject

    files = [one for one in factors if one.lower().endswith(".csv")]
    kinds = [one for one in factors if one not in files]
    if len(files) > 1 or len(kinds) > 1:
        raise RequestError(f"factors: got {', '.join(factors)}, needs at most one CSV file and one list of name:kind")
    axes = _axes(kinds[0]) if kinds else None
    if not files:
        return ArraySubject(_load_array(path), axes)
    table = Path(files[0])
    names = tuple(axis.name for axis in axes) if axes else _columns_of(table)
    values = _read_factors(table, names)
    return ArraySubject(_load_array(path), dict(zip(names, values.T, strict=True)), axes)


def _columns_of(path: Path) -> tuple[str, ...]:
    """Read the names in the first line of a CSV file."""
    import re

    text = _text_of(path, "a CSV file with a column for each factor")
    first = next((line for line in text if line.strip()), "")
    names = tuple(name.strip().strip('"') for name in re.split("[,;\t]", first.strip("\r\n ")))
    if "" in names:
        raise RequestError(f"factors: got a column without a name in {path}, needs names; an index is no factor")
    return names


@app.command(epilog="Example: hyperfactor explore --store hyperfactor-store")
def explore(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL.py:NAME|ARRAY.npy]", help="A subject to look at beside the runs, as for `study`."
        ),
    ] = None,
    factors: Annotated[
        list[str] | None,
        typer.Option(help="For an array, the kinds of its factors, or a CSV file of their values, as for `study`."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but 127.0.0.1 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any that is free.", min=0, max=65535)] = 8050,
    gpu: DrawOption = False,
) -> None:
    """Look at runs, representations, claims and percolation in a browser."""
    try:
        from hyperfactor.explorer.collection import Collection
        from hyperfactor.explorer.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("hyperfactor"):
            raise
        raise RequestError(f"explore: got no {error.name}, needs it: pip install 'hyperfactor[explore]'") from None

    if factors and (what is None or not what.lower().endswith(".npy")):
        raise RequestError(f"factors: got {', '.join(factors)} without an array, needs ARRAY.npy")
    given = None if what is None else _brought(what, factors or [])
    serve(Collection(store, given, _device(gpu)), host, port, lambda line: print(line, flush=True))


def _brought(what: str, factors: list[str]) -> Any:
    """Load a subject from a user's file."""
    if what.lower().endswith(".npy"):
        return _array_subject(Path(what), factors)
    from hyperfactor.subjects.load import load_subject

    return load_subject(what)


@app.command(epilog="Example: hyperfactor percolate --sigma 1 --threshold 0.05 --size 128")
def percolate(
    sigma: Annotated[float, typer.Option(help="Width of the bumps, in pixels.")] = 1.0,
    threshold: Annotated[float, typer.Option(help="Overlap from which two bumps are neighbours.")] = 0.05,
    spacing: Annotated[float, typer.Option(help="Spacing of the lattice of centres, in pixels.")] = 1.0,
    size: Annotated[
        int, typer.Option(help="Centres a side. The critical fraction is also measured at a half and a quarter of it.")
    ] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the order in which centres are occupied.")] = 0,
    seeds: Annotated[int, typer.Option(help="Number of lattices for the critical fraction.")] = 100,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the numbers and the curve to this file.")
    ] = None,
) -> None:
    """Simulate clusters of overlapping bumps on a lattice: the largest cluster, and the critical fraction."""
    from hyperfactor.percolation.lattice import critical_fraction, neighbours, site_percolation
    from hyperfactor.percolation.overlap import reach
    from hyperfactor.store.named import check_writable, write_whole
    from hyperfactor.strict import dump_json

    if not 0 < spacing < math.inf:
        raise RequestError(f"spacing: got {spacing}, needs a finite number above 0")
    if seeds < 2:
        raise RequestError(f"seeds: got {seeds}, needs an integer of at least 2")
    check_writable(json_file)
    steps = reach(sigma, threshold) / spacing
    around = len(possible := neighbours(2, steps))
    least = 4 * (2 * int(possible.max()) + 1) if around else 1  # a quarter of it is wider than two reaches
    if size < least:
        raise RequestError(
            f"size: got {size} for a reach of {steps:.4g} lattice steps, needs an integer of at least {least}"
        )
    _check_visits(size, seeds, around)
    curve = site_percolation((size, size), steps, seed)
    _say(f"bumps of sigma {sigma:g} overlap by {threshold:g} up to {steps * spacing:.3f} pixels: {around} neighbours")
    found = {"reach": steps * spacing, "neighbours": around}
    if around:
        critical = critical_fraction(steps, [size // 4, size // 2, size], seeds)
        _say(f"critical fraction {critical.value:.4f} +- {critical.error:.4f} ({seeds} lattices of each of 3 sizes)")
        found |= {"critical_fraction": critical.value, "error": critical.error}
    shown = [round(k * (len(curve.occupied) - 1) / 10) for k in range(11)]
    for k in shown:
        _say(f"fraction {curve.fraction[k]:.2f}   largest cluster {curve.ratio()[k]:.4f} of the occupied")
    if json_file:
        found |= {"fraction": curve.fraction.tolist(), "largest": curve.largest.tolist(), "sites": curve.sites}
        write_whole(json_file, dump_json(found).encode())


def _check_visits(size: int, seeds: int, around: int) -> None:
    """Raise RequestError for lattices that would take hours."""
    visits = size**2 * max(around, 1) * (1 + (2 * seeds * 21 / 16 if around else 0))
    if visits > MOST_VISITS:
        raise RequestError(
            f"size, seeds: got {size} and {seeds}, which visit {visits:.2g} neighbours of sites, needs at most "
            f"{MOST_VISITS:.2g}, some hours: a smaller size, fewer seeds or a shorter reach"
        )


@runs_app.command(
    "list",
    context_settings={"allow_extra_args": True},
    epilog='Example: hyperfactor runs list --columns id,seed,finished --where "seed >= 1"',
)
def runs_list(
    context: typer.Context,
    store: StoreOption = DEFAULT_STORE,
    columns: Annotated[
        str, typer.Option(help="Columns, joined by commas: id,training.steps,accuracy.train.right; or '*', in quotes.")
    ] = "",
    where: Annotated[
        str | None, typer.Option(help="A condition in SQL: \"training.steps >= 100 and state = 'finished'\".")
    ] = None,
    format: Annotated[str, typer.Option(help="table, csv, json or parquet.")] = "table",
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
) -> None:
    """List runs, one line each: spec, state and accuracy."""
    from hyperfactor.store.named import check_writable, write_whole
    from hyperfactor.store.store import Store
    from hyperfactor.store.table import encode, table

    check_writable(out)
    if format not in ("table", "csv", "json", "parquet"):
        raise RequestError(f"format: got {format!r}, needs table, csv, json or parquet")
    if format == "parquet" and out is None:
        raise RequestError("format: got parquet for the terminal, needs --out FILE")
    names, foreign = _columns(columns, context.args), {}
    try:
        frame = table(_set_apart(Store(store).entries(), foreign), names, where)
    except RequestError as error:
        if any(Path(name).exists() for name in names) and "columns: got" in str(error):
            raise RequestError(f"{error}; it is the name of a file here: a star needs quotes, --columns '*'") from None
        raise
    if format == "table":
        room = sys.maxsize if out else _width(sys.stdout)
        shown = f"store {store}\n{_table(frame, room)}" if len(frame) else f"store {store}: no runs"
        content = shown.encode(errors="backslashreplace")
    else:
        content = encode(frame, format)
    if out:
        write_whole(out, content)
    else:
        sys.stdout.buffer.write(content.rstrip(b"\n") + b"\n")
    if foreign:
        from hyperfactor.runs.recorded import remark

        if line := remark(foreign):
            _complain(line)


def _columns(columns: str, more: list[str]) -> list[str]:
    """Return the requested columns; refuse `more` arguments, which a shell makes of a star without quotes."""
    from hyperfactor.store.table import column_names

    names = column_names(columns)
    if more:
        given = " ".join([columns, *more] if columns else more)
        raise RequestError(
            f"runs list: got {given[:60]!r}, needs a star in quotes, --columns '*': without them, a shell expands it "
            "to file names"
        )
    return names


def _set_apart(entries: "Iterator[Entry]", foreign: dict[str, Any]) -> "Iterator[Entry]":
    """Yield the entries, and collect in `foreign`, by id, the specs of runs that other code recorded."""
    from hyperfactor.store.provenance import source

    for entry in entries:
        if "spec" in entry.about and entry.about.get("source") != source():
            foreign[entry.id] = entry.about["spec"]
        yield entry


@runs_app.command("verify", epilog="Example: hyperfactor runs verify")
def runs_verify(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids of runs, or their beginnings. Default: all.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Read every byte, and name what is missing or changed; the exit status is 1 if there is anything."""
    from hyperfactor.store.store import Store

    problems = 0
    for problem in _problems(Store(store), runs):
        problems += 1
        _say(f"{problem} ({problem.remedy})", 2)
    _say(f"store {store}: {problems or 'no'} problem{'s' * (problems != 1)}")
    raise typer.Exit(1 if problems else 0)


@runs_app.command("repair", epilog="Example: hyperfactor runs repair 7174")
def runs_repair(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]...", help="Ids of runs, or their beginnings. Default: all.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Repair each problem that `verify` finds, as far as that loses nothing, and print what was done."""
    from hyperfactor.store.store import Store
    from hyperfactor.store.verify import repair

    opened = Store(store)
    for problem in list(_problems(opened, runs)):
        _say(f"{problem}: {repair(opened, problem)}", 2)


def _problems(store: "Store", prefixes: list[str] | None) -> "Iterator[Problem]":
    from hyperfactor.store.verify import verify

    def unlike(run: str, recorded: Any) -> str | None:
        from hyperfactor.runs import recorded as specs

        return specs.unlike(run, recorded)

    yield from verify(store, [store.resolve(prefix) for prefix in prefixes] if prefixes else None, unlike)


@runs_app.command("show", epilog="Example: hyperfactor runs show 7174 > spec.yaml")
def runs_show(run: Annotated[str, typer.Argument(metavar="RUN")], store: StoreOption = DEFAULT_STORE) -> None:
    """Show a run's spec, as YAML that `train` reads, with its record as comments."""
    import polars as pl

    from hyperfactor.runs.recorded import unlike
    from hyperfactor.runs.spec import dump_yaml
    from hyperfactor.store.store import Store

    opened = Store(store)
    found = opened.resolve(run)
    entry = opened.entry(found)
    if (spec := opened.spec(found) or entry.about.get("spec")) is None:
        raise StoreError(f"run {found}: got no recorded spec, needs the one that was written; {opened.files.remedy}")
    notes, room = [f"run {found}, {entry.state}"], _width(sys.stdout) - len("# ")
    if line := unlike(found, spec):
        notes.append(f"not a run of today's specs: {line}")
    if reason := entry.about.get("reason"):  # why it failed, or cannot be read
        notes.append(f"reason: {reason}")
    table = []
    if entry.state == "finished":
        for key in ("finished", "seconds", "parameters", "trained_points", "threads", "device", "versions"):
            notes.append(f"{key}: {entry.about.get(key)}")
        accuracy = pl.DataFrame([{"region": region, **row} for region, row in entry.about.get("accuracy", {}).items()])
        table = ["", "accuracy", *_table(accuracy, room).splitlines()]
    lines = [line for note in notes for line in _wrapped(note, 2, room).splitlines()]
    head, *rest = (f"# {line}".rstrip() for line in (*lines, *table))
    print("\n".join([head, dump_yaml(spec).rstrip(), *rest]))


@runs_app.command("remove", epilog="Example: hyperfactor runs remove 7174 02e1")
def runs_remove(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...")], store: StoreOption = DEFAULT_STORE
) -> None:
    """Remove runs from the store."""
    from hyperfactor.store.store import Store

    opened = Store(store)
    for run in dict.fromkeys([opened.resolve(prefix) for prefix in runs]):
        opened.remove(run)
        print(f"removed {run}")


def main() -> None:
    """Run the command line and end the process: 0 done, 1 a run or the machine failed, 2 the request was wrong."""
    prepare_command()
    out = _open_streams()
    status = _run(sys.argv[1:])
    end_workers()
    sys.stdout.flush()
    if out and out.failure and not isinstance(out.failure, BrokenPipeError):  # a reader may go away
        _complain(f"standard output: {out.failure.strerror}, needs room; what the command keeps is kept")
        status = status or 1
    if status in STOPPED and is_computing():  # Python would wait for threads whose results nobody wants any more
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Run a command, and return its exit status."""
    try:
        with _terminated_as_interrupted():
            command = typer.main.get_command(app)
            if "_HYPERFACTOR_COMPLETE" in os.environ:
                command.main(arguments, "hyperfactor")  # prints completions and exits
            _check_values(command, arguments)
            with command.make_context("hyperfactor", arguments) as context:
                os.getcwd()  # if it was deleted, torch would end the process with a line about a library
                command.invoke(context)
        return 0
    except typer.Exit as end:
        return end.exit_code
    except HyperfactorError as error:
        _complain(str(error))
        return _status({"": error})
    except typer.TyperException as error:
        if message := error.format_message():  # it is empty if the help was printed because there were no arguments
            _complain(f"{message} (see hyperfactor --help)")
        return 2
    except (KeyboardInterrupt, typer.Abort) as stop:
        said = f"; {stop}" if str(stop) else ""
        _complain(f"stopped{said}; the same command continues from the last checkpoint")
        return STOPPED[isinstance(stop, _TerminatedError)]
    except (MemoryError, OSError, RuntimeError) as error:
        if fault := machine_fault(error):
            _complain(str(fault))
            return 1
        if not isinstance(error, OSError):
            raise
        _complain(f"{error.filename or 'current folder'}: {error.strerror or error}")
        return 2


def _check_values(command: Any, arguments: list[str]) -> None:
    """Refuse an option whose value was forgotten. The parser would take the next option for its value."""
    options = [one for part in _commands(command) for one in part.params if one.param_type_name == "option"]
    named = {name for one in options for name in (*one.opts, *one.secondary_opts)}
    valued = {name for one in options if not (one.is_flag or one.count) for name in one.opts}
    for option, value in pairwise(arguments):
        if option in valued and value in named:
            raise RequestError(f"{option}: got the option {value}, needs a value")


def _commands(command: Any) -> "Iterator[Any]":
    yield command
    for part in getattr(command, "commands", {}).values():
        yield from _commands(part)


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM, which a batch system sends at the end of a job's time."""


@contextmanager
def _terminated_as_interrupted() -> "Iterator[None]":
    """Let SIGTERM end the command as Ctrl-C does, so that leases are released and workers stopped."""

    def end(*_: object) -> None:
        raise _TerminatedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Output(io.FileIO):
    """Standard output or error whose failed writes do not stop the work; the first failure is kept."""

    failure: OSError | None = None

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            self.failure = self.failure or error
            return len(content)


def _open_streams() -> _Output | None:
    """Open the streams that the caller has closed, and let no failure to print stop the work.

    Returns
    -------
    _Output or None
        Standard output; None if this process has replaced it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    out = None
    for name, number in (("stderr", 2), ("stdout", 1)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            out = _Output(number, "wb", closefd=False)
            encoding = getattr(stream, "encoding", "utf-8")
            text = io.TextIOWrapper(
                io.BufferedWriter(out), encoding, "backslashreplace", line_buffering=number == 2 or out.isatty()
            )
            setattr(sys, name, text)
        else:
            out = None
    return out


def _device(gpu: bool) -> str:
    return "cuda" if gpu else "cpu"


def _complain(message: str) -> None:
    _say(f"hyperfactor: {message}", 2, sys.stderr)


def _text_of(path: Path, needed: str) -> io.StringIO:
    """Read a CSV file in UTF-8, or in UTF-16 with its mark. `needed` is what messages ask for."""
    from hyperfactor.store.named import named_path

    try:
        content = named_path(path, "factors").read_bytes()
        encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        return io.StringIO(content.decode(encoding), newline="")
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}, needs {needed}") from None
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: got bytes that are not {error.encoding}, needs {needed}, in UTF-8") from None


def _read_factors(path: Path, names: tuple[str, ...]) -> Any:
    """Read the factor columns of a CSV file, in the order of `names`; other columns and blank lines are skipped."""
    import csv

    import numpy as np

    needed = f"a CSV file with columns {', '.join(names)}"
    line, text = 1, _text_of(path, needed)
    try:
        first = next((line for line in text if line.strip()), "").replace('"', "").replace(" ", "").rstrip("\r\n")
        text.seek(0)
        delimiter = next((mark for mark in ",;\t" if set(names) <= set(first.split(mark))), ",")
        rows = []
        for row in csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True):
            if any(cell.strip() for cell in row):
                rows.append((line, [cell.strip() for cell in row]))
            line += 1
    except csv.Error as error:
        raise RequestError(f"{path}, row {line}: {error}, needs {needed}") from None
    if not rows:
        raise RequestError(f"{path}: got an empty file, needs {needed}")
    header = rows[0][1]
    for name in names:
        if (found := header.count(name)) != 1:
            times = f"{name} {found} times" if found else f"no {name}"
            raise RequestError(f"{path}: got columns {', '.join(header)[:80]} with {times}, needs {name} once")
    points = np.empty((len(rows) - 1, len(names)))
    for k, (line, row) in enumerate(rows[1:]):
        if len(row) != len(header):
            raise RequestError(f"{path}, row {line}: got {len(row)} values, needs {len(header)}, one a column")
        for j, name in enumerate(names):
            cell = row[header.index(name)]
            try:
                points[k, j] = float(cell.replace("_", "?"))  # Python alone reads 1_000 as a number
            except ValueError:
                raise RequestError(f"{path}, row {line}, {name}: got {cell!r:.40}, needs a number") from None
    return points


def _say(text: str, indent: int = 0, file: TextIO | None = None) -> None:
    """Print text, wrapped between words where it goes to a terminal; further lines are indented."""
    out = file or sys.stdout
    print(_wrapped(text, indent, _width(out)), file=out)


def _wrapped(text: str, indent: int, width: int) -> str:
    if len(text) <= width:
        return text
    further = " " * indent
    return textwrap.fill(text, width, subsequent_indent=further, break_long_words=False, break_on_hyphens=False)


def _width(out: TextIO) -> int:
    """Return the columns of the terminal; in a file or a pipe nothing is wrapped."""
    return shutil.get_terminal_size().columns if out.isatty() else sys.maxsize


def _print_table(frame: "pl.DataFrame", title: str) -> None:
    _say(title)
    print(_table(frame, _width(sys.stdout)))


def _table(frame: "pl.DataFrame", room: int) -> str:
    """Format a table as plain text, with numbers to the right. Dotted names take a line for each of their parts.

    Where a row has more than `room` characters, text is wrapped between words. Columns that have no room even so follow
    below, beside the first column again.
    """
    height = max((name.count(".") + 1 for name in frame.columns), default=1)
    columns = [_Column(frame[name], height) for name in frame.columns]
    while sum(c.width + 2 for c in columns) - 2 > room and (wide := [c for c in columns if c.width > c.least]):
        max(wide, key=lambda column: column.width).width -= 1
    blocks = [columns[:1]]
    for column in columns[1:]:
        if len(blocks[-1]) > 1 and sum(c.width + 2 for c in (*blocks[-1], column)) - 2 > room:
            blocks.append(columns[:1])
        blocks[-1].append(column)
    texts = ("".join(map(_row, zip(*(column.cells() for column in block), strict=True))) for block in blocks)
    return "".join("\n" + text.lstrip("\n") for text in texts)  # without lines of a heading that are empty here


class _Column:
    """The heading and the cells of a column of a table.

    Attributes
    ----------
    width : int
        Its characters, which may be lowered to `least`.
    """

    def __init__(self, values: "pl.Series", height: int):
        parts = re.findall(r"[^.]*[.]?", values.name)[:-1]
        self._heading = [""] * (height - len(parts)) + parts
        self._texts = ["" if v is None else shown(v) if isinstance(v, float) else str(v) for v in values.to_list()]
        self._align = str.rjust if values.dtype.is_numeric() else str.ljust
        self.width = max(map(len, [*parts, *self._texts]))
        self.least = max(
            len(word) + 2 * (word != text) for text in (*parts, *self._texts) for word in text.split() or [""]
        )

    def cells(self) -> "Iterator[list[str]]":
        """Yield the lines of each cell, from the heading down."""
        for text in (*self._heading, "-" * self.width, *self._texts):
            yield [self._align(line, self.width) for line in _wrapped(text, 2, self.width).split("\n")]


def _row(cells: "Sequence[list[str]]") -> str:
    """Join the cells of a row, which may have several lines."""
    blank = [" " * len(lines[0]) for lines in cells]
    deep = range(max(map(len, cells)))
    rows = ([c[k] if k < len(c) else empty for c, empty in zip(cells, blank, strict=True)] for k in deep)
    return "".join("  ".join(row).rstrip() + "\n" for row in rows)


def _print_claims(claims: "tuple[Claim, ...]", title: str) -> None:
    import polars as pl

    from hyperfactor.experiments.claims import summary

    reasons = list(dict.fromkeys(claim.reason for claim in claims if claim.reason))
    rows = []
    for claim in claims:
        measured, interval, _, _ = claim.cells()
        verdict = f"{claim.verdict} ({reasons.index(claim.reason) + 1})" if claim.reason else claim.verdict
        rows.append((claim.statement, str(claim.bound), measured, interval, verdict))
    heading = ("claim", "bound", "measured", "95 % interval", "verdict")
    _print_table(pl.DataFrame(rows, dict.fromkeys(heading, pl.String), orient="row"), title)
    for number, reason in enumerate(reasons, 1):
        _say(f"({number}) {reason}", 4)
    _say(f"{summary(claims)}.")
    print()


if __name__ == "__main__":
    main()
