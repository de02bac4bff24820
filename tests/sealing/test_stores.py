"""Encrypted lists where they really lie: in a bucket of SeaweedFS, behind nginx and a mirror; over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

import vallum
from tests.deploy.test_object_storage import BUCKET, weed_publisher
from tests.release.scenes import NOW, publisher, url
from tests.sealing.scenes import URLS
from tests.servers.nginx import StartNginx, start_origin_and_mirror
from tests.servers.s3 import S3Server, environment
from vallum.config import Config, Source
from vallum.errors import NotEntitledError, TrustError
from vallum.format.keypair import Suite, generate
from vallum.recipient import write_key
from vallum.sync.report import SyncReport
from vallum.sync.updater import Updater
from vallum_publisher.catalog import Mode
from vallum_publisher.recipients.custody import Member
from vallum_publisher.recipients.roster import Roster
from vallum_publisher.release.foundation import init_workspace
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Settings

# Names that do not compress, so many that deltas cost less than the whole.
FORMS = [f"{sha256(bytes((at,))).hexdigest()[:20]}.example/page" for at in range(200)]


class Machine:
    """A subscriber with a key, who knows an address and a root."""

    def __init__(self, desk: Publisher, folder: Path, address: str, stream: str = "urls.match") -> None:
        folder.mkdir()
        self.key = generate(Suite.X25519 if stream.endswith("full") else Suite.HYBRID)
        write_key(folder / "recipient.key", self.key)
        (folder / "root.json").write_bytes(desk.workspace.root_bytes())
        source = Source(
            "hotline", address, folder / "root.json", (stream,), recipient=folder / "recipient.key"
        )
        self.config = Config(folder / "state", (source,))

    def sync(self) -> SyncReport:
        return Updater(self.config).sync()

    def synced(self) -> tuple[int | None, list[tuple[int, int]]]:
        """The version in force and the runs that led there; it must succeed."""
        report = self.sync()
        assert report.ok, report.errors()
        [stream] = report.sources[0].streams
        return stream.after, list(stream.path)

    def listed(self, at: int) -> bool:
        with vallum.open(self.config.state) as lists:
            return bool(lists.match_url(f"https://{FORMS[at]}"))


@contextmanager
def _desk(folder: Path, store: str) -> Iterator[Publisher]:
    """A hotline whose one encrypted list is in a store."""
    workspace = init_workspace(folder, Settings(name="Example Hotline", store=store), now=NOW)
    with publisher(workspace, workspace.open_store()) as desk:
        desk.create_list(URLS, now=NOW)
        yield desk


def _publish(desk: Publisher, first: int) -> int:
    pepper = desk.custody.pepper(desk.catalog.get_list("urls"))
    records = [url(form) for form in FORMS[first:]]
    desk.catalog.apply("urls", records, mode=Mode.REPLACE, actor="test", now=NOW, pepper=pepper)
    return desk.publish("urls", now=NOW).version


def _live(desk: Publisher, address: str, folder: Path) -> None:
    """Let in, asked too early, changed, rotated, revoked: by the same addresses all the time."""
    roster = Roster(desk)
    one, two = Machine(desk, folder / "one", address), Machine(desk, folder / "two", address, "urls.full")
    roster.admit("urls.match", "one", one.key.public(), now=NOW)
    assert _publish(desk, 0) == 1
    assert one.synced() == (1, [(0, 1)])
    [(_, early)] = two.sync().errors()
    assert isinstance(early, NotEntitledError)
    roster.admit("urls.full", "two", two.key.public(), now=NOW)
    assert two.synced() == (1, [(0, 1)]), "that it was not there is remembered nowhere"
    for first in (1, 2, 3):
        _publish(desk, first)
    roster.rotate("urls", now=NOW)
    assert _publish(desk, 4) == 5
    for machine in (one, two):
        version, path = machine.synced()
        assert version == 5
        assert all(start for start, _ in path), "deltas lead over the change of keys"
        assert (machine.listed(3), machine.listed(4)) == (False, True)
    roster.revoke("urls.full", "two", now=NOW)
    assert _publish(desk, 5) == 6
    [(_, late)] = two.sync().errors()
    assert isinstance(late, NotEntitledError)
    assert two.listed(4), "the last good list stays in force"
    assert one.synced()[0] == 6
    assert {stream.version for stream in desk.verify()} == {6}


@pytest.fixture
def bucket(seaweedfs: S3Server) -> Iterator[S3Server]:
    """The bucket of `deploy/object-storage`, empty; anybody may read the objects, nobody else may write."""
    seaweedfs.make_bucket(BUCKET)
    _empty(seaweedfs)
    yield seaweedfs
    _empty(seaweedfs)


def _empty(server: S3Server) -> None:
    store = server.store(BUCKET)
    for item in list(store.list()):
        store.delete(item.key)


def test_in_a_bucket(bucket: S3Server, tmp_path: Path) -> None:
    with environment(weed_publisher()), _desk(tmp_path / "desk", bucket.uri(BUCKET)) as desk:
        _live(desk, f"{bucket.endpoint}/{BUCKET}", tmp_path)
        roster, store = Roster(desk), desk.store
        members = [Member(f"member {at}", generate(Suite.X25519).public()) for at in range(40)]
        roster.admit_all("urls.full", members, now=NOW)
        epoch = desk.catalog.epochs("urls.full")[-1].number
        newest = {wrap.name for wrap in desk.catalog.wraps("urls.full") if wrap.epoch == epoch}
        stored = {item.key: item.size for item in store.list("wraps/")}
        assert len(newest) == 64
        assert newest <= stored.keys()
        assert set(stored.values()) == {2048}
        assert [each.wraps for each in desk.verify() if each.stream == "urls.full"] == [64 + 1 + 1]

        # Who may write to the bucket puts another wrap in the place of one that a newcomer will ask for.
        newcomer = Machine(desk, tmp_path / "newcomer", f"{bucket.endpoint}/{BUCKET}", "urls.full")
        roster.admit("urls.full", "newcomer", newcomer.key.public(), now=NOW)
        mine = desk.catalog.wraps("urls.full")
        recipient = next(each for each in desk.catalog.recipients("urls.full") if each.name == "newcomer")
        name = next(wrap.name for wrap in mine if wrap.recipient == recipient.id)
        other = next(wrap for wrap in mine if wrap.recipient not in (None, recipient.id))
        administrator = bucket.client()
        administrator.put_object(Bucket=BUCKET, Key=name, Body=other.data)
        administrator.close()
        [(_, error)] = newcomer.sync().errors()
        assert isinstance(error, TrustError)
        assert "call the publisher" in error.hint


def test_behind_nginx_and_a_mirror(tmp_path: Path, start_nginx: StartNginx) -> None:
    (tmp_path / "store").mkdir()
    _, mirror = start_origin_and_mirror(start_nginx, tmp_path)
    with _desk(tmp_path / "desk", str(tmp_path / "store")) as desk:
        _live(desk, f"http://127.0.0.1:{mirror}", tmp_path)
