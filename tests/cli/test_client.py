"""The provider's commands as they are typed: answers, exit codes, and every mistake that can be typed."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import LISTED, PICTURE, Type
from tests.cli.said import documents, everything, refused
from tests.typed import typed


def in_force(client: Type) -> dict[str, tuple[int, str]]:
    """Version and state of each list."""
    held = json.loads(client("status", "--json").out)["lists"]
    return {each["list"]: (each["version"], each["state"]) for each in held}


def test_sync_says_what_came_into_force(client: Type, publisher: Type) -> None:
    assert publisher("ingest", "urls", "-", "--add", stdin=b"https://b.example/\n").code == 0
    assert publisher("publish", "urls").code == 0
    result = client("sync")
    assert result.code == 0
    assert "hotline/urls.full" in result.out
    assert "activated" in result.out
    assert client("check", "https://b.example/").code == 0


def test_sync_without_a_change_is_one_request(client: Type) -> None:
    client("sync")
    report = json.loads(client("sync", "--json").out)
    assert report["ok"]
    assert report["requests"] == 1
    assert [source["outcome"] for source in report["sources"]] == ["unchanged"]


def test_status_and_verify_name_what_is_in_force(client: Type) -> None:
    status = client("status", "--json")
    assert status.code == 0
    held = {each["list"]: each for each in json.loads(status.out)["lists"]}
    assert held.keys() == {"urls.full", "pictures.full"}
    assert all(each["freshness"] == "fresh" and each["version"] == 1 for each in held.values())
    assert held["urls.full"]["state"][:16] in client("status").out

    files = json.loads(client("verify", "--json").out)
    assert {each["table"] for each in files} == {"exact", "pdq"}
    assert all(each["digest"] in client("verify").out for each in files)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([LISTED], 0),
        (["HTTP://WWW.lantern.example:80/gallery/./3.html#x"], 0),
        (["https://www.lantern.example/gallery/4.html"], 1),
        (["https://clean.example/", LISTED], 0),
        (["--digest", "7c6f3ae2c8a4f0d6b8ff5d1f8dcf9a1e"], 0),
        (["--digest", "md5:7C6F3AE2C8A4F0D6B8FF5D1F8DCF9A1E"], 0),
        (["--digest", "0" * 64], 1),
        (["--file", "../picture.png"], 1),
        (["--explain", LISTED], 0),
        (["--explain", "https://clean.example/"], 1),
    ],
)
def test_check_answers_by_its_exit_code(client: Type, words: list[str], code: int) -> None:
    result = client("check", *words)
    assert result.code == code, result.mixed
    assert ("LISTED" in result.out) == (code == 0)


def test_check_of_many_says_which(client: Type) -> None:
    result = client(
        "check", "-", stdin=f"https://clean.example/\n\n{LISTED}\nhttp://\n\xff\n".encode("latin-1")
    )
    assert result.code == 0
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["line 1", "line 3", "line 5"]
    assert "LISTED" in result.out.splitlines()[1]
    assert "error: line 4: the URL names no host" in result.err


def test_check_prints_one_json_document_a_line(client: Type) -> None:
    result = client(
        "check", "--json", "-", "--digest", "abcd", stdin=f"{LISTED}\nhttps://clean.example/\n".encode()
    )
    found = documents(result)
    assert [(each["asked"], each["listed"]) for each in found if isinstance(each, dict)] == [
        ("line 1", True), ("line 2", False), ("digest 1", None),
    ]  # fmt: skip


def test_what_editors_put_around_a_line_hides_no_listed_url(client: Type) -> None:
    """A byte-order mark, a no-break space, a bare CR: each line is asked like any other."""
    lines = [b"\xef\xbb\xbf" + LISTED.encode(), b"\xc2\xa0" + LISTED.encode() + b" ", LISTED.encode() + b"\r"]
    result = client("check", "-", stdin=b"\n".join(lines) + b"\n")
    assert result.code == 0
    assert result.out.count("LISTED") == 3


@pytest.mark.parametrize("stdin", [b"", b"\n \n"])
def test_no_url_is_no_answer(client: Type, stdin: bytes) -> None:
    """An empty pipe, as of a command that failed: never "not listed"."""
    refused(client("check", "-", stdin=stdin), 2, "no URL came on standard input", "urls.txt")
    assert client("check", "-", LISTED, stdin=stdin).code == 0


def test_a_file_that_was_asked_as_a_url(both: Path, client: Type) -> None:
    (both / "provider" / "urls.txt").write_text(LISTED)
    result = client("check", "urls.txt")
    assert result.code == 1
    assert "hint: this is a file here" in result.err
    assert "hint: URL 2: is a file here" in client("check", LISTED, "urls.txt").err
    assert "is a file" not in client("check", "clean.example", "a" * 5000).err


@pytest.mark.parametrize(("words", "code", "kind"), [
    (("sync",), 2, "ConfigError"),
    (("status",), 2, "ConfigError"),
    (("check", "x.example"), 2, "ConfigError"),
    (("frob",), 2, "ConfigError"),
    (("pin", "--frob"), 2, "ConfigError"),
])  # fmt: skip
def test_an_error_is_json_for_who_asked_for_it(
    tmp_path: Path, words: tuple[str, ...], code: int, kind: str
) -> None:
    result = typed(["vallum", *words, "--json"], tmp_path)
    said = json.loads(result.out)
    assert (result.code, said["exit_code"], said["kind"]) == (code, code, kind)
    assert f"error: {said['error']}" in result.err
    assert f"hint: {said['hint']}" in result.err
    assert typed(["vallum", *words], tmp_path).out == ""


def test_utf_16_is_no_answer(client: Type) -> None:
    result = client("check", "-", stdin=LISTED.encode("utf-16"))
    assert result.code == 2
    assert "UTF-16" in result.err
    assert "not listed" not in result.out


@pytest.mark.parametrize(
    "stdin",
    [
        LISTED.encode("utf-16-le"),
        LISTED.encode("utf-16-be"),
        LISTED.encode("utf-32-le"),
        f"https://clean.example/\r{LISTED}\r".encode(),
        f'"{LISTED}"'.encode(),
        f"'{LISTED}'".encode(),
        f"<{LISTED}>".encode(),
        f'"{LISTED}",123'.encode(),
        f"https://clean.example/x {LISTED}".encode(),
        f"https://clean.example/x,{LISTED}".encode(),
        f"{LISTED}\t123".encode(),
        LISTED.replace(".", "[.]").replace("http", "hxxp").encode(),
        LISTED.replace("://", "[:]//").encode(),
        b"www.lantern.example,123",
        f"\u2060{LISTED}".encode(),
        f"{LISTED}\u2028{LISTED}".encode(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("words", [[], ["--explain"]])
def test_a_line_that_is_not_one_url_is_no_answer(client: Type, stdin: bytes, words: list[str]) -> None:
    """Out of a table, a mail or a report: what was meant is listed, and "not listed" would clear it."""
    result = client("check", *words, "-", stdin=stdin)
    assert result.code == 2, result.mixed
    assert "hint:" in result.err
    assert "not listed" not in result.out


@pytest.mark.parametrize(
    "url",
    [
        *("https://clean.example/a,b;c|d?x=[1]&y=(z)", "https://clean.example/(x)", "[2001:db8::7]/x"),
        *("clean.example:8080/a", "https://clean.example/?u=https://b.example/", "http://clean.example/x'"),
    ],
)
def test_odd_urls_that_are_urls_have_an_answer(client: Type, url: str) -> None:
    assert client("check", "-", stdin=url.encode()).code == 1


def test_explain_in_json_holds_every_probe(client: Type) -> None:
    (found,) = documents(client("check", "--json", "--explain", f"{LISTED}?x=1"))
    assert isinstance(found, dict)
    assert (found["form"], found["query"]) == ("www.lantern.example/gallery/3.html?x=1", "x=1")
    assert found["lists"][0]["probes"]


def test_what_is_looked_up_is_not_repeated(client: Type) -> None:
    result = client("check", LISTED, "https://clean.example/", "--digest", "7c6f3ae2c8a4f0d6b8ff5d1f8dcf9a1e")
    assert "lantern" not in result.mixed
    assert "clean" not in result.mixed
    assert "7c6f3ae2" not in result.mixed


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        ([], "nothing to look up", "--file"),
        (["http://"], "the URL names no host", "https://host/path"),
        (["--explain", "http://"], "names no host", "https://host/path"),
        (["--digest", "abcd"], "4 digits", "--digest sha256:"),
        (["--digest", "sha256:abcd"], "32 bytes", ""),
        (["--digest", "f00:abcd"], "unknown signal", "sha256"),
        (["--digest", "z" * 64], "hexadecimal", "0-9"),
        (["--file", "nothing.png"], "nothing.png: No such file", "check the path"),
        (["--file", "."], "Is a directory", "check the path"),
        (["--explain", "--digest", "0" * 64], "URLs only", ""),
        (["--frob"], "No such option", "vallum check --help"),
    ],
)
def test_what_cannot_be_looked_up_is_an_error(client: Type, words: list[str], error: str, hint: str) -> None:
    result = client("check", *words)
    assert result.code == 2
    assert error in result.err
    assert hint in result.err
    assert "LISTED" not in result.out
    assert "not listed" not in result.out


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


@pytest.mark.parametrize("table", ["[[source]]\nname = 'hotline'", '[[ source ]] # ours\n  name = "hotline"'])
def test_init_adds_a_recipient_that_was_forgotten(both: Path, client: Type, table: str) -> None:
    """One line comes into the file; comments, other sources and tables stay."""
    config = both / "provider" / "vallum.toml"
    text = config.read_text().replace('[[source]]\nname = "hotline"', table) + '\n[source.headers]\nX = "y"\n'
    config.write_text("# ours\n" + text)
    assert client("keygen", "recipient.key", "--suite", "x25519").code == 0
    again = (
        "init",
        "--invitation",
        "../invitation.json",
        "--name",
        "hotline",
        "--recipient",
        "recipient.key",
    )
    assert client(*again).code == 0
    line = f'recipient = "{both / "provider" / "recipient.key"}"\n'
    assert config.read_text().replace(line, "") == "# ours\n" + text
    refused(client(*again), 2, "nothing is missing", "--name")
    assert client("sync").code == 0


def test_no_configuration(tmp_path: Path) -> None:
    for command in ("sync", "status", "verify"):
        refused(typed(["vallum", command], tmp_path), 2, "vallum.toml does not exist", "vallum init")
    refused(typed(["vallum", "check", LISTED], tmp_path), 2, "vallum.toml does not exist", "vallum init")
    assert not any(tmp_path.iterdir())


def test_a_path_that_would_write_on_the_terminal(tmp_path: Path) -> None:
    """A name with a line break, an escape sequence and bytes of no text: one line that shows them."""
    name = b"a\nerror: forged\x1b[2J\xff.toml".decode("utf-8", "surrogateescape")
    result = typed(["vallum", "-c", name, "status"], tmp_path)
    assert result.code == 2
    assert "\x1b" not in result.err
    assert not any(line.startswith("error: forged") for line in result.err.splitlines())
    assert r"a\nerror: forged\x1b[2J\udcff.toml does not exist" in result.err


def test_before_the_first_sync_nothing_counts_as_not_listed(both: Path, client: Type) -> None:
    shutil.rmtree(both / "provider" / "state")
    refused(client("check", LISTED), 2, "verified", "vallum sync")
    refused(client("status"), 4, "verified", "vallum sync")


@pytest.mark.parametrize("root", [b"{}", b"", b'{"signatures": [], "signed": {"_type": "root"}}'])
def test_what_is_no_root_file_changes_nothing(both: Path, client: Type, root: bytes) -> None:
    (both / "provider" / "hotline.root.json").write_bytes(root)
    before = in_force(client)
    result = client("sync")
    assert result.code == 2
    assert "error: " in result.err
    assert "root" in result.err
    assert "hint: " in result.err
    assert in_force(client) == before
    assert client("check", LISTED).code == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "/nowhere/at/all"])
def test_an_unreachable_store_changes_nothing(both: Path, client: Type, url: str) -> None:
    config = both / "provider" / "vallum.toml"
    config.write_text(re.sub(r'(?m)^url = ".*"$', f'url = "{url}"', config.read_text()))
    before = in_force(client)
    result = client("sync")
    assert result.code == 4, result.mixed
    assert "hotline failed; what was in force before stays in force" in result.err
    assert "error: " in result.err
    assert "hint: " in result.err
    assert in_force(client) == before
    assert client("check", LISTED).code == 0
    assert client("status").code == 0


def test_a_list_that_the_repository_does_not_have(both: Path, client: Type) -> None:
    config = both / "provider" / "vallum.toml"
    config.write_text(config.read_text().replace("pictures.full", "films.full"))
    result = client("sync")
    assert result.code == 2
    assert "error: the repository has no list named 'films'" in result.err
    assert "hint: it has: pictures, urls" in result.err
    assert client("status").code == 1
    assert client("check", LISTED).code == 2  # it is configured, so nothing can be called "not listed"


def test_a_damaged_table_is_said_and_mended(both: Path, client: Type) -> None:
    (table,) = (both / "provider" / "state" / "hotline" / "lists" / "urls.full").glob("*.exact")
    for damage in (lambda: table.write_bytes(table.read_bytes()[:10]), table.unlink):
        damage()
        for command, code in (("status", None), ("verify", None), ("check", 2)):
            result = client(command, *([LISTED] if command == "check" else []))
            assert result.code in ({3, 4} if code is None else {code}), result.mixed
            assert "error: " in result.err
            assert "vallum sync" in result.err
        assert client("sync").code == 0
        assert client("verify").code == 0


def test_a_tampered_store_is_refused_and_the_list_kept(both: Path, client: Type, publisher: Type) -> None:
    publisher("ingest", "urls", "-", "--add", stdin=b"https://b.example/\n")
    publisher("publish", "urls")
    for run in (both / "hotline" / "store" / "targets" / "urls.full").glob("*.run"):
        data = bytearray(run.read_bytes())
        data[-1] ^= 1
        run.chmod(0o644)
        run.write_bytes(data)
    result = client("sync")
    assert result.code == 3, result.mixed
    assert "hotline/urls.full failed; what was in force before stays in force" in result.err
    assert client("check", LISTED).code == 0
    assert client("check", "https://b.example/").code == 1


def test_a_full_disk_keeps_the_list_and_is_mended_by_the_next_sync(
    both: Path, client: Type, publisher: Type
) -> None:
    """No file may grow beyond 16 KiB: the same to a program as a disk that is full."""
    many = "".join(f"https://h{number}.example/\n" for number in range(3000))
    publisher("ingest", "urls", "-", "--add", stdin=many.encode())
    publisher("publish", "urls")
    before = in_force(client)

    def full_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14))

    program = Path(sys.executable).parent / "vallum"
    done = subprocess.run(
        [program, "sync"], cwd=both / "provider", capture_output=True, text=True, check=False,
        preexec_fn=full_disk,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "hotline/urls.full failed; what was in force before stays in force" in done.stderr
    assert "error: " in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert in_force(client) == before
    assert client("check", LISTED).code == 0
    assert client("sync").code == 0
    assert client("check", "https://h2999.example/").code == 0


def test_a_listed_file_is_found_by_what_it_holds(both: Path, client: Type, publisher: Type) -> None:
    from hashlib import sha256

    publisher("ingest", "pictures", "-", "--add", stdin=sha256(PICTURE).hexdigest().encode())
    publisher("publish", "pictures")
    client("sync")
    result = client("check", "--file", "../picture.png")
    assert result.code == 0
    assert "by sha256" in result.out


@pytest.mark.parametrize("word", ["--help", "-h", "--version"])
def test_help_and_version_are_no_errors(client: Type, word: str) -> None:
    result = client(word)
    assert result.code == 0
    assert result.err == ""


def test_an_unknown_command_is_an_error_with_a_hint(client: Type) -> None:
    refused(client("frob"), 2, "No such command 'frob'", "--help")
