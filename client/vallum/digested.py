"""JSON of the state folder that ends with its own digest, so that a bit that turned in it is seen.

For files that this machine writes for itself, and whose every bit decides something (client.md §8.3). It
tells damage and no more: whoever may write there can write a digest, too. What the members mean is left to
the callers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256

from vallum.errors import FormatError
from vallum.regular import parse_json

_DIGEST = re.compile(rb', "sha256": "([0-9a-f]{64})"}\s*\Z')


def format_digested(raw: Mapping[str, object]) -> bytes:
    """Encode members as JSON, keys sorted; the last is the SHA-256 of the bytes before it, in hexadecimal.

    ``raw`` has at least one member, and none called ``sha256``.
    """
    body = json.dumps(raw, sort_keys=True).encode()[:-1]
    return body + f', "sha256": "{sha256(body).hexdigest()}"}}\n'.encode()


def parse_digested(layer: str, data: bytes, *, hint: str = "") -> object:
    """Decode what :func:`format_digested` made, or JSON of a release that wrote no digest.

    Raises:
        FormatError: no JSON, or the bytes are not those that were written.
    """
    if (end := _DIGEST.search(data)) and sha256(data[: end.start()]).hexdigest() != end[1].decode():
        raise FormatError(layer, "damaged: its bytes are not those that were written", hint=hint)
    return parse_json(layer, data, hint=hint)
