"""A store that loses or damages what it was given, when it is given it or any day after."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.careless_store import CarelessStore, Slip, altered
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.memory_store import MemoryStore
from tests.release.scenes import HASHES, NOW, URLS, digest, fill, listed_values, publisher, url
from vallum.errors import DataError, StateError, VallumError
from vallum_publisher.errors import DamageError, LostError
from vallum_publisher.release.course import Course
from vallum_publisher.release.publisher import Publisher

slips = pytest.mark.parametrize("slip", list(Slip), ids=lambda slip: slip.name.lower())
WHEN_ACCEPTED = {
    "run": r"targets/.*",
    "role": r"metadata/\d+\.urls\.full\.json",
    "packed role": r"metadata/\d+\.urls\.full\.json\.zst",
    "snapshot": r"metadata/\d+\.snapshot\.json",
    "packed snapshot": r"metadata/\d+\.snapshot\.json\.zst",
}


def _memory(scene: Publisher) -> MemoryStore:
    assert isinstance(scene.store, MemoryStore)
    return scene.store


@contextmanager
def _careless(scene: Publisher, slip: Slip, pattern: str, times: int) -> Iterator[Publisher]:
    with publisher(scene.workspace, CarelessStore(scene.store, slip, pattern, times)) as careless:
        yield careless


def _values(scene: Publisher, stream: str = "urls.full") -> set[bytes]:
    """What a new client gets."""
    return listed_values(scene.store, scene.workspace.root_bytes(), stream)


def _harm(scene: Publisher, pattern: str, slip: Slip) -> list[str]:
    """Let the store lose or alter objects that it has had for long."""
    objects = _memory(scene)._objects
    hit = [key for key in objects if re.fullmatch(pattern, key)]
    for key in hit:
        held = objects.pop(key)
        if slip is Slip.ALTERED:
            objects[key] = replace(held, data=altered(held.data))
    return hit


@pytest.fixture
def listed(scene: Publisher) -> Publisher:
    """Two lists at version 1, and changes of both that wait."""
    scene.create_list(URLS, now=NOW)
    scene.create_list(HASHES, now=NOW)
    fill(scene.catalog, "urls", [url("a.example/x")])
    fill(scene.catalog, "hashes", [digest(1)])
    scene.publish("urls", now=NOW)
    scene.publish("hashes", now=NOW)
    fill(scene.catalog, "urls", [url("b.example/y")])
    return scene


@slips
@pytest.mark.parametrize("what", WHEN_ACCEPTED)
def test_what_a_store_loses_or_damages_at_once_is_uploaded_again(
    listed: Publisher, what: str, slip: Slip
) -> None:
    """Nobody has another copy. Found after the commit it would be too late."""
    with _careless(listed, slip, WHEN_ACCEPTED[what], 1) as scene:
        assert scene.publish("urls", now=NOW).version == 2
        assert isinstance(scene.store, CarelessStore)
        assert not scene.store.times
        scene.verify()
    assert _values(listed) == {b"\x01b.example/y"}


@pytest.mark.parametrize(
    ("what", "slip"),
    [*((what, slip) for what in WHEN_ACCEPTED for slip in Slip), ("timestamp", Slip.LOST)],
    ids=lambda value: value.name.lower() if isinstance(value, Slip) else value,
)
def test_a_store_that_keeps_on_doing_so_moves_no_head_and_is_named(
    listed: Publisher, what: str, slip: Slip
) -> None:
    pattern = WHEN_ACCEPTED.get(what, "metadata/timestamp.json")
    with (
        _careless(listed, slip, pattern, 99) as scene,
        pytest.raises(DamageError, match=r"does not keep what it accepts|other bytes than it was given"),
    ):
        scene.publish("urls", now=NOW)
    assert _values(listed) == {b"\x01a.example/x"}
    # On a sound store the same command finishes what was begun.
    assert listed.publish("urls", now=NOW).versions == (2,)
    listed.verify()


def test_every_upload_is_read_back_once_before_the_head_leads_to_it(listed: Publisher) -> None:
    """A read for each upload: what a publication costs more than before is its small files, read once."""
    counting = CarelessStore(FaultyStore(listed.store))
    with publisher(listed.workspace, counting) as scene:
        scene.publish("urls", now=NOW)
    assert isinstance(counting.inner, FaultyStore)
    written = [write.key for write in counting.inner.writes]
    assert len(written) == 7
    swapped = max(at for at, key in enumerate(counting.reads) if key.endswith("snapshot.json.zst"))
    for key in written[:-1]:
        assert key in counting.reads[: swapped + 1]
    runs = [key for key in counting.reads if key.startswith("targets/")]
    assert sorted(runs) == sorted(key for key in written if key.startswith("targets/"))


@slips
@pytest.mark.parametrize("command", ["publish", "refresh"])
def test_a_snapshot_that_is_gone_is_made_anew(listed: Publisher, command: str, slip: Slip) -> None:
    """Only the online key is needed. Without, every list would end when the timestamp does."""
    number = listed.repository.tip().number("snapshot")
    (key,) = _harm(listed, rf"metadata/{number}\.snapshot\.json", slip)
    _harm(listed, rf"metadata/{number}\.snapshot\.json\.zst", Slip.LOST)
    with pytest.raises(VallumError, match=r"snapshot|length or hash is not the signed one"):
        _values(listed)
    with publisher(listed.workspace, listed.store) as scene:
        assert any(key in warning and "run refresh" in warning for warning in scene.status(now=NOW).warnings)
        with pytest.raises(LostError, match="snapshot") as refused:
            scene.gc(now=NOW + timedelta(days=9))
        assert "refresh" in refused.value.hint
        if command == "publish":
            assert scene.publish("urls", now=NOW).version == 2
        else:
            done = scene.refresh(now=NOW)
            assert (done.streams, done.snapshot, done.timestamp, done.refused) == ((), True, True, {})
        assert scene.repository.tip().number("snapshot") > number
        assert not scene.status(now=NOW).warnings
        scene.publish("urls", now=NOW)
        scene.verify()
    assert _values(listed) == {b"\x01b.example/y"}
    assert len(_values(listed, "hashes.full")) == 1


def test_an_old_list_is_not_signed_anew_with_the_snapshot(listed: Publisher) -> None:
    """The store hides the newest role with the snapshot that names it: what is left is yesterday's list."""
    listed.publish("urls", now=NOW)
    tip = listed.repository.tip()
    _harm(listed, rf"metadata/{tip.number('snapshot')}\.snapshot\.json.*", Slip.LOST)
    _harm(listed, rf"metadata/{tip.number('urls.full')}\.urls\.full\.json.*", Slip.LOST)
    head = listed.store.get("metadata/timestamp.json")
    with publisher(listed.workspace, listed.store) as scene:
        fill(scene.catalog, "hashes", [digest(2)])
        for command in (lambda: scene.refresh(now=NOW), lambda: scene.publish("hashes", now=NOW)):
            with pytest.raises(StateError, match=r"urls: the store is at version 1\.1, the catalog at 1\.2"):
                command()
    assert listed.store.get("metadata/timestamp.json") == head


