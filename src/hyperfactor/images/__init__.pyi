from . import (
    bumps as bumps,
    digits as digits,
    dsprites as dsprites,
    family as family,
    files as files,
    gaussian as gaussian,
    mpi3d as mpi3d,
    shapes as shapes,
    shapes3d as shapes3d,
    task as task,
)
from .bumps import Bumps as Bumps
from .digits import Digits as Digits
from .dsprites import DSprites as DSprites
from .family import Family as Family, Reading as Reading, correlation as correlation
from .gaussian import Bump as Bump, Sos as Sos
from .mpi3d import Mpi3d as Mpi3d
from .shapes import Shapes as Shapes
from .shapes3d import Shapes3D as Shapes3D
from .task import DataSpec as DataSpec, Task as Task
