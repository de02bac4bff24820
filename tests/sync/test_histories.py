"""Whatever path a client takes through whatever history, ``sha256sum`` of its tables is the signed digest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.client import Client
from tests.fakes.repository import Repository, Span, ladder, listed
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


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, tuple[str, ...]]], list[set[int]], list[Span]]:
    """Contents by version, who syncs after which version, and more runs than the ladder has."""
    length = draw(st.integers(2, 10))
    versions = []
    for _ in range(length):
        content: dict[str, tuple[str, ...]] = listed("test.example/", labels=("test",))
        for form, scope, labels in draw(st.lists(ROW, max_size=8)):
            until = {Scope.HOST: "/", Scope.PATH_PREFIX: "?"}.get(scope)
            content |= listed(form.partition(until)[0] if until else form, scope=scope, labels=labels)
        versions.append(content)
    syncs = draw(st.lists(st.sets(st.integers(1, length)), min_size=1, max_size=3))
    pairs = st.tuples(st.integers(1, length), st.integers(1, length)).filter(lambda pair: pair[0] < pair[1])
    return versions, syncs, draw(st.lists(pairs, max_size=4))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_every_path_leads_to_the_signed_state(
    history: tuple[list[dict[str, tuple[str, ...]]], list[set[int]], list[Span]],
) -> None:
    versions, syncs, extra = history
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository()
        repository.create("urls")
        clients = [Client(repository, Path(folder, str(number))) for number in range(len(syncs))]
        for version, content in enumerate(versions, 1):
            spans = {*ladder(version), *(span for span in extra if span[1] <= version)}
            repository.lists["urls"].spans = sorted(spans)
            head = repository.release("urls", content)
            for client, moments in zip(clients, syncs, strict=True):
                if version in moments or version == len(versions):
                    # Client.synced asserts the SHA-256 of each file in force against its head.
                    assert client.synced().warning is None
                    assert client.in_force() == {"hotline/urls.full": (1, version, head.state)}
