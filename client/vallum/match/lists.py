"""The lists in force on this machine, opened for look-ups: ``vallum.open(state_dir)``.

Read-only. Any number of processes may read while one syncs: tables are mapped, not copied, and a new
version is taken up by replacing one reference. Who writes the state is :mod:`vallum.sync`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Self
from weakref import WeakSet

from vallum.allow import NOTHING, AllowFile, Kind
from vallum.errors import InputError, UnavailableError, VallumError
from vallum.match.answer import Decision, Match
from vallum.match.digests import Hasher, feed, feed_bounded
from vallum.match.explain import Explanation, explain
from vallum.match.lifted import Lifted, lifted
from vallum.match.loaded import Gap, Loaded, Loader
from vallum.match.policy import Policy
from vallum.match.snapshot import Snapshot
from vallum.match.status import ListStatus, list_statuses

_RECHECK_SECONDS = 1.0
_READY_STEP_SECONDS = 0.05
_opened: WeakSet[Lists] = WeakSet()


class Lists:
    """Looks up in all lists of all sources. Thread-safe, and safe in any number of processes.

    The state is re-checked at most once a second, by whichever look-up comes first. Of a new state, a list
    that cannot be opened stays as it was, and one that has nothing yet is left out; neither holds back other
    lists or what is allowed (client.md §13). ``problem`` then says why.
    """

    def __init__(
        self, state_dir: Path | str, policy: Policy | None = None, *, incomplete: bool = False
    ) -> None:
        """Open what is followed (client.md §13.1); with ``incomplete`` also if some is missing.

        What is in none of the lists is ``unchecked`` then, never ``clean``, as long as there are ``gaps``.

        Raises:
            UnavailableError: nothing has been verified here, or a configured list has not.
            StorageError: a table cannot be read.
            DataError: a table is not the one that was signed.
        """
        self._dir = Path(state_dir)
        self._policy = policy or Policy()
        self._incomplete = incomplete
        self._reloading = Lock()
        self._loader = Loader(self._dir)
        self._allow = AllowFile(self._dir)
        self._unread = ""
        loaded, errors = self._loader.load()
        if errors and not (incomplete and loaded.tables):
            raise errors[0]
        self._loaded: Loaded | None = self._allowing(loaded)
        self._due = time.monotonic() + _RECHECK_SECONDS
        _opened.add(self)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Why lists that are followed are not looked up in, or not as they are in force; empty if all are."""
        loaded = self._loaded
        return () if loaded is None else loaded.missing + loaded.wrong

    @property
    def problem(self) -> str:
        """What of the newest state could not be taken up, and why; empty if all was."""
        return "; ".join([*(gap.says for gap in self.gaps), *filter(None, [self._unread])])

    def match_url(self, url: str | bytes) -> list[Match]:
        """Look a URL up; most severe first. Empty means: looked up in every list and not listed.

        Raises:
            InputError: the URL names no host, so that nothing could be looked up.
        """
        if time.monotonic() >= self._due:  # as in _now(), without the calls
            self._reload()
        loaded = self._loaded
        return self._now().match_url(url) if loaded is None else loaded.snapshot.match_url(url)

    def match_urls(self, urls: Iterable[str | bytes]) -> Iterator[list[Match]]:
        """Look many URLs up, in order, all in the lists that are in force at the first; see ``match_url``."""
        return self._now().match_urls(urls)

    def match_digest(self, signal: str, digest: str | bytes) -> list[Match]:
        """Look an exact digest up, given as bytes or hex; most severe first.

        Raises:
            InputError: unknown signal, not hex, or of another length than the algorithm's.
        """
        return self._now().match_digest(signal, digest)

    def match_file(self, path: Path | str) -> list[Match]:
        """Look a file's digests up, all that occur in the lists and can be made of its bytes.

        Raises:
            StorageError: it cannot be read.
        """
        hasher = self.hasher()
        feed(hasher, Path(path))
        return hasher.finish()

    def hasher(self) -> Hasher:
        """Begin a file that comes in pieces: ``update(bytes)`` …, then ``finish()`` gives the matches."""
        return self._now().hasher()

    def decide_url(self, url: str | bytes) -> Decision:
        """Look a URL up and say what to do.

        ``unchecked``, never ``clean``, if it has no host, or no list holds URLs, neither in force nor lifted.
        """
        return self._decide(self._now(), url)

    def decide_urls(self, urls: Iterable[str | bytes]) -> Iterator[Decision]:
        """Decide on many URLs, in order; see ``match_urls``."""
        snapshot = self._now()
        return (self._decide(snapshot, url) for url in urls)

    def decide_digest(self, signal: str, digest: str | bytes) -> Decision:
        """Look an exact digest up and say what to do.

        ``unchecked``, never ``clean``, if it is malformed, or no list in force holds digests of its kind and
        no list of digests is lifted.
        """
        snapshot = self._now()
        try:
            found = snapshot.match_digest(signal, digest)
        except InputError as error:
            return self._policy.undecided(str(error))
        return self._policy.decide(found, unless=self._unlooked() or snapshot.deaf_to(signal))

    def decide_file(
        self, path: Path | str, *, max_bytes: int | None = None, timeout: float | None = None
    ) -> Decision:
        """Look a file's digests up and say what to do.

        ``unchecked``, never ``clean``, if it cannot be read, is no regular file, is larger than
        ``max_bytes``, takes longer than ``timeout`` seconds (asked after each mebibyte), or is not listed
        while lists in force hold signals that cannot be made of a file here.
        """
        snapshot = self._now()
        hasher = snapshot.hasher()
        try:
            feed_bounded(hasher, Path(path), max_bytes, timeout)
        except (InputError, UnavailableError) as error:
            return self._policy.undecided(str(error))
        return self._policy.decide(hasher.finish(), unless=self._unlooked() or snapshot.deaf_to_files())

    def explain_url(self, url: str | bytes) -> Explanation:
        """Show how a URL is read, every key that is tried for it, and what hits."""
        snapshot = self._now()
        return explain(url, snapshot.matchers, snapshot.allowed)

    def regardless(self, known: Snapshot | None = None) -> Snapshot:
        """The lists in force as if the operator allowed nothing, to say what he lifts.

        What is ``known`` from an earlier call is returned while it is that: making one takes time.
        """
        now = self._now()
        if known is not None and known.matchers is now.matchers and known.lifted == now.lifted:
            return known
        return now.allowing(NOTHING)

    def lifted(self, kind: Kind, text: str) -> Lifted:
        """Count the entries in force that an allowance lifts; takes seconds where there are millions."""
        return lifted(self._now().matchers, kind, text)

    def status(self) -> list[ListStatus]:
        """Say what is in force, sorted by source and list."""
        self._now()
        loaded = self._require()
        rows = {(source, one.matcher.list): one.rows for (source, _), one in loaded.tables.items()}
        return list_statuses(loaded.current, rows)

    def ready(self, timeout: float = 0.0) -> bool:
        """Wait up to ``timeout`` seconds until the newest state is open; say whether it is."""
        end = time.monotonic() + timeout
        while True:
            self._require()
            if self._reload() and not self.problem:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(_READY_STEP_SECONDS)

    def close(self) -> None:
        """Let go of the tables; look-ups raise from now on."""
        self._loaded = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _decide(self, snapshot: Snapshot, url: str | bytes) -> Decision:
        try:
            found = snapshot.match_url(url)
        except InputError as error:
            return self._policy.undecided(str(error))
        return self._policy.decide(found, unless="" if found else self._unlooked() or snapshot.deaf_to_urls())

    def _unlooked(self) -> str:
        """Why what is in no list is not clean (client.md §13.4); empty if it is."""
        return "; ".join(gap.says for gap in self.gaps) if self._incomplete else ""

    def _now(self) -> Snapshot:
        if time.monotonic() >= self._due:
            self._reload()
        return self._require().snapshot

    def _require(self) -> Loaded:
        loaded = self._loaded
        if loaded is None:
            raise UnavailableError("these lists have been closed", hint="open the state folder again")
        return loaded

    def _reload(self) -> bool:
        """Take up a new state, if there is one (client.md §13.2). One thread does; others go on with the old.

        Returns:
            Whether this thread was the one, so that ``problem`` speaks of now.
        """
        if not self._reloading.acquire(blocking=False):
            return False
        try:
            self._due = time.monotonic() + _RECHECK_SECONDS
            loaded = self._loaded
            if loaded is None:
                return False
            self._loaded = self._allowing(self._newest(loaded))
            return True
        finally:
            self._reloading.release()

    def _newest(self, loaded: Loaded) -> Loaded:
        """Take up the lists of a new state, or those that could not be opened before."""
        try:
            if self._loader.seen() == loaded.seen and not loaded.wrong:
                return loaded
            return self._loader.load(loaded)[0]
        except VallumError as error:
            return replace(loaded, wrong=(Gap.of(error),))

    def _allowing(self, loaded: Loaded) -> Loaded:
        """Take up what is allowed now, whatever came of the lists.

        A damaged file of allowances must not keep lists from being enforced.
        """
        try:
            self._allow.look()
            self._unread = ""
        except VallumError as error:
            self._unread = str(error)
        return loaded.allowing(self._allow.current())


def _begin_anew() -> None:
    for lists in list(_opened):
        lists._reloading = Lock()


# Of a parent's threads a worker has only the one that forked: what another one held would be held for ever.
os.register_at_fork(after_in_child=_begin_anew)


def open_lists(state_dir: Path | str, policy: Policy | None = None, *, incomplete: bool = False) -> Lists:
    """Open the lists of a state folder for look-ups; known as ``vallum.open``. See :class:`Lists`."""
    return Lists(state_dir, policy, incomplete=incomplete)
