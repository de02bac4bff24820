"""What ``export`` writes: the list as it reads, decoys among it, nothing wider, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vallum
from tests.export.scenes import PEPPER, SEED, UID, Row, exported, rows, write_sealed
from tests.match.states import NOW, Entry, digest_table, url_table, write_state
from vallum.allow import Allowance, add, parse_subject
from vallum.errors import ConfigError, InputError, StorageError, UnavailableError
from vallum.export.selection import Selection
from vallum.export.write import open_export, write_export
from vallum.expression import DIGEST_TAGS, TAGS, URL_TAGS, Keyer, Scope
from vallum.format.decoys import Decoy, decoys_for, markers

A, B, AI = ("uk-sap:1:A",), ("uk-sap:1:B",), ("ai_generated", "uk-sap:1:A")
TEST = (Scope.URL, "test.vallum.example/demo", ("test",))
ENTRIES: list[Entry] = [
    TEST,
    *((Scope.URL, f"site{at}.example/a/page?id={at}", (A, B, AI)[at % 3]) for at in range(300)),
    *((Scope.URL_ANY_QUERY, f"any{at}.example/a/page", A) for at in range(60)),
    *((Scope.PATH_PREFIX, f"path{at}.example/a", B) for at in range(60)),
    *((Scope.HOST, f"www.host{at}.example", A) for at in range(120)),
    *((Scope.DOMAIN, f"domain{at}.example", B) for at in range(60)),
]
TABLE = url_table(ENTRIES, pepper=PEPPER)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encrypted URL list in force. Not to be changed."""
    folder = tmp_path_factory.mktemp("sealed")
    write_sealed(folder, {"urls": TABLE})
    return folder


def _decoys(entries: list[Entry], **selection: tuple[str, ...]) -> tuple[Decoy, ...]:
    strata = Counter((URL_TAGS[scope].code, labels) for scope, _, labels in entries)
    return decoys_for(SEED, UID, strata, Selection.of(**selection).wants)


def _row(scope: Scope, value: str, labels: tuple[str, ...], pepper: bytes = b"") -> Row:
    keyer = Keyer(pepper, 20)
    number = keyer.entry_id(keyer.url_key(scope, value))
    return Row("hotline", "urls", "url", scope, value, labels, number)


def _allow(state_dir: Path, text: str) -> None:
    kind, subject = parse_subject(text)
    # An allowance ends by the wall clock, so that this one must end after every possible now.
    add(state_dir, Allowance(kind, subject, NOW, NOW + timedelta(days=36_500), "test"), NOW)


# What is written -------------------------------------------------------------------------------------------


def test_an_export_holds_the_list_and_its_decoys(sealed: Path) -> None:
    found = rows(sealed)
    decoys = _decoys(ENTRIES)
    assert len(decoys) == 128
    made = {_row(one.tag.scope, one.text, one.labels, PEPPER) for one in decoys if one.tag.scope}
    assert set(found) == {_row(*entry, pepper=PEPPER) for entry in ENTRIES} | made
    assert len(found) == len(set(found))


def test_a_public_list_has_no_decoys(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table(ENTRIES)})
    assert set(rows(tmp_path)) == {_row(*entry) for entry in ENTRIES}


_names = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True).map("{}.example".format)
_paths = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#%?/\\"), max_size=9
)
_entries = st.tuples(
    st.sampled_from(Scope), _names, _paths, st.sampled_from([(), A, B, AI, ("a:1:x,y".replace(",", "."),)])
).map(
    lambda said: (
        said[0], said[1] if said[0] in (Scope.HOST, Scope.DOMAIN) else f"{said[1]}/{said[2]}", said[3]
    )
)  # fmt: skip


@given(st.lists(_entries, max_size=30, unique_by=lambda entry: entry[:2]))
@settings(max_examples=40, deadline=None)
def test_any_list_reads_back(entries: list[Entry]) -> None:
    """Quotes, commas, blanks at ends, formulas: what was listed comes out of csv and jsonl as it went in."""
    with TemporaryDirectory() as folder:
        write_state(Path(folder), {"urls": url_table([TEST, *entries])})
        assert set(rows(Path(folder))) == {_row(*entry) for entry in [TEST, *entries]}


