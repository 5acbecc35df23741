from . import (
    bumps as bumps,
    digits as digits,
    family as family,
    gaussian as gaussian,
    shapes as shapes,
    task as task,
)
from .bumps import Bumps as Bumps
from .digits import Digits as Digits
from .family import Family as Family, Reading as Reading, correlation as correlation
from .gaussian import Bump as Bump, Sos as Sos
from .shapes import Shapes as Shapes
from .task import DataSpec as DataSpec, Task as Task
