"""A list of URLs in a catalog: short ways to put entries in, to publish, and to say what is listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from vallum.expression import Keyer, Scope
from vallum_publisher.catalog import (
    Catalog,
    Mode,
    Record,
    Status,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEYER = Keyer(b"", 20)
A, B = ("uk-sap:1:A",), ("uk-sap:1:B",)


def url(name: str, *labels: str, ref: str = "", status: Status = Status.ACTIVE, expires: int = 0) -> Record:
    return Record(
        1, f"{name}.example/x", ref, labels=tuple(sorted(labels)), status=status, expires_at=expires
    )


def key(name: str) -> bytes:
    return KEYER.url_key(Scope.URL, f"{name}.example/x")


def put(catalog: Catalog, *records: Record, mode: Mode = Mode.REPLACE) -> tuple[int, int, int, int]:
    done = catalog.apply("urls", records, mode=mode, actor="ann", now=NOW)
    return done.added, done.removed, done.changed, done.unchanged


def publish(catalog: Catalog) -> int:
    version = catalog.begin_version("urls", salt=bytes(16), actor="ann", now=NOW)
    assert version is not None
    catalog.seal_version("urls", version.version, state=f"{version.version:064}", tables={"exact": "0" * 64})
    return catalog.finish_version("urls", version.version, actor="ann", now=NOW).version


def listed(catalog: Catalog) -> dict[bytes, tuple[str, ...] | None]:
    rows = list(catalog.listed_rows("urls", "exact"))
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    return {row.key: row.labels for row in rows}


def pending(catalog: Catalog) -> dict[bytes, tuple[tuple[str, ...] | None, tuple[str, ...] | None]]:
    return {change.key: (change.before, change.labels) for change in catalog.pending_changes("urls", now=NOW)}
