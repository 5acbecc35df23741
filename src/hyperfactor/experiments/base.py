"""What an experiment is: the runs that it needs, and an analysis that ends in claims with verdicts."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from hyperfactor.errors import MachineError, RequestError, StoreError, WriteError
from hyperfactor.experiments.claims import Bound, Claim, Estimate, proportion
from hyperfactor.images.task import TRAIN
from hyperfactor.networks.unet import BLOCKS
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store import results
from hyperfactor.store.files import Files
from hyperfactor.store.results import Content, Question
from hyperfactor.store.store import Store
from hyperfactor.subjects.judge import judge

# Sections of a RunSpec, laid over its defaults.  `laptop` is the defaults.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # Seconds; shows that everything connects, and nothing else.
    "smoke": {
        "data": {"test_points": 40},
        "model": {"width": 4, "attention": []},
        "training": {
            "steps": 6, "batch": 4, "warmup": 2, "record_every": 2, "evaluate_every": 0, "checkpoint_every": 2,
        },
        "sampling": {"steps": 2},
    },
    "laptop": {},
    # The published network, prediction and schedule.  Steps, batch, learning rate, decay and the
    # averaging were not published: they are our choice.
    "paper": {
        "model": {"width": 64, "attention": list(BLOCKS)},
        "diffusion": {"prediction": "epsilon", "time_bias": 1.0, "signal_weight": 0.0},
        "training": {
            "steps": 100_000, "batch": 64, "learning_rate": 3e-4, "warmup": 1000, "betas": [0.9, 0.999],
            "ema": 0.9995, "record_every": 500, "evaluate_every": 10_000, "checkpoint_every": 2000,
        },
        "sampling": {"sampler": "ddpm", "steps": 1000},
    },
}  # fmt: skip


def preset_spec(preset: str, seed: int, **sections: Mapping[str, Any]) -> RunSpec:
    """An experiment's own keys with the preset's laid over them, section by section.

    Raises RequestError for an unknown preset.
    """
    if preset not in PRESETS:
        raise RequestError(f"preset: got {preset!r}, needs one of {', '.join(PRESETS)}")
    base = PRESETS[preset]
    merged = {name: {**sections.get(name, {}), **base.get(name, {})} for name in {*base, *sections}}
    return RunSpec.parse({"seed": seed, **merged})


LEARNT = 0.9  # share right of the training region, from which a model is said to draw what it was trained on
ENOUGH = 300  # drawings of a region from which a share is measured; 300 of 300 show 0.987 or more


def few(preset: str, values: Sequence[Any]) -> Sequence[Any]:
    """The values of a quantity that an experiment goes through; the first and the last for `smoke`."""
    return (values[0], values[-1]) if preset == "smoke" else values


Analysis = tuple[list[Claim], dict[str, pl.DataFrame], dict[str, np.ndarray]]


@dataclass(frozen=True)
class RunNote:
    """One run of a result, for the report: its role, seed, id, spec, and what the manifest says."""

    role: str
    seed: int
    id: str
    spec: dict[str, Any]
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What an experiment found.

    Attributes
    ----------
    experiment, preset : str
        Their names.
    seeds : tuple of int
        The seeds of its runs.
    seconds : float
        Time of training and judging its runs, whenever that was, and of the analysis, if it was made now.
    claims : tuple of Claim
        Its verdicts.
    tables : dict
        Its numbers, by name.
    arrays : dict
        What figures draw beside the tables.
    runs : tuple of RunNote
        Its runs.
    """

    experiment: str
    preset: str
    seeds: tuple[int, ...]
    seconds: float
    claims: tuple[Claim, ...]
    tables: dict[str, pl.DataFrame]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    runs: tuple[RunNote, ...] = ()

    @classmethod
    def open(cls, store: str | Path, key: str) -> Self:
        """A result that a store keeps. Nothing is trained or analysed, and the runs need not be there any more.

        Parameters
        ----------
        store : str or Path
            A folder, or the address of a bucket.
        key : str
            The key of a result, or its beginning. `Store.results` lists what is kept.

        Raises
        ------
        RequestError
            Where no result or several have a key that begins like this.
        StoreError
            Where the result is damaged, or was kept by a version whose results had another form.
        """
        files = Store(store).files
        found = results.resolve(files, key)
        content, question = results.load(files, found.key), found.question
        try:
            claims, tables, arrays = _analysis(content)
            notes = tuple(RunNote(**note) for note in content.documents["runs"])
            return cls(
                question.experiment,
                question.preset,
                question.seeds,
                _seconds(notes),
                tuple(claims),
                tables,
                arrays,
                notes,
            )
        except (LookupError, TypeError):
            raise StoreError(
                f"result {found.key}: got one that another version kept on {found.made}, needs one of this version; "
                f"`hyperfactor reproduce {question.experiment}` computes it again"
            ) from None

    def to_json(self) -> dict[str, Any]:
        return {
            "experiment": self.experiment,
            "preset": self.preset,
            "seeds": list(self.seeds),
            "seconds": self.seconds,
            "claims": [claim.to_json() for claim in self.claims],
            "tables": {name: table.to_dicts() for name, table in self.tables.items()},
            "runs": [{"role": note.role, "seed": note.seed, "id": note.id} for note in self.runs],
        }


