"""What every command needs open: the publisher's folder, its catalog, its store, and somebody to ask.

Which commands there are is the neighbours' business. Here and there, what is heavy (SQLAlchemy, boto3,
aiohttp) is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from vallum.cli.progress import clear_line, showing_steps
from vallum.cli.terminal import counted, warn
from vallum.errors import ConfigError, InputError

if TYPE_CHECKING:
    from vallum_publisher.catalog import Catalog
    from vallum_publisher.release.publisher import Publisher
    from vallum_publisher.workspace import Workspace

sign_with_option = click.option(
    "--sign-with",
    metavar="URI",
    multiple=True,
    help="Where a key is, for this command only: file:/media/stick/root-1.pem, hsm:2?label=root. Repeatable.",
)


BY_ROOT_KEYS = (
    " \\\n      --sign-with file:/media/stick/root-1.pem \\\n      --sign-with file:/media/stick/root-2.pem\n"
)
"""What ends an example of a command that needs the root keys, which lie elsewhere."""


def located(uri: str) -> str:
    """A signer URI as typed: a file's path is relative to where one stands, not to the publisher's folder."""
    scheme, _, path = uri.partition(":")
    return f"file:{Path(path).absolute()}" if scheme == "file" else uri


def ask_passphrase(name: str) -> str:
    """The passphrase of a key: from the environment, else typed by the person at the terminal."""
    from vallum_publisher.keys import passphrase_from_environment

    try:
        return passphrase_from_environment(name)
    except ConfigError:
        if not sys.stdin.isatty():
            raise
        clear_line()
        return getpass.getpass(f"Passphrase of the key {name}: ")


def new_passphrase(wanted: bool, name: str = "new", what: str = "the new keys") -> str | None:
    """Let the person at the terminal choose a passphrase for ``what``, twice the same."""
    from vallum_publisher.keys import PASSPHRASE_VARIABLE, passphrase_from_environment

    if not wanted:
        return None
    try:
        return passphrase_from_environment(name)
    except ConfigError:
        if not sys.stdin.isatty():
            raise ConfigError(
                f"nobody can be asked for the passphrase of {what}",
                hint=f"run this on a terminal, or set {PASSPHRASE_VARIABLE}",
            ) from None
        clear_line()
        passphrase: str = click.prompt(f"Passphrase for {what}", hide_input=True, confirmation_prompt=True)
        return passphrase


def no_lists() -> ConfigError:
    """The error of whoever wants something of lists before there is one."""
    return ConfigError("there are no lists yet", hint="vallum-publisher list create urls --kind url")


def actor() -> str:
    """Who stands in the audit log for what this command does."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@contextmanager
def open_input(file: Path) -> Iterator[BinaryIO]:
    """Open a file that was named on the command line; ``-`` is standard input.

    Raises:
        InputError: it cannot be read.
    """
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}", hint="name the file, or - for standard input") from None
    with stream:
        yield stream


@contextmanager
def open_home(home: Path) -> Iterator[tuple[Workspace, Catalog]]:
    """Open the folder and its catalog."""
    from vallum_publisher.workspace import open_workspace

    workspace = open_workspace(home, ask_passphrase)
    with workspace.open_catalog() as catalog:
        yield workspace, catalog


@contextmanager
def open_publisher(home: Path, sign_with: Sequence[str] = (), *, quiet: bool = False) -> Iterator[Publisher]:
    """Open everything that publishing needs; what is done next is shown on a terminal.

    ``sign_with`` names keys as ``--sign-with`` does.
    """
    from vallum_publisher.release.publisher import Publisher

    with open_home(home) as (workspace, catalog), showing_steps(quiet) as tell:
        workspace.use_signers(map(located, sign_with))
        publisher = Publisher(
            workspace, catalog=catalog, store=workspace.open_store(), actor=actor(), tell=tell
        )
        try:
            yield publisher
        finally:
            if publisher.left:
                clear_line()
                left = counted(len(publisher.left), "object")
                warn(
                    f"this identity may not delete {left} of the store that nobody needs, such as "
                    f"{publisher.left[0]}: run gc with one that may"
                )
