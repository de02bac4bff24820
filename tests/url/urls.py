"""Hypothesis strategies that draw URLs: plain, odd, hostile, and plain noise."""

from __future__ import annotations

from hypothesis import strategies as st

_ODD = [
    "%25",
    "%2e",
    "%2F",
    "%5c",
    "%00",
    "%09",
    "%0a",
    "%20",
    "%3F",
    "%23",
    "%80",
    "%E4%B8",
    "%",
    "%2",
    "%4",
    "1",
    "\\",
    "/",
    "//",
    "/./",
    "/../",
    "..",
    ".",
    "?",
    "#",
    "@",
    ":",
    ":80",
    ":99999",
    "[",
    "]",
    "[::1]",
    "[::ffff:1.2.3.4]",
    "::ffff:",
    "\t",
    "\n",
    "\r",
    " ",
    "\x00",
    "\x7f",
    "\u3002",
    "\uff0e",
    "\u00ad",
    "\u200d",
    "\uff41",
    "\uff05",
    "ß",
    "ü",
    "İ",
    "\u0131",
    "xn--",
    "xn--a",
    "xn--fa-hia",
    "0x7f",
    "0177",
    "127.1",
    "1",
    "256",
    "4294967295",
    "~",
    "\ud800",
    "\udcff",
    "\udc80",
    "\U0001f600",
    "\ufffd",
    "\ufeff",
    "a",
    "B",
    "example.com",
    "http:",
    "https://",
    "javascript:",
    "<",
    ">",
    '"',
    "|",
    "^",
    "*",
    "&",
    "=",
    "+",
    ";",
    "!",
]

_pieces = st.one_of(st.sampled_from(_ODD), st.text(max_size=3))

noise = st.one_of(st.text(max_size=40), st.lists(_pieces, max_size=12).map("".join))
"""Anything, mostly made of pieces that mean something to a URL parser."""

_scheme = st.sampled_from(
    ["http://", "https://", "HTTP://", "http:", "//", "", "ws://", "ftp://", "http:\\\\"]
)
_host = st.one_of(
    st.sampled_from(
        ["example.com", "a.b.c.example", "192.0.2.7", "[2001:db8::1]", "xn--fa-hia.example", "localhost"]
    ),
    st.lists(_pieces, min_size=1, max_size=5).map("".join),
)
_tail = st.lists(_pieces, max_size=8).map("".join)

urls = st.one_of(
    noise,
    st.tuples(_scheme, _host, st.sampled_from(["", "/", "/", "?", ":8080/"]), _tail).map("".join),
)
"""URLs and noise, together."""

raw_bytes = st.one_of(st.binary(max_size=40), urls.map(lambda text: text.encode("utf-8", "surrogatepass")))

_label = st.from_regex(r"[a-z0-9_-]{1,6}", fullmatch=True)
_segment = st.from_regex(r"[A-Za-z0-9._~!$&'()*+,;=:@-]{0,6}", fullmatch=True)
plain = st.builds(
    lambda scheme, host, path, query: f"{scheme}{'.'.join(host)}{path}{query}",
    st.sampled_from(["http://", "https://", ""]),
    st.lists(_label, min_size=1, max_size=4),
    st.lists(_segment, max_size=4).map(lambda segments: "".join(f"/{segment}" for segment in segments)),
    st.one_of(st.just(""), st.from_regex(r"\?[!-~]{0,8}", fullmatch=True)),
)
"""Everyday URLs: most take the shortcut, some just do not."""
