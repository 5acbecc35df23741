"""Does a generative model learn the factors of what it draws, and can it compose them?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
