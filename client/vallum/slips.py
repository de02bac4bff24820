"""Slips: what people write that is not the URL, or the host, that they meant (canonicalization.md §8).

Look-ups read whatever they are given; here is refused what would answer, or list, something else. How a
URL is read is :mod:`vallum.url`'s business.
"""

from __future__ import annotations

import re

from ada_url import check_url

from vallum.errors import InputError
from vallum.host import host_form, is_address, parsed_host

_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_BESIDE_HOST = re.compile(r"[\s/\\?#@,;%]")
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\]")
_SECOND_URL = r"(?i)[\s,;|]https?://"
_NO_URL = tuple(
    (re.compile(pattern), reason, hint)
    for pattern, reason, hint in (
        (
            r"\x00|\A\xff\xfe|\A\xfe\xff|\ufeff",
            "it holds NUL characters or a byte order mark",
            "is it UTF-16 or UTF-32? convert it: iconv -f utf-16 -t utf-8",
        ),
        (
            r"[\r\n\x85\u2028\u2029]",
            "a line break stands in it",
            "one URL a line, ended by a line feed",
        ),
        (_SECOND_URL, "it holds two", "one URL a line"),
        (
            r"(?i)\A\s*(?:(?:md5|sha-?1|sha-?256)\s*[:=]\s*)?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})\s*\Z",
            "it is a digest",
            "look it up as one: vallum check --digest sha256:9f86…",
        ),
        (
            r"\A\s*[\"'<(\[`\u201c\u00ab](?![0-9A-Fa-f:.]+\])|[\">`]\s*\Z",
            "it is enclosed in quotation marks or brackets",
            "leave out what encloses it",
        ),
        (
            r"(?i)\A\s*h(?:xx|\*\*|\+\+|__)ps?\b|\[(?:\.|:|dot)\]|\(dot\)|\A[a-z]+\[:",
            "it is made harmless (hxxp, [.])",
            "write it as it was: https://host/path",
        ),
        (r"\S[ \t\v\f]", "a blank or a tab stands in it", "one URL a line; write %20 for a blank"),
        (
            r"\A(?:[A-Za-z]+:)?/*[^/?#]*[,;|]",
            "its host holds a comma, a semicolon or a bar",
            "one URL a line, without other columns",
        ),
    )
)
"""Ways in which lines of tables, mails and reports are no URL, with reason and hint."""

_CLOSERS = frozenset('">`')
"""What text puts behind a URL. Unescaped, no URL holds it."""

_MAX_LABEL, _MAX_NAME = 63, 253
"""What the DNS can carry (RFC 1035 §2.3.4)."""


def refuse_slips(cleaned: str, rest: str, host: str) -> None:
    """Refuse an entry that was mistyped (§8): one that no URL equals would block nothing.

    Args:
        cleaned: the whole text.
        rest: what of it begins with the host.
        host: its form.

    Raises:
        InputError: with the slip. The message never repeats the text.
    """
    if re.search(_SECOND_URL, cleaned):
        raise InputError(
            "the text holds two URLs",
            hint="one URL each; percent-encode the separator if it belongs to the URL",
        )
    if cleaned[-1:] in _CLOSERS:
        raise InputError(
            "the URL ends with a quotation mark or an angle bracket",
            hint="leave out what enclosed it; percent-encode the character if it belongs to the URL",
        )
    if not is_address(host):
        _refuse_name(host)
    if not check_url(f"http://{rest}"):
        raise InputError(
            "no browser accepts the URL: what follows its host is no port",
            hint="leave it out, look-ups ignore ports; a port is a number up to 65535 after a colon",
        )


def _refuse_name(host: str) -> None:
    if not _is_name(host):
        raise InputError(
            "the host is no name and no address that a browser accepts",
            hint="is it mistyped? letters, digits, hyphens and dots only, as in https://host.example/path",
        )
    if len(host) > _MAX_NAME or any(len(label) > _MAX_LABEL for label in host.split(".")):
        raise InputError(
            f"the host is longer than a name can be ({_MAX_LABEL} characters a label, {_MAX_NAME} in all)",
            hint="no browser can ask for it; is it cut short, or is a dot missing?",
        )
    if "." not in host:
        raise InputError("the host is a single label", hint="a listed host has a dot, as in host.example")


def refuse_no_url(text: str) -> None:
    """Refuse a line that is plainly not one URL, for those who looked it up and found nothing.

    Look-ups read whatever they are given, but "not listed" would be no answer to the URL that was meant.

    Raises:
        InputError: it is in another encoding, quoted, defanged, a digest, or more than one URL. The message
            never repeats the text.
    """
    for pattern, reason, hint in _NO_URL:
        if pattern.search(text):
            raise InputError(f"this is not one URL: {reason}", hint=hint)


def bare_host(text: str) -> str:
    """Return the form of a host that a person wrote alone: no scheme, no port, nothing beside it (§4).

    Raises:
        InputError: it is more, or less, than a host's name or address. The message never repeats the text.
    """
    if "*" in text:
        raise InputError(
            "a wildcard stands for no one host", hint="name the host itself, such as www.example.com"
        )
    if _BESIDE_HOST.search(text) or (":" in text and not _BRACKETED.fullmatch(text)):
        raise InputError(
            "this is more than the name of a host",
            hint="one host alone, such as www.example or [2001:db8::7]: no scheme, port, path, comma",
        )
    host = host_form(text)
    if not host or not (is_address(host) or _is_name(host)):
        raise InputError(
            "this is not the name of a host, nor an address",
            hint="such as www.example, 192.0.2.7 or [2001:db8::7]",
        )
    return host


def _is_name(host: str) -> bool:
    return _NAME.fullmatch(host) is not None and parsed_host(host) == host
