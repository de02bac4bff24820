"""Encrypted lists: sealed secrets, epochs, recipients, wraps."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _needed(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    """Add the tables; what is there stays as it is."""
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        _needed("sealed", sa.LargeBinary),
    )
    op.create_table(
        "epochs",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True),
        sa.Column("epoch", sa.BigInteger, primary_key=True),
        _needed("commitment", sa.Text),
        _needed("opened_at", sa.BigInteger),
    )
    op.create_table(
        "recipients",
        sa.Column("id", sa.Integer, primary_key=True),
        _needed("stream", sa.Text),
        _needed("name", sa.Text),
        _needed("line", sa.Text),
        _needed("fingerprint", sa.Text),
        _needed("since", sa.BigInteger),
        _needed("added_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_table(
        "wraps",
        sa.Column("name", sa.Text, primary_key=True),
        _needed("stream", sa.Text),
        _needed("generation", sa.BigInteger),
        _needed("epoch", sa.BigInteger),
        _needed("suite", sa.Text),
        sa.Column("recipient", sa.Integer),
        _needed("data", sa.LargeBinary),
        _needed("stored", sa.SmallInteger),
    )
