"""Where a repository or its events are: addresses that can be meant."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from vallum.errors import ConfigError

_EXAMPLE = "such as https://lists.example/repository"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def check_url(text: str, base: Path) -> str:
    """Normalize a source's address: an ``http(s):`` or ``file:`` URL, or a folder relative to ``base``.

    Raises:
        ConfigError: another scheme, no host, or parts that a repository's address does not have.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("url is malformed", hint=_EXAMPLE) from None
    if not text.strip() or not text.isprintable():
        raise ConfigError("url is empty, or holds what cannot be printed", hint=_EXAMPLE)
    if parts.scheme in ("http", "https"):
        if not host or " " in text:
            raise ConfigError("url has no host, or holds a blank", hint=_EXAMPLE)
        if parts.username is not None or parts.password is not None:
            raise ConfigError(
                "url holds a user or password", hint="put an Authorization into [source.headers]"
            )
        if parts.query or parts.fragment:
            raise ConfigError(
                "url holds a query or fragment",
                hint="names are put behind it; a signature for the whole container goes into `query`",
            )
        return text.rstrip("/")
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise ConfigError("a file: url names another machine", hint="such as file:///srv/repository")
        return Path(url2pathname(parts.path)).absolute().as_uri()
    if found := _SCHEME.match(text):
        # `javascript:…` is nothing that anybody calls a folder; who does writes `./name`.
        raise ConfigError(f"url has the scheme {found[0]!r}", hint="http, https, file, or a folder")
    return (base.absolute() / text).as_uri()
