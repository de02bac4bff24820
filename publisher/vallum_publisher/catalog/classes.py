"""Label sets by number: each distinct set is kept once, entries and rows name it by its number."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from vallum.labels import LabelSet
from vallum_publisher.catalog.entry import classify
from vallum_publisher.catalog.tables import label_sets

UNLISTED = 0
"""Stands where a row has no label set, being not listed. (An empty set has a number like any other.)"""


def number_sets(connection: Connection, wanted: Iterable[LabelSet]) -> dict[LabelSet, int]:
    """Return the numbers of all known label sets, those of ``wanted`` included, which get one if need be."""
    known = {labels: number for number, labels in known_sets(connection).items()}
    missing = sorted(set(wanted) - known.keys())
    if not missing:
        return known
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        # Another publisher may number the same set at the same moment.
        insert(label_sets).on_conflict_do_nothing(),
        [_columns(labels) for labels in missing],
    )
    return {labels: number for number, labels in known_sets(connection).items()}


def known_sets(connection: Connection) -> dict[int, LabelSet]:
    """Return all label sets by number."""
    rows = connection.execute(select(label_sets.c.id, label_sets.c.wire))
    return {number: tuple(wire.split(" ")) if wire else () for number, wire in rows}


def _columns(labels: LabelSet) -> dict[str, str]:
    parts = classify(labels)
    return {
        "wire": " ".join(labels),
        "labels": " ".join(parts.labels),
        "flags": " ".join(parts.flags),
        "subjects": " ".join(parts.subjects),
        "jurisdictions": " ".join(parts.jurisdictions),
    }
