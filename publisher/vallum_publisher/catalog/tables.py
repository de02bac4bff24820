"""The catalog's tables, as SQLAlchemy Core knows them; migrations/ holds the steps that lead here.

* ``lists`` one list each, with what its charter and head need.
* ``label_sets`` every label set in use once; entries and rows name it by number, 0 meaning "not listed".
* ``entries`` what the hotline says; identity (list, table, key, ref).
* ``list_rows`` one key each: its expression, and its label set as wanted (by the active entries), as
  pending (frozen into the version under way) and as published. ``touched`` is the version that last
  touched it; a row that was ever published stays as a tombstone. What is to be published is simply
  ``wanted <> published``, so changes that cancel out vanish by themselves.
* ``versions`` each version begun or published, at most one per list under way.
* ``secrets`` peppers, epoch keys, decoy seeds, each sealed under the vault key.
* ``epochs``, ``recipients``, ``wraps`` who may read which stream, and what is in the store for them.
* ``audit`` append-only, hash-chained.

Times are seconds since 1970, 0 for "not said". Keys are bytes; values are one tag byte and the
form's ASCII or the raw digest, as in :mod:`vallum.format.rows`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISION = "0002"
"""The newest migration; a test holds it equal to what migrations/ says."""

TABLE_NAMES = ("exact", "pdq")
"""Tables by their number in column ``tbl``. Append only."""
TABLE_IDS = {name: number for number, name in enumerate(TABLE_NAMES)}
TABLE_BYTES = [bytes([number]) for number in range(len(TABLE_NAMES))]

metadata = MetaData()

lists = Table(
    "lists",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("uid", LargeBinary, nullable=False),
    Column("public", SmallInteger, nullable=False),
    Column("canon", Text, nullable=False),
    Column("host_bits", SmallInteger, nullable=False),
    Column("tables", Text, nullable=False),
    Column("editions", Text, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("jurisdiction", Text, nullable=False),
    Column("appeal_url", Text, nullable=False),
    Column("wide_per_week", Integer, nullable=False),
    Column("max_age", Integer, nullable=False),
    Column("min_poll", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("name", name="lists_name"),
)

label_sets = Table(
    "label_sets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("wire", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("flags", Text, nullable=False),
    Column("subjects", Text, nullable=False),
    Column("jurisdictions", Text, nullable=False),
    UniqueConstraint("wire", name="label_sets_wire"),
)

entries = Table(
    "entries",
    metadata,
    Column("list_id", Integer, ForeignKey("lists.id"), primary_key=True),
    Column("tbl", SmallInteger, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("content_id", Text, nullable=False),
    Column("labels", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("active", SmallInteger, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("verified_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_EXPIRING = text("active = 1 AND expires_at > 0")
Index(
    "entries_expiring",
    entries.c.list_id,
    entries.c.expires_at,
    sqlite_where=_EXPIRING,
    postgresql_where=_EXPIRING,
)

list_rows = Table(
    "list_rows",
    metadata,
    Column("list_id", Integer, ForeignKey("lists.id"), primary_key=True),
    Column("tbl", SmallInteger, primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("published", Integer, nullable=False),
    Column("pending", Integer),
    Column("touched", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_UNPUBLISHED = text("wanted <> published")
_PENDING = text("pending IS NOT NULL")
_TOUCHED = text("touched > 0")
_ROW_KEY = (list_rows.c.list_id, list_rows.c.tbl, list_rows.c.key)
Index("list_rows_unpublished", *_ROW_KEY, sqlite_where=_UNPUBLISHED, postgresql_where=_UNPUBLISHED)
Index("list_rows_pending", *_ROW_KEY, sqlite_where=_PENDING, postgresql_where=_PENDING)
Index(
    "list_rows_touched",
    list_rows.c.list_id,
    list_rows.c.tbl,
    list_rows.c.touched,
    list_rows.c.key,
    sqlite_where=_TOUCHED,
    postgresql_where=_TOUCHED,
)

versions = Table(
    "versions",
    metadata,
    Column("list_id", Integer, ForeignKey("lists.id"), primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("state", Text),
    Column("tables", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("published_at", BigInteger),
)
_UNDER_WAY = text("published_at IS NULL")
Index(
    "versions_under_way",
    versions.c.list_id,
    unique=True,
    sqlite_where=_UNDER_WAY,
    postgresql_where=_UNDER_WAY,
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

epochs = Table(
    "epochs",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("commitment", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
)

recipients = Table(
    "recipients",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

wraps = Table(
    "wraps",
    metadata,
    Column("name", Text, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("suite", Text, nullable=False),
    Column("recipient", Integer),
    Column("data", LargeBinary, nullable=False),
    Column("stored", SmallInteger, nullable=False),
)
