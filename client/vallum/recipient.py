"""The recipient's key file (the form is :mod:`vallum.keyfile`'s; what the key is and does, keypair's)."""

from __future__ import annotations

from pathlib import Path

from vallum import passphrase as passphrases
from vallum.errors import ConfigError, InputError
from vallum.format.keypair import PrivateKey, Suite
from vallum.keyfile import is_locked, read_secret, write_secret

PASSPHRASE_VARIABLE = "VALLUM_PASSPHRASE"  # noqa: S105 - the variable's name, not a secret
_MARK = "vallum-recipient-key-1"
_HINT = (
    "is `recipient` in vallum.toml right? If it is, take the copy that you keep of the key; without one, "
    "make another key with `vallum keygen` and send the publisher its line"
)
_COMMENT = "A Vallum recipient's private key. Whoever has it can read the lists: keep it secret."


def write_key(path: Path, key: PrivateKey, passphrase: str = "", cost: int = passphrases.COST) -> None:
    """Write a new key file; see :func:`vallum.keyfile.write_secret`."""
    write_secret(path, _MARK, key.suite, key.data, comment=_COMMENT, passphrase=passphrase, cost=cost)


def read_key(path: Path, passphrase: str = "", *, hint: str = _HINT) -> PrivateKey:
    """Read a key file.

    Args:
        path: the file.
        passphrase: opens it, if it is locked.
        hint: what to do without it, or with a damaged one.

    Raises:
        ConfigError: as of :func:`vallum.keyfile.read_secret`.
        StorageError: it cannot be read.
    """
    suite, data = read_secret(path, _MARK, passphrase, hint=hint)
    if suite not in set(Suite):
        raise ConfigError(f"{path} holds a key of an unknown suite", hint="upgrade vallum on this machine")
    try:
        return PrivateKey(Suite(suite), data)
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}", hint=hint) from None


def is_key_locked(path: Path, *, hint: str = _HINT) -> bool:
    """Whether :func:`read_key` will want a passphrase; errors as there."""
    return is_locked(path, _MARK, hint=hint)


def check_key(path: Path, *, hint: str) -> None:
    """Refuse a file that is no key; one under a passphrase is not opened. Errors as of :func:`read_key`."""
    if not is_key_locked(path, hint=hint):
        read_key(path, hint=hint)
