"""The first steps of a sync with nothing kept: is this the repository that the root file is of?

A captive portal answers 200 to everything, and another publisher's root is a sound root: that the store can
be reached says little. For ``vallum doctor``, which must not touch the state.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from vallum.config import Source
from vallum.sync.fetch import Fetcher
from vallum.sync.floor import Floor
from vallum.sync.roles import TopLevel
from vallum.sync.transport import Transport
from vallum.sync.trust import Repository


def rehearse(source: Source, floor: Floor, transport: Transport) -> TopLevel:
    """Follow the root chain and load timestamp, snapshot and targets (client.md §3.2 to §3.7), in a cache of
    its own that goes at once.

    Args:
        source, floor: which, and what it must not undercut.
        transport: the way to its store; the caller's to close.

    Raises:
        ConfigError: the root file is none.
        TrustError, DataError: what came is refused.
        UnavailableError: the store or this disk does not do its part.
    """
    fetcher = Fetcher(transport, source.deadline)
    fetcher.go_plain()
    with TemporaryDirectory(prefix="vallum-") as folder, fetcher.watched():
        top = Repository(Path(folder), source.root_bytes(), fetcher, source.way_to_root).refresh()
    floor.check_root(top.root_version)
    return top
