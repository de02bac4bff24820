"""``vallum sync --watch``: polling for as long as the process lives (client.md §11).

The shell that waits, draws and reads the clock; when to poll is decided in :mod:`vallum.sync.schedule`, what
a poll does in :mod:`vallum.sync.updater`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from random import SystemRandom

from vallum.config import Config
from vallum.errors import GuardError, VallumError
from vallum.state import SourceState
from vallum.sync.activate import read_held
from vallum.sync.hint import Listener
from vallum.sync.report import SourceReport, SyncReport
from vallum.sync.schedule import Turn, hinted, polled
from vallum.sync.updater import Updater

Tell = Callable[[SyncReport | VallumError], None]


class Watch:
    """Keeps the lists of one configuration up to date until it is stopped.

    Args:
        config: what to follow; a source's ``hints`` are listened to.
        tell: called after every poll, with its report, or with the error that kept it from one.
        updater: who syncs; one is made of ``config`` if absent.
        outdated: asked before each poll whether ``config`` is no longer the one to go by.
    """

    def __init__(
        self,
        config: Config,
        tell: Tell,
        updater: Updater | None = None,
        outdated: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config = config
        self._tell = tell
        self._updater = updater or Updater(config)
        self._outdated = outdated
        self._random = SystemRandom()
        self._heard: SimpleQueue[tuple[str, str] | None] = SimpleQueue()

    def stop(self) -> None:
        """End :meth:`run` after the poll under way, if any; may be called by a signal handler."""
        self._heard.put(None)

    def run(self) -> bool:
        """Poll now, and then whenever it is time. Errors are told, and never end it.

        Returns:
            False once it is stopped; true if the configuration is outdated.
        """
        now = time.monotonic()
        turns = {source.name: Turn(due=now) for source in self._config.sources}
        listeners = [
            Listener(source, lambda name, digest: self._heard.put((name, digest)))
            for source in self._config.sources
            if source.hints
        ]
        for listener in listeners:
            listener.start()
        try:
            while self._wait(turns):
                # By an old one it would put out of force what another process has just brought in (11.5).
                if self._outdated():
                    return True
                self._poll(turns)
            return False
        finally:
            for listener in listeners:
                listener.end()
            self._updater.close()

    def _wait(self, turns: dict[str, Turn]) -> bool:
        """Wait until a source is due, hearing hints meanwhile; false when stopped."""
        while True:
            patience = min(turn.due for turn in turns.values()) - time.monotonic()
            try:
                heard = self._heard.get(timeout=max(0.0, patience))
            except Empty:
                return True
            if heard is None:
                return False
            name, digest = heard
            if digest != _timestamp(self._held().get(name)):  # 11.4
                turns[name] = hinted(turns[name], time.monotonic(), self._random.random())

    def _poll(self, turns: dict[str, Turn]) -> None:
        now = time.monotonic()
        due = {name for name, turn in turns.items() if turn.due <= now}
        before = self._held()
        reports: dict[str, SourceReport] = {}
        told: SyncReport | VallumError
        try:
            told = self._updater.sync(only=due)
            reports = {report.source: report for report in told.sources}
        except VallumError as error:
            told = error
        held = self._held()
        now = time.monotonic()
        for name in due:
            report, state = reports.get(name), held.get(name)
            turns[name] = polled(
                turns[name],
                now,
                failed=report is None or _failed(report),
                news=_timestamp(state) != _timestamp(before.get(name)),
                min_poll=None if state is None else _min_poll(state),
                draw=self._random.random(),
            )
        self._tell(told)

    def _held(self) -> dict[str, SourceState]:
        try:
            return dict(read_held(self._config.state).sources)
        except VallumError:
            return {}  # the poll itself tells of it


def _failed(report: SourceReport) -> bool:
    # A version in quarantine was fetched and verified: nothing is wrong with the way to it.
    return report.error is not None or any(
        stream.error is not None and not isinstance(stream.error, GuardError) for stream in report.streams
    )


def _timestamp(state: SourceState | None) -> str:
    return "" if state is None else state.timestamp_sha256


def _min_poll(state: SourceState) -> int | None:
    return min((stream.head.min_poll for stream in state.streams.values()), default=None)
