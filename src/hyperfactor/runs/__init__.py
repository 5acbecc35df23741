"""Runs: what they are, how they are trained, and what is kept of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