def test_digests_of_all_kinds(tmp_path: Path) -> None:
    exact = digest_table(
        [
            (signal, bytes([at] * DIGEST_TAGS[signal].size).hex(), A)
            for signal in ("sha256", "sha1", "md5", "photodna")
            for at in range(50)
        ]
    )
    near = digest_table([("pdq", bytes([at] * 32).hex(), B) for at in range(50)], name="pdq")
    write_state(tmp_path, {"hashes": exact}, near={"hashes": near})
    found = rows(tmp_path)
    assert Counter(row.signal for row in found) == dict.fromkeys(
        ("sha256", "sha1", "md5", "photodna", "pdq"), 50
    )
    assert {row.scope for row in found} == {""}
    lines = exported(tmp_path, "text", signals=("md5",)).decode().splitlines()
    assert sorted(lines) == [bytes([at] * 16).hex() for at in range(50)]
    with pytest.raises(InputError, match=r"pdq \(50\)") as caught:
        exported(tmp_path, "text", signals=("sha256", "pdq"))
    assert "--signal" in caught.value.hint


# Scopes ----------------------------------------------------------------------------------------------------


def test_text_of_several_scopes_is_refused(sealed: Path) -> None:
    """A reader of bare lines would take a page for its host, or a host for its domain."""
    with pytest.raises(InputError, match=r"url \(301\), .*domain \(60\)") as caught:
        exported(sealed, "text")
    assert "--scope" in caught.value.hint


@pytest.mark.parametrize("scope", Scope)
def test_text_of_one_scope_says_what_the_list_says(sealed: Path, scope: Scope) -> None:
    lines = exported(sealed, "text", scopes=(scope,)).decode().splitlines()
    listed = [form for each, form, _ in ENTRIES if each is scope]
    decoys = [one.text for one in _decoys(ENTRIES, scopes=(scope,))]
    assert sorted(lines) == sorted([*listed, *decoys])
    assert len(decoys) == 128


# Decoys ----------------------------------------------------------------------------------------------------


def test_decoys_are_in_exports_only(sealed: Path) -> None:
    """No look-up finds one: they cannot block anything here."""
    with vallum.open(sealed) as lists:
        for decoy in _decoys(ENTRIES):
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
        made = {one.text for one in _decoys(entries)}
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
    decoys = {one.text for one in _decoys(ENTRIES)}
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
    decoys = {one.text for one in _decoys(ENTRIES)}
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
    few = _decoys(ENTRIES, labels=("ai_generated",))
    assert 20 < len(few) < 128
    assert {one.labels for one in few} == {AI}


def test_a_decoy_that_is_listed_is_an_entry(tmp_path: Path) -> None:
    twin = next(one for one in _decoys(ENTRIES) if one.tag is URL_TAGS[Scope.URL])
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


# What is allowed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "gone"),
    [
        ("https://site3.example/a/page?id=3", {"site3.example/a/page?id=3"}),
        ("https://site3.example/a/other", set()),
        ("https://any3.example/a/page?q", {"any3.example/a/page"}),
        ("https://path3.example/a/b/c", {"path3.example/a"}),
        ("https://www.host3.example/x", {"www.host3.example"}),
        ("https://below.domain3.example/x", {"domain3.example"}),
        ("site3.example", {"site3.example/a/page?id=3"}),
        ("host3.example", set()),
        ("www.host3.example", {"www.host3.example"}),
        ("www.domain3.example", {"domain3.example"}),
        ("*.host3.example", {"www.host3.example"}),
        ("*.below.domain3.example", {"domain3.example"}),
    ],
)
def test_what_the_operator_allows_is_left_out(tmp_path: Path, allowed: str, gone: set[str]) -> None:
    """Also an entry that reaches further than what is allowed: a line knows no exceptions."""
    write_sealed(tmp_path, {"urls": TABLE})
    before = set(exported(tmp_path, "csv").decode().splitlines())
    _allow(tmp_path, allowed)
    export = open_export(tmp_path, "csv")
    after = set(b"".join(export.blocks()).decode().splitlines())
    assert {line.split(",")[4] for line in before - after} == gone
    assert export.done().left_out == len(gone)


def test_an_allowed_id_is_left_out_of_text(tmp_path: Path) -> None:
    write_sealed(tmp_path, {"urls": TABLE})
    _allow(tmp_path, _row(Scope.HOST, "www.host7.example", A, PEPPER).id)
    lines = exported(tmp_path, "text", scopes=("host",)).decode().splitlines()
    assert "www.host7.example" not in lines
    assert "www.host8.example" in lines


# What is refused -------------------------------------------------------------------------------------------


