"""One thing that the operator allows, and all that is allowed at one moment: plain values, ready to be asked.

How what is to be allowed is written, and how far it reaches, is said here. Where it lies is
:mod:`vallum.allow`'s.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

from vallum.errors import InputError
from vallum.format.fields import format_time
from vallum.host import host_form, is_public_suffix, suffixes
from vallum.url import Canonical, canonicalize, no_host

_ID = re.compile(r"(?:[a-z0-9-]+/[a-z0-9.-]+[ :]+)?(?:id )?([0-9A-Fa-f]{16})")
_LIKE_ID = re.compile(r"(?=.*[0-9])[0-9A-Fa-f]{12,20}")
_HOST = re.compile(r"[^/?#\s]+")


class Kind(StrEnum):
    """What an allowance is about."""

    URL = "url"
    HOST = "host"
    NAMES = "names"
    ID = "id"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One thing that no list may block.

    Attributes:
        kind, text: the form of a URL; a host; a host with all names below it (``names``); an entry's id.
        since: when it was made.
        until: when it ends; ``None`` for what stands in the operator's file.
        reason: for people.
    """

    kind: Kind
    text: str = field(repr=False)
    since: datetime
    until: datetime | None
    reason: str

    @property
    def handle(self) -> str:
        """16 hex digits that name it where its text must not stand, such as in the journal."""
        return blake2b(f"{self.kind}|{self.text}".encode(), digest_size=8).hexdigest()

    def lasts(self, now: datetime) -> bool:
        """Whether it is in force now."""
        return self.until is None or now < self.until

    def covers(self, url: Canonical | None, ids: Collection[str]) -> bool:
        """Whether it lifts one of some entries, or whatever lists a URL."""
        if self.kind is Kind.ID:
            return self.text in ids
        if url is None:
            return False
        if self.kind is Kind.URL:
            return self.text == str(url)
        return self.text in (suffixes(url.host) if self.kind is Kind.NAMES else (url.host,))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.brief(), "text": self.text, "since": format_time(self.since)}

    def brief(self) -> dict[str, Any]:
        """As :meth:`to_dict`, where its text must not stand."""
        return {
            "handle": self.handle,
            "kind": str(self.kind),
            "until": format_time(self.until) if self.until else None,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Allowances:
    """What is allowed at one moment, ready to be asked. Immutable.

    Attributes:
        ends: when the first of them ends, if any does.
    """

    urls: frozenset[str] = field(default=frozenset(), repr=False)
    hosts: frozenset[str] = field(default=frozenset(), repr=False)
    names: frozenset[str] = field(default=frozenset(), repr=False)
    ids: frozenset[str] = frozenset()
    ends: datetime | None = None

    @staticmethod
    def of(entries: Iterable[Allowance], now: datetime) -> Allowances:
        """Those that are in force now."""
        live = [entry for entry in entries if entry.lasts(now)]
        if not live:
            return NOTHING
        texts = {kind: frozenset(entry.text for entry in live if entry.kind is kind) for kind in Kind}
        ends = [entry.until for entry in live if entry.until is not None]
        return Allowances(
            texts[Kind.URL], texts[Kind.HOST], texts[Kind.NAMES], texts[Kind.ID], min(ends, default=None)
        )

    def __bool__(self) -> bool:
        return bool(self.urls or self.hosts or self.names or self.ids)

    def covers(self, url: Canonical) -> bool:
        """Whether a URL may not be blocked, whatever lists it."""
        return (
            str(url) in self.urls
            or url.host in self.hosts
            or (bool(self.names) and not self.names.isdisjoint(suffixes(url.host)))
        )


NOTHING = Allowances()


def parse_subject(text: str) -> tuple[Kind, str]:
    """Read what is to be allowed: 16 hex digits are an id, ``*.host`` means all below it, too.

    An id may stand as look-ups show it, behind ``source/list``.

    Raises:
        InputError: none of these, or what looks like an id with a digit too many or too few.
    """
    text = text.strip()
    if named := _ID.fullmatch(text):
        return Kind.ID, named[1].lower()
    if _LIKE_ID.fullmatch(text):
        raise InputError(
            f"this looks like an id, and has {len(text)} digits",
            hint="an entry's id has 16, as `vallum check` shows it; a host is written with a dot",
        )
    if "/" in text:
        url = canonicalize(text)
        if url.host:
            return Kind.URL, str(url)
        raise no_host(text)
    names = text.startswith("*.")
    host = host_form(text[2:] if names else text) if _HOST.fullmatch(text) else ""
    if not host or "*" in host or host not in suffixes(host):
        raise InputError(
            "this is no URL, host or id that could be allowed",
            hint="such as https://www.example/page, www.example, *.example.com, or an entry's 16 hex digits",
        )
    return (Kind.NAMES if names else Kind.HOST), host


def refuse_reach(kind: Kind, text: str) -> None:
    """Refuse what would allow the names of strangers.

    Raises:
        InputError: a public suffix with all names below it.
    """
    if kind is Kind.NAMES and is_public_suffix(text):
        raise InputError(
            f"anybody can register names below {text}: no list could block any of them",
            hint="name the one that is meant, such as *.example.com, or a host",
        )
