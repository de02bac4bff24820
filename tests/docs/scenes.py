"""What is there before a page begins, and what happens between its blocks.

``python -m tests.docs.scenes [PAGE…]`` writes what comes back today into the pages; read the difference
before you commit it.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from unittest.mock import patch

from tests.docs.pages import ROOT, Step, Terminal, play, rewrite
from tests.fakes.repository import Repository, listed
from tests.network.bad_store import BadStore, Fault
from tests.typed import typed
from vallum.config import load_config
from vallum.expression import Scope
from vallum.sync.updater import Updater
from vallum_publisher.keys import make_key

HOTLINE = ("vallum-publisher", "-C", "hotline")
FOUND = ("init", "--name", "Example Hotline", "--contact", "+44 20 7946 0000")


class Scenes:
    """A page's scenes, which are methods by their names; ``folder`` holds all, one stands in ``stand``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stand = folder

    def __call__(self, name: str) -> AbstractContextManager[object]:
        made: AbstractContextManager[object] = getattr(self, name.replace(" ", "_"))()
        return made


class Founded(Scenes):
    """A publisher without lists, its store beside its folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _do(folder, *HOTLINE, *FOUND, "--store", folder / "store", "--public-url", f"file://{folder}/store")

    @contextmanager
    def root_keys_on_a_stick(self) -> Iterator[None]:
        (self.folder / "stick").mkdir()
        for path in (self.folder / "hotline/keys").glob("root-*.pem"):
            path.rename(self.folder / "stick" / path.name)
        yield

    @contextmanager
    def an_export(self) -> Iterator[None]:
        _do(self.folder, *HOTLINE, "publish")
        # Both with one label: ids of an encrypted list, and so their order, are others each time.
        pages = (f"https://www.lantern.example/gallery/{number}.html;C\n" for number in (3, 4))
        (self.folder / "export.csv").write_text("".join(["Address;Grade\n", *pages]))
        yield


class Published(Founded):
    """A publisher with an encrypted list that is published; its root keys lie on ``stick``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _do(folder, *HOTLINE, "list", "create", "urls", "--kind", "url")
        (folder / "list.txt").write_text("https://www.lantern.example/gallery/3.html\n")
        _do(folder, *HOTLINE, "ingest", "urls", "list.txt")
        _do(folder, *HOTLINE, "publish")
        with self.root_keys_on_a_stick():
            pass

    @contextmanager
    def two_people_have_keys(self) -> Iterator[None]:
        for person in ("alice", "bob"):
            for edition in ("full", "match"):
                make_key(self.folder / person / f"{person}-{edition}.pem")
        yield

    @contextmanager
    def bob_is_away(self) -> Iterator[None]:
        with _away(self.folder / "bob"):
            yield

    @contextmanager
    def bob_has_another_stick(self) -> Iterator[None]:
        (self.folder / "bob").rename(self.folder / "usb")
        yield


class Member(Published):
    """Likewise, and a provider who follows the list."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "provider").mkdir()
        key = "provider/recipient.key"
        made = json.loads(_do(folder, "vallum", "keygen", key, "--suite", "x25519", "--json"))
        (folder / "isp.line").write_text(made["line"])
        _do(folder, *HOTLINE, "recipients", "add", "urls.full", "Example ISP", "isp.line",
            "--fingerprint", made["fingerprint"])  # fmt: skip
        _do(folder, *HOTLINE, "invite", "urls.full", "--output", "invitation.json")
        config = ("vallum", "-c", "provider/vallum.toml")
        _do(folder, *config, "init", "--invitation", "invitation.json", "--name", "hotline",
            "--recipient", key)  # fmt: skip
        settings = folder / "provider/vallum.toml"
        settings.write_text(settings.read_text().replace(f"{folder}/provider/", ""))  # it may be moved
        _do(folder, *config, "sync")

    @contextmanager
    def a_list_has_leaked(self) -> Iterator[None]:
        _do(self.folder, "vallum", "-c", "provider/vallum.toml", "export", "csv", "--output", "found.txt")
        yield

    @contextmanager
    def the_backup_is_old(self) -> Iterator[None]:
        with (self.folder / "list.txt").open("a") as file:
            file.write("https://www.lantern.example/gallery/4.html\n")
        _do(self.folder, *HOTLINE, "ingest", "urls", "list.txt")
        _do(self.folder, *HOTLINE, "publish")
        yield


class AfterTutorial(Scenes):
    """Where the tutorial ends, with a hotline whose `urls` is public: what a page shows must not reach it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _do(folder, *HOTLINE, *FOUND, "--public-url", f"file://{folder}/hotline/store")
        _do(folder, *HOTLINE, "list", "create", "urls", "--kind", "url", "--public")
        self.stand = folder / "provider"
        self.stand.mkdir()


