"""The publisher's folder: settings, ledger, founding."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import NOW, URLS, Founded, publisher
from vallum.errors import ConfigError
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.workspace import (
    Ledger,
    Lifetimes,
    Settings,
    format_settings,
    open_workspace,
    parse_settings,
)

HORSE = "correct horse"
_LINES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))).filter(str.isprintable)


@given(
    st.builds(
        Settings,
        name=_LINES.filter(bool),
        store=_LINES,
        public_url=_LINES,
        contact=_LINES,
        catalog=_LINES,
        lifetimes=st.builds(Lifetimes, timestamp=st.integers(1, 3650), list=st.integers(1, 3650)),
    )
)
def test_settings_are_read_as_they_were_written(settings: Settings) -> None:
    import tomllib

    raw = tomllib.loads(format_settings(settings).decode())
    assert parse_settings(Path("publisher.toml"), raw) == settings


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "no name"),
        ({"name": "x", "colour": "red"}, "no setting 'colour'"),
        ({"name": 7}, "not a line of text"),
        ({"name": "x\ny"}, "not a line of text"),
        ({"name": "x", "expires_days": {"root": 0}}, "expires_days"),
        ({"name": "x", "expires_days": {"roots": 3}}, "expires_days"),
        ({"name": "x", "expires_days": {"root": True}}, "expires_days"),
        ({"name": "x", "expires_days": 3}, "expires_days"),
    ],
)
def test_settings_that_cannot_be_meant(raw: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_settings(Path("publisher.toml"), raw)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no publisher's folder"):
        open_workspace(tmp_path)
    (tmp_path / "publisher.toml").write_text("name = [")
    with pytest.raises(ConfigError, match=r"publisher\.toml"):
        open_workspace(tmp_path)


def test_a_number_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "signed.json"
    assert Ledger(path).reserve({"a": 3, "b": 0}) == {"a": 4, "b": 1}
    assert Ledger(path).reserve({"a": 3}) == {"a": 5}
    assert Ledger(path).reserve({"a": 9, "b": 0}) == {"a": 10, "b": 2}
    path.write_bytes(b"[]")
    with pytest.raises(ConfigError, match="damaged"):
        Ledger(path).reserve({"a": 3})


def test_founding_twice_is_refused(founded: Founded, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="already"):
        init_workspace(founded.folder, Settings("x"), now=NOW, store=MemoryStore())
    # Another folder on a store that is taken.
    with pytest.raises(ConfigError, match="another repository"):
        init_workspace(tmp_path / "other", Settings("x"), now=NOW, store=founded.copy_store())
    with pytest.raises(ConfigError, match="3 of 2 keys"):
        init_workspace(
            tmp_path / "third", Settings("x"), now=NOW, store=MemoryStore(), root_keys=2, root_threshold=3
        )


def test_settings_are_nobody_elses_in_a_folder_that_was_open(tmp_path: Path) -> None:
    """The catalog's address may hold a database's password."""
    (tmp_path / "publisher").mkdir(mode=0o755)
    init_workspace(tmp_path / "publisher", Settings("x"), now=NOW, store=MemoryStore())
    assert (tmp_path / "publisher" / "publisher.toml").stat().st_mode & 0o777 == 0o600


def test_encrypted_keys_from_founding_to_publishing(tmp_path: Path) -> None:
    store = MemoryStore()
    folder = tmp_path / "publisher"
    init_workspace(folder, Settings("Example Hotline"), now=NOW, store=store, passphrase=HORSE)
    assert all(b"ENCRYPTED" in path.read_bytes() for path in (folder / "keys").glob("*.pem"))
    asked: set[str] = set()

    def ask(name: str) -> str:
        asked.add(name)
        return HORSE

    with publisher(open_workspace(folder, ask), store) as scene:
        scene.create_list(URLS, now=NOW, passphrase=HORSE)
        scene.publish("urls", now=NOW)
    assert asked == {"root-1", "root-2", "online", "urls.full-1"}


def test_what_a_stranger_may_read(founded: Founded) -> None:
    assert founded.folder.stat().st_mode & 0o777 == 0o700
    for path in [*(founded.folder / "keys").iterdir(), founded.folder / "catalog.sqlite"]:
        assert path.stat().st_mode & 0o077 == 0, path
