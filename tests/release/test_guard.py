"""The guard rails at the publisher's end, and the new generation that alone leads beyond them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.release.scenes import NOW, URLS, fill, listed_values, publisher, read_tables, url
from vallum.errors import ConfigError, GuardError, StateError, StorageError
from vallum.expression import Scope
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Workspace, open_workspace

DAY = timedelta(days=1)
PAGES = [url(f"bad{number}.example/") for number in range(400)]


@pytest.fixture
def urls(scene: Publisher) -> Publisher:
    """A list of 400 pages at version 1."""
    scene.create_list(URLS, now=NOW)
    fill(scene.catalog, "urls", PAGES)
    scene.publish("urls", now=NOW)
    return scene


def refused(scene: Publisher, part: str) -> GuardError:
    """Publishing is refused, and leaves the store as it was and the changes where they were."""
    before = scene.status(now=NOW)
    root = scene.workspace.root_bytes()
    was = listed_values(scene.store, root, "urls.full")
    changes = len(scene.catalog.pending_changes("urls", now=NOW))
    with pytest.raises(GuardError, match=part) as raised:
        scene.publish("urls", now=NOW)
    assert listed_values(scene.store, root, "urls.full") == was
    assert len(scene.catalog.pending_changes("urls", now=NOW)) == changes
    assert scene.catalog.pending_version("urls") is None
    assert scene.status(now=NOW) == before
    assert "new-generation urls" in raised.value.hint
    return raised.value


def test_a_feed_that_was_cut_short(urls: Publisher) -> None:
    """An intake of half a file: refused; the whole file an hour later is published as if nothing had been."""
    fill(urls.catalog, "urls", PAGES[:90])
    refused(urls, "91 rows")
    fill(urls.catalog, "urls", [*PAGES, url("new.example/")])
    assert urls.publish("urls", now=NOW).version == 2


def test_what_adds_up_over_a_week(urls: Publisher) -> None:
    """Steps that are small by themselves: the window goes with each version, for a week."""
    hosts = [url(f"shop{number}.example", scope=Scope.HOST) for number in range(80)]
    fill(urls.catalog, "urls", PAGES + hosts[:30])
    urls.publish("urls", now=NOW)
    fill(urls.catalog, "urls", PAGES + hosts[:60])
    refused(urls, "60 rows of whole hosts")
    # A client that polls daily sees what we publish up to a day later: our week has eight days.
    with pytest.raises(GuardError):
        urls.publish("urls", now=NOW + 7 * DAY + timedelta(hours=20))
    assert urls.publish("urls", now=NOW + 8 * DAY + timedelta(hours=4)).version == 3


def test_growth_without_end(urls: Publisher) -> None:
    fill(urls.catalog, "urls", [url(f"h{number}.example/") for number in range(10_001)])
    refused(urls, "at most 10,000")


def test_a_wanted_change(urls: Publisher) -> None:
    """The new generation has the whole catalog, another epoch, and its own limits; nothing else changes."""
    fill(urls.catalog, "urls", PAGES[:90])
    refused(urls, "91 rows")
    uid = urls.catalog.get_list("urls").uid
    done = urls.new_generation("urls", reason="the list was split", now=NOW)
    assert (done.generation, done.version, sum(done.rows.values())) == (2, 1, 91)
    assert urls.catalog.get_list("urls").uid == uid
    found = read_tables(urls.store, urls.workspace.root_bytes(), "urls.full")
    assert found is not None
    head, _ = found
    assert (head.generation, head.version, [run.epoch for run in head.runs]) == (2, 1, [2])
    urls.verify()
    fill(urls.catalog, "urls", PAGES[:80])
    assert (urls.publish("urls", now=NOW).generation, urls.catalog.get_list("urls").version) == (2, 2)
    said = [record.details for record in urls.catalog.audit() if record.action == "new generation"]
    assert [details["reason"] for details in said] == ["the list was split"]


def test_another_generation_within_a_day_must_be_asked_for(urls: Publisher) -> None:
    """On a bad night the same command is given twice: by somebody else, or for want of patience."""
    urls.new_generation("urls", reason="stolen", now=NOW)
    objects, audit = urls.catalog.get_list("urls"), list(urls.catalog.audit())
    head = urls.store.get("metadata/timestamp.json")
    soon = NOW + timedelta(hours=23)
    for refuse in (
        lambda: urls.new_generation("urls", reason="stolen", now=soon),
        lambda: urls.new_generation("urls", reason="stolen", now=NOW - DAY),  # a clock that went back
        lambda: urls.check_new_generation("urls", now=soon),
    ):
        with pytest.raises(ConfigError, match=r"generation 2 began at .*, less than a day ago$") as refused:
            refuse()
        assert "--again" in refused.value.hint
    assert (urls.catalog.get_list("urls"), list(urls.catalog.audit())) == (objects, audit)
    assert urls.store.get("metadata/timestamp.json") == head
    assert urls.new_generation("urls", reason="a wanted one", now=soon, again=True).generation == 3
    assert urls.new_generation("urls", reason="the next day", now=soon + DAY).generation == 4


def test_a_new_generation_of_a_list_that_was_never_created(scene: Publisher) -> None:
    with pytest.raises(ConfigError):
        scene.new_generation("urls", reason="none", now=NOW)


def test_a_restored_catalog(urls: Publisher, tmp_path: Path) -> None:
    """The catalog is yesterday's backup: it never signs a second history, and goes on by a new generation."""
    backup = tmp_path / "backup"
    urls.catalog.close()
    shutil.copytree(urls.workspace.folder, backup)
    with publisher(urls.workspace, urls.store) as today:
        fill(today.catalog, "urls", [*PAGES, url("today.example/")])
        today.publish("urls", now=NOW)
        today.new_generation("urls", reason="a first one", now=NOW)
    workspace = open_workspace(backup)
    with publisher(workspace, urls.store) as restored:
        with pytest.raises(StateError, match=r"the store is at version 2\.1, the catalog at 1\.1$") as raised:
            restored.publish("urls", now=NOW)
        assert "generation" in raised.value.hint
        done = restored.new_generation("urls", reason="restored from a backup", now=NOW)
        assert (done.generation, done.version) == (3, 1)
        assert len(listed_values(urls.store, workspace.root_bytes(), "urls.full")) == 400