class BadNight(Scenes):
    """A provider's folder, and a hotline that can do what the real one refuses to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.stand = folder / "provider"
        self._hotline = Repository()
        self._hotline.create("urls")
        self._pages = [f"bad{number}.example/page" for number in range(400)]
        self._release(*self._pages)
        self._follow("provider")

    @contextmanager
    def a_new_version(self) -> Iterator[None]:
        self._release(*self._pages, "bad400.example/page")
        yield

    @contextmanager
    def the_store_is_away(self) -> Iterator[None]:
        # A name that nobody can have (RFC 6761).
        with self._at("https://lists.hotline.example"):
            yield

    @contextmanager
    def access_has_ended(self) -> Iterator[None]:
        store = BadStore(self._hotline)
        store.faults[""] = [Fault(403)]
        with store.running(), self._at(store.url):
            yield

    @contextmanager
    def a_damaged_mirror(self) -> Iterator[None]:
        self._release(*self._pages, "bad400.example/page")
        with ExitStack() as altered:
            for run in (self.folder / "store/targets").rglob("*.run"):
                altered.enter_context(_altered(run))
            yield

    @contextmanager
    def a_shop_is_listed(self) -> Iterator[None]:
        self._release(*self._pages, hosts=("www.shop.example",))
        self._sync()
        yield

    @contextmanager
    def most_of_it_is_gone(self) -> Iterator[None]:
        self._release(*self._pages[:90])
        yield

    @contextmanager
    def it_is_meant(self) -> Iterator[None]:
        self._release(*self._pages[:92])
        self._sync(well=False)
        yield

    @contextmanager
    def a_damaged_table(self) -> Iterator[None]:
        [path] = [*self.stand.glob("state/hotline/lists/urls.full/1-5-*.exact")]
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        yield

    @contextmanager
    def the_state_is_gone(self) -> Iterator[None]:
        (self.folder / "backup").mkdir()
        (self.stand / "state/hotline/floor.json").rename(self.folder / "backup/floor.json")
        (self.stand / "state").rename(self.folder / "lost")
        yield

    @contextmanager
    def four_days_without_the_store(self) -> Iterator[None]:
        with self._another(timedelta(days=-4)), self.the_store_is_away():
            yield

    @contextmanager
    def the_publisher_sleeps(self) -> Iterator[None]:
        timestamp = self._hotline.timestamp.signed
        before = timestamp.expires
        timestamp.expires = self._hotline.now - timedelta(hours=30)
        self._hotline.publish_timestamp()
        self._hotline.write_to(self.folder / "store")
        yield
        timestamp.expires = before
        self._hotline.publish_timestamp()
        self._hotline.write_to(self.folder / "store")

    @contextmanager
    def a_clock_that_went_back(self) -> Iterator[None]:
        with self._another(timedelta(days=2)):
            yield

    @contextmanager
    def a_full_disk(self) -> Iterator[None]:
        """As the system says it; a disk that is really full needs root to make."""

        def full(_descriptor: int, _data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self._release(*self._pages, "bad401.example/page")
        with patch("os.write", full):
            yield

    @contextmanager
    def the_list_is_closed(self) -> Iterator[None]:
        """The provider of a real publisher, who has closed an encrypted list to him."""
        other = self.folder / "other"
        other.mkdir()
        Member(other)
        _do(other, *HOTLINE, "recipients", "revoke", "urls.full", "Example ISP")
        with _away(self.stand):
            (other / "provider").rename(self.stand)
            yield
            self.stand.rename(other / "provider")

    @contextmanager
    def _at(self, url: str) -> Iterator[None]:
        """With the store at another address, asked for from here whatever the environment's proxies are."""
        config = self.stand / "vallum.toml"
        before = config.read_text()
        config.write_text(before.replace('"../store"', f'"{url}"\nproxy = "none"'))
        yield
        config.write_text(before)

    @contextmanager
    def _another(self, off: timedelta) -> Iterator[None]:
        """Another machine, which synced when it was another time."""
        with _away(self.stand), _away(self.folder / "store"):
            self._hotline.now += off
            self._hotline.renew("urls")
            self._hotline.write_to(self.folder / "store")
            self._follow("provider", off)
            yield
            self._hotline.now -= off
            for path in (self.stand, self.folder / "store"):
                path.rename(Path(mkdtemp(dir=self.folder), path.name))

    def _release(self, *pages: str, hosts: tuple[str, ...] = ()) -> None:
        self._hotline.release("urls", {**listed(*pages), **listed(*hosts, scope=Scope.HOST)})
        self._hotline.write_to(self.folder / "store")

    def _follow(self, name: str, off: timedelta = timedelta(0)) -> None:
        folder = self.folder / name
        folder.mkdir()
        (folder / "hotline.root.json").write_bytes(self._hotline.first_root)
        (folder / "vallum.toml").write_text(
            'state = "state"\nnever_block = "never-block.txt"\n\n'
            '[[source]]\nname = "hotline"\nurl = "../store"\nroot = "hotline.root.json"\nlists = ["urls"]\n'
        )
        (folder / "never-block.txt").write_text("www.provider.example\n")
        self._sync(off)

    def _sync(self, off: timedelta = timedelta(0), *, well: bool = True) -> None:
        with Updater(load_config(self.folder / "provider/vallum.toml")) as updater:
            report = updater.sync(now=self._hotline.now if off else None)
            assert report.ok is well, report.errors()


