"""What an experiment is: the runs that it needs, and an analysis that ends in claims with verdicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from hyperfactor.errors import RequestError
from hyperfactor.experiments import kept
from hyperfactor.experiments.claims import Claim
from hyperfactor.experiments.kept import Analysis
from hyperfactor.images.gaussian import Picture
from hyperfactor.models.unet import UNetSpec
from hyperfactor.runs.files import Files
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec

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
        "model": {"width": 64, "attention": [32, 16, 8, 4]},
        "diffusion": {"prediction": "epsilon", "time_bias": 1.0, "signal_weight": 0.0},
        "training": {
            "steps": 100_000, "batch": 64, "learning_rate": 3e-4, "warmup": 1000, "betas": [0.9, 0.999],
            "ema": 0.9995, "record_every": 500, "evaluate_every": 10_000, "checkpoint_every": 2000,
        },
        "sampling": {"sampler": "ddpm", "steps": 1000},
    },
}  # fmt: skip


def preset_spec(preset: str, seed: int, **sections: Mapping[str, Any]) -> RunSpec:
    """An experiment's own keys with the preset's laid over them, section by section.  Attention, which presets set for
    pictures of 32 pixels a side, stands at the same blocks in pictures of another size.

    Raises RequestError for an unknown preset.
    """
    if preset not in PRESETS:
        raise RequestError(f"preset: got {preset!r}, needs one of {', '.join(PRESETS)}")
    base = PRESETS[preset]
    merged = {name: {**sections.get(name, {}), **base.get(name, {})} for name in {*base, *sections}}
    size = Picture.parse(merged.get("data", {}).get("picture", {})).size
    if size != 32:
        attention = merged.get("model", {}).get("attention", UNetSpec().attention)
        merged["model"] = {**merged.get("model", {}), "attention": [at * size // 32 for at in attention]}
    return RunSpec.parse({"seed": seed, **merged})


def few(preset: str, values: Sequence[Any]) -> Sequence[Any]:
    """The values of a quantity that an experiment goes through; the first and the last for `smoke`."""
    return (values[0], values[-1]) if preset == "smoke" else values


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
    """What an experiment found.  `arrays` hold what figures draw beside the tables."""

    experiment: str
    preset: str
    seeds: tuple[int, ...]
    seconds: float
    claims: tuple[Claim, ...]
    tables: dict[str, pl.DataFrame]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    runs: tuple[RunNote, ...] = ()

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


Runs = Mapping[str, Sequence[Run]]  # role -> the run of each seed; only a search's later roles may lack some


@dataclass(frozen=True)
class Experiment:
    """One question of the paper.

    specs(preset, seed): the runs needed, by role.  more(preset, seed, runs): what a search needs further once those are
    finished, by role; asked again until it needs nothing.  analyse(runs): claims, tables, arrays.  searched(preset): about
    how many runs a seed `more` asks for, all in all.
    """

    name: str
    question: str
    figures: tuple[str, ...]
    specs: Callable[[str, int], dict[str, RunSpec]]
    analyse: Callable[[Runs], Analysis]
    more: Callable[[str, int, Mapping[str, Run]], dict[str, RunSpec]] = lambda _preset, _seed, _runs: {}
    searched: Callable[[str], int] = lambda _preset: 0

    def result(
        self, preset: str, seeds: Sequence[int], runs: Runs, seconds: float, files: Files | None = None
    ) -> Result:
        """Analyse finished runs, or take the analysis that was kept of them in `files`, those of a store."""
        ids = {role: [run.id for run in of_role] for role, of_role in runs.items()}
        analysis = kept.load(files, self.name, ids) if files else None
        if analysis is None:
            analysis = self.analyse(runs)
            if files:
                kept.save(files, self.name, ids, analysis)
        claims, tables, arrays = analysis
        notes = [
            RunNote(role, run.spec.seed, run.id, run.spec.model_dump(mode="json"), run.manifest)
            for role, of_role in runs.items()
            for run in of_role
        ]
        return Result(self.name, preset, tuple(seeds), seconds, tuple(claims), tables, arrays, tuple(notes))
