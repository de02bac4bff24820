"""What every command needs open: the publisher's folder, its catalog, its store, and somebody to ask.

Which commands there are is the neighbours' business.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from vallum.errors import ConfigError
from vallum_publisher.catalog import Catalog
from vallum_publisher.keys import PASSPHRASE_VARIABLE, passphrase_from_environment
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import Workspace, open_workspace

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def ask_passphrase(name: str) -> str:
    """The passphrase of a key: from the environment, else typed by the person at the terminal."""
    try:
        return passphrase_from_environment(name)
    except ConfigError:
        if not sys.stdin.isatty():
            raise
        return getpass.getpass(f"Passphrase of the key {name}: ")


def new_passphrase(wanted: bool) -> str | None:
    """Let the person at the terminal choose a passphrase for new keys, twice the same."""
    if not wanted:
        return None
    try:
        return passphrase_from_environment("new")
    except ConfigError:
        if not sys.stdin.isatty():
            raise ConfigError(
                "nobody can be asked for the passphrase of the new keys",
                hint=f"run this on a terminal, or set {PASSPHRASE_VARIABLE}",
            ) from None
        passphrase: str = click.prompt(
            "Passphrase for the new keys", hide_input=True, confirmation_prompt=True
        )
        return passphrase


def no_lists() -> ConfigError:
    """The error of whoever wants something of lists before there is one."""
    return ConfigError("there are no lists yet", hint="vallum-publisher list create urls --kind url --public")


def actor() -> str:
    """Who stands in the audit log for what this command does."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@contextmanager
def open_home(home: Path) -> Iterator[tuple[Workspace, Catalog]]:
    """Open the folder and its catalog."""
    workspace = open_workspace(home, ask_passphrase)
    with workspace.open_catalog() as catalog:
        yield workspace, catalog


@contextmanager
def open_publisher(home: Path, *, quiet: bool = False) -> Iterator[Publisher]:
    """Open everything that publishing needs; what is done next is shown on a terminal."""
    with open_home(home) as (workspace, catalog), showing_steps(quiet) as progress:
        yield Publisher(
            workspace, catalog=catalog, store=workspace.open_store(), actor=actor(), progress=progress
        )


@contextmanager
def showing_steps(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done; silent elsewhere."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _doing: None
        return
    with console.status("opening") as shown:
        yield lambda doing: shown.update(doing)


@contextmanager
def showing_rows(label: str, quiet: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show on a terminal how many rows of how many are done; silent elsewhere."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _done, _total: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
