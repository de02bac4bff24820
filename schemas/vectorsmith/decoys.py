"""Decoys (format.md §8.6): which ones an export has, with their labels."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from schemas.vectorsmith import Vectors, vector
from vallum.expression import Tag
from vallum.format.decoys import decoys_for
from vallum.labels import LabelSet

SEED, UID = bytes(range(32)), bytes(range(100, 116))
_URLS = (
    (1, ("ai_generated",), 40),
    (1, ("uk-sap:1:A",), 60),
    (1, ("test",), 1),
    (4, (), 9),
    (5, ("uk-sap:1:A",), 1),
)
_HASHES = ((16, (), 3), (18, ("uk-sap:1:A",), 2), (19, (), 50), (32, ("uk-sap:1:B",), 1))


def wanted(codes: Collection[int], label: str, tag: Tag, labels: LabelSet) -> bool:
    """Whether an export of these tags (none: all) with this label (empty: any) is of such a row."""
    return (not codes or tag.code in codes) and (not label or label in labels)


def vectors() -> Vectors:
    """Lists of both kinds, whole and in part; a list that can have none."""
    for name, rows, codes, label in (
        ("of a list of URLs", _URLS, (), ""),
        ("of the hosts in a list of URLs", _URLS, (4,), ""),
        ("of one label in a list of URLs", _URLS, (), "uk-sap:1:A"),
        ("of a list of digests", _HASHES, (), ""),
        ("of a list that can have none", ((1, ("test",), 1), (19, (), 7)), (), ""),
    ):
        strata: dict[tuple[int, LabelSet], int] = {(code, labels): count for code, labels, count in rows}
        made = decoys_for(SEED, UID, strata, partial(wanted, codes, label))
        yield vector(
            f"decoys {name}",
            "decoys",
            {
                "seed": SEED.hex(),
                "uid": UID.hex(),
                "rows": [[code, list(labels), count] for code, labels, count in rows],
                "tags": list(codes),
                "label": label,
            },
            decoys=[[decoy.tag.code, decoy.text, list(decoy.labels)] for decoy in made],
        )
