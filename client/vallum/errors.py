"""Every error that Vallum raises, sorted by what the caller should do.

::

    VallumError
    ├── DataError             what came is wrong: keep the last good list, alarm, tell its publisher
    │   ├── FormatError       bytes that are not the one canonical encoding of anything
    │   ├── StateError        well-formed, but it does not lead to the state that was signed
    │   ├── GuardError        signed, and absurd: it breaks the guard rails
    │   └── TrustError        signatures, roll-back, expiry, fixed facts that changed
    ├── UnavailableError      nothing is wrong, nothing is there: keep the last good list, try again
    │   ├── FetchError        the store did not answer, or not with what was asked for
    │   ├── NotEntitledError  the list is encrypted, and not for the key of this machine
    │   ├── BusyError         another process holds the lock
    │   └── StorageError      this machine could not read or write (disk full, permissions)
    └── ConfigError           the operator or the calling program said something that cannot be meant
        └── InputError        one value of the input is wrong: a URL without a host, a digest too short

A message says what is wrong and where; ``hint`` says what to do about it. Neither ever carries an entry's
text: logs and tickets travel further than lists may. Modules convert foreign exceptions at their border, so
that two ``except`` clauses are enough for any caller.
"""

from __future__ import annotations


class VallumError(Exception):
    """Base of all errors; never raised itself. ``hint`` is for people and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class DataError(VallumError):
    """What was received is wrong by its publisher's or the wire's fault; the last good list stays."""


class FormatError(DataError):
    """Bytes are not in the canonical format; ``layer`` names the decoder that refused them."""

    def __init__(self, layer: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"{layer}: {message}", hint=hint)
        self.layer = layer


class StateError(DataError):
    """Verified parts do not lead to the state that the head signs."""


class GuardError(DataError):
    """A version is signed and absurd; ``reasons`` say which guard rails it breaks."""

    def __init__(self, message: str, reasons: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__(f"{message}: {'; '.join(reasons)}", hint=hint)
        self.reasons = reasons


class TrustError(DataError):
    """The chain of trust refuses: signature, threshold, version, expiry, or a fixed fact that changed.

    ``unsigned`` says that the keys which should have signed did not.
    """

    def __init__(self, message: str, *, hint: str = "", unsigned: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.unsigned = unsigned


class UnavailableError(VallumError):
    """What was asked for is not to be had now; trying again may help."""


class FetchError(UnavailableError):
    """The store did not answer in time, or not with what was asked for."""


class NotEntitledError(UnavailableError):
    """The list is encrypted, and nothing is sealed to this recipient's key: not yet, or not any more."""


class BusyError(UnavailableError):
    """Another process holds the lock of this state."""


class StorageError(UnavailableError):
    """This machine could not read or write a file."""


class ConfigError(VallumError):
    """The configuration, a command's arguments or a call's arguments cannot be meant as they stand."""


class InputError(ConfigError):
    """One value of the input is wrong."""
