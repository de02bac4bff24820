"""Tables, matchers and whole state folders of made-up lists, without publisher or network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from vallum.expression import DIGEST_TAGS, URL_TAGS, Keyer, Scope, parse_digest
from vallum.format.charter import Charter
from vallum.format.head import Head, RunRef
from vallum.format.table import Table, build_table
from vallum.labels import LabelSet
from vallum.match.exact import Matcher
from vallum.state import FILE, Current, SourceState, StreamState, format_current

Entry = tuple[Scope, str, LabelSet]
"""A URL entry: scope, canonical form, labels."""

Digest = tuple[str, str, LabelSet]
"""A digest entry: signal, hex, labels."""

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def url_table(
    entries: Iterable[Entry],
    *,
    host_bits: int = 20,
    pepper: bytes = b"",
    version: int = 1,
    edition: str = "full",
) -> Table:
    keyer = Keyer(pepper, host_bits)
    rows: dict[bytes, tuple[set[str], bytes]] = {}
    tally: dict[int, int] = {}
    for scope, form, labels in entries:
        key = keyer.url_key(scope, form)
        tag = URL_TAGS[scope].code
        if key in rows:
            rows[key][0].update(labels)
        else:
            rows[key] = set(labels), bytes([tag]) + form.encode()
            tally[tag] = tally.get(tag, 0) + 1
    return build_table(
        kind="url",
        edition=edition,
        name="exact",
        host_bits=host_bits,
        generation=1,
        version=version,
        salt=bytes(16),
        counts=tuple(sorted(tally.items())),
        keys=list(rows),
        labels=[tuple(sorted(labels)) for labels, _ in rows.values()],
        values=[value for _, value in rows.values()],
    )


def digest_table(
    entries: Iterable[Digest], *, version: int = 1, name: str = "exact", pepper: bytes = b""
) -> Table:
    keyer = Keyer(pepper, 0)
    rows = [(signal, parse_digest(signal, digest), labels) for signal, digest, labels in entries]
    tally: dict[int, int] = {}
    for signal, _, _ in rows:
        code = DIGEST_TAGS[signal].code
        tally[code] = tally.get(code, 0) + 1
    return build_table(
        kind="hash",
        edition="full",
        name=name,
        host_bits=0,
        generation=1,
        version=version,
        salt=bytes(16),
        counts=tuple(sorted(tally.items())),
        keys=[keyer.digest_key(signal, raw) for signal, raw, _ in rows],
        labels=[labels for _, _, labels in rows],
        values=[bytes([DIGEST_TAGS[signal].code]) + raw for signal, raw, _ in rows],
    )


def url_matcher(
    entries: Iterable[Entry], *, host_bits: int = 20, pepper: bytes = b"", edition: str = "full"
) -> Matcher:
    table = url_table(entries, host_bits=host_bits, pepper=pepper, edition=edition)
    return Matcher("hotline", "urls", table, Keyer(pepper, host_bits))


def write_state(
    state_dir: Path,
    lists: Mapping[str, Table],
    *,
    source: str = "hotline",
    missing: Iterable[str] = (),
    near: Mapping[str, Table] | None = None,
) -> None:
    """Put lists of one source in force, the way a sync does it: tables first, then one replace.

    ``near``: tables ``pdq`` by list.
    """
    streams: dict[str, StreamState] = {}
    for name, table in lists.items():
        tables = {"exact": table} | ({"pdq": near[name]} if near and name in near else {})
        charter = Charter(
            uid=bytes(16),
            generation=table.generation,
            kind=table.kind,
            host_bits=table.host_bits,
            tables=tuple(tables),
            editions=("full",),
            publisher="Hotline",
            jurisdiction="",
            appeal_url="",
        )
        head = Head(
            generation=table.generation,
            version=table.version,
            tables={each: held.digest() for each, held in tables.items()},
            created=NOW,
            as_of=NOW,
            max_age=3600,
            min_poll=60,
            epochs={},
            runs=(RunRef(0, table.version, 1),),
        )
        stream = f"{name}.full"
        streams[stream] = state = StreamState(charter, head)
        for each, file in state.files(source, stream).items():
            path = state_dir / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(bytes(chunk) for chunk in tables[each].chunks()))
    about = SourceState(
        followed=tuple(sorted([*streams, *missing])),
        streams=streams,
        verified_at=NOW,
        root_version=1,
        expires=NOW,
    )
    fresh = state_dir / "current.json.new"
    fresh.write_bytes(format_current(Current({source: about})))
    fresh.replace(state_dir / FILE)
