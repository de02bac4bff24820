"""What the hotline says about one listed thing: records on their way in, entries as they are kept.

A record's labels, flags, subject and jurisdictions unite into the wire's one label set
(:mod:`vallum.labels`); nothing is lost by it, :func:`classify` takes the set apart again. How records are
read from files is :mod:`vallum_publisher.intake`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from vallum.errors import InputError
from vallum.labels import SUBJECTS, LabelSet, label_set

TEST_REF = "vallum-test"
"""Report number of the test row's entry; refused from any input."""

MAX_REF = 200
"""Characters of a report number or content id."""

_JURISDICTION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")


class Status(StrEnum):
    """Where an entry stands. Only active ones are listed."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    DISPUTED = "disputed"


class Record(NamedTuple):
    """One recognised thing as read from input. A named tuple, since there are millions of them.

    ``tag`` is a code of :data:`vallum.expression.TAGS`; ``value`` a URL's form (text) or a raw digest
    (bytes); times are seconds since 1970, 0 where the input said nothing. Identity in a list: what the
    value hashes to, and ``ref``.
    """

    tag: int
    value: str | bytes
    ref: str = ""
    content_id: str = ""
    labels: LabelSet = ()
    status: Status = Status.ACTIVE
    added_at: int = 0
    updated_at: int = 0
    verified_at: int = 0
    expires_at: int = 0

    def __repr__(self) -> str:
        # Values must not reach logs through a debugger's or test runner's printout.
        return f"<Record tag={self.tag} status={self.status.value}>"


@dataclass(frozen=True, slots=True)
class Classification:
    """A label set taken apart into the record's fields."""

    labels: tuple[str, ...]
    flags: tuple[str, ...]
    subjects: tuple[str, ...]
    jurisdictions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the catalog keeps it. ``changed_version`` is 0 until its row was published."""

    key: bytes
    tag: int
    ref: str
    content_id: str
    labels: LabelSet
    classification: Classification
    status: Status
    listed: bool
    added_at: datetime
    updated_at: datetime
    verified_at: datetime | None
    expires_at: datetime | None
    changed_version: int


def unite(
    labels: Iterable[str] = (),
    flags: Iterable[str] = (),
    subject: str = "",
    jurisdictions: Iterable[str] = (),
) -> LabelSet:
    """Unite a record's fields into its label set.

    Raises:
        InputError: a malformed label, flag, subject or jurisdiction, or too many of them.
    """
    united = list(labels)
    for flag in flags:
        if ":" in flag:
            raise InputError("a flag is malformed", hint="a flag is one lower-case word; triples are labels")
        united.append(flag)
    if subject:
        if subject not in SUBJECTS:
            raise InputError("an unknown subject", hint=f"subjects: {', '.join(SUBJECTS)}")
        united.append(f"subject:1:{subject}")
    for place in jurisdictions:
        if _JURISDICTION.fullmatch(place) is None:
            raise InputError(
                "a jurisdiction is malformed",
                hint="a country by ISO 3166 in capitals, such as GB or DE-BY",
            )
        united.append(f"jurisdiction:1:{place}")
    return label_set(united)


def classify(labels: LabelSet) -> Classification:
    """Take a label set apart; the inverse of :func:`unite` up to order."""
    triples, flags, subjects, places = [], [], [], []
    for label in labels:
        if ":" not in label:
            flags.append(label)
        elif label.startswith("subject:1:"):
            subjects.append(label.removeprefix("subject:1:"))
        elif label.startswith("jurisdiction:1:"):
            places.append(label.removeprefix("jurisdiction:1:"))
        else:
            triples.append(label)
    return Classification(tuple(triples), tuple(flags), tuple(subjects), tuple(places))


def to_seconds(moment: datetime) -> int:
    """Return whole seconds since 1970 of an aware time.

    Raises:
        InputError: the time has no zone.
    """
    if moment.tzinfo is None:
        raise InputError("a time without a zone", hint="pass aware times, such as datetime.now(UTC)")
    return int(moment.timestamp())


def from_seconds(seconds: int) -> datetime:
    """Return seconds since 1970 as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
