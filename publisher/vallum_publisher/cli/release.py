"""``publish``, ``refresh``, ``status``, ``verify``, ``invite``, ``gc``: what happens to a repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import (
    NO,
    OK,
    as_record,
    clock,
    counted,
    emit,
    exit_code,
    json_option,
    note,
    say,
    show_error,
    table,
    warn,
    write,
)
from vallum.durable import check_output, write_durable
from vallum.errors import ConfigError, VallumError
from vallum.format.fields import format_time
from vallum_publisher.cli.session import no_lists, open_publisher, sign_with_option
from vallum_publisher.errors import with_hint

if TYPE_CHECKING:
    from vallum_publisher.release.publisher import Published
    from vallum_publisher.release.roots import RootCondition
    from vallum_publisher.release.verification import VerifiedStream


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher publish urls\n"
    "  vallum-publisher publish urls --sign-with file:/media/stick/urls.full-2.pem  # two release it\n"
    "  vallum-publisher publish --json\n\n"
    "Exit codes: 0 all are published; else the highest that a list's error has."
)
@click.argument("names", nargs=-1, metavar="[LIST]...")
@sign_with_option
@json_option
@click.pass_obj
def publish(home: Path, names: tuple[str, ...], sign_with: tuple[str, ...], as_json: bool) -> int:
    """Publish what waits in the catalog as new versions; all lists if none is named.

    Run it again after a failure: it finishes exactly what was begun. One list's failure stops no other.

    Where two people must release a list (`list create --keys 2 --threshold 2`), one keeps a key here, and the
    other brings one for each edition and names them by --sign-with; neither can publish alone.
    """
    done: list[Published] = []
    failed: dict[str, VallumError] = {}
    with open_publisher(home, sign_with, quiet=as_json) as publisher:
        wanted = names or tuple(info.name for info in publisher.catalog.lists())
        if not wanted:
            raise no_lists()
        for name in wanted:
            try:
                done.append(publisher.publish(name, now=clock()))
            except VallumError as error:
                failed[name] = error
    if as_json:
        refused = [{"list": name, **as_record(error, exit_code(error))} for name, error in failed.items()]
        emit([*map(_published, done), *refused])
    for each in () if as_json else done:
        where = f"{each.list} version {each.generation}.{each.version}"
        if each.versions:
            say(
                f"published {where}: {counted(each.changes, 'row')} changed, "
                f"{sum(each.rows.values()):,} listed, {each.uploaded:,} bytes of runs; read back and verified"
            )
            say(f"state {each.state}")
        elif each.uploaded:
            say(f"{where}: public under a new key, {each.uploaded:,} bytes of runs; read back and verified")
        else:
            say(f"{where}: nothing has changed since")
        if each.taken_off:
            warn(
                f"{each.list}: what an earlier publish had begun was public for a moment before that, "
                f"with rows that were taken off since ({each.taken_off:,})"
            )
    for name, reason in failed.items():
        if len(wanted) > 1:
            note(f"{name} was not published:")
        show_error(reason)
    return max(map(exit_code, failed.values()), default=OK)


def _published(each: Published) -> dict[str, object]:
    return {**asdict(each), "rows": dict(each.rows)}


@click.command(
    epilog="\b\nExamples:\n  vallum-publisher refresh     # from a timer, every hour\n\n"
    "Exit codes: 0 nothing is due any more, 1 catalog and store disagree on a list, something due could not "
    "be signed, the store has lost a run, or something is public although its time is over."
)
@sign_with_option
@json_option
@click.pass_obj
def refresh(home: Path, sign_with: tuple[str, ...], as_json: bool) -> int:
    """Sign again what grows old: timestamp, snapshot, heads. For a timer; does nothing if nothing is due.

    A list on which catalog and store disagree, as after a restored backup, is never signed again, and named
    each time, due or not. With `rotate_days` in publisher.toml it also replaces keys of encrypted lists that
    are older. It puts back wraps that the store has lost. It names lists with entries whose `expires_at` is
    over: only `publish` takes them off.
    """
    from vallum_publisher.recipients.roster import Roster

    with open_publisher(home, sign_with, quiet=as_json) as publisher:
        rotated, failed = Roster(publisher).rotate_due(now=clock())
        done = publisher.refresh(now=clock())
    refused = {**done.refused, **{name: with_hint(error) for name, error in failed.items()}}
    if as_json:
        emit({**asdict(done), "refused": refused, "rotated": [each.list for each in rotated]})
    else:
        for each in rotated:
            say(f"{each.list}: published under a new key")
        online = [role for role in ("snapshot", "timestamp") if getattr(done, role)]
        signed = [*done.streams, *online]
        if signed or not refused:
            say(f"signed again: {', '.join(signed)}" if signed else "nothing is due")
        if done.wraps:
            warn(f"the store had lost {counted(done.wraps, 'wrap')}, put back: who deletes there?")
        for stream, reason in refused.items():
            warn(f"{stream} is not signed again: {reason}")
        for stream, reason in done.lacking.items():
            note(
                f"warning: {stream} was signed again, but {reason}"
                if stream in signed
                else f"warning: {reason}"
            )
        for told in (*done.overdue.values(), *filter(None, [done.doubt])):
            warn(told)
    return NO if refused or done.lacking or done.overdue or done.doubt else OK


@click.command(
    epilog="\b\nExamples:\n  vallum-publisher status\n  vallum-publisher status --json\n\n"
    "Exit codes: 0 nothing is due, 1 something is, or a warning is shown."
)
@json_option
@click.pass_obj
def status(home: Path, as_json: bool) -> int:
    """Show lists, what waits to be published, and what expires when."""
    now = clock()
    with open_publisher(home, quiet=True) as publisher:
        found = publisher.status(now=now)
    if as_json:
        emit(asdict(found))
    else:
        for root, sent in _roots(found.roots):
            say(f"root version {root.version}, fingerprint {root.fingerprint}{sent}")
        if found.lists:
            say()
            table(
                ("list", "kind", "public version", "rows", "changes waiting", "stale after", "state"),
                [
                    (
                        each.name,
                        each.kind,
                        f"{each.public_generation}.{each.public}" if each.public else None,
                        each.rows,
                        each.waiting,
                        format_time(each.stale_after) if each.stale_after else None,
                        each.state[:16] or None,
                    )
                    for each in found.lists
                ],
            )
        say()
        table(
            ("role", "file number", "expires", "to be signed"),
            [(role.role, role.number, format_time(role.expires), role.due) for role in found.roles],
        )
        for each in found.lists:
            if each.problem:
                warn(each.problem)
        for warning in found.warnings:
            warn(warning)
        for role in found.roles:
            if role.jumped:
                warn(f"{role.role}: no honest number; a key was stolen (deploy/runbooks)")
        due = {role.role for role in found.roles if role.due}
        if due - {"root", "targets"}:
            note("something is due to be signed again: run `vallum-publisher refresh`")
        if due & {"root", "targets"}:
            note("root or targets expires soon: bring the offline keys and run `vallum-publisher keys renew`")
    good = not found.warnings and not any(role.due or role.jumped for role in found.roles)
    return OK if good and not any(each.problem for each in found.lists) else NO


def _roots(roots: Sequence[RootCondition]) -> Iterator[tuple[RootCondition, str]]:
    """Each root, the newest first, and which invitations show it."""
    after: datetime | None = None
    for root in roots:
        sent = ""
        if root is not roots[0]:
            when = f" before {format_time(after)}" if after else " earlier"
            holds = "and still work" if root.leads else "and work no longer: invite anew"
            sent = f": invitations sent{when} show it, {holds}"
        yield root, sent
        after = root.since


@click.command(
    epilog="\b\nExamples:\n  vallum-publisher verify\n\n"
    "Exit codes: 0 all is as it must be, 1 so it is, but wraps in the store are nobody's; else the error's."
)
@json_option
@click.pass_obj
def verify(home: Path, as_json: bool) -> int:
    """Check the whole repository: metadata, every run, every way to the head, the catalog's rows."""
    with open_publisher(home, quiet=as_json) as publisher:
        found = publisher.verify()
        strays = publisher.strays()
    if as_json:
        emit([{**asdict(each), "rows": dict(each.rows)} for each in found])
    else:
        _show_verified(found)
    if strays:
        warn(strays)
    return NO if strays else OK


