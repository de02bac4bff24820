"""A list of any length drawn from numbers: which rows it has at a version needs no memory of the others.

Row ``n`` is the same in every run. Version 1 has the rows 1 to N; each later one takes ``changes / 2`` rows
off, spread over the whole list, and adds as many new ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

_STRIDE = 7_368_787
"""A prime, so that steps of it visit every row of a list that is no multiple of it."""
_HOSTS = 300_000


@dataclass(frozen=True)
class Drawn:
    """A synthetic list of ``kind`` (``url`` or ``hash``) with ``rows`` rows and ``changes`` per version."""

    kind: str
    rows: int
    changes: int

    def line(self, number: int) -> str:
        """One row as a hotline's file has it."""
        digest = sha256(str(number).encode())
        if self.kind == "hash":
            return digest.hexdigest()
        raw = digest.digest()
        # Cubed, since a few hosts have most of the pages.
        host = int((int.from_bytes(raw[:4]) / (1 << 32)) ** 3 * _HOSTS)
        named = f"{'www.' if host & 1 else ''}{sha256(str(host).encode()).hexdigest()[:10]}.example"
        return f"http://{named}/{raw[4:8].hex()}/{int.from_bytes(raw[8:12]) % 10_007}.html"

    def first(self) -> Iterator[str]:
        """The rows of version 1."""
        return map(self.line, range(1, self.rows + 1))

    def removed(self, version: int) -> list[str]:
        """What a version after the first takes off."""
        half = self.changes // 2
        numbers = range((version - 2) * half, (version - 1) * half)
        return [self.line(number * _STRIDE % self.rows + 1) for number in numbers]

    def added(self, version: int) -> list[str]:
        """What it adds."""
        half = self.changes - self.changes // 2
        first = self.rows + (version - 2) * half + 1
        return [self.line(number) for number in range(first, first + half)]
