"""Runs that are damaged, misnamed, or lead elsewhere; each docstring is the attack.

Each test asserts the error *and* what is in force afterwards: by ``Client.refused`` that nothing changed.
"""

from __future__ import annotations

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from vallum.errors import DataError, FormatError, StateError
from vallum.format import limits
from vallum.sync.fetch import AbsentError


def test_a_run_that_is_signed_as_huge(repository: Repository, client: Client) -> None:
    """A stolen list key lists a run larger than any: it is not used, another way is found."""
    repository.release("urls", listed("bad.example/c"))
    role = repository.roles["urls.full"].signed
    [path] = [name for name in role.targets if name.endswith("-1-2.run")]
    role.targets[path].length = limits.RUN + 1
    repository.lists["urls"].spans = None
    repository.publish()
    assert "no listed run" in str(client.refused(StateError))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "absent"])
def test_a_damaged_run_is_made_good_by_a_base(repository: Repository, client: Client, damage: str) -> None:
    """One run is damaged in the store: the base leads to the same state, and the report warns."""
    content = listed(*(f"bad.example/{number:03}" for number in range(50)))
    repository.release("urls", content)
    client.synced()
    repository.lists["urls"].spans = [(0, 3), (2, 3)]
    repository.release("urls", {**content, **listed("bad.example/c")})
    name = repository.run_name("urls", 2, 3)
    if damage == "absent":
        del repository.objects[name]
    elif damage == "flipped":
        repository.flip(name)
    else:
        repository.objects[name] = repository.objects[name][:-1]
    report = client.synced()
    assert (report.path, report.after) == (((0, 3),), 3)
    assert type(report.warning) is (AbsentError if damage == "absent" else DataError)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "absent"])
def test_damaged_runs(repository: Repository, client: Client, damage: str) -> None:
    """Step and base are damaged: both ways are tried once, then the old list stays."""
    repository.lists["urls"].spans = [(0, 2), (1, 2)]
    repository.release("urls", listed("bad.example/a", "bad.example/b", "bad.example/c"))
    for start in (0, 1):
        name = repository.run_name("urls", start, 2)
        if damage == "absent":
            del repository.objects[name]
        elif damage == "flipped":
            repository.flip(name)
        else:
            repository.objects[name] = repository.objects[name][:-1]
    client.refused(AbsentError if damage == "absent" else DataError)
    assert {name for name in repository.requests if name.endswith(".run")} == {
        repository.run_name("urls", start, 2) for start in (0, 1)
    }
    assert not any("staging" in name for name in client.files())


def test_a_signed_run_of_another_name(repository: Repository, client: Client) -> None:
    """A run is signed under the name of another one: what the name says and what it is must agree."""
    repository.lists["urls"].spans = [(1, 2)]
    repository.release("urls", listed("bad.example/c"))
    repository.lists["urls"].runs[1, 2, 3] = repository.lists["urls"].runs[1, 1, 2]
    repository.lists["urls"].spans = [(2, 3)]
    repository.release("urls", listed("bad.example/c", "bad.example/d"))
    repository.lists["urls"].spans = [(1, 2), (2, 3)]
    repository.renew("urls")
    assert "name" in str(client.refused(StateError))


def test_a_signed_run_that_leads_elsewhere(repository: Repository, client: Client) -> None:
    """Validly signed runs lead to another table than the head signs: nothing of it comes into force."""
    history = repository.lists["urls"]
    history.spans = [(1, 2)]
    history.versions.append(listed("bad.example/wrong"))
    repository.run("urls", 1, 2)
    history.versions.pop()
    repository.release("urls", listed("bad.example/right"))
    assert "not the signed one" in str(client.refused(StateError))


def test_a_wrong_run_is_made_good_by_a_base(repository: Repository, client: Client) -> None:
    """The publisher's step is wrong, his base is right: the base is taken, and the report warns."""
    history = repository.lists["urls"]
    history.spans = [(0, 2), (1, 2)]
    content = listed(*(f"bad.example/{n:03}" for n in range(50)))
    history.versions.append(listed("bad.example/wrong"))
    repository.run("urls", 1, 2)
    history.versions.pop()
    repository.release("urls", content)
    report = client.synced()
    assert report.path == ((0, 2),)
    assert isinstance(report.warning, StateError)


def test_a_signed_run_that_is_no_run(repository: Repository, client: Client) -> None:
    """A list's keys sign garbage as a run: the decoder refuses it."""
    history = repository.lists["urls"]
    history.spans = [(1, 2)]
    history.runs[1, 1, 2] = b"not a run"
    repository.release("urls", listed("bad.example/c"))
    client.refused(FormatError)
