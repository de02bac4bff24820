"""Whose export leaked: decoys found in a file, whose they are, and how sure that is (format.md §8.6).

Reading the file is :mod:`vallum_publisher.recipients.leak`'s business, making decoys that of
:mod:`vallum.format.decoys`. What a trace proves and what it does not: docs/explanation/confidentiality.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import comb

from vallum.errors import ConfigError, InputError
from vallum.expression import TAGS
from vallum.format.decoys import DECOYS, markers
from vallum_publisher.catalog import Catalog, ListInfo, ListRow, Recipient
from vallum_publisher.recipients.custody import Custody
from vallum_publisher.recipients.leak import possible_markers

ENOUGH = 3
"""So many of one recipient's decoys in a leaked file accuse him."""

SPACE_BITS = 54
"""No label comes up as a decoy's with p > 2⁻⁵⁴: a third of 100⁻⁸, some letters up to 1.6 % more often than
others; no digest with p > 2⁻¹²⁰."""

MARKERS = 640
"""Of one recipient, at most: 128 for each scope of URLs."""

_ROWS = 1000
"""Rows of the list that are looked through at once."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """How many different decoys of one recipient a file holds."""

    recipient: Recipient
    found: int

    @property
    def accused(self) -> bool:
        """Whether chance is no explanation (:func:`false_accusation_bound`)."""
        return self.found >= ENOUGH


@dataclass(frozen=True, slots=True)
class HadListed:
    """How many of one recipient's decoys the list itself holds by now: somebody had them listed.

    Everybody's exports hold them, so that they do not tell whose export the file was. They tell that
    somebody reported what stood in this recipient's export.

    Attributes:
        recipient: whose they are.
        count: those of them that the file holds.
        since: when the first one was added.
        after: how many were added after the recipient was. Of one that stands in several entries the first
            counts: before, it was in nobody's export.
    """

    recipient: Recipient
    count: int
    since: datetime | None
    after: int

    @property
    def suspicious(self) -> bool:
        """Whether chance is no explanation (:func:`false_accusation_bound`)."""
        return self.count >= ENOUGH


@dataclass(frozen=True, slots=True)
class Traced:
    """What a leaked file tells.

    Attributes:
        suspicions: those of whom anything was found, most first.
        recipients: how many were looked for, revoked ones included.
        seen: how many pieces of the file had the look of a decoy, each of them tried.
        listed: those whose decoys the list itself holds by now, most first.
    """

    suspicions: tuple[Suspicion, ...]
    recipients: int
    seen: int
    listed: tuple[HadListed, ...] = ()

    @property
    def accused(self) -> tuple[Suspicion, ...]:
        """Those who are accused; several if exports were mixed, or several worked together."""
        return tuple(one for one in self.suspicions if one.accused)

    @property
    def had_listed(self) -> tuple[HadListed, ...]:
        """Those of whose decoys more were listed than chance explains."""
        return tuple(one for one in self.listed if one.suspicious)


def trace(catalog: Catalog, custody: Custody, lists: Sequence[str], text: Iterable[str]) -> Traced:
    """Look for the decoys of everybody who can have exported these lists, or could before.

    Args:
        catalog, custody: recipients and their seeds.
        lists: names of lists that are not public; empty for all.
        text: the file, in pieces.

    Raises:
        ConfigError: no such list, or a public one, or the vault does not open.
        InputError, StorageError: as of reading the file.
    """
    suspects = [
        (info, recipient)
        for info in _sealed(catalog, lists)
        for recipient in catalog.recipients(f"{info.name}.full")
    ]
    # Who has no seed yet was never sent one: no export of his holds decoys.
    seeds = custody.held_seeds(recipient for _, recipient in suspects)
    owners = {
        marker: at
        for at, (info, recipient) in enumerate(suspects)
        if recipient.id in seeds
        for marker in sought(seeds[recipient.id], info.uid, info.kind)
    }
    seen, found = tally(text, owners)
    lists_found = {suspects[at][0].name: suspects[at][0] for at in found.values()}.values()
    listed = _listed(catalog, lists_found, found)
    counts = Counter(at for marker, at in found.items() if marker not in listed)
    suspicions = [Suspicion(suspects[at][1], count) for at, count in counts.items()]
    suspicions.sort(key=lambda one: (-one.found, one.recipient.stream, one.recipient.name))
    times: dict[int, list[datetime | None]] = defaultdict(list)
    for marker, when in listed.items():
        times[found[marker]].append(when)
    fed = [_fed(suspects[at][1], each) for at, each in times.items()]
    fed.sort(key=lambda one: (-one.count, one.recipient.stream, one.recipient.name))
    return Traced(tuple(suspicions), len(suspects), seen, tuple(fed))


def sought(seed: bytes, uid: bytes, kind: str) -> Iterator[str]:
    """What of one recipient's decoys is looked for: labels of hosts, without what follows, or digests."""
    return (marker.partition(".")[0] for marker in markers(seed, uid, kind))


