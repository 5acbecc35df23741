"""Several experiments at once: the runs that they need, each trained once, in rounds until every search is over."""

from collections.abc import Mapping, Sequence

from hyperfactor.experiments.base import Experiment, Result
from hyperfactor.runs.run import Run
from hyperfactor.runs.spec import RunSpec
from hyperfactor.store.files import Files


class Rounds:
    """The runs of experiments under a preset.

        while wanted := rounds.missing():
            rounds.add(train(wanted))

    Equal specs of different experiments are one run.

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
        self._specs = {(e.name, seed): dict(e.specs(preset, seed)) for e in experiments for seed in self.seeds}
        self._first = {key: len(of_one) for key, of_one in self._specs.items()}
        self._done: dict[str, Run] = {}

    def specs(self) -> list[RunSpec]:
        """Return the specs requested so far, finished or not."""
        return list({spec.id: spec for of_one in self._specs.values() for spec in of_one.values()}.values())

    def missing(self) -> list[RunSpec]:
        """Return the specs of the next round; none if there is nothing more to train."""
        return [spec for spec in self.specs() if spec.id not in self._done]

    def titles(self) -> dict[str, str]:
        """Return for each id the purpose of the run: "composition 2d, seed 0"."""
        return {
            spec.id: f"{name} {role}, seed {seed}"
            for (name, seed), of_one in self._specs.items()
            for role, spec in of_one.items()
        }

    def searched(self) -> list[tuple[int, list[RunSpec]]]:
        """For each unfinished search, return the expected number of further runs and the runs requested so far.

        The runs requested so far serve to estimate the cost of the further ones.
        """
        return [
            (count, list(specs.values()))
            for experiment in self.experiments
            for seed in self.seeds
            if (specs := self._specs[experiment.name, seed])
            if any(spec.id not in self._done for spec in specs.values())
            if (count := experiment.searched(self.preset) + self._first[experiment.name, seed] - len(specs)) > 0
        ]

    def add(self, done: Mapping[str, Run]) -> None:
        """Add finished runs by id, and ask the experiments for the runs that they need next."""
        self._done |= done
        for experiment in self.experiments:
            for seed in self.seeds:
                while self._ask(experiment, seed):
                    pass

    def _ask(self, experiment: Experiment, seed: int) -> bool:
        """Whether an experiment, all of whose runs are finished, needs further runs."""
        of_one = self._specs[experiment.name, seed]
        if any(spec.id not in self._done for spec in of_one.values()):
            return False
        new = experiment.more(self.preset, seed, {role: self._done[spec.id] for role, spec in of_one.items()})
        of_one |= new
        return bool(new)

    def results(self, files: Files) -> list[Result]:
        """Return the result of each experiment; analyses are kept in `files`."""
        found = []
        for experiment in self.experiments:
            of_seed = [self._specs[experiment.name, seed] for seed in self.seeds]
            roles = dict.fromkeys(role for specs in of_seed for role in specs)  # a search may be longer for one seed
            runs = {role: [self._done[specs[role].id] for specs in of_seed if role in specs] for role in roles}
            found.append(experiment.result(self.preset, self.seeds, runs, files))
        return found
