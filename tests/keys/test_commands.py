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
        ("rotate urls --new file:nowhere.pem", 4, "nowhere.pem", ""),
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
    words = ["list", "new-generation", "urls", "--new-pepper", "--reason", "leaked"]
    refused(typed([*HOTLINE, *words], folder), 2, "urls is public: it has no pepper", "")