def _show_verified(found: Sequence[VerifiedStream]) -> None:
    table(
        ("stream", "version", "rows", "runs", "ways", "state"),
        [
            (
                each.stream,
                f"{each.generation}.{each.version}",
                sum(each.rows.values()),
                each.runs,
                each.paths,
                each.state,
            )
            for each in found
        ],
    )
    if not found:
        say("nothing has been published yet")
        return
    say("every way leads to the signed state, and the signed state is what the catalog lists")


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher invite > provider.json\n"
    "  vallum-publisher invite urls --output provider.json\n"
    "  vallum-publisher invite --output provider.json --json | jq -r .fingerprint"
)
@click.argument("names", nargs=-1, metavar="[LIST]...")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it here, not to the terminal.",
)
@json_option
@click.pass_obj
def invite(home: Path, names: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Write an invitation: the one file from which a subscriber begins.

    With --json it says what was written, so the invitation itself needs --output.
    """
    from vallum.invitation import parse_invitation, root_fingerprint

    if as_json and output is None:
        raise ConfigError("--json and the invitation cannot both go to standard output", hint="--output FILE")
    if output is not None:
        check_output(output, "name a file, or leave --output out for standard output")
    with open_publisher(home, quiet=True) as publisher:
        data = publisher.invite(names)
        roots = publisher.roots()
    invited = parse_invitation(data)
    fingerprint = root_fingerprint(invited.root)
    if output is None:
        write(data.decode())
    else:
        write_durable(output, [data])
        if as_json:
            emit(
                {
                    "file": str(output),
                    "lists": invited.streams,
                    "fingerprint": fingerprint,
                    "roots": [asdict(root) for root in roots],
                }
            )
            return
        say(f"{output}: written; send it to the subscriber")
    note(f"root fingerprint to read out by telephone: {fingerprint}")
    if len(roots) > 1:
        note("who was invited earlier sees an older one: `vallum-publisher status` lists all of them")


@click.command(epilog="\b\nExamples:\n  vallum-publisher gc\n  vallum-publisher gc --retention 72")
@click.option(
    "--retention",
    type=click.IntRange(24),
    default=24,
    show_default=True,
    help="Hours that a run stays after it was last listed.",
)
@json_option
@click.pass_obj
def gc(home: Path, retention: int, as_json: bool) -> None:
    """Delete runs that nobody can need any more, and metadata older than 400 days."""
    with open_publisher(home, quiet=as_json) as publisher:
        done = publisher.gc(now=clock(), retention=timedelta(hours=retention))
    if as_json:
        emit(asdict(done))
        return
    say(
        f"deleted {counted(done.runs, 'run')}, {counted(done.wraps, 'wrap')} and "
        f"{counted(done.metadata, 'metadata file')}, "
        f"{counted(done.bytes, 'byte')}"
    )
