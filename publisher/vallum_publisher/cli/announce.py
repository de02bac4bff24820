"""``announce``: telling watchers at once that something was published. For the publisher and for mirrors."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import emit_line, json_option, note, say
from vallum.errors import ConfigError

if TYPE_CHECKING:
    from vallum_publisher.store.protocol import ObjectStore


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher announce\n"
    "  vallum-publisher announce --store /srv/mirror --listen 127.0.0.1:8470\n\n"
    "Put a web server with TLS before it; clients name the address as `hints` of the source."
)
@click.option("--listen", default="127.0.0.1:8470", show_default=True, metavar="HOST:PORT", help="Where.")
@click.option("--store", metavar="STORE", help="Watch this store; no publisher's folder is needed then.")
@json_option
@click.pass_obj
def announce(home: Path, listen: str, store: str | None, as_json: bool) -> None:
    """Offer server-sent events that say when something was published, until stopped.

    A watching client polls at once then. The events say nothing but the digest of a public file.
    """
    from vallum_publisher.announcer import check_readable
    from vallum_publisher.store import open_store

    host, port = _address(listen)
    if store is not None:
        opened = open_store(store, create=False)
    else:
        from vallum_publisher.cli.session import ask_passphrase
        from vallum_publisher.workspace import open_workspace

        opened = open_workspace(home, ask_passphrase).open_store()
    check_readable(opened)
    asyncio.run(_serve(opened, host, port, as_json))


async def _serve(store: ObjectStore, host: str, port: int, as_json: bool) -> None:
    from vallum_publisher.announcer import Announcer

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Announcer(store, note).serving(host, port) as address:
        if as_json:
            emit_line({"events": address})
        else:
            say(f"announcing at {address}")
        await stopped.wait()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"not an address to listen on: {text!r}", hint="such as --listen 127.0.0.1:8470")
    return host.strip("[]"), int(port)
