"""Files that the operator names: read whole and within a bound, each failure said of the file by its path.

What they hold is left to the callers: the configuration, roots, names, what is allowed.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from vallum.errors import ConfigError
from vallum.regular import identity

_MAX_BYTES = 1 << 20
_MAX_NAMES_BYTES = 64 << 20


def read_named(
    path: Path,
    what: str,
    limit: int = _MAX_BYTES,
    hint: str = "`vallum init --invitation FILE` makes what it needs",
) -> bytes:
    """Read a file whole.

    Args:
        path: the file.
        what: it is, for messages.
        limit: bytes that it may have.
        hint: what to do if it is not there.

    Raises:
        ConfigError: it is not there, cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            # Python sets aside as many bytes as it is asked for: ask for no more than there are (0: a pipe).
            data = file.read(min(os.fstat(file.fileno()).st_size or limit, limit) + 1)
    except FileNotFoundError:
        raise ConfigError(f"{what} {path} does not exist", hint=hint) from None
    except OSError as error:
        raise ConfigError(
            f"{what} {path} cannot be read: {error.strerror}", hint="give this user access to it"
        ) from None
    if len(data) > limit:
        raise ConfigError(f"{what} {path} is larger than {limit} bytes", hint="is it the right file?")
    return data


def read_names(path: Path) -> list[tuple[int, str]]:
    """Read a file of one name a line with their line numbers; ``#`` begins a comment.

    Raises:
        ConfigError: it cannot be read, or is no text.
    """
    data = read_named(path, "the file", _MAX_NAMES_BYTES, "make it, or take it out of the configuration")
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8", hint="save it as UTF-8, one name a line") from None
    stripped = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1))
    return [(number, name) for number, name in stripped if name]


def digest_named(path: Path | None) -> str:
    """SHA-256 of a file as hex; empty without one, ``absent`` if it cannot be read."""
    if path is None:
        return ""
    try:
        return _digest_of(path, identity(path))
    except (ConfigError, OSError):
        return "absent"


@lru_cache(maxsize=64)
def _digest_of(path: Path, _identity: tuple[int, int, int]) -> str:
    """Hash a file once as long as it looks the same: a poll must not read a long list of names each time."""
    return hashlib.sha256(read_named(path, "file", _MAX_NAMES_BYTES)).hexdigest()
