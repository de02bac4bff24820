"""URLs: the one canonical form of each, and what may stand in a list (canonicalization.md).

Pure, never slower than linear. ``canonicalize`` reads whatever it is given and never raises;
``entry_form`` is the strict door through which a hotline's entries come; ``check_form`` is asked by run
decoders. Which expressions a look-up makes of a form is :mod:`vallum.match`'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ada_url import URL

from vallum.errors import InputError
from vallum.expression import Scope
from vallum.host import (
    MAX_HOST,
    MAX_HOST_BYTES,
    PLAIN_HOST,
    exceeds_parser,
    host_form,
    is_public_suffix,
    is_too_long,
    private_range,
)
from vallum.percent import escape, shorten, unescape
from vallum.slips import refuse_slips

MAX_INPUT = 1 << 18
"""Characters that are read of a URL, once cleaned. Host and path must end within them (§3.1)."""

MAX_PATH = MAX_QUERY = 16_000
"""Characters of a form's path and of its query; longer ones are cut (§6). A form stays below 32 KiB."""

_CUT_MARGIN = 36
"""Characters of a cut part, counted from its limit, that are not its own: ``~``, 32 digits, up to two
left out as no escape is cut in two; one more, so that a prefix keeps its border in all that lies below it."""


@dataclass(frozen=True, slots=True)
class Canonical:
    """One URL in canonical form; ``str()`` gives the form, ``canonicalize`` of which gives this again.

    ``host`` is empty if the text names none (then ``path`` is ``/``), and never holds ``/`` or ``?``.
    ``path`` begins with ``/``. ``query`` is ``None`` if there is none. All are printable ASCII.
    """

    host: str
    path: str
    query: str | None

    def __str__(self) -> str:
        return f"{self.host}{self.path}" if self.query is None else f"{self.host}{self.path}?{self.query}"


Parts = tuple[str, str, str | None]
"""A canonical form's host, path and query."""

_NO_HOST = ("", "/", None)
NO_HOST = Canonical(*_NO_HOST)

# A URL that every step would leave as it is. Proven against the full way in tests/url/test_shortcut.py.
_KEPT_ESCAPE = r"%(?:[0189A-F][0-9A-F]|2[03]|7F)"
_PCHAR = r"A-Za-z0-9_~!$&'()*+,;=:@^`{|}<>\"\[\]-"
_PATH = rf"(?:/(?![./])[.{_PCHAR}]*+(?:{_KEPT_ESCAPE}[.{_PCHAR}]*+)*+)*+"
_QUERY = rf"(?=.)[!-\"$&-~]*+(?:{_KEPT_ESCAPE}[!-\"$&-~]*+)*+"
_PLAIN = re.compile(rf"(?:https?://)?+({PLAIN_HOST})({_PATH})(?:\?({_QUERY}))?+").fullmatch
PLAIN_TAIL = re.compile(rf"({_PATH})(?:\?({_QUERY}))?+").fullmatch
"""Of such a URL what comes after the host: path and query. Begin it where the path's ``/`` stands."""

PLAIN_LENGTH = MAX_HOST
"""Characters of a URL up to which patterns are asked: no part of it is cut then."""

_PLAIN_FORMS = {
    Scope.URL: re.compile(rf"{PLAIN_HOST}(?=/){_PATH}(?:\?{_QUERY})?+"),
    Scope.URL_ANY_QUERY: re.compile(rf"{PLAIN_HOST}(?=/){_PATH}"),
    Scope.PATH_PREFIX: re.compile(rf"{PLAIN_HOST}(?=/.){_PATH}"),
    Scope.HOST: re.compile(PLAIN_HOST),
    Scope.DOMAIN: re.compile(PLAIN_HOST),
}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_PORT = re.compile(r"[0-9]+(?:[/\\?#]|\Z)")
_AUTHORITY = re.compile(r"[^/\\?#]*")
_HTTP = frozenset({"http", "https"})
_LIKE_HTTP = _HTTP | {"ws", "wss", "ftp"}
_BLANK = "".join(map(chr, range(0x21)))
_BREAKS = str.maketrans("", "", "\t\n\r")
_PATH_END = re.compile(r"[?#]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = dict.fromkeys(range(0xD800, 0xE000), "\ufffd") | {
    0xDC00 + byte: f"%{byte:02X}" for byte in range(0x80, 0x100)
}
"""U+DC80 to U+DCFF stand for a byte that was no UTF-8; other lone surrogates are lost anyway."""
_UNSAFE_IN_PATH = re.compile(rb"[^\x21-\x7e]|[#%?]")
_UNSAFE_IN_QUERY = re.compile(rb"[^\x21-\x7e]|[#%]")


