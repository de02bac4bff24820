"""The guard rails at the publisher's end: an absurd version is never signed (DESIGN §9).

The same rules as the client's (:mod:`vallum.guard`), over a window that is a day longer: a client that polls
once a day then never counts more than was counted here. The window is remembered in the catalog with each
version. What is refused stays in the catalog as a draft; only a new generation publishes it as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vallum.errors import GuardError
from vallum.expression import URL_TAGS, Scope
from vallum.guard import (
    WEEK,
    Change,
    NeverBlock,
    Window,
    broken_absolutes,
    broken_limits,
    covering,
    format_window,
    parse_window,
)
from vallum_publisher.catalog import Catalog, ListInfo, Version
from vallum_publisher.recipients.custody import Custody
from vallum_publisher.release.tables import FULL
from vallum_publisher.release.version import Release, charter_for

LENGTH = WEEK + timedelta(days=1)
_WIDE = frozenset(URL_TAGS[scope].code for scope in (Scope.HOST, Scope.DOMAIN))
_WINDOW = "window"
_SHOWN = 3


def judged(
    catalog: Catalog,
    info: ListInfo,
    version: Version,
    release: Release,
    custody: Custody,
    never: NeverBlock,
    now: datetime,
) -> dict[str, object]:
    """Judge a version that is about to be sealed; return what the catalog shall remember of it.

    Raises:
        GuardError: with all reasons. Nothing of the version may be signed.
    """
    if version.state is not None:
        return dict(version.details)  # it was judged when it was sealed
    pepper = custody.pepper(info)
    codec = charter_for(info, pepper).codec(FULL, pepper)
    rows = sum(release.rows.values())
    reasons = broken_absolutes(release.tables, codec.keyer, never)
    window = Window(rows)
    if version.version > 1:
        come = [
            row for row in catalog.version_changes(info.name) if row.before is None and row.labels is not None
        ]
        change = Change(rows, len(come), sum(row.tag in _WIDE for row in come))
        past = _window(catalog, info, version).at(now, LENGTH)
        reasons = (*broken_limits(past, change, info.wide_per_week), *reasons)
        window = past.then(now, change, LENGTH)
    if reasons:
        raise GuardError(
            f"{info.name}: version {version.generation}.{version.version} is not signed",
            reasons,
            hint="correct the catalog; a wanted change beyond the limits is a new generation, by the offline "
            f"keys: vallum-publisher list new-generation {info.name} --reason …",
        )
    return {"rows": dict(release.rows), _WINDOW: format_window(window)}


def check_in_force(catalog: Catalog, info: ListInfo, custody: Custody, never: NeverBlock) -> None:
    """Judge what is public by a never-block list that may be younger.

    Raises:
        GuardError: rows cover names on it.
    """
    if info.kind != "url" or not info.version or not never.hosts:
        return
    keyer = charter_for(info, pepper := custody.pepper(info)).codec(FULL, pepper).keyer
    lines = {
        keyer.url_key(scope, name): line
        for scope, names in ((Scope.HOST, never.hosts), (Scope.DOMAIN, never.domains))
        for name, line in names.items()
    }
    if found := catalog.published_keys(info.name, "exact", list(lines)):
        ids = ", ".join(covering(keyer.entry_id(key), lines[key]) for key in found[:_SHOWN])
        ids += ", …" if len(found) > _SHOWN else ""
        raise GuardError(
            f"{info.name}: version {info.generation}.{info.version} is public",
            (f"{len(found):,} of its rows cover names on the never-block list (ids {ids})",),
            hint="take them off the list (ingest --remove), then publish",
        )


def _window(catalog: Catalog, info: ListInfo, version: Version) -> Window:
    [last] = catalog.versions(info.name, version.version - 2)
    if _WINDOW in last.details:
        return parse_window(last.details[_WINDOW])
    return Window(sum(last.details["rows"].values()))
