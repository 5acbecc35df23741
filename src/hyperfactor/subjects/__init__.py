"""What can be studied, and its study."""

from typing import TYPE_CHECKING

from hyperfactor import lazy

if TYPE_CHECKING:
    from hyperfactor.subjects import judge as judge, layout as layout, read as read
    from hyperfactor.subjects.array import ArraySubject as ArraySubject
    from hyperfactor.subjects.base import Model as Model, Subject as Subject
    from hyperfactor.subjects.read import fitted as fitted
    from hyperfactor.subjects.study import Study as Study
    from hyperfactor.subjects.torch_module import TorchSubject as TorchSubject
else:
    __getattr__, __dir__, __all__ = lazy.attach(
        __name__,
        ("judge", "layout", "read"),
        {
            "array": ("ArraySubject",),
            "base": ("Model", "Subject"),
            "read": ("fitted",),
            "study": ("Study",),
            "torch_module": ("TorchSubject",),
        },
    )
