"""The recipient's key file: 0600, under a passphrase on demand.

Text of one line, ``vallum-recipient-key-1 <suite> clear|passphrase <base64>``, after comments that say what
the file is. What the key is and does is :mod:`vallum.format.keypair`'s business.
"""

from __future__ import annotations

import os
import stat
from base64 import b64encode
from pathlib import Path

from vallum import passphrase as passphrases
from vallum.durable import os_errors, write_durable
from vallum.errors import ConfigError, InputError
from vallum.format.keypair import PrivateKey, Suite, decode_base64

_MARK = "vallum-recipient-key-1"
_COMMENT = "# A Vallum recipient's private key. Whoever has it can read the lists: keep it secret.\n"
_MOST_BYTES = 16 * 1024


def write_key(path: Path, key: PrivateKey, passphrase: str = "", cost: int = passphrases.COST) -> None:
    """Write a new key file, readable by its owner only.

    Args:
        path: must not exist; a key is never overwritten.
        key: the private key.
        passphrase: locks the file; empty means none.
        cost: see :mod:`vallum.passphrase`.

    Raises:
        ConfigError: the file exists.
        StorageError: it cannot be written.
    """
    way, data = "clear", key.data
    if passphrase:
        way, data = "passphrase", passphrases.lock(key.data, passphrase, _context(key.suite), cost)
    text = f"{_COMMENT}{_MARK} {key.suite} {way} {b64encode(data).decode()}\n"
    if not write_durable(path, [text.encode()], mode=0o600, exclusive=True):
        raise ConfigError(
            f"{path} exists already, and a key is never overwritten",
            hint="choose another file, or move the old key away if nothing is sealed to it any more",
        )


def read_key(path: Path, passphrase: str = "") -> PrivateKey:
    """Read a key file.

    Raises:
        ConfigError: others may read the file, it is none, or it wants a passphrase or another one.
        StorageError: it cannot be read.
    """
    with os_errors(path, "read"), path.open("rb") as file:
        # Asked of the open file: what was checked is what is read.
        mode = os.fstat(file.fileno()).st_mode
        data = file.read(_MOST_BYTES + 1)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"others than its owner may use {path}", hint=f"chmod 600 {path}")
    suite, way, encoded = _fields(path, data)
    locked = decode_base64(encoded, f"the key in {path}")
    if way == "clear":
        return PrivateKey(suite, locked)
    if not passphrase:
        raise ConfigError(f"{path} is locked with a passphrase, and none was given")
    try:
        return PrivateKey(suite, passphrases.unlock(locked, passphrase, _context(suite)))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _fields(path: Path, data: bytes) -> tuple[Suite, str, str]:
    lines = [
        line for line in data.decode("ascii", "replace").splitlines() if line and not line.startswith("#")
    ]
    fields = lines[0].split(" ") if len(lines) == 1 and len(data) <= _MOST_BYTES else []
    match fields:
        case [mark, name, ("clear" | "passphrase") as way, encoded] if mark == _MARK and name in set(Suite):
            return Suite(name), way, encoded
        case _:
            raise ConfigError(f"{path} is not a recipient's key file", hint="make one with `vallum keygen`")


def _context(suite: Suite) -> bytes:
    return f"{_MARK} {suite}".encode()
