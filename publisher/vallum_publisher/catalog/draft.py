"""Records on their way into a list: each with its key, in the order of the keys, none said twice."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from vallum.errors import DataError, InputError
from vallum.expression import KEY_BYTES, TAGS, Keyer, Scope, Tag, host_of
from vallum.labels import LabelSet
from vallum_publisher.catalog.entry import Record, Status
from vallum_publisher.catalog.tables import TABLE_BYTES, TABLE_IDS

ROW_BYTES = 1 + KEY_BYTES
"""A table's number and a key: what tells rows of a list apart."""

_MOST_HOSTS = 200_000
_TABLE_OF = {code: TABLE_BYTES[TABLE_IDS[tag.table]] for code, tag in TAGS.items()}
_TAG_BYTES = {code: bytes([code]) for code in TAGS}


class KeyCollisionError(DataError):
    """Two different expressions have one key: by accident about never, so somebody may have crafted one."""

    def __init__(self, entry_id: str) -> None:
        super().__init__(
            f"entry {entry_id}: another expression has this key already; nothing was applied",
            hint="look at both entries; with intent it takes somebody who holds the pepper",
        )
        self.entry_id = entry_id


class Draft(NamedTuple):
    """One record with its key. ``at`` is table number, key and report number, in the order of rows.

    ``value`` is as in :mod:`vallum.format.rows`; ``labels`` a number of :mod:`.classes`; times are seconds
    since 1970, 0 where the input said nothing.
    """

    at: bytes
    value: bytes
    content_id: str
    labels: int
    status: str
    active: int
    expires_at: int
    added_at: int
    updated_at: int
    verified_at: int

    @property
    def row(self) -> bytes:
        """Table number and key."""
        return self.at[:ROW_BYTES]

    @property
    def ref(self) -> str:
        """Report number."""
        return self.at[ROW_BYTES:].decode()

    def __repr__(self) -> str:
        return "<Draft>"  # values must not reach logs


def draft_records(
    records: Iterable[Record], tags: Collection[int], keyer: Keyer, numbers: Mapping[LabelSet, int], now: int
) -> list[Draft]:
    """Give each record its key and bring all into the order of the rows.

    Args:
        records: in any order.
        tags: codes that the list takes.
        keyer: of the list.
        numbers: of all label sets in ``records``.
        now: seconds since 1970; what expires by then is not active.

    Raises:
        InputError: a record's tag is not of the list, or two records with one identity differ.
        KeyCollisionError: two values with one identity.
    """
    key_of = _KeyOf(keyer)
    begun = {code: keyer.begin(TAGS[code].prefix.encode()) for code in tags}
    drafts = []
    for record in records:
        tag, value, ref, content_id, labels, status, added_at, updated_at, verified_at, expires_at = record
        if tag not in tags:
            raise InputError(f"the list holds no records of kind {_name(tag)}", hint="use another list")
        if isinstance(value, str):
            key, raw = key_of.url(TAGS[tag].scope, value), value.encode("ascii")
        else:
            state = begun[tag].copy()  # Keyer.digest_key, unrolled
            state.update(hexlify(value))
            key, raw = state.digest(), value
        active = 1 if status is Status.ACTIVE and not 0 < expires_at <= now else 0
        # Past the named tuple's own constructor, which costs as much as the key.
        draft = (
            _TABLE_OF[tag] + key + ref.encode(), _TAG_BYTES[tag] + raw, content_id, numbers[labels],
            status._value_, active, expires_at, added_at, updated_at, verified_at,
        )  # fmt: skip
        drafts.append(tuple.__new__(Draft, draft))
    drafts.sort(key=itemgetter(0))
    return _distinct(drafts, keyer)


def record_key(record: Record, keyer: Keyer) -> bytes:
    """Key of one record."""
    tag = TAGS[record.tag]
    if isinstance(record.value, str):
        return _KeyOf(keyer).url(tag.scope, record.value)
    return keyer.digest_key(tag.signal, record.value)


class _KeyOf:
    """Makes keys of URLs; many share a host, whose part of the key it remembers."""

    def __init__(self, keyer: Keyer) -> None:
        self._keyer = keyer
        self._hosts: dict[str, int] = {}

    def url(self, scope: Scope | None, form: str) -> bytes:
        if scope is None:
            raise InputError("a digest's record holds bytes, not text")
        host = host_of(form)
        part = self._hosts.get(host)
        if part is None:
            if len(self._hosts) >= _MOST_HOSTS:
                self._hosts.clear()
            part = self._hosts[host] = self._keyer.host_part(host)
        return self._keyer.url_key(scope, form, part)


def _name(code: int) -> str:
    tag: Tag | None = TAGS.get(code)
    return tag.signal if tag else f"number {code}"


def _distinct(drafts: list[Draft], keyer: Keyer) -> list[Draft]:
    """Drop repetitions."""
    doubles = [at for at, (before, draft) in enumerate(pairwise(drafts), start=1) if before[0] == draft[0]]
    for at in doubles:
        if drafts[at] != drafts[at - 1]:
            entry_id = keyer.entry_id(drafts[at].row[1:])
            if drafts[at].value != drafts[at - 1].value:
                raise KeyCollisionError(entry_id)
            raise InputError(f"entry {entry_id}: two records of one report contradict each other")
    for at in reversed(doubles):
        del drafts[at]
    return drafts
