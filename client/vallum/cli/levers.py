"""``vallum quarantine``, ``pin``, ``allow``: what an operator may decide over the heads of the lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from vallum.cli.terminal import NO, OK, clock, emit, json_option, note, say, table
from vallum.errors import ConfigError
from vallum.format.fields import format_time

_reason = click.option("--reason", required=True, help="Why; stands in the journal.")
_SPAN = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=366)


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
    from vallum.sync.quarantine import Quarantine, name_of

    loaded = load_config(config)
    found = [
        (source.name, stream, aside)
        for source in loaded.sources
        for stream, aside in Quarantine(loaded.state, source.name).all()
    ]
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


@quarantine.command("show", epilog="\b\nExamples:\n  vallum quarantine show urls")
@click.argument("name", metavar="LIST")
@json_option
@click.pass_obj
def show(config: Path, name: str, as_json: bool) -> None:
    """Show one list's version in quarantine beside the one in force: rows by scope or signal, and reasons."""
    from vallum.config import load_config
    from vallum.expression import TAGS
    from vallum.sync.activate import read_held
    from vallum.sync.levers import find_stream
    from vallum.sync.quarantine import Quarantine, name_of
    from vallum.sync.tables import open_tables

    loaded = load_config(config)
    source, stream = find_stream(loaded, name)
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


@quarantine.command(
    "accept",
    epilog="\b\nExamples:\n"
    "  vallum quarantine accept urls 1.57-0f1e2d3c4b5a6978 --reason 'called the hotline'",
)
@click.argument("name", metavar="LIST")
@click.argument("version")
@_reason
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
    say(f"{name}: version {head.generation}.{head.version} is in force")


@quarantine.command(
    "reject",
    epilog="\b\nExamples:\n"
    "  vallum quarantine reject urls 1.57-0f1e2d3c4b5a6978 --reason 'an error of theirs'",
)
@click.argument("name", metavar="LIST")
@click.argument("version")
@_reason
@json_option
@click.pass_obj
def reject_quarantined(config: Path, name: str, version: str, reason: str, as_json: bool) -> None:
    """Never take a version in quarantine, named as `quarantine show` does, whatever the limits will say."""
    from vallum.config import load_config
    from vallum.sync.levers import reject

    head = reject(load_config(config), name, version, reason, clock())
    if as_json:
        emit({"generation": head.generation, "version": head.version, "state": head.state})
        return
    say(f"{name}: version {head.generation}.{head.version} is rejected; the next one is judged anew")


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum pin --list urls\n"
    "  vallum pin 56 --list urls --until 2d --reason 'version 57 blocks our shop'\n"
    "  vallum pin --end --list urls --reason 'version 59 is fine'"
)
@click.argument("version", required=False)
@click.option("--list", "name", required=True, metavar="LIST", help="A followed list, or source/list.")
@click.option("--until", help="2h, 3d, 1w, or a date; it ends by itself.")
@click.option("--reason", help="Why; stands in the journal and in `status`.")
@click.option("--end", is_flag=True, help="End a pin now.")
@json_option
@click.pass_obj
def pin(
    config: Path,
    version: str | None,
    name: str,
    until: str | None,
    reason: str | None,
    end: bool,
    as_json: bool,
) -> None:
    """Go back to an earlier version that is kept here, for a while. Without VERSION: show which are kept."""
    from vallum.config import load_config
    from vallum.sync import levers
    from vallum.sync.kept import read_kept

    loaded, now = load_config(config), clock()
    if version is None and not end:
        source, stream = levers.find_stream(loaded, name)
        kept = read_kept(loaded.state, source.name, stream)
        rows = [
            (
                f"{one.state.head.generation}.{one.state.head.version}",
                format_time(one.activated),
                one.state.head.state,
            )
            for one in kept
        ]
        headings = ("version", "in force since", "state")
        emit([dict(zip(headings, row, strict=True)) for row in rows]) if as_json else table(headings, rows)
        return
    if reason is None:
        raise ConfigError("a pin needs --reason")
    if end:
        head = levers.unpin(loaded, name, reason, now)
        said = f"{name}: the pin has ended; `vallum sync` brings the newest version"
    elif version is None or until is None:
        raise ConfigError("a pin needs --until", hint="such as --until 2d")
    else:
        moment = parse_until(until, now)
        head = levers.pin(loaded, name, version, moment, reason, now)
        said = f"{name}: version {head.generation}.{head.version} is in force until {format_time(moment)}"
    if as_json:
        emit({"generation": head.generation, "version": head.version, "state": head.state})
        return
    say(said)


@click.group(
    epilog="\b\nExamples:\n"
    "  vallum allow add www.example --until 2h --reason 'our own shop'\n"
    "  vallum allow list"
)
def allow() -> None:
    """Say what no list may block, whatever it says: at once, in every process."""


@allow.command(
    "add",
    epilog="\b\nExamples:\n"
    "  vallum allow add https://www.example/page --until 3d --reason 'reported as an error'\n"
    "  vallum allow add www.example --until 2h --reason 'our own shop'\n"
    "  vallum allow add '*.example.com' --until 1w --reason 'a whole domain by mistake'\n"
    "  vallum allow add 0f1e2d3c4b5a6978 --until 3d --reason 'ticket 4711'",
)
@click.argument("subject", metavar="URL|HOST|ID")
@click.option("--until", required=True, help="2h, 3d, 1w, or a date; it ends by itself.")
@_reason
@json_option
@click.pass_obj
def add_allowance(config: Path, subject: str, until: str, reason: str, as_json: bool) -> None:
    """Allow a page, a host, a host with all names below it, or one entry."""
    from vallum.access import prepare_state
    from vallum.allow import Allowance, add, parse_subject
    from vallum.config import load_config

    loaded, now = load_config(config), clock()
    kind, text = parse_subject(subject)
    made = Allowance(kind, text, now.replace(microsecond=0), parse_until(until, now), reason)
    prepare_state(loaded.state, group_readable=loaded.group_readable)
    add(loaded.state, made, now)
    if as_json:
        emit(made.to_dict())
        return
    say(f"allowed ({kind}) until {until}; handle {made.handle}")


@allow.command("list", epilog="\b\nExamples:\n  vallum allow list")
@json_option
@click.pass_obj
def list_allowances(config: Path, as_json: bool) -> None:
    """Show what is allowed."""
    from vallum.allow import read_allowances
    from vallum.config import load_config

    now = clock()
    found = [
        entry
        for entry in read_allowances(load_config(config).state)
        if entry.until is None or now < entry.until
    ]
    if as_json:
        emit([entry.to_dict() for entry in found])
    elif not found:
        say("nothing is allowed")
    else:
        table(
            ("handle", "kind", "what", "until", "reason"),
            [
                (
                    entry.handle,
                    str(entry.kind),
                    entry.text,
                    format_time(entry.until) if entry.until else "-",
                    entry.reason,
                )
                for entry in found
            ],
        )


@allow.command("remove", epilog="\b\nExamples:\n  vallum allow remove www.example --reason 'listed rightly'")
@click.argument("subject", metavar="URL|HOST|ID|HANDLE")
@_reason
@json_option
@click.pass_obj
def remove_allowance(config: Path, subject: str, reason: str, as_json: bool) -> None:
    """Take an allowance back before it ends."""
    from vallum.allow import remove
    from vallum.config import load_config

    gone = remove(load_config(config).state, subject, reason, clock())
    if as_json:
        emit(gone.to_dict())
        return
    say(f"no longer allowed ({gone.kind}); handle {gone.handle}")
    note("lists apply to it again within a second")
