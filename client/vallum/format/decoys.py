"""Decoys: rows of nobody's that tell whose export leaked (format.md §8.6).

A recipient and the publisher derive 128 of them from a seed that only the two have. They go into what
``export`` writes and nowhere else: never into tables or look-ups, and nobody can choose them, since they are
what a hash makes of the seed. :func:`trace` finds them again in a leaked file.

**URLs.** A decoy host is 8 to 10 random syllables under one of four common top-level domains. Names under
``.example`` or ``.invalid`` would be true to RFC 2606 and gone with one ``grep``; names of a pattern that
registries refuse, likewise. So they could be registered, and are not: no name comes up with p > 10⁻¹⁷, so one
of 128 is among the 3.5·10⁸ names that exist with p < 10⁻⁶, and far less often since few of those look so.
Should somebody register one some day, one client's exports block a name that nobody but its registrant has
heard of. A person who knows this page can pick most of them out of a list of common names; what decoys catch
is the copy that somebody passed on as it was.

**Digests** are random bytes, as digests are; of a PDQ hash half the bits are set, as in real ones. An opaque
PhotoDNA hash cannot be imitated, so that signal has no decoys.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import shake_256
from math import comb

from vallum.errors import InputError
from vallum.expression import TAGS, URL_TAGS, Scope, Tag
from vallum.format.columns import pack

DECOYS = 128
"""In each export."""

ENOUGH = 3
"""So many of one recipient's decoys in a leaked file accuse him."""

SPACE_BITS = 55
"""Log2 of the number of decoy hosts, rounded down; of digests there are at least 2¹²⁰."""

_CONSONANTS = "bcdfghjklmnprstvwxyz"
_VOWELS = "aeiou"
_SUFFIXES = ("com", "net", "org", "info")
_SYLLABLES = (8, 9, 10)
_WORDS = ("img", "gallery", "view", "files", "media", "thumbs", "archive", "post")
_ENDINGS = (".html", ".jpg", ".php", "", "", "/", ".mp4", ".zip")
_NO_DECOYS = frozenset({"photodna"})
_HOST = re.compile(r"(?<![a-z0-9-])[a-z]{16,20}\.(?:com|net|org|info)(?![a-z0-9-])")
_DIGEST = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})(?![0-9a-f])")
_DEFANGED = str.maketrans({"[": "", "]": "", "(": "", ")": ""})


@dataclass(frozen=True, slots=True)
class Decoy:
    """One row for an export: as its tag says a form (``host/path``) or a digest as hex."""

    tag: Tag
    text: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """How many of a recipient's decoys a file holds; ``accused`` from three on."""

    recipient: str
    found: int

    @property
    def accused(self) -> bool:
        """Whether chance is no explanation (:func:`false_accusation_bound`)."""
        return self.found >= ENOUGH


def decoys_for(seed: bytes, uid: bytes, counts: Mapping[int, int]) -> tuple[Decoy, ...]:
    """The decoys for one export.

    Args:
        seed: the recipient's, from his wrap.
        uid: the list's, from its charter.
        counts: rows of the export by tag; the decoys take after them. Tags that have no decoys are left out.

    Returns:
        128 decoys, or none if no tag of ``counts`` can have any.
    """
    tags = [code for code in sorted(counts) if counts[code] and TAGS[code].signal not in _NO_DECOYS]
    total = sum(counts[code] for code in tags)
    if not total:
        return ()
    decoys: list[Decoy] = []
    below, at = 0, 0
    for code in tags:
        # Decoy n stands at (n + 1/2) / 128 of the rows: when counts change a little, few change their tag.
        below += counts[code]
        while at < DECOYS and (2 * at + 1) * total < 2 * DECOYS * below:
            decoys.append(Decoy(TAGS[code], _text(seed, uid, TAGS[code], at)))
            at += 1
    return tuple(decoys)


