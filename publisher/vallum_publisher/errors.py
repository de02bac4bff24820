"""What the publisher adds to the error tree of :mod:`vallum.errors`.

::

    DataError
    └── LostError             signed metadata names what the store has not, or not as it was
    UnavailableError
    ├── ConflictError         another publisher was here first: read again, then continue or report
    └── FetchError
        └── DamageError       the store does not hold what it has just accepted
"""

from __future__ import annotations

from vallum.errors import DataError, FetchError, UnavailableError, VallumError


class ConflictError(UnavailableError):
    """The object ``key`` is not what was expected: another writer was here first; his bytes stay."""

    def __init__(self, key: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{key}: {message}", hint=hint)
        self.key = key


class DamageError(FetchError):
    """The store accepted an object and does not hold it, or not these bytes. Nothing refers to it yet."""


class LostError(DataError):
    """An object that verified metadata names is missing from the store, or altered there."""


def with_hint(error: VallumError) -> str:
    """What an error says, and what to do about it, where it is a part of a longer answer."""
    return f"{error}: {error.hint}" if error.hint else str(error)
