"""Encrypted lists by the commands as they are typed, and what those commands leave lying about."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

import pytest

from tests.typed import typed

FORMS = [f"https://hidden{at}.example/secret/{at}.html" for at in range(5)]
PUBLISHER = ("vallum-publisher", "-C", "hotline")
KEY = ("--recipient", "provider.key")
CLIENT = ("vallum", "-c", "provider/vallum.toml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hotline with one encrypted list, and a provider with a key that may not read it yet."""
    for words in (
        [*PUBLISHER, "init", "--name", "Hotline", "--public-url", "../hotline/store"],
        [*PUBLISHER, "list", "create", "urls", "--kind", "url"],
        [*PUBLISHER, "invite", "urls.match", "--output", "invitation.json"],
        ["vallum", "keygen", "provider.key", "--suite", "x25519"],
        [*CLIENT, "init", "--invitation", "invitation.json", "--name", "hotline", *KEY],
    ):
        result = typed(words, tmp_path)
        assert result.code == 0, result.mixed
    (tmp_path / "list.txt").write_text("\n".join(FORMS))
    for words in ([*PUBLISHER, "ingest", "urls", "list.txt"], [*PUBLISHER, "publish"]):
        result = typed(words, tmp_path)
        assert result.code == 0, result.mixed
    return tmp_path


def _line(folder: Path) -> tuple[str, str]:
    said = json.loads(typed(["vallum", "keygen", "provider.key", "--show", "--json"], folder).out)
    return said["line"], said["fingerprint"]


def test_from_a_key_to_a_list_in_force_and_out_again(folder: Path) -> None:
    refused = typed([*CLIENT, "sync"], folder)
    line, fingerprint = _line(folder)
    assert refused.code == 5
    assert line in refused.mixed
    assert "Hotline" in refused.mixed

    (folder / "line.txt").write_text(line)
    add = [*PUBLISHER, "recipients", "add", "urls.match", "provider", "line.txt", "--fingerprint"]
    wrong = typed([*add, "0" + fingerprint[1:] if fingerprint[0] != "0" else "1" + fingerprint[1:]], folder)
    assert wrong.code == 2
    assert "not that of this key" in wrong.mixed
    assert typed([*add, fingerprint], folder).code == 0

    assert typed([*CLIENT, "sync"], folder).code == 0
    assert typed([*CLIENT, "check", FORMS[0]], folder).code == 0
    assert typed([*CLIENT, "check", "https://hidden0.example/other"], folder).code == 1
    assert "provider" in typed([*PUBLISHER, "recipients", "list"], folder).out
    assert typed([*PUBLISHER, "verify"], folder).code == 0

    assert typed([*PUBLISHER, "recipients", "revoke", "urls.match", "provider"], folder).code == 0
    assert typed([*CLIENT, "sync"], folder).code == 5
    assert typed([*CLIENT, "check", FORMS[0]], folder).code == 0, "the last good list stays in force"
    assert typed([*PUBLISHER, "recipients", "rotate", "urls"], folder).code == 0
    assert typed([*PUBLISHER, "gc"], folder).code == 0


def test_nothing_listed_is_written_anywhere_but_where_it_belongs(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All output of all commands at debug level, and every file but the catalog and the publisher's cache."""
    caplog.set_level(logging.DEBUG)
    line, fingerprint = _line(folder)
    (folder / "line.txt").write_text(line)
    said = []
    for words in (
        [*PUBLISHER, "recipients", "add", "urls.match", "provider", "line.txt", "--fingerprint", fingerprint],
        [*CLIENT, "sync"],
        [*CLIENT, "status", "--json"],
        [*CLIENT, "verify", "--json"],
        [*PUBLISHER, "diff", "urls"],
        [*PUBLISHER, "status", "--json"],
        [*PUBLISHER, "verify"],
        [*PUBLISHER, "ingest", "urls", "no-such-file"],
        [*PUBLISHER, "recipients", "list", "--json"],
        [*PUBLISHER, "publish", "--json"],
    ):
        result = typed(words, folder)
        said.append(result.mixed)
    hidden = re.compile(rb"hidden[0-9]|secret/")
    assert not hidden.search("".join((*said, caplog.text)).encode())
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if not path.is_file() or inside in ("list.txt",) or inside.startswith("hotline/c"):
            continue  # the catalog and its cache hold the list; they are the hotline's own
        assert not hidden.search(path.read_bytes()), inside
        if inside.startswith(("hotline/keys/", "provider.key", "provider/state/hotline/keys/")):
            assert path.stat().st_mode & 0o007 == 0, inside


def test_the_catalog_holds_no_secret_in_clear(folder: Path) -> None:
    """Neither pepper nor epoch keys, as the client got them, stand in the catalog or the store."""
    line, fingerprint = _line(folder)
    (folder / "line.txt").write_text(line)
    add = [*PUBLISHER, "recipients", "add", "urls.match", "provider", "line.txt"]
    assert typed([*add, "--fingerprint", fingerprint], folder).code == 0
    assert typed([*CLIENT, "sync"], folder).code == 0
    keys = folder / "provider" / "state" / "hotline" / "keys"
    secrets = [part for path in keys.iterdir() for part in _parts(path.read_bytes())]
    assert len(secrets) == 3
    for path in (folder / "hotline").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in secrets if secret in data or secret.hex().encode() in data], path


def _parts(data: bytes) -> list[bytes]:
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def test_a_lost_vault_key_says_so(folder: Path) -> None:
    (folder / "hotline" / "keys" / "vault.key").rename(folder / "vault.key")
    result = typed([*PUBLISHER, "verify"], folder)
    assert result.code == 2
    assert "vault key" in result.mixed
    assert "restore the copy" in result.mixed


def test_a_backup_is_catalog_vault_key_and_folder(folder: Path) -> None:
    """All that is needed to go on is in the folder: a copy of it publishes the next version."""
    (folder / "hotline").rename(folder / "lost")
    shutil.copytree(folder / "lost", folder / "hotline")
    (folder / "list.txt").write_text("\n".join(FORMS[1:]))
    for words in (
        [*PUBLISHER, "ingest", "urls", "list.txt"],
        [*PUBLISHER, "publish"],
        [*PUBLISHER, "verify"],
    ):
        result = typed(words, folder)
        assert result.code == 0, result.mixed
