"""Decoys: rows of nobody's that tell whose export leaked (format.md §8.6).

A recipient and the publisher derive them from a seed that only the two have. They go into what ``export``
writes and nowhere else: never into tables or look-ups, and nobody can choose them, since they are what a hash
makes of the seed. Mixing them in is :mod:`vallum.export`'s business, finding them again the publisher's.

**URLs.** A decoy host is 8 to 10 random syllables under one of four common top-level domains. Names under
``.example`` or ``.invalid`` would be true to RFC 2606 and gone with one ``grep``; names of a pattern that
registries refuse, likewise. So they could be registered, and are not: no name comes up with p > 2·10⁻¹⁷,
so one of 640 is among the 3.5·10⁸ names that exist with p < 10⁻⁵, and far less often since few of those look
so. Should somebody register one some day, one client's exports block a name that nobody but its registrant
has heard of. A person who knows this page can pick most of them out of a list of common names; what decoys
catch is the copy that somebody passed on as it was.

**Digests** are random bytes, as digests are; of a PDQ hash half the bits are set, as in real ones. An opaque
PhotoDNA hash cannot be imitated, so that signal has no decoys.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import shake_256
from itertools import accumulate, islice

from vallum.expression import TAGS, Scope, Tag
from vallum.format.columns import pack
from vallum.labels import TEST, LabelSet

DECOYS = 128
"""In each export; and so many there are of each tag, of which an export takes the first ones."""

Strata = Mapping[tuple[int, LabelSet], int]
"""Rows of a list by tag code and label set."""

_CONSONANTS = b"bcdfghjklmnprstvwxyz"
_VOWELS = b"aeiou"
_SUFFIXES = ("com", "net", "org", "info")
_LEAST_SYLLABLES, _MOST_SYLLABLES = 8, 10
_WORDS = ("img", "gallery", "view", "files", "media", "thumbs", "archive", "post")
_ENDINGS = (".html", ".jpg", ".php", "", "", "/", ".mp4", ".zip")
_NO_DECOYS = frozenset({"photodna"})

# 256 is no multiple of 20 or 5: some letters come up to 8 % more often, for which tracing's bounds allow.
_CONSONANT_OF = bytes(_CONSONANTS[byte % len(_CONSONANTS)] for byte in range(256))
_VOWEL_OF = bytes(_VOWELS[byte % len(_VOWELS)] for byte in range(256))


@dataclass(frozen=True, slots=True)
class Decoy:
    """One row for an export: as its tag says a form (``host/path``) or a digest as hex, and its labels."""

    tag: Tag
    text: str
    labels: LabelSet


def everything(_tag: Tag, _labels: LabelSet) -> bool:
    """Want all rows."""
    return True


def decoys_for(
    seed: bytes, uid: bytes, rows: Strata, wanted: Callable[[Tag, LabelSet], bool] = everything
) -> tuple[Decoy, ...]:
    """The decoys for one export.

    A decoy has the same labels whatever is exported, and a smaller export's decoys include those that a
    larger one has of it: two exports betray none of the larger one's by contradicting each other.

    Args:
        seed: the recipient's, from his wrap.
        uid: the list's, from its charter.
        rows: of the whole list; the decoys take after them. Test rows do not count.
        wanted: says which rows the export is of.

    Returns:
        At most 128; fewer where labels are selected that few rows have, none if no tag can have any.
    """
    strata: dict[int, dict[LabelSet, int]] = defaultdict(dict)
    for (code, labels), count in sorted(rows.items()):
        if count and TEST not in labels and TAGS[code].signal not in _NO_DECOYS:
            strata[code][labels] = count
    chosen = {
        code: sum(count for labels, count in sets.items() if wanted(TAGS[code], labels))
        for code, sets in strata.items()
    }
    decoys: list[Decoy] = []
    for code, quota in _apportioned(chosen).items():
        made = _decoys(seed, uid, TAGS[code], strata[code])
        decoys += islice((decoy for decoy in made if wanted(decoy.tag, decoy.labels)), quota)
    return tuple(decoys)


def markers(seed: bytes, uid: bytes, kind: str) -> Iterator[str]:
    """What to look for in a leaked file: the hosts of all URL decoys, or all digests; lower case."""
    for tag in TAGS.values():
        if (tag.scope is not None) == (kind == "url") and tag.signal not in _NO_DECOYS:
            for at in range(DECOYS):
                draw = _draw(seed, uid, tag, at)
                yield _host(draw) if tag.scope else _digest(draw, tag)


def _apportioned(counts: Mapping[int, int]) -> dict[int, int]:
    """Share 128 among tags: number n stands at (n + 1/2) / 128 of the rows, tags ascending."""
    total, below, at = sum(counts.values()), 0, 0
    quotas = {}
    for code, count in sorted(counts.items()):
        below, first = below + count, at
        while at < DECOYS and (2 * at + 1) * total < 2 * DECOYS * below:
            at += 1
        quotas[code] = at - first
    return quotas


def _decoys(seed: bytes, uid: bytes, tag: Tag, sets: Mapping[LabelSet, int]) -> Iterator[Decoy]:
    ends, label_sets = list(accumulate(sets.values())), tuple(sets)
    for at in range(DECOYS):
        draw = _draw(seed, uid, tag, at)
        # The labels of a row at a random place, sets ascending: when counts change a little, few decoys' do.
        place = int.from_bytes(draw[:4]) * ends[-1] >> 32
        yield Decoy(tag, _text(draw, tag), label_sets[bisect_right(ends, place)])


def _draw(seed: bytes, uid: bytes, tag: Tag, at: int) -> bytes:
    """Random bytes: 4 for the labels, then 30 for a host and its path, or 256 for a digest."""
    size = 34 if tag.scope else 260
    return shake_256(pack(["decoy", seed, uid, tag.prefix[:-1], at])).digest(size)


def _text(draw: bytes, tag: Tag) -> str:
    if tag.scope is None:
        return _digest(draw, tag)
    host = _host(draw)
    return host if tag.scope in (Scope.HOST, Scope.DOMAIN) else f"{host}{_path(draw)}"


def _host(draw: bytes) -> str:
    count = _LEAST_SYLLABLES + draw[4] % (_MOST_SYLLABLES - _LEAST_SYLLABLES + 1)
    name = bytearray(2 * count)
    name[::2] = draw[6 : 6 + count].translate(_CONSONANT_OF)
    name[1::2] = draw[16 : 16 + count].translate(_VOWEL_OF)
    return f"{name.decode()}.{_SUFFIXES[draw[5] % len(_SUFFIXES)]}"


def _path(draw: bytes) -> str:
    word, ending = _WORDS[draw[26] % len(_WORDS)], _ENDINGS[draw[27] % len(_ENDINGS)]
    return f"/{word}/{draw[28:34].hex()}{ending}"


def _digest(draw: bytes, tag: Tag) -> str:
    if tag.signal != "pdq":
        return draw[4 : 4 + tag.size].hex()
    # Half of the bits are set: the positions in the order of random bytes, and the first 128 of them.
    order = sorted(range(8 * tag.size), key=lambda bit: (draw[4 + bit], bit))
    return sum(1 << bit for bit in order[: 4 * tag.size]).to_bytes(tag.size).hex()
