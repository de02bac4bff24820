"""The wraps of an epoch: made once, kept in the catalog, uploaded as often as it takes, collected.

To seal a wrap again would give other bytes under the same name. For whom wraps are made is :mod:`.custody`'s
business; whether those in the store are right, :mod:`.inspection`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from vallum.errors import ConfigError, VallumError
from vallum.format.epoch import Epoch, commit_epoch
from vallum.format.keypair import Suite, parse_line
from vallum.format.wrap import Secrets, cover_wraps, covers_wanted, seal_wrap, wrap_name
from vallum.progress import Tell, silent
from vallum_publisher.catalog import Catalog, Recipient, Wrap
from vallum_publisher.recipients.inspection import lost_wraps
from vallum_publisher.store import WRAP, ObjectStore

_UPLOADS = 8
_NO_EPOCH = 0
"""The first epoch is 1."""


def make_wraps(
    epoch: Epoch, key: bytes, pepper: bytes, readers: Iterable[Recipient], seeds: Mapping[int, bytes]
) -> list[Wrap]:
    """All wraps of a new epoch: one for each reader, and covers up to a power of two.

    Args:
        epoch, key, pepper: what is sealed.
        readers: for whom.
        seeds: theirs, by their ids.
    """
    made = seal_wraps(epoch, key, pepper, readers, seeds)
    for suite in Suite:
        number = sum(wrap.suite == suite for wrap in made)
        made += make_covers(epoch, key, suite, covers_wanted(number))
    return made


def seal_wraps(
    epoch: Epoch, key: bytes, pepper: bytes, readers: Iterable[Recipient], seeds: Mapping[int, bytes]
) -> list[Wrap]:
    """One wrap for each reader; see :func:`make_wraps`."""
    commitment = commit_epoch(epoch, key)
    made = []
    for recipient in readers:
        public = parse_line(recipient.line)
        sealed = seal_wrap(epoch, Secrets(key, pepper, seeds[recipient.id]), public)
        made.append(_wrap(epoch, public.suite, wrap_name(commitment, public), sealed, recipient.id))
    return made


def make_covers(epoch: Epoch, key: bytes, suite: Suite, number: int) -> list[Wrap]:
    """So many wraps of a suite that nobody can open."""
    covers = cover_wraps(epoch, commit_epoch(epoch, key), suite, number)
    return [_wrap(epoch, suite, name, data, None) for name, data in covers]


def upload_wraps(catalog: Catalog, store: ObjectStore, tell: Tell = silent) -> int:
    """Upload what wraps wait for it; return how many did.

    Raises:
        UnavailableError: the store does not answer; run it again, what came through stays.
    """
    waiting = catalog.wraps(waiting=True)
    failed: VallumError | None = None
    stored: list[str] = []
    for wrap, error in zip(waiting, _at_once(store, waiting, tell), strict=True):
        if error is None:
            stored.append(wrap.name)
        failed = failed or error
    if stored:
        catalog.change_wraps(stored=stored)
    if failed is not None:
        raise failed
    return len(waiting)


def restore_wraps(catalog: Catalog, store: ObjectStore, tell: Tell = silent) -> int:
    """Upload again the wraps that the store has lost, which newcomers need; return how many.

    Raises:
        ConflictError: somebody put another object there meanwhile.
        UnavailableError: the store does not answer; run it again, what came through stays.
    """
    lost = lost_wraps(catalog, store)
    failed = [error for error in _at_once(store, lost, tell) if error is not None]
    if failed:
        raise failed[0]
    return len(lost)


def discard_covers(catalog: Catalog, store: ObjectStore, covers: Iterable[Wrap]) -> list[str]:
    """Delete covers that made room for recipients; return the names of those that this identity may not.

    They stay in the catalog, too, as of no epoch, until :func:`collect_wraps` is called by one that may.
    Until then their number tells whoever can list the store how many were let in.
    """
    left: list[Wrap] = []
    for cover in covers:
        try:
            store.delete(cover.name)
        except ConfigError:
            left.append(cover)
    catalog.change_wraps(add=[replace(cover, epoch=_NO_EPOCH, stored=True) for cover in left])
    return [cover.name for cover in left]


def collect_wraps(
    catalog: Catalog,
    store: ObjectStore,
    in_use: Collection[tuple[str, int, int]],
    strays_before: datetime | None,
    tell: Tell = silent,
) -> int:
    """Delete wraps of no epoch, or of one that no run in the store needs, and old ones that nobody knows of.

    Args:
        catalog, store: where they are known, and where they lie.
        in_use: stream, generation and epoch of each run in the store: what clients may still ask for.
        strays_before: what the catalog does not know goes if it is older; ``None``: it stays.
        tell: told how far it has come.

    Returns:
        How many went.
    """
    held = catalog.wraps()
    newest = {stream: catalog.epochs(stream)[-1] for stream in {wrap.stream for wrap in held}}
    needed = {*in_use, *((stream, one.generation, one.number) for stream, one in newest.items())}
    gone = [wrap.name for wrap in held if (wrap.stream, wrap.generation, wrap.epoch) not in needed]
    known = {wrap.name for wrap in held}
    strays = [
        item.key
        for item in (store.list("wraps/") if strays_before else ())
        if item.key not in known and strays_before and item.modified < strays_before
    ]
    for done, name in enumerate((*gone, *strays)):
        tell(f"deleting wrapped keys, {done:,} of {len(gone) + len(strays):,}")
        store.delete(name)
    catalog.change_wraps(gone=gone)
    return len(gone) + len(strays)


def _at_once(store: ObjectStore, wraps: Sequence[Wrap], tell: Tell) -> Iterator[VallumError | None]:
    """Upload wraps, several at a time: a thousand of them wait for the store, not for each other."""

    def create(wrap: Wrap) -> VallumError | None:
        try:
            store.create(wrap.name, wrap.data, WRAP)
        except VallumError as error:
            return error
        return None

    if not wraps:
        return
    with ThreadPoolExecutor(min(_UPLOADS, len(wraps))) as pool:
        for done, error in enumerate(pool.map(create, wraps)):
            tell(f"uploading wrapped keys, {done:,} of {len(wraps):,}")
            yield error


def _wrap(epoch: Epoch, suite: Suite, name: str, data: bytes, recipient: int | None) -> Wrap:
    return Wrap(name, epoch.stream, epoch.generation, epoch.number, str(suite), recipient, data)
