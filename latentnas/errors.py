"""The errors that latentnas raises on purpose, one small tree.

Every message names what was wrong, the value that was given and what would be right. Errors that
stand for a wrong argument also derive from :class:`ValueError` (or :class:`KeyError`'s parent
:class:`LookupError` for unknown names), so that code that knows nothing of latentnas handles them.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LatentNASError(Exception):
    """Base class of every error that latentnas raises on purpose."""


class InvalidCodeError(LatentNASError, ValueError):
    """A tensor of codes has a wrong shape, type or value, or a row is no cell of the space."""


class MissingCellError(InvalidCodeError):
    """A code is a cell of the space, but the benchmark table does not hold it; see ``TabularBenchmark.holds``."""


class ParseError(LatentNASError, ValueError):
    """A text is not a cell in the published string form of the space."""


class UnknownNameError(LatentNASError, LookupError):
    """A name (of a space, benchmark, strategy, metric...) that is not registered."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        known = sorted(known)
        near = get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"unknown {what} {name!r}.{hint} Known: {', '.join(known) or 'none'}")


class SpaceTooLargeError(LatentNASError, ValueError):
    """The space has too many cells to be enumerated."""


class DataFileError(LatentNASError, ValueError):
    """A data file is missing, truncated, corrupted or hostile."""


class WeightsError(LatentNASError, ValueError):
    """A folder of saved weights is missing, truncated, corrupted or of another model."""


class ConfigError(LatentNASError, ValueError):
    """One or more settings are wrong; the message lists every one."""


class StoreError(LatentNASError, RuntimeError):
    """A campaign's store cannot be opened, or holds another campaign."""


class ObservationError(LatentNASError, ValueError):
    """Observed values have a wrong shape, or cannot be learned from (NaN, infinite, too few)."""


class ExhaustedError(LatentNASError, RuntimeError):
    """Every cell of the space is known already: there is nothing left to propose."""


class WorkerError(LatentNASError, RuntimeError):
    """One of several processes that work together died or failed; the others were ended."""
