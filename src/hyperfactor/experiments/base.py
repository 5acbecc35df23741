"""What an experiment is: the runs that it needs, and an analysis that ends in claims with verdicts."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from hyperfactor import notebook
from hyperfactor.errors import MachineError, RequestError, StoreError, WriteError
from hyperfactor.experiments.claims import Bound, Claim, Estimate, proportion, summary
from hyperfactor.images.task import TRAIN
from hyperfactor.networks.unet import BLOCKS
from hyperfactor.process import all_cores
from hyperfactor.runs.cost import effort_of_a_picture
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store import results
from hyperfactor.store.files import Files
from hyperfactor.store.results import Content, Question
from hyperfactor.store.store import Store
from hyperfactor.subjects.judge import judge

# Sections of a RunSpec, laid over its defaults. `laptop` is the defaults.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    # Takes seconds; shows only that everything connects.
    "smoke": {
        "data": {"test_points": 40},
        "model": {"width": 4, "attention": []},
        "training": {
            "steps": 6, "batch": 4, "warmup": 2, "record_every": 2, "evaluate_every": 0, "checkpoint_every": 2,
        },
        "sampling": {"steps": 2},
    },
    "laptop": {},
    # The published network, prediction and schedule. Everything below `diffusion` was not published and is our choice:
    # on a GPU, steps of 64 pictures at this rate drew 0.48 of 1,024 periodic bumps right in both factors after 2,082
    # steps and 0.93 after 4,164. The running mean looks back over 7 % of training, as in `laptop`.
    "paper": {
        "model": {"width": 64, "attention": list(BLOCKS), "condition_gain": 1.0},
        "diffusion": {"prediction": "epsilon", "time_bias": 1.0, "signal_weight": 0.0},
        "training": {
            "steps": 7000, "batch": 64, "optimizer": "adamw", "learning_rate": 4e-4, "warmup": 350,
            "betas": [0.9, 0.999], "ema": 0.998, "record_every": 100, "evaluate_every": 1000, "checkpoint_every": 1000,
        },
        "sampling": {"sampler": "ddim", "steps": 50},
    },
}  # fmt: skip


def preset_spec(preset: str, seed: int, **sections: Mapping[str, Any]) -> RunSpec:
    """Lay a preset's keys over an experiment's own, section by section.

    Parameters
    ----------
    preset : str
        Name of a preset.
    seed : int
        Seed of the run.
    **sections : mapping
        The experiment's own keys, by section of `RunSpec`.

    Raises
    ------
    RequestError
        For an unknown preset.
    """
    if preset not in PRESETS:
        raise RequestError(f"preset: got {preset!r}, needs one of {', '.join(PRESETS)}")
    base = PRESETS[preset]
    merged = {name: {**sections.get(name, {}), **base.get(name, {})} for name in {*base, *sections}}
    return RunSpec.parse({"seed": seed, **merged})


LEARNT = 0.9  # least share right of the training region of a model that has learnt
ENOUGH = 300  # drawings that a share is measured from; 300 of 300 show 0.987 or more


def few(preset: str, values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a quantity that an experiment varies; for `smoke` only the first and the last."""
    return (values[0], values[-1]) if preset == "smoke" else values


def is_smoke(*runs: Run) -> bool:
    """Return whether runs are those of the smoke preset. An analysis of such runs may take less of everything."""
    few_points = PRESETS["smoke"]["data"]["test_points"]
    return any(run.spec.data.test_points == few_points for run in runs)


Analysis = tuple[list[Claim], dict[str, pl.DataFrame], dict[str, np.ndarray]]
Runs = Mapping[str, Sequence[Run]]  # role -> the run of each seed; later roles of a search may lack some


