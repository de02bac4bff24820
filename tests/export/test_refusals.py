"""What is not exported, and what is said of it: nothing meant, no such words, lists that are not in force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.export.scenes import ENTRIES, exported, rows
from tests.match.states import digest_table, url_table, write_state
from vallum.errors import ConfigError, InputError, UnavailableError
from vallum.export.selection import Selection
from vallum.export.write import open_export
from vallum.state import FILE, Current, format_current, read_current


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
    write_state(tmp_path, {"urls": url_table(ENTRIES)})
    about = replace(read_current(tmp_path).sources["hotline"], lifted=("urls.full",))
    (tmp_path / FILE).write_bytes(format_current(Current({"hotline": about})))
    with pytest.raises(UnavailableError, match="hard-expired"):
        exported(tmp_path)
