"""JSON Lines: one object a line, as ``schemas/entry.schema.json`` says.

Checked by hand, since a general validator takes a hundred times as long; a test holds both to the same
verdicts. A member that is ``null`` counts as not there. Passed over are members that begin with ``x_`` and
values of the other kind of list, so that one export can feed both; any other unknown member is rejected, for
it is likely a misspelt one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vallum_publisher.intake.fields import FACT_FIELDS, FIELDS, VALUE_FIELDS, RawFacts, RecordMaker
from vallum_publisher.intake.lines import Lines
from vallum_publisher.intake.rejects import BadField, Found, Reject, shorten

_SETS = frozenset({"labels", "flags", "jurisdictions"})
_FACTS = frozenset(FACT_FIELDS)


def read_json_lines(lines: Lines, maker: RecordMaker, kind: str, mapping: Mapping[str, str]) -> Found:
    """Read all lines; blank ones say nothing."""
    fields = {field: field for field in FIELDS if field not in mapping}
    fields |= {name: field for field, name in mapping.items()}
    names = {field: name for name, field in fields.items()}
    value_fields = VALUE_FIELDS[kind]
    others = frozenset(FIELDS) - {*value_fields, *FACT_FIELDS, "ref", "content_id"}
    for line in lines:
        if line.isspace():
            continue
        number = lines.number
        try:
            said = _members(line, fields, others)
            facts = maker.facts(RawFacts(**{name: said[name] for name in said if name in _FACTS}))
            values = [(name, said[name]) for name in value_fields if name in said]
            yield number, maker.records(values, said.get("ref", ""), said.get("content_id", ""), facts)
        except BadField as error:
            column = names.get(error.field, error.field)
            yield number, Reject(number, column, str(error), error.hint, shorten(error.text))


def _members(line: str, fields: Mapping[str, str], others: frozenset[str]) -> dict[str, Any]:
    """Read one object; every value has its field's type: text, or a tuple of texts."""
    try:
        pairs = json.loads(line, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise BadField("", "not JSON", hint="one object a line, in double quotes") from None
    if not isinstance(pairs, _Pairs):
        raise BadField("", "not a JSON object", hint='one object a line, such as {"url": "https://…/"}')
    said: dict[str, Any] = {}
    for name, value in pairs:
        field = fields.get(name)
        if field is None:
            if name.startswith("x_"):
                continue
            raise BadField("", "an unknown member", hint=f"known: {', '.join(fields)}, and x_…", text=name)
        if field in said:
            raise BadField(field, "the member stands there twice", hint="keep the one that is meant")
        if value is not None and field not in others:
            said[field] = _typed(field, value)
    return said


class _Pairs(list[tuple[str, Any]]):
    """An object's members in order, repetitions included."""


def _typed(field: str, value: object) -> str | tuple[str, ...]:
    if field in _SETS:
        if type(value) is list and all(isinstance(item, str) and item for item in value):  # no _Pairs
            return tuple(value)
        raise BadField(field, f"{field} is not an array of texts", hint='such as ["uk-sap:1:A"]')
    if field == "pdq_quality":
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise BadField(field, "not a quality", hint="an integer from 0 to 100")
    if isinstance(value, str) and value:
        return value
    raise BadField(field, f"{field} is not a text, or an empty one", hint="leave out what is not known")
