"""``init`` and ``list``: founding a repository and creating its lists."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.terminal import clock, emit, json_option, note, say, table, warn
from vallum_publisher.cli.session import (
    BY_ROOT_KEYS,
    ask_passphrase,
    new_passphrase,
    no_lists,
    open_home,
    open_publisher,
    sign_with_option,
)

if TYPE_CHECKING:
    from vallum_publisher.catalog import ListInfo


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher -C hotline init --name 'Example Hotline' --public-url https://lists.example/\n"
    "  vallum-publisher -C hotline init --name 'Example Hotline' \\\n"
    "      --store 's3://lists?endpoint=https://s3.example&region=eu-1' --encrypt-keys"
)
@click.option("--name", required=True, help="The publisher as people know it.")
@click.option("--contact", default="", help="Whom a subscriber calls to compare the fingerprint.")
@click.option(
    "--store", default="store", show_default=True, help="A folder, or s3://bucket/prefix?endpoint=…"
)
@click.option("--public-url", default="", help="Where clients will fetch from; stands in invitations.")
@click.option("--catalog", default="catalog.sqlite", show_default=True, help="A file, or postgresql://…")
@click.option(
    "--root-keys", type=click.IntRange(1, 99), default=3, show_default=True, help="Offline keys to make."
)
@click.option(
    "--root-threshold",
    type=click.IntRange(1, 99),
    default=2,
    show_default=True,
    help="How many of them must sign.",
)
@click.option("--encrypt-keys", is_flag=True, help="Encrypt the key files with a passphrase.")
@json_option
@click.pass_obj
def init(
    home: Path,
    name: str,
    contact: str,
    store: str,
    public_url: str,
    catalog: str,
    root_keys: int,
    root_threshold: int,
    encrypt_keys: bool,
    as_json: bool,
) -> None:
    """Make keys, the root of trust, the catalog, and found the repository in the store."""
    from vallum.invitation import root_fingerprint
    from vallum_publisher.release.foundation import init_workspace
    from vallum_publisher.workspace import Settings

    workspace = init_workspace(
        home,
        Settings(name=name, contact=contact, store=store, public_url=public_url, catalog=catalog),
        now=clock(),
        root_keys=root_keys,
        root_threshold=root_threshold,
        passphrase=new_passphrase(encrypt_keys),
        ask=ask_passphrase,
    )
    fingerprint = root_fingerprint(workspace.root_bytes())
    if as_json:
        emit({"home": str(workspace.folder), "root_fingerprint": fingerprint.replace(" ", "")})
        return
    say(f"{home}: founded for {name}, root {root_threshold} of {root_keys}")
    say(f"root fingerprint: {fingerprint}")
    if root_threshold == 1:
        warn("one stolen root key is enough to forge everything; use --root-threshold 2 or more")
    note(
        "move keys/root-*.pem to media that stay offline; they are needed for new lists and for rotation only"
    )
    say(f"Next: vallum-publisher -C {home} list create urls --kind url")


@click.group(
    name="list",
    epilog="\b\nExamples:\n  vallum-publisher list create urls --kind url\n  vallum-publisher list show",
)
def lists() -> None:
    """Create lists and show them."""


@lists.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher list create urls --kind url --expected-hosts 20000\n"
    f"  vallum-publisher list create hashes --kind hash{BY_ROOT_KEYS}"
    "  vallum-publisher list create phishing --kind url --public    # the whole world can read every entry"
)
@click.argument("name")
@click.option("--kind", type=click.Choice(["url", "hash"]), required=True, help="What it lists.")
@click.option(
    "--public",
    is_flag=True,
    help="Everybody can read every entry; else it is encrypted, for recipients only.",
)
@click.option("--jurisdiction", default="", help="Whose law the list follows, such as GB.")
@click.option("--appeal-url", default="", help="Where one can appeal against an entry; https.")
@click.option(
    "--expected-hosts", type=click.IntRange(1), help="Hosts that the list will hold; sets --host-bits."
)
@click.option("--host-bits", type=click.IntRange(0, 32), help="Leading key bits that come of the host.")
@click.option(
    "--max-age",
    type=click.IntRange(1, 336),
    default=72,
    show_default=True,
    help="Hours after which clients call it stale.",
)
@click.option("--keys", type=click.IntRange(1, 99), default=1, show_default=True, help="Keys of the list.")
@click.option(
    "--threshold",
    type=click.IntRange(1, 99),
    default=1,
    show_default=True,
    help="How many of them must sign.",
)
@sign_with_option
@click.option("--encrypt-keys", is_flag=True, help="Encrypt the new key files with a passphrase.")
@json_option
@click.pass_obj
def create(
    home: Path,
    name: str,
    kind: str,
    public: bool,
    jurisdiction: str,
    appeal_url: str,
    expected_hosts: int | None,
    host_bits: int | None,
    max_age: int,
    keys: int,
    threshold: int,
    sign_with: tuple[str, ...],
    encrypt_keys: bool,
    as_json: bool,
) -> None:
    """Create a list: its charter, its keys, and the one harmless test row that it always holds."""
    from vallum.expression import propose_host_bits
    from vallum_publisher.catalog import ListSpec

    if expected_hosts is not None and host_bits is None and kind == "url":
        host_bits = propose_host_bits(expected_hosts)
        note(f"host bits: {host_bits}, for {expected_hosts:,} hosts")
    with open_publisher(home, sign_with, quiet=as_json) as publisher:
        info = publisher.create_list(
            ListSpec(
                name=name,
                kind=kind,
                public=public,
                publisher=publisher.workspace.settings.name,
                jurisdiction=jurisdiction,
                appeal_url=appeal_url,
                host_bits=host_bits,
                max_age=max_age * 3600,
            ),
            now=clock(),
            keys=keys,
            threshold=threshold,
            passphrase=new_passphrase(encrypt_keys),
        )
    if as_json:
        emit(_about(info))
        return
    who = "public" if info.public else "encrypted"
    say(f"{info.name}: created, {info.kind}, {who}, {threshold} of {keys} keys")
    say(f"Next: vallum-publisher -C {home} ingest {info.name} FILE")


@lists.command(
    "new-generation",
    epilog="\b\nExamples:\n"
    f"  vallum-publisher list new-generation urls --reason 'restored from a backup'{BY_ROOT_KEYS}"
    f"  vallum-publisher list new-generation urls --new-keys --reason 'the list key was stolen'{BY_ROOT_KEYS}"
    f"  vallum-publisher list new-generation urls --new-pepper --reason 'the pepper leaked'{BY_ROOT_KEYS}",
)
@click.argument("name")
@click.option("--reason", required=True, help="Why; stands in the audit log.")
@click.option("--new-keys", is_flag=True, help="Give its streams new keys; the old ones were stolen.")
@click.option("--new-pepper", is_flag=True, help="Draw another pepper and key all rows anew: all ids change.")
@click.option(
    "--new-vault-key",
    is_flag=True,
    help="With --new-pepper: make a vault key, since it was lost and has no copy.",
)
@click.option("--again", is_flag=True, help="Although one began less than a day ago.")
@sign_with_option
@click.option("--encrypt-keys", is_flag=True, help="Encrypt new key files with a passphrase.")
@json_option
@click.pass_obj
def new_generation(
    home: Path,
    name: str,
    reason: str,
    new_keys: bool,
    new_pepper: bool,
    new_vault_key: bool,
    again: bool,
    sign_with: tuple[str, ...],
    encrypt_keys: bool,
    as_json: bool,
) -> None:
    """Start a list's versions anew, with the offline keys.

    After a stolen list key, a lost or leaked pepper, or a restored catalog, or for a wanted change beyond the
    guard's limits. Clients fetch the whole list once. Run it again after a failure: it finishes what was
    begun. Once it is public, another within a day is refused without --again: most likely it was given twice.
    """
    from vallum_publisher.release.rotation import Rotation
    from vallum_publisher.release.succession import NewKeys
    from vallum_publisher.release.version import streams_of

    passphrase = new_passphrase(encrypt_keys)
    with open_publisher(home, sign_with, quiet=as_json) as publisher:
        rotation = Rotation(publisher)
        publisher.check_new_generation(name, again=again, now=clock())
        if new_vault_key:
            publisher.workspace.make_vault(passphrase)
        holders = None
        if new_keys:
            streams = streams_of(publisher.catalog.get_list(name))
            holders = rotation.new_holders(streams, NewKeys(passphrase=passphrase))
        before = sum(publisher.rows(name).values())
        done = publisher.new_generation(
            name, reason=reason, now=clock(), holders=holders, new_pepper=new_pepper, again=again
        )
        if new_keys:
            rotation.forget()
    if as_json:
        emit({**asdict(done), "rows": dict(done.rows)})
        return
    # It goes past the guard's limits, so what else waited goes out as well: that must be seen.
    where = f"{done.list} version {done.generation}.{done.version}"
    say(f"published {where}: {sum(done.rows.values()):,} listed, {before:,} before")
    say(f"state {done.state}")
    if new_pepper:
        note("all ids have changed: tell subscribers, who may allow or report entries by id")


@lists.command(epilog="\b\nExamples:\n  vallum-publisher list show")
@json_option
@click.pass_obj
def show(home: Path, as_json: bool) -> None:
    """Show all lists."""
    with open_home(home) as (_, catalog):
        found = catalog.lists()
    if as_json:
        emit([_about(info) for info in found])
        return
    if not found:
        raise no_lists()
    table(
        ("list", "kind", "editions", "host bits", "version", "max age"),
        [
            (
                info.name,
                info.kind,
                ", ".join(info.editions),
                info.host_bits,
                f"{info.generation}.{info.version}",
                f"{info.max_age // 3600} h",
            )
            for info in found
        ],
    )


def _about(info: ListInfo) -> dict[str, object]:
    return {**asdict(info), "uid": info.uid.hex(), "created_at": info.created_at.isoformat()}
