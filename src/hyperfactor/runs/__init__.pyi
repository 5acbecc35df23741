from . import cost as cost, grid as grid, spec as spec, sweep as sweep, track as track
from .execute import train as train
from .record import Record as Record
from .run import Run as Run
from .spec import RunSpec as RunSpec
from .sweep import train_all as train_all
