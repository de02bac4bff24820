"""Files that hold one secret: 0600, one line of text, under a passphrase on demand.

``<mark> <what> clear|passphrase <base64>`` after a comment. What the secret is for is left to the callers:
a recipient's private key, a publisher's vault key. They say what helps whoever has no such file, or only a
damaged one: their ``hint``.
"""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from pathlib import Path

from vallum import passphrase as passphrases
from vallum.durable import os_errors, require_folder, sweep, write_durable
from vallum.errors import ConfigError, InputError
from vallum.format.keypair import decode_base64

_MOST_BYTES = 16 * 1024


def write_secret(
    path: Path,
    mark: str,
    what: str,
    secret: bytes,
    *,
    comment: str,
    passphrase: str = "",
    cost: int = passphrases.COST,
) -> None:
    """Write a new file, readable by its owner only.

    Args:
        path: must not exist; a secret is never overwritten.
        mark: which kind of file it is, and its format's number.
        what: a word about the secret, bound to it under a passphrase.
        secret: the bytes.
        comment: a line for people.
        passphrase: locks the file; empty means none.
        cost: see :mod:`vallum.passphrase`.

    Raises:
        ConfigError: the file exists, or its folder does not.
        StorageError: it cannot be written.
    """
    require_folder(path)
    sweep(path)
    way, data = "clear", secret
    if passphrase:
        way, data = "passphrase", passphrases.lock(secret, passphrase, _context(mark, what), cost)
    text = f"# {comment}\n{mark} {what} {way} {b64encode(data).decode()}\n"
    if not write_durable(path, [text.encode()], mode=0o600, exclusive=True):
        raise ConfigError(
            f"{path} exists already, and a key is never overwritten",
            hint="choose another file, or move the old key away if nothing is sealed to it any more",
        )


def read_secret(path: Path, mark: str, passphrase: str = "", *, hint: str) -> tuple[str, bytes]:
    """Read such a file: the word about the secret, and the secret.

    Args:
        path: the file.
        mark: as it was written.
        passphrase: opens it, if it is locked.
        hint: what to do without such a file, or with a damaged one.

    Raises:
        ConfigError: there is no such file, others may read it, it is another one or damaged, or it wants a
            passphrase or another one.
        StorageError: it cannot be read.
    """
    mode, (what, way, encoded) = _read(path, mark, hint)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others than its owner may use {path}", hint=f"chmod 600 {path}")
    try:
        secret = decode_base64(encoded, f"the key in {path}")
    except InputError as error:
        raise InputError(str(error), hint=hint) from None
    if way == "clear":
        return what, secret
    if not passphrase:
        raise ConfigError(
            f"{path} is locked with a passphrase, and none was given", hint="set VALLUM_PASSPHRASE"
        )
    try:
        return what, passphrases.unlock(secret, passphrase, _context(mark, what))
    except InputError as error:
        said = f"is VALLUM_PASSPHRASE that of this file? Or else: {hint}"
        raise InputError(f"{path}: {error}", hint=said) from None


def is_locked(path: Path, mark: str, *, hint: str) -> bool:
    """Whether :func:`read_secret` will want a passphrase; errors as there."""
    return _read(path, mark, hint)[1][1] == "passphrase"


def _read(path: Path, mark: str, hint: str) -> tuple[int, tuple[str, str, str]]:
    """The file's mode and its fields."""
    with os_errors(path, "read"):
        try:
            with path.open("rb") as file:
                # Asked of the open file: what was checked is what is read.
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            raise ConfigError(f"there is no file {path}", hint=hint) from None
    return mode, _fields(path, mark, data, hint)


def _fields(path: Path, mark: str, data: bytes, hint: str) -> tuple[str, str, str]:
    lines = data.decode("ascii", "replace").splitlines()
    meant = [line for line in lines if line and not line.startswith("#")]
    fields = meant[0].split(" ") if len(meant) == 1 and len(data) <= _MOST_BYTES else []
    match fields:
        case [found, what, ("clear" | "passphrase") as way, encoded] if found == mark:
            return what, way, encoded
        case _:
            raise ConfigError(f"{path} is no {mark} file, or damaged", hint=hint)


def _context(mark: str, what: str) -> bytes:
    return f"{mark} {what}".encode()
