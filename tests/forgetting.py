"""Plug-ins that are loaded for the duration of a test, or of a part of it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hyperfactor import plugins
from hyperfactor.experiments import EXPERIMENTS
from hyperfactor.figures import FIGURES
from hyperfactor.strict import Open


@contextmanager
def forgetting() -> Iterator[None]:
    """After the block, forget the plug-ins that it loaded, with their kinds, experiments and figures."""
    tables: list[dict] = [
        plugins._LOADED, plugins._READ, EXPERIMENTS, FIGURES, *(section.kinds for section in Open.__subclasses__())
    ]  # fmt: skip
    before, path, modules = [dict(table) for table in tables], list(sys.path), set(sys.modules)
    try:
        yield
    finally:
        for table, content in zip(tables, before, strict=True):
            table.clear()
            table.update(content)
        folders = tuple(f"{folder}{os.sep}" for folder in sys.path if folder not in path)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if folders and str(getattr(sys.modules[name], "__file__", None)).startswith(folders):
                del sys.modules[name]
