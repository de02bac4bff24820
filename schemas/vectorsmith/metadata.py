"""Heads and charters (format.md §6, §7)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from schemas.vectorsmith import Vectors, vector
from vallum.format.head import parse_head, stale_after, state_of

DIGEST = "a3" * 32


def good_head() -> dict[str, Any]:
    """A head of an encrypted list: two epochs, a base and a run."""
    tables = {"exact": DIGEST, "pdq": "5c" * 32}
    return {
        "format": 1,
        "generation": 2,
        "version": 9,
        "state": state_of(tables),
        "tables": tables,
        "created": "2026-01-31T10:00:00Z",
        "as_of": "2026-02-01T08:00:00Z",
        "max_age": 259200,
        "min_poll": 300,
        "epochs": {"3": "11" * 32, "4": "22" * 32},
        "runs": [[0, 8, 3], [8, 9, 4]],
        "critical": [],
    }


def good_charter() -> dict[str, Any]:
    """A charter of an encrypted URL list with both editions."""
    return {
        "format": 1,
        "uid": "00112233445566778899aabbccddeeff",
        "generation": 2,
        "kind": "url",
        "canon": "v1",
        "host_bits": 20,
        "tables": ["exact"],
        "pepper": "77" * 32,
        "editions": ["full", "match"],
        "publisher": "Example Hotline",
        "jurisdiction": "GB",
        "appeal_url": "https://hotline.example/appeal",
        "wide_per_week": 50,
    }


Change = Callable[[dict[str, Any]], object]


def _set(**fields: Any) -> Change:
    return lambda raw: raw.update(fields)


def _without(name: str) -> Change:
    return lambda raw: raw.pop(name)


def _tables(**tables: str) -> Change:
    return lambda raw: raw.update(tables=tables, state=state_of(tables))


GOOD_HEADS: list[tuple[str, Change]] = [
    ("a head of an encrypted list", _set()),
    ("a head of a public list has no epochs", _set(epochs={}, runs=[[0, 9, 1]])),
    ("an unknown field that is not critical is ignored", _set(mood="sunny")),
    ("a min_poll above an hour counts as an hour", _set(min_poll=86400)),
    ("the largest version", _set(version=2**53 - 1, runs=[[0, 2**53 - 1, 3]])),
]
BAD_HEADS: list[tuple[str, Change]] = [
    ("a head without a format", _without("format")),
    ("a head of a later format", _set(format=2)),
    ("a format that is true", _set(format=True)),
    ("an unknown critical feature", _set(critical=["shards"])),
    ("a head without critical", _without("critical")),
    ("generation 0", _set(generation=0)),
    ("version 0", _set(version=0)),
    ("a version beyond exact numbers in JSON", _set(version=2**53, runs=[[0, 2**53, 3]])),
    ("a version as text", _set(version="9")),
    ("a state of other tables", _set(state="00" * 32)),
    ("a digest in upper case", _tables(exact=DIGEST.upper())),
    ("a digest one digit short", _tables(exact=DIGEST[:-1])),
    ("no tables", _tables()),
    ("a table whose name leads out of its folder", _tables(**{"../exact": DIGEST})),
    ("a time with an offset", _set(as_of="2026-02-01T08:00:00+00:00")),
    ("a time with fractions", _set(as_of="2026-02-01T08:00:00.5Z")),
    ("a day that is in no calendar", _set(as_of="2026-02-30T08:00:00Z")),
    ("hour 24", _set(as_of="2026-02-01T24:00:00Z")),
    ("a year at the end of calendars", _set(as_of="9999-12-31T23:59:59Z")),
    ("a max_age above 14 days", _set(max_age=14 * 86400 + 1)),
    ("a max_age of 0", _set(max_age=0)),
    ("a head without max_age", _without("max_age")),
    ("a negative min_poll", _set(min_poll=-1)),
    ("an epoch with a leading zero", _set(epochs={"03": "11" * 32, "4": "22" * 32})),
    ("an epoch beyond 32 bits", _set(epochs={"3": "11" * 32, "4": "22" * 32, "4294967296": "33" * 32})),
    ("a run whose epoch has no commitment", _set(runs=[[0, 9, 5]])),
    ("no runs", _set(runs=[])),
    ("a run that leads back", _set(runs=[[0, 9, 3], [9, 8, 3]])),
    ("a run that leads nowhere", _set(runs=[[0, 9, 3], [9, 9, 3]])),
    ("a run that leads beyond the head", _set(runs=[[0, 10, 3]])),
    ("runs out of order", _set(runs=[[8, 9, 4], [0, 8, 3]])),
    ("a run listed twice", _set(runs=[[0, 9, 3], [0, 9, 4]])),
    ("a run of four numbers", _set(runs=[[0, 9, 3, 1]])),
    ("a run with true for a number", _set(runs=[[0, 9, True]])),
    ("more runs than the limit", _set(version=513, runs=[[at, at + 1, 3] for at in range(513)])),
]
GOOD_CHARTERS: list[tuple[str, Change]] = [
    ("a charter of an encrypted list", _set()),
    ("a charter of a public list", lambda raw: (raw.pop("pepper"), raw.update(editions=["full"]))),
    (
        "a charter of a hash list with a table for near matches",
        _set(kind="hash", host_bits=0, tables=["exact", "pdq"]),
    ),
    ("no appeal page", _set(appeal_url="")),
    ("a publisher of 256 bytes", _set(publisher="é" * 128)),
]
BAD_CHARTERS: list[tuple[str, Change]] = [
    ("a charter of a later format", _set(format=2)),
    ("an unknown canonicalization", _set(canon="v2")),
    ("an unknown kind", _set(kind="video")),
    ("a uid in upper case", _set(uid="AA" * 16)),
    ("a uid one byte short", _set(uid="aa" * 15)),
    ("a pepper that is null", _set(pepper=None)),
    ("a pepper of another length", _set(pepper="77" * 31)),
    ("a public list with a match edition", _without("pepper")),
    ("no editions", _set(editions=[])),
    ("an unknown edition", _set(editions=["full", "half"])),
    ("editions out of order", _set(editions=["match", "full"])),
    ("an edition twice", _set(editions=["full", "full"])),
    ("a URL list with a table for near matches", _set(tables=["exact", "pdq"])),
    ("no tables", _set(tables=[])),
    ("host bits for digests", _set(kind="hash")),
    ("more than 32 host bits", _set(host_bits=33)),
    ("generation 0", _set(generation=0)),
    ("an appeal page without encryption", _set(appeal_url="http://hotline.example/")),
    ("an appeal page with a blank", _set(appeal_url="https://hotline.example/ x")),
    ("a publisher of 257 bytes", _set(publisher="é" * 128 + "e")),
    ("a line end in a name", _set(publisher="Example\nHotline")),
    ("a change of direction in a name", _set(publisher="Example \u202eHotline")),
    ("a charter without a jurisdiction", _without("jurisdiction")),
    ("a negative wide_per_week", _set(wide_per_week=-1)),
]
CHANGES: list[tuple[str, Change, str]] = [
    (
        "what may change within a generation",
        _set(publisher="Other", jurisdiction="IE", appeal_url="", wide_per_week=1, editions=["full"]),
        "ok",
    ),
    ("another number of host bits in a new generation", _set(generation=3, host_bits=16), "ok"),
    ("another number of host bits within a generation", _set(host_bits=16), "trust"),
    ("another pepper within a generation", _set(pepper="78" * 32), "trust"),
    ("a generation that goes back", _set(generation=1), "trust"),
    ("another list under the same name", _set(generation=3, uid="ff" * 16), "trust"),
]


def _changed(raw: dict[str, Any], change: Change) -> dict[str, Any]:
    raw = copy.deepcopy(raw)
    change(raw)
    return raw


def heads() -> Vectors:
    """Heads that are read, and one for each way to be refused."""
    for description, change in GOOD_HEADS:
        raw = _changed(good_head(), change)
        head = parse_head(raw)
        yield vector(
            description,
            "head",
            {"head": raw},
            generation=head.generation,
            version=head.version,
            state=head.state,
            min_poll=head.min_poll,
            stale_after=stale_after(head).strftime("%Y-%m-%dT%H:%M:%SZ"),
            runs=[run.target("phish.full", head.generation) for run in head.runs],
        )
    for description, change in BAD_HEADS:
        yield vector(description, "head", {"head": _changed(good_head(), change)}, "head")


def charters() -> Vectors:
    """Charters that are read, one for each way to be refused, and what may follow on what."""
    for description, change in GOOD_CHARTERS:
        raw = _changed(good_charter(), change)
        yield vector(description, "charter", {"charter": raw}, public="pepper" not in raw, uid=raw["uid"])
    for description, change in BAD_CHARTERS:
        yield vector(description, "charter", {"charter": _changed(good_charter(), change)}, "charter")
    for description, change, expect in CHANGES:
        given = {"held": good_charter(), "charter": _changed(good_charter(), change)}
        yield vector(description, "charter", given, expect)
