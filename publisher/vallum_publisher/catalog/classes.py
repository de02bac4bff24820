"""Label sets by number: each distinct set is kept once, entries and rows name it by its number."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from vallum.labels import LabelSet, label_set
from vallum_publisher.catalog.entry import classify
from vallum_publisher.catalog.tables import label_sets

UNLISTED = 0
"""Stands where a row has no label set, being not listed. (An empty set has a number like any other.)"""


class LabelSets:
    """The catalog's label sets, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sets: dict[int, LabelSet] = {}
        self._numbers: dict[LabelSet, int] = {}
        self._read()

    def by_number(self) -> dict[int, LabelSet]:
        """Return all sets."""
        return self._sets

    def number(self, wanted: Iterable[LabelSet]) -> dict[LabelSet, int]:
        """Return the numbers of all sets, those of ``wanted`` included, which get one if need be."""
        missing = sorted(set(wanted) - self._numbers.keys())
        if missing:
            dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
            # Another publisher may number the same set at the same moment.
            insert = dialect.insert(label_sets).on_conflict_do_nothing()
            self._connection.execute(insert, [_columns(labels) for labels in missing])
            self._read()
        return self._numbers

    def union(self, numbers: set[int]) -> int:
        """Return the number of the union of several sets, ``UNLISTED`` of none.

        Raises:
            InputError: the union has more labels than a set may have.
        """
        if len(numbers) <= 1:
            return next(iter(numbers), UNLISTED)
        united = label_set(label for number in numbers for label in self._sets[number])
        return self.number([united])[united]

    def _read(self) -> None:
        rows = self._connection.execute(select(label_sets.c.id, label_sets.c.wire))
        self._sets = {number: tuple(wire.split(" ")) if wire else () for number, wire in rows}
        self._numbers = {labels: number for number, labels in self._sets.items()}


def _columns(labels: LabelSet) -> dict[str, str]:
    parts = classify(labels)
    return {
        "wire": " ".join(labels),
        "labels": " ".join(parts.labels),
        "flags": " ".join(parts.flags),
        "subjects": " ".join(parts.subjects),
        "jurisdictions": " ".join(parts.jurisdictions),
    }
