"""A repository in memory, built and signed for real, so that an attack on the client is two lines.

TUF metadata by ``tuf.api.metadata`` with securesystemslib's signers, heads, charters and runs by
``vallum.format``. Nothing of the publisher is used: it is the client's counterpart, written from the
documents alone. Change any public attribute, then ``publish`` or ``sign``; ``objects`` are the bytes that the
store would hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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

from vallum.config import Config, Source
from vallum.expression import DIGEST_TAGS, URL_TAGS, Keyer, Scope
from vallum.format.charter import Charter, format_charter
from vallum.format.columns import compress
from vallum.format.head import Head, RunRef, format_head
from vallum.format.removal import choose_removals, unique_bits
from vallum.format.rows import Rows
from vallum.format.run import Run, RunHeader, format_run
from vallum.format.section import Section
from vallum.format.table import SALT_BYTES, Table, build_table
from vallum.labels import LabelSet
from vallum.sync.fetch import PACKED
from vallum.sync.transport import Answer, Transport

Listed = Mapping[str, LabelSet]
"""A list's whole content: labels by expression (``url|host|bad.example``, ``sha256|<hex>``)."""

Span = tuple[int, int]


@dataclass
class ListHistory:
    """One list: its charter, every version of its present generation, and what its head shall say."""

    charter: Charter
    versions: list[Listed] = field(default_factory=lambda: [{}])
    epoch: int = 1
    as_of: datetime | None = None
    max_age: int = 72 * 3600
    spans: list[Span] | None = None
    runs: dict[tuple[int, int, int], bytes] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return len(self.versions) - 1

    @property
    def keyer(self) -> Keyer:
        return Keyer(b"", self.charter.host_bits)


class Repository:
    """The fake. ``root`` and so on are TUF's own objects; ``keys`` are signers by role."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.twins: dict[str, bytes] = {}
        self.etags = False
        self.lists: dict[str, ListHistory] = {}
        self.roles: dict[str, Metadata[Targets]] = {}
        self.now = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251  TUF's client reads it as well
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
            tables={"exact": self.table(name, history.version).digest()},
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

    def table(self, name: str, version: int) -> Table:
        """What every client must hold at this version."""
        history = self.lists[name]
        keyed = _keyed(history.keyer, history.versions[version])
        return build_table(
            kind=history.charter.kind,
            edition=history.charter.editions[0],
            name="exact",
            host_bits=history.charter.host_bits,
            generation=history.charter.generation,
            version=version,
            salt=bytes(SALT_BYTES),
            counts=_counts(keyed),
            keys=list(keyed),
            labels=[labels for labels, _ in keyed.values()],
            values=[value for _, value in keyed.values()],
        )

    def run(self, name: str, start: int, end: int) -> bytes:
        history = self.lists[name]
        generation = history.charter.generation
        known = history.runs.get((generation, start, end))
        if known is None:
            known = history.runs[generation, start, end] = self._run(history, start, end)
        return known

    def run_name(self, name: str, start: int, end: int) -> str:
        """Where in ``objects`` a run lies."""
        path = RunRef(start, end, self.lists[name].epoch).target(
            self.stream(name), self.lists[name].charter.generation
        )
        return self.target_name(self.roles[self.stream(name)].signed.targets[path])

    def new_generation(self, name: str) -> None:
        """Open a new generation; the next ``release`` is its version 1."""
        history = self.lists[name]
        self.charter(name, _replace(history.charter, generation=history.charter.generation + 1))
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

    # The store

    def name_of(self, role: str) -> str:
        """Where in ``objects`` the newest metadata of a role lies."""
        number = "" if role == "timestamp" else f"{self._metadata(role).signed.version}."
        return f"metadata/{number}{role}.json"

    def flip(self, name: str, at: int = -1) -> None:
        """Turn one bit of an object."""
        data = bytearray(self.objects[name])
        data[at] ^= 1
        self.objects[name] = bytes(data)

    def target_name(self, target: TargetFile) -> str:
        folder, _, base = target.path.rpartition("/")
        return f"targets/{folder}/{target.hashes['sha256']}.{base}"

    def packed(self, name: str) -> bytes:
        """Metadata as one zstd frame, as it goes over the wire."""
        return compress(self.objects[name], 19)

    def wire_size(self, name: str) -> int:
        """Bytes of an object as a client fetches it; 0 for what is not there."""
        if name not in self.objects:
            return 0
        whole = name.startswith("targets/") or name.endswith(("timestamp.json", "root.json"))
        return len(self.objects[name] if whole else self.packed(name))

    def connect(self, _source: Source) -> Transport:
        """What ``Updater(config, connect=...)`` takes."""
        return _Wire(self)

    def write_to(self, folder: Path) -> None:
        """Make a folder of it, as a directory store would; what readers start from comes last."""
        for name in sorted(self.objects, key="metadata/timestamp.json".__eq__):
            data = self.objects[name]
            path = folder / name
            if path.exists() and path.read_bytes() == data:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.wire_size(name) != len(data):
                path.with_name(path.name + PACKED).write_bytes(self.packed(name))
            beside = path.with_name(f".{path.name}")
            beside.write_bytes(data)
            beside.rename(path)

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

    def _run(self, history: ListHistory, start: int, end: int) -> bytes:
        keyed = [_keyed(history.keyer, listed) for listed in history.versions]
        final = keyed[end]
        if start == 0:
            touched = set(final)
        else:
            touched = {
                key
                for version in range(start + 1, end + 1)
                for key in {*keyed[version], *keyed[version - 1]}
                if keyed[version].get(key) != keyed[version - 1].get(key)
            }
        union = sorted({int.from_bytes(key) for version in range(start, end + 1) for key in keyed[version]})
        removed = [
            (
                at,
                unique_bits(
                    key, union[at - 1] if at else None, union[at + 1] if at + 1 < len(union) else None
                ),
            )
            for at, key in enumerate(union)
            if key.to_bytes(12) in touched and key.to_bytes(12) not in final
        ]
        added = sorted(touched & set(final))
        section = Section(
            "exact",
            _counts(final),
            Rows.build(added, [final[key][0] for key in added], [final[key][1] for key in added]),
            choose_removals([(union[at], bits) for at, bits in removed]),
        )
        charter = history.charter
        header = RunHeader(
            charter.kind, charter.editions[0], charter.generation, history.epoch, start, end, 0
        )
        codec = charter.codec(charter.editions[0])
        return format_run(codec, Run(header, bytes(SALT_BYTES), (section,)), level=3)


class _Wire:
    """The repository's store as a client reaches it. Asserts what a client must never ask for."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._closed = False

    def get(self, name: str, *, etag: str = "", fresh: bool = False) -> Answer:
        assert not self._closed
        assert name.startswith(("metadata/", "targets/")), name
        assert ".." not in name
        assert not name.endswith(".head"), "a head is never downloaded"
        if name.endswith(PACKED):
            return self._packed(name.removesuffix(PACKED))
        self._repository.requests.append(name)
        prepared = self._repository.answers.get(name)
        if prepared is not None:
            return prepared()
        data = self._repository.objects.get(name)
        if data is None:
            return Answer(404)
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"' if self._repository.etags else ""
        if etag and etag == tag:
            return Answer(304)
        return Answer(200, iter([data[:100], data[100:]]), etag=tag)

    def _packed(self, name: str) -> Answer:
        """The packed twin of metadata, made of what lies there, so that an attack needs to be staged once."""
        if name in self._repository.answers or name not in self._repository.objects:
            return Answer(404)
        self._repository.requests.append(name)
        return Answer(200, iter([self._repository.twins.get(name) or self._repository.packed(name)]))

    def close(self) -> None:
        self._closed = True