@dataclass(frozen=True)
class RunNote:
    """One run of a result, for the report: its role, seed, id, spec and manifest."""

    role: str
    seed: int
    id: str
    spec: dict[str, Any]
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """Result of an experiment.

    Attributes
    ----------
    experiment, preset : str
        Their names.
    seeds : tuple of int
        Seeds of the runs.
    seconds : float
        Time of training and judging the runs, whenever that was, and of the analysis if it was made now.
    claims : tuple of Claim
        The claims, with verdicts.
    tables : dict of str to polars.DataFrame
        The numbers, by name.
    arrays : dict of str to array
        Arrays that the figures draw beside the tables.
    runs : tuple of RunNote
        The runs.
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
        """Open a result that a store keeps. Nothing is trained or analysed, and the runs may have been removed.

        Parameters
        ----------
        store : str or Path
            A folder, or the address of a bucket.
        key : str
            Key of a result, or its beginning. `Store.results` lists the keys.

        Raises
        ------
        RequestError
            If no result, or more than one, has a key with this beginning.
        StoreError
            If the result is damaged, or was kept by a version whose results had another form.
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

    def _repr_html_(self) -> str:
        seeds = len(self.seeds)
        rows = ((one.statement, str(one.bound), *one.cells()[:2], one.verdict) for one in self.claims)
        title = f"{self.experiment}, preset {self.preset}, {seeds} seed{'s' * (seeds > 1)}; {summary(self.claims)}"
        return notebook.table(title, ("claim", "bound", "measured", "95 % interval", "verdict"), rows)

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
    """Turn an analysis, and notes on its runs, into the form that a store keeps."""
    claims, tables, arrays = analysis
    documents = {"claims": [asdict(claim) for claim in claims], "runs": [asdict(note) for note in notes]}
    return Content(documents, tables, arrays)


def _analysis(content: Content) -> Analysis:
    """The inverse of `_content`, without the notes."""
    return [_claim(data) for data in content.documents["claims"]], content.tables, content.arrays


def _claim(data: dict[str, Any]) -> Claim:
    interval = None if data["interval"] is None else tuple(data["interval"])
    lists = {name: tuple(data.get(name, ())) for name in ("seeds", "roles")}
    return Claim(**{**data, **lists, "interval": interval, "bound": Bound(**data["bound"])})


def _seconds(notes: Sequence[RunNote]) -> float:
    """Add up the time of training and judging runs, each counted once."""
    return sum(sum(of_run.values()) for of_run in {note.id: note.manifest["seconds"] for note in notes}.values())