def markers(seed: bytes, uid: bytes, kind: str) -> Iterator[str]:
    """What to look for in a leaked file: the hosts of URL decoys, or all digests; lower case."""
    digests = [tag for tag in TAGS.values() if tag.scope is None and tag.signal not in _NO_DECOYS]
    for tag in [URL_TAGS[Scope.HOST]] if kind == "url" else digests:
        yield from (_text(seed, uid, tag, at) for at in range(DECOYS))


def trace(lines: Iterable[str], owners: Mapping[str, str]) -> tuple[Suspicion, ...]:
    """Count each recipient's decoys in a leaked file, in whatever text format it has come to have.

    Args:
        lines: of the file. Case, quotes, brackets around dots and what stands beside a name do not matter.
        owners: the recipient's name by each of his :func:`markers`; all recipients' together.

    Returns:
        Those of whom anything was found, most first.
    """
    found: dict[str, str] = {}
    for line in lines:
        plain = line.lower().translate(_DEFANGED)
        for pattern in (_HOST, _DIGEST):
            for text in pattern.findall(plain):
                if owner := owners.get(text):
                    found[text] = owner
    tally = Counter(found.values())
    return tuple(
        Suspicion(name, tally[name]) for name in sorted(tally, key=lambda name: (-tally[name], name))
    )


def miss_bound(share: float) -> float:
    """Chance that a random share (0 to 1) of an export holds too few decoys to accuse: 1.6·10⁻⁴ at a tenth.

    Raises:
        InputError: ``share`` is none.
    """
    if not 0 <= share <= 1:
        raise InputError("a share is between 0 and 1")
    missed = 0.0
    for found in range(ENOUGH):
        missed += comb(DECOYS, found) * share**found * (1 - share) ** (DECOYS - found)
    return missed


def false_accusation_bound(lines: int, recipients: int) -> float:
    """Chance that any of ``recipients`` is accused by a file in which his decoys stand by chance only.

    Generous to chance: it takes each of the file's lines for a name drawn from the very space of the decoys.
    It says nothing of framing, which the publisher could do, who has the seeds, and who has got another's
    export.
    """
    chance: float = (DECOYS / 2.0**SPACE_BITS) ** ENOUGH
    return min(1.0, recipients * comb(lines, ENOUGH) * chance)


def _text(seed: bytes, uid: bytes, tag: Tag, at: int) -> str:
    if tag.scope is None:
        return _digest(_draw(seed, uid, tag.signal, at, 256), tag)
    draw = _draw(seed, uid, "url", at, 64)  # of all scopes alike: one host, one marker
    host = _host(draw)
    return host if tag.scope in (Scope.HOST, Scope.DOMAIN) else f"{host}{_path(draw)}"


def _draw(seed: bytes, uid: bytes, signal: str, at: int, size: int) -> Iterator[int]:
    return iter(shake_256(pack(["decoy", seed, uid, signal, at])).digest(size))


def _host(draw: Iterator[int]) -> str:
    syllables = _SYLLABLES[next(draw) % len(_SYLLABLES)]
    suffix = _SUFFIXES[next(draw) % len(_SUFFIXES)]
    return (
        "".join(f"{_pick(_CONSONANTS, draw)}{_pick(_VOWELS, draw)}" for _ in range(syllables)) + "." + suffix
    )


def _path(draw: Iterator[int]) -> str:
    token = "".join(f"{next(draw):02x}" for _ in range(6))
    return f"/{_pick(_WORDS, draw)}/{token}{_pick(_ENDINGS, draw)}"


def _pick(choices: str | tuple[str, ...], draw: Iterator[int]) -> str:
    # 256 is no multiple of 20 or 5: some letters come 2 % more often, which SPACE_BITS allows for.
    return choices[next(draw) % len(choices)]


def _digest(draw: Iterator[int], tag: Tag) -> str:
    if tag.signal != "pdq":
        return bytes(next(draw) for _ in range(tag.size)).hex()
    # Half of the bits are set: the positions in the order of random bytes, and the first 128 of them.
    order = sorted(range(8 * tag.size), key=lambda bit: (next(draw), bit))
    return sum(1 << bit for bit in order[: 4 * tag.size]).to_bytes(tag.size).hex()
