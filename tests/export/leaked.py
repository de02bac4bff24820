"""Leaked files of made-up recipients: their decoys, whose each is, and what a trace finds."""

from __future__ import annotations

import io
from collections import Counter

from vallum.format.decoys import Decoy
from vallum_publisher.recipients.leak import Leak
from vallum_publisher.recipients.tracing import sought, tally

UID = bytes(range(16))
URLS: dict[tuple[int, tuple[str, ...]], int] = {(1, ("a",)): 700, (3, ()): 100, (4, ("a",)): 150, (5, ()): 50}
HASHES: dict[tuple[int, tuple[str, ...]], int] = {(16, ()): 500, (18, ()): 300, (32, ()): 200}


def seed_of(number: int) -> bytes:
    return number.to_bytes(32)


def owners_of(recipients: int, kind: str = "url") -> dict[str, int]:
    return {marker: number for number in range(recipients) for marker in sought(seed_of(number), UID, kind)}


OWNERS = owners_of(5)


def exported_lines(decoys: tuple[Decoy, ...], rows: int) -> list[str]:
    return [f"host{at}.example/page" for at in range(rows)] + [decoy.text for decoy in decoys]


def found_in(data: bytes, owners: dict[str, int] = OWNERS) -> dict[int, int]:
    """Decoys by recipient in a file."""
    return dict(Counter(tally(Leak(io.BytesIO(data)), owners)[1].values()))
