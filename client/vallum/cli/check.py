"""``vallum check``: is this listed? URLs, digests and files, one or many."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import NO, OK, USAGE, clock, emit_line, fail, note, say, show_error, show_hint, warn
from vallum.errors import DataError, InputError, StorageError, UnavailableError, VallumError
from vallum.format.fields import format_time
from vallum.slips import refuse_no_url

if TYPE_CHECKING:
    from vallum.allow import Allowance
    from vallum.match.answer import Match
    from vallum.match.lists import Lists
    from vallum.match.snapshot import Snapshot

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
    "Exit codes: 0 listed (at least one), 1 not listed, or listed and allowed by you, 2 could not be looked "
    "up, for whatever reason."
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
    repeated, so that no log holds a listed one. What `vallum allow` lifts is said so.
    """
    try:
        return _check(config, urls, files, digests, explain, as_json)
    except VallumError as error:
        # A script must be able to tell "not listed" from "could not say": every error is 2 here.
        return fail(error, USAGE, as_json)


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
    state = load_config(config).state
    with open_lists(state, incomplete=True) as lists:
        answers = _Answers(
            lists, state, as_json, several=len(urls) + len(files) + len(digests) > 1 or "-" in urls
        )
        asked = listed = failed = False
        for question in _questions(urls, files, digests):
            asked = True
            try:
                listed |= answers.explain(question) if explain else answers.give(question)
            except (InputError, UnavailableError) as error:
                failed = True
                answers.refuse(question, error)
        for gap in lists.gaps if listed else ():
            warn(f"not everything that is followed was looked up: {gap.says}", gap.hint)
    if not asked:
        raise InputError("no URL came on standard input", hint="one a line: vallum check - < urls.txt")
    if listed and not as_json:
        note("quote source, list and id, never the entry itself")
    # What could not be looked up is never "not listed".
    return OK if listed else USAGE if failed else NO


@dataclass(frozen=True, slots=True)
class _Question:
    """``where`` names it without repeating it; a file is named by its path.

    ``deaf`` says why the lists have no answer to it, where they hold nothing of its kind.
    """

    where: str
    look_up: Callable[[Lists | Snapshot], Sequence[Match]] = field(repr=False)
    deaf: Callable[[Snapshot], str] = field(repr=False)
    url: str = field(default="", repr=False)