def canonicalize(url: str | bytes) -> Canonical:
    """Read a URL, with or without scheme, into its canonical form (§2).

    Never raises, whatever the text; linear in its length. Bytes are read as UTF-8; what is none stays as
    the bytes it is.
    """
    return Canonical(*parts(url))


def parts(url: str | bytes) -> Parts:
    """As ``canonicalize``, for look-ups: host, path and query without an object of their own."""
    text = url if isinstance(url, str) else _text(url)
    if len(text) <= PLAIN_LENGTH and (plain := _PLAIN(text)):
        host, path, query = plain.groups()
        if "xn--" not in host:
            return host, path or "/", query
    return _read(text)


def _read(text: str) -> Parts:
    rest = _after_scheme(_cleaned(text))[1]
    authority = _authority(rest)
    written = _host_in(authority)
    if exceeds_parser(written):
        return _NO_HOST
    try:
        parsed = URL(f"http://{rest}")
        host = host_form(parsed.hostname)
    except ValueError:
        host = host_form(written)
        parsed = URL(f"http://h{rest[len(authority) :]}")
    if not host or host in _HTTP:
        return _NO_HOST
    return host, _path_form(parsed.pathname), _query_form(parsed.search[1:])


def no_host(url: str | bytes) -> InputError:
    """Say why ``canonicalize`` found no host in ``url``, for callers to raise."""
    text = _trimmed(_text(url))
    if text and not _within_limit(text):
        return InputError(
            f"the URL's host and path are longer than {MAX_INPUT:,} characters: not looked up",
            hint="no server takes such a URL; treat it as unchecked",
        )
    host = _host_in(_authority(_after_scheme(_cleaned(text))[1]))
    if is_too_long(host):
        return InputError(
            f"the URL's host is longer than {MAX_HOST} characters, or {MAX_HOST_BYTES:,} bytes as it is "
            "written: not looked up",
            hint="no name has more than 253; treat it as unchecked",
        )
    if host_form(host) in _HTTP:
        return InputError(
            "the scheme is mistyped: it was read as host",
            hint="write it as https://host/path; is there an invisible character before it?",
        )
    return InputError("the URL names no host", hint="write it as https://host/path")


def _text(url: str | bytes) -> str:
    return url if isinstance(url, str) else url.decode("utf-8", "surrogateescape")


def _cleaned(text: str) -> str:
    return _within_limit(_trimmed(text))


def _within_limit(text: str) -> str:
    """Return what is read: nothing if host and path do not end within the limit, as a part misleads."""
    if len(text) <= MAX_INPUT:
        return text
    return shorten(text, MAX_INPUT) if _PATH_END.search(text, 0, MAX_INPUT) else ""


def _trimmed(text: str) -> str:
    text = text.strip(_BLANK).translate(_BREAKS)
    if text.isascii():
        return text
    if _PAIR.search(text):  # a pair is one character
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text.translate(_LONE)


def _after_scheme(text: str) -> tuple[str, str]:
    """Split into the lower-case scheme, or none, and what begins with the authority; empty without one."""
    found = _SCHEME.match(text)
    if found is None:
        rest = text.lstrip("/\\")
        return "", "" if len(text) - len(rest) == 1 else rest
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme in _LIKE_HTTP:
        return scheme, rest.lstrip("/\\")
    if rest.startswith("//"):
        return scheme, "" if scheme == "file" else rest[2:]
    if "." in scheme or _PORT.match(rest):
        return "", text  # example.com:8080 names no scheme
    return scheme, ""


def _authority(rest: str) -> str:
    found = _AUTHORITY.match(rest)
    return found[0] if found else ""


def _host_in(authority: str) -> str:
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        inside, bracket, _ = host.partition("]")
        return inside + bracket
    return host.partition(":")[0]


def _path_form(raw: str) -> str:
    data = unescape(raw.encode("ascii")).replace(b"\\", b"/")
    if b"//" in data or b"/." in data:
        data = _resolved(data)
    return escape(data, _UNSAFE_IN_PATH, MAX_PATH)


