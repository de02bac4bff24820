"""``vallum export`` and ``vallum-publisher trace`` as they are typed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from base64 import b64encode
from pathlib import Path

import pytest

from tests.typed import Result, typed

PUBLISHER = ("vallum-publisher", "-C", "hotline")
MEMBERS = ("ada", "ben")
HIDDEN = re.compile(r"hidden[0-9]|secret/")


def _client(member: str) -> tuple[str, ...]:
    return ("vallum", "-c", f"{member}/vallum.toml")


def _done(words: list[str], folder: Path) -> Result:
    result = typed(words, folder)
    assert result.code == 0, result.mixed
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hotline with an encrypted list, and two providers in sync. Tests write files of their own names."""
    folder = tmp_path_factory.mktemp("exports")
    _done([*PUBLISHER, "init", "--name", "Hotline", "--public-url", "../hotline/store"], folder)
    _done([*PUBLISHER, "list", "create", "urls", "--kind", "url"], folder)
    rows = [f"https://hidden{at}.example/secret/{at}.html,url,uk-sap:1:A" for at in range(200)]
    rows += [f"hidden{at}.example.net,domain,uk-sap:1:B" for at in range(40)]
    (folder / "list.csv").write_text("\n".join(["url,scope,labels", *rows, ""]))
    _done([*PUBLISHER, "ingest", "urls", "list.csv"], folder)
    _done([*PUBLISHER, "publish"], folder)
    _done([*PUBLISHER, "invite", "urls.full", "--output", "invitation.json"], folder)
    for member in MEMBERS:
        _join(folder, member, "urls.full")
    return folder


def _join(folder: Path, member: str, stream: str, invitation: str = "invitation.json") -> None:
    _done(["vallum", "keygen", f"{member}.key", "--suite", "x25519"], folder)
    said = json.loads(_done(["vallum", "keygen", f"{member}.key", "--show", "--json"], folder).out)
    (folder / f"{member}.line").write_text(said["line"])
    _done(
        [
            *PUBLISHER,
            "recipients",
            "add",
            stream,
            member,
            f"{member}.line",
            "--fingerprint",
            said["fingerprint"],
        ],
        folder,
    )
    _done(
        [
            *_client(member),
            "init",
            "--invitation",
            invitation,
            "--name",
            "hotline",
            "--recipient",
            f"{member}.key",
        ],
        folder,
    )
    _done([*_client(member), "sync"], folder)


def test_from_a_list_to_the_one_who_leaked_it(folder: Path) -> None:
    for member in MEMBERS:
        result = _done([*_client(member), "export", "csv", "-o", f"{member}.csv"], folder)
        assert "369 lines of hotline/urls version 1.1" in result.err
        assert result.out == ""
    for member in MEMBERS:
        result = _done([*PUBLISHER, "trace", f"{member}.csv"], folder)
        row = next(line for line in result.out.splitlines() if line.startswith(member))
        assert row.split()[:4] == [member, "urls.full", "128", "yes"]
        assert len([line for line in result.out.splitlines() if "urls.full" in line]) == 1
        assert "no proof" in result.err

    rows = list(csv.DictReader(io.StringIO((folder / "ben.csv").read_text())))
    part = "\n".join(row["value"].upper().replace(".", "[.]") for row in rows[::10])
    (folder / "part.gz").write_bytes(gzip.compress(part.encode("utf-16")))
    said = json.loads(_done([*PUBLISHER, "trace", "part.gz", "--json", "--list", "urls"], folder).out)
    [named] = said["named"]
    assert (named["recipient"], named["stream"]) == ("ben", "urls.full")
    assert 3 <= named["decoys"] <= 40
    assert said["bounds"]["false_accusation"] < 1e-30
    assert re.fullmatch("[0-9a-f]{64}", said["sha256"])

    mixed = (folder / "ada.csv").read_text() + (folder / "ben.csv").read_text()
    result = typed([*PUBLISHER, "trace", "-"], folder, stdin=mixed.encode())
    assert result.code == 0
    assert "worked together" in result.err


def test_nobody_is_an_answer_of_its_own(folder: Path) -> None:
    result = typed([*PUBLISHER, "trace", "list.csv"], folder)
    assert result.code == 1
    assert "nobody is named" in result.out
    assert "2 recipients looked for" in result.out
    for missing in ("nothing.csv", "hotline"):
        assert typed([*PUBLISHER, "trace", missing], folder).code == 2
    mistyped = typed([*PUBLISHER, "trace", "list.csv", "--list", "nope"], folder)
    assert mistyped.code == 2
    assert "error: no list 'nope'" in mistyped.err, "the file is not to blame"
    (folder / "encoded").write_bytes(b64encode((folder / "ada.csv").read_bytes()))
    assert "look of a decoy" in typed([*PUBLISHER, "trace", "encoded"], folder).err
    (folder / "list.zip").write_bytes(b"PK\x03\x04and so on")
    result = typed([*PUBLISHER, "trace", "list.zip"], folder)
    assert result.code == 2
    assert "list.zip: the file is a zip archive" in result.err
    assert "unpack it" in result.err


def test_a_trace_is_on_record(folder: Path) -> None:
    from vallum_publisher.workspace import open_workspace

    typed([*PUBLISHER, "trace", "list.csv"], folder)
    with open_workspace(folder / "hotline").open_catalog() as catalog:
        last = catalog.audit()[-1]
    assert last.action == "trace"
    assert last.details["named"] == []
    assert last.details["recipients"] == 2


