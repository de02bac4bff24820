"""``ingest`` and ``diff``: what comes in, and what the next publication would change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.progress import showing_rows, showing_steps
from vallum.cli.terminal import (
    as_record,
    clock,
    emit,
    exit_code,
    json_option,
    note,
    say,
    show_hint,
    table,
)
from vallum.errors import InputError
from vallum_publisher.cli.session import actor, open_home, open_input

if TYPE_CHECKING:
    from vallum.expression import Keyer
    from vallum_publisher.catalog import Applied, RowChange, Version
    from vallum_publisher.intake import Reject

# Named again, since `--help` must not wait for SQLAlchemy; a test holds them to those of the intake.
FORMATS = ("text", "csv", "jsonl")
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252")
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SHOWN_REJECTS = 50
_SHOWN_CHANGES = 50
_LARGE_PART = 10
"""A replacement that takes off more than this part of the list is spoken of."""


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher ingest urls list.csv --map url=Address --map labels=Grade\n"
    "  vallum-publisher ingest urls new.txt --add --bare-host domain\n"
    "  vallum-publisher ingest hashes - --format jsonl --remove < withdrawn.jsonl"
)
@click.argument("name", metavar="LIST")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--replace", "mode", flag_value="replace", default=True, help="The file is the whole list. [default]"
)
@click.option("--add", "mode", flag_value="add", help="Add what the file holds, or change it.")
@click.option("--remove", "mode", flag_value="remove", help="Take what the file holds off the list.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="By default from the file's name; else text.",
)
@click.option(
    "--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="The column that holds a field."
)
@click.option(
    "--encoding",
    type=click.Choice(ENCODINGS),
    default="utf-8",
    show_default=True,
    help="How the file's characters are written.",
)
@click.option(
    "--bare-host",
    type=click.Choice(["url", "host", "domain"]),
    help="What a host without path and scope means; without this such lines are rejected.",
)
@click.option("--label-scheme", default="", metavar="SCHEME:VERSION", help="Of labels that are bare codes.")
@click.option("--unterminated", is_flag=True, help="Take a last line of text or CSV that has no line end.")
@click.option("--allow-empty", is_flag=True, help="Let a file without entries take every entry off the list.")
@click.option("--values", is_flag=True, help="Show what rejected lines say. Mind who looks at the screen.")
@json_option
@click.pass_obj
def ingest(
    home: Path,
    name: str,
    file: Path,
    mode: str,
    form: str | None,
    mapping: tuple[str, ...],
    encoding: str,
    bare_host: str | None,
    label_scheme: str,
    unterminated: bool,
    allow_empty: bool,
    values: bool,
    as_json: bool,
) -> None:
    """Read a file (`-` for standard input) into the catalog; whole, or not at all."""
    from vallum_publisher.catalog import Mode
    from vallum_publisher.intake import RejectedInput, read_records

    columns = dict(map(_pair, mapping))
    with open_home(home) as (workspace, catalog):
        info = catalog.get_list(name)
        try:
            with open_input(file) as stream, showing_rows("reading", as_json) as progress:
                records = read_records(
                    stream,
                    kind=info.kind,
                    format=form or _SUFFIXES.get(file.suffix.lower(), "text"),
                    mapping=columns,
                    encoding=encoding,
                    bare_host=bare_host,
                    label_scheme=label_scheme,
                    unterminated=unterminated,
                    progress=progress,
                )
        except RejectedInput as error:
            refused = InputError(f"{file}: {error}", hint=error.hint)
            shown = error.rejects if values else tuple(replace(each, text="") for each in error.rejects)
            if as_json:
                emit({**as_record(refused, exit_code(refused)), "rejects": [asdict(each) for each in shown]})
            else:
                _show_rejects(file, shown)
            raise refused from None
        if not records and mode == Mode.REPLACE and not allow_empty:
            raise InputError(
                f"{file}: no entries, and the file would replace the whole list",
                hint="if every entry is to go, say --allow-empty",
            )
        with showing_rows("applying", as_json) as progress:
            done = catalog.apply(
                name,
                records,
                mode=Mode(mode),
                actor=actor(),
                now=clock(),
                pepper=workspace.custody(catalog).pepper(info),
                progress=progress,
            )
        waiting, begun = catalog.count_pending(name, now=clock()), catalog.pending_version(name)
    if as_json:
        emit({**asdict(done), "waiting": waiting, "under_way": begun.version if begun else None})
    else:
        say(f"{name}: {_counts(done)}")
    before = done.removed + done.changed + done.unchanged
    if mode == Mode.REPLACE and done.removed * _LARGE_PART > before:
        note(
            f"warning: the file is the whole list, since --add was not said: {done.removed:,} of {before:,} "
            "entries go off it with the next publish"
        )
        show_hint(f"to undo that, ingest the whole list again; vallum-publisher diff {name} shows what goes")
    if as_json:
        return
    if waiting:
        say(f"Next: vallum-publisher -C {home} diff {name}")
    elif begun:
        say(f"Next: vallum-publisher -C {home} publish {name}  # version {_number(begun)} is under way")
    else:
        say("nothing waits to be published")


@click.command(epilog="\b\nExamples:\n  vallum-publisher diff urls\n  vallum-publisher diff urls --values")
@click.argument("name", metavar="LIST")
@click.option(
    "--values", is_flag=True, help="Show what is listed, not ids only. Mind who looks at the screen."
)
@json_option
@click.pass_obj
def diff(home: Path, name: str, values: bool, as_json: bool) -> None:
    """Show what the next publication would change, row by row.

    What `publish` was stopped at goes out as it was begun; what changes after that is a version of its own.
    """
    from vallum.expression import Keyer

    with open_home(home) as (workspace, catalog), showing_steps(as_json) as tell:
        tell(f"{name}: reading what would change")
        info = catalog.get_list(name)
        begun = catalog.pending_version(name)
        frozen = catalog.version_changes(name) if begun else []
        changes = catalog.pending_changes(name, now=clock())
        keyer = Keyer(workspace.custody(catalog).pepper(info), info.host_bits)
    if as_json:
        coming = [("under way", frozen), ("waiting", changes)]
        emit([{**_change(keyer, each, values), "state": state} for state, some in coming for each in some])
        return
    if begun:
        _show_changes(
            f"{name}: version {_number(begun)} is under way, publish finishes it", keyer, frozen, values
        )
        say()
    if changes:
        _show_changes(f"{name}: after that" if begun else name, keyer, changes, values)
    else:
        say(f"{name}: nothing would change" + (" after that" if begun else ""))


def _show_changes(title: str, keyer: Keyer, changes: Sequence[RowChange], values: bool) -> None:
    kinds = Counter(_kind(change) for change in changes)
    say(f"{title}: " + ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items())))
    say()
    headings = ["change", "id", "signal", "scope", "labels"] + (["entry"] if values else [])
    rows = []
    for change in changes[:_SHOWN_CHANGES]:
        shown = _change(keyer, change, values)
        rows.append([str(shown[heading]) if shown[heading] is not None else "-" for heading in headings])
    table(headings, rows)
    if len(changes) > _SHOWN_CHANGES:
        note(f"and {len(changes) - _SHOWN_CHANGES:,} more; --json shows all")


def _number(version: Version) -> str:
    return f"{version.generation}.{version.version}"


def _pair(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not equals or not field or not column:
        raise InputError(f"--map {text!r} is not FIELD=COLUMN", hint="such as --map url=Address")
    return field, column


def _show_rejects(file: Path, rejects: Sequence[Reject]) -> None:
    for reject in rejects[:_SHOWN_REJECTS]:
        where = f"{file}:{reject.line}" + (f" [{reject.column}]" if reject.column else "")
        shown = f": {reject.text!r}" if reject.text else ""
        hint = f" ({reject.hint})" if reject.hint else ""
        note(f"{where}: {reject.reason}{shown}{hint}")
    if len(rejects) > _SHOWN_REJECTS:
        note(f"and {len(rejects) - _SHOWN_REJECTS:,} more; --json shows all")


def _counts(done: Applied) -> str:
    parts = [f"{done.added:,} added", f"{done.removed:,} removed", f"{done.changed:,} changed"]
    parts.append(f"{done.unchanged:,} unchanged")
    if done.absent:
        parts.append(f"{done.absent:,} to be removed were not listed")
    return ", ".join(parts)


def _kind(change: RowChange) -> str:
    if change.before is None:
        return "added"
    return "removed" if change.labels is None else "relabelled"


def _change(keyer: Keyer, change: RowChange, values: bool) -> dict[str, object]:
    from vallum.expression import TAGS

    tag = TAGS[change.tag]
    raw = change.value[1:]
    shown: dict[str, object] = {
        "change": _kind(change),
        "id": keyer.entry_id(change.key),
        "signal": tag.signal,
        "scope": tag.scope and str(tag.scope),
        "labels": " ".join(change.labels or change.before or ()),
    }
    if values:
        shown["entry"] = raw.decode("ascii") if tag.scope else raw.hex()
    return shown
