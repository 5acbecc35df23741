"""Lazy packages, which import their contents at the first use, because torch and others take seconds."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attach(
    package: str, modules: Sequence[str], names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the attributes by which the `__init__.py` of a package imports its contents at the first use.

    Parameters
    ----------
    package : str
        The package's `__name__`.
    modules : sequence of str
        Modules that are attributes of the package.
    names : mapping of str to sequence of str
        For each module, the names in it that are attributes of the package.

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
