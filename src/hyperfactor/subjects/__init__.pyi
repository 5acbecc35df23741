from . import judge as judge, layout as layout, read as read
from .array import ArraySubject as ArraySubject
from .base import Model as Model, Subject as Subject
from .read import fitted as fitted
from .study import Study as Study
from .torch_module import TorchSubject as TorchSubject
