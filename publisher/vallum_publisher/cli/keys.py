"""``keys``: who may sign for which role, and changing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vallum.cli.terminal import clock, emit, json_option, note, say, table, warn
from vallum.format.fields import format_time
from vallum_publisher.cli.session import (
    BY_ROOT_KEYS,
    located,
    new_passphrase,
    open_publisher,
    sign_with_option,
)

if TYPE_CHECKING:
    from vallum_publisher.release.rotation import Changed
    from vallum_publisher.release.succession import NewKeys

Command = Callable[..., Any]


@click.group(
    epilog=f"\b\nExamples:\n  vallum-publisher keys list\n  vallum-publisher keys renew{BY_ROOT_KEYS}"
)
def keys() -> None:
    """Show and change who may sign: root, targets, snapshot, timestamp, and each list.

    A ROLE is one of these, `offline` (root and targets), `online` (snapshot and timestamp), a stream such as
    urls.full, or a list, which means its streams. Roles of one word share their new keys.
    """


_NEW = click.option(
    "--new", metavar="URI", multiple=True, help="A key that exists is the new one; else a file is made."
)
_NUMBER = click.option(
    "--number", type=click.IntRange(1, 99), help="Make so many key files; by default one for each that goes."
)
_THRESHOLD = click.option(
    "--threshold", type=click.IntRange(1, 99), help="How many must sign from now on; by default as before."
)
_ENCRYPT = click.option("--encrypt-keys", is_flag=True, help="Encrypt new key files with a passphrase.")


def _options(*options: Command) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_CHANGING = _options(sign_with_option, _NEW, _NUMBER, _THRESHOLD, _ENCRYPT, json_option, click.pass_obj)


@keys.command(
    name="list", epilog="\b\nExamples:\n  vallum-publisher keys list\n  vallum-publisher keys list --json"
)
@json_option
@click.pass_obj
def list_(home: Path, as_json: bool) -> None:
    """Show each role's keys, how many must sign, where they are, and until when its metadata holds.

    `here` is a file in reach, `away` one that is not: root's keys should be away.
    """
    from vallum_publisher.release.absence import stray_keys
    from vallum_publisher.release.holders import read_holders

    with open_publisher(home, quiet=True) as publisher:
        found = read_holders(publisher.repository, publisher.workspace)
        strays = list(stray_keys(publisher.workspace))
    for stray in strays:
        warn(stray)
    if as_json:
        emit([asdict(each) for each in found])
        return
    table(
        ("role", "must sign", "key", "scheme", "where", "signer", "expires"),
        [
            (
                each.role,
                f"{each.threshold} of {each.keys}",
                each.key[:16],
                each.scheme,
                each.reach,
                each.signer or None,
                format_time(each.expires) if each.expires else None,
            )
            for each in found
        ],
    )


@keys.command(
    epilog="\b\nExamples:\n"
    f"  vallum-publisher keys rotate online{BY_ROOT_KEYS}"
    f"  vallum-publisher keys rotate offline --only file:keys/root-3.pem{BY_ROOT_KEYS}"
    f"  vallum-publisher keys rotate urls.full --new 'hsm:2?label=urls'{BY_ROOT_KEYS}"
)
@click.argument("roles", metavar="ROLE...", nargs=-1, required=True)
@click.option(
    "--only",
    metavar="KEY",
    multiple=True,
    help="Replace this key alone: the first digits of its id, or its signer as `list` shows it.",
)
@_CHANGING
def rotate(home: Path, roles: tuple[str, ...], only: tuple[str, ...], **said: Any) -> None:
    """Replace the keys of roles by new ones; what the old ones sign from then on is refused.

    Run it again after a failure: it finishes what was begun.
    """
    _change(home, roles, only or None, said)


@keys.command(
    # Two people release it then.
    epilog=f"\b\nExamples:\n  vallum-publisher keys add urls.full --threshold 2{BY_ROOT_KEYS}"
)
@click.argument("roles", metavar="ROLE...", nargs=-1, required=True)
@_CHANGING
def add(home: Path, roles: tuple[str, ...], **said: Any) -> None:
    """Give roles further keys."""
    _change(home, roles, (), said)


@keys.command(
    epilog=f"\b\nExamples:\n  vallum-publisher keys remove offline 3f2a91c0 --threshold 1{BY_ROOT_KEYS}"
)
@click.argument("role", metavar="ROLE")
@click.argument("gone", metavar="KEY...", nargs=-1, required=True)
@_options(sign_with_option, _THRESHOLD, json_option, click.pass_obj)
def remove(home: Path, role: str, gone: tuple[str, ...], **said: Any) -> None:
    """Take keys from a role, named by the first digits of their ids or by their signers."""
    _change(home, (role,), gone, {**said, "number": 0})


@keys.command(epilog=f"\b\nExamples:\n  vallum-publisher keys threshold offline 3{BY_ROOT_KEYS}")
@click.argument("role", metavar="ROLE")
@click.argument("threshold", metavar="NUMBER", type=click.IntRange(1, 99))
@_options(sign_with_option, json_option, click.pass_obj)
def threshold(home: Path, role: str, **said: Any) -> None:
    """Let more or fewer of a role's keys have to sign."""
    _change(home, (role,), (), {**said, "number": 0})


