"""Are the wraps in the store those that the catalog says, for those who may read, and no others?

What is inside a wrap only its recipient can see; what shows from here is names, sizes, bytes and number.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from vallum.errors import StateError
from vallum.format.charter import split_stream
from vallum.format.keypair import Suite, parse_line
from vallum.format.wrap import WRAP_BYTES, wrap_name
from vallum_publisher.catalog import Catalog, Recipient, Wrap
from vallum_publisher.store import ObjectStore

_READS = 8


def check_wraps(
    catalog: Catalog, store: ObjectStore, stream: str, generation: int, commitments: Mapping[int, str]
) -> int:
    """Check the wraps of a published stream; return how many there are.

    Args:
        catalog, store: what was meant, and what is there.
        stream, generation: which stream.
        commitments: to the keys of its epochs, as its head names them.

    Raises:
        StateError: the first thing that is not as it must be.
        UnavailableError: the store does not answer.
    """
    opened = {one.number: one.commitment for one in catalog.epochs(stream) if one.generation == generation}
    members = {one.id: one for one in catalog.recipients(stream)}
    readers = {at for at, one in members.items() if one.revoked_at is None}
    held = [wrap for wrap in catalog.wraps(stream) if wrap.generation == generation]
    for number, commitment in commitments.items():
        if opened.get(number) != commitment:
            raise StateError(
                f"{stream}: the head commits to another key of epoch {number} than the catalog's",
                hint="its keys signed something else: call whoever holds them",
            )
        _check_epoch(
            stream,
            number,
            commitment,
            [wrap for wrap in held if wrap.epoch == number],
            members,
            readers if number == max(commitments) else {at for at in readers if members[at].since <= number},
            newest=number == max(commitments),
        )
    listed = [wrap for wrap in held if wrap.epoch in commitments]
    with ThreadPoolExecutor(_READS) as pool:
        for wrap, found in zip(listed, pool.map(store.get, [wrap.name for wrap in listed]), strict=True):
            if found is None or found.data != wrap.data:
                raise _not_as_made(stream, wrap.name, gone=found is None)
    return len(listed)


def lost_wraps(catalog: Catalog, store: ObjectStore) -> list[Wrap]:
    """Wraps that were in the store and are there no more.

    Raises:
        UnavailableError: store or catalog do not answer.
    """
    if all(info.public for info in catalog.lists()):
        return []
    # The store first: what gives way to a newcomer goes from the catalog before it goes from there.
    present = {item.key for item in store.list("wraps/")}
    return [wrap for wrap in catalog.wraps() if wrap.stored and wrap.name not in present]


def stray_wraps(catalog: Catalog, store: ObjectStore) -> list[str]:
    """Wraps in the store that the catalog does not know, sorted by name.

    A restored catalog and a stopped command leave such; ``gc`` removes them.

    Raises:
        UnavailableError: store or catalog do not answer.
    """
    # The store first: the catalog knows a wrap before it is uploaded.
    present = sorted(item.key for item in store.list("wraps/"))
    known = {wrap.name for wrap in catalog.wraps()}
    return [name for name in present if name not in known]


def _not_as_made(stream: str, name: str, *, gone: bool) -> StateError:
    if gone:
        return StateError(
            f"{stream}: {name} in the store is gone",
            hint="run `vallum-publisher refresh`, which puts it back; the store lost an object, or somebody "
            "else writes to it",
        )
    return StateError(
        f"{stream}: {name} in the store is another one",
        hint="somebody else writes to the store: see to that; then `vallum-publisher recipients rotate "
        f"{split_stream(stream)[0]}` makes new ones, under names that no cache holds, and once you "
        "have deleted the object, `vallum-publisher refresh` puts the right one back",
    )


def _check_epoch(
    stream: str,
    number: int,
    commitment: str,
    wraps: list[Wrap],
    members: Mapping[int, Recipient],
    entitled: set[int],
    *,
    newest: bool,
) -> None:
    where = f"{stream}, epoch {number}"
    theirs = {wrap.recipient for wrap in wraps if wrap.recipient is not None}
    if missing := entitled - theirs:
        name = members[min(missing)].name
        raise StateError(f"{where}: there is no wrap for {name!r}", hint="run vallum-publisher publish")
    # Who was revoked later keeps his wrap of an older epoch; of the newest nobody but readers may have one.
    if newest and (more := theirs - entitled):
        name = members[min(more)].name if min(more) in members else "nobody"
        raise StateError(
            f"{where}: there is a wrap for {name!r}, who may not read",
            hint="somebody else wrote to the catalog: `vallum-publisher recipients rotate` makes new keys",
        )
    for wrap in wraps:
        if len(wrap.data) != WRAP_BYTES:
            raise StateError(f"{where}: {wrap.name} has {len(wrap.data)} bytes, not {WRAP_BYTES}")
        if wrap.recipient is not None and wrap.name != wrap_name(
            commitment, parse_line(members[wrap.recipient].line)
        ):
            raise StateError(
                f"{where}: {wrap.name} is not what {members[wrap.recipient].name!r} will ask for"
            )
    for suite in Suite:
        count = sum(wrap.suite == suite for wrap in wraps)
        if count.bit_count() > 1:
            raise StateError(f"{where}: the number of wraps, {count}, tells how many recipients there are")
