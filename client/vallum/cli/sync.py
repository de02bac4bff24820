"""``vallum sync``, ``status``, ``verify``: bringing lists up to date and saying how they stand."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vallum.cli.terminal import NO, OK, clock, counted, emit, exit_code, note, say, show_error, table
from vallum.errors import FormatError, StateError, StorageError
from vallum.format.head import format_time

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(epilog="\b\nExamples:\n  vallum sync\n  vallum sync --json | jq .bytes")
@_json
@click.pass_obj
def sync(config: Path, as_json: bool) -> int:
    """Fetch, verify and put in force what is new. The last good list stays if anything is wrong."""
    from vallum.config import load_config
    from vallum.sync.updater import Updater

    report = Updater(load_config(config)).sync(now=clock())
    if as_json:
        emit(report.to_dict())
    else:
        rows = [
            (
                f"{source.source}/{stream.stream}",
                stream.outcome,
                stream.before,
                stream.after,
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
        for source in report.sources:
            if source.outcome == "unchanged" and not source.streams:
                say(f"{source.source}: unchanged")
            for stream in source.streams:
                if stream.warning is not None:
                    note(f"warning: {source.source}/{stream.stream}: {stream.warning}")
    errors = report.errors()
    for where, error in errors:
        note(f"{where} failed; what was in force before stays in force")
        show_error(error)
    return max((exit_code(error) for _, error in errors), default=OK)


@click.command(epilog="\b\nExamples:\n  vallum status\n  vallum status --json")
@_json
@click.pass_obj
def status(config: Path, as_json: bool) -> int:
    """Show which version of each list is in force, and whether it is fresh. Exit code 1 if one is not."""
    from vallum.config import load_config
    from vallum.state import read_current
    from vallum.sync.freshness import freshness

    now, folder = clock(), load_config(config).state
    current = read_current(folder)
    found: list[dict[str, object]] = [
        {
            "source": source,
            "list": stream,
            "generation": state.head.generation,
            "version": state.head.version,
            "state": state.head.state,
            "rows": sum(_count_rows(folder / path) for path in state.files(source, stream).values()),
            "as_of": format_time(state.head.as_of),
            "verified_at": format_time(current.sources[source].verified_at),
            "freshness": str(freshness(state, current.sources[source], now)),
        }
        for source, stream, state in current.streams()
    ]
    missing = current.missing()
    if as_json:
        emit({"lists": found, "missing": missing})
    else:
        if found:
            table(
                ("list", "version", "rows", "state", "freshness", "as of"),
                [
                    (
                        f"{held['source']}/{held['list']}",
                        f"{held['generation']}.{held['version']}",
                        held["rows"],
                        str(held["state"])[:16],
                        held["freshness"],
                        held["as_of"],
                    )
                    for held in found
                ],
            )
        for name in missing:
            say(f"{name}: no verified version yet")
    return OK if not missing and all(held["freshness"] == "fresh" for held in found) else NO


def _count_rows(path: Path) -> int:
    from vallum.format.table import parse_table

    hint = "run `vallum sync`: it fetches what is missing or damaged"
    try:
        return len(parse_table(path.read_bytes()).rows)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint=hint) from None
    except FormatError as error:
        raise StateError(f"{path}: damaged: {error}", hint=hint) from None


@click.command(epilog="\b\nExamples:\n  vallum verify")
@_json
@click.pass_obj
def verify(config: Path, as_json: bool) -> None:
    """Hash every table in force again and compare it with what was signed."""
    from vallum.config import load_config
    from vallum.sync.verify import verify_state

    files = verify_state(load_config(config).state)
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
