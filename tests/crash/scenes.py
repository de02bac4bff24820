"""What may be interrupted: each way in which this machine's state changes, from a first sync to an allowance.

A scene has a state folder as it was before, an act that changes it, and the sync that follows whatever became
of the act.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.allow import Allowance, Kind, add, remove
from vallum.errors import UnavailableError, VallumError
from vallum.match.lists import open_lists
from vallum.sync import levers
from vallum.sync.quarantine import name_of
from vallum.sync.updater import Updater

PAGES = tuple(f"bad{number}.example/page" for number in range(120))
_NEW = ("new.example/a", "new.example/b")
_PROBES = (*PAGES[:6], PAGES[-1], *_NEW)
LATER = timedelta(hours=2)
"""After the act: the next sync is then the whole workflow."""

View = frozenset[tuple[str, int, int, tuple[str, ...]]]
"""What a reader finds: name, generation and version of each list, and which pages it lists."""

Act = Callable[["Scene"], list[VallumError]]


@dataclass
class Scene:
    """``errors`` are those that the act reports when nothing disturbs it."""

    client: Client
    act: Act
    errors: tuple[str, ...] = ()

    @property
    def now(self) -> datetime:
        return self.client.repository.now

    def next_sync(self) -> list[VallumError]:
        """The sync that follows, in a process of its own as far as it can know."""
        return _sync(self, self.now + LATER)

    def view(self) -> View:
        """Open the state as every reader does; empty if nothing was verified here yet."""
        try:
            lists = open_lists(self.client.state)
        except UnavailableError as error:
            if "verified" not in str(error):
                raise
            return frozenset()
        with lists:
            found = {page: {match.list for match in lists.match_url(f"https://{page}")} for page in _PROBES}
            return frozenset(
                (
                    one.list,
                    one.generation,
                    one.version,
                    tuple(page for page in _PROBES if one.list in found[page]),
                )
                for one in lists.status()
            )


def _sync(scene: Scene, now: datetime) -> list[VallumError]:
    client = scene.client
    client.repository.requests.clear()
    report = Updater(client.config, client.connect).sync(now=now, wait_for_lock=0)
    return [error for _, error in report.errors()]


def sync(scene: Scene) -> list[VallumError]:
    return _sync(scene, scene.now)


def _scene(
    folder: Path, act: Act, *pages: str, lists: tuple[str, ...] = ("urls",), errors: tuple[str, ...] = ()
) -> Scene:
    repository = Repository()
    for name in lists:
        repository.create(name)
        repository.release(name, listed(*pages))
    return Scene(Client(repository, folder), act, errors)


def first(folder: Path) -> Scene:
    """The first sync of a new machine."""
    return _scene(folder, sync, *PAGES)


def entitled(folder: Path) -> Scene:
    """The first sync of an encrypted list, which begins with writing its keys."""
    from tests.crash import sealed  # the publisher, which the other scenes do without

    return Scene(sealed.entitled(folder, *PAGES), sync)


def change(folder: Path) -> Scene:
    """A small change of a list that is in force."""
    scene = _scene(folder, sync, *PAGES)
    scene.client.synced()
    scene.client.repository.release("urls", listed(*PAGES[1:], _NEW[0]))
    return scene


def lived(folder: Path) -> Scene:
    """A change in a process that has synced before: it sweeps only the folder of the list that changed."""
    scene = _scene(folder, sync, *PAGES, lists=("pages", "urls"))
    repository, client = scene.client.repository, scene.client
    updater = Updater(client.config, client.connect)

    def act(scene: Scene) -> list[VallumError]:
        return [error for _, error in updater.sync(now=scene.now, wait_for_lock=0).errors()]

    for page in _NEW:
        assert act(scene) == []
        repository.release("urls", listed(*PAGES, page))
    scene.act = act
    return scene


def catch_up(folder: Path) -> Scene:
    """Two lists, both several runs behind, fetched by several threads."""
    scene = _scene(folder, sync, *PAGES, lists=("pages", "urls"))
    scene.client.synced()
    for number in range(3):
        for name in ("pages", "urls"):
            scene.client.repository.release(name, listed(*PAGES[number:], _NEW[0]))
    return scene


def generation(folder: Path) -> Scene:
    """A new generation, which begins with a base."""
    scene = _scene(folder, sync, *PAGES)
    scene.client.synced()
    scene.client.repository.new_generation("urls")
    scene.client.repository.release("urls", listed(*PAGES[:60], *_NEW))
    return scene


def quarantine(folder: Path) -> Scene:
    """An absurd version, which is put aside."""
    scene = _scene(folder, sync, *PAGES, *(f"more{n}.example/" for n in range(200)), errors=("GuardError",))
    scene.client.synced()
    scene.client.repository.release("urls", listed(_NEW[0]))
    return scene


def relief(folder: Path) -> Scene:
    """A sane version after an absurd one: what was put aside goes."""
    scene = quarantine(folder)
    scene.client.sync()
    scene.client.repository.release("urls", listed(*PAGES, *(f"more{n}.example/" for n in range(199))))
    scene.errors = ()
    return scene


def _aside(scene: Scene) -> str:
    return name_of(scene.client.repository.head("urls"))


def accept(folder: Path) -> Scene:
    """The operator takes an absurd version out of quarantine."""

    def act(scene: Scene) -> list[VallumError]:
        levers.accept(scene.client.config, "urls", _aside(scene), "wanted", scene.now)
        return []

    scene = quarantine(folder)
    scene.client.sync()
    scene.act, scene.errors = act, ()
    return scene


def reject(folder: Path) -> Scene:
    """The operator refuses an absurd version for good."""

    def act(scene: Scene) -> list[VallumError]:
        levers.reject(scene.client.config, "urls", _aside(scene), "absurd", scene.now)
        return []

    scene = accept(folder)
    scene.act = act
    return scene


def mend(folder: Path) -> Scene:
    """A sync finds that a table of the version that was refused for good is gone, and fetches it anew."""
    scene = reject(folder)
    scene.act(scene)
    for table in scene.client.state.glob("*/quarantine/*/*.exact"):
        table.unlink()
    scene.act = sync
    return scene


def pin(folder: Path) -> Scene:
    """The operator goes back to the version before."""

    def act(scene: Scene) -> list[VallumError]:
        until = scene.now + timedelta(days=1)
        levers.pin(scene.client.config, "urls", "1", until, "wrongly listed", scene.now)
        return []

    scene = change(folder)
    scene.client.synced()
    scene.act = act
    return scene


def allow(folder: Path) -> Scene:
    """The operator allows a page that is listed, and takes another allowance back."""

    def act(scene: Scene) -> list[VallumError]:
        add(scene.client.state, _allowance(scene, PAGES[0]), scene.now)
        return []

    scene = _scene(folder, act, *PAGES)
    scene.client.synced()
    add(scene.client.state, _allowance(scene, PAGES[1]), scene.now)
    return scene


def disallow(folder: Path) -> Scene:
    """The operator takes an allowance back."""

    def act(scene: Scene) -> list[VallumError]:
        remove(scene.client.state, PAGES[1], "rightly listed", scene.now)
        return []

    scene = allow(folder)
    scene.act = act
    return scene


def _allowance(scene: Scene, page: str) -> Allowance:
    return Allowance(Kind.URL, page, scene.now, scene.now + timedelta(days=1), "wrongly listed")


SCENES: dict[str, Callable[[Path], Scene]] = {
    made.__name__: made
    for made in (
        first,
        entitled,
        change,
        lived,
        catch_up,
        generation,
        quarantine,
        relief,
        accept,
        reject,
        mend,
        pin,
        allow,
        disallow,
    )
}
