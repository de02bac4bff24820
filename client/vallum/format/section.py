"""One table's part of a run: what each touched key is at the run's end (format.md §4.3 to §4.5).

Three encodings of the added rows, by what is cheapest to send: bare keys where the edition carries no
values; forms sorted by reversed host for URLs; raw digests sorted per signal otherwise. Where values are
sent, keys are derived here and never sent.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress, repeat
from operator import lt, ne

from vallum.errors import FormatError, InputError
from vallum.expression import TAGS, Keyer, Scope, Tag, host_of
from vallum.format import limits
from vallum.format.columns import decode_sorted, encode_sorted
from vallum.format.removal import Removals, decode_removals, encode_removals
from vallum.format.rows import Rows, cast_ids, check_dictionary, check_order, id_column, id_width
from vallum.format.table import Counts, check_counts, is_valued, parse_label_sets
from vallum.labels import LabelSet
from vallum.url import check_form

_LAYER = "run"
_PRINTABLE_LINES = re.compile(r"[\x21-\x7e\n]*")
_BARE = frozenset({Scope.HOST, Scope.DOMAIN})


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What a run says about one table.

    Attributes:
        name: the table.
        counts: rows per tag of the whole table at the run's end.
        adds: every touched key that is listed at the run's end, with its labels there.
        removals: every touched key that is not, as prefixes; empty in a base.
    """

    name: str
    counts: Counts
    adds: Rows
    removals: Removals


@dataclass(frozen=True, slots=True)
class Codec:
    """What must be known of a stream to read its runs: fixed facts of its charter, and the keyer."""

    kind: str
    edition: str
    tables: tuple[str, ...]
    keyer: Keyer


def encode_section(codec: Codec, section: Section) -> list[object]:
    """Write a section as the array of format.md §4.3."""
    rows = section.adds
    counts = [[code, count] for code, count in section.counts]
    sets = [list(labels) for labels in rows.dictionary]
    columns: list[object]
    if not is_valued(codec.edition, section.name):
        columns = [_encode_ids(rows, rows.label_ids), encode_sorted(rows.hi, 8), rows.lo.tobytes()]
    elif codec.kind == "url":
        columns = _encode_forms(rows)
    else:
        columns = _encode_digests(rows)
    return [counts, sets, *columns, encode_removals(section.removals)]


def decode_section(codec: Codec, name: str, raw: object) -> Section:
    """Read the array of format.md §4.3 and derive keys where values were sent.

    Raises:
        FormatError: anything that :func:`encode_section` would not have written.
    """
    match raw:
        case [list(counts), list(sets), bytes(ids), *columns, list(removals)]:
            pass
        case _:
            raise FormatError(_LAYER, "a section is malformed")
    dictionary = parse_label_sets(_LAYER, sets)
    if not is_valued(codec.edition, name):
        adds = _decode_keys(dictionary, ids, columns)
    elif codec.kind == "url":
        adds = _decode_forms(codec, dictionary, ids, columns)
    else:
        adds = _decode_digests(codec, name, dictionary, ids, columns)
    return Section(name, _decode_counts(counts), adds, decode_removals(removals))


def check_whole(section: Section) -> None:
    """Require of a base's section that its rows are the whole table: no removals, counts that add up."""
    if section.removals:
        raise FormatError(_LAYER, "a base holds removals")
    check_counts(_LAYER, section.counts, len(section.adds))


def form_order(form: str, code: int) -> tuple[str, str, int]:
    """Sort key of forms in a run: labels of the host reversed, then the form, then the tag."""
    return _reversed_host(host_of(form)), form, code


@lru_cache(maxsize=1024)
def _reversed_host(host: str) -> str:
    return ".".join(reversed(host.split(".")))


def _decode_counts(raw: list[object]) -> Counts:
    counts: list[tuple[int, int]] = []
    for pair in raw:
        match pair:
            case [int(code), int(count)] if code in TAGS and 1 <= count <= limits.ROWS:
                counts.append((code, count))
            case [int(code), int()] if code not in TAGS:
                raise FormatError(_LAYER, "a tag is unknown here", hint="upgrade vallum on this machine")
            case _:
                raise FormatError(_LAYER, "a count is malformed")
    if any(counts[at - 1][0] >= counts[at][0] for at in range(1, len(counts))):
        raise FormatError(_LAYER, "counts are not in ascending order")
    return tuple(counts)


