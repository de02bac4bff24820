"""The first form of the catalog."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SQLITE_APPEND_ONLY = """
CREATE TRIGGER audit_no_{what} BEFORE {what} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""
_POSTGRESQL_APPEND_ONLY = """
CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()
"""


def _needed(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    """Make every table and index."""
    op.create_table(
        "lists",
        sa.Column("id", sa.Integer, primary_key=True),
        _needed("name", sa.Text),
        _needed("kind", sa.Text),
        _needed("uid", sa.LargeBinary),
        _needed("public", sa.SmallInteger),
        _needed("canon", sa.Text),
        _needed("host_bits", sa.SmallInteger),
        _needed("tables", sa.Text),
        _needed("editions", sa.Text),
        _needed("publisher", sa.Text),
        _needed("jurisdiction", sa.Text),
        _needed("appeal_url", sa.Text),
        _needed("wide_per_week", sa.Integer),
        _needed("max_age", sa.Integer),
        _needed("min_poll", sa.Integer),
        _needed("generation", sa.BigInteger),
        _needed("version", sa.BigInteger),
        _needed("epoch", sa.BigInteger),
        _needed("created_at", sa.BigInteger),
        sa.UniqueConstraint("name", name="lists_name"),
    )
    op.create_table(
        "label_sets",
        sa.Column("id", sa.Integer, primary_key=True),
        _needed("wire", sa.Text),
        _needed("labels", sa.Text),
        _needed("flags", sa.Text),
        _needed("subjects", sa.Text),
        _needed("jurisdictions", sa.Text),
        sa.UniqueConstraint("wire", name="label_sets_wire"),
    )
    op.create_table(
        "entries",
        sa.Column("list_id", sa.Integer, sa.ForeignKey("lists.id"), primary_key=True),
        sa.Column("tbl", sa.SmallInteger, primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("ref", sa.Text, primary_key=True),
        _needed("content_id", sa.Text),
        _needed("labels", sa.Integer),
        _needed("status", sa.Text),
        _needed("active", sa.SmallInteger),
        _needed("added_at", sa.BigInteger),
        _needed("updated_at", sa.BigInteger),
        _needed("verified_at", sa.BigInteger),
        _needed("expires_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    _partial("entries_expiring", "entries", ["list_id", "expires_at"], "active = 1 AND expires_at > 0")
    op.create_table(
        "list_rows",
        sa.Column("list_id", sa.Integer, sa.ForeignKey("lists.id"), primary_key=True),
        sa.Column("tbl", sa.SmallInteger, primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        _needed("value", sa.LargeBinary),
        _needed("wanted", sa.Integer),
        _needed("published", sa.Integer),
        sa.Column("pending", sa.Integer),
        _needed("touched", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    row_key = ["list_id", "tbl", "key"]
    _partial("list_rows_unpublished", "list_rows", row_key, "wanted <> published")
    _partial("list_rows_pending", "list_rows", row_key, "pending IS NOT NULL")
    _partial("list_rows_touched", "list_rows", ["list_id", "tbl", "touched", "key"], "touched > 0")
    op.create_table(
        "versions",
        sa.Column("list_id", sa.Integer, sa.ForeignKey("lists.id"), primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        _needed("epoch", sa.BigInteger),
        _needed("salt", sa.LargeBinary),
        _needed("changes", sa.BigInteger),
        _needed("created_at", sa.BigInteger),
        sa.Column("state", sa.Text),
        _needed("tables", sa.Text),
        _needed("details", sa.Text),
        sa.Column("published_at", sa.BigInteger),
    )
    _partial("versions_under_way", "versions", ["list_id"], "published_at IS NULL", unique=True)
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        _needed("at", sa.BigInteger),
        _needed("actor", sa.Text),
        _needed("action", sa.Text),
        _needed("list", sa.Text),
        _needed("details", sa.Text),
        _needed("hash", sa.LargeBinary),
    )
    if op.get_bind().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(_SQLITE_APPEND_ONLY.format(what=what))
    else:
        op.execute(_POSTGRESQL_APPEND_ONLY)
