"""Families of pictures, and the pictures of a run."""

from typing import TYPE_CHECKING

from hyperfactor import lazy

if TYPE_CHECKING:
    from hyperfactor.images import family as family, gaussian as gaussian, shapes as shapes, task as task
    from hyperfactor.images.family import Family as Family, Reading as Reading, correlation as correlation
    from hyperfactor.images.gaussian import Bump as Bump, Sos as Sos
    from hyperfactor.images.shapes import Shapes as Shapes
    from hyperfactor.images.task import DataSpec as DataSpec, Task as Task
else:
    __getattr__, __dir__, __all__ = lazy.attach(
        __name__,
        ("family", "gaussian", "shapes", "task"),
        {
            "family": ("Family", "Reading", "correlation"),
            "gaussian": ("Bump", "Sos"),
            "shapes": ("Shapes",),
            "task": ("DataSpec", "Task"),
        },
    )
