"""What becomes of one row when records for it come in. Pure: held entries and drafts in, changes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from operator import ne
from typing import Any, NamedTuple

from vallum_publisher.catalog.classes import UNLISTED
from vallum_publisher.catalog.draft import ROW_BYTES, Draft, KeyCollisionError
from vallum_publisher.catalog.entry import TEST_REF
from vallum_publisher.catalog.tables import TABLE_BYTES


class Mode(StrEnum):
    """What a batch means for what it does not name."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


class Held(NamedTuple):
    """One entry as held beside its row; the row alone (``ref`` is ``None``) if it has no entries.

    ``fresh`` says that no version ever held the row, nor does the one under way. The columns from
    ``content_id`` on are those of :class:`Draft`.
    """

    tbl: int
    key: bytes
    value: bytes
    wanted: int
    fresh: int
    ref: str | None
    content_id: str
    labels: int
    status: str
    active: int
    expires_at: int
    added_at: int
    updated_at: int
    verified_at: int

    def __repr__(self) -> str:
        return "<Held>"  # values must not reach logs


HeldRows = dict[bytes, list[Held]]
"""All that is held of some rows, by table number and key."""


def by_row(found: Iterable[tuple[Any, ...]]) -> HeldRows:
    """Sort plain tuples with the columns of :class:`Held`, in order of their rows, by row."""
    rows: HeldRows = {}
    for one in found:
        held: Held = tuple.__new__(Held, one)
        row = TABLE_BYTES[one[0]] + one[1]
        if row in rows:
            rows[row].append(held)
        else:
            rows[row] = [held]
    return rows


EntryValues = tuple[str, int, str, int, int, int, int, int]
"""content_id, labels, status, active, expires_at, added_at, updated_at, verified_at."""


@dataclass(slots=True)
class Changes:
    """What is to be written, and how entries fared. Rows are named by table number and key."""

    new_pairs: list[Draft] = field(default_factory=list)
    """New rows, each with its only entry, as a first import has them by the million. What the draft leaves
    open (0 in ``added_at`` and ``updated_at``) is now."""
    new_rows: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    """row, value, wanted"""
    wanted: list[tuple[int, bytes]] = field(default_factory=list)
    forgotten: list[bytes] = field(default_factory=list)
    new_entries: list[tuple[bytes, str, EntryValues]] = field(default_factory=list)
    amended: list[tuple[bytes, str, EntryValues]] = field(default_factory=list)
    gone: list[tuple[bytes, str]] = field(default_factory=list)
    unchanged: int = 0
    absent: int = 0

    def size(self) -> int:
        """How much is waiting to be written."""
        return (
            len(self.new_pairs) + len(self.new_rows) + len(self.wanted) + len(self.forgotten)
            + len(self.new_entries) + len(self.amended) + len(self.gone)
        )  # fmt: skip


def expire(held: HeldRows, now: int, union: Callable[[set[int]], int], changes: Changes) -> None:
    """Take entries off the list whose time is over; ``held`` has all entries of its rows."""
    for row, known in held.items():
        active: set[int] = set()
        for entry in known:
            if entry.ref is None or not entry.active:
                continue
            if 0 < entry.expires_at <= now:
                facts = (entry.content_id, entry.labels, entry.status, 0, entry.expires_at)
                changes.amended.append((row, entry.ref, (*facts, entry.added_at, now, entry.verified_at)))
            else:
                active.add(entry.labels)
        wanted = union(active)
        if wanted != known[0].wanted:
            changes.wanted.append((wanted, row))


_NONE: list[Held] = []


