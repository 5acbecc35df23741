"""Packages whose contents are imported when they are first used: torch, for one, takes seconds."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attach(
    package: str, modules: Sequence[str], names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What the `__init__.py` of a package needs so that its contents are imported when they are first used.

    Parameters
    ----------
    package : str
        The package's `__name__`.
    modules : sequence of str
        Its modules that can be had as attributes.
    names : mapping of str to sequence of str
        For each module, the names in it that can be had from the package.

    Returns
    -------
    callable, callable, list of str
        `__getattr__`, `__dir__` and `__all__` of the package.
    """
    homes = {name: f"{package}.{module}" for module, of_module in names.items() for name in of_module}
    everything = sorted({*modules, *homes})

    def get(name: str) -> Any:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        if name in modules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: list(everything), everything