PLAYED: dict[str, Callable[[Path], Scenes]] = {
    "README.md": Scenes,
    "docs/tutorial/first-list.md": Scenes,
    "docs/how-to/backup.md": Member,
    "docs/how-to/bad-night.md": BadNight,
    "docs/how-to/encrypted-lists.md": AfterTutorial,
    "docs/how-to/hotline.md": Founded,
    "docs/how-to/keys.md": Published,
    "docs/how-to/private-stores.md": BadNight,
    "docs/how-to/provider.md": BadNight,
    "docs/how-to/recipients.md": Member,
}
"""Every page whose sessions are played, with what is there when it begins; runbooks are `tests.keys`'."""


def steps(page: str, folder: Path) -> Iterator[tuple[Step, list[str]]]:
    """Play a page in an empty folder."""
    scenes = PLAYED[page](folder)
    yield from play(ROOT / page, Terminal(scenes.stand), scenes)


@contextmanager
def _away(path: Path) -> Iterator[None]:
    """Without a file or folder for a while."""
    aside = Path(mkdtemp(dir=path.parent), path.name)
    path.rename(aside)
    yield
    aside.rename(path)


@contextmanager
def _altered(path: Path) -> Iterator[None]:
    """With one bit of a file turned for a while."""
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    yield
    path.write_bytes(before)


def _do(folder: Path, *words: str | Path) -> str:
    result = typed(words, folder)
    assert result.code == 0, result.mixed
    return result.out


if __name__ == "__main__":
    for name in sys.argv[1:] or PLAYED:
        with TemporaryDirectory() as scratch:
            begun = PLAYED[name](Path(scratch))
            rewrite(ROOT / name, Terminal(begun.stand), begun)
