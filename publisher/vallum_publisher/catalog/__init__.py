"""The catalog: what the publisher knows of its lists, in SQLite or PostgreSQL.

It leaves to others what input looks like (:mod:`vallum_publisher.intake`) and what becomes of rows
(:mod:`vallum_publisher.release`).
"""

from vallum_publisher.catalog.audit import AuditRecord
from vallum_publisher.catalog.catalog import Catalog, load_catalog, open_catalog
from vallum_publisher.catalog.changeset import Applied
from vallum_publisher.catalog.draft import KeyCollisionError
from vallum_publisher.catalog.entitlement import NewRecipient, OpenedEpoch, Recipient, Wrap
from vallum_publisher.catalog.entry import TEST_REF, Classification, Entry, Record, Status, classify, unite
from vallum_publisher.catalog.lists import ListInfo, ListSpec, test_record
from vallum_publisher.catalog.merge import Mode
from vallum_publisher.catalog.rows import ListRow, RowChange
from vallum_publisher.catalog.versions import Version

__all__ = [
    "TEST_REF",
    "Applied",
    "AuditRecord",
    "Catalog",
    "Classification",
    "Entry",
    "KeyCollisionError",
    "ListInfo",
    "ListRow",
    "ListSpec",
    "Mode",
    "NewRecipient",
    "OpenedEpoch",
    "Recipient",
    "Record",
    "RowChange",
    "Status",
    "Version",
    "Wrap",
    "classify",
    "load_catalog",
    "open_catalog",
    "test_record",
    "unite",
]
