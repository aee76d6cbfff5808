"""The errors lenspinn raises for input it cannot use.

Each message is one sentence that names the offending value or file and what is allowed. The
command line prints that sentence and exits with status 2.
"""


class LenspinnError(ValueError):
    """Base of every error caused by the caller's input."""


class ConfigError(LenspinnError):
    """A configuration key or value is unknown or out of range."""


class DataError(LenspinnError):
    """A data file is missing, unreadable or holds something unusable."""


class StoreError(DataError):
    """A dataset store is incomplete, of another schema, or not a store at all."""


class ImageError(DataError):
    """An image cannot be used: wrong shape, not finite, constant, or without a pixel scale."""


class ModelError(LenspinnError):
    """A model is unknown, its weights are unavailable, or it does not fit the data."""


class BenchmarkError(LenspinnError):
    """Cells of a benchmark failed; the others are finished."""