def test_what_is_written_to_files_and_pipes(folder: Path) -> None:
    said = json.loads(
        _done(
            [
                *_client("ada"),
                "export",
                "text",
                "--scope",
                "domain",
                "-o",
                "d.txt",
                "--group-readable",
                "--json",
            ],
            folder,
        ).out
    )
    lines = (folder / "d.txt").read_text().split()
    assert said == {
        "output": "d.txt",
        "lines": len(lines),
        "left_out": 0,
        "lists": [{"source": "hotline", "list": "urls", "generation": 1, "version": 1}],
    }
    assert len([line for line in lines if line.endswith(".example.net")]) == 40
    assert (folder / "d.txt").stat().st_mode & 0o777 == 0o640
    piped = _done([*_client("ada"), "export", "text", "--scope", "domain", "-o", "-"], folder)
    assert piped.out.split() == lines
    assert "lines of hotline/urls" in piped.err
    assert typed([*_client("ada"), "export", "csv", "-o", "-", "--json"], folder).code == 2


def test_never_to_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.typed._Tee.isatty", lambda _self: True, raising=False)
    result = typed([*_client("ada"), "export", "csv", "-o", "-"], folder)
    assert result.code == 2
    assert "not written to a terminal" in result.err
    assert result.out == ""


def test_what_is_refused_leaves_the_old_file(folder: Path) -> None:
    (folder / "kept.txt").write_text("old")
    for words in (
        ["text"],
        ["text", "--label", "uk-sap:1:C"],
        ["csv", "--list", "nolist"],
        ["csv", "--label", "no label"],
        ["rpz"],
        ["csv", "--scope", "page"],
    ):
        result = typed([*_client("ada"), "export", *words, "-o", "kept.txt"], folder)
        assert result.code == 2, words
        assert "hint:" in result.err
        assert (folder / "kept.txt").read_text() == "old"


def test_a_match_edition_says_what_it_needs(folder: Path) -> None:
    _done([*PUBLISHER, "invite", "urls.match", "--output", "match.json"], folder)
    _join(folder, "cleo", "urls.match", "match.json")
    result = typed([*_client("cleo"), "export", "csv", "-o", "cleo.csv"], folder)
    assert result.code == 2
    assert (
        "urls.match is the match edition, which holds keys and no text: exports need the full one"
        in result.err
    )
    assert "ask Hotline to add your key to urls.full" in " ".join(result.err.split())
    assert not (folder / "cleo.csv").exists()


def test_what_is_allowed_is_said(folder: Path) -> None:
    _done(
        [*_client("ben"), "allow", "add", "www.hidden3.example.net", "--until", "3d", "--reason", "test"],
        folder,
    )
    result = _done([*_client("ben"), "export", "csv", "-o", "ben2.csv"], folder)
    assert "left out: 1 that touch what `vallum allow list` shows" in result.err
    assert "hidden3.example.net" not in (folder / "ben2.csv").read_text()


def test_no_entry_is_said_by_either_command(folder: Path) -> None:
    """Only the file and the pipe hold entries: neither messages, nor errors, nor JSON about the work do."""
    said = [
        typed(words, folder).mixed
        for words in (
            [*_client("ada"), "export", "csv", "-o", "ada.csv", "--json"],
            [*_client("ada"), "export", "text", "-o", "ada.txt"],
            [*_client("ada"), "export", "csv", "-o", "no/such/folder"],
            [*PUBLISHER, "trace", "ada.csv"],
            [*PUBLISHER, "trace", "ada.csv", "--json"],
        )
    ]
    assert not HIDDEN.search("".join(said))
    decoys = [
        row["value"].partition("/")[0]
        for row in csv.DictReader(io.StringIO((folder / "ada.csv").read_text()))
        if not HIDDEN.search(row["value"]) and row["labels"] != "test"
    ]
    assert len(decoys) == 128
    assert not [decoy for decoy in decoys if decoy in "".join(said)], "decoys are not shown to anybody"


def test_whose_decoys_are_on_the_list_is_said(folder: Path) -> None:
    """Ada reports her own decoys; the hotline lists them. Last in this file: it changes the list."""
    rows = list(csv.DictReader(io.StringIO((folder / "ada.csv").read_text())))
    decoys = [row for row in rows if not HIDDEN.search(row["value"]) and row["labels"] != "test"]
    lines = [f"https://{row['value'].partition('/')[0]}/,url" for row in decoys]
    (folder / "reported.csv").write_text("\n".join(["url,scope", *lines, ""]))
    _done([*PUBLISHER, "ingest", "urls", "reported.csv", "--add"], folder)
    _done([*PUBLISHER, "publish"], folder)
    result = _done([*PUBLISHER, "trace", "ada.csv"], folder)
    assert "nobody is named" in result.out
    said = " ".join(result.err.split())
    assert "ada (urls.full): 128 decoys passed over: the list itself holds them since 20" in said
    assert "128 added after ada was; chance cannot do that" in said
    told = json.loads(_done([*PUBLISHER, "trace", "ada.csv", "--json"], folder).out)
    assert told["named"] == []
    [ada] = told["had_listed"]
    assert (ada["recipient"], ada["decoys"], ada["after_admission"]) == ("ada", 128, 128)
    assert ada["suspicious"]
