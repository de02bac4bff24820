"""Each fuzz target for a second, with the same inputs each time; for longer: ``python -m tests.fuzz.run``."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.fakes.client import Client
from tests.fakes.repository import Repository, listed
from tests.fuzz.run import Outcome, execute, fuzz
from tests.fuzz.target import MIB, Target
from tests.fuzz.targets import TARGETS
from vallum.config import load_config
from vallum.errors import FormatError, TrustError
from vallum.format import limits
from vallum.format.run import parse_header

EXECUTIONS = {"metadata": 40, "invitation": 200, "configuration": 400}
DEFAULT = 800


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_our_errors_comes_out(name: str, tmp_path: Path) -> None:
    """Of valid inputs that were changed; what is taken has one spelling, and no more memory than declared."""
    most = EXECUTIONS.get(name, DEFAULT)
    rng = Random(name)  # noqa: S311 - the same inputs each time
    outcome = fuzz(TARGETS[name](tmp_path), rng, lambda so_far: so_far.executions < most)
    assert outcome.finds == {}
    assert outcome.refused > most // 2, "the mutations hurt nothing"
    assert outcome.executions - outcome.refused > most // 100, "the mutations never reach deep"


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_a_find_is_found(tmp_path: Path, traced: None) -> None:
    """The checks themselves: a foreign error and a hoard are finds, one of ours is none."""

    def read(data: bytes) -> None:
        match data:
            case b"refused":
                raise FormatError("fuzz", "refused")
            case b"foreign":
                raise KeyError(data)
            case b"hoard":
                bytearray(4 * MIB)

    target = Target((b"good",), read, lambda data, _rng, _others: data, lambda _data: MIB)
    outcome = Outcome()
    for data in (b"good", b"refused", b"foreign", b"hoard"):
        execute(target, data, outcome)
    assert sorted(outcome.finds.values()) == [b"foreign", b"hoard"]
    assert outcome.refused == 1


def test_found_a_configuration_that_set_64_mib_aside(tmp_path: Path, traced: None) -> None:
    """Python's ``read(n)`` allocates n bytes first; every poll did so, to hash the root file."""
    target = TARGETS["configuration"](tmp_path)
    (tmp_path / "vallum.toml").write_bytes(target.seeds[0])
    (tmp_path / "hotline.root.json").write_bytes(b"{}")
    config = load_config(tmp_path / "vallum.toml")
    tracemalloc.reset_peak()
    config.digest()
    assert tracemalloc.get_traced_memory()[1] < 4 * MIB


def test_found_a_role_that_names_a_key_that_is_not_there(tmp_path: Path) -> None:
    """python-tuf passes over it; reading the keys' values was an unforeseen KeyError."""
    repository = Repository()
    repository.create("urls")
    repository.release("urls", listed("bad.example/a"))
    client = Client(repository, tmp_path)
    client.synced()
    delegations = repository.targets.signed.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles["urls.full"].keyids.append("0" * 64)
    repository.publish()
    assert "not there" in str(client.refused(TrustError))


def test_found_half_a_character_in_an_allowance(tmp_path: Path) -> None:
    """JSON can say half of a character, UTF-8 cannot: a UnicodeEncodeError for every reader."""
    target = TARGETS["allowances"](tmp_path)
    with pytest.raises(FormatError):
        target.read(target.seeds[0].replace(b"good.example/a", b"\\ud800"))


def test_the_largest_declared_size_is_no_promise(tmp_path: Path, traced: None) -> None:
    """A run that declares two gigabytes and holds a hundred bytes costs what it holds."""
    target = TARGETS["run"](tmp_path)
    head, *_ = target.seeds
    header, at = parse_header(head)
    tracemalloc.reset_peak()
    with pytest.raises(FormatError):
        target.read(replace(header, raw_max=limits.RAW).format() + head[at:])
    assert tracemalloc.get_traced_memory()[1] < 4 * MIB