@keys.command(epilog=f"\b\nExamples:\n  vallum-publisher keys renew{BY_ROOT_KEYS}")
@click.argument("roles", metavar="[root|targets|offline]...", nargs=-1)
@_options(sign_with_option, json_option, click.pass_obj)
def renew(home: Path, roles: tuple[str, ...], sign_with: tuple[str, ...], as_json: bool) -> None:
    """Sign root and targets again, with the same keys, before they expire: once a year.

    It also finishes what an earlier command began.
    """
    from vallum_publisher.release.rotation import Rotation

    with open_publisher(home, sign_with, quiet=as_json) as publisher:
        done = Rotation(publisher).renew(roles or ("offline",), now=clock())
    _say(done, as_json)


@keys.command(
    "replace-root",
    epilog="\b\nExamples:\n"
    "  vallum-publisher keys replace-root --number 3 --threshold 2 --reason 'two of three root keys burnt'",
)
@click.option("--reason", required=True, help="Why; stands in the audit log.")
@click.option("--number", type=click.IntRange(1, 99), default=3, show_default=True, help="Key files to make.")
@click.option(
    "--threshold", type=click.IntRange(1, 99), default=2, show_default=True, help="How many must sign."
)
@_options(sign_with_option, _NEW, _ENCRYPT, json_option, click.pass_obj)
def replace_root(home: Path, reason: str, threshold: int, **said: Any) -> None:
    """Begin another root, since too few of its keys are left. Every subscriber must be invited anew.

    The last resort: with enough of the keys, use `keys rotate offline`. Clients refuse the new root, and keep
    the lists that they have, until their operators have taken it: vallum init --replace-root.
    """
    from vallum_publisher.release.rotation import Rotation

    as_json, new = said["as_json"], new_keys(said)
    with open_publisher(home, said["sign_with"], quiet=as_json) as publisher:
        done = Rotation(publisher).replace_root(new, threshold=threshold, reason=reason, now=clock())
    _say(done, as_json)
    if not as_json:
        note("every subscriber gets no newer list until it is invited anew: vallum-publisher invite")


def new_keys(said: dict[str, Any]) -> NewKeys:
    """What the options say of new keys."""
    from vallum_publisher.release.succession import NewKeys

    uris = tuple(located(uri) for uri in said.get("new", ()))
    return NewKeys(uris, said.get("number"), new_passphrase(said.get("encrypt_keys", False)))


def _change(home: Path, roles: tuple[str, ...], going: tuple[str, ...] | None, said: dict[str, Any]) -> None:
    from vallum_publisher.release.rotation import Rotation

    as_json, new = said["as_json"], new_keys(said)
    with open_publisher(home, said["sign_with"], quiet=as_json) as publisher:
        rotation = Rotation(publisher)
        if going is None:
            done = rotation.rotate(roles, new, threshold=said["threshold"], now=clock())
        else:
            done = rotation.replace(roles, going, new, threshold=said.get("threshold"), now=clock())
    _say(done, as_json)


def _say(done: Changed, as_json: bool) -> None:
    if as_json:
        emit(asdict(done))
        return
    if done.finished:
        say(f"finished what an earlier command began: root version {done.root_version} is public")
        _say_fingerprint(done)
        note("if more is to be changed, run the command once more")
        return
    say(f"{', '.join(done.roles)}: signed and public, root version {done.root_version}")
    for what, ids in (("new", done.added), ("gone", done.removed)):
        if ids:
            say(f"{what}: {', '.join(each[:16] for each in ids)}")
    _say_fingerprint(done)
    if done.removed:
        note("destroy the files of keys that are gone, or keep them as evidence; nothing needs them any more")


def _say_fingerprint(done: Changed) -> None:
    if done.fingerprint:
        say(f"root fingerprint from now on: {done.fingerprint}")
        note("an invitation sent before shows the former one: `vallum-publisher status` lists all of them")
