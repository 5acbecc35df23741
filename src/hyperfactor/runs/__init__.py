"""Runs: what they are, how they are trained, and what is kept of them."""

from typing import TYPE_CHECKING

from hyperfactor import lazy

if TYPE_CHECKING:
    from hyperfactor.runs import cost as cost, grid as grid, spec as spec, sweep as sweep, track as track
    from hyperfactor.runs.execute import train as train
    from hyperfactor.runs.record import Record as Record
    from hyperfactor.runs.run import Run as Run
    from hyperfactor.runs.spec import RunSpec as RunSpec
    from hyperfactor.runs.sweep import train_all as train_all
else:
    __getattr__, __dir__, __all__ = lazy.attach(
        __name__,
        ("cost", "grid", "spec", "sweep", "track"),
        {
            "execute": ("train",),
            "record": ("Record",),
            "run": ("Run",),
            "spec": ("RunSpec",),
            "sweep": ("train_all",),
        },
    )
