"""The sync of all sources, under the lock (client.md §1): the thin shell around the steps.

The only place of the client's core that reads the clock, and only where the caller did not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Self

from vallum.access import prepare_state
from vallum.allow import settle
from vallum.config import Config, Source
from vallum.durable import is_folder
from vallum.errors import DataError, UnavailableError, VallumError
from vallum.guard import NeverBlock
from vallum.lock import WAIT, exclusive
from vallum.progress import Tell, silent
from vallum.regular import identity
from vallum.state import FILE, Current
from vallum.sync.activate import activate, held_again, read_held, tidy
from vallum.sync.errand import NEVER, NOTHING, Errand, Staged, unsynced
from vallum.sync.fetch import Fetcher
from vallum.sync.judge import load_never_block
from vallum.sync.place import Place
from vallum.sync.poll import FULL_RUN_EVERY
from vallum.sync.report import SourceReport, SyncReport
from vallum.sync.source import SourceSync
from vallum.sync.tables import Proven
from vallum.sync.transport import Transport, open_transport
from vallum.sync.watchdog import NO_THREAD
from vallum.uptime import Uptime, read_uptime

PATIENCE = 30.0
"""Seconds that finished sources wait for slower ones, so as to come into force together."""

_Clocks = tuple[datetime, Uptime]
"""The time of day on this machine, and how long it has been on."""


class Updater:
    """Keeps the lists of one configuration up to date.

    Args:
        config: what to follow and where to keep it.
        connect: how to reach a source; a publisher passes his own store, to verify what he published.
        tell: told what is done next, by several threads.
    """

    def __init__(
        self,
        config: Config,
        connect: Callable[[Source], Transport] = open_transport,
        tell: Tell = silent,
    ) -> None:
        self._tell = tell
        self._config = config
        self._connect = connect
        self._proven = Proven()
        self._never = "", NeverBlock()
        self._held: tuple[tuple[int, int, int] | None, Current] = None, Current()
        self._tidy: datetime | None = None
        self._transports: dict[str, tuple[str, Transport]] = {}

    def close(self) -> None:
        """Give up the connections; the next sync makes new ones."""
        while self._transports:
            _, (_, transport) = self._transports.popitem()
            transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def sync(
        self,
        now: datetime | None = None,
        wait_for_lock: float = WAIT,
        only: Collection[str] | None = None,
        uptime: Uptime | None = None,
    ) -> SyncReport:
        """Fetch, verify and bring into force the newest version of every list that is followed.

        What fails is in the report, and the version before it stays in force.

        Args:
            now: the moment to judge by; this machine's clock if absent. TUF reads the clock itself.
            wait_for_lock: seconds to wait for another sync of the same state.
            only: names of the sources to sync; the others stay as they are, and out of the report.
            uptime: how long this machine has been on at that moment; asked of it if absent.

        Raises:
            BusyError: another sync did not end in time.
            StorageError: the state folder cannot be read or written; all stays as it was.
            UnavailableError: this machine has no threads for so many sources; likewise.
            NewerStateError: a newer release wrote the state folder; nothing is touched.
        """
        if now is None:
            now = datetime.now(UTC)  # noqa: TID251 - the shell of the core; see the module's docstring
        clocks = now, uptime or read_uptime()
        started = time.monotonic()
        state_dir = self._config.state
        if self._config.group_readable or not is_folder(state_dir):
            prepare_state(state_dir, group_readable=self._config.group_readable)
        with exclusive(state_dir, wait_for_lock):
            before = self._read_held()
            unsettled, unread = self._settled(before, now)
            due = [source for source in self._config.sources if only is None or source.name in only]
            reports, after = self._sync_all(due, before, clocks)
            warning = None
            if after != before:
                self._held = self._seen(), after
                warning = self._tidied(before, after, now)
        took = time.monotonic() - started
        followed, there = self._config.followed(), after.names()
        return SyncReport(
            tuple(reports[source.name] for source in due),
            took,
            warning,
            unsettled,
            unread,
            left=tuple(name for name in before.names() if name not in there),
            lingering=tuple(name for name in there if name not in followed),
        )

    def _settled(self, before: Current, now: datetime) -> tuple[VallumError | None, VallumError | None]:
        """Settle what the operator allows; what is wrong with it may hold back no list (client.md §8.8).

        Returns:
            Why his file could not be taken over, and why ``allow.json`` could not be read.
        """
        try:
            settle(self._config.state, self._config.allow, now, _signed(before))
        except DataError as error:
            return None, error
        except VallumError as error:
            return error, None
        return None, None

    def _read_held(self) -> Current:
        """What is in force; read again when the file is another one. The lock is held."""
        seen = self._seen()
        if seen is None or self._held[0] != seen:
            self._held = seen, read_held(self._config.state)
        return self._held[1]

    def _seen(self) -> tuple[int, int, int] | None:
        try:
            return identity(self._config.state / FILE)
        except OSError:
            return None

    def _tidied(self, before: Current, after: Current, now: datetime) -> VallumError | None:
        """Tidy up; what comes in the way takes nothing back of what has come into force.

        What others left is looked for by a process's first change, and then hourly.
        """
        whole = self._tidy is None or not timedelta(0) <= now - self._tidy < FULL_RUN_EVERY
        try:
            tidy(self._config.state, before, after, now, whole=whole)
        except VallumError as error:
            self._tidy = None
            return error
        if whole:
            self._tidy = now
        return None

    def _sync_all(
        self, due: list[Source], before: Current, clocks: _Clocks
    ) -> tuple[dict[str, SourceReport], Current]:
        digest = self._config.digest()
        names = {source.name for source in self._config.sources}
        current, reports = before, dict[str, SourceReport]()
        for done in self._finished(due, before, digest, clocks):
            current, staged = activate(self._config.state, current, done, clocks[0], names)
            reports |= {item.report.source: item.report for item in staged}
        return reports, current

    def _finished(
        self, due: list[Source], before: Current, digest: str, clocks: _Clocks
    ) -> Iterator[list[Staged]]:
        """Sync side by side; what is ready together comes together, and a slow source holds back no other."""
        if len(due) == 1:
            yield [self._sync_one(due[0], before, digest, clocks)]
            return
        with ThreadPoolExecutor(max(1, len(due)), "vallum-source") as pool:
            try:
                pending = {pool.submit(self._sync_one, source, before, digest, clocks) for source in due}
            except RuntimeError:
                raise UnavailableError("no thread is to be had for each source", hint=NO_THREAD) from None
            while pending:
                wait(pending, return_when=FIRST_COMPLETED)
                done, pending = wait(pending, PATIENCE)
                yield [future.result() for future in done]

    def _sync_one(self, source: Source, before: Current, digest: str, clocks: _Clocks) -> Staged:
        held = before.sources.get(source.name)
        try:
            held = held_again(self._config.state, before, source, self._proven)
            transport = self._transport(source, digest)
        except VallumError as error:
            report = SourceReport(source.name, "failed", error=error)
            now, uptime = clocks
            return unsynced(source, held, report, now, self._config.hard_expiry, uptime)
        fetcher = Fetcher(transport, source.deadline)
        place = Place(self._config.state, source.name, source.quota)
        never = self._never_block(digest)
        errand = Errand(source, place, held or NOTHING, digest, fetcher, never, *clocks, self._tell)
        staged = SourceSync(errand, self._proven, self._config.hard_expiry).run()
        if fetcher.overdue:
            self._transports.pop(source.name, None)
        return staged

    def _transport(self, source: Source, digest: str) -> Transport:
        """The connections to a source: kept from sync to sync, made anew when the configuration changes.

        Opening one reads the system's authorities, ten times the work of a poll.
        """
        known = self._transports.get(source.name)
        if known is not None:
            if known[0] == digest:
                return known[1]
            known[1].close()
        made = self._connect(source)
        self._transports[source.name] = digest, made
        return made

    def _never_block(self, digest: str) -> Callable[[], NeverBlock]:
        """Read the never-block list when it is first needed, and anew when the configuration changes."""

        def read() -> NeverBlock:
            if self._never[0] != digest:
                self._never = digest, load_never_block(self._config.never_block)
            return self._never[1]

        return read


def _signed(current: Current) -> datetime:
    """The newest moment at which anything in force was signed: by publishers' clocks, not this machine's."""
    return max((state.head.as_of for _, _, state in current.streams()), default=NEVER)
