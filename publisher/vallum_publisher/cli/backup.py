"""``backup`` and ``restore``: the publisher's catalog and folder in one encrypted file, and back."""

from __future__ import annotations

from pathlib import Path

import click

from vallum.cli.progress import showing_rows
from vallum.cli.terminal import clock, counted, emit, json_option, note, say, warn
from vallum.errors import FormatError, InputError
from vallum.format.fields import format_time
from vallum_publisher.cli.recipients import read_line
from vallum_publisher.cli.session import ask_passphrase, new_passphrase, open_home, open_input

_COMPARE = "compare it: anybody can seal a file to a public key"
_REVOKE = "recipients who were revoked since then can read again: see `recipients list`, revoke them first"
_ADMIT = "recipients who were let in since then are not in it, and read nothing new: let them in again"
_WHICH_KEY = "name the key file that `vallum keygen` wrote for backups, or the copy that you keep of it"


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum keygen backup.key > backup.line    # on another machine; only the line comes here\n"
    "  vallum-publisher backup --to backup.line hotline-2026-01-31.backup\n"
    "  vallum-publisher backup --passphrase hotline-2026-01-31.backup"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--to",
    "lines",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with a line of `vallum keygen`; whoever has the key can restore. Repeatable.",
)
@click.option("--passphrase", is_flag=True, help="Let a passphrase open it.")
@click.option(
    "--without-keys", is_flag=True, help="Leave out key files: signers' and the vault key, kept elsewhere."
)
@json_option
@click.pass_obj
def backup(
    home: Path, file: Path, lines: tuple[Path, ...], passphrase: bool, without_keys: bool, as_json: bool
) -> None:
    """Write catalog, settings, roots and keys to FILE, encrypted; the store is not in it.

    Whoever can open it can publish, and read every list.
    """
    from vallum_publisher.backup import Locks, write_backup

    locks = Locks(
        tuple(read_line(path) for path in lines),
        new_passphrase(passphrase, "backup", "the backup") or "",
    )
    with open_home(home) as (workspace, catalog), showing_rows("backing up rows", as_json) as count:
        done = write_backup(workspace, catalog, file, locks, keys=not without_keys, now=clock(), count=count)
    if as_json:
        emit({"file": str(file), "files": done.files, "rows": done.rows, "left_out": done.left_out})
        return
    say(f"{file}: {counted(len(done.files), 'file')} and {counted(done.rows, 'row')} of the catalog")
    for name in done.left_out:
        warn(f"{name} is too large and was left out")
    if any(name.startswith("keys/root-") for name in done.files):
        warn("keys/root-*.pem are in it: they belong on media that stay offline")


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher -C hotline restore --key backup.key hotline-2026-01-31.backup\n"
    "  vallum-publisher -C hotline restore --passphrase hotline-2026-01-31.backup"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="Private key that opens it.")
@click.option("--passphrase", is_flag=True, help="A passphrase opens it.")
@click.option("--catalog", help="Where the catalog is to be, if not where it was: a file, or postgresql://…")
@json_option
@click.pass_obj
def restore(
    home: Path, file: Path, key: Path | None, passphrase: bool, catalog: str | None, as_json: bool
) -> None:
    """Make an empty folder a publisher's again, from the FILE that `backup` wrote.

    If something was published since, `publish` refuses, so that no second history is signed, until
    `list new-generation` starts the list's versions anew.
    """
    from vallum.recipient import is_key_locked, read_key
    from vallum_publisher.backup import restore_backup
    from vallum_publisher.workspace import open_workspace

    if (key is None) != passphrase:
        raise InputError("one thing opens a backup", hint="--key FILE, or --passphrase")
    private = None
    if key is not None:
        words = ask_passphrase(key.stem) if is_key_locked(key, hint=_WHICH_KEY) else ""
        private = read_key(key, words, hint=_WHICH_KEY)
    said = ask_passphrase("backup") if passphrase else ""
    with open_input(file) as opened, showing_rows("restoring rows", as_json) as count:
        try:
            done = restore_backup(opened, home, private, said, catalog=catalog, count=count)
        except FormatError as error:
            error.add_note(f"the file is {file}")
            raise
    if as_json:
        emit(
            {
                "home": str(home),
                "created": format_time(done.created),
                "files": done.files,
                "root_fingerprint": done.root_fingerprint.replace(" ", ""),
                "notes": [_COMPARE, _REVOKE, _ADMIT],
            }
        )
        return
    say(f"{home}: restored as of {format_time(done.created)}")
    say(f"root fingerprint: {done.root_fingerprint}")
    note(_COMPARE)
    note(_REVOKE)
    note(_ADMIT)
    settings = open_workspace(home).settings
    if "://" not in settings.store and not (home / settings.store).is_dir():
        say(f"Next: the store {settings.store} is not there: set `store` in {home / 'publisher.toml'}, then")
        say(f"vallum-publisher -C {home} status")
    else:
        say(f"Next: vallum-publisher -C {home} status")
