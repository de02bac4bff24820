"""Keying a list's rows anew, from what they say: after its pepper was lost, or has leaked.

Entries keep everything but their ids, which come of keys. Memory grows with the list: two keys a row.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select, update

from vallum.expression import TAGS, Keyer
from vallum_publisher.catalog.draft import record_key
from vallum_publisher.catalog.entry import Record
from vallum_publisher.catalog.lists import ListInfo
from vallum_publisher.catalog.tables import entries, list_rows

_BLOCK = 10_000


def rekey_rows(connection: Connection, info: ListInfo, keyer: Keyer) -> int:
    """Give each row of a list, and its entries, the key that ``keyer`` makes; return how many rows.

    Only between two generations: what a version published of the old keys is then told by nobody.
    """
    mine = list_rows.c.list_id == info.id
    held = [
        (tbl, bytes(key), _key(bytes(value), keyer))
        for tbl, key, value in connection.execute(
            select(list_rows.c.tbl, list_rows.c.key, list_rows.c.value).where(mine)
        )
    ]
    for table in (list_rows, entries):
        statement = (
            update(table)
            .where(
                table.c.list_id == info.id, table.c.tbl == bindparam("at"), table.c.key == bindparam("old")
            )
            .values(key=bindparam("new"))
        )
        for at in range(0, len(held), _BLOCK):
            connection.execute(
                statement, [{"at": tbl, "old": old, "new": new} for tbl, old, new in held[at : at + _BLOCK]]
            )
    return len(held)


def _key(value: bytes, keyer: Keyer) -> bytes:
    tag, rest = value[0], value[1:]
    return record_key(Record(tag, rest.decode("ascii") if TAGS[tag].signal == "url" else rest), keyer)
