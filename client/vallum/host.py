"""Hosts: one form per host, and which hosts are too wide or too private to list (canonicalization.md §4, §8).

Pure. A host that the WHATWG parser rejects is read lexically and still gets a form: a parse failure must
never mean "not listed". Where in a URL the host stands is :mod:`vallum.url`'s business.
"""

from __future__ import annotations

import re
from functools import cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Protocol

from ada_url import URL

from vallum.errors import ConfigError
from vallum.percent import escape, unescape

MAX_HOST = 512
"""Characters of a host's form. A name has 253; a URL with a longer form has no host (§6)."""

MAX_HOST_BYTES = 1024
"""Bytes of a host as it stands, escapes undone: the parser's time is quadratic in some names (§3.3)."""

_CANARIES = (
    ("a\u00c0\u0323b.example", "xn--ab-5tb504z.example"),
    ("vi\u00ea\u0323t.example", "xn--vit-5kz.example"),
    ("ex\u00ad\uff41mple\u3002com", "example.com"),
    ("0300.0.02.07", "192.0.2.7"),
    ("a%7fb.example", None),
)
"""Hosts, and how the URL Standard reads them: the first two come apart where a parser leaves NFC out."""

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_TEXT = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
PLAIN_HOST = rf"(?:(?:[a-z0-9_-]++\.)++(?=[a-z])[a-z0-9_-]++|{_IPV4_TEXT})"
"""Hosts that every step leaves as they are, unless ``xn--`` is in them; for other patterns to hold.

Quantifiers are possessive so that no text makes a pattern with them slow.
"""

_PLAIN = re.compile(PLAIN_HOST)
_DOTS = re.compile(r"\.{2,}")
_OTHER_DOTS = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
_NOT_A_NAME = re.compile(r"[\x00-\x20\x7f/?#@\\:\[\]]")
_NOT_IN_BRACKETS = re.compile(r"[\x00-\x20\x7f/?#@\\]")
_UNSAFE = re.compile(rb"[^\x21-\x7e]|[#%/?\\@:\[\]]")
ADDRESS_ENDS = frozenset("0123456789]")
_MAPPED = re.compile(r"\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]")
_IPV4 = re.compile(_IPV4_TEXT)


def host_form(text: str) -> str:
    """Return the one form of a host as it stands in a URL, without port.

    Empty if nothing is left of it, or if it is too long to be read (:func:`is_too_long`).
    """
    return _whole_form(text) or ""


def is_too_long(text: str) -> bool:
    """Say whether a host as it stands in a URL is longer than what is read (§6)."""
    return _whole_form(text) is None


def exceeds_parser(text: str) -> bool:
    """Say whether a host is longer than what the parser may be given (§6)."""
    return len(text) > MAX_HOST_BYTES // 4 and len(unescape(_bytes(text))) > MAX_HOST_BYTES


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _whole_form(text: str) -> str | None:
    if len(text) <= MAX_HOST and _PLAIN.fullmatch(text) and "xn--" not in text:
        return text
    # Folding dots can make an address of what was none, hence again until it stands still. Three rounds do:
    # one for escapes and dots, one for what the parser maps, one to see that nothing moves.
    for _ in range(4):
        data = unescape(_bytes(text))
        if len(data) > MAX_HOST_BYTES:
            return None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return _lexical(data)
        text = _DOTS.sub(".", text.translate(_OTHER_DOTS)).strip(".")
        accepted = _parse(text)
        if accepted is None:
            return _lexical(_bytes(text))
        if accepted == text:
            break
        text = accepted
    return _whole(text)


def parsed_host(text: str) -> str | None:
    """Return what the parser makes of a host alone; ``None`` if it rejects it."""
    try:
        return str(URL(f"http://{text}/").hostname)
    except ValueError:
        return None


def _parse(text: str) -> str | None:
    in_brackets = text.startswith("[") and text.endswith("]")
    if not text or (_NOT_IN_BRACKETS if in_brackets else _NOT_A_NAME).search(text):
        return None
    name = parsed_host(text)
    if name and (mapped := _MAPPED.fullmatch(name)):
        high, low = int(mapped[1], 16), int(mapped[2], 16)
        return f"{high >> 8}.{high & 255}.{low >> 8}.{low & 255}"
    return name