@slips
def test_a_list_role_that_is_gone_is_signed_anew_from_the_one_before(listed: Publisher, slip: Slip) -> None:
    later = NOW + timedelta(hours=25)
    listed.refresh(now=later)
    number = listed.repository.tip().number("urls.full")
    (key,) = _harm(listed, rf"metadata/{number}\.urls\.full\.json", slip)
    _harm(listed, rf"metadata/{number}\.urls\.full\.json\.zst", Slip.LOST)
    with publisher(listed.workspace, listed.store) as scene:
        assert any(key in warning for warning in scene.status(now=later).warnings)
        with pytest.raises(LostError):
            scene.gc(now=later + timedelta(days=9))
        done = scene.refresh(now=later)
        assert (done.streams, done.refused) == (("urls.full",), {})
        assert scene.repository.tip().number("urls.full") > number
        assert scene.publish("urls", now=later).version == 2
        scene.verify()


@slips
def test_a_list_role_that_cannot_be_made_anew_stops_its_list_alone(listed: Publisher, slip: Slip) -> None:
    number = listed.repository.tip().number("urls.full")
    _harm(listed, r"metadata/\d+\.urls\.full\.json.*", slip)
    later = NOW + timedelta(hours=25)
    with publisher(listed.workspace, listed.store) as scene:
        done = scene.refresh(now=later)
        assert done.streams == ("hashes.full",)
        assert f"{number}.urls.full.json" in done.refused["urls.full"]
        (urls,) = (one for one in scene.status(now=later).lists if one.name == "urls")
        assert f"{number}.urls.full.json" in urls.problem
        fill(scene.catalog, "hashes", [digest(2)])
        assert scene.publish("hashes", now=later).version == 2
        assert scene.new_generation("urls", reason="the store lost it", now=later).version == 1
        scene.verify()


@slips
def test_a_run_that_is_gone_before_its_version_was_read_back_is_made_again(
    listed: Publisher, monkeypatch: pytest.MonkeyPatch, slip: Slip
) -> None:
    """Killed after the commit. Else nothing more could be published, removals neither."""

    class Killed(BaseException):
        pass

    def die(*_args: object, **_named: object) -> bool:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Course, "_confirm", die)
        with pytest.raises(Killed):
            listed.publish("urls", now=NOW)
    assert len(_harm(listed, r"targets/urls\.full/.*-2\.run", slip)) == 2
    with publisher(listed.workspace, listed.store) as scene:
        assert scene.publish("urls", now=NOW).versions == (2,)
        fill(scene.catalog, "urls", [])
        assert scene.publish("urls", now=NOW).version == 3
        scene.verify()
    assert _values(listed) == set()


def test_a_packed_twin_that_is_no_frame_is_named_with_a_way_out(listed: Publisher) -> None:
    number = listed.repository.tip().number("urls.full")
    (key,) = _harm(listed, rf"metadata/{number}\.urls\.full\.json\.zst", Slip.ALTERED)
    with pytest.raises(DataError, match=re.escape(key)) as refused:
        listed.verify()
    assert "delete it" in refused.value.hint


def test_a_publisher_who_finds_a_damaged_run_is_not_told_to_tell_the_publisher(listed: Publisher) -> None:
    _harm(listed, r"targets/urls\.full/.*-1\.run", Slip.ALTERED)
    with pytest.raises(DataError, match="not the signed one") as refused:
        listed.verify()
    assert "copy of the store" in refused.value.hint