def unmet(runs: Runs, roles: Sequence[str], *held_out: str) -> list[str]:
    """List the reasons against judging models by their drawings of held-out regions.

    A model must be there, draw at least a share LEARNT of its training region right, and not have been trained on a
    point of a region that is called held out.

    Parameters
    ----------
    runs : mapping of str to sequence of Run
        The runs of an experiment, by role.
    roles : sequence of str
        The models that a claim is about.
    *held_out : str
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
    return (
        f"model {role!r} of seed {seed} was trained on {count} points of region {region}, "
        "needs none where it is held out"
    )


@lru_cache(maxsize=64)  # several claims ask for the same region
def drawings(run: Run, region: str) -> pl.DataFrame:
    """Return the judged drawings of a test region, at least ENOUGH of them (see `subjects.judge.judge`).

    They are the recorded drawings. If these are fewer than ENOUGH, each request is drawn again with other noise, as
    often as is needed. The recorded drawings of a model without noise, such as a plain decoder, are all that it can
    draw: a drawing that is repeated says nothing new, and counts once.
    """
    recorded = run.evaluate(region)
    repeats = -(-ENOUGH // len(recorded))
    if repeats == 1:
        return recorded
    requests = recorded.select(run.spec.data.picture.space().names).to_numpy()
    once, again = np.split(run.sample(np.tile(requests[:1], (2, 1)), run.spec.seed), 2)
    if np.array_equal(once, again):
        return recorded
    points = np.tile(requests, (repeats, 1))
    return judge(run.spec.task, region, points, run.sample(points, run.spec.seed))


def share(runs: Sequence[Run], region: str, column: str) -> list[Estimate]:
    """Return for each run the share of the drawings of a test region for which a column is true.

    Parameters
    ----------
    runs : sequence of Run
        The runs.
    region : str
        Name of a test region.
    column : str
        Column of `judge`, such as "right" or "x_correct".
    """
    return [proportion(drawings(run, region)[column].to_numpy()) for run in runs]


@dataclass(frozen=True)
class Part:
    """A part of an analysis.

    Attributes
    ----------
    of_roles : mapping of str to sequence
        What belongs to its roles: runs, or specs.
    analyse : function
        `analyse(runs)` returns claims, tables and arrays, in whatever form `Parts.join` takes.
    analysis : function
        Its cost, as for `Experiment`.
    """

    of_roles: Mapping[str, Sequence[Any]]
    analyse: Callable[[Runs], Analysis]
    analysis: Callable[[str], int]


def _compute(_part: str, runs: Runs, analyse: Callable[[Runs], Analysis]) -> Analysis:
    return analyse(runs)


@dataclass(frozen=True)
class Parts:
    """An analysis in parts. A store keeps each of them, so that an interrupted analysis continues.

    Attributes
    ----------
    split : function
        `split(of_roles)` divides what belongs to roles, runs or specs, among named parts.
    join : function
        `join(analysed)` returns the whole, from the runs and the analysis of each part by name.
    at_once : bool
        Whether all cores share the parts. Otherwise one is analysed after another.
    """

    split: Callable[[Mapping[str, Sequence[Any]]], Mapping[str, Part]]
    join: Callable[[Mapping[str, tuple[Runs, Analysis]]], Analysis]
    at_once: bool = False

    def __call__(
        self, runs: Runs, keep: Callable[[str, Runs, Callable[[Runs], Analysis]], Analysis] = _compute
    ) -> Analysis:
        """Analyse runs.

        Parameters
        ----------
        runs : mapping of str to sequence of Run
            The finished runs, by role.
        keep : callable
            keep(name, runs, analyse) returns `analyse(runs)` of a part, or what a store keeps of it.
        """
        parts = self.split(runs)
        with all_cores() as pool:
            each = pool.map if self.at_once else map
            found = list(each(lambda name: keep(name, parts[name].of_roles, parts[name].analyse), parts))
        return self.join({name: (parts[name].of_roles, one) for name, one in zip(parts, found, strict=True)})


@dataclass(frozen=True)
class Experiment:
    """One question, of the paper or beyond it.

    Attributes
    ----------
    name, question : str
        Name of the experiment, and its question.
    figures : tuple of str
        Numbers or names of the figures that it draws.
    specs : function
        `specs(preset, seed)` returns the specs of the runs that are needed first, by role.
    analyse : function or Parts
        `analyse(runs)` returns claims, tables and arrays.
    more : function
        `more(preset, seed, runs)` returns the specs that a search needs next, by role, once the earlier runs of that
        search are finished. It is called again until it returns none. It may depend only on its arguments.
    searched : function
        `searched(preset, role)` returns about how many runs `more` asks for in all, for the search of one seed to which
        a run belongs.
    search : function
        `search(role)` names the search that a run belongs to. Default: all runs of a seed belong to one.
    analysis : function
        `analysis(preset)` returns the time that `analyse` takes for one seed, as the number of pictures on which the
        experiment's largest network is trained in that time. Not used if `analyse` has parts, which have their own.
    beyond : bool
        Whether it asks what the paper leaves open. Such an experiment runs only if it is named.
    """

    name: str
    question: str
    figures: tuple[str, ...]
    specs: Callable[[str, int], dict[str, RunSpec]]
    analyse: Callable[[Runs], Analysis] | Parts
    more: Callable[[str, int, Mapping[str, Run]], dict[str, RunSpec]] = lambda _preset, _seed, _runs: {}
    searched: Callable[[str, str], int] = lambda _preset, _role: 0
    search: Callable[[str], str] = lambda _role: ""
    analysis: Callable[[str], int] = lambda _preset: 0
    beyond: bool = False

    def result(
        self,
        preset: str,
        seeds: Sequence[int],
        runs: Runs,
        files: Files | None = None,
        report: Callable[[str, float], None] = lambda _name, _seconds: None,
    ) -> Result:
        """Analyse finished runs, or take the result of them that a store keeps.

        Parameters
        ----------
        preset : str
            Name of the preset.
        seeds : sequence of int
            Seeds of the runs.
        runs : mapping of str to sequence of Run
            The finished runs, by role.
        files : Files, optional
            Files of the store where results are kept. Default: none are kept.
        report : callable
            report(name, seconds): called for each analysis that was computed, or part of one. Parts that are computed
            at the same time call it from their threads.
        """
        began = time.perf_counter()

        def keep(part: str, runs: Runs, analyse: Callable[[Runs], Analysis]) -> Analysis:
            question = self._question(preset, seeds, runs, part)
            if files and (found := _kept(files, question)):
                return found
            started = time.perf_counter()
            analysis = analyse(runs)
            if files:
                with suppress(MachineError, WriteError):  # the store can only be read
                    results.save(files, question, _content(analysis, _notes(runs)))
            report(f"{self.name}, {part}" if part else self.name, time.perf_counter() - started)
            return analysis

        def whole(runs: Runs) -> Analysis:
            return self.analyse(runs, keep) if isinstance(self.analyse, Parts) else self.analyse(runs)

        claims, tables, arrays = keep("", runs, whole)
        notes = _notes(runs)
        seconds = time.perf_counter() - began + _seconds(notes)
        return Result(self.name, preset, tuple(seeds), seconds, tuple(claims), tables, arrays, notes)

    def only(self, preset: str, texts: Sequence[str]) -> Self:
        """Return the experiment with some of its parts (see `Parts`), for a part of the cost.

        Parameters
        ----------
        preset : str
            Name of the preset.
        texts : sequence of str
            A part stays if one of these is in its name. Its runs are those of the whole experiment. Without texts, all
            parts stay.

        Raises
        ------
        RequestError
            If the analysis has no parts, or a text is in no name.
        """
        if not texts:
            return self
        if not isinstance(self.analyse, Parts):
            raise RequestError(f"only: got experiment {self.name}, needs one whose analysis has parts")
        parts = list(self._split({role: [spec] for role, spec in self.specs(preset, 0).items()}))
        for text in texts:
            if not any(text in part for part in parts):
                names = ", ".join(map(repr, parts))
                raise RequestError(f"only: got {text!r}, needs a part of {self.name}, or of its name: {names}")

        def specs(preset: str, seed: int) -> dict[str, RunSpec]:
            return {
                role: spec
                for role, spec in self.specs(preset, seed).items()
                if any(text in part for part in self._split({role: [spec]}) for text in texts)
            }

        return replace(self, specs=specs)

    def costs(self, preset: str, specs: Mapping[str, Sequence[RunSpec]]) -> list[tuple[int, RunSpec]]:
        """Return the cost of the analysis: numbers of pictures, each with a spec whose network is trained on them.

        Parameters
        ----------
        preset : str
            Name of the preset.
        specs : mapping of str to sequence of RunSpec
            The specs by role, one a seed.
        """
        return _costs(preset, self._split(specs).values())

    def costs_left(self, preset: str, seeds: Sequence[int], runs: Runs, files: Files) -> list[tuple[int, RunSpec]]:
        """Return the cost of analysing finished runs, as `costs` does, without what a store keeps.

        The parameters are those of `result`.
        """
        kept = _keys(files)
        if self._question(preset, seeds, runs).key() in kept:
            return []
        left = [
            part
            for name, part in self._split(runs).items()
            if self._question(preset, seeds, part.of_roles, name).key() not in kept
        ]
        specs = ({role: [run.spec for run in of_role] for role, of_role in part.of_roles.items()} for part in left)
        return _costs(preset, [replace(part, of_roles=of_roles) for part, of_roles in zip(left, specs, strict=True)])

    def _split(self, of_roles: Mapping[str, Sequence[Any]]) -> Mapping[str, Part]:
        """The parts of the analysis by name; the whole has no name."""
        if isinstance(self.analyse, Parts):
            return self.analyse.split(of_roles)
        return {"": Part(of_roles, self.analyse, self.analysis)}

    def _question(self, preset: str, seeds: Sequence[int], runs: Runs, part: str = "") -> Question:
        """A part has the seeds of its runs, so that the same part serves a result of more seeds."""
        ids = {role: tuple(run.id for run in of_role) for role, of_role in runs.items()}
        if part:
            seeds = sorted({run.spec.seed for of_role in runs.values() for run in of_role})
        return Question(self.name, preset, tuple(seeds), ids, part)


def _costs(preset: str, parts: Iterable[Part]) -> list[tuple[int, RunSpec]]:
    found = []
    for part in parts:
        if count := part.analysis(preset) * max(map(len, part.of_roles.values())):
            specs = (spec for of_role in part.of_roles.values() for spec in of_role)
            found.append((count, max(specs, key=effort_of_a_picture)))
    return found


def _notes(runs: Runs) -> tuple[RunNote, ...]:
    return tuple(
        RunNote(role, run.spec.seed, run.id, run.spec.model_dump(mode="json"), run.manifest)
        for role, of_role in runs.items()
        for run in of_role
    )


def _keys(files: Files) -> set[str]:
    """The keys of what is kept, for an estimate, which never fails."""
    try:
        return results.keys(files)
    except (MachineError, StoreError):
        return set()


def _kept(files: Files, question: Question) -> Analysis | None:
    try:
        return _analysis(results.load(files, question.key()))
    except (MachineError, StoreError):
        return None
