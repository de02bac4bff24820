"""``vallum allow``: what no list may block, whatever it says."""

from __future__ import annotations

from pathlib import Path

import click

from vallum.cli.levers import parse_until, reason_option
from vallum.cli.terminal import clock, counted, emit, json_option, note, say, table, warn
from vallum.errors import VallumError
from vallum.format.fields import format_time


@click.group(
    epilog="\b\nExamples:\n"
    "  vallum allow add www.example --until 2h --reason 'our own shop'\n"
    "  vallum allow list"
)
def allow() -> None:
    """Say what no list may block, whatever it says: at once, in every process."""


_READ_AS = {
    "url": "the page {}, and nothing else",
    "host": "everything on the host {}, and not the names below it",
    "names": "everything on {} and on all names below it",
    "id": "the entry {}, in every list",
}


@allow.command(
    "add",
    epilog="\b\nExamples:\n"
    "  vallum allow add https://www.example/page --until 3d --reason 'reported as an error'\n"
    "  vallum allow add www.example --until 2h --reason 'our own shop'\n"
    "  vallum allow add '*.example.com' --until 1w --reason 'a whole domain by mistake'\n"
    "  vallum allow add 'hotline/urls 0f1e2d3c4b5a6978' --until 3d --reason 'ticket 4711'",
)
@click.argument("subject", metavar="URL|HOST|ID")
@click.option("--until", required=True, help="2h, 3d, 1w, or a date; it ends by itself.")
@reason_option
@json_option
@click.pass_obj
def add_allowance(config: Path, subject: str, until: str, reason: str, as_json: bool) -> None:
    """Allow a page, a host, a host with all names below it, or one entry.

    It says how the words were read and how many entries in force are lifted: none is mostly a mistake.
    """
    from vallum.access import prepare_state
    from vallum.allow import Allowance, add, parse_subject, refuse_reach
    from vallum.config import load_config
    from vallum.match.lists import open_lists

    loaded, now = load_config(config), clock()
    kind, text = parse_subject(subject)
    refuse_reach(kind, text)
    end = parse_until(until, now)
    made = Allowance(kind, text, now.replace(microsecond=0), end, reason)
    try:
        with open_lists(loaded.state) as lists:
            found = lists.lifted(kind, text)
    except VallumError as error:
        found, unknown = None, str(error)  # it is for later then; `status` says what is wrong
    prepare_state(loaded.state, group_readable=loaded.group_readable)
    add(loaded.state, made, now)
    if as_json:
        emit(
            {
                **made.to_dict(),
                "lifts": found.entries if found else None,
                "not_counted": list(found.blind) if found else [],
            }
        )
        return
    said = _READ_AS[str(kind)].format(text)
    say(f"allows {said}, until {format_time(end)}; handle {made.handle}")
    if found is None:
        warn(f"what it lifts cannot be said: {unknown}")
        return
    if found.entries:
        say(f"it lifts {counted(found.entries, 'entry', 'entries')} in force now")
    elif not found.blind:
        warn("it lifts none of the entries in force now; is it written as the entry is meant?")
    if found.blind:
        note(
            f"{', '.join(found.blind)}: this edition holds no texts, so that entries for single pages there "
            "are lifted and not counted"
        )


@allow.command("list", epilog="\b\nExamples:\n  vallum allow list")
@json_option
@click.pass_obj
def list_allowances(config: Path, as_json: bool) -> None:
    """Show what is allowed."""
    from vallum.allow import pending, read_allowances
    from vallum.config import load_config

    loaded, now = load_config(config), clock()
    found = [entry for entry in read_allowances(loaded.state) if entry.lasts(now)]
    coming = pending(loaded.state, loaded.allow, now)
    if as_json:
        emit([{**entry.to_dict(), "in_force": entry not in coming} for entry in (*found, *coming)])
        return
    if not found and not coming:
        say("nothing is allowed")
        return
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
            for entry in (*found, *coming)
        ],
    )
    if coming:
        note(f"{counted(len(coming), 'line')} of {loaded.allow} will be in force with the next `vallum sync`")


@allow.command("remove", epilog="\b\nExamples:\n  vallum allow remove www.example --reason 'listed rightly'")
@click.argument("subject", metavar="URL|HOST|ID|HANDLE")
@reason_option
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
