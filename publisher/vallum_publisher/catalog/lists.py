"""Lists: what one is created with, what is known of it, and its numbers in the catalog."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select

from vallum.errors import ConfigError, FormatError
from vallum.expression import DIGEST_TAGS, URL_TAGS
from vallum.format.charter import (
    CANON,
    TABLES,
    WIDE_PER_WEEK,
    Charter,
    format_charter,
    is_list_name,
    parse_charter,
)
from vallum.format.limits import MAX_AGE, MIN_POLL
from vallum.labels import TEST
from vallum.testrow import TEST_SCOPE, test_digest, test_url
from vallum_publisher.catalog.entry import Record, from_seconds, to_seconds
from vallum_publisher.catalog.tables import lists

_URL_HOST_BITS = 20


@dataclass(frozen=True, slots=True)
class ListSpec:
    """What a list is created with. Times are in seconds.

    ``editions`` empty means both, or ``full`` alone for a public list; ``tables`` empty means all that the
    kind has; ``host_bits`` ``None`` means 20 for URLs, 0 for digests.
    """

    name: str
    kind: str
    public: bool = False
    publisher: str = ""
    jurisdiction: str = ""
    appeal_url: str = ""
    editions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    host_bits: int | None = None
    wide_per_week: int = WIDE_PER_WEEK
    max_age: int = 72 * 3600
    min_poll: int = 900


@dataclass(frozen=True, slots=True)
class ListInfo:
    """A list as it stands. ``version`` is the last one published in this generation, 0 before the first."""

    id: int
    name: str
    kind: str
    uid: bytes
    public: bool
    canon: str
    host_bits: int
    tables: tuple[str, ...]
    editions: tuple[str, ...]
    publisher: str
    jurisdiction: str
    appeal_url: str
    wide_per_week: int
    max_age: int
    min_poll: int
    generation: int
    version: int
    epoch: int
    created_at: datetime


def test_record(name: str, kind: str) -> Record:
    """The record of the row that every list holds."""
    if kind == "url":
        return Record(URL_TAGS[TEST_SCOPE].code, test_url(name), labels=(TEST,))
    return Record(DIGEST_TAGS["sha256"].code, test_digest(name), labels=("subject:1:image", TEST))


def insert_list(connection: Connection, spec: ListSpec, uid: bytes, now: datetime) -> ListInfo:
    """Check a spec and record the list, without any row.

    Raises:
        ConfigError: the spec cannot be meant, or the name is taken.
    """
    values = _checked(spec)
    if connection.execute(select(lists.c.id).where(lists.c.name == spec.name)).first():
        raise ConfigError(
            f"there is a list {spec.name!r} already",
            hint="vallum-publisher list show shows all; choose another name",
        )
    connection.execute(
        insert(lists).values(
            **values, uid=uid, canon=CANON, generation=1, version=0, epoch=1, created_at=to_seconds(now)
        )
    )
    return find_list(connection, spec.name)


def find_list(connection: Connection, name: str, *, lock: bool = False) -> ListInfo:
    """Read one list; ``lock`` keeps other writers off it until the transaction ends.

    Raises:
        ConfigError: no such list.
    """
    query = select(lists).where(lists.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        names = ", ".join(connection.execute(select(lists.c.name).order_by(lists.c.name)).scalars())
        raise ConfigError(f"no list {name!r} in the catalog", hint=f"lists: {names or 'none yet'}")
    return _info(row)


def all_lists(connection: Connection) -> list[ListInfo]:
    """Read all lists by name."""
    return [_info(row) for row in connection.execute(select(lists).order_by(lists.c.name))]


def _info(row: Row[tuple[object, ...]]) -> ListInfo:
    fields = dict(row._mapping)
    return ListInfo(
        **{
            **fields,
            "public": bool(fields["public"]),
            "tables": tuple(json.loads(fields["tables"])),
            "editions": tuple(json.loads(fields["editions"])),
            "created_at": from_seconds(fields["created_at"]),
        }
    )


def _checked(spec: ListSpec) -> dict[str, object]:
    if not is_list_name(spec.name):
        raise ConfigError(
            f"{spec.name!r} cannot name a list", hint="a-z, 0-9 and hyphens, at most 63, no hyphen first"
        )
    if spec.kind not in TABLES:
        raise ConfigError(f"no kind of list {spec.kind!r}", hint=f"kinds: {', '.join(TABLES)}")
    tables = tuple(sorted(spec.tables)) or TABLES[spec.kind][-1]
    if tables not in TABLES[spec.kind]:
        raise ConfigError(f"a {spec.kind} list cannot have the tables {', '.join(tables)}")
    editions = tuple(sorted(spec.editions)) or (("full",) if spec.public else ("full", "match"))
    if not set(editions) <= {"full", "match"} or (spec.public and editions != ("full",)):
        raise ConfigError(
            f"a list cannot have the editions {', '.join(editions)}", hint="match, full or both"
        )
    widest = 32 if spec.kind == "url" else 0
    host_bits = (_URL_HOST_BITS if widest else 0) if spec.host_bits is None else spec.host_bits
    if not 0 <= host_bits <= widest:
        raise ConfigError(f"host_bits of a {spec.kind} list is between 0 and {widest}")
    if spec.appeal_url and not spec.appeal_url.startswith("https://"):
        raise ConfigError("the appeal URL is not https", hint="such as https://hotline.example/appeal")
    _check_charter(spec, host_bits, tables, editions)
    if not 3600 <= spec.max_age <= MAX_AGE:
        raise ConfigError(
            f"max_age is between an hour and {MAX_AGE // 86400} days",
            hint="72 hours for a list that a machine signs; more where people must",
        )
    if not 0 <= spec.min_poll <= MIN_POLL:
        raise ConfigError(
            f"min_poll is between 0 and {MIN_POLL} seconds", hint="clients poll that often whatever is asked"
        )
    return {
        "name": spec.name,
        "kind": spec.kind,
        "public": int(spec.public),
        "host_bits": host_bits,
        "tables": json.dumps(tables),
        "editions": json.dumps(editions),
        "publisher": spec.publisher,
        "jurisdiction": spec.jurisdiction,
        "appeal_url": spec.appeal_url,
        "wide_per_week": spec.wide_per_week,
        "max_age": spec.max_age,
        "min_poll": spec.min_poll,
    }


def _check_charter(
    spec: ListSpec, host_bits: int, tables: tuple[str, ...], editions: tuple[str, ...]
) -> None:
    """Ask the client's own reader: what it refuses must not even be recorded, let alone signed."""
    charter = Charter(
        uid=bytes(16),
        generation=1,
        kind=spec.kind,
        host_bits=host_bits,
        tables=tables,
        editions=editions,
        publisher=spec.publisher,
        jurisdiction=spec.jurisdiction,
        appeal_url=spec.appeal_url,
        wide_per_week=spec.wide_per_week,
        pepper=None if spec.public else "0" * 64,
    )
    try:
        parse_charter(format_charter(charter))
    except (FormatError, UnicodeEncodeError) as error:
        said = "a text is no Unicode" if isinstance(error, UnicodeEncodeError) else str(error)
        raise ConfigError(
            f"clients would refuse this list: {said}", hint="percent-encode a URL, shorten a text"
        ) from None