@dataclass(frozen=True, slots=True)
class Merger:
    """Merges row by row.

    Attributes:
        mode: of the batch.
        now: seconds since 1970.
        union: number of the union of several label sets, 0 of none.
        entry_id: of a key, for errors.
    """

    mode: Mode
    now: int
    union: Callable[[set[int]], int]
    entry_id: Callable[[bytes], str]

    def merge(self, drafts: Sequence[Draft], held: HeldRows, changes: Changes) -> None:
        """Merge the drafts of some rows, in order, with what is held of them, which is taken out of ``held``.

        Raises:
            KeyCollisionError: see there.
        """
        puts = self.mode is not Mode.REMOVE
        if puts and not held and _differ(drafts):
            changes.new_pairs += drafts
            return
        at, end = 0, len(drafts)
        while at < end:
            draft = drafts[at]
            row = draft[0][:ROW_BYTES]
            upto = at + 1
            while upto < end and drafts[upto][0].startswith(row):
                upto += 1
            known = held.pop(row, _NONE)
            # The two cases that come by the million go first; _merge_row could do them as well.
            if puts and upto - at == 1 and not known:
                changes.new_pairs.append(draft)
            elif puts and upto - at == len(known) == 1 and _same(draft, known[0]):
                changes.unchanged += 1
            else:
                self._merge_row(row, drafts[at:upto], known, changes)
            at = upto

    def drop_unnamed(self, held: HeldRows, changes: Changes) -> None:
        """Take the entries of rows off that a full replacement did not name."""
        for row, known in held.items():
            if known[0].ref is not None:
                self._merge_row(row, (), known, changes)

    def _merge_row(
        self, row: bytes, drafts: Sequence[Draft], known: Sequence[Held], changes: Changes
    ) -> None:
        if len({draft.value for draft in drafts} | {entry.value for entry in known}) > 1:
            raise KeyCollisionError(self.entry_id(row[1:]))
        entries = {entry.ref: entry for entry in known if entry.ref is not None}
        classes = {ref: entry.labels if entry.active else UNLISTED for ref, entry in entries.items()}
        if self.mode is Mode.REMOVE:
            gone = _removed(drafts, entries, changes)
        else:
            for draft in drafts:
                classes[draft.ref] = draft.labels if draft.active else UNLISTED
                self._put(row, draft, entries.get(draft.ref), changes)
            spared = {TEST_REF, *(draft.ref for draft in drafts)}
            gone = entries.keys() - spared if self.mode is Mode.REPLACE else set()
        for ref in sorted(gone):
            changes.gone.append((row, ref))
            del classes[ref]
        wanted = self.union(set(classes.values()) - {UNLISTED})
        if not known:
            if classes:
                changes.new_rows.append((row, drafts[0].value, wanted))
        elif known[0].fresh and not classes:
            changes.forgotten.append(row)
        elif wanted != known[0].wanted:
            changes.wanted.append((wanted, row))

    def _put(self, row: bytes, draft: Draft, held: Held | None, changes: Changes) -> None:
        if held is None:
            values = (
                *draft[2:7],
                draft.added_at or self.now,
                draft.updated_at or self.now,
                draft.verified_at,
            )
            changes.new_entries.append((row, draft.ref, values))
        elif _same(draft, held):
            changes.unchanged += 1
        else:
            values = (
                *draft[2:7],
                draft.added_at or held.added_at,
                draft.updated_at or self.now,
                draft.verified_at or held.verified_at,
            )
            changes.amended.append((row, draft.ref, values))


def _differ(drafts: Sequence[Draft]) -> bool:
    """Whether drafts, in order, are all of different rows."""
    rows = [draft[0][:ROW_BYTES] for draft in drafts]
    return all(map(ne, rows, islice(rows, 1, None)))


def _removed(drafts: Sequence[Draft], entries: Mapping[str, Held], changes: Changes) -> set[str]:
    """Which entries a removal means; one without report number means every report."""
    gone: set[str] = set()
    for draft in drafts:
        meant = {draft.ref} & entries.keys() if draft.ref else entries.keys() - {TEST_REF}
        changes.absent += not meant
        gone |= meant
    return gone


def _same(draft: Draft, held: Held) -> bool:
    """Whether a draft says nothing new of an entry; what it does not say counts as unchanged."""
    return (
        draft[2:7] == held[6:11]  # content_id to expires_at
        and draft[1] == held[2]  # value
        and held[5] is not None
        and draft[0][ROW_BYTES:] == held[5].encode()  # ref
        and (not draft[7] or draft[7] == held[11])  # added_at, updated_at, verified_at
        and (not draft[8] or draft[8] == held[12])
        and (not draft[9] or draft[9] == held[13])
    )
