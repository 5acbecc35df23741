"""The named exceptions.  Each message is one line: where, what was given, what is allowed."""


class HyperfactorError(Exception):
    """Anything that Hyperfactor itself reports."""


class RequestError(HyperfactorError, ValueError):
    """The request was wrong: a bad spec, region, factor value, layer, file or store."""


class StoreError(RequestError):
    """The store cannot be read or written, or an artifact in it is damaged."""


class DivergedError(HyperfactorError):
    """The loss was no longer finite; the run stopped at its last good checkpoint."""
