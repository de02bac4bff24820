"""Signals, scopes, and the way from what is listed to its key and id (format.md §3).

An *expression* is the text that is hashed: ``url|<scope>|<form>`` or ``<signal>|<lower-case hex>``. The
scope stands inside it: a ``url`` entry would otherwise equal the probe of a ``path_prefix`` and be widened.
A *tag* is one byte that stands for signal and scope in tables and runs.

Pure. How a URL becomes a form is :mod:`vallum.url`'s business; which expressions a look-up tries is
:mod:`vallum.match`'s.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from math import log2

from vallum.errors import InputError

Hash = blake2b
"""The type of a hash state."""

KEY_BYTES = 12
ID_BYTES = 8
PEPPER_BYTES = 32


class Scope(StrEnum):
    """How far a URL entry reaches. It is never widened."""

    URL = "url"
    URL_ANY_QUERY = "url_any_query"
    PATH_PREFIX = "path_prefix"
    HOST = "host"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Tag:
    """What one tag byte means. ``size`` is a digest's length in bytes, 0 for URLs."""

    code: int
    signal: str
    scope: Scope | None
    size: int
    table: str

    @property
    def prefix(self) -> str:
        """The expression up to the form or digest."""
        return f"url|{self.scope}|" if self.scope else f"{self.signal}|"


TAGS: dict[int, Tag] = {
    tag.code: tag
    for tag in (
        Tag(1, "url", Scope.URL, 0, "exact"),
        Tag(2, "url", Scope.URL_ANY_QUERY, 0, "exact"),
        Tag(3, "url", Scope.PATH_PREFIX, 0, "exact"),
        Tag(4, "url", Scope.HOST, 0, "exact"),
        Tag(5, "url", Scope.DOMAIN, 0, "exact"),
        Tag(16, "sha256", None, 32, "exact"),
        Tag(17, "sha1", None, 20, "exact"),
        Tag(18, "md5", None, 16, "exact"),
        Tag(19, "photodna", None, 144, "exact"),
        Tag(32, "pdq", None, 32, "pdq"),
    )
}
"""The registry of format.md §3.2. A client that meets another tag refuses the run."""

URL_TAGS: dict[Scope, Tag] = {tag.scope: tag for tag in TAGS.values() if tag.scope}
DIGEST_TAGS: dict[str, Tag] = {tag.signal: tag for tag in TAGS.values() if tag.scope is None}
VECTOR_TABLES = frozenset({"pdq"})
"""Tables whose values cannot be hidden from those who match them: they carry text in every edition."""


def parse_digest(signal: str, digest: str | bytes) -> bytes:
    """Read a digest as bytes or hex of either case.

    Raises:
        InputError: unknown signal, not hex, or another length than the algorithm's.
    """
    tag = DIGEST_TAGS.get(signal)
    if tag is None:
        raise InputError("unknown signal", hint=f"known: {', '.join(DIGEST_TAGS)}; as in sha256:9f86…")
    if isinstance(digest, str):
        try:
            raw = unhexlify(digest.strip())  # unlike bytes.fromhex it takes no blanks within
        except ValueError:
            raise InputError(f"a {signal} digest is hexadecimal", hint="0-9 and a-f only") from None
    else:
        raw = digest
    if len(raw) != tag.size:
        raise InputError(
            f"a {signal} digest has {tag.size} bytes ({2 * tag.size} hex digits), not {len(raw)}",
            hint="was it cut, or is it of another algorithm?",
        )
    return raw


def host_of(form: str) -> str:
    """Return the host with which a form begins (a form holds no ``/`` before its path)."""
    return form.partition("/")[0]


class Keyer:
    """Makes keys and ids for one list. Immutable; cheap to make; safe to share between threads."""

    __slots__ = ("_base", "_id", "_mask", "host_bits")

    def __init__(self, pepper: bytes, host_bits: int) -> None:
        if len(pepper) not in (0, PEPPER_BYTES):
            raise InputError(f"a pepper has {PEPPER_BYTES} bytes, or none for a public list")
        if not 0 <= host_bits <= 32:
            raise InputError("host_bits is between 0 and 32")
        self._base = blake2b(key=pepper, digest_size=KEY_BYTES)
        self._id = blake2b(key=pepper, digest_size=ID_BYTES)
        self.host_bits = host_bits
        self._mask = ((1 << 96) - 1) >> host_bits

    def begin(self, start: bytes) -> Hash:
        """A hash state that has taken ``start``: copy it, update the copy, and ``digest()`` is ``H``.

        For look-ups, which hash many expressions with equal beginnings.
        """
        state = self._base.copy()
        state.update(start)
        return state

    def hash(self, expression: bytes) -> bytes:
        """``H(x)`` of format.md §3.1: BLAKE2b with 12 bytes of output, keyed with the pepper."""
        return self.begin(expression).digest()

    def host_part(self, host: str) -> int:
        """The first ``host_bits`` bits of ``H("host|" + host)``, in place in a 96-bit integer, rest zero."""
        if not self.host_bits:
            return 0
        whole = int.from_bytes(self.hash(b"host|" + host.encode("ascii")))
        return whole & ~self._mask

    def url_key(self, scope: Scope, form: str, host_part: int | None = None) -> bytes:
        """Key of a URL row. ``host_part`` saves a hash when the caller has it already."""
        whole = self.hash(f"url|{scope}|{form}".encode("ascii"))
        return self.joined(self.host_part(host_of(form)) if host_part is None else host_part, whole)

    def joined(self, host_part: int, whole: bytes) -> bytes:
        """A key of its host's part and the hash of its expression."""
        if not self.host_bits:
            return whole
        return (host_part | (int.from_bytes(whole) & self._mask)).to_bytes(KEY_BYTES)

    def joined_all(self, host_parts: Sequence[bytes], wholes: Sequence[bytes]) -> bytes:
        """Keys of many rows one after another, as :meth:`joined` makes each; parts are of 12 bytes here."""
        if not self.host_bits:
            return b"".join(wholes)
        mask = int.from_bytes(self._mask.to_bytes(KEY_BYTES) * len(wholes))
        keys = int.from_bytes(b"".join(host_parts)) | (int.from_bytes(b"".join(wholes)) & mask)
        return keys.to_bytes(KEY_BYTES * len(wholes))

    def digest_key(self, signal: str, raw: bytes) -> bytes:
        """Key of a digest row."""
        return self.hash(f"{signal}|{raw.hex()}".encode("ascii"))

    def entry_id(self, key: bytes) -> str:
        """The 16 hex digits that logs and block pages show: BLAKE2b-64 of the key with the pepper."""
        state = self.begin_id()
        state.update(key)
        return state.hexdigest()

    def begin_id(self) -> Hash:
        """A hash state for look-ups: copy it, update the copy with a key, and ``hexdigest()`` is its id."""
        return self._id.copy()


_FILL = 64
"""A filter over the host bits is at most one ``_FILL``-th full."""


def propose_host_bits(expected_hosts: int) -> int:
    """Return as few host bits as keep the pre-filter about 1/64 full, between 0 and 32 (DESIGN §5).

    Fewer bits tell the holder of a ``match`` edition less about a guessed host; more let fewer innocent
    hosts through to the full look-up.
    """
    if expected_hosts < 1:
        return 0
    return min(32, max(0, round(log2(expected_hosts * _FILL))))