class _Answers:
    """Looks questions up and prints what came of them."""

    def __init__(self, lists: Lists, state: Path, as_json: bool, *, several: bool) -> None:
        from vallum.allow import UNREAD, read_allowances

        self._lists, self._state, self._json, self._several = lists, state, as_json, several
        try:
            self._allowances = read_allowances(state)
        except (DataError, StorageError) as error:
            self._allowances = ()  # nothing is heeded of it either: what was allowed is blocked again
            warn(f"{UNREAD}: {error}", error.hint)
        self._regardless = lists.regardless()

    def give(self, question: _Question) -> bool:
        """Answer; say whether something is listed and not allowed."""
        matches = question.look_up(self._lists)
        spared, why = self._spared(question, matches)
        if question.url and not (matches or spared):
            refuse_no_url(question.url)
        if not matches and (unheard := self._unheard(question)):
            raise unheard
        if self._json:
            emit_line(
                {
                    "asked": question.where,
                    "listed": bool(matches),
                    "error": "",
                    "matches": [match.to_dict() for match in matches],
                    "allowed": [match.to_dict() for match in spared],
                    "allowances": [entry.brief() for entry in why],
                }
            )
            return bool(matches)
        where = self._named(question)
        for match in matches:
            say(f"{where}LISTED  {self._about(match)}")
        if spared:
            if not matches:
                say(f"{where}not listed: {'; '.join(map(_allowed, why))}")
            for match in spared:
                say(f"{where}  without that  {self._about(match)}")
        elif not matches:
            say(f"{where}not listed")
        self._tell_file(question)
        return bool(matches)

    def explain(self, question: _Question) -> bool:
        """As :meth:`give`, with how a URL was read and everything that was tried."""
        from vallum.url import no_host

        explanation = self._lists.explain_url(question.url)
        if explanation.url.host and not (explanation.matches or explanation.allowed):
            refuse_no_url(question.url)
        unheard = None if explanation.matches else self._unheard(question)
        if self._json:
            emit_line({"asked": question.where, **explanation.to_dict()})
        else:
            say("\n".join(explanation.lines()[2 if unheard else 0 :]))  # less the verdict
        if not explanation.url.host:
            raise no_host(question.url)
        if unheard:
            raise unheard
        return bool(explanation.matches)

    def _unheard(self, question: _Question) -> UnavailableError | None:
        """What was not looked up in all lists, or in none of its kind, has no answer (client.md §13.4)."""
        if gaps := self._lists.gaps:
            says = "; ".join(gap.says for gap in gaps)
            return UnavailableError(f"not in what could be looked up, but: {says}", hint=gaps[0].hint)
        if deaf := question.deaf(self._plain()):
            return UnavailableError(
                f"it could not be looked up: {deaf}",
                hint="`vallum status` shows which lists are followed; others go into the configuration",
            )
        return None

    def refuse(self, question: _Question, error: InputError | UnavailableError) -> None:
        """Say why there is no answer."""
        # What cannot be read names its file itself.
        named = "" if isinstance(error, StorageError) else self._named(question)
        show_error(type(error)(f"{named}{error}", hint=error.hint))
        self._tell_file(question)
        if self._json:
            emit_line({"asked": question.where, "listed": None, "error": str(error), "matches": []})

    def _tell_file(self, question: _Question) -> None:
        """Help whoever gave a file's name as a URL."""
        if question.url and not self._json and _is_file(question.url):
            show_hint(
                f"{self._named(question) or 'this '}is a file here, and was asked as a URL: "
                "`vallum check - < FILE` reads URLs from it, `--file FILE` looks its digests up"
            )

    def _plain(self) -> Snapshot:
        """The lists as if nothing were allowed; asked anew, since a sync may come while lines still come."""
        self._regardless = self._lists.regardless(self._regardless)
        return self._regardless

    def _named(self, question: _Question) -> str:
        return f"{question.where}: " if self._several else ""

    def _spared(self, question: _Question, matches: Sequence[Match]) -> tuple[list[Match], list[Allowance]]:
        """What would be listed if nothing were allowed, and the allowances that lift it."""
        from vallum.allow import read_allowances
        from vallum.url import canonicalize

        if not self._allowances:
            return [], []
        spared = [match for match in question.look_up(self._plain()) if match not in matches]
        if not spared:
            return [], []
        with suppress(DataError, StorageError):  # what was allowed since is a reason, too
            self._allowances = read_allowances(self._state)
        url = canonicalize(question.url) if question.url else None
        ids, now = {one.id for one in spared}, clock()
        return spared, [entry for entry in self._allowances if entry.lasts(now) and entry.covers(url, ids)]

    def _about(self, match: Match) -> str:
        reach = f" as {match.scope}" if match.scope else f" by {match.signal}"
        weak = " (weak: this signal is cheap to forge)" if match.weak else ""
        labels = ", ".join(match.labels) or "no labels"
        # Asked anew each time: a sync may bring another generation into force.
        generations = {(one.source, one.list): one.generation for one in self._lists.status()}
        generation = generations.get((match.source, match.list))  # it may have left force just now
        version = str(match.version) if generation is None else f"{generation}.{match.version}"
        return f"{match.source}/{match.list} version {version}{reach}, id {match.id}, {labels}{weak}"


def _questions(urls: Iterable[str], files: Iterable[Path], digests: Iterable[str]) -> Iterator[_Question]:
    for where, url in _expand(urls):
        yield _Question(where, partial(_match_url, url), _deaf_to_urls, url)
    for path in files:
        yield _Question(str(path), partial(_match_file, path), _deaf_to_files)
    for number, text in enumerate(digests, 1):
        yield _Question(f"digest {number}", partial(_match_digest, text), partial(_deaf_to_digest, text))


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


def _allowed(entry: Allowance) -> str:
    end = f"until {format_time(entry.until)}" if entry.until else "without an end"
    return f"allowed {end} (handle {entry.handle}, {entry.reason})"


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _match_url(url: str, lists: Lists | Snapshot) -> list[Match]:
    return lists.match_url(url)


def _match_file(path: Path, lists: Lists | Snapshot) -> list[Match]:
    from vallum.match.digests import feed

    hasher = lists.hasher()
    feed(hasher, path)
    return hasher.finish()


def _match_digest(text: str, lists: Lists | Snapshot) -> list[Match]:
    return lists.match_digest(*_digest(text))


def _deaf_to_urls(lists: Snapshot) -> str:
    return lists.deaf_to_urls()


def _deaf_to_files(lists: Snapshot) -> str:
    return lists.deaf_to_files()


def _deaf_to_digest(text: str, lists: Snapshot) -> str:
    return lists.deaf_to(_digest(text)[0])


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
