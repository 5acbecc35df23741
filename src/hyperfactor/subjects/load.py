"""A subject in a Python file of the user's."""

import importlib.util
import sys
from typing import Any

from hyperfactor.errors import RequestError
from hyperfactor.store.named import named_path
from hyperfactor.subjects.array import ArraySubject
from hyperfactor.subjects.base import Model, told


def load_subject(name: str) -> Model | ArraySubject:
    """The subject that `MODEL.py:NAME` names.

    Parameters
    ----------
    name : str
        A Python file, and the name in it of a subject, or of a function without arguments that returns one. The file is
        run; it may import what stands beside it.

    Raises
    ------
    RequestError
        For a file that cannot be run, a name that it does not have, and what is no subject.
    """
    path, _, attribute = name.rpartition(":")
    if not path or not attribute.isidentifier():
        raise RequestError(f"subject: got {name!r}, needs MODEL.py:NAME, a Python file and a name in it")
    file = named_path(path, "subject")
    if not file.is_file():
        raise RequestError(f"{path}: got no file, needs a Python file")
    spec = importlib.util.spec_from_file_location(f"hyperfactor_subject_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise RequestError(f"{path}: got a file of another kind, needs a Python file, NAME.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and pickles of the file look for it
    sys.path.insert(0, str(file.parent))
    try:
        with told(path, "a file that can be run"):
            spec.loader.exec_module(module)
            if not hasattr(module, attribute):
                raise RequestError(
                    f"{path}: got no {attribute}, needs the name of a subject, or of a function that makes one"
                )
            found = _made(getattr(module, attribute))
    finally:
        sys.path.remove(str(file.parent))
    if not isinstance(found, Model | ArraySubject):
        raise RequestError(f"{name}: got {type(found).__name__}, needs a subject, such as TorchSubject or ArraySubject")
    return found


def _made(named: Any) -> Any:
    """A subject as it is; what a function returns."""
    is_subject = isinstance(named, Model | ArraySubject) and not isinstance(named, type)
    return named() if callable(named) and not is_subject else named
