"""`vallum init` as it is typed: from an invitation to a configuration, and what a second one puts back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Type
from tests.cli.said import everything, refused
from tests.typed import typed

AGAIN = ["init", "--invitation", "../invitation.json", "--name", "hotline", "--recipient", "recipient.key"]


def test_init_shows_the_fingerprint_that_the_publisher_reads_out(both: Path, publisher: Type) -> None:
    made = typed(["vallum", "init", "--invitation", both / "invitation.json", "--json"], both)
    fingerprint = json.loads(made.out)["root_fingerprint"]
    assert fingerprint in publisher("status").out.replace(" ", "")
    assert (both / "hotline.root.json").exists()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "not an invitation"),
        (b"\x00\xff", "not an invitation"),
        (b"[" * 100_000, "not an invitation"),
        (b'{"format": "vallum-invitation-1"}', "not an invitation"),
    ],
)
def test_what_is_no_invitation_makes_nothing(both: Path, tmp_path: Path, content: bytes, error: str) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "file").write_bytes(content)
    refused(typed(["vallum", "init", "--invitation", "file"], folder), 2, error, "`invite`")
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_an_invitation_whose_root_is_not_signed_makes_nothing(both: Path, tmp_path: Path) -> None:
    raw = json.loads((both / "invitation.json").read_bytes())
    raw["root"]["signed"]["version"] += 1
    (tmp_path / "forged.json").write_text(json.dumps(raw))
    result = typed(["vallum", "-c", "new/vallum.toml", "init", "--invitation", "forged.json"], tmp_path)
    refused(result, 2, "not a valid root file", "ask the publisher")
    assert not (tmp_path / "new").exists()


def test_init_twice_asks_for_another_name(both: Path, client: Type) -> None:
    before = everything(both / "provider")
    result = client("init", "--invitation", "../invitation.json", "--name", "hotline")
    refused(result, 2, "follows a source named 'hotline' already, and nothing is missing", "--name")
    assert everything(both / "provider") == before
    assert client("init", "--invitation", "../invitation.json", "--name", "second").code == 0


def test_init_puts_back_a_root_file_that_is_gone(both: Path, client: Type) -> None:
    """The hint of the error leads out of it; another publisher's invitation does not."""
    before = everything(both / "provider")
    (both / "provider" / "hotline.root.json").unlink()
    failed = client("sync")
    assert failed.code == 2
    assert "hint: `vallum init --invitation FILE --name hotline` puts it back" in failed.err
    raw = json.loads((both / "invitation.json").read_text())
    (both / "other.json").write_text(json.dumps(raw | {"url": "https://lists.other.example/"}))
    other = client("init", "--invitation", "../other.json", "--name", "hotline")
    refused(other, 2, "at another address", "--name")
    made = client("init", "--invitation", "../invitation.json", "--name", "hotline")
    assert (made.code, "Fingerprint" in made.out) == (0, True), made.mixed
    after = everything(both / "provider")
    root = str(both / "provider" / "hotline.root.json")
    assert {name for name in after if after[name] != before.get(name)} <= {
        root, str(both / "provider" / "state" / "current.json")
    }  # fmt: skip
    assert client("sync").code == 0


@pytest.mark.parametrize("damage", ["junk", "another publisher's"])
def test_a_root_file_that_is_wrong(both: Path, client: Type, damage: str) -> None:
    """Each message leads to the way out, which init takes once the file is away; doctor calls none good."""
    root = both / "provider" / "hotline.root.json"
    if damage == "junk":
        root.write_text("junk")
    else:
        assert typed(["vallum-publisher", "-C", "other", "init", "--name", "Other"], both).code == 0
        root.write_bytes((both / "other" / "store" / "metadata" / "1.root.json").read_bytes())
    way = "hotline.root.json, and `vallum init --invitation FILE --name hotline` puts it back"
    init = ("init", "--invitation", "../invitation.json", "--name", "hotline")
    assert way in client("sync").err
    refused(client(*init), 2, "nothing is missing", way)
    found = client("doctor")
    assert "good    root hotline" not in found.out
    assert way in found.out
    root.unlink()
    assert client(*init).code == 0
    assert client("sync").code == 0
    assert "good    root hotline" in client("doctor").out


