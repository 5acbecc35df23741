"""The runs of a report: every model with its spec, and where and with what each seed of it was trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hyperfactor.experiments.base import Result, RunNote
from hyperfactor.runs.spec import dump_yaml


@dataclass
class Model:
    """The runs whose specs differ in the seed alone.

    Attributes
    ----------
    spec : str
        Their spec as YAML, with the seeds as a comment.
    roles : list of str
        What the experiments use them for: "composition: 2d".
    runs : list of RunNote
        The runs, by seed.
    """

    spec: str
    roles: list[str] = field(default_factory=list)
    runs: list[RunNote] = field(default_factory=list)


@dataclass(frozen=True)
class Appendix:
    """The models of a report, and the packages that trained them.

    Attributes
    ----------
    models : list of Model
        The models.
    packages : list of dict
        The different sets of package versions.
    """

    models: list[Model]
    packages: list[dict[str, str]]

    def packages_of(self, note: RunNote) -> int:
        """Return the number of a run's set of packages, from 1."""
        return self.packages.index(note.manifest["versions"]) + 1


def appendix(results: Sequence[Result]) -> Appendix:
    """Collect the runs of results. A run that several experiments use is listed once."""
    models: dict[str, Model] = {}
    known: set[str] = set()
    packages: list[dict[str, str]] = []
    for result in results:
        for note in result.runs:
            text = dump_yaml(_without_seed(note.spec))
            model = models.setdefault(text, Model(text))
            if (role := f"{result.experiment}: {note.role}") not in model.roles:
                model.roles.append(role)
            if note.id not in known:
                known.add(note.id)
                model.runs.append(note)
            if note.manifest["versions"] not in packages:
                packages.append(note.manifest["versions"])
    for model in models.values():
        model.runs.sort(key=lambda note: note.seed)
        model.spec = f"seed: {model.runs[0].seed}{_others(model.runs)}\n{model.spec}"
    return Appendix(list(models.values()), packages)


def _without_seed(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "seed"}


def _others(runs: Sequence[RunNote]) -> str:
    return f"  # and {', '.join(str(note.seed) for note in runs[1:])}" if len(runs) > 1 else ""