def ladder(version: int) -> list[Span]:
    """The runs of DESIGN §5 with a base every eighth version: newest four of each level."""
    base = version - version % 8 or 1
    spans = {(0, base)}
    for length in (1, 4, 16, 64):
        ends = [end for end in range(length, version + 1, length) if end > 1]
        spans |= {(max(1, end - length), end) for end in ends[-4:]}
    return sorted(spans)


def listed(*forms: str, scope: Scope = Scope.URL, labels: LabelSet = ("uk-sap:1:A",)) -> dict[str, LabelSet]:
    """URL rows with one scope and one label set."""
    return {f"url|{scope}|{form}": labels for form in forms}


def _keyed(keyer: Keyer, listed: Listed) -> dict[bytes, tuple[LabelSet, bytes]]:
    rows: dict[bytes, tuple[LabelSet, bytes]] = {}
    for expression, labels in sorted(listed.items()):
        signal, _, rest = expression.partition("|")
        if signal == "url":
            scope, _, form = rest.partition("|")
            key = keyer.url_key(Scope(scope), form)
            value = bytes((URL_TAGS[Scope(scope)].code,)) + form.encode()
        else:
            raw = bytes.fromhex(rest)
            key, value = keyer.digest_key(signal, raw), bytes((DIGEST_TAGS[signal].code,)) + raw
        rows[key] = (labels, value)
    return dict(sorted(rows.items()))


def _counts(keyed: Mapping[bytes, tuple[LabelSet, bytes]]) -> tuple[tuple[int, int], ...]:
    tally: dict[int, int] = {}
    for _, value in keyed.values():
        tally[value[0]] = tally.get(value[0], 0) + 1
    return tuple(sorted(tally.items()))


def _empty(path: str, custom: dict[str, object]) -> TargetFile:
    target = TargetFile.from_data(path, b"", ["sha256"])
    target.unrecognized_fields["custom"] = custom
    return target


def _replace(charter: Charter, **changes: object) -> Charter:
    import dataclasses

    return dataclasses.replace(charter, **changes)  # type: ignore[arg-type]  # callers name fields
