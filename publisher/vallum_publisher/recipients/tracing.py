"""Whose export leaked: decoys found in a file, whose they are, and how sure that is (format.md §8.6).

Reading the file is :mod:`vallum_publisher.recipients.leak`'s business, making decoys that of
:mod:`vallum.format.decoys`. What a trace proves and what it does not: docs/explanation/confidentiality.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

from vallum.errors import ConfigError, InputError
from vallum.expression import TAGS, host_of
from vallum.format.decoys import DECOYS, markers
from vallum_publisher.catalog import Catalog, ListInfo, Recipient
from vallum_publisher.recipients.custody import Custody
from vallum_publisher.recipients.leak import possible_markers

ENOUGH = 3
"""So many of one recipient's decoys in a leaked file accuse him."""

SPACE_BITS = 55
"""Log2 of the number of decoy hosts, rounded down; of digests there are at least 2¹²⁰."""

MARKERS = 640
"""Of one recipient, at most: 128 for each scope of URLs."""


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
class Traced:
    """What a leaked file tells.

    Attributes:
        suspicions: those of whom anything was found, most first.
        recipients: how many were looked for, revoked ones included.
        seen: how many names and digests in the file looked as a decoy does.
        listed: decoys that count for nothing, since the list itself holds them by now.
    """

    suspicions: tuple[Suspicion, ...]
    recipients: int
    seen: int
    listed: int = 0

    @property
    def accused(self) -> tuple[Suspicion, ...]:
        """Those who are accused; several if exports were mixed, or several worked together."""
        return tuple(one for one in self.suspicions if one.accused)


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
    owners = {
        marker: at
        for at, (info, recipient) in enumerate(suspects)
        for marker in markers(custody.seed(recipient), info.uid, info.kind)
    }
    seen, found = tally(text, owners)
    listed = {
        marker
        for info in {suspects[at][0].name: suspects[at][0] for at in found.values()}.values()
        for marker in _listed(catalog, info, found)
    }
    counts = Counter(at for marker, at in found.items() if marker not in listed)
    suspicions = [Suspicion(suspects[at][1], count) for at, count in counts.items()]
    suspicions.sort(key=lambda one: (-one.found, one.recipient.stream, one.recipient.name))
    return Traced(tuple(suspicions), len(suspects), seen, len(listed))


def tally(text: Iterable[str], owners: Mapping[str, int]) -> tuple[int, dict[str, int]]:
    """Find markers in a text: how many words looked as one does, and whose each one is that was found."""
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

    Generous to chance: it takes each of the ``seen`` words for one drawn from the very space of the decoys.
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


def _listed(catalog: Catalog, info: ListInfo, found: Mapping[str, int]) -> set[str]:
    """Those of the markers found that the list holds: everybody's exports do, so they accuse nobody."""
    held = set()
    for table in {tag.table for tag in TAGS.values()} if info.kind == "hash" else {"exact"}:
        for row in catalog.listed_rows(info.name, table):
            value = row.value[1:]
            marker = value.hex() if info.kind == "hash" else host_of(value.decode("ascii"))
            if marker in found:
                held.add(marker)
    return held