class Stopped(Exception):
    pass


@pytest.mark.parametrize("at", range(8))
def test_a_new_generation_that_is_stopped_anywhere(
    urls: Publisher, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """At each write to the store the program dies: publishing says how to go on, and going on finishes it."""
    writes = 0

    def counted(method: str) -> None:
        real = getattr(urls.store, method)

        def write(*args: object) -> object:
            nonlocal writes
            writes += 1
            if writes == at + 1:
                raise Stopped
            return real(*args)

        monkeypatch.setattr(urls.store, method, write)

    counted("create")
    counted("replace")
    try:
        urls.new_generation("urls", reason="stopped", now=NOW)
    except Stopped:
        writes = -100
        with pytest.raises(StateError, match="not chartered"):
            urls.publish("urls", now=NOW)
        urls.new_generation("urls", reason="again", now=NOW)
    found = read_tables(urls.store, urls.workspace.root_bytes(), "urls.full")
    assert found is not None
    assert (found[0].generation, found[0].version) == (2, 1)
    urls.verify()


def with_never_block(scene: Publisher, text: str) -> Publisher:
    """The same publisher with a never-block list."""
    (scene.workspace.folder / "never-block.txt").write_text(text)
    workspace = Workspace(
        scene.workspace.folder,
        replace(scene.workspace.settings, never_block="never-block.txt"),
        lambda name: name,
    )
    return Publisher(workspace, catalog=scene.catalog, store=scene.store)


def test_names_that_no_list_may_cover(urls: Publisher) -> None:
    careful = with_never_block(urls, "# ours\nwww.emergency.example\n")
    fill(careful.catalog, "urls", [*PAGES, url("emergency.example", scope=Scope.DOMAIN)])
    refused(careful, "domain rows cover names on the never-block list")
    fill(careful.catalog, "urls", [*PAGES, url("www.emergency.example/page")])
    assert careful.publish("urls", now=NOW).version == 2


def test_a_never_block_list_younger_than_what_is_public(urls: Publisher) -> None:
    """The name is thought of when its row is out already: nothing is left to publish, and yet it is said."""
    wide = url("www.emergency.example", scope=Scope.HOST)
    fill(urls.catalog, "urls", [*PAGES, wide])
    urls.publish("urls", now=NOW)
    assert urls.status(now=NOW).lists[0].problem == ""
    careful = with_never_block(urls, "www.emergency.example\n")
    assert "never-block" in careful.status(now=NOW).lists[0].problem
    with pytest.raises(GuardError, match=r"version 1\.2 is public: 1 of its rows.* for line 1\)") as raised:
        careful.publish("urls", now=NOW)
    assert "emergency" not in str(raised.value)
    fill(careful.catalog, "urls", PAGES)
    assert careful.publish("urls", now=NOW).version == 3
    assert careful.publish("urls", now=NOW).versions == ()
    assert careful.status(now=NOW).lists[0].problem == ""


@pytest.mark.parametrize("text", ["www.emergency.example\n*.example\n", "a.example/x\n", None])
def test_a_broken_never_block_list_does_not_go_unnoticed(urls: Publisher, text: str | None) -> None:
    careful = with_never_block(urls, text or "")
    if text is None:
        (urls.workspace.folder / "never-block.txt").unlink()
    for ask in (lambda: careful.publish("urls", now=NOW), lambda: careful.status(now=NOW)):
        with pytest.raises((ConfigError, StorageError), match=r"never-block\.txt"):
            ask()
