"""Does a generative model learn the factors of what it draws, and can it compose them?"""

from typing import TYPE_CHECKING

from hyperfactor import lazy

if TYPE_CHECKING:
    from hyperfactor import (
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
    from hyperfactor.errors import (
        BusyError as BusyError,
        DivergedError as DivergedError,
        HyperfactorError as HyperfactorError,
        MachineError as MachineError,
        RequestError as RequestError,
        StoreError as StoreError,
    )
    from hyperfactor.experiments.base import Experiment as Experiment, Result as Result
    from hyperfactor.factors.encoding import Encoding as Encoding
    from hyperfactor.factors.regions import Region as Region
    from hyperfactor.factors.space import Factor as Factor, FactorSpace as FactorSpace
    from hyperfactor.generators.base import Generator as Generator, ModelSpec as ModelSpec
    from hyperfactor.images.family import Family as Family, Reading as Reading
    from hyperfactor.measures.representation import Axis as Axis, Representation as Representation
    from hyperfactor.runs.execute import train as train
    from hyperfactor.runs.record import Record as Record
    from hyperfactor.runs.run import Run as Run
    from hyperfactor.runs.spec import RunSpec as RunSpec
    from hyperfactor.runs.sweep import train_all as train_all
    from hyperfactor.store.store import Store as Store
    from hyperfactor.subjects.array import ArraySubject as ArraySubject
    from hyperfactor.subjects.study import Study as Study, study as study
    from hyperfactor.subjects.torch_module import TorchSubject as TorchSubject
else:
    __getattr__, __dir__, __all__ = lazy.attach(
        __name__,
        (
            "errors",
            "experiments",
            "factors",
            "figures",
            "generators",
            "images",
            "measures",
            "networks",
            "percolation",
            "plugins",
            "report",
            "runs",
            "store",
            "subjects",
            "training",
        ),
        {
            "errors": ("BusyError", "DivergedError", "HyperfactorError", "MachineError", "RequestError", "StoreError"),
            "experiments.base": ("Experiment", "Result"),
            "factors.encoding": ("Encoding",),
            "factors.regions": ("Region",),
            "factors.space": ("Factor", "FactorSpace"),
            "generators.base": ("Generator", "ModelSpec"),
            "images.family": ("Family", "Reading"),
            "measures.representation": ("Axis", "Representation"),
            "runs.execute": ("train",),
            "runs.record": ("Record",),
            "runs.run": ("Run",),
            "runs.spec": ("RunSpec",),
            "runs.sweep": ("train_all",),
            "store.store": ("Store",),
            "subjects.array": ("ArraySubject",),
            "subjects.study": ("Study", "study"),
            "subjects.torch_module": ("TorchSubject",),
        },
    )
