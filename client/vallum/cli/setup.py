"""``vallum init`` and ``keygen``: from a publisher's invitation to a configuration that can sync."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from vallum.cli.terminal import clock, emit, json_option, note, say, warn
from vallum.errors import ConfigError
from vallum.format.table import EDITIONS
from vallum.streams import DEFAULT_EDITION

if TYPE_CHECKING:
    from vallum.invitation import Invitation

_WHICH_KEY = "name the private key file that `vallum keygen FILE` made, not the line that it printed"


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum init --invitation hotline.json\n"
    "  vallum init --invitation hotline.json --recipient recipient.key --edition match\n"
    "  vallum init --invitation second.json --name second\n"
    "  vallum init --invitation new.json --name hotline --replace-root --fingerprint '3f2a 91c0 …'"
)
@click.option(
    "--invitation",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file that the publisher's `invite` wrote.",
)
@click.option("--name", help="Call the source this; by default the publisher's name made short.")
@click.option(
    "--recipient",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key file that `keygen` made, for encrypted lists.",
)
@click.option(
    "--edition",
    type=click.Choice(EDITIONS),
    default=DEFAULT_EDITION,
    show_default=True,
    help="Which to follow where both are offered: match is enough for look-ups, full can be exported.",
)
@click.option(
    "--replace-root",
    is_flag=True,
    help="Trust the invitation's root for a source that is followed; its publisher lost the old one's keys.",
)
@click.option(
    "--fingerprint", default="", help="With --replace-root: of the new root, as the publisher read it to you."
)
@json_option
@click.pass_obj
def init(
    config: Path,
    invitation: Path,
    name: str | None,
    recipient: Path | None,
    edition: str,
    replace_root: bool,
    fingerprint: str,
    as_json: bool,
) -> None:
    """Make the configuration of an invitation, or add a source to the one that exists.

    Of a source that is followed already it puts back a root file that is gone, and adds a --recipient.
    With --replace-root the lists of the source stay in force, and the floor stays where it is: nothing older
    comes back by it.
    """
    from vallum.config import load_config
    from vallum.invitation import parse_invitation, root_fingerprint, write_config
    from vallum.recipient import check_key
    from vallum.rejoin import rejoin

    try:
        data = invitation.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{invitation}: {error.strerror}", hint="name the file that the publisher sent you"
        ) from None
    invited = parse_invitation(data)
    source = name or _short(invited.publisher)
    if replace_root:
        _replace_root(config, invited, source, fingerprint, as_json)
        return
    if recipient is not None:
        check_key(recipient, hint=_WHICH_KEY)
    known = load_config(config) if config.exists() else None
    followed = next((one for one in known.sources if one.name == source), None) if known else None
    if known is not None and followed is not None:
        written = rejoin(config, known, followed, invited, recipient)
        streams = list(followed.streams)
        if _is_typed("edition") and not set(invited.followed(edition)) <= set(streams):
            warn(
                f"{source} is followed already, and its lists stay as they are: --edition changed nothing",
                hint=f"change lists in {config}",
            )
    else:
        written = write_config(config, invited, source, recipient, edition)
        streams = list(invited.followed(edition))
    said = root_fingerprint(invited.root)
    if as_json:
        emit(
            {
                "config": str(written.path),
                "source": source,
                "publisher": invited.publisher,
                "contact": invited.contact,
                "lists": streams,
                "offered": list(invited.streams),
                "encrypted": list(invited.encrypted),
                "root_fingerprint": said.replace(" ", ""),
            }
        )
        return
    say(f"{config}: source {source} ({invited.publisher}), lists {', '.join(streams)}")
    for name, there in invited.editions().items():
        others = [other for other in there if f"{name}.{other}" not in streams]
        if others:
            where = f"lists in {config}" if followed else f"--edition {others[0]}, or lists in {config}"
            say(
                f"{name} is offered as {' and '.join(there)}; follow the edition that the publisher let you "
                f"into: {where}"
            )
    if invited.encrypted and not any(one.recipient for one in written.sources if one.name == source):
        _tell_key(invited, config)
    say()
    say("Fingerprint of the root of trust. Compare it with the publisher by telephone before you go on:")
    _tell_fingerprint(said, say)
    say(f"Whom to call: {invited.contact or 'ask the publisher for a number that you can check'}")
    say()
    _tell_next(config)


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum keygen recipient.key > line.txt\n"
    "  vallum keygen recipient.key --passphrase\n"
    "  vallum keygen recipient.key --show"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--suite",
    type=click.Choice(["mlkem768-x25519", "x25519"]),
    default="mlkem768-x25519",
    show_default=True,
    help="x25519 alone only where the hybrid is not allowed.",
)
@click.option("--passphrase", is_flag=True, help="Lock the file; $VALLUM_PASSPHRASE, or asked for.")
@click.option("--show", is_flag=True, help="Show the line of a key that exists; make none.")
@json_option
def keygen(file: Path, suite: str, passphrase: bool, show: bool, as_json: bool) -> None:
    """Make a recipient's key pair, and print the line to send to the publisher.

    The line alone goes to standard output, all else to standard error.
    """
    from vallum.format.keypair import Suite, generate
    from vallum.recipient import PASSPHRASE_VARIABLE, read_key, write_key

    words = os.environ.get(PASSPHRASE_VARIABLE, "")
    if show:
        key = read_key(file, words, hint=_WHICH_KEY)
    else:
        if passphrase and not words:
            if not sys.stdin.isatty():
                raise ConfigError("nobody can be asked for the passphrase", hint=f"set {PASSPHRASE_VARIABLE}")
            words = click.prompt("Passphrase for the new key", hide_input=True, confirmation_prompt=True)
        key = generate(Suite(suite))
        write_key(file, key, words if passphrase else "")
    public = key.public()
    if as_json:
        emit({"file": str(file), "line": public.line(), "fingerprint": public.fingerprint().replace(" ", "")})
        return
    if not show:
        note(f"{file}: the private key; whoever has it can read the lists. Keep a copy offline.")
    note("The line to send to the publisher, on standard output:")
    say(public.line())  # alone on standard output, so that `> line.txt` makes the file to send
    note("Its fingerprint, to read to the publisher by telephone:")
    _tell_fingerprint(public.fingerprint(), note)


def _is_typed(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _tell_key(invited: Invitation, config: Path) -> None:
    say(f"Encrypted: {', '.join(invited.encrypted)}. To read them you need a key that the publisher lets in:")
    say("    vallum keygen recipient.key > line.txt    # send the file, read the fingerprint by telephone")
    say(f'and recipient = "recipient.key" in the source in {config}.')


def _replace_root(config: Path, invited: Invitation, source: str, fingerprint: str, as_json: bool) -> None:
    from vallum.config import load_config
    from vallum.sync.reroot import replace_root

    if not fingerprint:
        raise ConfigError(
            "the new root's fingerprint is missing",
            hint="call the publisher on a number that you know, and give what you hear as --fingerprint",
        )
    done = replace_root(load_config(config), source, invited, fingerprint, clock())
    if as_json:
        emit(asdict(done))
        return
    say(f"{source}: root version {done.version} is trusted from now on, in place of version {done.before}")
    say("Its lists stay in force; the next sync goes on from them.")
    _tell_next(config)


def _tell_fingerprint(digits: str, tell: Callable[[str], None]) -> None:
    """On lines that can be read out by telephone."""
    groups = digits.split(" ")
    for at in range(0, len(groups), 4):
        tell("    " + "  ".join(groups[at : at + 4]))


def _tell_next(config: Path) -> None:
    option = "" if config == Path("vallum.toml") else f" --config {config}"
    say(f"Next: vallum{option} sync")


def _short(publisher: str) -> str:
    """A source's name of a publisher's: lower case, hyphens, short."""
    return re.sub(r"[^a-z0-9]+", "-", publisher.lower()).strip("-")[:63].strip("-") or "publisher"
