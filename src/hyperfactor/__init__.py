"""Does a generative model learn the factors of what it draws, and can it compose them?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperfactor.errors import BusyError, DivergedError, HyperfactorError, MachineError, RequestError, StoreError
    from hyperfactor.experiments.base import Result
    from hyperfactor.runs.execute import train
    from hyperfactor.runs.record import Record
    from hyperfactor.runs.run import Run
    from hyperfactor.runs.spec import RunSpec
    from hyperfactor.store.store import Store
    from hyperfactor.subjects.array import ArraySubject
    from hyperfactor.subjects.study import Study, study
    from hyperfactor.subjects.torch_module import TorchSubject

# The modules of the public names. A name is imported at its first use, because torch takes seconds.
_HOMES = {
    "ArraySubject": "hyperfactor.subjects.array",
    "BusyError": "hyperfactor.errors",
    "DivergedError": "hyperfactor.errors",
    "HyperfactorError": "hyperfactor.errors",
    "MachineError": "hyperfactor.errors",
    "Record": "hyperfactor.runs.record",
    "RequestError": "hyperfactor.errors",
    "Result": "hyperfactor.experiments.base",
    "Run": "hyperfactor.runs.run",
    "RunSpec": "hyperfactor.runs.spec",
    "Store": "hyperfactor.store.store",
    "StoreError": "hyperfactor.errors",
    "Study": "hyperfactor.subjects.study",
    "TorchSubject": "hyperfactor.subjects.torch_module",
    "study": "hyperfactor.subjects.study",
    "train": "hyperfactor.runs.execute",
}
__all__ = [
    "ArraySubject",
    "BusyError",
    "DivergedError",
    "HyperfactorError",
    "MachineError",
    "Record",
    "RequestError",
    "Result",
    "Run",
    "RunSpec",
    "Store",
    "StoreError",
    "Study",
    "TorchSubject",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hyperfactor' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
