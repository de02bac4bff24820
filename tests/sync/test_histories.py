"""Whatever path a client takes through whatever history, ``sha256sum`` of its tables is the signed digest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.client import Client
from tests.fakes.history import Span, ladder
from tests.fakes.repository import Repository, listed
from vallum.expression import Scope

# Few forms and labels, so that keys flap: they come, go, change labels and come again.
FORMS = ("a.example/1", "a.example/2", "a.example/1?q", "b.example/p", "c.example/x/y", "d.b.example/p")
ROW = st.tuples(
    st.sampled_from(FORMS),
    st.sampled_from((Scope.URL, Scope.PATH_PREFIX, Scope.HOST)),
    st.sampled_from((("test",), ("uk-sap:1:A",), ("ai_generated", "uk-sap:1:B"))),
)


@pytest.fixture(autouse=True, scope="module")
def _hurried_disk() -> Iterator[None]:
    """Thousands of files that nobody will miss: what survives a crash is not the question here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


DIGESTS = (*(f"sha256|{n:02x}" + "00" * 31 for n in range(4)), f"md5|{'0a' * 16}", f"sha1|{'0b' * 20}")
LABELS: st.SearchStrategy[tuple[str, ...]] = st.sampled_from((("test",), ("ncmec:1:A1",), ("ai_generated",)))

Content = dict[str, tuple[str, ...]]


@dataclass
class History:
    """Contents of a URL and a hash list by version, who syncs after which, and runs beyond the ladder's."""

    urls: list[Content]
    hashes: list[Content]
    syncs: list[set[int]]
    extra: list[Span]


@st.composite
def histories(draw: st.DrawFn) -> History:
    length = draw(st.integers(2, 10))
    urls: list[Content] = []
    for _ in range(length):
        content = listed("test.example/", labels=("test",))
        for form, scope, labels in draw(st.lists(ROW, max_size=8)):
            until = {Scope.HOST: "/", Scope.PATH_PREFIX: "?"}.get(scope)
            content |= listed(form.partition(until)[0] if until else form, scope=scope, labels=labels)
        urls.append(content)
    hashes = draw(
        st.lists(
            st.dictionaries(st.sampled_from(DIGESTS), LABELS, min_size=1), min_size=length, max_size=length
        )
    )
    syncs = draw(st.lists(st.sets(st.integers(1, length)), min_size=1, max_size=3))
    pairs = st.tuples(st.integers(1, length), st.integers(1, length)).filter(lambda pair: pair[0] < pair[1])
    return History(urls, hashes, syncs, draw(st.lists(pairs, max_size=4)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_every_path_leads_to_the_signed_state(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository()
        repository.create("urls")
        repository.create("hashes", kind="hash")
        clients = [Client(repository, Path(folder, str(number))) for number in range(len(history.syncs))]
        last = len(history.urls)
        for version, (urls, hashes) in enumerate(zip(history.urls, history.hashes, strict=True), 1):
            spans = sorted({*ladder(version), *(span for span in history.extra if span[1] <= version)})
            heads = {}
            for name, content in (("urls", urls), ("hashes", hashes)):
                repository.lists[name].spans = spans
                heads[name] = repository.release(name, content)
            for client, moments in zip(clients, history.syncs, strict=True):
                if version in moments or version == last:
                    # Client asserts the SHA-256 of each file in force against its head.
                    report = client.sync()
                    assert report.ok, report.errors()
                    assert all(stream.warning is None for stream in report.sources[0].streams)
                    assert client.in_force() == {
                        f"hotline/{name}.full": (1, version, head.state) for name, head in heads.items()
                    }
