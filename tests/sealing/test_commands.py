"""Encrypted lists by the commands as they are typed; what those leave lying about is in tests/leaks."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.said import refused
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
    (tmp_path / "list.txt").write_text("".join(f"{form}\n" for form in FORMS))
    for words in ([*PUBLISHER, "ingest", "urls", "list.txt"], [*PUBLISHER, "publish"]):
        result = typed(words, tmp_path)
        assert result.code == 0, result.mixed
    return tmp_path


def _line(folder: Path) -> tuple[str, str]:
    said = json.loads(typed(["vallum", "keygen", "provider.key", "--show", "--json"], folder).out)
    return said["line"], said["fingerprint"]


def test_an_invitation_to_both_editions_follows_the_one_that_holds_all(folder: Path) -> None:
    assert typed([*PUBLISHER, "invite", "--output", "all.json"], folder).code == 0
    assert json.loads((folder / "all.json").read_bytes())["lists"] == ["urls.full", "urls.match"]
    made = typed(["vallum", "-c", "other/vallum.toml", "init", "--invitation", "all.json", "--json"], folder)
    assert made.code == 0, made.mixed
    said = json.loads(made.out)
    assert (said["lists"], said["offered"]) == (["urls.full"], ["urls.full", "urls.match"])
    shown = typed(["vallum", "-c", "third/vallum.toml", "init", "--invitation", "all.json"], folder)
    assert "urls is offered as full and match" in shown.out
    assert "--edition match" in shown.out


def test_the_edition_that_one_wants(folder: Path) -> None:
    assert typed([*PUBLISHER, "list", "create", "own", "--kind", "hash", "--public"], folder).code == 0
    assert typed([*PUBLISHER, "invite", "--output", "all.json"], folder).code == 0
    words = ["vallum", "-c", "other/vallum.toml", "init", "--invitation", "all.json", "--edition", "match"]
    made = typed([*words, *KEY], folder)
    assert made.code == 0, made.mixed
    assert "lists own.full, urls.match" in made.out
    assert "--edition full" in made.out
    assert "own is offered" not in made.out
    assert "Encrypted" not in made.out


@pytest.mark.parametrize("lists", [[], ["urls.full"], ["urls.match"]])
def test_an_invitation_says_that_a_list_is_encrypted(folder: Path, lists: list[str]) -> None:
    """Who has no key learns it before the first sync fails; of a public list nothing is said."""
    assert typed([*PUBLISHER, "list", "create", "own", "--kind", "hash", "--public"], folder).code == 0
    assert typed([*PUBLISHER, "invite", *lists, "--output", "new.json"], folder).code == 0
    words = ["vallum", "-c", "other/vallum.toml", "init", "--invitation", "new.json"]
    made = typed(words, folder)
    assert "Encrypted: urls. " in made.out
    assert "vallum keygen" in made.out


def test_from_a_key_to_a_list_in_force_and_out_again(folder: Path) -> None:
    refused = typed([*CLIENT, "sync"], folder)
    line, fingerprint = _line(folder)
    assert refused.code == 5
    assert "hotline/urls.match failed; nothing of it is in force yet" in refused.err
    assert "`vallum keygen " in refused.mixed
    assert "provider.key --show`" in refused.mixed
    assert "Hotline" in refused.mixed
    assert "who was let into urls.full names that in `lists`" in refused.mixed
    assert max(map(len, refused.mixed.splitlines())) < 500, "it may be said by each of many syncs"

    (folder / "line.txt").write_text(line)
    add = [*PUBLISHER, "recipients", "add", "urls.match", "provider", "line.txt", "--fingerprint"]
    wrong = typed([*add, "0" + fingerprint[1:] if fingerprint[0] != "0" else "1" + fingerprint[1:]], folder)
    assert wrong.code == 2
    assert "not that of this key" in wrong.mixed
    assert typed([*add, fingerprint], folder).code == 0

    assert typed([*CLIENT, "sync"], folder).code == 0
    assert typed([*CLIENT, "check", FORMS[0]], folder).code == 0
    assert typed([*CLIENT, "check", "https://hidden0.example/other"], folder).code == 1
    for named in ([], ["urls"], ["urls.match"]):
        assert "provider" in typed([*PUBLISHER, "recipients", "list", *named], folder).out
    assert typed([*PUBLISHER, "recipients", "list", "urls.full"], folder).out == "no recipients yet\n"
    assert typed([*PUBLISHER, "verify"], folder).code == 0

    assert typed([*PUBLISHER, "recipients", "revoke", "urls.match", "provider"], folder).code == 0
    revoked = typed([*CLIENT, "sync"], folder)
    assert revoked.code == 5
    assert "hotline/urls.match failed; what was in force before stays in force" in revoked.err
    status = typed([*CLIENT, "status"], folder)
    assert "warning: hotline/urls.match: each sync has failed since " in status.err
    assert json.loads(typed([*CLIENT, "status", "--json"], folder).out)["failures"][0]["kind"] == (
        "NotEntitledError"
    )
    assert typed([*CLIENT, "check", FORMS[0]], folder).code == 0, "the last good list stays in force"
    assert typed([*PUBLISHER, "recipients", "rotate", "urls"], folder).code == 0
    assert typed([*PUBLISHER, "gc"], folder).code == 0


def test_a_list_where_a_stream_is_meant_and_the_other_way_round(folder: Path) -> None:
    line, fingerprint = _line(folder)
    (folder / "line.txt").write_text(line)
    recipients = [*PUBLISHER, "recipients"]
    add = typed([*recipients, "add", "urls", "provider", "line.txt", "--fingerprint", fingerprint], folder)
    refused(add, 2, "urls is a list, and who may read is said for each", "urls.full or urls.match; match is")
    refused(typed([*recipients, "revoke", "urls", "provider"], folder), 2, "urls is a list", "urls.match")
    refused(typed([*recipients, "rotate", "urls.both"], folder), 2, "no stream 'urls.both'", "urls.match")
    refused(typed([*recipients, "list", "urls.macth"], folder), 2, "no stream 'urls.macth'", "urls.match")
    refused(typed([*recipients, "list", "ursl"], folder), 2, "no list 'ursl'", "lists: urls")
    before = json.loads(typed([*PUBLISHER, "verify", "--json"], folder).out)
    assert typed([*recipients, "rotate", "urls.match"], folder).code == 0
    with closing(sqlite3.connect(folder / "hotline" / "catalog.sqlite")) as catalog:
        epochs = catalog.execute("SELECT stream, max(epoch) FROM epochs GROUP BY stream").fetchall()
    assert sorted(epochs) == [("urls.full", 1), ("urls.match", 2)]
    assert json.loads(typed([*PUBLISHER, "verify", "--json"], folder).out)[0]["state"] == before[0]["state"]


def test_what_keygen_prints_is_the_file_to_send(folder: Path) -> None:
    """``vallum keygen KEY > line.txt``: the line alone; the rest, for people, goes to standard error."""
    made = typed(["vallum", "keygen", "spare.key", "--suite", "x25519"], folder)
    shown = typed(["vallum", "keygen", "spare.key", "--show"], folder)
    assert made.out == shown.out
    (folder / "line.txt").write_text(made.out)
    fingerprint = "".join(line for line in made.mixed.splitlines() if line.startswith("    "))
    add = [*PUBLISHER, "recipients", "add", "urls.match", "spare", "line.txt", "--fingerprint", fingerprint]
    assert typed(add, folder).code == 0


def test_a_key_that_is_not_where_the_command_line_says(folder: Path) -> None:
    shown = typed(["vallum", "keygen", "none.key", "--show"], folder)
    assert (shown.code, "hint: " in shown.mixed) == (2, True), shown.mixed
    made = typed(["vallum", "keygen", "none/new.key"], folder)
    assert (made.code, "there is no folder none" in made.mixed) == (2, True), made.mixed


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
    (folder / "list.txt").write_text("".join(f"{form}\n" for form in FORMS[1:]))
    for words in (
        [*PUBLISHER, "ingest", "urls", "list.txt"],
        [*PUBLISHER, "publish"],
        [*PUBLISHER, "verify"],
    ):
        result = typed(words, folder)
        assert result.code == 0, result.mixed


def test_many_let_in_and_keys_that_change_by_themselves(folder: Path) -> None:
    rows = ["name,fingerprint,line"]
    for at in range(3):
        said = json.loads(typed(["vallum", "keygen", f"{at}.key", "--suite", "x25519", "--json"], folder).out)
        rows.append(f'"Example ISP, site {at}",{said["fingerprint"]},{said["line"]}')
    (folder / "members.csv").write_text("\n".join([*rows[:3], rows[3].replace("vallum-", "other-")]))
    wrong = typed([*PUBLISHER, "recipients", "import", "urls.match", "members.csv"], folder)
    assert (wrong.code, "members.csv, line 4" in wrong.err) == (2, True)
    (folder / "members.csv").write_text("\n".join(rows))
    done = typed([*PUBLISHER, "recipients", "import", "urls.match", "members.csv"], folder)
    assert done.out == "urls.match: 3 recipients can read it from epoch 1 on\n"
    shown = json.loads(typed([*PUBLISHER, "recipients", "list", "--json"], folder).out)
    assert [one["recipient"] for one in shown] == [f"Example ISP, site {at}" for at in range(3)]

    settings = folder / "hotline" / "publisher.toml"
    settings.write_text(settings.read_text().replace("rotate_days = 0", "rotate_days = 90"))
    assert json.loads(typed([*PUBLISHER, "refresh", "--json"], folder).out)["rotated"] == []
    with closing(sqlite3.connect(folder / "hotline" / "catalog.sqlite")) as raw, raw:
        raw.execute("UPDATE epochs SET opened_at = opened_at - 91 * 86400")  # three months go by
    assert "urls: published under a new key" in typed([*PUBLISHER, "refresh"], folder).out
    assert json.loads(typed([*PUBLISHER, "refresh", "--json"], folder).out)["rotated"] == []
    verified = json.loads(typed([*PUBLISHER, "verify", "--json"], folder).out)
    assert {one["stream"]: one["wraps"] for one in verified} == {"urls.full": 0, "urls.match": 4}
