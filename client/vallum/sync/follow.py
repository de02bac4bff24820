"""One list of one source: from its charter and head to verified table files (client.md §4 to §6).

What is written here is referred to by nobody yet; bringing it into force is :mod:`vallum.sync.activate`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from vallum.errors import ConfigError, GuardError, StorageError, TrustError, UnavailableError, VallumError
from vallum.expression import Keyer
from vallum.format.charter import Charter, check_unchanged, split_stream
from vallum.format.head import Head, RunRef
from vallum.format.table import Table
from vallum.guard import Window
from vallum.journal import record_version
from vallum.progress import Tell, silent
from vallum.state import Pin, StreamState
from vallum.sync.apply import check_head_fits
from vallum.sync.errand import NEVER
from vallum.sync.fetch import AbsentError
from vallum.sync.floor import EquivocationError, Floor, Mark
from vallum.sync.freshness import CLOCK_APART, is_ahead
from vallum.sync.judge import REJECTED, Judge, absurd
from vallum.sync.keys import SourceKeys
from vallum.sync.lead import Guide
from vallum.sync.mend import Mender
from vallum.sync.place import Place, role_file
from vallum.sync.quarantine import Quarantine, Quarantined
from vallum.sync.roles import TopLevel
from vallum.sync.tables import Proven, sync_version, table_bytes, write_version
from vallum.sync.trust import Repository
from vallum.uptime import Uptime


@dataclass(frozen=True, slots=True)
class Followed:
    """A stream whose version is on disk, verified.

    Attributes:
        state: what would be in force.
        expires: expiry of the list's role.
        path: runs that led there; empty if the tables were there.
        warning: why the first path failed, if a second one was taken; or what keeps a damaged version in
            quarantine from being whole.
        alarm: what is wrong with the version in force, which stays for want of a better one.
        rejected: the newer version that the operator has rejected, if so.
    """

    state: StreamState
    expires: datetime = NEVER
    path: tuple[RunRef, ...] = ()
    warning: VallumError | None = None
    alarm: VallumError | None = None
    rejected: Quarantined | None = None


@dataclass(frozen=True, slots=True)
class Follower:
    """What following one source's streams needs.

    Attributes:
        proven: what this process has hashed of this disk's files.
        uptime: how long this machine has been on.
        rejudge: whether versions in force are judged again, since the operator may have changed his mind.
        tell: told what is done next.
    """

    place: Place
    repository: Repository
    top: TopLevel
    floor: Floor
    judge: Judge
    keys: SourceKeys
    proven: Proven
    uptime: Uptime
    rejudge: bool = False
    tell: Tell = silent

    @property
    def quarantine(self) -> Quarantine:
        """Where absurd versions of this source are kept."""
        return Quarantine(self.place.state_dir, self.place.name)

    def follow(self, stream: str, held: StreamState | None) -> Followed | None:
        """Bring the newest version of a stream onto this disk; ``None`` if it has none yet.

        Raises:
            ConfigError: the repository never had such a list or edition.
            GuardError: the version is absurd; it is in quarantine, and ``held`` stays.
            DataError: what the publisher or the wire sent is refused; ``held`` stays.
            UnavailableError: the store or this disk does not do its part; ``held`` stays.
        """
        try:
            followed = self._follow(stream, held)
        except VallumError as error:
            # What stays must be whole; a store that is down would not give that either.
            if held is not None and (
                isinstance(error, AbsentError) or not isinstance(error, UnavailableError)
            ):
                try:
                    self._mend(stream, held)
                except VallumError as lost:
                    if not isinstance(error, EquivocationError):
                        raise
                    error.hint += f"; {lost}"  # an attack is said first
            raise
        if (
            held is not None
            and followed is not None
            and (followed.state is held or followed.rejected is not None)
        ):
            self._mend(stream, held)
        return followed

    def _mend(self, stream: str, held: StreamState) -> dict[str, Table]:
        """Tables of the version in force, put back if they are damaged (client.md §6.10)."""
        return Mender(self._guide, self.proven).mend(stream, held)

    @property
    def _guide(self) -> Guide:
        return Guide(self.place, self.repository, self.keys, self.tell)

    def _follow(self, stream: str, held: StreamState | None) -> Followed | None:
        charter = self._charter(stream, held)
        head = self.repository.head(stream)
        if head is None:
            # 4.3: a list that had a version here has not become one that never had any.
            if held is not None or self.floor.knows(stream):
                raise TrustError(f"{stream}: it has no head any more", hint="call the publisher")
            return None
        check_head_fits(stream, charter, head)  # 4.4
        role, expires = self.repository.role(stream)
        state = StreamState(charter, head)
        try:
            self.floor.check_head(stream, head)  # 4.5
            if held is not None:
                Floor().raised(0, {stream: held.head}).check_head(stream, head)
            aside = self.quarantine.offered_again(stream, head)  # 6.7
        except EquivocationError as error:
            try:
                self._keep_evidence(stream, held, head, role)
            except StorageError as lost:  # of the two the disk is the lesser trouble
                error.add_note(f"not all of the evidence could be kept: {lost}")
                error.hint = f"call the publisher; not all of the evidence could be kept: {lost}"
            raise
        pinned = held is not None and held.pin is not None and not self._has_ended(held.pin)
        missing: VallumError | None = None
        if aside is not None and (pinned or aside.rejected):
            missing = Mender(self._guide, self.proven).mend_aside(stream, aside, role)  # 6.10
        if held is not None and pinned:
            return Followed(held, expires, warning=missing)  # 6.8
        if held is not None and aside is not None and aside.rejected:
            # 6.7; what an ended pin held stays, but as the version in force, no longer as a pinned one.
            return Followed(replace(held, pin=None), expires, warning=missing, rejected=aside)
        followed = self._bring(stream, state, held, role, aside)
        self.place.write_role(stream, head, role)
        return replace(followed, expires=expires)

    def _has_ended(self, pin: Pin) -> bool:
        if pin.until <= pin.since:
            return True  # ended by the operator
        if self.judge.now < pin.until:
            return False
        # 9.5: a pin that a clock's jump has ended would not come back with the clock.
        store, passed = self.repository.fetcher.date, self.uptime.since(pin.up)
        if store is None and passed is not None:
            return passed >= (pin.until - pin.since - CLOCK_APART).total_seconds()
        return not is_ahead(self.judge.now, store)

    def _keep_evidence(self, stream: str, held: StreamState | None, head: Head, role: bytes) -> None:
        """Keep both roles: of what was in force under this number, or of what is kept aside."""
        offered, aside = Mark.of(head), self.quarantine.find(stream)
        for first in (self.floor.streams.get(stream), Mark.of(held.head) if held is not None else None):
            if first is not None and first.numbers == offered.numbers and first != offered:
                where = role_file(self.place.name, stream, first)
                self.place.keep_evidence(stream, first, where, head, role)
                return
        if aside is not None:
            kept = aside.state.head
            self.place.keep_evidence(stream, kept, self.quarantine.role(stream, kept), head, role)

    def _bring(
        self,
        stream: str,
        state: StreamState,
        held: StreamState | None,
        role: bytes,
        aside: Quarantined | None,
    ) -> Followed:
        """Bring the tables of a version onto this disk, and have them judged."""
        head, place = state.head, self.place
        pepper = self.keys.pepper(stream, state.charter, head)  # 4.6
        codec = state.charter.codec(split_stream(stream)[1], pepper)
        files = state.files(place.name, stream)
        there = self.proven.open(place.state_dir, files, head.tables)
        same = held if held is not None and Mark.of(held.head) == Mark.of(head) else None
        if same is not None and there:
            self.quarantine.drop(stream)  # what is there was accepted, and the acceptance was cut short
            alarm = self._standing(stream, there, codec.keyer) if self.rejudge else None
            return Followed(replace(state, window=same.window), alarm=alarm)
        before = (
            self.proven.open(place.state_dir, held.files(place.name, stream), held.head.tables)
            if held
            else {}
        )
        if aside is not None and aside.rejected:
            raise absurd(stream, state, REJECTED)
        if aside is not None and held is None and stream in self.floor.streams:
            # 6.7: that nothing is left of what was in force here is no decision to take what was put aside.
            raise absurd(stream, state, aside.reasons)
        path: tuple[RunRef, ...] = ()
        warning: VallumError | None = None
        tables = there or (self.quarantine.tables(stream, state) if aside else {})
        if not tables:
            tables, path, warning = self._guide.lead(stream, codec, state, held, before)
        if same is not None:
            window = same.window
        else:
            try:
                window = self._window(stream, state, held, before, tables, codec.keyer)
            except GuardError as error:
                self._set_aside(stream, state, error, tables, role, aside)
                raise
        if there:
            [folder] = {(place.state_dir / path).parent for path in files.values()}
            sync_version(folder)  # 7.1
        else:
            self.tell(f"{self.place.name}/{stream}: writing the table")
            role_of = {role_file(place.name, stream, head): role}  # 7.2
            write_version(place.state_dir, files, tables, role_of)
            self.proven.written(place.state_dir, files, head.tables)
        self.quarantine.drop(stream)
        return Followed(replace(state, window=window), path=path, warning=warning)

    def _window(
        self,
        stream: str,
        state: StreamState,
        held: StreamState | None,
        before: Mapping[str, Table],
        tables: Mapping[str, Table],
        keyer: Keyer,
    ) -> Window:
        """Judge a version beside what is in force (client.md §6.6); errors as of ``Judge.window``."""
        try:
            return self.judge.window(stream, state, held, before, tables, keyer)
        except GuardError:
            # 6.10: beside nothing each row looks new.
            if held is None or before:
                raise
            with suppress(VallumError):
                before = self._mend(stream, held)
            if not before:
                raise
        return self.judge.window(stream, state, held, before, tables, keyer)

    def _standing(self, stream: str, tables: Mapping[str, Table], keyer: Keyer) -> VallumError | None:
        """Judge the version in force by the absolutes of today (client.md §6.9)."""
        try:
            reasons = self.judge.absolutes(tables, keyer)
        except ConfigError as error:
            return error
        if not reasons:
            return None
        return GuardError(
            f"{stream}: the version in force would not come into force any more",
            reasons,
            hint="`vallum allow add ID` lifts one entry, `vallum pin` goes back; and call the publisher",
        )

    def _set_aside(
        self,
        stream: str,
        state: StreamState,
        error: GuardError,
        tables: Mapping[str, Table],
        role: bytes,
        aside: Quarantined | None,
    ) -> None:
        """Keep an absurd version for a person to decide, and say so once (client.md §6.7)."""
        place, now = self.place, self.judge.now
        place.check_quota_aside(stream, table_bytes(tables))
        about = Quarantined(state, aside.since if aside else now, error.reasons)
        if aside is None:
            record_version(
                place.state_dir, now, "quarantined", place.name, stream, state.head, reasons=error.reasons
            )
        self.quarantine.keep(stream, about, tables, role)

    def _charter(self, stream: str, held: StreamState | None) -> Charter:
        name, edition = split_stream(stream)
        known = held is not None or self.floor.knows(stream)
        charter = self.repository.charter(name)
        if charter is None:
            if known:  # 4.1
                raise TrustError(f"{stream}: the list is not chartered any more", hint="call the publisher")
            raise ConfigError(
                f"the repository has no list named {name!r}",
                hint=f"it has: {', '.join(self.top.lists) or 'none'}",
            )
        if held is not None:
            check_unchanged(held.charter, charter)  # 4.2
        if edition not in charter.editions or stream not in self.top.streams:
            if known:  # 4.1
                raise TrustError(f"{stream}: the list is not delegated any more", hint="call the publisher")
            raise ConfigError(
                f"the list {name!r} has no edition {edition!r}", hint=f"it has: {', '.join(charter.editions)}"
            )
        return charter
