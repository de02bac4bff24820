"""Every vector of ``schemas/vectors`` against this implementation; an unknown key or layer is a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import zstandard

from schemas.build_vectors import FAMILIES, VECTORS, build
from schemas.vectorsmith.decoys import wanted
from vallum.errors import FormatError, InputError, StateError, TrustError, VallumError
from vallum.expression import DIGEST_TAGS, TAGS, Keyer, Scope, host_of, parse_digest
from vallum.format.charter import check_unchanged, format_charter, parse_charter
from vallum.format.decoys import decoys_for
from vallum.format.fields import format_time
from vallum.format.head import RunRef, format_head, parse_head, stale_after
from vallum.format.run import apply_run, format_body, parse_run
from vallum.format.section import Codec
from vallum.format.table import build_table, check_table, format_table, parse_table
from vallum.path import shortest_path

Case = dict[str, Any]
COMMITTED = sorted(path for family in FAMILIES for path in (VECTORS / family).glob("*.json"))
SCHEMA = json.loads((VECTORS.parent / "vector.schema.json").read_text(encoding="utf-8"))


def read(path: Path) -> Case:
    made: Case = json.loads(path.read_text(encoding="utf-8"))
    return made


def key(given: Case) -> Case:
    keyer, tag = Keyer(bytes.fromhex(given["pepper"]), given["host_bits"]), TAGS[given["tag"]]
    if tag.scope is None:
        raw = parse_digest(tag.signal, given["digest"])
        made = keyer.digest_key(tag.signal, raw)
        return {"expression": tag.prefix + raw.hex(), "key": made.hex(), "id": keyer.entry_id(made)}
    form = given["form"]
    host = f"host|{host_of(form)}"
    made = keyer.url_key(tag.scope, form)
    return {
        "expression": tag.prefix + form,
        "host_expression": host,
        "host_hash": keyer.hash(host.encode()).hex(),
        "hash": keyer.hash((tag.prefix + form).encode()).hex(),
        "key": made.hex(),
        "id": keyer.entry_id(made),
    }


def run(given: Case) -> Case:
    keyer = Keyer(bytes.fromhex(given["pepper"]), given["host_bits"])
    codec = Codec(given["kind"], given["edition"], tuple(given["tables"]), keyer)
    held = {name: parse_table(bytes.fromhex(file)) for name, file in given.get("held", {}).items()}
    parsed = parse_run(codec, bytes.fromhex(given["run"]))
    tables = apply_run(parsed, held, keyer.host_bits)
    header = parsed.header
    return {
        "header": {
            "start": header.start,
            "end": header.end,
            "generation": header.generation,
            "epoch": header.epoch,
        },
        "body": format_body(codec, parsed.table_salt, parsed.sections).hex(),
        "tables": {
            name: {"sha256": table.digest(), "file": format_table(table).hex()}
            for name, table in tables.items()
        },
    }


def table(given: Case) -> Case:
    if "file" in given:
        parsed = parse_table(bytes.fromhex(given["file"]))
        check_table(parsed)
        return {}
    keyer = Keyer(bytes.fromhex(given["pepper"]), given["host_bits"])
    keys, values = [], []
    for row in given["rows"]:
        tag = TAGS[row["tag"]]
        text = row["text"].encode() if tag.scope else bytes.fromhex(row["text"])
        keys.append(
            keyer.url_key(tag.scope, row["text"]) if tag.scope else keyer.digest_key(tag.signal, text)
        )
        values.append(bytes((tag.code,)) + text)
    codes = [row["tag"] for row in given["rows"]]
    made = build_table(
        kind=given["kind"], edition=given["edition"], name=given["table"], host_bits=given["host_bits"],
        generation=given["generation"], version=given["version"], salt=bytes.fromhex(given["salt"]),
        counts=tuple((code, codes.count(code)) for code in sorted(set(codes))), keys=keys,
        labels=[tuple(row["labels"]) for row in given["rows"]], values=values,
    )  # fmt: skip
    file = format_table(made)
    check_table(parse_table(file))
    return {"file": file.hex(), "sha256": made.digest()}


def path(given: Case) -> Case:
    sizes = {RunRef(start, end, 1): size for start, end, size in given["runs"]}
    found = shortest_path(list(sizes), given["held"], given["wanted"], sizes.__getitem__)
    return {"path": [[ref.start, ref.end] for ref in found]}


def head(given: Case) -> Case:
    parsed = parse_head(given["head"])
    assert parse_head(format_head(parsed)) == parsed
    return {
        "generation": parsed.generation, "version": parsed.version, "state": parsed.state,
        "min_poll": parsed.min_poll, "stale_after": format_time(stale_after(parsed)),
        "runs": [ref.target("phish.full", parsed.generation) for ref in parsed.runs],
    }  # fmt: skip


def charter(given: Case) -> Case:
    parsed = parse_charter(given["charter"])
    assert format_charter(parsed) == given["charter"]
    if "held" in given:
        check_unchanged(parse_charter(given["held"]), parsed)
        return {}
    return {"public": parsed.pepper is None, "uid": parsed.uid.hex()}


def decoys(given: Case) -> Case:
    rows = {(code, tuple(labels)): count for code, labels, count in given["rows"]}
    made = decoys_for(
        bytes.fromhex(given["seed"]), bytes.fromhex(given["uid"]), rows,
        partial(wanted, given["tags"], given["label"]),
    )  # fmt: skip
    return {"decoys": [[decoy.tag.code, decoy.text, list(decoy.labels)] for decoy in made]}


LAYERS: dict[str, Callable[[Case], Case]] = {
    "key": key, "run": run, "table": table, "path": path, "head": head, "charter": charter, "decoys": decoys
}  # fmt: skip


def layer_of(error: VallumError) -> str:
    """What refused, in the words of the vectors."""
    match error:
        case FormatError():
            return error.layer
        case StateError():
            return "state"
        case TrustError():
            return "trust"
        case InputError():
            return "input"
    raise AssertionError(f"an error that no vector can expect: {error!r}")


@pytest.mark.parametrize("file", COMMITTED, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_each_vector_behaves(file: Path) -> None:
    case = read(file)
    jsonschema.validate(case, SCHEMA)
    work = LAYERS[case["layer"]]
    if case["expect"] == "ok":
        assert work(case["input"]) == case.get("output", {})
        return
    with pytest.raises(VallumError) as refused:
        work(case["input"])
    assert layer_of(refused.value) == case["expect"], refused.value


@pytest.mark.parametrize("family", FAMILIES)
def test_the_builder_makes_what_is_committed(family: str) -> None:
    """To the byte but for what zstd made, which may differ between its releases."""
    committed = {file.stem: read(file) for file in COMMITTED if file.parent.name == family}
    made = build(family)
    assert set(made) == set(committed)
    for name, case in made.items():
        assert opened(case) == opened(committed[name]), name


def opened(case: Case) -> Case:
    """The vector with its run's frame replaced by what is in it."""
    if "run" not in case["input"]:
        return case
    if case["expect"] == "run.frame":
        return {**case, "input": {**case["input"], "run": ""}}  # these frames are broken on purpose
    data = bytes.fromhex(case["input"]["run"])
    at = data.find(b"\x28\xb5\x2f\xfd")
    frame = zstandard.ZstdDecompressor().decompress(data[at:]) if at >= 0 else b""
    return {
        **case,
        "input": {**case["input"], "run": [data[:at].hex() if at >= 0 else data.hex(), frame.hex()]},
    }


def test_every_layer_that_can_refuse_has_a_vector() -> None:
    """A new refusal without a vector would be one that other implementations do not learn of."""
    source = Path(__file__).resolve().parents[2] / "client/vallum/format"
    text = "".join((source / f"{name}.py").read_text() for name in MODULES)
    layers = {
        word
        for word in text.replace('"', " ").split()
        if word.startswith(("run.", "table.")) and word in KNOWN
    }
    assert layers == KNOWN
    assert {read(file)["expect"] for file in COMMITTED} >= KNOWN | {
        "head",
        "charter",
        "state",
        "trust",
        "input",
    }


MODULES = ("run", "section", "forms", "digests", "removal", "table")
KNOWN = set(SCHEMA["properties"]["expect"]["enum"]) - {"ok", "head", "charter", "state", "trust", "input"}


def test_every_tag_has_a_key_vector() -> None:
    tags = {read(file)["input"]["tag"] for file in COMMITTED if file.parent.name == "keys"}
    assert tags == set(TAGS)
    assert {tag.signal for tag in DIGEST_TAGS.values()} | {"url"} == {tag.signal for tag in TAGS.values()}
    assert {tag.scope for tag in TAGS.values() if tag.scope} == set(Scope)
