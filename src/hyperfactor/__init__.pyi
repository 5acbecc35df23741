from . import (
    errors as errors,
    experiments as experiments,
    factors as factors,
    figures as figures,
    generators as generators,
    images as images,
    measures as measures,
    networks as networks,
    percolation as percolation,
    plugins as plugins,
    report as report,
    runs as runs,
    store as store,
    subjects as subjects,
    training as training,
)
from .errors import (
    BusyError as BusyError,
    DivergedError as DivergedError,
    HyperfactorError as HyperfactorError,
    MachineError as MachineError,
    RequestError as RequestError,
    StoreError as StoreError,
)
from .experiments.agenda import reproduce as reproduce
from .experiments.base import Experiment as Experiment, Result as Result
from .factors.encoding import Encoding as Encoding
from .factors.regions import Region as Region
from .factors.space import Factor as Factor, FactorSpace as FactorSpace
from .generators.base import Generator as Generator, ModelSpec as ModelSpec
from .images.family import Family as Family, Reading as Reading
from .measures.representation import Axis as Axis, Representation as Representation
from .runs.execute import train as train
from .runs.record import Record as Record
from .runs.run import Run as Run
from .runs.spec import RunSpec as RunSpec
from .runs.sweep import train_all as train_all
from .store.store import Store as Store
from .subjects.array import ArraySubject as ArraySubject
from .subjects.study import Study as Study, study as study
from .subjects.torch_module import TorchSubject as TorchSubject
