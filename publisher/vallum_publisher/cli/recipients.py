"""``recipients``: who may read encrypted lists."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import clock, counted, emit, json_option, note, say, table
from vallum.errors import InputError
from vallum.format.fields import format_time
from vallum_publisher.cli.session import open_home, open_input, open_publisher, sign_with_option

if TYPE_CHECKING:
    from vallum.format.keypair import PublicKey
    from vallum_publisher.catalog import Recipient
    from vallum_publisher.release.publisher import Published

_MOST_LINE = 64 * 1024


@click.group(
    epilog="\b\nExamples:\n  vallum-publisher recipients list\n  vallum-publisher recipients rotate urls"
)
def recipients() -> None:
    """Let recipients of encrypted lists in and out, and change keys."""


@recipients.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher recipients add urls.match 'Example ISP (Berlin)' line.txt \\\n"
    "      --fingerprint '3f2a 91c0 …'"
)
@click.argument("stream")
@click.argument("name")
@click.argument("line", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--fingerprint",
    required=True,
    help="As the recipient read it to you over a second channel: all 16 groups.",
)
@json_option
@click.pass_obj
def add(home: Path, stream: str, name: str, line: Path, fingerprint: str, as_json: bool) -> None:
    """Let the key of a LINE file (`-` for standard input) read STREAM from now on.

    The line came by mail, so it may be anybody's: call the recipient on a number that you know, and have the
    fingerprint read to you.
    """
    from vallum_publisher.recipients.roster import Roster

    key = read_line(line)
    key.check_fingerprint(fingerprint)
    with open_publisher(home, quiet=as_json) as publisher:
        added = Roster(publisher).admit(stream, name, key, now=clock())
    if as_json:
        emit(_about(added))
        return
    say(f"{stream}: {name} can read it from epoch {added.since} on")


@recipients.command(
    name="import", epilog="\b\nExamples:\n  vallum-publisher recipients import urls.match members.csv"
)
@click.argument("stream")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def import_(home: Path, stream: str, file: Path, as_json: bool) -> None:
    """Let all keys of a CSV FILE (name,fingerprint,line) read STREAM from now on, or none of them.

    Each fingerprint is what its recipient read to you, as for `add`.
    """
    from vallum_publisher.recipients.members import parse_members
    from vallum_publisher.recipients.roster import Roster

    with open_input(file) as opened:
        data = opened.read()
    try:
        members = parse_members(data.decode("utf-8").splitlines(keepends=True), str(file))
    except UnicodeDecodeError:
        raise InputError(f"{file}: cannot be read as text", hint="a CSV file in UTF-8") from None
    with open_publisher(home, quiet=as_json) as publisher:
        added = Roster(publisher).admit_all(stream, members, now=clock())
    if as_json:
        emit([_about(one) for one in added])
        return
    say(f"{stream}: {counted(len(added), 'recipient')} can read it from epoch {added[0].since} on")


@recipients.command(name="list", epilog="\b\nExamples:\n  vallum-publisher recipients list urls.match")
@click.argument("name", metavar="[LIST|STREAM]", required=False)
@click.option("--revoked", is_flag=True, help="Show those, too, who may read no longer.")
@json_option
@click.pass_obj
def list_(home: Path, name: str | None, revoked: bool, as_json: bool) -> None:
    """Show who can read what, and since when."""
    from vallum_publisher.recipients.roster import list_of_stream
    from vallum_publisher.release.version import streams_of

    with open_home(home) as (_, catalog):
        found = [one for one in catalog.recipients() if revoked or one.revoked_at is None]
        if name is not None:
            info = list_of_stream(catalog, name, or_list=True)
            named = streams_of(info) if name == info.name else [name]
            found = [one for one in found if one.stream in named]
    if as_json:
        emit([_about(one) for one in found])
        return
    if not found:
        say("no recipients yet")
        return
    table(
        ("stream", "recipient", "suite", "since", "epoch", "revoked", "fingerprint"),
        [
            (
                one.stream,
                one.name,
                one.line.split(" ")[1],
                format_time(one.added_at),
                one.since,
                format_time(one.revoked_at) if one.revoked_at else "-",
                " ".join(one.fingerprint[at : at + 4] for at in range(0, 16, 4)) + " …",
            )
            for one in found
        ],
    )


@recipients.command(
    epilog="\b\nExamples:\n  vallum-publisher recipients revoke urls.match 'Example ISP (Berlin)'"
)
@click.argument("stream")
@click.argument("who", metavar="NAME|FINGERPRINT")
@sign_with_option
@json_option
@click.pass_obj
def revoke(home: Path, stream: str, who: str, sign_with: tuple[str, ...], as_json: bool) -> None:
    """Close everything published from now on to a recipient: a new key, and a new base under it."""
    from vallum_publisher.recipients.roster import Roster

    with open_publisher(home, sign_with, quiet=as_json) as publisher:
        done = Roster(publisher).revoke(stream, who, now=clock())
    _say_published(done, as_json)
    if not as_json:
        note("what the recipient has got so far, it keeps; ask for its deletion")


@recipients.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher recipients rotate urls\n"
    "  vallum-publisher recipients rotate urls.match --older-than 90"
)
@click.argument("name", metavar="LIST|STREAM")
@click.option("--older-than", type=click.IntRange(0), default=0, help="Only keys of at least so many days.")
@sign_with_option
@json_option
@click.pass_obj
def rotate(home: Path, name: str, older_than: int, sign_with: tuple[str, ...], as_json: bool) -> None:
    """Change the keys of a list's streams, or of one, and revoke nobody.

    With `rotate_days` in publisher.toml, `refresh` does so by itself.
    """
    from vallum_publisher.recipients.roster import Roster

    with open_publisher(home, sign_with, quiet=as_json) as publisher:
        done = Roster(publisher).rotate(name, now=clock(), older_than=timedelta(days=older_than))
    _say_published(done, as_json)


def read_line(path: Path) -> PublicKey:
    """Read the line of ``vallum keygen`` from a file, or from standard input for ``-``.

    Raises:
        InputError: it is not there, or holds something else; names the file.
    """
    from vallum.format.keypair import parse_line

    with open_input(path) as file:
        data = file.read(_MOST_LINE)
    try:
        return parse_line(data.decode("ascii", "replace"))
    except InputError as error:
        raise InputError(f"{path}: {error}", hint=error.hint) from None


def _say_published(done: Published, as_json: bool) -> None:
    if as_json:
        emit(
            {
                "list": done.list,
                "generation": done.generation,
                "version": done.version,
                "uploaded": done.uploaded,
            }
        )
    elif done.uploaded:
        say(
            f"{done.list}: version {done.generation}.{done.version} is public under a new key, "
            f"{counted(done.uploaded, 'byte')}"
        )
    else:
        say(f"{done.list}: nothing had to be published")


def _about(one: Recipient) -> dict[str, object]:
    return {
        "stream": one.stream,
        "recipient": one.name,
        "fingerprint": one.fingerprint,
        "since_epoch": one.since,
        "added_at": format_time(one.added_at),
        "revoked_at": format_time(one.revoked_at) if one.revoked_at else None,
    }
