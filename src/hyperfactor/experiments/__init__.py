"""The experiments, by name, in the order in which they are listed and run."""

from hyperfactor.experiments.base import Experiment
from hyperfactor.experiments.composition import EXPERIMENT as COMPOSITION
from hyperfactor.experiments.data_efficiency import EXPERIMENT as DATA_EFFICIENCY
from hyperfactor.experiments.exterior import EXPERIMENT as EXTERIOR
from hyperfactor.experiments.hyperfactorization import EXPERIMENT as HYPERFACTORIZATION
from hyperfactor.experiments.interpolation import EXPERIMENT as INTERPOLATION
from hyperfactor.experiments.percolation_onset import EXPERIMENT as PERCOLATION_ONSET
from hyperfactor.experiments.torus import EXPERIMENT as TORUS

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
    )
}