def test_nothing_meant_is_no_empty_file(sealed: Path) -> None:
    """A mistyped label must not empty the file that a resolver reads."""
    with pytest.raises(InputError, match="nothing is meant"):
        open_export(sealed, "text", Selection.of(labels=("uk-sap:1:C",)))
    export = open_export(sealed, "text", Selection.of(labels=("uk-sap:1:C",)), allow_empty=True)
    assert list(export.blocks()) == []


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"signals": ("sha512",)}, "no signal 'sha512'"),
        ({"scopes": ("page",)}, "no such scope"),
        ({"labels": ("A B",)}, "is no label"),
    ],
)
def test_words_that_mean_nothing(words: dict[str, tuple[str, ...]], match: str) -> None:
    with pytest.raises(InputError, match=match):
        Selection.of(**words)


def test_lists_by_name(tmp_path: Path) -> None:
    other = digest_table([("md5", "ab" * 16, ())])
    write_state(tmp_path, {"urls": url_table(ENTRIES), "hashes": other})
    assert {row.list for row in rows(tmp_path)} == {"urls", "hashes"}
    for name in ("hashes", "hashes.full", "hotline/hashes"):
        assert {row.list for row in rows(tmp_path, lists=(name,))} == {"hashes"}
    with pytest.raises(ConfigError, match="no followed list is named 'hash'") as caught:
        rows(tmp_path, lists=("hash",))
    assert "hotline/hashes.full" in caught.value.hint
    with pytest.raises(InputError, match="no format 'rpz'"):
        exported(tmp_path, "rpz")


def test_a_list_that_was_never_verified(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table(ENTRIES)}, missing=["more.full"])
    with pytest.raises(UnavailableError, match=r"hotline/more\.full"):
        exported(tmp_path)
    assert rows(tmp_path, lists=("urls",))


def test_a_list_that_is_not_enforced_is_not_exported(tmp_path: Path) -> None:
    from dataclasses import replace

    from vallum.state import FILE, Current, format_current, read_current

    write_state(tmp_path, {"urls": url_table(ENTRIES)})
    about = replace(read_current(tmp_path).sources["hotline"], lifted=("urls.full",))
    (tmp_path / FILE).write_bytes(format_current(Current({"hotline": about})))
    with pytest.raises(UnavailableError, match="hard-expired"):
        exported(tmp_path)


# Files -----------------------------------------------------------------------------------------------------


def test_a_file_is_for_its_owner(sealed: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.touch(0o666)
    write_export(path, open_export(sealed, "csv"))
    assert path.stat().st_mode & 0o777 == 0o600
    done = write_export(path, open_export(sealed, "csv"), group=True)
    assert path.stat().st_mode & 0o777 == 0o640
    assert done.lines == len(ENTRIES) + 128
    assert done.to_dict()["lists"] == [{"source": "hotline", "list": "urls", "version": 1}]
    assert path.read_bytes() == exported(sealed, "csv")


def test_a_failure_leaves_the_old_file(sealed: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("old")
    export = open_export(sealed, "csv")
    seen = 0

    def stop(_entries: int, _of: int | None) -> None:
        nonlocal seen
        seen += 1
        raise OSError(28, "No space left on device")

    entries = [(Scope.HOST, f"h{at}.example", A) for at in range(9000)]
    large = tmp_path / "large"
    large.mkdir()
    write_state(large, {"urls": url_table(entries)})
    export = open_export(large, "csv")
    with pytest.raises(StorageError, match="No space left"):
        write_export(path, export, count=stop)
    assert seen == 1
    assert path.read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["large", "list.csv"]


def test_what_is_no_file_is_left_alone(sealed: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no file"):
        write_export(tmp_path, open_export(sealed, "csv"))
    with pytest.raises(StorageError, match="cannot write"):
        write_export(tmp_path / "no" / "list.csv", open_export(sealed, "csv"))


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def entries(number: int) -> Iterator[Entry]:
        return ((Scope.URL, f"h{at}.example/{'x' * 60}", A) for at in range(number))

    peaks = []
    for number in (2_100, 6_300):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_state(folder, {"urls": url_table(entries(number))})
        export = open_export(folder, "jsonl")
        tracemalloc.start()
        size = sum(map(len, export.blocks()))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert size > 150 * number
    assert peaks[1] < 1.3 * peaks[0]


def test_an_export_needs_no_network_code() -> None:
    script = (
        "import sys, vallum.export.write, vallum.cli.export; print([m for m in sys.modules if m in "
        "('tuf', 'urllib3', 'requests', 'securesystemslib')])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"


def test_tags_that_could_have_decoys_are_all_thought_of() -> None:
    for code, tag in TAGS.items():
        made = decoys_for(SEED, UID, {(code, A): 1})
        assert len(made) == (0 if tag.signal == "photodna" else 128)
