"""Experiments repeated with another choice each time: the matrix of verdicts, claim by choice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from hyperfactor.experiments.base import Analysis, Experiment, Part, Parts, Runs, few
from hyperfactor.experiments.claims import Claim
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec

BETWEEN = " / "  # between the parts of a role: choice, experiment, role in that experiment


@dataclass(frozen=True)
class Choice:
    """A choice that is made in place of that of an experiment.

    Attributes
    ----------
    name : str
        The choice in words: "epsilon prediction".
    sections : mapping of str to mapping
        Keys of a spec that it sets, by section. A section with a `kind` replaces that of the spec as a whole.
    tests : sequence of str, optional
        The experiments that are repeated with it. Default: all.
    longer : float or mapping of str to float
        Factor of the number of training steps: one for all experiments, or factors by their names.
    steps : callable, optional
        steps(spec): the number of training steps, in place of `longer` times that of the spec.
    """

    name: str
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tests: tuple[str, ...] | None = None
    longer: float | Mapping[str, float] = 1.0
    steps: Callable[[RunSpec], int] | None = None

    def change(self, spec: RunSpec, test: str, recode: bool = True) -> RunSpec:
        """Return the spec with this choice. Snapshots move with the steps.

        Parameters
        ----------
        spec : RunSpec
            The spec.
        test : str
            The experiment that it belongs to.
        recode : bool
            Whether the encoding is a choice for this model.
        """
        plain = spec.model_dump()
        for name, keys in self.sections.items():
            if name == "encoding" and not recode:
                continue
            plain[name] = {**({} if "kind" in keys else plain[name]), **keys}
        before = spec.training.steps
        longer = self.longer[test] if isinstance(self.longer, Mapping) else self.longer
        after = self.steps(spec) if self.steps else round(longer * before)
        snapshots = sorted({round(step * after / before) for step in spec.training.snapshots})
        plain["training"] = {**plain["training"], "steps": after, "snapshots": snapshots}
        return RunSpec.parse(plain)


@dataclass(frozen=True)
class Matrix:
    """The claims of experiments under choices.

    Attributes
    ----------
    name : str
        Name of the experiment that the matrix makes, and of its figure.
    choices : sequence of Choice
        The choices.
    tested : mapping of str to Experiment
        The experiments, by name.
    """

    name: str
    choices: Sequence[Choice]
    tested: Mapping[str, Experiment]

    def experiment(self, question: str) -> Experiment:
        """Return the experiment that computes the matrix.

        Parameters
        ----------
        question : str
            Its question.
        """
        return Experiment(
            name=self.name,
            question=question,
            figures=(self.name,),
            specs=self.specs,
            analyse=Parts(self.split, self.join),
            search=self.search,
            more=self.more,
            searched=self.searched,
            beyond=True,
        )

    def tests(self, choice: Choice) -> tuple[str, ...]:
        """Return the names of the experiments that are repeated with a choice."""
        return tuple(self.tested) if choice.tests is None else choice.tests

    def specs(self, preset: str, seed: int) -> dict[str, RunSpec]:
        """Return the models of each choice and experiment, with roles such as "v prediction / composition / 2d"."""
        found = {}
        for choice in few(preset, self.choices):
            for test in self.tests(choice):
                found |= _outer(choice, test, self.tested[test].specs(preset, seed))
        return found

    def search(self, role: str) -> str:
        """Return the choice, the experiment and the search in it."""
        choice, test, inner = self._of(role)
        return BETWEEN.join((choice.name, test, self.tested[test].search(inner)))

    def more(self, preset: str, seed: int, runs: Mapping[str, Run]) -> dict[str, RunSpec]:
        """Return what a search of an experiment requests next, with its choice."""
        choice, test, _ = self._of(next(iter(runs)))
        inner = {self._of(role)[2]: run for role, run in runs.items()}
        return _outer(choice, test, self.tested[test].more(preset, seed, inner))

    def searched(self, preset: str, role: str) -> int:
        """Return about how many models the search of a model requests."""
        _, test, inner = self._of(role)
        return self.tested[test].searched(preset, inner)

    def split(self, of_roles: Mapping[str, Sequence[Any]]) -> dict[str, Part]:
        """Divide what belongs to roles by choice and experiment (see `Parts`)."""
        parts: dict[str, dict[str, Sequence[Any]]] = {}
        for role, of_role in of_roles.items():
            choice, test, inner = self._of(role)
            parts.setdefault(BETWEEN.join((choice.name, test)), {})[inner] = of_role
        tested = {name: self.tested[name.split(BETWEEN)[1]] for name in parts}
        return {name: Part(parts[name], _claims_alone(one), one.analysis) for name, one in tested.items()}

    def join(self, analysed: Mapping[str, tuple[Runs, Analysis]]) -> Analysis:
        """Return the claims of all parts, and a table of them (see `Parts`)."""
        claims, rows = [], []
        for part, (runs, (of_part, _, _)) in analysed.items():
            name, test = part.split(BETWEEN)
            for found in of_part:
                claims.append(self._named(found, name, test, runs))
                low, high = found.interval or (None, None)
                rows.append(
                    {
                        "choice": name, "experiment": test, "claim": found.id, "statement": found.statement,
                        "bound": str(found.bound), "measured": found.measured, "low": low, "high": high,
                        "verdict": found.verdict, "reason": found.reason,
                    }
                )  # fmt: skip
        return claims, {"matrix": pl.DataFrame(rows, infer_schema_length=None)}, {}

    def _of(self, role: str) -> tuple[Choice, str, str]:
        """Return the choice, the experiment, and the role in it."""
        name, test, inner = role.split(BETWEEN, 2)
        return next(choice for choice in self.choices if choice.name == name), test, inner

    def _named(self, found: Claim, choice: str, test: str, runs: Runs) -> Claim:
        roles = tuple(BETWEEN.join((choice, test, inner)) for inner in found.roles or runs)
        return replace(
            found, id=f"{choice}: {found.id}", statement=f"{choice}: {found.statement}", figure=self.name, roles=roles
        )


def _claims_alone(experiment: Experiment) -> Callable[[Runs], Analysis]:
    """Return the analysis of an experiment without its tables and arrays, which the matrix does not show."""
    return lambda runs: (experiment.analyse(runs)[0], {}, {})


def _outer(choice: Choice, test: str, specs: Mapping[str, RunSpec]) -> dict[str, RunSpec]:
    """Return specs with a choice. The control of the torus experiment keeps its code, which is what it controls."""
    return {
        BETWEEN.join((choice.name, test, role)): choice.change(spec, test, recode=role != "no wrap")
        for role, spec in specs.items()
    }
