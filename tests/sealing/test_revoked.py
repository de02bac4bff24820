"""The revoked recipient of schemas/threat-model.md, guess in hand.

He has his key, the pepper, the epoch keys and tables up to his revocation, our code, and everything public
ever since. He knows exactly what has been added and removed, and wants to see it confirmed by anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.release.scenes import NOW
from tests.sealing.scenes import Hotline, Machine
from vallum.errors import DataError, NotEntitledError, TrustError
from vallum.expression import URL_TAGS, Keyer, Scope
from vallum.format.epoch import Epoch
from vallum.format.rows import Rows
from vallum.format.run import parse_header
from vallum.format.seal import KEY_BYTES, open_run
from vallum.format.table import Table, parse_table
from vallum.format.wrap import wrap_name
from vallum.pepper import read_pepper
from vallum.state import StreamState, read_current
from vallum_publisher.release.runs import make_run

FORMS = [f"site{at}.example/page" for at in range(40)]
ADDED, REMOVED = "guess.example/seen", FORMS[0]
both = pytest.mark.parametrize("stream", ["urls.match", "urls.full"])


@dataclass
class Revoked:
    """What he has, and what he can make of it."""

    machine: Machine
    public: dict[str, bytes]

    @property
    def state(self) -> StreamState:
        return read_current(self.machine.config.state).sources["hotline"].streams[self.machine.stream]

    @property
    def keyer(self) -> Keyer:
        charter = self.state.charter
        pepper = read_pepper(self.machine.config.state, "hotline", self.machine.stream, charter)
        return Keyer(pepper, charter.host_bits)

    @property
    def table(self) -> Table:
        path = self.state.files("hotline", self.machine.stream)["exact"]
        return parse_table((self.machine.config.state / path).read_bytes())

    @property
    def epoch_keys(self) -> list[bytes]:
        files = self.machine.files()
        return [data[:KEY_BYTES] for name, data in files.items() if name.endswith(".epoch")]

    def runs(self) -> list[bytes]:
        folder = f"targets/{self.machine.stream}/"
        return [data for name, data in self.public.items() if name.startswith(folder)]

    def guess(self, added: str, removed: str, salt: bytes) -> Table:
        """The next version as he thinks that it is."""
        table, keyer = self.table, self.keyer
        values = list(table.rows.iter_values()) or [b""] * len(table.rows)
        rows = {
            key: (table.rows.labels(at), values[at])
            for at, key in enumerate(table.rows.keys())
            if key != keyer.url_key(Scope.URL, removed)
        }
        tag = URL_TAGS[Scope.URL].code
        rows[keyer.url_key(Scope.URL, added)] = (), bytes([tag]) + added.encode()
        full = table.edition == "full"
        made = Rows.build(
            list(rows),
            [labels for labels, _ in rows.values()],
            [value for _, value in rows.values()] if full else None,
        )
        return table.at(1, 2, salt, ((tag, len(made)),), made)

    def evidence(self, added: str, removed: str) -> set[str]:
        """Everything in which the public fits this guess."""
        everything = b"\n".join(self.public.values())
        headers = [parse_header(data)[0] for data in self.runs()]
        salts = {self.table.salt, bytes(16), *(one.salt[:16] for one in headers)}
        salts |= {one.salt[16:] for one in headers} | {key[:16] for key in self.epoch_keys}
        found = set()
        for salt in salts:
            digest = self.guess(added, removed, salt).digest()
            if digest.encode() in everything or bytes.fromhex(digest) in everything:
                found.add("digest")
        for form in (added, removed):
            key = self.keyer.url_key(Scope.URL, form)
            number = self.keyer.entry_id(key)
            for trace in (form.encode(), key, key[:8], key.hex().encode(), number.encode()):
                if trace in everything:
                    found.add("row")
        run = make_run(
            self.state.charter.codec(self.table.edition),
            {"exact": self.guess(added, removed, os.urandom(16))},
            1,
            2,
            {"exact": sorted(self.keyer.url_key(Scope.URL, form) for form in (added, removed))},
            (Epoch(self.state.charter.uid, self.machine.stream, 1, 2), os.urandom(32)),
        )
        if any(
            len(run) == len(data) and (h.start, h.end) == (1, 2)
            for h, data in zip(headers, self.runs(), strict=True)
        ):
            found.add("padded size")
        return found


def _story(hotline: Hotline, folder: Path, stream: str) -> tuple[Revoked, Machine]:
    """Two recipients; one is revoked, then one entry comes and one goes, then more happens."""
    stays, goes = Machine(hotline, folder / "stays", stream), Machine(hotline, folder / "goes", stream)
    for machine, name in ((stays, "stays"), (goes, "goes")):
        hotline.roster.admit(stream, name, machine.key.public(), now=NOW)
    hotline.publish(FORMS)
    assert stays.synced() == goes.synced() == 1
    hotline.roster.revoke(stream, "goes", now=NOW)
    hotline.publish([*FORMS[1:], ADDED])
    stays.synced()
    error = goes.refused(NotEntitledError)
    assert f"({goes.key.public().fingerprint()[:19]} …)" in str(error)
    assert "--show` prints" in error.hint
    return Revoked(goes, hotline.objects()), stays


@both
def test_he_cannot_confirm_one_addition_or_removal(hotline: Hotline, tmp_path: Path, stream: str) -> None:
    """All that fits his right guess fits wrong ones, too: the padded size of a change of that size."""
    revoked, stays = _story(hotline, tmp_path, stream)
    right = revoked.evidence(ADDED, REMOVED)
    assert right <= {"padded size"}
    wrong = [(f"guess.example/{at:04d}", form) for at, form in enumerate(FORMS[1:11])]
    fitting = [guess for guess in wrong if revoked.evidence(*guess) == right]
    assert len(fitting) >= 5

    # The right guess is one: with the salt, which only recipients get, it gives what the head signs.
    held = read_current(stays.config.state).sources["hotline"].streams[stream]
    path = held.files("hotline", stream)["exact"]
    salt = parse_table((stays.config.state / path).read_bytes()).salt
    assert revoked.guess(ADDED, REMOVED, salt).digest() == held.head.tables["exact"]


@both
def test_his_keys_open_nothing_new(hotline: Hotline, tmp_path: Path, stream: str) -> None:
    """Neither runs, merged ones and bases included, nor wraps; no wrap has the name that he can compute."""
    revoked, stays = _story(hotline, tmp_path, stream)
    for at in range(2, 9):
        hotline.publish([*FORMS[at:], ADDED])
        if at == 4:
            hotline.roster.rotate("urls", now=NOW)
    assert stays.synced() == 9
    later = Revoked(revoked.machine, hotline.objects())
    uid, codec = later.state.charter.uid, later.state.charter.codec(later.table.edition)
    opened = 0
    for data in later.runs():
        header, _ = parse_header(data)
        for key in later.epoch_keys:
            for number in {1, header.epoch}:
                try:
                    open_run(codec, data, Epoch(uid, stream, 1, number), key)
                except TrustError:
                    continue
                assert (header.epoch, header.end) == (1, 1), "only what he had may open"
                opened += 1
    assert len([data for data in later.runs() if parse_header(data)[0].start == 0]) >= 2
    assert len([data for data in later.runs() if parse_header(data)[0].end > 2]) >= 7
    assert opened <= 1

    private = later.machine.key
    epochs = hotline.publisher.catalog.epochs(stream)
    first, *others = [wrap_name(one.commitment, private.public()) for one in epochs]
    assert len(others) == 2
    assert not set(others) & later.public.keys()
    wraps = {name for name in later.public if name.startswith("wraps/")} - {first}
    assert len(wraps) >= 3
    for name in wraps:
        for number in (1, 2, 3):
            with pytest.raises(DataError):
                private.open(
                    later.public[name],
                    Epoch(uid, stream, 1, number).context("wrap") + private.suite.ids,
                )
