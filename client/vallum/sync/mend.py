"""Putting back a damaged version that no sync brings another one in place of (client.md §6.10).

While a list is pinned, or its newest version is absurd or refused, what is in force stays. The signed role
that is kept beside it still names its runs. What is kept in quarantine stays, too, once the operator has
rejected it, or while he pins an earlier one: he may decide otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, TargetFile, Targets

from vallum.errors import DataError, NotEntitledError, StateError, StorageError, VallumError
from vallum.format.charter import split_stream
from vallum.format.table import Table
from vallum.regular import read_regular
from vallum.state import StreamState
from vallum.sync.fetch import AbsentError
from vallum.sync.kept import read_kept
from vallum.sync.lead import Guide
from vallum.sync.place import role_file
from vallum.sync.quarantine import Quarantine, Quarantined
from vallum.sync.tables import Proven, open_tables, write_version


@dataclass(frozen=True, slots=True)
class Mender:
    """Mends one source's versions in force; ``guide`` leads to their tables."""

    guide: Guide
    proven: Proven

    def mend(self, stream: str, held: StreamState) -> dict[str, Table]:
        """Return the tables of a version in force, fetched anew where they are not whole; its pepper, too.

        Raises:
            StateError: they are damaged, and the store does not have their runs any more.
            NotEntitledError, ConfigError: the pepper is lost, and nothing is sealed to this machine's key.
            FetchError, StorageError: the store does not answer, or the disk does not take them.
        """
        self._mend_pepper(stream, held)
        guide, place = self.guide, self.guide.place
        files = held.files(place.name, stream)
        tables = self.proven.open(place.state_dir, files, held.head.tables)
        if tables:
            return tables
        guide.tell(f"{place.name}/{stream}: version {held.head.version} is damaged here; fetching it anew")
        try:
            codec = held.charter.codec(
                split_stream(stream)[1], guide.keys.pepper(stream, held.charter, held.head)
            )
            tables, _, _ = guide.lead(stream, codec, held, None, {}, self._listed(stream, held))
        except (DataError, AbsentError) as error:
            raise StateError(
                f"{stream}: version {held.head.version}, in force, is damaged and not to be had any more",
                hint=self._way_out(stream),
            ) from error
        write_version(place.state_dir, files, tables, {})
        self.proven.written(place.state_dir, files, held.head.tables)
        return tables

    def mend_aside(self, stream: str, aside: Quarantined, role: bytes) -> StateError | None:
        """See that the newest version, which is in quarantine, is whole there.

        Nothing waits for it: what the store, its publisher or the operator's quota puts in the way is
        returned, for the report.

        Args:
            stream, aside: which version.
            role: the verified role that names its runs.

        Raises:
            StorageError: this disk does not take it.
        """
        guide, place, state = self.guide, self.guide.place, aside.state
        quarantine = Quarantine(place.state_dir, place.name)

        def check_room(more: int) -> None:
            try:
                place.check_quota_aside(stream, more)  # 8.9
            except StorageError as error:  # here no disk is to blame
                raise StateError(str(error), hint=error.hint) from None

        try:
            if quarantine.whole(stream, state):
                return None
            what = f"{place.name}/{stream}: version {state.head.number}"
            guide.tell(f"{what} is damaged in quarantine; fetching it anew")
            pepper = guide.keys.pepper(stream, state.charter, state.head)
            codec = state.charter.codec(split_stream(stream)[1], pepper)
            tables, _, _ = guide.lead(stream, codec, state, None, {}, check_room=check_room)
            quarantine.keep(stream, aside, tables, role)
        except StorageError:
            raise
        except VallumError as error:
            number = state.head.number
            return StateError(f"version {number} is damaged in quarantine: {error}", hint=error.hint)
        return None

    def _mend_pepper(self, stream: str, held: StreamState) -> None:
        """Fetch the pepper of a version in force if it is not held; raises as :meth:`mend`."""
        guide, place = self.guide, self.guide.place
        if self.proven.pepper(place.state_dir, place.name, stream, held.charter):
            return
        guide.tell(f"{place.name}/{stream}: its pepper is lost or damaged here; fetching it anew")
        try:
            guide.keys.pepper(stream, held.charter, held.head)
        except NotEntitledError:
            # The epoch may be long over: all wraps of a generation hold the same pepper.
            newest = guide.repository.head(stream)
            if newest is None or newest.generation != held.head.generation:
                raise
            guide.keys.pepper(stream, held.charter, newest)

    def _listed(self, stream: str, held: StreamState) -> Mapping[str, TargetFile]:
        """What the version's role names. It is trusted in nothing: what comes must be the state in force."""
        place = self.guide.place
        try:
            data = read_regular(place.state_dir / role_file(place.name, stream, held.head))
            metadata: Metadata[Any] = Metadata.from_bytes(data)
        except (OSError, RepositoryError):
            return {}
        return metadata.signed.targets if isinstance(metadata.signed, Targets) else {}

    def _way_out(self, stream: str) -> str:
        """What else is whole here: which version is better than none is for a person to say."""
        place = self.guide.place
        for kept in read_kept(place.state_dir, place.name, stream):
            head = kept.state.head
            if open_tables(place.state_dir, kept.state.files(place.name, stream), head.tables):
                version = f"{head.generation}.{head.version}"
                return f"`vallum pin {version} --list {place.name}/{stream}` goes back to one that is whole"
        return "no other version is whole here: call the publisher, or accept what is in quarantine"
