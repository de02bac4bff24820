"""What ``export`` writes: the list as it reads, nothing wider, without what the operator allows."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.scenes import (
    AI,
    ENTRIES,
    PEPPER,
    TABLE,
    TEST,
    A,
    B,
    decoys_of,
    exported,
    line_of,
    rows,
    write_sealed,
)
from tests.match.states import NOW, Entry, digest_table, url_table, write_state
from vallum.allow import Allowance, add, parse_subject
from vallum.errors import InputError
from vallum.export.write import open_export
from vallum.expression import DIGEST_TAGS, Scope


def _allow(state_dir: Path, text: str) -> None:
    kind, subject = parse_subject(text)
    # An allowance ends by the wall clock, so that this one must end after every possible now.
    add(state_dir, Allowance(kind, subject, NOW, NOW + timedelta(days=36_500), "test"), NOW)


def test_an_export_holds_the_list_and_its_decoys(sealed: Path) -> None:
    found = rows(sealed)
    decoys = decoys_of(ENTRIES)
    assert len(decoys) == 128
    made = {line_of(one.tag.scope, one.text, one.labels, PEPPER) for one in decoys if one.tag.scope}
    assert set(found) == {line_of(*entry, pepper=PEPPER) for entry in ENTRIES} | made
    assert len(found) == len(set(found))


def test_a_public_list_has_no_decoys(tmp_path: Path) -> None:
    write_state(tmp_path, {"urls": url_table(ENTRIES)})
    assert set(rows(tmp_path)) == {line_of(*entry) for entry in ENTRIES}


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
        assert set(rows(Path(folder))) == {line_of(*entry) for entry in [TEST, *entries]}


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
    decoys = [one.text for one in decoys_of(ENTRIES, scopes=(scope,))]
    assert sorted(lines) == sorted([*listed, *decoys])
    assert len(decoys) == 128


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
    _allow(tmp_path, line_of(Scope.HOST, "www.host7.example", A, PEPPER).id)
    lines = exported(tmp_path, "text", scopes=("host",)).decode().splitlines()
    assert "www.host7.example" not in lines
    assert "www.host8.example" in lines
