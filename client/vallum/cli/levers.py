"""``vallum quarantine``, ``pin``: which version an operator decides for, over the heads of the publishers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import NO, OK, clock, emit, json_option, say, table
from vallum.errors import ConfigError
from vallum.format.fields import format_time

if TYPE_CHECKING:
    from vallum.config import Config, Source
    from vallum.sync.quarantine import Quarantined


_SPAN = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=366)
_LONGEST_REASON = 500


def parse_until(text: str, now: datetime) -> datetime:
    """Read an end: ``30m``, ``2h``, ``3d``, ``1w``, or a date or time (UTC unless it says otherwise).

    Raises:
        ConfigError: none of these, not in the future, or more than a year ahead.
    """
    hint = "such as 2h, 3d, 2026-12-24, or 2026-12-24T18:00Z; at most a year"
    span = _SPAN.fullmatch(text)
    if span:
        until = now + timedelta(**{_UNITS[span[2]]: int(span[1])})
    else:
        try:
            until = datetime.fromisoformat(text)
        except ValueError:
            raise ConfigError(f"--until {text}: not a time", hint=hint) from None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
    if not now < until <= now + _LONGEST:
        raise ConfigError(f"--until {text}: not within the next year", hint=hint)
    return until.astimezone(UTC).replace(microsecond=0)


def one_line(_context: click.Context, _option: click.Parameter, reason: str | None) -> str | None:
    """A reason is for whoever reads the journal later: it says something, and on one line."""
    if reason is None:
        return None
    said = reason.strip()
    if not said or not said.isprintable() or len(said) > _LONGEST_REASON:
        raise ConfigError(
            f"--reason is not one line of 1 to {_LONGEST_REASON} characters",
            hint="say why, for whoever reads the journal",
        )
    return said


reason_option = click.option("--reason", required=True, callback=one_line, help="Why; stands in the journal.")


@click.group(epilog="\b\nExamples:\n  vallum quarantine list\n  vallum quarantine show urls")
def quarantine() -> None:
    """Look at versions that were refused as absurd, and decide."""


@quarantine.command(
    "list",
    epilog="\b\nExamples:\n  vallum quarantine list\n\n"
    "Exit codes: 0 nothing is in quarantine, 1 something is.",
)
@json_option
@click.pass_obj
def list_quarantined(config: Path, as_json: bool) -> int:
    """Show which versions are in quarantine, and why."""
    from vallum.config import load_config
    from vallum.sync.quarantine import name_of

    found = [(source.name, stream, aside) for source, stream, aside in _all_aside(load_config(config))]
    if as_json:
        emit([{"source": source, "list": stream, **aside.to_dict()} for source, stream, aside in found])
    elif not found:
        say("nothing is in quarantine")
    else:
        table(
            ("list", "version", "since", "why"),
            [
                (
                    f"{source}/{stream}",
                    name_of(aside.state.head),
                    format_time(aside.since),
                    f"rejected: {aside.rejected}" if aside.rejected else "; ".join(aside.reasons),
                )
                for source, stream, aside in found
            ],
        )
    return NO if any(not aside.rejected for _, _, aside in found) else OK


@quarantine.command("show", epilog="\b\nExamples:\n  vallum quarantine show\n  vallum quarantine show urls")
@click.argument("name", metavar="[LIST]", required=False)
@json_option
@click.pass_obj
def show(config: Path, name: str | None, as_json: bool) -> None:
    """Show one list's version in quarantine beside the one in force: rows by scope or signal, and reasons.

    LIST may be left out where one version waits to be decided on.
    """
    from vallum.config import load_config
    from vallum.expression import TAGS
    from vallum.sync.activate import read_held
    from vallum.sync.levers import find_stream
    from vallum.sync.quarantine import Quarantine, name_of
    from vallum.sync.tables import open_tables

    loaded = load_config(config)
    source, stream = _one_aside(loaded) if name is None else find_stream(loaded, name)
    where = Quarantine(loaded.state, source.name)
    aside = where.find(stream)
    if aside is None:
        raise ConfigError(f"{source.name}/{stream}: nothing is in quarantine")
    about = read_held(loaded.state).sources.get(source.name)
    held = about.streams.get(stream) if about else None
    now = open_tables(loaded.state, held.files(source.name, stream), held.head.tables) if held else {}
    counts = []
    for tables in (now, where.tables(stream, aside.state)):
        tally: dict[str, int] = {}
        for held_table in tables.values():
            for code, count in held_table.counts:
                tag = TAGS[code]
                what = str(tag.scope or tag.signal)
                tally[what] = tally.get(what, 0) + count
        counts.append(tally)
    kinds = sorted({*counts[0], *counts[1]})
    if as_json:
        emit({**aside.to_dict(), "rows_in_force": counts[0], "rows_in_quarantine": counts[1]})
        return
    head = aside.state.head
    say(f"{source.name}/{stream}: version {name_of(head)}, made {format_time(head.created)}")
    for reason in aside.reasons:
        say(f"  - {reason}")
    if aside.rejected:
        say(f"rejected: {aside.rejected}")
    table(
        ("rows of", "in force", "in quarantine"),
        [(kind, counts[0].get(kind, 0), counts[1].get(kind, 0)) for kind in kinds],
    )


def _all_aside(config: Config) -> Iterator[tuple[Source, str, Quarantined]]:
    from vallum.sync.quarantine import Quarantine

    for source in config.sources:
        for stream, aside in Quarantine(config.state, source.name).all():
            yield source, stream, aside


def _one_aside(config: Config) -> tuple[Source, str]:
    """The list that is meant where none is named.

    Raises:
        ConfigError: there is none, or there are several.
    """
    found = list(_all_aside(config))
    waiting = [one for one in found if not one[2].rejected] or found
    if not waiting:
        raise ConfigError("nothing is in quarantine")
    names = [f"{source.name}/{stream}" for source, stream, _ in waiting]
    if len(names) > 1:
        raise ConfigError(
            f"versions of several lists are in quarantine: {', '.join(names)}",
            hint=f"say which: vallum quarantine show {names[0]}",
        )
    return waiting[0][:2]


@quarantine.command(
    "accept",
    epilog="\b\nExamples:\n"
    "  vallum quarantine accept urls 1.57-0f1e2d3c4b5a6978 --reason 'called the hotline'",
)
@click.argument("name", metavar="LIST")
@click.argument("version")
@reason_option
@json_option
@click.pass_obj
def accept_quarantined(config: Path, name: str, version: str, reason: str, as_json: bool) -> None:
    """Bring a version in quarantine into force, named as `quarantine show` names it.

    No host or domain row of it may be a public suffix, a private address or on your never-block list all the
    same.
    """
    from vallum.config import load_config
    from vallum.sync.levers import accept

    head = accept(load_config(config), name, version, reason, clock())
    if as_json:
        emit({"generation": head.generation, "version": head.version, "state": head.state})
        return
    say(f"{name}: version {head.number} is in force")


@quarantine.command(
    "reject",
    epilog="\b\nExamples:\n"
    "  vallum quarantine reject urls 1.57-0f1e2d3c4b5a6978 --reason 'an error of theirs'",
)
@click.argument("name", metavar="LIST")
@click.argument("version")
@reason_option
@json_option
@click.pass_obj
def reject_quarantined(config: Path, name: str, version: str, reason: str, as_json: bool) -> None:
    """Do not take a version in quarantine, named as `quarantine show` names it, whatever the limits will say.

    That settles it: syncs go on without an alarm. `accept` takes it all the same, if you decide otherwise.
    """
    from vallum.config import load_config
    from vallum.sync.levers import reject

    head = reject(load_config(config), name, version, reason, clock())
    if as_json:
        emit({"generation": head.generation, "version": head.version, "state": head.state})
        return
    say(
        f"{name}: version {head.number} is rejected; the next one is judged anew, and `accept` takes this one"
    )


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum pin\n"
    "  vallum pin 1.56 --list urls --until 2d --reason 'version 1.57 blocks our shop'\n"
    "  vallum pin --end --list urls --reason 'version 1.59 is fine'"
)
@click.argument("version", required=False)
@click.option("--list", "name", metavar="LIST", help="A followed list, or source/list.")
@click.option("--until", help="2h, 3d, 1w, or a date; it ends by itself.")
@click.option("--reason", callback=one_line, help="Why; stands in the journal and in `status`.")
@click.option("--end", is_flag=True, help="End the list's pin now.")
@json_option
@click.pass_obj
def pin(
    config: Path,
    version: str | None,
    name: str | None,
    until: str | None,
    reason: str | None,
    end: bool,
    as_json: bool,
) -> None:
    """Go back to an earlier version that is kept here, for a while.

    Without VERSION it shows which are kept, of all lists or of one, and which is in force.
    """
    from vallum.config import load_config
    from vallum.sync import levers
    from vallum.uptime import read_uptime

    loaded, now = load_config(config), clock()
    if version is None and not end:
        if until or reason:
            raise ConfigError("a pin needs a VERSION", hint="`vallum pin` shows which are kept")
        _show_kept(loaded, name, now, as_json)
        return
    if version is not None and end:
        raise ConfigError("--end takes no VERSION: it ends the pin, whatever is pinned", hint="leave it out")
    if name is None:
        raise ConfigError("a pin needs --list", hint="such as --list urls; `vallum pin` shows which are kept")
    if reason is None:
        raise ConfigError("a pin needs --reason", hint="say why, for whoever reads the journal")
    if version is None:
        head = levers.unpin(loaded, name, reason, now)
        said = f"{name}: the pin has ended; version {head.number} stays until `vallum sync` brings the newest"
    elif until is None:
        raise ConfigError("a pin needs --until", hint="such as --until 2d")
    else:
        moment = parse_until(until, now)
        head = levers.pin(loaded, name, version, moment, reason, now, uptime=read_uptime())
        said = f"{name}: version {head.number} is in force until {format_time(moment)}"
    if as_json:
        emit({"generation": head.generation, "version": head.version, "state": head.state})
        return
    say(said)


def _show_kept(config: Config, name: str | None, now: datetime, as_json: bool) -> None:
    """Show what can be gone back to."""
    from vallum.sync.activate import read_held
    from vallum.sync.floor import Mark
    from vallum.sync.kept import read_kept
    from vallum.sync.levers import find_stream

    held = {(source, stream): state for source, stream, state in read_held(config.state).streams()}
    if name is None:
        wanted = [(source.name, stream) for source in config.sources for stream in source.streams]
    else:
        source, stream = find_stream(config, name)
        wanted = [(source.name, stream)]
    rows = []
    for where in wanted:
        now_held = held.get(where)
        for kept in read_kept(config.state, *where):
            head = kept.state.head
            in_force = now_held is not None and Mark.of(now_held.head) == Mark.of(head)
            pinned = now_held.pin if in_force and now_held is not None else None
            until = format_time(pinned.until) if pinned is not None and now < pinned.until else None
            rows.append(
                ("/".join(where), head.number, format_time(kept.activated), in_force, until, head.state)
            )
    if as_json:
        names = ("list", "version", "since", "in_force", "pinned_until", "state")
        emit([dict(zip(names, row, strict=True)) for row in rows])
    else:
        table(("list", "version", "first in force", "in force now", "pinned until", "state"), rows)
