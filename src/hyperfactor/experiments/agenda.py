"""The runs that several experiments need. Each is trained once, and a search goes on once its own runs are finished."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hyperfactor.errors import RequestError
from hyperfactor.experiments import EXPERIMENTS, named
from hyperfactor.experiments.base import Experiment, Result
from hyperfactor.runs.execute import STORE
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.runs.sweep import train_all
from hyperfactor.store.files import Files, files_at

Item = TypeVar("Item")


def reproduce(
    name: str,
    preset: str = "laptop",
    seeds: int = 1,
    store: str | Path = STORE,
    workers: int | None = None,
    only: Sequence[str] = (),
) -> Result:
    """Train the runs of an experiment that the store lacks, and analyse them, as `hyperfactor reproduce` does.

    Parameters
    ----------
    name : str
        Name of the experiment.
    preset : str
        smoke, laptop or paper.
    seeds : int
        Number of seeds; they are 0 .. seeds - 1.
    store : str or Path
        A folder of runs, or a bucket. The result is kept there too.
    workers : int, optional
        Number of worker processes (see `train_all`). Default: one a core.
    only : sequence of str
        Only the parts whose names contain one of these texts (see `Experiment.only`). Default: all parts.

    Raises
    ------
    RequestError
        For an unknown name or preset, less than one seed, or parts that the experiment does not have.
    HyperfactorError
        If a run fails, its error. Finished runs stay in the store.
    """
    if name not in EXPERIMENTS:
        raise RequestError(f"experiment: got {name!r}, needs {named()}")
    if seeds < 1:
        raise RequestError(f"seeds: got {seeds}, needs an integer of at least 1")
    agenda = Agenda([EXPERIMENTS[name].only(preset, only)], preset, seeds)
    _, failures = train_all(agenda.missing(), store, workers=workers, following=agenda.add)
    for error in failures.values():
        raise error
    (result,) = agenda.results(files_at(store))
    return result


@dataclass
class _Search:
    """A search of an experiment for one seed: the ids that it has requested by role, request by request.

    An experiment that does not search has one for each seed, with one request.
    """

    experiment: Experiment
    seed: int
    requests: list[dict[str, str]]
    over: bool = False

    def ids(self) -> dict[str, str]:
        return {role: run for request in self.requests for role, run in request.items()}

    def expected(self, preset: str) -> int:
        """Expected number of further runs."""
        first, *further = self.requests
        return self.experiment.searched(preset, next(iter(first))) - sum(map(len, further)) if first else 0


class Agenda:
    """The runs of experiments under a preset::

        wanted = agenda.missing()
        while wanted:
            wanted += agenda.add(train(wanted.pop()))

    Equal specs of different experiments are one run. Runs may be added in any order: it changes neither what is
    requested nor a result.

    Parameters
    ----------
    experiments : sequence of Experiment
        The experiments.
    preset : str
        Name of the preset.
    seeds : int
        Number of seeds; they are 0 .. seeds - 1.

    Raises
    ------
    RequestError
        For an unknown preset.
    """

    def __init__(self, experiments: Sequence[Experiment], preset: str, seeds: int):
        self.experiments, self.preset, self.seeds = experiments, preset, range(seeds)
        self._specs: dict[str, RunSpec] = {}
        self._titles: dict[str, str] = {}
        self._done: dict[str, Run] = {}
        self._searches = [search for e in experiments for seed in self.seeds for search in self._begin(e, seed)]

    def _begin(self, experiment: Experiment, seed: int) -> list[_Search]:
        """The searches of an experiment for one seed, with their first requests."""
        first: dict[str, dict[str, RunSpec]] = {}
        for role, spec in experiment.specs(self.preset, seed).items():
            first.setdefault(experiment.search(role), {})[role] = spec
        return [_Search(experiment, seed, [self._request(experiment, seed, of_search)]) for of_search in first.values()]

    def _request(self, experiment: Experiment, seed: int, specs: dict[str, RunSpec]) -> dict[str, str]:
        """The ids of specs, which are noted."""
        ids = {role: spec.id for role, spec in specs.items()}
        for role, run in ids.items():
            self._specs.setdefault(run, specs[role])
            self._titles.setdefault(run, f"{experiment.name} {role}, seed {seed}")
        return ids

    def specs(self) -> list[RunSpec]:
        """Return the specs requested so far, finished or not."""
        return list(self._specs.values())

    def missing(self) -> list[RunSpec]:
        """Return the specs requested so far whose runs have not been added."""
        return [spec for run, spec in self._specs.items() if run not in self._done]

    def titles(self) -> dict[str, str]:
        """Return for each id the purpose for which the run was first requested: "composition 2d, seed 0"."""
        return dict(self._titles)

    def searched(self) -> list[tuple[int, list[RunSpec]]]:
        """For each unfinished search, return the expected number of further runs and the runs requested so far.

        The runs requested so far serve to estimate the cost of the further ones.
        """
        return [
            (count, [self._specs[run] for run in search.ids().values()])
            for search in self._searches
            if not search.over and (count := search.expected(self.preset)) > 0
        ]

    def add(self, run: Run) -> list[RunSpec]:
        """Add a finished run, and return the specs that are requested because of it and were not requested before."""
        known = set(self._specs)
        self._done[run.id] = run
        for search in self._searches:
            self._continue(search)
        return [spec for run, spec in self._specs.items() if run not in known]

    def _continue(self, search: _Search) -> None:
        """Ask a search for its next request while all of its runs are finished. It is over if it wants no other run."""
        while not search.over and all(run in self._done for run in search.ids().values()):
            runs = {role: self._done[run] for role, run in search.ids().items()}
            further = search.experiment.more(self.preset, search.seed, runs)
            request = self._request(search.experiment, search.seed, further)
            if {*request.values()} - {*search.ids().values()}:
                search.requests.append(request)
            else:
                search.over = True

    def results(
        self, files: Files, report: Callable[[str, float], None] = lambda _name, _seconds: None
    ) -> list[Result]:
        """Return the result of each experiment; analyses are kept in `files`. For `report` see `Experiment.result`."""
        return [one.result(self.preset, self.seeds, self._runs(one), files, report) for one in self.experiments]

    def analyses(self, files: Files) -> list[tuple[int, RunSpec]]:
        """Return the costs of the analyses that `files` do not keep (see `Experiment.costs`).

        A search that is not over counts with the runs that it has requested so far.
        """
        return [cost for experiment in self.experiments for cost in self._costs(experiment, files)]

    def _costs(self, experiment: Experiment, files: Files) -> list[tuple[int, RunSpec]]:
        if self._is_over(experiment):
            return experiment.costs_left(self.preset, self.seeds, self._runs(experiment), files)
        return experiment.costs(self.preset, self._by_role(experiment, self._specs))

    def _is_over(self, experiment: Experiment) -> bool:
        return all(search.over for search in self._searches if search.experiment is experiment)

    def _runs(self, experiment: Experiment) -> dict[str, list[Run]]:
        """The finished runs of an experiment by role, one a seed. A search may be longer for one seed."""
        return self._by_role(experiment, self._done)

    def _by_role(self, experiment: Experiment, of_ids: Mapping[str, Item]) -> dict[str, list[Item]]:
        """What belongs to the runs of an experiment, by role, one a seed."""
        of_seed = [self._ids(experiment, seed) for seed in self.seeds]
        roles = dict.fromkeys(role for ids in of_seed for role in ids)
        return {role: [of_ids[ids[role]] for ids in of_seed if role in ids] for role in roles}

    def _ids(self, experiment: Experiment, seed: int) -> dict[str, str]:
        """The ids of a seed by role: the first request of each search, then the second of each, and so on."""
        searches = [search for search in self._searches if search.experiment is experiment and search.seed == seed]
        longest = max((len(search.requests) for search in searches), default=0)
        requests = [search.requests[k] for k in range(longest) for search in searches if k < len(search.requests)]
        return {role: run for request in requests for role, run in request.items()}
