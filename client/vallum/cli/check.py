"""``vallum check``: is this listed? URLs, digests and files, one or many."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import NO, OK, USAGE, emit_line, note, say, show_error
from vallum.errors import InputError, StorageError, VallumError

if TYPE_CHECKING:
    from vallum.match.answer import Match
    from vallum.match.lists import Lists

_BLANKS = " \t\r\n\f\v\u00a0\u200b\ufeff"
"""What spreadsheets and editors leave around a line."""

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
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per look-up and line.")
@click.pass_obj
def check(
    config: Path,
    urls: tuple[str, ...],
    files: tuple[Path, ...],
    digests: tuple[str, ...],
    explain: bool,
    as_json: bool,
) -> int:
    """Look up URLs, digests or files. `-` reads one URL a line from standard input.

    Of several, each answer begins with what it answers: `line 3: not listed`. URLs and digests are not
    repeated, so that no log holds a listed one.
    """
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
        several = len(urls) + len(files) + len(digests) > 1 or "-" in urls
        listed = failed = False
        for question in _questions(lists, urls, files, digests):
            where = f"{question.where}: " if several else ""
            try:
                matches = _explain(lists, question, as_json) if explain else question.look_up()
            except (InputError, StorageError) as error:
                failed = True
                # What cannot be read names its file itself.
                named = "" if isinstance(error, StorageError) else where
                show_error(type(error)(f"{named}{error}", hint=error.hint))
                if as_json:
                    emit_line({"asked": question.where, "listed": None, "error": str(error), "matches": []})
                continue
            listed |= bool(matches)
            if as_json and not explain:
                found = [match.to_dict() for match in matches]
                emit_line({"asked": question.where, "listed": bool(matches), "error": "", "matches": found})
            elif not explain:
                _answer(where, matches)
    if listed and not as_json:
        note("quote source, list and id, never the entry itself")
    # What could not be looked up is never "not listed".
    return OK if listed else USAGE if failed else NO


@dataclass(frozen=True, slots=True)
class _Question:
    """``where`` names it without repeating it; a file is named by its path."""

    where: str
    look_up: Callable[[], Sequence[Match]]
    url: str = ""


def _questions(
    lists: Lists, urls: Iterable[str], files: Iterable[Path], digests: Iterable[str]
) -> Iterator[_Question]:
    for where, url in _expand(urls):
        yield _Question(where, partial(lists.match_url, url), url)
    for path in files:
        yield _Question(str(path), partial(lists.match_file, path))
    for number, text in enumerate(digests, 1):
        yield _Question(f"digest {number}", partial(_match_digest, lists, text))


def _expand(urls: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, url in enumerate(urls, 1):
        if url != "-":
            yield f"URL {number}", url
            continue
        for line, raw in enumerate(sys.stdin.buffer, 1):
            if line == 1 and raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise InputError(
                    "standard input is UTF-16",
                    hint="convert it: iconv -f utf-16 -t utf-8 FILE | vallum check -",
                )
            # The locale must not change what is asked; bytes that are no UTF-8 are looked up like any others.
            text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape").strip(_BLANKS)
            if text:
                yield f"line {line}", text


def _explain(lists: Lists, question: _Question, as_json: bool) -> Sequence[Match]:
    from vallum.url import no_host

    explanation = lists.explain_url(question.url)
    if as_json:
        emit_line({"asked": question.where, **explanation.to_dict()})
    else:
        say("\n".join(explanation.lines()))
    if not explanation.url.host:
        raise no_host(question.url)
    return explanation.matches


def _match_digest(lists: Lists, text: str) -> list[Match]:
    return lists.match_digest(*_digest(text))


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


def _answer(where: str, matches: Sequence[Match]) -> None:
    if not matches:
        say(f"{where}not listed")
    for match in matches:
        reach = f" as {match.scope}" if match.scope else f" by {match.signal}"
        weak = " (weak: this signal is cheap to forge)" if match.weak else ""
        labels = ", ".join(match.labels) or "no labels"
        say(
            f"{where}LISTED  {match.source}/{match.list} version {match.version}{reach}, "
            f"id {match.id}, {labels}{weak}"
        )
