"""The experiments, by name, in the order in which they are listed and run."""

from hyperfactor.errors import RequestError
from hyperfactor.experiments.ancestral import EXPERIMENT as ANCESTRAL
from hyperfactor.experiments.architectures import EXPERIMENT as ARCHITECTURES
from hyperfactor.experiments.base import Experiment, Result, preset_spec, share, unmet
from hyperfactor.experiments.claims import Bound, Claim, Estimate, claim
from hyperfactor.experiments.composition import EXPERIMENT as COMPOSITION
from hyperfactor.experiments.data_efficiency import EXPERIMENT as DATA_EFFICIENCY
from hyperfactor.experiments.emergence import EXPERIMENT as EMERGENCE
from hyperfactor.experiments.exterior import EXPERIMENT as EXTERIOR
from hyperfactor.experiments.hyperfactorization import EXPERIMENT as HYPERFACTORIZATION
from hyperfactor.experiments.interpolation import EXPERIMENT as INTERPOLATION
from hyperfactor.experiments.many_factors import EXPERIMENT as MANY_FACTORS
from hyperfactor.experiments.percolation_families import EXPERIMENT as PERCOLATION_FAMILIES
from hyperfactor.experiments.percolation_onset import EXPERIMENT as PERCOLATION_ONSET
from hyperfactor.experiments.recipes import EXPERIMENT as RECIPES
from hyperfactor.experiments.richer_pictures import EXPERIMENT as RICHER_PICTURES
from hyperfactor.experiments.torus import EXPERIMENT as TORUS

__all__ = [
    "EXPERIMENTS",
    "Bound",
    "Claim",
    "Estimate",
    "Experiment",
    "Result",
    "claim",
    "named",
    "of_the_paper",
    "preset_spec",
    "register",
    "share",
    "unmet",
]

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        TORUS,
        HYPERFACTORIZATION,
        COMPOSITION,
        DATA_EFFICIENCY,
        PERCOLATION_ONSET,
        INTERPOLATION,
        EXTERIOR,
        ANCESTRAL,
        ARCHITECTURES,
        MANY_FACTORS,
        RICHER_PICTURES,
        PERCOLATION_FAMILIES,
        EMERGENCE,
        RECIPES,
    )
}


def register(experiment: Experiment) -> None:
    """Make an experiment known by its name, as one of your own.

    Raises
    ------
    RequestError
        Where an experiment of another module has the name.
    """
    known = EXPERIMENTS.setdefault(experiment.name, experiment)
    homes = [getattr(one.analyse, "__module__", None) for one in (known, experiment)]
    if homes[0] != homes[1]:
        raise RequestError(
            f"experiment: got the name {experiment.name!r}, which {homes[0]} has taken, needs another name"
        )
    EXPERIMENTS[experiment.name] = experiment


def of_the_paper() -> list[str]:
    """The names of the experiments that do not go beyond the paper."""
    return [name for name, experiment in EXPERIMENTS.items() if not experiment.beyond]


def named() -> str:
    """The names of the experiments, for a message."""
    return f"one of {', '.join(EXPERIMENTS)}, or one of your own (hyperfactor --import FILE.py ...)"