def _lexical(data: bytes) -> str | None:
    labels = [label for label in data.lower().split(b".") if label]
    return _whole(escape(b".".join(labels), _UNSAFE, len(data) * 3))


def _whole(form: str) -> str | None:
    return form if len(form) <= MAX_HOST else None


def refuse_parser() -> None:
    """Ask the installed parser for hosts whose reading is known; microseconds.

    Raises:
        ConfigError: it answers otherwise. What it read would be looked up under another name than it was
            listed.
    """
    for host, right in _CANARIES:
        if parsed_host(host) != right:
            raise ConfigError(
                "the installed ada-url does not read host names as the URL Standard does",
                hint="versions 1.31 to 1.32 serve: pip install 'ada-url>=1.31,<4'",
            )


def is_address(host: str) -> bool:
    """Say whether a form's host is an IP address, which has no names above it."""
    return host[-1:] in ADDRESS_ENDS and (host[0] == "[" or _IPV4.fullmatch(host) is not None)


def stands_alone(host: str) -> bool:
    """Say whether a form's host has no names above it: an address, or no name as it ends in a number."""
    return host[-1:] in ADDRESS_ENDS and (host[0] == "[" or host.rpartition(".")[2].isdigit())


def suffixes(host: str) -> list[str]:
    """List the names whose ``domain`` rows cover ``host``: itself first, then each name above it."""
    names = [host]
    if stands_alone(host):
        return names
    at = host.find(".")
    while at >= 0:
        names.append(host[at + 1 :])
        at = host.find(".", at + 1)
    return names


# Spelled out, because the answers of `ipaddress` differ between Python versions and both ends must agree.
# The ranges for documentation (192.0.2.0/24 and its like) are left out on purpose: nothing lives there that
# could be over-blocked, and examples and test rows need addresses.
_PRIVATE4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_PRIVATE6 = tuple(
    IPv6Network(text)
    for text in (
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",
        "2001:2::/48",
        "2001:10::/28",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_GLOBAL6 = IPv6Network("2000::/3")
"""All that is given out for the public Internet (RFC 4291 §2.4, IANA's registry of IPv6 address space)."""
_EMBEDDED4 = ((IPv6Network("64:ff9b::/96"), 0), (IPv6Network("2002::/16"), 80))
"""IPv6 networks with an IPv4 address inside, and how many bits stand to its right."""


_PRIVATE_NAMES = ("localhost", "local", "internal", "lan", "home.arpa")


def private_range(host: str) -> str:
    """Name the private, loopback or reserved range in which a form's host lies; empty if in none."""
    for name in _PRIVATE_NAMES:
        if host.endswith(name) and host[: -len(name)][-1:] in ("", "."):
            return name
    if not is_address(host):
        return ""
    address = ip_address(host.strip("[]"))
    if isinstance(address, IPv6Address):
        for outer in _PRIVATE6:
            if address in outer:
                return str(outer)
        for outer, right in _EMBEDDED4:
            if address in outer:
                inner = int(address) >> right & 0xFFFFFFFF
                return private_range(f"{inner >> 24}.{inner >> 16 & 255}.{inner >> 8 & 255}.{inner & 255}")
        return "" if address in _GLOBAL6 else f"outside {_GLOBAL6}"
    return next((str(network) for network in _PRIVATE4 if address in network), "")


class _Suffixes(Protocol):
    def is_public(self, domain: str) -> bool: ...


@cache
def _suffix_list() -> _Suffixes:
    from publicsuffixlist import PublicSuffixList  # half a megabyte that no look-up needs

    found: _Suffixes = PublicSuffixList()
    return found


def is_public_suffix(host: str) -> bool:
    """Say whether anyone may register names right below ``host`` (unknown top-level names count)."""
    return not is_address(host) and _suffix_list().is_public(host)
