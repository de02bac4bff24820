"""The charter: what the offline keys say about a list (format.md §7).

It travels as ``custom.vallum`` of the zero-length target ``charters/<list>`` of the top-level targets role.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vallum.errors import FormatError, TrustError
from vallum.expression import Keyer
from vallum.format import limits
from vallum.format.fields import FORMAT, check_format, integer, text
from vallum.format.section import Codec
from vallum.format.table import EDITIONS, KINDS

CANON = "v1"
WIDE_PER_WEEK = 50
TABLES = {"url": (("exact",),), "hash": (("exact",), ("exact", "pdq"))}
"""Which sets of tables a kind may have."""

_LAYER = "charter"
_HTTPS = re.compile(r"https://[!-~]+")
_LIST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Charter:
    """A list's facts.

    Attributes:
        uid: 16 random bytes, drawn once per list.
        generation, kind, canon, host_bits, tables, pepper: fixed within a generation. ``pepper`` is the
            commitment as hex, ``None`` for a public list.
        editions, publisher, jurisdiction, appeal_url, wide_per_week: change by re-signing.
    """

    uid: bytes
    generation: int
    kind: str
    host_bits: int
    tables: tuple[str, ...]
    editions: tuple[str, ...]
    publisher: str
    jurisdiction: str
    appeal_url: str
    wide_per_week: int = WIDE_PER_WEEK
    pepper: str | None = None
    canon: str = CANON

    def fixed(self) -> tuple[object, ...]:
        """What must not change within a generation."""
        return (
            self.uid, self.generation, self.kind, self.canon, self.host_bits, self.tables, self.pepper
        )  # fmt: skip

    def codec(self, edition: str, pepper: bytes = b"") -> Codec:
        """What is needed to read the runs of one edition."""
        return Codec(self.kind, edition, self.tables, Keyer(pepper, self.host_bits))


def format_charter(charter: Charter) -> dict[str, Any]:
    """Write ``custom.vallum`` of the charter target."""
    raw: dict[str, Any] = {
        "format": FORMAT,
        "uid": charter.uid.hex(),
        "generation": charter.generation,
        "kind": charter.kind,
        "canon": charter.canon,
        "host_bits": charter.host_bits,
        "tables": list(charter.tables),
        "editions": list(charter.editions),
        "publisher": charter.publisher,
        "jurisdiction": charter.jurisdiction,
        "appeal_url": charter.appeal_url,
        "wide_per_week": charter.wide_per_week,
    }
    if charter.pepper is not None:
        raw["pepper"] = charter.pepper
    return raw


def parse_charter(raw: object) -> Charter:
    """Read ``custom.vallum`` of a charter target.

    Raises:
        FormatError: a field is missing, malformed or out of bounds, or not one that this client can honour.
    """
    if not isinstance(raw, Mapping):
        raise FormatError(_LAYER, "not an object")
    check_format(_LAYER, raw)
    if raw.get("canon") != CANON:
        raise FormatError(_LAYER, "an unknown canonicalization", hint="upgrade vallum on this machine")
    uid, pepper, kind = raw.get("uid"), raw.get("pepper"), raw.get("kind")
    if not (isinstance(uid, str) and re.fullmatch(r"[0-9a-f]{32}", uid)):
        raise FormatError(_LAYER, "uid is not 32 hex digits")
    if "pepper" in raw and not (isinstance(pepper, str) and re.fullmatch(r"[0-9a-f]{64}", pepper)):
        raise FormatError(_LAYER, "pepper is not 64 hex digits")
    if not (isinstance(kind, str) and kind in KINDS):
        raise FormatError(_LAYER, "an unknown kind", hint="upgrade vallum on this machine")
    tables, editions = _names(raw, "tables"), _names(raw, "editions")
    if tables not in TABLES[kind]:
        raise FormatError(
            _LAYER, "tables that this kind does not have", hint="upgrade vallum on this machine"
        )
    if not editions or not set(editions) <= set(EDITIONS):
        raise FormatError(_LAYER, "editions is not of match and full")
    if pepper is None and editions != ("full",):
        raise FormatError(_LAYER, "a public list has the full edition only")
    appeal_url = text(_LAYER, raw, "appeal_url")
    if appeal_url and not _HTTPS.fullmatch(appeal_url):
        raise FormatError(_LAYER, "appeal_url is not an https URL in ASCII")
    return Charter(
        uid=bytes.fromhex(uid),
        generation=integer(_LAYER, raw, "generation", 1, limits.MAX_GENERATION),
        kind=kind,
        host_bits=integer(_LAYER, raw, "host_bits", 0, 32 if kind == "url" else 0),
        tables=tables,
        editions=editions,
        publisher=text(_LAYER, raw, "publisher"),
        jurisdiction=text(_LAYER, raw, "jurisdiction"),
        appeal_url=appeal_url,
        wide_per_week=integer(_LAYER, raw, "wide_per_week", 0, limits.MAX_VERSION),
        pepper=pepper,
    )


def check_unchanged(held: Charter, new: Charter) -> None:
    """Refuse a change of fixed facts within a generation, and a generation that goes back (DESIGN §4).

    Raises:
        TrustError: with what the operator should ask the publisher.
    """
    if new.uid != held.uid:
        raise TrustError("the charter names another list under this name", hint="call the publisher")
    if new.generation < held.generation:
        raise TrustError("the charter's generation went back", hint="call the publisher")
    if new.generation == held.generation and new.fixed() != held.fixed():
        raise TrustError(
            "the charter's fixed facts changed within a generation",
            hint="only a new generation may change them",
        )


def is_list_name(name: str) -> bool:
    """Say whether ``name`` can name a list; roles and folders are made of it."""
    return _LIST.fullmatch(name) is not None


def split_stream(stream: str) -> tuple[str, str]:
    """Split ``<list>.<edition>``.

    Raises:
        FormatError: not a stream's name.
    """
    name, _, edition = stream.rpartition(".")
    if not is_list_name(name) or edition not in EDITIONS:
        raise FormatError(_LAYER, "not a stream's name")
    return name, edition


def is_stream(name: str) -> bool:
    """Whether a name is that of a stream (:func:`split_stream`)."""
    try:
        split_stream(name)
    except FormatError:
        return False
    return True


def _names(raw: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = raw.get(field)
    if (
        not isinstance(value, list)
        or len(value) > limits.TABLES
        or not all(isinstance(i, str) for i in value)
    ):
        raise FormatError(_LAYER, f"{field} is not an array of strings")
    if value != sorted(set(value)):
        raise FormatError(_LAYER, f"{field} is not in strictly ascending order")
    return tuple(value)
