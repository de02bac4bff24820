"""``vallum export``: lists as text for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.progress import showing_rows
from vallum.cli.terminal import counted, emit, note, write
from vallum.errors import ConfigError
from vallum.expression import DIGEST_TAGS, Scope

if TYPE_CHECKING:
    from vallum.export.write import Export, Exported
    from vallum.progress import Count


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum export jsonl --output list.jsonl\n"
    "  vallum export text --list urls --scope domain -o domains.txt\n"
    "  vallum export text --list hashes --signal sha256 -o - | sort > sha256.txt\n"
    "  vallum export csv --label uk-sap:1:A --label uk-sap:1:B -o severe.csv"
)
@click.argument("format_name", metavar="FORMAT", type=click.Choice(["text", "csv", "jsonl"]))
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="The file to write, replaced as a whole; `-` for a pipe.",
)
@click.option("--list", "lists", multiple=True, metavar="NAME", help="Only this list: urls, or source/urls.")
@click.option(
    "--signal", "signals", multiple=True, type=click.Choice(["url", *DIGEST_TAGS]), help="Only this signal."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    help="Only this scope.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="LABEL",
    help="Only entries with this label, or another one named.",
)
@click.option("--group-readable", is_flag=True, help="Let the file's group read it (0640 in place of 0600).")
@click.option("--allow-empty", is_flag=True, help="Write the file even if no entry is meant.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.pass_obj
def export(
    config: Path,
    format_name: str,
    output: Path,
    lists: tuple[str, ...],
    signals: tuple[str, ...],
    scopes: tuple[str, ...],
    labels: tuple[str, ...],
    group_readable: bool,
    allow_empty: bool,
    as_json: bool,
) -> None:
    """Write lists in force as FORMAT: `text` (a value a line), `csv` or `jsonl`.

    Wants the `full` edition, and the user who syncs. `text` cannot say how far a line reaches, so it is of
    one scope or signal; nothing is ever widened. What `vallum allow` allows is left out. An export of an
    encrypted list carries decoys: a copy of it that is passed on can be traced to you.
    """
    from vallum.config import load_config
    from vallum.export.selection import Selection
    from vallum.export.write import open_export, write_export

    piped = str(output) == "-"
    if piped and sys.stdout.isatty():
        raise ConfigError(
            "a list is not written to a terminal: it would stay in its memory and in whoever's sight",
            hint="--output FILE, or pipe it into a program",
        )
    if piped and as_json:
        raise ConfigError("--json and the export cannot both go to standard output", hint="--output FILE")
    chosen = Selection.of(lists, signals, scopes, labels)
    opened = open_export(load_config(config).state, format_name, chosen, allow_empty=allow_empty)
    with showing_rows("exporting", as_json) as count:
        if piped:
            done = _pipe(opened, count)
        else:
            done = write_export(output, opened, group=group_readable, count=count)
    if as_json:
        emit({"output": str(output), **done.to_dict()})
        return
    where = ", ".join(
        f"{source}/{name} version {generation}.{version}" for source, name, generation, version in done.lists
    )
    note(f"{counted(done.lines, 'line')} of {where or 'no list'}")
    if done.left_out:
        note(
            f"left out: {done.left_out:,} that touch what `vallum allow list` shows; look-ups go on with them"
        )


def _pipe(opened: Export, count: Count) -> Exported:
    for block in opened.blocks(count):
        write(block.decode("ascii"))
    return opened.done()
