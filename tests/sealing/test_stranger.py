"""The stranger of schemas/threat-model.md: he has the whole bucket, our code, and years, but nobody's key.

Two questions. Does any byte of it say something of the list? And does anything at all depend on the list but
padded sizes: would he see a difference if it were another list altogether?
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import zstandard

from tests.release.scenes import NOW, Founded, digest, publisher, url
from tests.sealing.scenes import Hotline, Machine
from vallum.expression import Keyer, Scope
from vallum.format.columns import padme
from vallum.format.epoch import Epoch
from vallum.format.keypair import Suite
from vallum.format.run import parse_header
from vallum_publisher.catalog import ListSpec, Mode, Record
from vallum_publisher.store.kinds import KINDS

LABELS = ("uk-sap:1:A", "ncmec:1:B2", "ai_generated")
HASHES = ListSpec("hashes", "hash", publisher="Example Hotline")


def _apply(hotline: Hotline, name: str, records: Iterable[Record]) -> None:
    info = hotline.publisher.catalog.get_list(name)
    hotline.publisher.catalog.apply(
        name,
        list(records),
        mode=Mode.REPLACE,
        actor="test",
        now=NOW,
        pepper=hotline.publisher.custody.pepper(info),
    )
    hotline.publisher.publish(name, now=NOW)


def _admit(hotline: Hotline, folder: Path, stream: str, number: int) -> None:
    for at in range(number):
        machine = Machine(hotline, folder / f"{stream}-{at}", stream, suite=Suite.X25519)
        hotline.roster.admit(stream, f"Member Number {at}", machine.key.public(), now=NOW)


# Nothing of it is there ------------------------------------------------------------------------------------


def test_no_byte_says_anything_of_the_list(hotline: Hotline, tmp_path: Path) -> None:
    """Texts, hosts, digests, keys, ids, labels, salts, peppers, epoch keys, seeds, recipients, row counts.

    Raw, as hex in either order of bytes, and as base64; in names of objects and in their bytes, unpacked too.
    """
    hotline.create(HASHES)
    _admit(hotline, tmp_path, "urls.full", 2)
    _admit(hotline, tmp_path, "urls.match", 3)
    _admit(hotline, tmp_path, "hashes.full", 1)
    forms = [f"hidden{at}.example/secret-page/{at}" for at in range(1_237)]
    labels = [LABELS[at % 3 :] for at in range(len(forms))]
    records = [url(form, tuple(sorted(each))) for form, each in zip(forms, labels, strict=True)]
    domains = [url(f"domain{at}.hidden.example", scope=Scope.DOMAIN) for at in range(23)]
    _apply(hotline, "urls", records)
    _apply(hotline, "urls", [*records[31:], *domains])
    _apply(hotline, "hashes", [digest(at, LABELS[1:2]) for at in range(411)])
    hotline.roster.rotate("urls", now=NOW)
    _apply(hotline, "urls", [*records[60:], *domains])

    secrets = {b"hidden", b"secret-page", b"Member Number", *(label.encode() for label in LABELS)}
    for name in ("urls", "hashes"):
        secrets |= _secrets(hotline, name)
    assert len(secrets) > 20_000
    numbers = {1_237, 1_238, 1_206, 1_229, 1_230, 1_200, 411, 412, 31, 54, 29}
    assert _holds(b"about " + min(secrets), secrets), "the search finds what is there"
    seen = 0
    for key, data in hotline.objects().items():
        for view in (key.encode(), data, _unpacked(data)):
            assert not _holds(view, secrets), f"{key} holds a secret"
            seen += len(view)
        if key.endswith(".json"):
            assert not numbers & set(_integers(json.loads(data))), key
    assert seen > 100_000


def _holds(view: bytes, secrets: set[bytes]) -> bool:
    """Whether any is in there: one pass over the windows of each length that a secret has."""
    sizes = {len(secret) for secret in secrets}
    return any(
        not secrets.isdisjoint(view[at : at + size] for at in range(len(view) - size + 1)) for size in sizes
    )


def _secrets(hotline: Hotline, name: str) -> set[bytes]:
    """What a list must not show, in every form that bytes may take."""
    catalog, custody = hotline.publisher.catalog, hotline.publisher.custody
    info = catalog.get_list(name)
    pepper = custody.pepper(info)
    keyer = Keyer(pepper, info.host_bits)
    raw = {pepper, *(version.salt for version in catalog.versions(name))}
    texts = set()
    for row in catalog.listed_rows(name, "exact"):
        raw |= {row.key, row.key[:8], bytes.fromhex(keyer.entry_id(row.key))}
        value = row.value[1:]
        if info.kind == "hash":
            raw.add(value)
        else:
            raw |= {sha256(value).digest(), sha1(value, usedforsecurity=False).digest()}
    for stream in (f"{name}.full", f"{name}.match"):
        for opened in catalog.epochs(stream):
            raw.add(custody.key(Epoch(info.uid, stream, opened.generation, opened.number)))
        for recipient in catalog.recipients(stream):
            raw |= {custody.seed(recipient), bytes.fromhex(recipient.fingerprint)}
            texts.add(recipient.line.rpartition(" ")[2].encode()[:40])
    for secret in raw:
        texts |= {secret.hex().encode(), b64encode(secret).rstrip(b"=")[:-1], secret[::-1]}
    # Eight bytes come up by chance in a megabyte with p < 10⁻⁹ for thousands of them.
    return {secret for secret in raw | texts if len(secret) >= 8}


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError:
        return b""


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _integers(each)
    elif isinstance(value, list):
        for each in value:
            yield from _integers(each)


def test_headers_say_nothing_of_an_object_but_its_kind() -> None:
    """What stores serve with an object is fixed by its kind; nothing is made for one object alone."""
    for kind in KINDS:
        assert re.fullmatch(r"[a-z]+/[a-z-]+", kind.content_type)
        assert "filename" not in kind.cache_control


def test_all_that_is_seen_of_runs_is_their_padded_size(hotline: Hotline, tmp_path: Path) -> None:
    _admit(hotline, tmp_path, "urls.match", 1)
    for number in (40, 39, 7, 160):
        hotline.publish(f"site{at}.example/page" for at in range(number))
    for key, data in hotline.objects().items():
        if key.startswith("targets/"):
            header, at = parse_header(data)
            assert len(header.salt) == 32
            assert padme(len(data) - at) == len(data) - at
            assert padme(header.raw_max) == header.raw_max


# It would all be the same of another list ------------------------------------------------------------------


def _small(at: int) -> Record:
    return url(f"a{at}.example/", ("uk-sap:1:A",))


def _long(at: int) -> Record:
    return url(f"{'deep.' * (at % 5)}b{at}.example/{'x' * (at % 90)}", LABELS[at % 3 :][::-1][:1])


def _wide(at: int) -> Record:
    return url(f"c{at}.example", (), Scope.DOMAIN) if at % 9 == 0 else url(f"c{at}.example/p", ())


@contextmanager
def _world(founded: Founded, folder: Path) -> Iterator[Hotline]:
    workspace, store = founded.copy(folder / "publisher")
    with publisher(workspace, store) as opened:
        yield Hotline(opened)


WORLDS: dict[str, tuple[Callable[[int], Record], tuple[int, int, int], int, int]] = {
    "short": (_small, (40, 41, 42), 1, 3),
    "long": (_long, (300, 290, 310), 80, 4),
    "wide": (_wide, (90, 180, 170), 80, 4),
}
"""What is listed, how many at each version, how many of them are new at each, and readers of ``match``."""


def test_another_list_would_look_the_same(founded_hotline: Founded, tmp_path: Path) -> None:
    """Three histories of the same acts: other entries, scopes, labels, sizes, changes, and as many recipients
    within a power of two. What differs between the buckets is random, or a padded size. (Padded sizes decide
    when a base is renewed and which merged runs are worth it; here each history changes much, and is short.)
    """
    views = []
    for name, (record, counts, step, readers) in WORLDS.items():
        with _world(founded_hotline, tmp_path / name) as hotline:
            hotline.create()
            _admit(hotline, tmp_path / name, "urls.match", readers)
            _admit(hotline, tmp_path / name, "urls.full", 4)
            for number, count in enumerate(counts):
                _apply(hotline, "urls", map(record, range(step * number, step * number + count)))
                if number == 1:
                    hotline.roster.rotate("urls", now=NOW)
            hotline.roster.revoke("urls.full", "Member Number 0", now=NOW)
            views.append(sorted(_view(hotline.objects())))
    assert len(views[0]) > 40
    assert views[0] == views[1] == views[2]


_RANDOM = re.compile(r"[0-9a-f]{32,}|(?<=-----\n)[A-Za-z0-9+/=\n]+(?=\n-----)")


def _view(objects: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Each object's name and contents, with all that is random and all padded sizes masked."""
    for key, data in objects.items():
        name = _RANDOM.sub("<random>", key)
        if key.startswith("targets/"):
            header, at = parse_header(data)
            assert padme(len(data) - at) == len(data) - at
            yield name, f"run {header.generation} {header.epoch} {header.start} {header.end}"
        elif key.endswith(".json"):
            yield name, _RANDOM.sub("<random>", json.dumps(_masked(json.loads(data)), sort_keys=True))
        elif key.endswith(".zst"):
            assert objects[key.removesuffix(".zst")] == _unpacked(data)
            yield name, "the same, packed"
        else:
            yield name, f"{len(data)} bytes"


def _masked(value: Any) -> Any:
    """Metadata without lengths of what it names: padded ones of runs, and of metadata that says those.

    What stands under random names is sorted by what is left of it.
    """
    if isinstance(value, dict):
        found = [
            (_RANDOM.sub("<random>", key), _masked(each)) for key, each in value.items() if key != "length"
        ]
        return sorted(found, key=lambda item: json.dumps(item))
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return _RANDOM.sub("<random>", value) if isinstance(value, str) else value
