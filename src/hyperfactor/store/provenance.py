"""What computed a result: a hash of this package's source and of plug-ins, and the versions of packages."""

import hashlib
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from hyperfactor import plugins

SHOWS = ("cli.py", "figures", "report", "explorer")  # these parts show results and change none


def source() -> str:
    """A hash of every file of this package that computes, and of the plug-ins, as 16 hexadecimal digits."""
    content = _package().copy()
    content.update(plugins.digest())
    return content.hexdigest()[:16]


@cache
def _package() -> "hashlib._Hash":
    root = Path(__file__).parents[1]
    content = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        if place.parts[0] not in SHOWS:
            content.update(place.as_posix().encode() + b"\0" + path.read_bytes())
    return content


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of Python and of the named packages."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
