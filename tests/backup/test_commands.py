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
