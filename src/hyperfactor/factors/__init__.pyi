from . import copying as copying, encoding as encoding, regions as regions, space as space, split as split
from .encoding import (
    Bump as Bump,
    ByFactor as ByFactor,
    Encoding as Encoding,
    OneHot as OneHot,
    Periodic as Periodic,
    Ramp as Ramp,
    Sinusoidal as Sinusoidal,
)
from .regions import (
    AtLeast as AtLeast,
    Corner as Corner,
    Cross as Cross,
    Difference as Difference,
    Everything as Everything,
    Interior as Interior,
    Random as Random,
    Rectangle as Rectangle,
    Region as Region,
    Rim as Rim,
    Strip as Strip,
    Union as Union,
)
from .space import Factor as Factor, FactorSpace as FactorSpace
from .split import Split as Split, splits as splits