@pytest.mark.parametrize("table", ["[[source]]\nname = 'hotline'", '[[ source ]] # ours\n  name = "hotline"'])
def test_init_adds_a_recipient_that_was_forgotten(both: Path, client: Type, table: str) -> None:
    """One line comes into the file; comments, other sources and tables stay."""
    config = both / "provider" / "vallum.toml"
    text = config.read_text().replace('[[source]]\nname = "hotline"', table) + '\n[source.headers]\nX = "y"\n'
    config.write_text("# ours\n" + text)
    assert client("keygen", "recipient.key", "--suite", "x25519").code == 0
    assert client(*AGAIN).code == 0
    line = f'recipient = "{both / "provider" / "recipient.key"}"\n'
    assert config.read_text().replace(line, "") == "# ours\n" + text
    refused(client(*AGAIN), 2, "nothing is missing", "--name")
    assert client("sync").code == 0


def test_another_edition_is_not_followed_by_a_second_init(both: Path, client: Type) -> None:
    """It puts back what is missing, and no more; whoever asked for more is told."""
    assert client("keygen", "recipient.key", "--suite", "x25519").code == 0
    (both / "invitation.json").write_text(
        (both / "invitation.json").read_text().replace('"urls.full"', '"urls.full",\n  "urls.match"')
    )
    before = (both / "provider" / "vallum.toml").read_text()
    made = client(*AGAIN, "--edition", "match")
    assert made.code == 0
    assert "warning: hotline is followed already, and its lists stay as they are: --edition" in made.err
    assert "hint: change lists in vallum.toml" in made.err
    assert "--edition match" not in made.out, "it would change nothing"
    after = (both / "provider" / "vallum.toml").read_text()
    assert [line for line in after.splitlines() if not line.startswith("recipient")] == before.splitlines()


@pytest.mark.parametrize("name", ["hotline", "second"])
def test_a_recipient_is_a_private_key(both: Path, client: Type, name: str) -> None:
    """Neither the line that goes to the publisher nor a name that was misspelt: sync would say it late."""
    made = client("keygen", "recipient.key", "--suite", "x25519")
    (both / "provider" / "line.txt").write_text(made.out)
    before = everything(both / "provider")
    for key, error in (("line.txt", "line.txt is no"), ("recipint.key", "there is no file recipint.key")):
        result = client("init", "--invitation", "../invitation.json", "--name", name, "--recipient", key)
        refused(result, 2, error, "the private key file that `vallum keygen FILE` made, not the line")
        assert everything(both / "provider") == before


def test_a_recipient_under_a_passphrase_is_taken_unopened(
    both: Path, client: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALLUM_PASSPHRASE", "words")
    assert client("keygen", "recipient.key", "--suite", "x25519", "--passphrase").code == 0
    monkeypatch.delenv("VALLUM_PASSPHRASE")
    assert client(*AGAIN).code == 0


def test_another_recipient_is_put_in_by_hand(both: Path, client: Type) -> None:
    """What the configuration names is not replaced, and not called complete either."""
    for key in ("other.key", "recipient.key"):
        assert client("keygen", key, "--suite", "x25519").code == 0
    assert client(*AGAIN[:-1], "other.key").code == 0
    (both / "provider" / "other.key").unlink()
    assert "hint: is `recipient` in vallum.toml right?" in client("doctor").out
    before = everything(both / "provider")
    refused(
        client(*AGAIN), 2, "names another key for the source 'hotline' already", "put it into `recipient`"
    )
    assert everything(both / "provider") == before


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_configuration_keeps_its_ends_of_lines(both: Path, client: Type, end: str) -> None:
    config = both / "provider" / "vallum.toml"
    config.write_bytes(config.read_bytes().replace(b"\n", end.encode()))
    assert client("keygen", "recipient.key", "--suite", "x25519").code == 0
    assert client(*AGAIN).code == 0
    assert config.read_bytes().count(b"\n") == config.read_bytes().count(end.encode())
    assert client("sync").code == 0


def test_a_name_over_two_lines_is_left_to_the_operator(both: Path, client: Type) -> None:
    config = both / "provider" / "vallum.toml"
    text = config.read_text().replace('name = "hotline"', 'name = """\\\n  hotline"""')
    config.write_text(text)
    assert client("keygen", "recipient.key", "--suite", "x25519").code == 0
    refused(client(*AGAIN), 2, "the key cannot be put into it", 'put recipient = "')
    assert config.read_text() == text


@pytest.mark.parametrize("name", ["hotline", "second"])
def test_a_path_that_no_configuration_can_hold(both: Path, client: Type, name: str) -> None:
    """TOML is UTF-8; names of files are any bytes."""
    path = os.fsdecode(b"\xff.key")
    assert client("keygen", path, "--suite", "x25519").code == 0
    before = everything(both / "provider")
    result = client("init", "--invitation", "../invitation.json", "--name", name, "--recipient", path)
    refused(result, 2, r"\udcff.key is no text", "another name")
    assert everything(both / "provider") == before
