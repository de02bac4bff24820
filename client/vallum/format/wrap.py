"""A wrap: an epoch's secrets, sealed to one recipient (format.md §8.5).

Wraps lie outside TUF, which would have to list them to every client, and HPKE names no sender: anybody can
seal anything to a key he knows. Hence :func:`open_wrap` returns nothing before both commitments match, which
the stream's and the offline keys have signed.

Whom to wrap for is the publisher's business; storing what came out, the client's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from vallum.errors import ConfigError, FormatError, TrustError
from vallum.expression import PEPPER_BYTES
from vallum.format.epoch import Epoch, check_epoch_key, check_pepper
from vallum.format.keypair import PrivateKey, PublicKey, Suite, generate
from vallum.format.seal import KEY_BYTES

WRAP_BYTES = 2048
"""Every wrap's size, whatever the suite."""

SEED_BYTES = 32
_SECRET_BYTES = KEY_BYTES + PEPPER_BYTES + SEED_BYTES
_NAME_BYTES = 20


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a recipient is given for one epoch.

    Attributes:
        key: the epoch key, 32 bytes.
        pepper: the list's, 32 bytes.
        seed: this recipient's decoys come of it, 32 bytes (:mod:`vallum.format.decoys`).
    """

    key: bytes = field(repr=False)
    pepper: bytes = field(repr=False)
    seed: bytes = field(repr=False)


def wrap_name(commitment: str, recipient: PublicKey) -> str:
    """Where a recipient finds his wrap: only who knows his key and the epoch can tell whose it is.

    Args:
        commitment: to the epoch key, hex, from the head.
        recipient: the public key.
    """
    return "wraps/" + sha256(bytes.fromhex(commitment) + recipient.data).digest()[:_NAME_BYTES].hex()


def seal_wrap(epoch: Epoch, contents: Secrets, recipient: PublicKey) -> bytes:
    """Seal an epoch's secrets to one recipient: 2,048 bytes, others each time.

    Raises:
        ConfigError: a secret is not of its length.
        InputError: the recipient's bytes are no key.
    """
    parts, suite = (contents.key, contents.pepper, contents.seed), recipient.suite
    if tuple(map(len, parts)) != (KEY_BYTES, PEPPER_BYTES, SEED_BYTES):
        raise ConfigError("an epoch's secrets are not of their lengths")
    return recipient.seal(b"".join(parts).ljust(WRAP_BYTES - suite.overhead, b"\0"), _info(epoch, suite))


def open_wrap(
    data: bytes, recipient: PrivateKey, epoch: Epoch, epoch_commitment: str, pepper_commitment: str
) -> Secrets:
    """Open a wrap and check what it holds before anybody can use it.

    Args:
        data: the object, 2,048 bytes.
        recipient: the private key.
        epoch: what the wrap must be for, from verified metadata.
        epoch_commitment, pepper_commitment: hex, from the verified head and charter.

    Raises:
        TrustError: it does not open, or holds another key or pepper than the signed commitments say.
        FormatError: it opens and is malformed.
    """
    if len(data) != WRAP_BYTES:
        raise FormatError("wrap", f"a wrap has {WRAP_BYTES} bytes, this one {len(data)}")
    try:
        secret = recipient.open(data, _info(epoch, recipient.suite))
    except TrustError:
        raise TrustError(
            f"the wrap for epoch {epoch.number} of {epoch.stream} does not open with this key: it is "
            "damaged, or was sealed to another key or for another list, edition or epoch",
            hint="call the publisher and compare your key's fingerprint; the last good list stays in force",
        ) from None
    if any(secret[_SECRET_BYTES:]):
        raise FormatError("wrap", "the padding is not zero")
    key, pepper = secret[:KEY_BYTES], secret[KEY_BYTES : KEY_BYTES + PEPPER_BYTES]
    check_epoch_key(epoch, key, epoch_commitment)
    check_pepper(epoch, pepper, pepper_commitment)
    return Secrets(key, pepper, secret[KEY_BYTES + PEPPER_BYTES : _SECRET_BYTES])


def covers_wanted(wraps: int) -> int:
    """How many covers bring a suite's wraps up to a power of two; a suite that nobody has wants none."""
    return (1 << (wraps - 1).bit_length()) - wraps if wraps else 0


def cover_wraps(epoch: Epoch, commitment: str, suite: Suite, count: int) -> Iterator[tuple[str, bytes]]:
    """Make ``count`` wraps that nobody can open: names and contents.

    Real seals to keys that are thrown away: random bytes would be tellable, since some bits of an
    encapsulated key never change (DESIGN §7).
    """
    for _ in range(count):
        nobody = generate(suite).public()
        contents = Secrets(
            secrets.token_bytes(KEY_BYTES), secrets.token_bytes(PEPPER_BYTES), secrets.token_bytes(SEED_BYTES)
        )
        yield wrap_name(commitment, nobody), seal_wrap(epoch, contents, nobody)


def _info(epoch: Epoch, suite: Suite) -> bytes:
    return epoch.context("wrap") + suite.ids
