"""A recipient's key pair: suites, bytes, the line to send, its fingerprint (format.md §8.4).

The suite comes with the key and is never negotiated. HPKE's base mode (RFC 9180) names no sender: what comes
out of :meth:`PrivateKey.open` proves nothing until it has been checked against something signed.

Key files are :mod:`vallum.recipient`'s business, what is sealed :mod:`vallum.format.wrap`'s.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from vallum.errors import ConfigError, InputError, TrustError
from vallum.format.columns import pack

_MARK = "vallum-recipient-1"
_ASK = "ask the recipient for the whole line that `vallum keygen` prints, and nothing but that line"
_TAG_BYTES = 16
_X25519_BYTES = 32
_SEED_BYTES = 64
_MLKEM_BYTES = 1184


class Suite(StrEnum):
    """How a recipient's wraps are sealed; all with HKDF-SHA-256 and AES-256-GCM."""

    HYBRID = "mlkem768-x25519"
    X25519 = "x25519"

    @property
    def ids(self) -> bytes:
        """HPKE's numbers of KEM, KDF and AEAD, two bytes each."""
        return (0x647A if self is Suite.HYBRID else 0x0020).to_bytes(2) + b"\x00\x01\x00\x02"

    @property
    def overhead(self) -> int:
        """Bytes that sealing adds: the encapsulated key and the tag."""
        return _kem(self).enc_length() + _TAG_BYTES

    @property
    def public_bytes(self) -> int:
        """Length of a public key."""
        return _MLKEM_BYTES + _X25519_BYTES if self is Suite.HYBRID else _X25519_BYTES

    @property
    def private_bytes(self) -> int:
        """Length of a private key."""
        return _SEED_BYTES + _X25519_BYTES if self is Suite.HYBRID else _X25519_BYTES


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a recipient sends to the publisher.

    Attributes:
        suite: how to seal to it.
        data: ML-KEM-768 key (1,184 bytes) ‖ X25519 key (32), or the latter alone.
    """

    suite: Suite
    data: bytes = field(repr=False)

    def line(self) -> str:
        """The line to send: ``vallum-recipient-1 <suite> <base64>``."""
        return f"{_MARK} {self.suite} {b64encode(self.data).decode()}"

    def fingerprint(self) -> str:
        """SHA-256 of suite and key in 16 groups of 4 hex digits, to compare over a second channel."""
        digits = sha256(pack([_MARK, str(self.suite), self.data])).hexdigest()
        return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))

    def check_fingerprint(self, said: str) -> None:
        """Require the whole fingerprint, in any grouping and case, as heard over a second channel.

        Raises:
            InputError: it is another one.
        """
        if "".join(said.split()).lower() != self.fingerprint().replace(" ", ""):
            raise InputError(
                "the fingerprint is not that of this key",
                hint="call the recipient on a number you know; a line that came by mail may be another's",
            )

    def seal(self, plaintext: bytes, info: bytes) -> bytes:
        """HPKE's single shot: encapsulated key ‖ ciphertext ‖ tag.

        Raises:
            InputError: the bytes are not a key of the suite.
        """
        with_key: hpke.MLKEM768X25519PublicKey | X25519PublicKey
        try:
            with_key = X25519PublicKey.from_public_bytes(self.data[-_X25519_BYTES:])
            if self.suite is Suite.HYBRID:
                lattice = MLKEM768PublicKey.from_public_bytes(self.data[:-_X25519_BYTES])
                with_key = hpke.MLKEM768X25519PublicKey(lattice, with_key)
            return _hpke(self.suite).encrypt(plaintext, with_key, info)
        except ValueError:
            raise InputError(f"not a public key of suite {self.suite}", hint=_ASK) from None
        except UnsupportedAlgorithm:
            raise _unsupported(self.suite) from None


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """What a recipient keeps: ML-KEM-768 seed (64 bytes) ‖ X25519 key (32), or the latter alone."""

    suite: Suite
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.data) != self.suite.private_bytes:
            raise InputError(f"a private key of suite {self.suite} has {self.suite.private_bytes} bytes")

    def public(self) -> PublicKey:
        """The other half.

        Raises:
            ConfigError: the cryptography library of this machine has no ML-KEM.
        """
        lattice, curve = self._halves()
        data = curve.public_key().public_bytes_raw()
        return PublicKey(self.suite, lattice.public_key().public_bytes_raw() + data if lattice else data)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Undo :meth:`PublicKey.seal`.

        Raises:
            TrustError: sealed to another key or with another ``info``, or damaged.
            ConfigError: the cryptography library of this machine has no ML-KEM.
        """
        lattice, curve = self._halves()
        with_key = hpke.MLKEM768X25519PrivateKey(lattice, curve) if lattice else curve
        try:
            return _hpke(self.suite).decrypt(sealed, with_key, info)
        except (InvalidTag, ValueError):
            raise TrustError("sealed to another key or for another purpose, or damaged") from None

    def _halves(self) -> tuple[MLKEM768PrivateKey | None, X25519PrivateKey]:
        curve = X25519PrivateKey.from_private_bytes(self.data[-_X25519_BYTES:])
        if self.suite is Suite.X25519:
            return None, curve
        try:
            return MLKEM768PrivateKey.from_seed_bytes(self.data[:_SEED_BYTES]), curve
        except UnsupportedAlgorithm:
            raise _unsupported(self.suite) from None


def generate(suite: Suite = Suite.HYBRID) -> PrivateKey:
    """Draw a new key pair.

    Raises:
        ConfigError: the cryptography library of this machine has no ML-KEM.
    """
    curve = X25519PrivateKey.generate().private_bytes_raw()
    if suite is Suite.X25519:
        return PrivateKey(suite, curve)
    try:
        return PrivateKey(suite, MLKEM768PrivateKey.generate().private_bytes_raw() + curve)
    except UnsupportedAlgorithm:
        raise _unsupported(suite) from None


def parse_line(line: str) -> PublicKey:
    """Read what :meth:`PublicKey.line` writes; mail programs may have broken it into several lines.

    Raises:
        InputError: not such a line, cut short, or a key that nothing can be sealed to.
    """
    match line.split():
        case [mark, name, *rest] if mark == _MARK and name in set(Suite):
            suite, data = Suite(name), decode_base64("".join(rest), "the recipient's line")
        case _:
            raise InputError("not a recipient's line", hint=_ASK)
    if len(data) != suite.public_bytes:
        raise InputError(
            f"a public key of suite {suite} has {suite.public_bytes} bytes, this one {len(data)}", hint=_ASK
        )
    key = PublicKey(suite, data)
    key.seal(b"", b"")  # some keys look right and cannot be sealed to: find out now, not at the next rotation
    return key


def decode_base64(text: str, what: str) -> bytes:
    """Read standard base64 in its one spelling.

    Raises:
        InputError: with ``what`` it was that does not read.
    """
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = b""
    if b64encode(data).decode() != text:
        raise InputError(f"{what} is not base64, or cut short")
    return data


def _kem(suite: Suite) -> hpke.KEM:
    return hpke.KEM.MLKEM768_X25519 if suite is Suite.HYBRID else hpke.KEM.X25519


def _hpke(suite: Suite) -> hpke.Suite:
    return hpke.Suite(_kem(suite), hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def _unsupported(suite: Suite) -> ConfigError:
    return ConfigError(
        f"the cryptography library of this machine does not know suite {suite}",
        hint="install `cryptography` from its wheels, or make a key with --suite x25519",
    )
