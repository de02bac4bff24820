"""Decoys among what is exported: whose they are, that nothing tells them, and that they are nowhere else."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest

import vallum
from tests.export.scenes import (
    AI,
    ENTRIES,
    PEPPER,
    SEED,
    TABLE,
    TEST,
    UID,
    A,
    B,
    decoys_of,
    exported,
    rows,
    write_sealed,
)
from tests.match.states import Entry, digest_table, url_table, write_state
from vallum.errors import StorageError
from vallum.export.selection import Selection
from vallum.expression import TAGS, URL_TAGS, Keyer, Scope
from vallum.format.decoys import decoys_for, markers


def test_decoys_are_in_exports_only(sealed: Path) -> None:
    """No look-up finds one: they cannot block anything here."""
    with vallum.open(sealed) as lists:
        for decoy in decoys_of(ENTRIES):
            host = decoy.text.partition("/")[0]
            for url in (decoy.text, host, f"https://www.{host}/{decoy.text.partition('/')[2]}"):
                assert not lists.match_url(url)
        assert lists.status()[0].rows == len(ENTRIES)


def test_no_place_tells_a_decoy(tmp_path: Path) -> None:
    """In the order of lines decoys stand like draws: neither at an end, nor together, nor at equal steps."""
    places: list[float] = []
    for number in range(6):
        entries: list[Entry] = [TEST, *((Scope.URL, f"s{number}x{at}.example/", A) for at in range(700))]
        folder = tmp_path / str(number)
        folder.mkdir()
        write_sealed(folder, {"urls": url_table(entries, pepper=PEPPER)})
        made = {one.text for one in decoys_of(entries)}
        found = [row.value in made for row in rows(folder)]
        assert sum(found) == 128
        places += [at / len(found) for at, is_decoy in enumerate(found) if is_decoy]
        # Of 128 among 829 about 20 stand right behind another one.
        assert 5 < sum(a and b for a, b in pairwise(found)) < 45
    assert abs(mean(places) - 0.5) < 0.06  # five standard deviations of 768 draws
    for quarter in range(4):
        assert 130 < sum(quarter <= 4 * place < quarter + 1 for place in places) < 254


def test_decoys_look_like_the_rows_beside_them(sealed: Path) -> None:
    """Scopes, labels and ids: as the list has them, in the same proportions."""
    decoys = {one.text for one in decoys_of(ENTRIES)}
    made = [row for row in rows(sealed) if row.value in decoys]
    held = [row for row in rows(sealed) if row.value not in decoys and row.labels != ("test",)]
    for about in (lambda row: row.scope, lambda row: row.labels):
        shares = Counter(map(about, held))
        drawn = Counter(map(about, made))
        assert drawn.keys() <= shares.keys()
        for value, count in shares.items():
            assert abs(drawn[value] / len(made) - count / len(held)) < 0.16
    assert all(len(row.id) == 16 for row in made)


def test_a_smaller_export_does_not_contradict_a_larger_one(sealed: Path) -> None:
    """Who compares two exports finds no line whose labels or reach differ, which would be decoys."""
    whole = set(rows(sealed))
    decoys = {one.text for one in decoys_of(ENTRIES)}
    for selection in (
        {"scopes": ("host",)},
        {"labels": B},
        {"labels": ("ai_generated",)},
        {"scopes": ("host", "domain"), "labels": A},
    ):
        part = set(rows(sealed, **selection))
        wanted = Selection.of(**selection)
        expected = {row for row in whole if wanted.wants(URL_TAGS[Scope(row.scope)], row.labels)}
        held = {row for row in expected if row.value not in decoys}
        assert held <= part
        assert len(expected - part) <= 2, "the larger one's decoys are in the smaller one, but for rounding"
        # What is in the part only is not in the whole in another shape.
        assert not {row.value for row in part - whole} & {row.value for row in whole}


def test_rare_labels_leave_fewer_decoys(sealed: Path) -> None:
    few = decoys_of(ENTRIES, labels=("ai_generated",))
    assert 20 < len(few) < 128
    assert {one.labels for one in few} == {AI}


def test_a_decoy_that_is_listed_is_an_entry(tmp_path: Path) -> None:
    twin = next(one for one in decoys_of(ENTRIES) if one.tag is URL_TAGS[Scope.URL])
    entries = [*ENTRIES, (Scope.URL, twin.text, ("found",))]
    write_sealed(tmp_path, {"urls": url_table(entries, pepper=PEPPER)})
    found = [row for row in rows(tmp_path) if row.value == twin.text]
    assert [row.labels for row in found] == [("found",)]


def test_an_empty_list_gives_its_test_row(tmp_path: Path) -> None:
    write_sealed(tmp_path, {"urls": url_table([TEST], pepper=PEPPER)})
    assert [row.labels for row in rows(tmp_path)] == [("test",)]


def test_decoys_of_digests(tmp_path: Path) -> None:
    keyer = Keyer(PEPPER, 0)
    write_state(
        tmp_path, {"hashes": digest_table([("sha256", bytes([at] * 32).hex(), A) for at in range(9)])}
    )
    public = rows(tmp_path)
    (tmp_path / "sealed").mkdir()
    write_sealed(
        tmp_path / "sealed",
        {"hashes": digest_table([(row.signal, row.value, row.labels) for row in public], pepper=PEPPER)},
    )
    found = rows(tmp_path / "sealed")
    made = {row.value for row in found} - {row.value for row in public}
    assert len(made) == 128
    assert made <= set(markers(SEED, UID, "hash"))
    for row in found:
        assert row.id == keyer.entry_id(keyer.digest_key(row.signal, bytes.fromhex(row.value)))


def test_without_the_seed_nothing_is_exported(tmp_path: Path) -> None:
    """A copy of the tables alone must not become an export that names nobody."""
    write_sealed(tmp_path, {"urls": TABLE})
    [path] = (tmp_path / "hotline" / "keys").glob("*.epoch")
    held = path.read_bytes()
    for damaged in (b"", held[:-1], b"x" + held[1:], held[:32]):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match="without it nothing is exported") as caught:
            exported(tmp_path)
        assert "vallum sync" in caught.value.hint
    path.unlink()
    with pytest.raises(StorageError, match="without it nothing is exported"):
        exported(tmp_path)


def test_tags_that_could_have_decoys_are_all_thought_of() -> None:
    for code, tag in TAGS.items():
        made = decoys_for(SEED, UID, {(code, A): 1})
        assert len(made) == (0 if tag.signal == "photodna" else 128)
