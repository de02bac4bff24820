"""``vallum check``: is this listed? URLs, digests and files, one or many."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import NO, OK, USAGE, emit, note, say, show_error
from vallum.errors import InputError, VallumError

if TYPE_CHECKING:
    from vallum.match.answer import Match
    from vallum.match.lists import Lists

_SIGNAL_BY_DIGITS = {32: "md5", 40: "sha1", 64: "sha256"}


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum check https://www.example/page\n"
    "  vallum check --explain https://www.example/page\n"
    "  vallum check --file picture.png\n"
    "  vallum check --digest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n"
    "  vallum check - < urls.txt\n\n"
    "Exit codes: 0 listed (at least one), 1 not listed, 2 error."
)
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option(
    "--file", "files", multiple=True, type=click.Path(path_type=Path), help="Look a file's digests up."
)
@click.option("--digest", "digests", multiple=True, metavar="[SIGNAL:]HEX", help="Look a digest up.")
@click.option("--explain", is_flag=True, help="Show how a URL was read and everything that was tried.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
@click.pass_obj
def check(
    config: Path,
    urls: tuple[str, ...],
    files: tuple[Path, ...],
    digests: tuple[str, ...],
    explain: bool,
    as_json: bool,
) -> int:
    """Look up URLs, digests or files. `-` reads one URL a line from standard input."""
    try:
        return _check(config, urls, files, digests, explain, as_json)
    except VallumError as error:
        # A script must be able to tell "not listed" from "could not say": every error is 2 here.
        show_error(error)
        return USAGE


def _check(
    config: Path,
    urls: tuple[str, ...],
    files: tuple[Path, ...],
    digests: tuple[str, ...],
    explain: bool,
    as_json: bool,
) -> int:
    from vallum.config import load_config
    from vallum.match.lists import open_lists

    if not (urls or files or digests):
        raise InputError("nothing to look up", hint="name a URL, --file, --digest, or - for standard input")
    if explain and (files or digests):
        raise InputError("--explain goes with URLs only")
    with open_lists(load_config(config).state) as lists:
        listed = failed = False
        for what, look_up in _questions(lists, urls, files, digests):
            try:
                if explain:
                    explanation = lists.explain_url(what)
                    emit(explanation.to_dict()) if as_json else say("\n".join(explanation.lines()))
                    if not explanation.url.host:
                        raise InputError("the URL names no host, so nothing was looked up")
                    listed |= bool(explanation.matches)
                    continue
                matches = look_up()
            except InputError as error:
                failed = True
                show_error(error)
                continue
            listed |= bool(matches)
            _answer(matches, as_json)
    # What could not be looked up is never "not listed".
    return OK if listed else USAGE if failed else NO


def _questions(
    lists: Lists, urls: Iterable[str], files: Iterable[Path], digests: Iterable[str]
) -> Iterator[tuple[str, Callable[[], list[Match]]]]:
    for url in _expand(urls):
        yield url, lambda url=url: lists.match_url(url)  # type: ignore[misc] # mypy loses the default's type
    for path in files:
        yield str(path), lambda path=path: lists.match_file(path)  # type: ignore[misc] # likewise
    for text in digests:
        yield text, lambda text=text: lists.match_digest(*_digest(text))  # type: ignore[misc] # likewise


def _expand(urls: Iterable[str]) -> Iterator[str]:
    for url in urls:
        if url == "-":
            # Undecodable bytes become surrogates, which a look-up takes like anything else.
            sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr] # a real text stream
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        else:
            yield url


def _digest(text: str) -> tuple[str, str]:
    signal, colon, digits = text.rpartition(":")
    if colon:
        return signal, digits
    found = _SIGNAL_BY_DIGITS.get(len(digits))
    if found is None:
        raise InputError(
            f"a digest of {len(digits)} digits could be of any kind", hint="say which: --digest sha256:9f86…"
        )
    return found, digits


def _answer(matches: list[Match], as_json: bool) -> None:
    if as_json:
        emit({"listed": bool(matches), "matches": [match.to_dict() for match in matches]})
        return
    if not matches:
        say("not listed")
    for match in matches:
        reach = f" as {match.scope}" if match.scope else f" by {match.signal}"
        weak = " (weak: this signal is cheap to forge)" if match.weak else ""
        labels = ", ".join(match.labels) or "no labels"
        say(
            f"LISTED  {match.source}/{match.list} version {match.version}{reach}, "
            f"id {match.id}, {labels}{weak}"
        )
    if matches:
        note("quote source, list and id, never the entry itself")
