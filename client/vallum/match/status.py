"""What is in force, list by list, for those who ask how old it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vallum.format.charter import split_stream
from vallum.format.fields import format_time
from vallum.state import Current


@dataclass(frozen=True, slots=True)
class ListStatus:
    """One list in force. Whether it is fresh is for those to say who have a clock (DESIGN §4).

    Attributes:
        state: digest over all its tables, for recipients to compare.
        rows: of all its tables, as `vallum status` counts them; 0 if it is lifted.
        as_of, max_age: when its keys last vouched for it, and for how many seconds that is good.
        verified_at, expires: of the source's metadata.
        pinned_until: until when the operator holds this version, if he does.
        lifted: it is hard-expired, and the operator's policy is not to enforce it then.
    """

    source: str
    list: str
    edition: str
    kind: str
    generation: int
    version: int
    state: str
    rows: int
    as_of: datetime
    max_age: int
    verified_at: datetime
    expires: datetime
    pinned_until: datetime | None = None
    lifted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "source": self.source,
            "list": self.list,
            "edition": self.edition,
            "kind": self.kind,
            "generation": self.generation,
            "version": self.version,
            "state": self.state,
            "rows": self.rows,
            "as_of": format_time(self.as_of),
            "max_age": self.max_age,
            "verified_at": format_time(self.verified_at),
            "expires": format_time(self.expires),
            "pinned_until": format_time(self.pinned_until) if self.pinned_until else None,
            "lifted": self.lifted,
        }


def list_statuses(current: Current, rows: Mapping[tuple[str, str], int]) -> list[ListStatus]:
    """Say what is in force, sorted by source and list; ``rows`` by those two, of what is opened."""
    found = []
    for source, stream, state in current.streams():
        name, edition = split_stream(stream)
        about = current.sources[source]
        found.append(
            ListStatus(
                source=source,
                list=name,
                edition=edition,
                kind=state.charter.kind,
                generation=state.head.generation,
                version=state.head.version,
                state=state.head.state,
                rows=rows.get((source, name), 0),
                as_of=state.head.as_of,
                max_age=state.head.max_age,
                verified_at=about.verified_at,
                expires=about.expires,
                pinned_until=state.pin.until if state.pin else None,
                lifted=stream in about.lifted,
            )
        )
    return sorted(found, key=lambda status: (status.source, status.list, status.edition))
