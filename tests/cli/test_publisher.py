"""The hotline's commands as they are typed: what they say, and every mistake that can be typed."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import LISTED, Type
from tests.cli.said import everything, refused
from tests.typed import typed
from vallum.cli.terminal import clock
from vallum_publisher.catalog import open_catalog
from vallum_publisher.cli.intake import ENCODINGS, FORMATS
from vallum_publisher.intake import ENCODINGS as KNOWN_ENCODINGS
from vallum_publisher.intake import Format


def test_the_choices_are_those_of_the_intake() -> None:
    assert ENCODINGS == KNOWN_ENCODINGS
    assert tuple(map(str, Format)) == FORMATS


def test_from_a_file_to_a_version(publisher: Type, both: Path) -> None:
    (both / "new.csv").write_text("Address;Grade;Report\nhttps://b.example/1;A;R-2\n")
    ingested = publisher(
        "ingest", "urls", "new.csv", "--add", "--map", "url=Address", "--map", "labels=Grade",
        "--map", "ref=Report", "--label-scheme", "uk-sap:1",
    )  # fmt: skip
    assert "urls: 1 added, 0 removed" in ingested.out
    assert "Next: vallum-publisher -C hotline diff urls" in ingested.out
    (change,) = json.loads(publisher("diff", "urls", "--json").out)
    assert (change["change"], change["scope"], change["labels"]) == ("added", "url", "uk-sap:1:A")
    assert "b.example" not in publisher("diff", "urls").mixed
    assert "b.example/1" in publisher("diff", "urls", "--values").out
    (published,) = json.loads(publisher("publish", "urls", "--json").out)
    assert (published["version"], published["changes"]) == (2, 1)
    assert publisher("diff", "urls").out == "urls: nothing would change\n"


def test_publishing_again_changes_nothing(publisher: Type, both: Path) -> None:
    before = everything(both / "hotline" / "store")
    result = publisher("publish")
    assert result.code == 0
    assert result.out.count("nothing has changed since") == 2
    assert everything(both / "hotline" / "store") == before


def test_an_unchanged_file_makes_no_version(publisher: Type) -> None:
    result = publisher("ingest", "urls", "-", stdin=f"{LISTED}\n".encode())
    assert result.out == "urls: 0 added, 0 removed, 0 changed, 1 unchanged\nnothing waits to be published\n"


@pytest.mark.parametrize("form", ["text", "jsonl", "csv"])
def test_every_format_comes_from_standard_input_too(publisher: Type, form: str) -> None:
    lines = {
        "text": "https://b.example/\n",
        "jsonl": '{"url": "https://b.example/"}',
        "csv": "url\nhttps://b.example/\n",
    }
    result = publisher("ingest", "urls", "-", "--format", form, "--add", stdin=lines[form].encode())
    assert "urls: 1 added" in result.out, result.mixed


def test_reports_parse_as_json(publisher: Type) -> None:
    for words in (["list", "show"], ["status"], ["verify"], ["refresh"], ["gc"], ["publish"]):
        result = publisher(*words, "--json")
        assert result.code == 0, result.mixed
        json.loads(result.out)
    written = json.loads(publisher("invite", "urls").out)
    assert written["lists"] == ["urls.full"]
    said = publisher("invite", "urls", "--output", "urls.json", "--json")
    assert json.loads(said.out)["lists"] == ["urls.full"]
    assert json.loads(said.out)["fingerprint"] in publisher("invite", "urls").err
    refused(publisher("invite", "urls", "--json"), 2, "standard output", "--output")


def test_what_could_not_be_published_is_told_in_full_as_json(publisher: Type, both: Path) -> None:
    (both / "hotline/keys/urls.full-1.pem").rename(both / "urls.pem")
    assert publisher("ingest", "urls", "-", "--add", stdin=b"https://b.example/\n").code == 0
    result = publisher("publish", "--json")
    done, failed = json.loads(result.out)
    assert (done["list"], failed["list"]) == ("pictures", "urls")
    assert (failed["kind"], failed["exit_code"], result.code) == ("ConfigError", 2, 2)
    assert "no key file" in failed["error"]
    assert "--sign-with" in failed["hint"]


NEW = ["vallum-publisher", "-C", "new"]
INIT = [*NEW, "init", "--name", "New", "--root-keys", "1", "--root-threshold", "1"]
BAD = b"example.com\nhttp://\nhttps://b.example/fine\nftp://c.example/\nhttps://10.0.0.1/\n"


def test_every_rejected_line_is_named_and_nothing_is_taken(publisher: Type, both: Path) -> None:
    before = publisher("status", "--json").out
    result = publisher("ingest", "urls", "-", "--add", stdin=BAD)
    refused(result, 2, "4 lines rejected (1, 2, 4, 5); nothing of the input was taken", "correct these lines")
    for line, word in ((1, "--bare-host"), (2, "no host"), (4, "ftp"), (5, "private")):
        assert any(said.startswith(f"-:{line}: ") and word in said for said in result.err.splitlines())
    assert publisher("status", "--json").out == before
    assert publisher("diff", "urls", "--json").out == "[]\n"


def test_rejects_as_json_name_line_and_reason(publisher: Type) -> None:
    result = publisher("ingest", "urls", "-", "--add", "--json", stdin=BAD)
    refused(result, 2, "4 lines rejected", "correct these lines")
    told = json.loads(result.out)
    assert told["kind"] == "InputError"
    assert [reject["line"] for reject in told["rejects"]] == [1, 2, 4, 5]
    assert all(reject["reason"] and not reject["text"] for reject in told["rejects"])


CSV = "Address;Grade\nhttps://caf\u00e9.example/;A\n"


@pytest.mark.parametrize(
    ("words", "content", "error", "hint"),
    [
        (["urls", "file.csv"], CSV, "no column holds url", "columns: Address, Grade"),
        (["urls", "file.csv", "--map", "url=Adress"], CSV, "no column 'Adress' for url", "columns: Address"),
        (["urls", "file.csv", "--map", "address=Address"], CSV, "no field 'address'", "fields: url"),
        (["urls", "file.csv", "--map", "Address"], CSV, "not FIELD=COLUMN", "--map url=Address"),
        (["urls", "file.csv", "--map", "url=Address", "--label-scheme", "x"], CSV, "scheme:version", ""),
        (["urls", "file.txt", "--map", "url=Address"], CSV, "no columns to map", "csv"),
        (["urls", "file.txt", "--encoding", "ebcdic"], CSV, "'ebcdic' is not one of", "--help"),
        (["urls", "missing.txt"], CSV, "missing.txt: No such file", "standard input"),
        (["films", "file.txt"], CSV, "no list 'films'", "lists: pictures, urls"),
        (["pictures", "file.txt"], "abcd\n", "1 line rejected (1)", "correct"),
        (["urls", "file.txt"], "https://b.example/x\nhttps://c.exam", "1 line rejected (2)", "correct"),
        (["urls", "file.txt"], "", "would replace the whole list", "--allow-empty"),
        (["urls", "file.csv"], "url\n", "would replace the whole list", "--allow-empty"),
        (["urls", "file.jsonl"], "{\n", "1 line rejected (1)", "correct"),
    ],
)
def test_a_file_that_cannot_be_meant_changes_nothing(
    publisher: Type, both: Path, words: list[str], content: str, error: str, hint: str
) -> None:
    for name in ("file.txt", "file.csv", "file.jsonl"):
        (both / name).write_text(content, "utf-8")
    before = publisher("status", "--json").out
    refused(publisher("ingest", *words), 2, error, hint)
    assert publisher("status", "--json").out == before


def test_another_encoding_than_declared_names_the_line(publisher: Type, both: Path) -> None:
    (both / "file.csv").write_bytes(CSV.encode("latin-1"))
    words = (
        "ingest",
        "urls",
        "file.csv",
        "--add",
        "--map",
        "url=Address",
        "--map",
        "labels=Grade",
        "--label-scheme",
        "uk-sap:1",
    )
    result = publisher(*words)
    refused(result, 2, "1 line rejected (2)", "correct")
    assert "file.csv:2: not utf-8" in result.err
    assert publisher(*words, "--encoding", "latin-1").code == 0


def test_a_forgotten_add_is_spoken_of(publisher: Type, both: Path) -> None:
    """Replacing is the default: who means to add a line must see that he takes the list off."""
    publisher("ingest", "urls", "-", "--add", stdin=b"https://b.example/\nhttps://c.example/\n")
    forgotten = publisher("ingest", "urls", "-", stdin=b"https://d.example/\n")
    assert forgotten.code == 0
    assert "--add was not said: 3 of 3 entries go off it" in forgotten.err
    assert "diff urls" in forgotten.err
    whole = LISTED.encode() + b"\nhttps://b.example/\nhttps://d.example/\n"
    assert "warning" not in publisher("ingest", "urls", "-", stdin=whole).err
    assert "warning" not in publisher("ingest", "urls", "-", "--remove", stdin=whole).err


def test_what_changes_while_a_version_is_under_way_waits(publisher: Type, both: Path) -> None:
    """A stopped `publish` had an innocent page in it: that its removal waits is said by all that look."""
    page = b"https://innocent.example/page\n"
    publisher("ingest", "urls", "-", "--add", stdin=page)
    with open_catalog(both / "hotline" / "catalog.sqlite") as catalog:
        catalog.begin_version("urls", salt=bytes(16), actor="ann", now=clock())
    under_way = publisher("ingest", "urls", "-", "--add", stdin=page).out
    assert "Next: vallum-publisher -C hotline publish urls  # version 1.2 is under way" in under_way
    removed = publisher("ingest", "urls", "-", "--remove", "--json", stdin=page)
    assert (json.loads(removed.out)["waiting"], json.loads(removed.out)["under_way"]) == (1, 2)
    shown = publisher("diff", "urls").out
    assert "urls: version 1.2 is under way, publish finishes it: 1 added\n" in shown
    assert "urls: after that: 1 removed\n" in shown
    begun, waiting = json.loads(publisher("diff", "urls", "--json").out)
    assert (begun["change"], begun["state"]) == ("added", "under way")
    assert (waiting["change"], waiting["state"], waiting["id"]) == ("removed", "waiting", begun["id"])
    told = "urls: version 1.2 is under way; run publish again: it lists what was taken off since (1)"
    assert publisher("status").code == 1
    assert f"warning: {told}\n" in publisher("status").err
    assert json.loads(publisher("status", "--json").out)["warnings"] == [told]


def test_what_is_public_after_its_time_is_said_until_it_is_published(publisher: Type, both: Path) -> None:
    ends = clock() + timedelta(seconds=6)
    line = f"url,expires_at\nhttps://b.example/,{ends:%Y-%m-%dT%H:%M:%SZ}\n"
    publisher("ingest", "urls", "-", "--add", "--format", "csv", stdin=line.encode())
    assert "3 listed" in publisher("publish", "urls").out
    while clock() < ends:
        time.sleep(0.1)
    told = "warning: urls: entries whose time is over are still public (1): run publish\n"
    for command in ("status", "refresh"):
        assert (publisher(command).code, told in publisher(command).err) == (1, True)
    (change,) = json.loads(publisher("diff", "urls", "--json").out)
    assert (change["change"], change["state"]) == ("removed", "waiting")
    assert "Next: " in publisher("ingest", "urls", "-", "--add", stdin=f"{LISTED}\n".encode()).out
    assert publisher("publish", "urls").code == 0
    assert (publisher("status").code, publisher("refresh").code) == (0, 0)


def test_the_last_entry_can_be_taken_off(publisher: Type) -> None:
    assert publisher("ingest", "urls", "-", "--allow-empty").code == 0
    (change,) = json.loads(publisher("diff", "urls", "--json").out)
    assert change["change"] == "removed"


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["publish", "films"], "no list 'films'", "lists: pictures, urls"),
        (["diff", "films"], "no list 'films'", "lists: pictures, urls"),
        (["invite", "films"], "no list 'films'", "pictures.full"),
        (["init", "--name", "Again"], "a publisher's folder already", "another folder"),
        (["list", "create", "urls", "--kind", "url", "--public"], "a list 'urls' already", ""),
        (["list", "create", "Bad_Name", "--kind", "url", "--public"], "cannot name a list", "hyphens"),
        (["list", "create", "a", "--kind", "url", "--public", "--max-age", "999"], "999", "--help"),
        (["list", "create", "a", "--kind", "url", "--public", "--threshold", "2"], "2 of 1 keys", ""),
        (["gc", "--retention", "1"], "1 is not in the range", "--help"),
        (["frob"], "No such command", "vallum-publisher --help"),
        (["publish", "--frob"], "No such option", "vallum-publisher publish --help"),
    ],
)
def test_a_mistake_changes_nothing(
    publisher: Type, both: Path, words: list[str], error: str, hint: str
) -> None:
    before = everything(both / "hotline" / "store", both / "hotline" / "keys")
    result = publisher(*words)
    assert result.code == 2, result.mixed
    assert "error: " in result.err
    assert error in result.err
    assert hint in result.err
    assert everything(both / "hotline" / "store", both / "hotline" / "keys") == before


def test_no_publisher_in_this_folder(tmp_path: Path) -> None:
    for words in (["status"], ["publish"], ["verify"], ["refresh"], ["list", "show"], ["diff", "urls"]):
        result = typed(["vallum-publisher", "-C", "nowhere", *words], tmp_path)
        refused(result, 2, "nowhere is no publisher's folder", "vallum-publisher init")
    assert not any(tmp_path.iterdir())


def test_a_folder_without_lists_says_what_comes_next(tmp_path: Path) -> None:
    made = typed(INIT, tmp_path)
    assert made.code == 0
    assert "one stolen root key" in made.err
    for command in (["publish"], ["list", "show"]):
        refused(typed([*NEW, *command], tmp_path), 2, "no lists yet", "list create")


def test_no_hint_makes_a_list_that_everybody_can_read(tmp_path: Path) -> None:
    """What a hint says is typed as it stands: the list that comes of it is encrypted."""
    made = typed(INIT, tmp_path)
    hints = [made.out, typed([*NEW, "publish"], tmp_path).err, typed([*NEW, "list", "--help"], tmp_path).out]
    assert all("list create" in each and "--public" not in each for each in hints)
    (line,) = (line for line in made.out.splitlines() if line.startswith("Next: "))
    assert "encrypted" in typed(line.removeprefix("Next: ").split(), tmp_path).out
    examples = typed([*NEW, "list", "create", "--help"], tmp_path).out.partition("Examples:")[2]
    (public,) = (line for line in examples.splitlines() if "--public" in line)
    assert "world can read" in public


def test_keys_are_not_left_in_clear_when_nobody_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VALLUM_PASSPHRASE", raising=False)
    result = typed([*NEW, "init", "--name", "New", "--encrypt-keys"], tmp_path)
    refused(result, 2, "nobody can be asked", "VALLUM_PASSPHRASE")
    assert not (tmp_path / "new" / "keys").exists()


def test_encrypted_keys_want_their_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALLUM_PASSPHRASE", "correct horse")
    assert typed([*INIT, "--encrypt-keys"], tmp_path).code == 0
    create = [*NEW, "list", "create", "urls", "--kind", "url", "--public"]
    monkeypatch.setenv("VALLUM_PASSPHRASE", "wrong")
    wrong = typed(create, tmp_path)
    assert wrong.code == 2
    assert "wrong passphrase" in wrong.err
    assert "horse" not in wrong.mixed
    monkeypatch.setenv("VALLUM_PASSPHRASE", "correct horse")
    assert typed(create, tmp_path).code == 0


def _started(both: Path, *words: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    program = Path(sys.executable).parent / "vallum-publisher"
    return subprocess.Popen(
        [program, "-C", "hotline", *words], cwd=both, text=True, preexec_fn=before,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_two_publish_at_once_make_one_version(publisher: Type, both: Path) -> None:
    publisher("ingest", "urls", "-", "--add", stdin=b"https://b.example/\n")
    running = [_started(both, "publish", "urls") for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    assert sorted("published" in out for out, _ in outputs) == [False, True]
    assert not any("Traceback" in err for _, err in outputs)
    assert publisher("verify").code == 0
    (urls,) = (each for each in json.loads(publisher("list", "show", "--json").out) if each["name"] == "urls")
    assert urls["version"] == 2


def test_a_full_disk_stops_a_batch_and_a_publication_whole(publisher: Type, both: Path) -> None:
    """No file may grow beyond what the catalog is now: the same to a program as a disk that is full."""
    (both / "many.txt").write_text("".join(f"https://h{number}.example/\n" for number in range(3000)))
    before = publisher("status", "--json").out
    size = (both / "hotline" / "catalog.sqlite").stat().st_size

    def full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    process = _started(both, "ingest", "urls", "many.txt", before=full_disk)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert out == ""
    assert "error: " in err
    assert "hint: " in err
    assert "Traceback" not in err
    assert publisher("status", "--json").out == before
    assert publisher("ingest", "urls", "many.txt").code == 0
    assert publisher("publish", "urls").code == 0


def test_a_reader_that_goes_away_is_not_called_no() -> None:
    read, write = os.pipe()
    os.close(read)
    program = Path(sys.executable).parent / "vallum-publisher"
    done = subprocess.run([program, "--help"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


def test_nothing_that_is_no_file_is_replaced_by_one(publisher: Type, client: Type, both: Path) -> None:
    """`--output /dev/null`, typed by root, put a file in the place of everybody's null device."""
    os.mkfifo(both / "pipe")
    refused(publisher("invite", "--output", both / "pipe"), 2, "pipe is no file", "leave --output out")
    refused(client("status", "--metrics", both / "pipe"), 2, "pipe is no file", "- for standard output")
    assert (both / "pipe").is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: not Linux")
@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["invite"], ["diff", "films", "--json"]])
def test_a_full_disk_under_the_output_is_not_called_a_fault_of_ours(both: Path, words: list[str]) -> None:
    program = Path(sys.executable).parent / "vallum-publisher"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [program, "-C", "hotline", *words],
            cwd=both, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    expected = (
        (2, "error: no list 'films'", "hint: ")
        if "films" in words
        else (4, "error: standard output: No space left", "hint: it may have been done: look (`status`)")
    )
    assert done.returncode == expected[0], done.stderr
    assert done.stderr.startswith(expected[1])
    assert expected[2] in done.stderr
    assert "Traceback" not in done.stderr
