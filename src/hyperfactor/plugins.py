"""Plug-ins: Python files and modules in which users define families, regions, encodings, models and experiments.

A class registers its kind when the file that defines it is run.  `load` runs a file.  A sweep hands the plug-ins of its
process to its workers, which run the same content even where the files are out of reach.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from types import ModuleType

from hyperfactor.errors import RequestError, told


@dataclass(frozen=True)
class Plugin:
    """A file or a module.

    Attributes
    ----------
    module : str
        Name of the module; that of a file is the file's name without `.py`.
    path : str or None
        The file; None for a module that Python finds by itself.
    content : bytes
        Of the file.
    """

    module: str
    path: str | None = None
    content: bytes = b""


_LOADED: dict[str, Plugin] = {}  # by module
_ONE_AT_A_TIME = RLock()  # workers that are threads of one process ask at the same time


def load(name: str | Path) -> ModuleType:
    """Run a Python file, or import a module, once.

    Parameters
    ----------
    name : str or Path
        `FILE.py`, or the name of a module that can be imported. A file may import what stands beside it, and other files
        import it by its name.

    Returns
    -------
    ModuleType
        The module, with what the file defines.

    Raises
    ------
    RequestError
        For a name that is neither, a file that cannot be run, and one whose name another module has.
    """
    given = str(name)
    if not given.endswith(".py") and "/" not in given and "\\" not in given:
        return _imported(Plugin(given), "FILE.py, or a module that can be imported")
    plugin = _in_file(given)
    with _ONE_AT_A_TIME:
        if plugin.module not in _LOADED and (other := _other_of_this_name(plugin)):
            raise RequestError(f"{given}: got the name of another module ({other}), needs another name")
        folder, before = str(Path(str(plugin.path)).parent), set(sys.modules)
        if folder not in sys.path:
            sys.path.append(folder)
        module = _imported(plugin)
        for name in [name for name in sys.modules if name not in before]:
            if (beside := _beside(name, folder)) is not None:
                _LOADED.setdefault(name, beside)
    return module


def loaded() -> tuple[Plugin, ...]:
    """The plug-ins of this process, with the modules beside them that they have imported."""
    return tuple(_LOADED.values())


def bring(plugins: Sequence[Plugin]) -> None:
    """Load the plug-ins of another process.

    Raises
    ------
    RequestError
        For one that cannot be run here, and where this process has loaded another one of its name.
    """
    with _ONE_AT_A_TIME:
        new = [plugin for plugin in plugins if plugin.module not in _LOADED]
        _LOADED.update({plugin.module: plugin for plugin in new})  # they may import each other
        try:
            for plugin in plugins:
                _imported(plugin)
        except BaseException:
            for plugin in new:
                _LOADED.pop(plugin.module, None)
            raise


def digest() -> bytes:
    """A hash of the files of the plug-ins of this process, in whatever order; empty where there are none."""
    parts = sorted(f"{plugin.module} {hashlib.sha256(_content(plugin)).hexdigest()}" for plugin in loaded())
    return hashlib.sha256("\n".join(parts).encode()).digest() if parts else b""


def _content(plugin: Plugin) -> bytes:
    file = plugin.path or getattr(sys.modules[plugin.module], "__file__", None)
    return plugin.content or (Path(file).read_bytes() if file else b"")


def _in_file(given: str) -> Plugin:
    """The plug-in in a file that a user names."""
    with told(given, "a Python file"):
        path = Path(given).expanduser().resolve()
        if not path.is_file():
            raise RequestError(f"{given}: got no file, needs a Python file")
        if path.suffix != ".py":
            raise RequestError(f"{given}: got a file of another kind, needs a Python file, NAME.py")
        return Plugin(re.sub(r"\W", "_", path.stem), str(path), path.read_bytes())


def _beside(module: str, folder: str) -> Plugin | None:
    """An imported module as a plug-in, if it is a file of this folder."""
    file = getattr(sys.modules[module], "__file__", None)
    if module in _LOADED or not file or Path(file).resolve().parent != Path(folder) or Path(file).suffix != ".py":
        return None
    return Plugin(module, str(Path(file).resolve()), Path(file).read_bytes())


def _imported(plugin: Plugin, needs: str = "a file that can be run") -> ModuleType:
    """The module of a plug-in, which is run if this process has not imported it yet."""
    known = _LOADED.setdefault(plugin.module, plugin)
    where = plugin.path or plugin.module
    if known.content != plugin.content:
        if known.path == plugin.path:
            raise RequestError(
                f"{where}: got a file that has changed since it was loaded, needs a new process or worker"
            )
        raise RequestError(f"{where}: got the name of {known.path or known.module}, needs another name")
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    try:
        with told(plugin.path or f"import {plugin.module}", needs):
            return import_module(plugin.module)
    except BaseException:
        _LOADED.pop(plugin.module, None)
        raise


def _other_of_this_name(plugin: Plugin) -> str | None:
    """Where the module is that Python finds under the name of a plug-in, if it is another one."""
    if plugin.module in sys.modules:
        where = getattr(sys.modules[plugin.module], "__file__", None) or "without a file"
    else:
        spec = find_spec(plugin.module)
        where = spec and spec.origin  # None for a folder without __init__.py, which gives way to a file
    return where if where and str(Path(where).resolve()) != plugin.path else None


class _Finder(MetaPathFinder):
    """Finds the modules of files that were loaded here, or come from another process."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        plugin = _LOADED.get(fullname)
        if plugin is None or plugin.path is None:
            return None
        return spec_from_file_location(fullname, plugin.path, loader=_Loader(plugin))


class _Loader(SourceLoader):
    def __init__(self, plugin: Plugin):
        self.plugin = plugin

    def get_filename(self, fullname: str) -> str:
        return str(self.plugin.path)

    def get_data(self, path: str) -> bytes:
        return self.plugin.content
