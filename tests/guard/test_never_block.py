"""The operator's never-block list: read as meant, or refused with file, line, reason and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from vallum.errors import ConfigError
from vallum.guard import never_block
from vallum.sync.judge import load_never_block


@pytest.mark.parametrize(
    "line",
    [
        *("domain.example:443", "https:domain.example", "https://domain.example", "user@domain.example"),
        *("a.example,b.example", "a.example;b.example", "[2001:db8::7", "2001:db8::7", "[2001:db8::7]x"),
        *(
            "a.example b.example",
            "a.example\tb.example",
            "*.domain.example",
            "domain.example/",
            "a%2eexample",
        ),
        *("dom<ain.example", "\u00ad", "...", "256.1.1.1", "[zz::1]", "x" * 600),
    ],
)
def test_what_is_no_host_is_refused(tmp_path: Path, line: str) -> None:
    """Were it read as some host, the one that was meant would stand open, and nobody would hear of it."""
    path = tmp_path / "never.txt"
    path.write_text(f"# ours\nwww.example\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"never\.txt: line 3: ") as caught:
        load_never_block(path)
    assert caught.value.hint


def test_names_and_addresses_are_read_in_any_spelling(tmp_path: Path) -> None:
    path = tmp_path / "never.txt"
    path.write_text(
        "WWW.Example.  # ours\nb\u00fccher.example\n192.0.2.7\n[2001:DB8:0::7]\nlocalhost\n", "utf-8"
    )
    names = ("www.example", "xn--bcher-kva.example", "192.0.2.7", "[2001:db8::7]", "localhost")
    assert load_never_block(path) == never_block(enumerate(names, 1))
