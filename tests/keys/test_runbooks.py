"""The runbooks are played: what they show comes back, no machine loses its list, and what is lost is over.

The provider does what the page says. The registry goes on syncing by itself after every command, and both
must have the listed page in force at any time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import same
from tests.keys.runbooks import (
    FOLDER,
    LISTED,
    LOSSES,
    MACHINES,
    copy,
    found,
    in_force,
    publishing,
    signer,
    steps,
)
from tests.keys.scenes import Thief
from tests.typed import Result, typed
from vallum.invitation import parse_invitation, root_fingerprint
from vallum.journal import read_journal
from vallum_publisher.release.repository import TIMESTAMP_KEY


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runbooks") / "template"
    folder.mkdir()
    found(folder)
    return folder


def _machine(folder: Path, name: str, *words: str) -> Result:
    return typed(["vallum", "-c", f"{name}/vallum.toml", *words], folder)


def _play(folder: Path, page: str) -> None:
    """Play a page; after each command nobody's list is gone, or older than it was."""
    held = {name: in_force(folder, name) for name in MACHINES}
    for step, actual in steps(page, folder):
        assert same(step.expected, actual), "\n".join(
            [f"$ {step.command}", "--- the page shows", *step.expected, "--- what came back", *actual]
        )
        _machine(folder, "registry", "sync")  # it may fail; that it loses nothing is asserted
        for name in MACHINES:
            assert in_force(folder, name) >= held[name], step.command
            held[name] = in_force(folder, name)
            assert _machine(folder, name, "check", LISTED).code == 0, step.command


@pytest.mark.parametrize("page", LOSSES)
def test_a_runbook_does_what_it_shows(template: Path, tmp_path: Path, page: str) -> None:
    folder = tmp_path / page
    copy(template, folder)
    old = {path.name: path for path in _keys_before(folder, tmp_path)}
    LOSSES[page](folder)
    _play(folder, page)
    if page == "lost-root":
        _follow_the_new_root(folder)
    _goes_on(folder)
    if page in AFTER:
        AFTER[page](folder, old)


def _keys_before(folder: Path, tmp_path: Path) -> list[Path]:
    """Copies of all key files, as a thief who came once has them."""
    shutil.copytree(folder / "hotline/keys", tmp_path / "stolen")
    return list((tmp_path / "stolen").glob("*.pem"))


def _goes_on(folder: Path) -> None:
    """The publisher publishes, and both machines follow to what it published."""
    (folder / "news.txt").write_text("https://hidden.example/secret/9.html\n")
    for words in (["ingest", "urls", "news.txt", "--add"], ["publish"], ["verify"], ["refresh"]):
        result = typed(["vallum-publisher", "-C", "hotline", *words], folder)
        assert result.code == 0, result.mixed
    with publishing(folder) as publisher:
        info = publisher.catalog.get_list("urls")
    for name in MACHINES:
        result = _machine(folder, name, "sync")
        assert result.code == 0, result.mixed
        assert in_force(folder, name) == (info.generation, info.version)
        assert _machine(folder, name, "check", "https://hidden.example/secret/9.html").code == 0


def _follow_the_new_root(folder: Path) -> None:
    """The registry is told as well; its journal has what was done, and its floor has not sunk."""
    refused = _machine(folder, "registry", "sync")
    assert refused.code == 3
    data = (folder / "new.json").read_bytes()
    fingerprint = root_fingerprint(parse_invitation(data).root)
    words = ["init", "--invitation", "new.json", "--name", "hotline", "--replace-root", "--fingerprint"]
    wrong = _machine(folder, "registry", *words, fingerprint.replace("a", "b").replace("0", "a"))
    assert wrong.code == 2
    assert "fingerprint" in wrong.err
    assert _machine(folder, "registry", *words, fingerprint).code == 0
    [line] = [line for line in read_journal(folder / "registry/state") if line["what"] == "root replaced"]
    assert (line["before"], line["version"], line["new"]) == (1, 2, fingerprint)
    # An invitation of the first day would bring the lost root back.
    first = ["init", "--invitation", "registry.json", "--name", "hotline", "--replace-root", "--fingerprint"]
    assert _machine(folder, "registry", "sync").code == 0
    old = root_fingerprint(parse_invitation((folder / "registry.json").read_bytes()).root)
    result = _machine(folder, "registry", *first, old)
    assert result.code == 2
    assert "was verified here before" in result.err


def _a_thief_comes_back(folder: Path, old: dict[str, Path]) -> None:
    """What the stolen keys sign from now on is refused, and the list stays."""
    with publishing(folder) as publisher:
        honest = publisher.store.get(TIMESTAMP_KEY)
        assert honest is not None
        tip = publisher.repository.tip()
        roles = {"urls.match": publisher.repository.list_role(tip, "urls.match")}
        keys = {name: signer(old[f"{name}.pem"]) for name in ("online", "urls.match-1")}
        Thief(publisher, keys["online"], keys["urls.match-1"]).jump(10**7, roles)
        before = {name: in_force(folder, name) for name in MACHINES}
        for name in MACHINES:
            assert _machine(folder, name, "sync").code == 3
            assert in_force(folder, name) == before[name]
            assert _machine(folder, name, "check", LISTED).code == 0
        held = publisher.store.get(TIMESTAMP_KEY)
        assert held is not None
        assert held.data != honest.data


AFTER: dict[str, Callable[[Path, dict[str, Path]], None]] = {
    "stolen-online-key": _a_thief_comes_back,
    "stolen-list-key": _a_thief_comes_back,
}


def test_every_runbook_is_played_and_listed() -> None:
    pages = {path.stem for path in FOLDER.glob("*.md")} - {"README"}
    assert pages == set(LOSSES)
    index = (FOLDER / "README.md").read_text()
    assert all(f"({page}.md)" in index for page in pages)