def _content(analysis: Analysis, notes: Sequence[RunNote]) -> Content:
    """An analysis, and notes on its runs, as a store keeps them."""
    claims, tables, arrays = analysis
    documents = {"claims": [asdict(claim) for claim in claims], "runs": [asdict(note) for note in notes]}
    return Content(documents, tables, arrays)


def _analysis(content: Content) -> Analysis:
    """The inverse of `_content`, without the notes."""
    return [_claim(data) for data in content.documents["claims"]], content.tables, content.arrays


def _claim(data: dict[str, Any]) -> Claim:
    interval = None if data["interval"] is None else tuple(data["interval"])
    return Claim(**{**data, "interval": interval, "seeds": tuple(data["seeds"]), "bound": Bound(**data["bound"])})


def _seconds(notes: Sequence[RunNote]) -> float:
    """Time of training and judging runs, each counted once."""
    return sum(sum(of_run.values()) for of_run in {note.id: note.manifest["seconds"] for note in notes}.values())


Runs = Mapping[str, Sequence[Run]]  # role -> the run of each seed; only a search's later roles may lack some


def unmet(runs: Runs, roles: Sequence[str], *held_out: str) -> list[str]:
    """What stands against judging models by what they draw of regions that were held out of their training.

    A model that is missing, that draws less than LEARNT of its training region right, or that was trained on a point of
    a region called held out.

    Parameters
    ----------
    roles
        The models that a claim is about.
    held_out
        Names of test regions of their specs.
    """
    if missing := [role for role in roles if role not in runs]:
        return [f"this preset has no model {role!r}" for role in missing]
    of_roles = [(role, run) for role in roles for run in runs[role]]
    return [reason for role, run in of_roles if (reason := _unlearnt(role, run))] + [
        reason for role, run in of_roles for region in held_out if (reason := _seen(role, run, region))
    ]


def _unlearnt(role: str, run: Run) -> str | None:
    share = float(run.evaluate(TRAIN)["right"].to_numpy().mean())
    if share >= LEARNT:
        return None
    return f"model {role!r} of seed {run.spec.seed} draws {share:.2f} of its training region right, needs {LEARNT:g}"


def _seen(role: str, run: Run, region: str) -> str | None:
    task, seed = run.spec.task, run.spec.seed
    inside = run.spec.data.test[region].contains(task.points, task.space)
    again = task.trained_on(task.region(region))
    count = max(int(inside.sum()), int(again.sum()))
    if count == 0:
        return None
    return f"model {role!r} of seed {seed} was trained on {count} points of region {region}, needs none where it is held out"


def drawings(run: Run, region: str) -> pl.DataFrame:
    """The judged drawings of a test region (see `runs.run.judge`): those recorded, or, of a region with few requests,
    ENOUGH or more, as many with other noise for each request."""
    recorded = run.evaluate(region)
    repeats = -(-ENOUGH // len(recorded))
    if repeats == 1:
        return recorded
    points = np.tile(recorded.select(run.spec.data.picture.space().names).to_numpy(), (repeats, 1))
    return judge(run.spec.task, region, points, run.sample(points, run.spec.seed))


def share(runs: Sequence[Run], region: str, column: str) -> list[Estimate]:
    """For each run, the share of the drawings of a test region for which a column of their evaluation is true."""
    return [proportion(drawings(run, region)[column].to_numpy()) for run in runs]


@dataclass(frozen=True)
class Experiment:
    """One question of the paper.

    specs(preset, seed): the runs needed, by role.  more(preset, seed, runs): what a search needs further once those are
    finished, by role; asked again until it needs nothing.  analyse(runs): claims, tables, arrays.  searched(preset):
    about how many runs a seed `more` asks for, all in all.
    """

    name: str
    question: str
    figures: tuple[str, ...]
    specs: Callable[[str, int], dict[str, RunSpec]]
    analyse: Callable[[Runs], Analysis]
    more: Callable[[str, int, Mapping[str, Run]], dict[str, RunSpec]] = lambda _preset, _seed, _runs: {}
    searched: Callable[[str], int] = lambda _preset: 0

    def result(self, preset: str, seeds: Sequence[int], runs: Runs, files: Files | None = None) -> Result:
        """Analyse finished runs, or take the result that was kept of them in `files`, those of a store."""
        began = time.perf_counter()
        ids = {role: tuple(run.id for run in of_role) for role, of_role in runs.items()}
        question = Question(self.name, preset, tuple(seeds), ids)
        notes = tuple(
            RunNote(role, run.spec.seed, run.id, run.spec.model_dump(mode="json"), run.manifest)
            for role, of_role in runs.items()
            for run in of_role
        )
        analysis = None
        if files:
            with suppress(MachineError, StoreError):  # damaged or not kept
                analysis = _analysis(results.load(files, question.key()))
        if analysis is None:
            analysis = self.analyse(runs)
            if files:
                with suppress(MachineError, WriteError):  # a store that is read and not written
                    results.save(files, question, _content(analysis, notes))
        claims, tables, arrays = analysis
        seconds = time.perf_counter() - began + _seconds(notes)
        return Result(self.name, preset, tuple(seeds), seconds, tuple(claims), tables, arrays, notes)
