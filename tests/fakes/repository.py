"""A repository in memory, built and signed for real, so that an attack on the client is two lines.

TUF metadata by ``tuf.api.metadata`` with securesystemslib's signers, heads and charters by ``vallum.format``;
tables and runs are :mod:`tests.fakes.history`'s, the store is :mod:`tests.fakes.origin`'s. Nothing of the
publisher is used: it is the client's counterpart, written from the documents alone. Change any public
attribute, then ``publish`` or ``sign``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from tests.fakes.history import Listed, ListHistory, ladder
from tests.fakes.origin import Origin
from vallum.config import Config, Source
from vallum.expression import Scope
from vallum.format.charter import Charter, format_charter
from vallum.format.head import Head, RunRef, format_head
from vallum.labels import LabelSet


class Repository(Origin):
    """The fake, with what it publishes. ``root`` and so on are TUF's own objects;
    ``keys`` are signers by role."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, ListHistory] = {}
        self.roles: dict[str, Metadata[Targets]] = {}
        self.now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - TUF's client reads it as well
        expires = self.now + timedelta(days=30)
        self.keys: dict[str, list[CryptoSigner]] = {
            role: [CryptoSigner.generate_ed25519()] for role in ("root", "targets", "snapshot", "timestamp")
        }
        self.root = Metadata(Root(version=1, expires=expires, consistent_snapshot=True))
        self.targets = Metadata(Targets(version=1, expires=expires))
        self.targets.signed.delegations = Delegations({}, {})
        self.snapshot = Metadata(Snapshot(version=1, expires=expires))
        self.timestamp = Metadata(Timestamp(version=1, expires=expires))
        for metadata in (self.root, self.snapshot, self.timestamp):
            metadata.signed.version = 0  # each publication counts up
        for role, signers in self.keys.items():
            for signer in signers:
                self.root.signed.add_key(signer.public_key, role)
        self.publish_root()
        self.first_root = self.objects["metadata/1.root.json"]
        self.publish()

    # Lists

    def create(self, name: str, kind: str = "url", edition: str = "full") -> ListHistory:
        """Charter and delegate a list; it is unpublished until its first ``release``."""
        charter = Charter(
            uid=hashlib.sha256(name.encode()).digest()[:16],
            generation=1,
            kind=kind,
            host_bits=20 if kind == "url" else 0,
            tables=("exact",),
            editions=(edition,),
            publisher="Hotline",
            jurisdiction="GB",
            appeal_url="https://hotline.example/appeal",
        )
        made = self.lists[name] = ListHistory(charter)
        stream = f"{name}.{edition}"
        signer = CryptoSigner.generate_ed25519()
        self.keys[stream] = [signer]
        delegations = self.targets.signed.delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.keys[signer.public_key.keyid] = signer.public_key
        delegations.roles[stream] = DelegatedRole(
            stream, [signer.public_key.keyid], 1, terminating=True, paths=[f"{stream}/*"]
        )
        self.roles[stream] = Metadata(Targets(version=1, expires=self.targets.signed.expires))
        self.charter(name, charter)
        self.publish()
        return made

    def charter(self, name: str, charter: Charter) -> None:
        """Put a charter in; ``publish`` makes it seen."""
        self.lists[name].charter = charter
        self.targets.signed.targets[f"charters/{name}"] = _empty(
            f"charters/{name}", {"vallum": format_charter(charter)}
        )

    def release(self, name: str, listed: Listed) -> Head:
        """Publish the next version of a list with exactly this content."""
        self.lists[name].versions.append(dict(listed))
        head = self.fill_role(name)
        self.publish()
        return head

    def renew(self, name: str) -> Head:
        """Sign the newest version again, as ``refresh`` does."""
        head = self.fill_role(name)
        self.publish()
        return head

    def fill_role(self, name: str) -> Head:
        """Write the role of a list anew from its history; ``publish`` makes it seen."""
        history = self.lists[name]
        head = self.head(name)
        stream = self.stream(name)
        role = self.roles[stream].signed
        role.targets = {f"{stream}/head": _empty(f"{stream}/head", {"vallum": format_head(head)})}
        for ref in head.runs:
            data = self.run(name, ref.start, ref.end)
            path = ref.target(stream, history.charter.generation)
            target = role.targets[path] = TargetFile.from_data(path, data, ["sha256"])
            self.objects[self.target_name(target)] = data
        return head

    def stream(self, name: str) -> str:
        return f"{name}.{self.lists[name].charter.editions[0]}"

    def head(self, name: str) -> Head:
        history = self.lists[name]
        return Head(
            generation=history.charter.generation,
            version=history.version,
            tables={"exact": history.table(history.version).digest()},
            created=self.now,
            as_of=history.as_of or self.now,
            max_age=history.max_age,
            min_poll=0,
            epochs={},
            runs=tuple(
                RunRef(start, end, history.epoch)
                for start, end in sorted(history.spans or ladder(history.version))
            ),
        )

    def run(self, name: str, start: int, end: int) -> bytes:
        return self.lists[name].run(start, end)

    def run_name(self, name: str, start: int, end: int) -> str:
        """Where in ``objects`` a run lies."""
        path = RunRef(start, end, self.lists[name].epoch).target(
            self.stream(name), self.lists[name].charter.generation
        )
        return self.target_name(self.roles[self.stream(name)].signed.targets[path])

    @staticmethod
    def target_name(target: TargetFile) -> str:
        folder, _, base = target.path.rpartition("/")
        return f"targets/{folder}/{target.hashes['sha256']}.{base}"

    def new_generation(self, name: str) -> None:
        """Open a new generation; the next ``release`` is its version 1."""
        history = self.lists[name]
        self.charter(name, replace(history.charter, generation=history.charter.generation + 1))
        history.versions = [{}]
        history.epoch += 1

    # Metadata

    def publish(self) -> None:
        """Write targets, all list roles, snapshot and timestamp; versions rise where bytes change."""
        for role, metadata in {"targets": self.targets, **self.roles}.items():
            name = f"metadata/{metadata.signed.version}.{role}.json"
            if name in self.objects:
                self.sign(role)
                if self.objects[name] == metadata.to_bytes():
                    continue
                metadata.signed.version += 1
            self.sign(role)
            self.put(role)
        self.publish_snapshot()

    def publish_snapshot(self) -> None:
        """Write snapshot and timestamp for the list roles as they lie in ``objects``."""
        snapshot = self.snapshot.signed
        snapshot.version += 1
        snapshot.meta = {}
        for role, metadata in {"targets": self.targets, **self.roles}.items():
            data = self.objects[f"metadata/{metadata.signed.version}.{role}.json"]
            snapshot.meta[f"{role}.json"] = MetaFile.from_data(metadata.signed.version, data, ["sha256"])
        self.sign("snapshot")
        self.put("snapshot")
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        """Write the timestamp for the snapshot as it lies in ``objects``."""
        version = self.snapshot.signed.version
        data = self.objects[f"metadata/{version}.snapshot.json"]
        self.timestamp.signed.version += 1
        self.timestamp.signed.snapshot_meta = MetaFile.from_data(version, data, ["sha256"])
        self.sign("timestamp")
        self.put("timestamp")

    def publish_root(self, also: Iterable[CryptoSigner] = ()) -> None:
        """Write the next root, signed by its own keys and by ``also`` (those of the one before)."""
        self.root.signed.version += 1
        self.root.signatures.clear()
        for signer in (*self.keys["root"], *also):
            self.root.sign(signer, append=True)
        self.objects[f"metadata/{self.root.signed.version}.root.json"] = self.root.to_bytes()

    def rotate(self, role: str) -> None:
        """Replace the key of a top-level role and publish the root that says so."""
        before = self.keys[role]
        self.keys[role] = [CryptoSigner.generate_ed25519()]
        for signer in before:
            self.root.signed.revoke_key(signer.public_key.keyid, role)
        for signer in self.keys[role]:
            self.root.signed.add_key(signer.public_key, role)
        self.publish_root(also=before if role == "root" else ())

    def delegate_key(self, stream: str, key: Key) -> None:
        """Let one more key sign a list."""
        delegations = self.targets.signed.delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.keys[key.keyid] = key
        delegations.roles[stream].keyids.append(key.keyid)

    def sign(self, role: str) -> None:
        metadata = self._metadata(role)
        metadata.signatures.clear()
        for signer in self.keys[role]:
            metadata.sign(signer, append=True)

    def put(self, role: str) -> None:
        """Put signed metadata where the store has it."""
        metadata = self._metadata(role)
        number = "" if role == "timestamp" else f"{metadata.signed.version}."
        self.objects[f"metadata/{number}{role}.json"] = metadata.to_bytes()

    def name_of(self, role: str) -> str:
        """Where in ``objects`` the newest metadata of a role lies."""
        number = "" if role == "timestamp" else f"{self._metadata(role).signed.version}."
        return f"metadata/{number}{role}.json"

    def config(self, folder: Path, *streams: str, name: str = "hotline") -> Config:
        """A client's configuration in ``folder``; of all lists unless some are named."""
        root = folder / f"{name}.root.json"
        root.write_bytes(self.first_root)
        chosen = streams or tuple(self.stream(made) for made in self.lists)
        source = Source(name, f"https://{name}.example", root, tuple(sorted(chosen)))
        return Config(folder / "state", (source,))

    def _metadata(
        self, role: str
    ) -> Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]:
        match role:
            case "root":
                return self.root
            case "targets":
                return self.targets
            case "snapshot":
                return self.snapshot
            case "timestamp":
                return self.timestamp
        return self.roles[role]


def listed(*forms: str, scope: Scope = Scope.URL, labels: LabelSet = ("uk-sap:1:A",)) -> dict[str, LabelSet]:
    """URL rows with one scope and one label set."""
    return {f"url|{scope}|{form}": labels for form in forms}


def _empty(path: str, custom: dict[str, object]) -> TargetFile:
    target = TargetFile.from_data(path, b"", ["sha256"])
    target.unrecognized_fields["custom"] = custom
    return target
