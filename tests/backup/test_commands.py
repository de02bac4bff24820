"""``backup`` and ``restore`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.typed import Result, typed

DESK = ("vallum-publisher", "-C", "hotline")
NEXT = ("vallum-publisher", "-C", "next")


def _done(words: list[str], folder: Path) -> Result:
    result = typed(words, folder)
    assert result.code == 0, result.mixed
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _done([*DESK, "init", "--name", "Hotline", "--public-url", "../hotline/store"], tmp_path)
    _done([*DESK, "list", "create", "urls", "--kind", "url"], tmp_path)
    _done([*DESK, "publish"], tmp_path)
    return tmp_path


def test_a_backup_to_a_key(folder: Path) -> None:
    said = json.loads(_done(["vallum", "keygen", "backup.key", "--json"], folder).out)
    (folder / "backup.line").write_text(said["line"])
    made = _done([*DESK, "backup", "--to", "backup.line", "a.backup"], folder)
    assert "of the catalog" in made.out
    assert "keys/root-*.pem are in it" in made.err
    (folder / "hotline").rename(folder / "lost")
    (folder / "lost" / "store").rename(folder / "store")
    restored = _done([*NEXT, "restore", "--key", "backup.key", "a.backup"], folder)
    assert "root fingerprint:" in restored.out
    assert "revoked" in restored.err
    assert "let them in again" in restored.err
    assert "the store store is not there: set `store` in next/publisher.toml" in restored.out
    (folder / "store").rename(folder / "next" / "store")
    _done([*NEXT, "publish"], folder)
    _done([*NEXT, "verify"], folder)
    again = typed([*DESK, "backup", "--to", "backup.line", "a.backup"], folder)
    assert again.code == 2


def test_a_backup_under_a_passphrase(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = typed([*DESK, "backup", "--passphrase", "a.backup"], folder)
    assert nobody.code == 2
    assert "VALLUM_PASSPHRASE" in nobody.err
    monkeypatch.setenv("VALLUM_PASSPHRASE_BACKUP", "words")
    made = json.loads(
        _done([*DESK, "backup", "--passphrase", "--without-keys", "a.backup", "--json"], folder).out
    )
    assert not [name for name in made["files"] if name.endswith((".pem", ".key"))]
    monkeypatch.setenv("VALLUM_PASSPHRASE_BACKUP", "other")
    wrong = typed([*NEXT, "restore", "--passphrase", "a.backup"], folder)
    assert (wrong.code, (folder / "next").exists()) == (2, False)
    assert "passphrase is wrong" in wrong.err
    monkeypatch.setenv("VALLUM_PASSPHRASE_BACKUP", "words")
    said = json.loads(_done([*NEXT, "restore", "--passphrase", "a.backup", "--json"], folder).out)
    assert said["created"]
    assert any("recipients who were revoked since then can read again" in note for note in said["notes"])
    assert any("recipients who were let in since then are not in it" in note for note in said["notes"])


def test_status_names_the_keys_that_are_not_here(folder: Path) -> None:
    """A backup without keys was restored, or one from before they were changed: nothing here can sign."""
    keys, away = folder / "hotline" / "keys", folder / "away"
    away.mkdir()
    assert typed([*DESK, "status"], folder).code == 0
    for name in ("root-1.pem", "root-2.pem", "root-3.pem"):
        (keys / name).rename(away / name)
    assert typed([*DESK, "status"], folder).code == 0, "those belong offline"
    for name, told in (
        ("online.pem", "timestamp cannot be signed from here: file:keys/online.pem is not there"),
        ("urls.full-1.pem", "urls.full cannot be signed from here"),
        ("vault.key", "vault.key is not there"),
        ("signers.toml", "snapshot cannot be signed from here: keys/signers.toml names no key of it"),
    ):
        (keys / name).rename(away / name)
        said = typed([*DESK, "status"], folder)
        assert (said.code, told in said.err) == (1, True), said.mixed
        if name == "online.pem":
            (folder / "list.txt").write_text("https://hidden.example/a\n")
            _done([*DESK, "ingest", "urls", "list.txt"], folder)
            assert "--sign-with file:/media/stick/online.pem" in typed([*DESK, "publish"], folder).err
        (away / name).rename(keys / name)
    assert "version 1.2 is under way; run publish again" in typed([*DESK, "status"], folder).err
    _done([*DESK, "publish"], folder)
    assert typed([*DESK, "status"], folder).code == 0


def test_verify_shows_its_table_before_it_tells_of_wraps_that_are_nobodys(folder: Path) -> None:
    wrap = folder / "hotline" / "store" / "wraps" / ("ab" * 20)
    wrap.parent.mkdir(parents=True, exist_ok=True)
    wrap.write_bytes(b"x" * 2048)
    for words in (["verify"], ["verify", "--json"]):
        said = typed([*DESK, *words], folder)
        assert said.code == 1
        assert "urls.full" in said.out
        assert "nobody's (1)" in said.err
        assert "`gc` removes them after a day" in said.err
    assert "let in again" in typed([*DESK, "status"], folder).err


def test_what_cannot_be_meant(folder: Path) -> None:
    (folder / "mail.txt").write_text("Dear hotline, here is our line")
    (folder / "backup.line").write_text(typed(["vallum", "keygen", "backup.key"], folder).out)
    for words, told, hint in (
        ([*DESK, "backup", "a.backup"], "nobody could open", "--to FILE"),
        ([*DESK, "backup", "--to", "nothing", "a.backup"], "nothing: No such file", "name the file"),
        ([*DESK, "backup", "--to", "mail.txt", "a.backup"], "mail.txt: not a recipient's line", "keygen"),
        ([*DESK, "backup", "--to", "backup.line", "none/a.backup"], "there is no folder none", "make it"),
        ([*NEXT, "restore", "a.backup"], "one thing opens", "--passphrase"),
        ([*NEXT, "restore", "--key", "nothing", "a.backup"], "there is no file nothing", "for backups"),
        ([*NEXT, "restore", "--key", "mail.txt", "a.backup"], "mail.txt is no", "for backups"),
        ([*NEXT, "restore", "--key", "backup.key", "a.backup"], "a.backup: No such file", "name the file"),
        ([*NEXT, "restore", "--key", "backup.key", "mail.txt"], "the file is mail.txt", "upgrade"),
    ):
        result = typed(words, folder)
        assert result.code == (3 if "the file is" in told else 2), result.mixed
        assert told in result.err
        assert hint in result.err.partition("hint:")[2]
        assert not (folder / "a.backup").exists()
