"""``trace``: whose export is this?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vallum.cli.progress import showing_rows
from vallum.cli.terminal import NO, OK, clock, counted, emit, json_option, note, say, table, warn
from vallum.errors import InputError
from vallum.format.fields import format_time
from vallum_publisher.cli.session import actor, open_home, open_input

if TYPE_CHECKING:
    from vallum_publisher.catalog import Recipient
    from vallum_publisher.recipients.tracing import HadListed, Suspicion, Traced

_MIB = 20


@click.command(
    epilog="\b\nExamples:\n"
    "  vallum-publisher trace found.txt\n"
    "  vallum-publisher trace found.csv.gz --list urls --json\n\n"
    "Exit codes: 0 somebody is named, or has decoys on the list; 1 nobody; 2 the file or the command is "
    "wrong; 3 and 4 as everywhere."
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--list", "lists", multiple=True, metavar="NAME", help="Only recipients of this list.")
@json_option
@click.pass_obj
def trace(home: Path, file: Path, lists: tuple[str, ...], as_json: bool) -> int:
    """Say whose export a leaked FILE (`-` for standard input) was.

    An export as it was written or what became of it: a part, other columns, another order, hosts only, in
    JSON, HTML, URLs or mails; gzip. Not what is in base64, packed otherwise or printed. Three decoys of one
    recipient name him. It is a reason to ask, no proof: see docs/explanation/confidentiality.md. The audit
    log keeps the file's SHA-256 and who was named.
    """
    from vallum_publisher.recipients.leak import Leak
    from vallum_publisher.recipients.tracing import trace as look

    with open_home(home) as (workspace, catalog), open_input(file) as opened:
        size = None if str(file) == "-" else file.stat().st_size >> _MIB
        with showing_rows("MiB read", quiet=as_json) as progress:
            leak = Leak(opened, lambda read: progress(read >> _MIB, size))
            try:
                traced = look(catalog, workspace.custody(catalog), lists, leak)
            except InputError as error:
                error.args = (f"{file}: {error}",)
                raise
        digest = leak.digest.hexdigest()
        named = [one.recipient.fingerprint for one in traced.accused]
        fed = [one.recipient.fingerprint for one in traced.had_listed]
        catalog.record(
            actor=actor(),
            action="trace",
            list_name=", ".join(lists),
            now=clock(),
            details={"file": digest, "named": named, "had_listed": fed, "recipients": traced.recipients},
        )
    if as_json:
        emit({"file": str(file), "sha256": digest, "damage": leak.damage, **_about(traced)})
    else:
        _show(traced)
    if leak.damage:
        warn(f"{file}: {leak.damage}")
    return OK if traced.accused or traced.had_listed else NO


def _show(traced: Traced) -> None:
    from vallum_publisher.recipients.leak import UNREAD
    from vallum_publisher.recipients.tracing import ENOUGH, false_accusation_bound, miss_bound

    if traced.suspicions:
        table(
            ("recipient", "stream", "decoys", "named", "revoked", "fingerprint"),
            [
                (
                    one.recipient.name,
                    one.recipient.stream,
                    one.found,
                    one.accused,
                    format_time(one.recipient.revoked_at) if one.recipient.revoked_at else None,
                    " ".join(one.recipient.fingerprint[at : at + 4] for at in range(0, 16, 4)) + " …",
                )
                for one in traced.suspicions
            ],
        )
    looked = f"{counted(traced.recipients, 'recipient')} looked for"
    bound = max(false_accusation_bound(traced.seen, traced.recipients), 1e-30)  # less is nobody's concern
    if traced.accused:
        say(f"{looked}; by chance anybody would be named with p < {bound:.1g}")
    else:
        say(f"nobody is named: fewer than {ENOUGH} decoys of anybody; {looked}")
        say(
            f"a random tenth of an export would be missed with p < {miss_bound(0.1):.1g}, "
            f"a twentieth with p < {miss_bound(0.05):.1g}; a table dumped without `export` has no decoys"
        )
        if not traced.seen:
            note("nothing in the file has the look of a decoy: was it text, or is it in one of these forms?")
        note(f"not read: {UNREAD}")
    for one in traced.listed:
        note(_listed(one))
    if len(traced.accused) > 1:
        note("several are named: their exports were mixed, or they worked together")
    if traced.accused:
        note("a reason to ask, no proof: whoever got hold of an export can have passed it on")


def _listed(one: HadListed) -> str:
    who, which = f"{one.recipient.name} ({one.recipient.stream})", counted(one.count, "decoy")
    since = f" since {format_time(one.since)}" if one.since else ""
    said = f"{who}: {which} passed over: the list itself holds them{since}"
    if not one.suspicious:
        return said
    if one.after:
        said += f", {one.after:,} added after {one.recipient.name} was"
    said += "; chance cannot do that"
    return f"{said}: somebody reported what stood in an export of theirs; ask who brought those entries in"


def _about(traced: Traced) -> dict[str, object]:
    from vallum.format.decoys import DECOYS
    from vallum_publisher.recipients.tracing import ENOUGH, false_accusation_bound, miss_bound

    return {
        "named": [_suspicion(one) for one in traced.accused],
        "others": [_suspicion(one) for one in traced.suspicions if not one.accused],
        "recipients": traced.recipients,
        "seen": traced.seen,
        "passed_over": sum(one.count for one in traced.listed),
        "had_listed": [
            {
                **_whose(one.recipient),
                "decoys": one.count,
                "since": format_time(one.since) if one.since else None,
                "after_admission": one.after,
                "suspicious": one.suspicious,
            }
            for one in traced.listed
        ],
        "bounds": {
            "decoys": DECOYS,
            "enough": ENOUGH,
            "false_accusation": false_accusation_bound(traced.seen, traced.recipients),
            "miss_of_a_tenth": miss_bound(0.1),
        },
    }


def _suspicion(one: Suspicion) -> dict[str, object]:
    return {**_whose(one.recipient), "decoys": one.found}


def _whose(recipient: Recipient) -> dict[str, object]:
    return {
        "recipient": recipient.name,
        "stream": recipient.stream,
        "fingerprint": recipient.fingerprint,
        "revoked_at": format_time(recipient.revoked_at) if recipient.revoked_at else None,
    }
