"""Plug-ins: Python files and modules in which users define families, regions, encodings, models and experiments.

A class registers its kind when its file is run, which `load` does. A sweep passes the plug-ins of its process on to its
workers. They run the same content, even if they cannot reach the files.
"""

import hashlib
import re
import sys
import sysconfig
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
        Name of the module. For a file, its name without `.py`.
    path : str or None
        The file. None for a module that Python finds by itself.
    content : bytes
        Content of the file.
    """

    module: str
    path: str | None = None
    content: bytes = b""


_LOADED: dict[str, Plugin] = {}  # by module
_READ: dict[str, str] = {}  # hashes of the files of the modules that plug-ins imported from their folder or below
_ONE_AT_A_TIME = RLock()  # for workers that are threads of one process


def load(name: str | Path) -> ModuleType:
    """Run a Python file, or import a module, once.

    A file may import the files beside it, and other files import it by its name.

    Parameters
    ----------
    name : str or Path
        `FILE.py`, or the name of a module that can be imported.

    Returns
    -------
    ModuleType
        The module.

    Raises
    ------
    RequestError
        If the name is neither, the file cannot be run, or another module has its name.
    """
    given = str(name)
    if not given.endswith(".py") and "/" not in given and "\\" not in given:
        with _ONE_AT_A_TIME:
            before = set(sys.modules)
            module = _imported(Plugin(given), "FILE.py, or a module that can be imported")
            if file := getattr(sys.modules[given.partition(".")[0]], "__file__", None):
                _note([given, *(name for name in sys.modules if name not in before)], Path(file).resolve())
        return module
    plugin = _in_file(given)
    with _ONE_AT_A_TIME:
        if plugin.module not in _LOADED and (other := _other_of_this_name(plugin)):
            raise RequestError(f"{given}: got the name of another module ({other}), needs another name")
        folder, before = str(Path(str(plugin.path)).parent), set(sys.modules)
        if folder not in sys.path:
            sys.path.append(folder)
        module = _imported(plugin)
        new = [name for name in sys.modules if name not in before]
        for name in new:
            if (beside := _beside(name, folder)) is not None:
                _LOADED.setdefault(name, beside)
        _note(new, Path(str(plugin.path)))
    return module


def _note(modules: Sequence[str], plugin: Path) -> None:
    """Keep the hashes of imported modules whose files are in a plug-in's folder or below, as they are now."""
    folder = plugin.parent
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib")}
    others = {place for place in installed if place == folder or not folder.is_relative_to(place)}
    for name in modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if not isinstance(file, str) or not Path(file).is_absolute() or name in _READ:
            continue
        path = Path(file).resolve()
        below = path.is_relative_to(folder) and not any(path.is_relative_to(place) for place in others)
        if path.is_file() and (path == plugin or below):
            _READ[name] = hashlib.sha256(path.read_bytes()).hexdigest()


def loaded() -> tuple[Plugin, ...]:
    """The plug-ins of this process, and the modules beside them that they import."""
    return tuple(_LOADED.values())


def bring(plugins: Sequence[Plugin]) -> None:
    """Load the plug-ins of another process.

    Parameters
    ----------
    plugins : sequence of Plugin
        What `loaded` returned there.

    Raises
    ------
    RequestError
        If a plug-in cannot be run here, or this process has loaded another one of the same name.
    """
    with _ONE_AT_A_TIME:
        new = [plugin for plugin in plugins if plugin.module not in _LOADED]
        _LOADED.update({plugin.module: plugin for plugin in new})  # first, because they may import each other
        try:
            for plugin in plugins:
                _imported(plugin)
        except BaseException:
            for plugin in new:
                _LOADED.pop(plugin.module, None)
            raise


def digest() -> bytes:
    """A hash of the plug-ins' files and of what they import from their folders; empty if there are no plug-ins.

    The order in which they were loaded does not matter.
    """
    of_files = {
        plugin.module: hashlib.sha256(plugin.content).hexdigest()
        for plugin in loaded()
        if plugin.content or plugin.module not in _READ
    }
    parts = [f"{module} {content}" for module, content in sorted((_READ | of_files).items())]
    return hashlib.sha256("\n".join(parts).encode()).digest() if parts else b""


def _in_file(given: str) -> Plugin:
    """The plug-in in a file."""
    with told(given, "a Python file"):
        path = Path(given).expanduser().resolve()
        if not path.is_file():
            raise RequestError(f"{given}: got no file, needs a Python file")
        if path.suffix != ".py":
            raise RequestError(f"{given}: got a file of another kind, needs a Python file, NAME.py")
        return Plugin(re.sub(r"\W", "_", path.stem), str(path), path.read_bytes())


def _beside(module: str, folder: str) -> Plugin | None:
    """An imported module as a plug-in, if its file is in this folder."""
    file = getattr(sys.modules[module], "__file__", None)
    if module in _LOADED or not file or not Path(file).is_absolute():  # torch.ops says "_ops.py", wherever torch is
        return None
    path = Path(file).resolve()
    if path.parent != Path(folder) or path.suffix != ".py" or not path.is_file():
        return None
    return Plugin(module, str(path), path.read_bytes())


def _imported(plugin: Plugin, needs: str = "a file that can be run") -> ModuleType:
    """The module of a plug-in. It is run if this process has not imported it yet."""
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
    """The place of the module that Python finds under a plug-in's name, if it is another module."""
    if plugin.module in sys.modules:
        where = getattr(sys.modules[plugin.module], "__file__", None) or "without a file"
    else:
        spec = find_spec(plugin.module)
        where = spec and spec.origin  # None for a folder without __init__.py, over which a file takes precedence
    return where if where and str(Path(where).resolve()) != plugin.path else None


class _Finder(MetaPathFinder):
    """Finds the modules of files that were loaded here, or that come from another process."""

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