def _resolved(path: bytes) -> bytes:
    """Resolve dot segments that escapes had hidden from the parser, then fold empty segments."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    closing = b"/" if kept and not kept[-1] else b""
    inner = b"/".join(filter(None, kept))
    return b"/" + inner + (closing if inner else b"")


def _query_form(raw: str) -> str | None:
    if not raw:
        return None
    return escape(unescape(raw.encode("ascii")), _UNSAFE_IN_QUERY, MAX_QUERY)


def readings(url: str | bytes) -> tuple[tuple[str, str], ...]:
    """Say step by step how a URL is read, as ``(what was done, text after it)``, for people (§2)."""
    text = _text(url)
    cleaned = _cleaned(text)
    _, rest = _after_scheme(cleaned)
    steps = [("as given", text), ("blanks and line breaks dropped", cleaned), ("from the host on", rest)]
    form = canonicalize(url)
    if form.host:
        try:
            steps.append(("as a browser reads it", str(URL(f"http://{rest}").href)))
        except ValueError:
            steps.append(("no browser reads it; host taken as written", _host_in(_authority(rest))))
    steps.append(("canonical form", str(form)))
    return tuple(steps)


def entry_form(text: str, scope: Scope) -> str:
    """Return the form that a list stores for an entry's URL (§8).

    ``url``: host, path and query; ``url_any_query`` and ``path_prefix``: host and path; ``host`` and
    ``domain``: the bare host.

    Raises:
        InputError: the text cannot be meant with this scope, or would block what nobody may block. The
            message never repeats the text.
    """
    cleaned = _cleaned(text)
    scheme, rest = _after_scheme(cleaned)
    if scheme and scheme not in _HTTP:
        raise InputError(
            f"the URL's scheme is {scheme[:32]!r}", hint="only http and https URLs can be listed"
        )
    if "@" in _authority(rest):
        raise InputError(
            "the URL carries credentials", hint="leave out what stands before the @; look-ups ignore it"
        )
    url = canonicalize(text)
    if not url.host:
        raise no_host(text)
    _refuse_length(url)
    _refuse_shape(url, scope)
    _refuse_reach(url.host, scope)
    refuse_slips(cleaned, rest, url.host)
    return _stored(url, scope)


def _stored(url: Canonical, scope: Scope) -> str:
    match scope:
        case Scope.URL:
            return str(url)
        case Scope.URL_ANY_QUERY | Scope.PATH_PREFIX:
            return url.host + url.path
        case Scope.HOST | Scope.DOMAIN:
            return url.host


def _refuse_length(url: Canonical) -> None:
    """Refuse forms that may have been cut."""
    if (
        max(len(url.host) - MAX_HOST, len(url.path) - MAX_PATH, len(url.query or "") - MAX_QUERY)
        > -_CUT_MARGIN
    ):
        raise InputError("the URL is too long", hint=f"no server takes a path of {MAX_PATH} characters")


def _refuse_shape(url: Canonical, scope: Scope) -> None:
    """Refuse a text that says another reach than the scope does."""
    if scope is Scope.URL:
        return
    if url.query is not None:
        raise InputError(
            f"scope {scope} with a query string",
            hint="drop the query string, or use scope url for this one URL",
        )
    if scope in (Scope.HOST, Scope.DOMAIN) and url.path != "/":
        raise InputError(
            f"scope {scope} with a path", hint="use path_prefix, or give the host alone: scopes never widen"
        )
    if scope is Scope.PATH_PREFIX and url.path == "/":
        raise InputError(
            "scope path_prefix without a path would match everything on the host",
            hint="say so with scope host",
        )


def _refuse_reach(host: str, scope: Scope) -> None:
    """Refuse hosts that are nobody's, everybody's or the reader's own."""
    if "*" in host:
        raise InputError(
            "the host holds a wildcard", hint="scope domain covers a name and all names below it"
        )
    network = private_range(host)
    if network:
        raise InputError(
            f"the host lies in a private or reserved range ({network})",
            hint="it is another one in every network",
        )
    if scope in (Scope.HOST, Scope.DOMAIN) and is_public_suffix(host):
        raise InputError(
            f"scope {scope} on a public suffix",
            hint="below it are the names of strangers; name the one meant",
        )


def check_form(form: str, scope: Scope) -> None:
    """Refuse any text but a canonical form for ``scope``; made for a million rows.

    Raises:
        InputError: it is not what ``entry_form`` could have returned (which hosts may be listed is a
            question for guard rails, not for the format).
    """
    if len(form) <= PLAIN_LENGTH and _PLAIN_FORMS[scope].fullmatch(form) and "xn--" not in form:
        return
    url = canonicalize(form)
    if not url.host or _stored(url, scope) != form:
        raise InputError(f"not a canonical form for scope {scope}")
    if scope is Scope.PATH_PREFIX and url.path == "/":
        raise InputError("a path prefix without a path")
