"""`vallum check` as it is typed: what is listed, what is not, and what has no answer."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.conftest import LISTED, PICTURE, Type
from tests.cli.said import documents, refused


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


@pytest.mark.parametrize(
    ("followed", "words", "error"),
    [
        ("urls", ["--file", "../picture.png"], "no list in force holds digests"),
        ("urls", ["--digest", "0" * 64], "no list in force holds sha256 digests"),
        ("pictures", ["--digest", f"sha1:{'0' * 40}"], "no list in force holds sha1 digests"),
        ("pictures", [LISTED], "no list in force holds URLs"),
        ("pictures", ["--explain", LISTED], "no list in force holds URLs"),
    ],
)
def test_what_no_list_is_about_is_not_called_not_listed(
    both: Path, client: Type, followed: str, words: list[str], error: str
) -> None:
    config = both / "provider" / "vallum.toml"
    config.write_text(re.sub("lists = .*", f'lists = ["{followed}"]', config.read_text()))
    assert client("sync").code == 0
    result = client("check", *words)
    assert result.code == 2, result.mixed
    assert error in result.err
    assert "hint: `vallum status` shows which lists are followed" in result.err
    assert "not listed" not in result.out.lower()


@pytest.mark.parametrize("words", [[], ["--explain"]])
@pytest.mark.parametrize("digest", ["7C6F3AE2C8A4F0D6B8FF5D1F8DCF9A1E", "0" * 40, f"sha256:{'0' * 64}"])
def test_a_digest_that_was_asked_as_a_url(client: Type, digest: str, words: list[str]) -> None:
    """The first one is listed: as a host's name it is not."""
    result = client("check", *words, digest)
    assert result.code == 2, result.mixed
    assert "this is not one URL: it is a digest" in result.err
    assert "--digest" in result.err
    assert "not listed" not in result.out.lower()


@pytest.mark.parametrize("name", ["./urls.txt", "../provider/urls.txt", "{}/urls.txt"])
def test_a_path_that_was_asked_as_a_url(both: Path, client: Type, name: str) -> None:
    (both / "provider" / "urls.txt").write_text(LISTED)
    result = client("check", name.format(both / "provider"))
    assert result.code == 2
    assert "hint: this is a file here" in result.err


def test_a_file_that_was_asked_as_a_url(both: Path, client: Type) -> None:
    (both / "provider" / "urls.txt").write_text(LISTED)
    result = client("check", "urls.txt")
    assert result.code == 1
    assert "hint: this is a file here" in result.err
    assert "hint: URL 2: is a file here" in client("check", LISTED, "urls.txt").err
    assert "is a file" not in client("check", "clean.example", "a" * 5000).err


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
    assert "not listed" not in result.out.lower()


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


def test_a_listed_file_is_found_by_what_it_holds(both: Path, client: Type, publisher: Type) -> None:
    publisher("ingest", "pictures", "-", "--add", stdin=f"{sha256(PICTURE).hexdigest()}\n".encode())
    publisher("publish", "pictures")
    client("sync")
    result = client("check", "--file", "../picture.png")
    assert result.code == 0
    assert "by sha256" in result.out


@contextmanager
def _asking(folder: Path) -> Iterator[Callable[[], str]]:
    """A command that answers lines while they come; asks the listed page, and returns the answer."""
    program = Path(sys.executable).parent / "vallum"
    with subprocess.Popen(
        [program, "check", "-"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, bufsize=1,
    ) as reading:  # fmt: skip

        def ask() -> str:
            assert reading.stdin is not None
            assert reading.stdout is not None
            reading.stdin.write(f"{LISTED}\n")
            return reading.stdout.readline()

        yield ask
        assert reading.stdin is not None
        assert reading.stdout is not None
        reading.stdin.close()
        reading.stdout.read()  # what it says at its end
    assert reading.returncode == 0


def test_another_generation_while_lines_still_come(both: Path, client: Type, publisher: Type) -> None:
    """The answers name the version that is in force then, not the one at the start."""
    with _asking(both / "provider") as ask:
        assert "hotline/urls version 1.1 as url" in ask()
        assert publisher("list", "new-generation", "urls", "--reason", "a wanted change").code == 0
        assert client("sync").code == 0
        time.sleep(1.1)  # lists are looked at again once a second
        assert "hotline/urls version 2.1 as url" in ask()


def test_a_page_is_taken_off_while_lines_still_come(both: Path, client: Type, publisher: Type) -> None:
    """Something else is allowed: that is not why the page is listed no more."""
    why = ("--until", "2h", "--reason", "ours")
    assert client("allow", "add", "https://shop.example/", *why).code == 0
    with _asking(both / "provider") as ask:
        assert "hotline/urls version 1.1 as url" in ask()
        assert publisher("ingest", "urls", "-", "--remove", stdin=f"{LISTED}\n".encode()).code == 0
        assert publisher("publish", "urls").code == 0
        assert client("sync").code == 0
        time.sleep(1.1)
        assert ask() == "line 2: not listed\n"


def test_a_page_is_allowed_while_lines_still_come(both: Path, client: Type) -> None:
    """The answer names what was allowed since the start, not a reason left empty."""
    until = ["--until", "1h", "--reason"]
    assert client("allow", "add", "https://other.example/x", *until, "another page").code == 0
    with _asking(both / "provider") as ask:
        assert "hotline/urls version" in ask()
        assert client("allow", "add", LISTED, *until, "ours, by mistake").code == 0
        time.sleep(1.1)  # what is allowed is looked at again once a second
        assert "ours, by mistake" in ask()


def test_a_list_that_no_sync_can_bring(both: Path, client: Type) -> None:
    """ "Run sync first" would be no help: it ran, and its own error says what to do."""
    config = both / "provider" / "vallum.toml"
    config.write_text(config.read_text().replace("lists = [", 'lists = ["mistyped.full", '))
    failed = client("sync")
    assert failed.code == 2, failed.mixed
    [hint] = [line for line in failed.err.splitlines() if line.startswith("hint: ")]
    for words in (["check", "https://clean.example/"], ["export", "csv", "--output", "-"]):
        result = client(*words)
        assert result.code != 0
        assert "no verified version of hotline/mistyped.full: each sync has failed since" in result.err
        assert hint in result.err


def test_a_list_that_has_nothing_yet(both: Path, client: Type, publisher: Type) -> None:
    """It is followed and unpublished: what is listed is said, and nothing is called "not listed"."""
    assert publisher("list", "create", "more", "--kind", "url", "--public").code == 0
    config = both / "provider" / "vallum.toml"
    config.write_text(config.read_text().replace("lists = [", 'lists = ["more.full", '))
    assert "unpublished" in client("sync").out
    found = client("check", LISTED)
    assert (found.code, "LISTED" in found.out, "hotline/more.full" in found.err) == (0, True, True)
    for words in (
        ["https://clean.example/"],
        ["--digest", "0" * 64],
        ["--explain", "https://clean.example/"],
    ):
        result = client("check", *words)
        assert result.code == 2, result.mixed
        assert "but: no verified version of hotline/more.full" in result.err
        assert "hint: run `vallum sync`" in result.err
        assert "not listed" not in result.out.lower()
    [answer] = documents(client("check", "--json", "https://clean.example/"))
    assert isinstance(answer, dict)
    assert answer["listed"] is None
    several = client("check", "https://clean.example/", LISTED)
    assert several.code == 0
    assert "error: URL 1: not in what could be looked up" in several.err
