"""A catalog as a stream of plain values, and back: what a backup holds, whichever database it came from.

::

    ["catalog", form]                the form (migration) that the tables have
    ["table", name, [column, …]]     then its rows, in any number of
    ["rows", [[value, …], …]]

Values are integers, text, bytes and null. Sealing and storing the stream is :mod:`vallum_publisher.backup`'s
business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, MetaData, Table, func, inspect, select, text
from sqlalchemy.exc import DataError as RefusedValueError
from sqlalchemy.exc import IntegrityError, NoSuchTableError

from vallum.errors import DataError, FormatError
from vallum_publisher.catalog.tables import REVISION, metadata

_LAYER = "catalog"
_BATCH = 500


def dump(connection: Connection) -> Iterator[list[Any]]:
    """Yield the whole catalog as one moment of it was, tables before those that refer to them."""
    yield ["catalog", REVISION]
    streaming = connection.execution_options(yield_per=_BATCH)  # else PostgreSQL's driver fetches all at once
    for table in metadata.sorted_tables:
        yield ["table", table.name, [column.name for column in table.columns]]
        for rows in streaming.execute(select(table)).partitions():
            yield ["rows", [list(row) for row in rows]]


def load(connection: Connection, records: Iterable[Any]) -> None:
    """Fill the empty tables of a catalog; ``records`` as of :func:`dump`, after the first.

    Raises:
        FormatError: a record is none, or of a table or column that this form does not have.
        DataError: rows contradict each other.
    """
    table: Table | None = None
    columns: list[str] = []
    try:
        for record in records:
            match record:
                case ["table", str(name), [*names]] if name != "alembic_version":
                    table = Table(name, MetaData(), autoload_with=connection)
                    columns = [str(column) for column in names]
                    if unknown := set(columns) - {column.name for column in table.columns}:
                        raise FormatError(_LAYER, f"table {name} has no column {min(unknown)!r}")
                case ["rows", [*rows]] if table is not None and all(
                    isinstance(row, list) and len(row) == len(columns) for row in rows
                ):
                    if rows:
                        values = [dict(zip(columns, row, strict=True)) for row in rows]
                        connection.execute(table.insert(), values)
                case _:
                    raise FormatError(_LAYER, "a record of another kind than a catalog has")
    except NoSuchTableError:
        raise FormatError(_LAYER, "a table that a catalog of this form does not have") from None
    except (IntegrityError, RefusedValueError):
        raise DataError("the catalog contradicts itself") from None
    if connection.dialect.name == "postgresql":
        _catch_up(connection)


def _catch_up(connection: Connection) -> None:
    """Let PostgreSQL number new rows after those that came with their numbers."""
    for name in inspect(connection).get_table_names():
        sequence = (
            connection.execute(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": name}).scalar()
            if _has_id(connection, name)
            else None
        )
        if sequence is not None:
            table = Table(name, MetaData(), autoload_with=connection)
            highest = connection.execute(select(func.max(table.c.id))).scalar()
            if highest is not None:
                connection.execute(
                    text("SELECT setval(:sequence, :at)"), {"sequence": sequence, "at": highest}
                )


def _has_id(connection: Connection, name: str) -> bool:
    return any(column["name"] == "id" for column in inspect(connection).get_columns(name))
