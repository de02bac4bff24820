"""The provider's other commands as they are typed: sync, status and verify, and what must not harm a list."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import LISTED, Type
from tests.cli.said import refused
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
    assert client("check", LISTED).code == 0  # another list has it
    assert client("check", "https://clean.example/").code == 2  # it is configured: nothing is "not listed"


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


@pytest.mark.parametrize("word", ["--help", "-h", "--version"])
def test_help_and_version_are_no_errors(client: Type, word: str) -> None:
    result = client(word)
    assert result.code == 0
    assert result.err == ""


def test_an_unknown_command_is_an_error_with_a_hint(client: Type) -> None:
    refused(client("frob"), 2, "No such command 'frob'", "--help")


STOPPED_BETWEEN = """
import os, signal, sys
from pathlib import Path
from vallum.cli import main
from vallum.sync.watch import Watch

run, runs = Watch.run, []

def run_and_stop(watch):
    runs.append(watch)
    assert len(runs) == 1, "it went on"
    config = Path("vallum.toml")
    config.write_text(config.read_text().replace("[[source]]", "[[source]]\\ntimeout = 20"))
    outdated = run(watch)
    assert outdated
    os.kill(os.getpid(), signal.SIGTERM)
    return outdated

Watch.run = run_and_stop
sys.argv = ["vallum", "sync", "--watch"]
main()
"""


def test_a_stop_between_two_configurations(both: Path) -> None:
    """SIGTERM comes when polling by the old one has ended, and by the new one has not begun."""
    command = [sys.executable, "-c", STOPPED_BETWEEN]
    done = subprocess.run(command, cwd=both / "provider", capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