def _encode_ids(rows: Rows, ids: Sequence[int]) -> bytes:
    """The label column; left out where there is one set only."""
    return id_column(ids, len(rows.dictionary)).tobytes() if len(rows.dictionary) > 1 else b""


def _decode_ids(dictionary: Sequence[LabelSet], data: bytes, length: int) -> memoryview[int]:
    if len(dictionary) == 1 and length and not data:
        return memoryview(bytes(length))
    if len(data) != length * id_width(len(dictionary)) or len(dictionary) == 1 or length > limits.ROWS:
        raise FormatError(_LAYER, "the label column has another length than the rows")
    ids = cast_ids(data, len(dictionary))
    check_dictionary(_LAYER, dictionary, ids)
    return ids


def _decode_keys(dictionary: tuple[LabelSet, ...], ids: bytes, columns: Sequence[object]) -> Rows:
    match columns:
        case [bytes(hi), bytes(lo)] if len(hi) == 2 * len(lo):
            pass
        case _:
            raise FormatError(_LAYER, "a section of keys is malformed")
    label_ids = _decode_ids(dictionary, ids, len(lo) // 4)
    high = memoryview(array("Q", decode_sorted(_LAYER, hi, 8, 64)))
    low = memoryview(lo).cast("I")
    check_order(_LAYER, high, low)
    return Rows(high, low, label_ids, dictionary, None, memoryview(b""))


def _encode_forms(rows: Rows) -> list[object]:
    values = [(value[0], value[1:].decode("ascii")) for value in rows.iter_values()]
    order = sorted(range(len(values)), key=lambda at: form_order(values[at][1], values[at][0]))
    tags = bytes(values[at][0] for at in order)
    shared, rests, paths = bytearray(), [], []
    previous = ""
    for at in order:
        form = values[at][1]
        host = host_of(form)
        backwards = _reversed_host(host)
        common = _shared(previous, backwards)
        shared.append(common)
        rests.append(backwards[common:])
        paths.append(form[len(host) + 1 :])
        previous = backwards
    return [
        _encode_ids(rows, [rows.label_ids[at] for at in order]),
        tags[:1] if len(set(tags)) == 1 else tags,
        bytes(shared),
        "\n".join(rests).encode("ascii"),
        "\n".join(paths).encode("ascii"),
    ]


def _decode_forms(
    codec: Codec, dictionary: tuple[LabelSet, ...], ids: bytes, columns: Sequence[object]
) -> Rows:
    match columns:
        case [bytes(tags), bytes(shared), bytes(rests), bytes(paths)]:
            length = len(shared)
        case _:
            raise FormatError(_LAYER, "a section of forms is malformed")
    if len(set(tags)) == 1 and length > 1:
        # One tag stands for all; written out it would be a second encoding of the same rows.
        tags *= length if len(tags) == 1 else 0
    if len(tags) != length:
        raise FormatError(_LAYER, "there are not as many tags as forms")
    known = {code: tag.scope for code, tag in TAGS.items() if tag.scope is not None}
    if not set(tags) <= set(known):
        raise FormatError(_LAYER, "a tag is not one of URLs", hint="upgrade vallum on this machine")
    hosts = _decode_hosts(shared, _lines(rests, length))
    scopes = [known[code] for code in tags]
    forms = [
        host if scope in _BARE else f"{host}/{path}"
        for host, scope, path in zip(hosts, scopes, _lines(paths, length), strict=True)
    ]
    if any(path and scope in _BARE for scope, path in zip(scopes, _lines(paths, length), strict=True)):
        raise FormatError(_LAYER, "an entry of a whole host has a path")
    ordering = list(map(form_order, forms, tags))
    if not all(map(lt, ordering, ordering[1:])):
        raise FormatError(_LAYER, "forms are not in strictly ascending order")
    keys = _form_keys(codec.keyer, scopes, hosts, forms)
    values = [bytes((code,)) + form.encode("ascii") for code, form in zip(tags, forms, strict=True)]
    return _keyed(dictionary, _decode_ids(dictionary, ids, length), keys, values)


def _shared(a: str, b: str) -> int:
    """Leading characters that two hosts have in common, as far as one byte can say."""
    most = min(len(a), len(b), 255)
    return next(compress(range(most), map(ne, a[:most], b[:most])), most)


def _lines(data: bytes, length: int) -> list[str]:
    """Split a column of text into ``length`` lines of printable ASCII."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise FormatError(_LAYER, "text is not ASCII") from None
    lines = text.split("\n") if length else []
    if len(lines) != length or (data and not length) or not _PRINTABLE_LINES.fullmatch(text):
        raise FormatError(_LAYER, "a column of text is malformed")
    return lines


def _decode_hosts(shared: bytes, rests: Sequence[str]) -> list[str]:
    """Undo the front coding of reversed hosts; as much must be shared as can be."""
    hosts: list[str] = []
    previous = host = ""
    for common, rest in zip(shared, rests, strict=True):
        if common > len(previous) or (common < 255 and rest[:1] and rest[0] == previous[common : common + 1]):
            raise FormatError(_LAYER, "a host is not front-coded against the one before it")
        if rest or common < len(previous):
            previous = previous[:common] + rest
            host = ".".join(reversed(previous.split(".")))
        hosts.append(host)
    return hosts


def _form_keys(
    keyer: Keyer, scopes: Iterable[Scope], hosts: Iterable[str], forms: Iterable[str]
) -> list[bytes]:
    keys: list[bytes] = []
    held_host, part = "", -1
    for scope, host, form in zip(scopes, hosts, forms, strict=True):
        try:
            check_form(form, scope)
        except InputError:
            # Exports and look-ups are built from it; the form itself is nobody's business in a log.
            raise FormatError(_LAYER, f"a form is not canonical for its scope {scope}") from None
        if host != held_host or part < 0:
            # Forms are sorted by host: one host hash serves all of its rows.
            held_host, part = host, keyer.host_part(host)
        keys.append(keyer.url_key(scope, form, part))
    return keys


def _encode_digests(rows: Rows) -> list[object]:
    per_tag: dict[int, list[tuple[bytes, int]]] = {}
    for at, value in enumerate(rows.iter_values()):
        per_tag.setdefault(value[0], []).append((value[1:], rows.label_ids[at]))
    groups: list[list[object]] = []
    ids: list[int] = []
    for code in sorted(per_tag):
        digests = sorted(per_tag[code])
        heads = encode_sorted([int.from_bytes(digest[:8]) for digest, _ in digests], 8)
        groups.append([code, heads, b"".join(digest[8:] for digest, _ in digests)])
        ids.extend(label for _, label in digests)
    return [_encode_ids(rows, ids), groups]


def _decode_digests(
    codec: Codec, name: str, dictionary: tuple[LabelSet, ...], ids: bytes, columns: Sequence[object]
) -> Rows:
    match columns:
        case [list(groups)]:
            pass
        case _:
            raise FormatError(_LAYER, "a section of digests is malformed")
    keys: list[bytes] = []
    values: list[bytes] = []
    previous = -1
    for group in groups:
        match group:
            case [int(code), bytes(heads), bytes(rests)] if heads and code > previous:
                tag = _digest_tag(code, name)
            case _:
                raise FormatError(_LAYER, "a group of digests is malformed")
        previous = code
        digests = _decode_digest_group(tag, heads, rests)
        keys += map(codec.keyer.digest_key, repeat(tag.signal), digests)
        values += [bytes((code,)) + digest for digest in digests]
    return _keyed(dictionary, _decode_ids(dictionary, ids, len(keys)), keys, values)


def _digest_tag(code: int, name: str) -> Tag:
    tag = TAGS.get(code)
    if tag is None or tag.scope is not None or tag.table != name:
        raise FormatError(_LAYER, "a tag is not one of this table", hint="upgrade vallum on this machine")
    return tag


def _decode_digest_group(tag: Tag, heads: bytes, rests: bytes) -> list[bytes]:
    rest = tag.size - 8
    firsts = decode_sorted(_LAYER, heads, 8, 64)
    if len(rests) != rest * len(firsts):
        raise FormatError(_LAYER, "a column of digests has another length than its heads")
    digests = [
        first.to_bytes(8) + rests[at : at + rest]
        for first, at in zip(firsts, range(0, len(rests), rest), strict=True)
    ]
    if not all(map(lt, digests, digests[1:])):
        raise FormatError(_LAYER, "digests are not in strictly ascending order")
    return digests


def _keyed(
    dictionary: tuple[LabelSet, ...], ids: memoryview[int], keys: list[bytes], values: list[bytes]
) -> Rows:
    """Bring rows with derived keys into the order of the keys."""
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if any(keys[order[at - 1]] == keys[order[at]] for at in range(1, len(order))):
        raise FormatError(_LAYER, "two values have one key", hint="the publisher must refuse one of them")
    return Rows.of_ordered(
        [keys[at] for at in order], [ids[at] for at in order], dictionary, [values[at] for at in order]
    )
