"""``keys`` as it is typed: what it prints, for programs too, and what it refuses with nothing changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.said import everything, refused
from tests.typed import Result, typed

HOTLINE = ("vallum-publisher", "-C", "hotline")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    for words in (
        ["init", "--name", "Hotline", "--public-url", "hotline/store"],
        ["list", "create", "urls", "--kind", "url", "--public"],
        ["publish"],
    ):
        assert typed([*HOTLINE, *words], folder).code == 0
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template / "hotline", tmp_path / "hotline")
    return tmp_path


def _keys(folder: Path, *words: str) -> Result:
    return typed([*HOTLINE, "keys", *words], folder)


def _said(folder: Path, *words: str) -> Any:
    result = _keys(folder, *words, "--json")
    assert result.code == 0, result.mixed
    return json.loads(result.out)


def _held(folder: Path, role: str) -> list[dict[str, Any]]:
    return [each for each in _said(folder, "list") if each["role"] == role]


def test_every_change_by_command(folder: Path) -> None:
    added = _said(folder, "add", "urls.full", "--number", "2", "--threshold", "2")
    assert (added["roles"], len(added["added"]), added["removed"]) == (["urls.full"], 2, [])
    assert {(each["threshold"], each["keys"]) for each in _held(folder, "urls.full")} == {(2, 3)}
    gone = _held(folder, "urls.full")[0]
    removed = _said(folder, "remove", "urls.full", gone["key"][:8])
    assert removed["removed"] == [gone["key"]]
    _said(folder, "threshold", "urls", "1")
    assert {(each["threshold"], each["keys"]) for each in _held(folder, "urls.full")} == {(1, 2)}
    before = {each["key"] for each in _held(folder, "root")}
    done = _said(folder, "rotate", "offline", "--only", "file:keys/root-2.pem")
    assert done["root_version"] == 2
    assert len(before & {each["key"] for each in _held(folder, "root")}) == 2
    assert _said(folder, "renew")["root_version"] == 3
    assert (
        _said(folder, "replace-root", "--number", "1", "--threshold", "1", "--reason", "test")["root_version"]
        == 4
    )
    assert typed([*HOTLINE, "verify"], folder).code == 0
    assert "root, targets: signed and public, root version 5" in _keys(folder, "renew").out


def test_a_new_key_that_lies_elsewhere(folder: Path) -> None:
    """Its path is as one types it, relative to where one stands."""
    (folder / "safe").mkdir(mode=0o700)
    assert _keys(folder, "add", "urls").code == 0
    shutil.move(folder / "hotline/keys/urls.full-2.pem", folder / "safe/mine.pem")
    assert _keys(folder, "remove", "urls", "file:keys/urls.full-2.pem").code == 0
    assert _keys(folder, "rotate", "urls", "--new", "file:safe/mine.pem").code == 0
    [held] = _held(folder, "urls.full")
    assert (held["reach"], held["signer"]) == ("here", f"file:{folder}/safe/mine.pem")


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        ("rotate nobody", 2, "there is no role 'nobody'", "roles: offline, online"),
        ("rotate root --only ffffffff", 2, "names no key, or more than one", "keys: "),
        ("rotate urls --new file:nowhere.pem", 2, "there is no key file", "say where: --sign-with file:"),
        ("renew --sign-with stick/root-1.pem", 2, "kind of place", "file:stick/root-1.pem"),
        ("rotate urls --new pigeon:coop", 2, "keys cannot be at pigeon:", "file:PATH"),
        ("add root --new file:hotline/keys/online.pem", 3, "also an online key", "call the publisher"),
        ("remove offline file:keys/root-1.pem --threshold 3", 2, "3 of 2 keys cannot sign", "at most"),
        ("threshold urls 2", 2, "urls.full: 2 of 1 keys cannot sign", "at most"),
        ("renew online", 2, "is renewed by `refresh`", "offline"),
        ("rotate online urls --new file:hotline/keys/root-1.pem", 2, "would be shared", "one after"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    folder: Path, words: str, code: int, error: str, hint: str
) -> None:
    before = everything(folder)
    refused(_keys(folder, *words.split()), code, error, hint)
    assert everything(folder) == before


def test_a_list_with_new_keys_by_command(folder: Path) -> None:
    [old] = _held(folder, "urls.full")
    words = ["list", "new-generation", "urls", "--new-keys", "--reason", "stolen", "--json"]
    done = json.loads(typed([*HOTLINE, *words], folder).out)
    assert (done["generation"], done["version"]) == (2, 1)
    [new] = _held(folder, "urls.full")
    assert new["key"] != old["key"]
    assert old["key"] not in (folder / "hotline/keys/signers.toml").read_text()
    before = everything(folder)
    refused(typed([*HOTLINE, *words], folder), 2, "generation 2 began at", "--again")
    assert everything(folder) == before, "no keys were made for it"
    words = ["list", "new-generation", "urls", "--new-pepper", "--again", "--reason", "leaked"]
    refused(typed([*HOTLINE, *words], folder), 2, "urls is public: it has no pepper", "")


SIGNING = (
    "list create more --kind url --public",
    "list new-generation urls --reason test",
    "keys rotate online",
    "keys add urls",
    "keys remove offline file:keys/root-3.pem",
    "keys threshold urls 1",
    "keys renew",
)


@pytest.mark.parametrize("words", SIGNING)
def test_keys_on_a_stick_are_asked_for_by_the_option_that_names_them(folder: Path, words: str) -> None:
    """Nothing becomes of it by trying again, so the exit code is not 4; with the option it is done."""
    (folder / "stick").mkdir(mode=0o700)
    named = []
    for number in (1, 2):
        (folder / f"hotline/keys/root-{number}.pem").rename(folder / f"stick/root-{number}.pem")
        named += ["--sign-with", f"file:stick/root-{number}.pem"]
    before = everything(folder)
    without = typed([*HOTLINE, *words.split()], folder)
    refused(without, 2, "there is no key file", "--sign-with file:/media/stick/")
    assert ", 1 can be reached from here" in without.err
    assert everything(folder) == before
    done = typed([*HOTLINE, *words.split(), *named], folder)
    assert done.code == 0, done.mixed


def test_two_people_release_a_list_together(folder: Path) -> None:
    """One key of each edition is here, the other with somebody else: neither publishes or rotates alone."""
    words = ["list", "create", "sealed", "--kind", "url", "--keys", "2", "--threshold", "2"]
    assert typed([*HOTLINE, *words], folder).code == 0
    (folder / "hers").mkdir(mode=0o700)
    named = []
    for stream in ("sealed.full", "sealed.match"):
        (folder / f"hotline/keys/{stream}-2.pem").rename(folder / f"hers/{stream}-2.pem")
        named += ["--sign-with", f"file:hers/{stream}-2.pem"]
    store = folder / "hotline/store"
    before = everything(store / "metadata")
    alone = typed([*HOTLINE, "publish", "sealed"], folder)
    refused(alone, 2, "there is no key file", "--sign-with file:")
    assert "2 keys must sign sealed.full, 1 can be reached from here" in alone.err
    assert everything(store / "metadata") == before
    hers_alone = folder / "hotline/keys/sealed.full-1.pem"
    hers_alone.rename(folder / "his.pem")
    assert typed([*HOTLINE, "publish", "sealed", *named], folder).code == 2
    (folder / "his.pem").rename(hers_alone)
    together = typed([*HOTLINE, "publish", "sealed", *named], folder)
    assert (together.code, "published sealed version 1.1" in together.out) == (0, True), together.mixed
    assert typed([*HOTLINE, "recipients", "rotate", "sealed"], folder).code == 2
    assert typed([*HOTLINE, "recipients", "rotate", "sealed", *named], folder).code == 0
    assert typed([*HOTLINE, "refresh", *named], folder).code == 0
    assert typed([*HOTLINE, "verify"], folder).code == 0


def test_an_invitation_of_yesterday_shows_a_fingerprint_that_status_knows(folder: Path) -> None:
    """On the telephone two fingerprints look like an attack: the hotline must know each that it ever sent."""
    sent = json.loads(typed([*HOTLINE, "invite", "--output", "old.json", "--json"], folder).out)
    rotated = _keys(folder, "rotate", "online")
    status = typed([*HOTLINE, "status"], folder).out.splitlines()
    assert status[0] == f"root version 2, fingerprint {rotated.out.split('from now on: ')[1].strip()}"
    assert status[1].startswith(
        f"root version 1, fingerprint {sent['fingerprint']}: invitations sent before 20"
    )
    assert status[1].endswith("show it, and still work")
    assert "former one" in rotated.err
    follow = ["vallum"]
    config = ["--invitation", "old.json", "--name", "hotline", "--json"]
    shown = json.loads(typed([*follow, "init", *config], folder).out)
    assert shown["root_fingerprint"] == sent["fingerprint"].replace(" ", "")
    assert typed([*follow, "sync"], folder).code == 0
    again = json.loads(typed([*HOTLINE, "invite", "--output", "new.json", "--json"], folder).out)
    assert [root["fingerprint"] for root in again["roots"]] == [again["fingerprint"], sent["fingerprint"]]
    lost = _said(folder, "replace-root", "--reason", "test")
    roots = json.loads(typed([*HOTLINE, "status", "--json"], folder).out)["roots"]
    assert [(root["version"], root["leads"]) for root in roots] == [(3, True), (2, False), (1, False)]
    assert roots[0]["fingerprint"] == lost["fingerprint"]
    assert _said(folder, "rotate", "urls")["fingerprint"] == "", "a list's keys do not stand in root"
