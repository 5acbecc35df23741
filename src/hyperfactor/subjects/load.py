"""A subject in a user's Python file."""

from typing import Any

from hyperfactor import plugins
from hyperfactor.errors import RequestError, told
from hyperfactor.subjects.array import ArraySubject
from hyperfactor.subjects.base import Model


def load_subject(name: str) -> Model | ArraySubject:
    """Load the subject that `MODEL.py:NAME` names.

    Parameters
    ----------
    name : str
        A Python file, and the name in it of a subject, or of a function without arguments that returns one. The file is
        run; it may import files beside it.

    Raises
    ------
    RequestError
        For a file that cannot be run, a name that it does not have, and an object that is not a subject.
    """
    path, _, attribute = name.rpartition(":")
    if not path or not attribute.isidentifier():
        raise RequestError(f"subject: got {name!r}, needs MODEL.py:NAME, a Python file and a name in it")
    if not path.endswith(".py"):
        raise RequestError(f"{path}: got a file of another kind, needs a Python file, NAME.py")
    module = plugins.load(path)
    if not hasattr(module, attribute):
        raise RequestError(
            f"{path}: got no {attribute}, needs the name of a subject, or of a function that returns one"
        )
    with told(path, "a file that can be run"):
        found = _made(getattr(module, attribute))
    if not isinstance(found, Model | ArraySubject):
        raise RequestError(f"{name}: got {type(found).__name__}, needs a subject, such as TorchSubject or ArraySubject")
    return found


def _made(named: Any) -> Any:
    """Return a subject as it is, or the result of a function."""
    is_subject = isinstance(named, Model | ArraySubject) and not isinstance(named, type)
    return named() if callable(named) and not is_subject else named
