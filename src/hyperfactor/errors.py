"""The named exceptions.  Each message is one line: where, what was given, what is allowed."""


class HyperfactorError(Exception):
    """Anything that Hyperfactor itself reports."""


class RequestError(HyperfactorError, ValueError):
    """The request was wrong: a bad spec, region, factor value, layer, file or store."""


class StoreError(RequestError):
    """The store cannot be read or written, or an artifact in it is damaged."""


class WriteError(StoreError):
    """The system refuses to write: no room, no permission, no connection."""


class BusyError(StoreError):
    """Somebody else holds the run, or has taken it over."""


class RunError(HyperfactorError):
    """A run failed by itself."""


class DivergedError(RunError):
    """The loss was no longer finite; the run stopped at its last good checkpoint."""
