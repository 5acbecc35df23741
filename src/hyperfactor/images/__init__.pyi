from . import family as family, gaussian as gaussian, shapes as shapes, task as task
from .family import Family as Family, Reading as Reading, correlation as correlation
from .gaussian import Bump as Bump, Sos as Sos
from .shapes import Shapes as Shapes
from .task import DataSpec as DataSpec, Task as Task