def tally(text: Iterable[str], owners: Mapping[str, int]) -> tuple[int, dict[str, int]]:
    """Find markers in a text: how many pieces looked as one does, and whose each one is that was found.

    ``owners`` is by what is :func:`sought`.
    """
    seen, found = 0, {}
    for marker in possible_markers(text):
        seen += 1
        if marker in owners:
            found[marker] = owners[marker]
    return seen, found


def miss_bound(share: float) -> float:
    """Chance that a random share (0 to 1) of an export holds too few decoys to accuse: 1.6·10⁻⁴ at a tenth.

    Of an export with all 128: one filtered by rare labels has fewer.

    Raises:
        InputError: ``share`` is none.
    """
    if not 0 <= share <= 1:
        raise InputError("a share is between 0 and 1")
    missed = 0.0
    for found in range(ENOUGH):
        missed += comb(DECOYS, found) * share**found * (1 - share) ** (DECOYS - found)
    return missed


def false_accusation_bound(seen: int, recipients: int) -> float:
    """Chance that any of ``recipients`` is accused by a file in which his decoys stand by chance only.

    Generous to chance: it takes each of the ``seen`` pieces for one drawn from the very space of the decoys.
    They are different strings, also where one is part of the other, and each decoy is drawn by itself.
    It says nothing of framing, which the publisher could do, who has the seeds, and whoever has got another's
    export.
    """
    chance: float = (MARKERS / 2.0**SPACE_BITS) ** ENOUGH
    return min(1.0, recipients * comb(seen, ENOUGH) * chance)


def _sealed(catalog: Catalog, names: Sequence[str]) -> list[ListInfo]:
    found = [catalog.get_list(name) for name in names] or catalog.lists()
    for info in found:
        if names and info.public:
            raise ConfigError(f"{info.name} is public: its exports carry no decoys")
    return [info for info in found if not info.public]


def _listed(
    catalog: Catalog, lists: Iterable[ListInfo], found: Mapping[str, int]
) -> dict[str, datetime | None]:
    """Those of the markers found that the lists hold, anywhere in a value, and when each came first."""
    added: dict[str, list[datetime]] = {}
    for info in lists:
        for marker, row in _rows_with(catalog, info, found):
            entries = catalog.entries(info.name, row.key)
            added.setdefault(marker, []).extend(entry.added_at for entry in entries)
    return {marker: min(times, default=None) for marker, times in added.items()}


def _rows_with(catalog: Catalog, info: ListInfo, found: Mapping[str, int]) -> Iterator[tuple[str, ListRow]]:
    for table in {tag.table for tag in TAGS.values()} if info.kind == "hash" else {"exact"}:
        rows = catalog.listed_rows(info.name, table)
        while some := list(islice(rows, _ROWS)):
            texts = [row.value[1:].hex() if info.kind == "hash" else row.value[1:].decode() for row in some]
            if found.keys().isdisjoint(possible_markers(["\n".join(texts)])):
                continue
            for row, text in zip(some, texts, strict=True):
                for marker in found.keys() & set(possible_markers([text])):
                    yield marker, row


def _fed(recipient: Recipient, times: Sequence[datetime | None]) -> HadListed:
    known = [when for when in times if when is not None]
    after = sum(when >= recipient.added_at for when in known)
    return HadListed(recipient, len(times), min(known, default=None), after)
