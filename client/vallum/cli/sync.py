"""``vallum sync``, ``status``, ``verify``: bringing lists up to date and saying how they stand."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from vallum.cli.progress import clear_line, showing_steps
from vallum.cli.terminal import (
    DATA,
    NO,
    OK,
    UNAVAILABLE,
    clock,
    counted,
    emit,
    emit_line,
    exit_code,
    json_option,
    note,
    say,
    show_error,
    table,
    warn,
)
from vallum.errors import VallumError
from vallum.format.fields import format_time

if TYPE_CHECKING:
    from datetime import datetime

    from vallum.config import Config
    from vallum.sync.report import SyncReport
    from vallum.sync.standing import Standing


@click.command(
    epilog="\b\nExamples:\n  vallum sync\n  vallum sync --json | jq .bytes\n"
    "  vallum sync --watch    # as a service\n\n"
    "Exit codes: 0 all lists are as new as can be had; else the highest that a source's error has."
)
@click.option("--watch", is_flag=True, help="Go on polling until stopped; print what changes or fails.")
@json_option
@click.pass_obj
def sync(config: Path, watch: bool, as_json: bool) -> int:
    """Fetch, verify and put in force what is new. The last good list stays if anything is wrong.

    With --watch it polls as often as the publishers ask, more rarely while they fail, and at once after a
    hint where a source has `hints`; the configuration is read again when it changes. SIGTERM and SIGINT end
    it after the poll under way.
    """
    from vallum.config import load_config
    from vallum.sync.updater import Updater

    if watch:
        return _watch(config, as_json)
    loaded = load_config(config)
    with showing_steps(as_json) as tell, Updater(loaded, tell=tell) as updater:
        report = updater.sync(now=clock())
    if as_json:
        emit(report.to_dict())
    else:
        _show(report)
    _complain(report, loaded)
    return max((exit_code(error) for _, error in report.errors()), default=OK)


def _watch(path: Path, as_json: bool) -> int:
    """Watch by the configuration of ``path``, and by another one as soon as it says something else."""
    from vallum.config import load_config
    from vallum.regular import identity
    from vallum.sync.updater import Updater
    from vallum.sync.watch import Watch

    loaded = coming = load_config(path)
    seen: tuple[int, int, int] | None = None  # not what it is now: it may have changed since

    def tell(told: SyncReport | VallumError) -> None:
        clear_line()
        if isinstance(told, VallumError):
            show_error(told)
        elif as_json:
            emit_line(told.to_dict())
        else:
            if any(source.outcome != "unchanged" for source in told.sources):
                _show(told)
            _complain(told, loaded)

    def outdated() -> bool:
        nonlocal seen, coming
        try:
            if (now := identity(path)) != seen:
                seen, coming = now, load_config(path)
        except OSError:
            if seen is not None:  # or an editor is at it just now: then it comes back
                note("the configuration is gone; polling goes on by the one before")
            seen = None
        except VallumError as error:
            note("the configuration cannot be meant; polling goes on by the one before")
            tell(error)
        return coming != loaded

    stopped = Event()
    watch: Watch | None = None

    def stop(_number: int, _frame: object) -> None:
        stopped.set()
        if watch is not None:
            watch.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with showing_steps(as_json) as step:
        going = True
        while going:
            loaded = coming
            watch = Watch(loaded, tell, Updater(loaded, tell=step), outdated)
            # A signal that came while the former one ended has stopped only that.
            going = not stopped.is_set() and watch.run()
    return OK


def _show(report: SyncReport) -> None:
    rows = [
        (
            f"{source.source}/{stream.stream}",
            stream.outcome,
            *stream.numbers,
            len(stream.path),
            stream.requests,
            stream.bytes,
            stream.seconds,
        )
        for source in report.sources
        for stream in source.streams
    ]
    if rows:
        table(("list", "outcome", "from", "to", "runs", "requests", "bytes", "seconds"), rows)
    requests, fetched = counted(report.requests, "request"), counted(report.bytes, "byte")
    say(f"in all {requests}, {fetched}, {report.seconds:.2f} s (metadata included)")
    for name in report.left:
        note(f"{name}: left force; it is not in the configuration any more")
    for source in report.sources:
        if source.outcome == "unchanged" and not source.streams:
            say(f"{source.source}: unchanged")
        for stream in source.streams:
            if stream.rejected:
                note(
                    f"{source.source}/{stream.stream}: {stream.rejected}; {stream.numbers[1]} stays in force"
                    "; `vallum pin` shows what else is kept"
                )
            if stream.warning is not None:
                warn(f"{source.source}/{stream.stream}: {stream.warning}")


def _complain(report: SyncReport, config: Config) -> None:
    from vallum.allow import UNREAD, too_wide
    from vallum.sync.standing import FREE, LINGERS

    for name in report.lingering:
        warn(f"{name}: {LINGERS}", FREE)
    errors = report.errors()
    held = _in_force(config) if errors else set()
    for where, error in errors:
        if error is report.unsettled:  # client.md §8.8
            stays = "what was allowed before stays allowed"
        elif where in held:
            stays = "what was in force before stays in force"
        else:
            stays = "nothing of it is in force yet"
        note(f"{where} failed; {stays}")
        show_error(error)
    if report.unread is not None:
        warn(f"{UNREAD}: {report.unread}", report.unread.hint)
    with suppress(VallumError):  # said above, or by the next sync
        for wide in too_wide(config.allow, clock()):
            warn(str(wide), wide.hint)
    if report.warning is not None:
        warn(f"old files stay until the next sync: {report.warning}")


def _in_force(config: Config) -> set[str]:
    """Names of sources and lists of which something is in force."""
    from vallum.sync.activate import read_held

    try:
        names = read_held(config.state).names()
    except VallumError:
        return set()  # the sync itself tells of it
    return {*names, *(name.partition("/")[0] for name in names)}


@click.command(
    epilog="\b\nExamples:\n  vallum status\n  vallum status --json\n"
    "  vallum status --metrics /var/lib/node-exporter/vallum.prom\n\n"
    "Exit codes: 0 all fresh (there may be warnings), 1 a list is missing or not fresh, or what is allowed "
    "cannot be meant or read, 3 a version is in quarantine, or a file of the state is damaged, 4 a list is "
    "hard-expired, or none was ever verified here."
)
@click.option(
    "--metrics",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write Prometheus metrics into this file, for the node exporter; - prints them.",
)
@json_option
@click.pass_obj
def status(config: Path, metrics: Path | None, as_json: bool) -> int:
    """Show which version of each list is in force, whether it is fresh, and what the operator decided."""
    from vallum.allow import UNREAD
    from vallum.config import load_config
    from vallum.sync.standing import read_standing

    now = clock()
    standing = read_standing(load_config(config), now)
    if metrics is not None:
        _write_metrics(metrics, standing, now)
    elif as_json:
        emit(standing.to_dict())
    else:
        if standing.streams:
            table(
                ("list", "version", "rows", "state", "freshness", "as of"),
                [
                    (
                        stream.name,
                        stream.state.head.number,
                        stream.rows,
                        stream.state.head.state[:16],
                        str(stream.freshness),
                        format_time(stream.state.head.as_of),
                    )
                    for stream in standing.streams
                ],
            )
        for name in standing.missing:
            say(f"{name}: no verified version yet")
        if standing.allowed:
            say(f"{counted(len(standing.allowed), 'allowance')}: `vallum allow list` shows them")
        if standing.pending:
            warn(
                f"{counted(standing.pending, 'line')} of the file `allow` will be in force with the next "
                "`vallum sync`"
            )
        for stream in standing.streams:
            for remark in stream.remarks():
                warn(f"{stream.name}: {remark.says}", remark.hint)
        for name, failure in standing.failing():
            warn(f"{name}: {failure}", failure.hint)
        if standing.unsettled is not None:
            warn(f"what is allowed stays as it was: {standing.unsettled}", standing.unsettled.hint)
        for remark in standing.too_wide:
            warn(remark.says, remark.hint)
        if standing.unread is not None:
            warn(f"{UNREAD}: {standing.unread}", standing.unread.hint)
    return _exit_code(standing)


def _write_metrics(path: Path, standing: Standing, now: datetime) -> None:
    from vallum.durable import check_output, write_durable
    from vallum.metrics import format_metrics

    text = format_metrics(standing, now)
    if str(path) == "-":
        say(text.rstrip("\n"))
    else:
        check_output(path, "name a file, or - for standard output")
        # Readable by the exporter, who is another user; there is nothing to hide in it.
        write_durable(path, [text.encode()], mode=0o644)


def _exit_code(standing: Standing) -> int:
    from vallum.sync.freshness import Freshness

    states = {stream.freshness for stream in standing.streams}
    if Freshness.HARD_EXPIRED in states:
        return UNAVAILABLE
    if any(stream.aside is not None and not stream.aside.rejected for stream in standing.streams):
        return DATA
    allowing = standing.unsettled or standing.unread
    doubtful = standing.missing or allowing is not None or states - {Freshness.FRESH}
    return NO if doubtful else OK


@click.command(epilog="\b\nExamples:\n  vallum verify")
@json_option
@click.pass_obj
def verify(config: Path, as_json: bool) -> None:
    """Hash every table in force again and compare it with what was signed."""
    from vallum.config import load_config
    from vallum.sync.verify import verify_state

    with showing_steps(as_json) as tell:
        files = verify_state(load_config(config).state, tell)
    if as_json:
        emit([asdict(file) for file in files])
        return
    table(
        ("list", "table", "version", "rows", "SHA-256, as signed"),
        [
            (
                f"{file.source}/{file.stream}",
                file.table,
                f"{file.generation}.{file.version}",
                file.rows,
                file.digest,
            )
            for file in files
        ],
    )
    say("every table in force is the one that was signed")
