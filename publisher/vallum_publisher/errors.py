"""What the publisher adds to the error tree of :mod:`vallum.errors`.

::

    UnavailableError
    └── ConflictError         another publisher was here first: read again, then continue or report
"""

from __future__ import annotations

from vallum.errors import UnavailableError, VallumError


class ConflictError(UnavailableError):
    """The object ``key`` is not what was expected: another writer was here first; his bytes stay."""

    def __init__(self, key: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{key}: {message}", hint=hint)
        self.key = key


def with_hint(error: VallumError) -> str:
    """What an error says, and what to do about it, where it is a part of a longer answer."""
    return f"{error}: {error.hint}" if error.hint else str(error)
