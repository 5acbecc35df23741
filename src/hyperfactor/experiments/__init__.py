"""The experiments, by name, in the order in which they are listed and run."""

from hyperfactor.experiments.base import Experiment
from hyperfactor.experiments.composition import EXPERIMENT as COMPOSITION
from hyperfactor.experiments.torus import EXPERIMENT as TORUS

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in (TORUS, COMPOSITION)}
