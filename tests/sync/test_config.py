"""The configuration and the invitation: what a person writes, and what is told when it cannot be meant."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.repository import Repository
from vallum.config import Config, Source, load_config, parse_config
from vallum.errors import ConfigError, InputError
from vallum.invitation import (
    Invitation,
    format_invitation,
    parse_invitation,
    root_fingerprint,
    write_config,
)

SOURCE = """
[[source]]
name = "hotline"
url = "https://lists.example/repo/"
root = "hotline.root.json"
lists = ["urls", "hashes.match"]
"""


def load(folder: Path, text: str) -> Config:
    path = folder / "vallum.toml"
    path.write_text(text)
    return load_config(path)


def test_a_configuration(tmp_path: Path) -> None:
    config = load(tmp_path, f'state = "state"\n{SOURCE}timeout = 5\n[source.headers]\nX-Key = "1"\n')
    [source] = config.sources
    assert config.state == tmp_path / "state"
    assert source.url == "https://lists.example/repo"
    assert source.root == tmp_path / "hotline.root.json"
    assert source.streams == ("hashes.match", "urls.full")
    assert (source.timeout, source.headers) == (5, {"X-Key": "1"})


@pytest.mark.parametrize(
    ("url", "meant"),
    [("store", "{}/store"), ("/srv/store", "/srv/store"), ("file:///srv/a%20b", "/srv/a%20b")],
)
def test_a_folder_as_url(tmp_path: Path, url: str, meant: str) -> None:
    config = load(tmp_path, 'state = "s"\n' + SOURCE.replace("https://lists.example/repo/", url))
    assert config.sources[0].url == "file://" + meant.format(tmp_path)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("state = 1", "not TOML|no \\[\\[source\\]\\]", ""),
        ("state", "not TOML", ""),
        ('stat = "s"', "unknown key 'stat'", "did you mean 'state'"),
        (f"{SOURCE}", "state is missing", ""),
        (f'state = "s"\n{SOURCE}list = ["a"]', "source hotline: unknown key 'list'", "did you mean 'lists'"),
        (f'state = "s"\n{SOURCE}qqq = 1', "unknown key 'qqq'", "known keys"),
        (f'state = "s"\n{SOURCE}{SOURCE}', "two sources are named", ""),
        (f'state = "s"\n{SOURCE.replace("urls", "Urls")}', "not the name of a list", "lower-case"),
        (f'state = "s"\n{SOURCE.replace("hashes.match", "hashes.some")}', "no such edition", "match, full"),
        (f'state = "s"\n{SOURCE.replace("hashes", "urls")}', "two editions of one list", ""),
        (f'state = "s"\n{SOURCE.replace("hashes.match", "urls.full")}', "one list twice", ""),
        (f'state = "s"\n{SOURCE.replace("hotline", "../x")}', "cannot name a folder", ""),
        (f'state = "s"\n{SOURCE.replace("hotline", "lock")}', "cannot name a folder", ""),
        (f'state = "s"\n{SOURCE.replace("https:", "ftp:")}', "source hotline: url has the scheme", "file"),
        (f'state = "s"\n{SOURCE.replace("lists.example", "me:secret@lists.example")}', "user", "headers"),
        (f'state = "s"\n{SOURCE}timeout = true', "timeout is not a number", ""),
        (f'state = "s"\n{SOURCE}timeout = 0', "timeout is not a number", ""),
        (f'state = "s"\n{SOURCE}quota = {"9" * 5000}', "not TOML", "configuration.md"),
        (f'state = "s"\n{SOURCE}quota = 0x{"f" * 9000}', "quota is not a number", ""),
        (f'state = "s"\n{SOURCE}[source.floor]\nroot = 0x{"f" * 9000}', "floor.root is not a version", ""),
        (f'state = "s"\nx = {"[" * 20_000}', "not TOML", "configuration.md"),
        (f'state = "s"\n# {"x" * (1 << 20)}', "larger than 1048576 bytes", "right file"),
        (f'state = "s"\n{SOURCE}headers = {{ a = "x\\r\\ny" }}', "headers", ""),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, text: str, said: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        load(tmp_path, text)
    assert hint in raised.value.hint
    assert "vallum.toml" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as raised:
        load_config(tmp_path / "vallum.toml")
    assert "init" in raised.value.hint


def test_the_digest_covers_files(tmp_path: Path) -> None:
    """A changed root file, or any changed value, makes the next sync a full one."""
    config = load(tmp_path, f'state = "s"\n{SOURCE}')
    digests = {config.digest()}
    config.sources[0].root.write_text("one")
    digests.add(config.digest())
    config.sources[0].root.write_text("two")
    digests.add(config.digest())
    digests.add(replace(config, sources=(replace(config.sources[0], headers={"A": "b"}),)).digest())
    assert len(digests) == 4
    assert config.digest() == load_config(tmp_path / "vallum.toml").digest()


@pytest.fixture(scope="module")
def root() -> bytes:
    return Repository().first_root


def invitation(root: bytes) -> Invitation:
    return Invitation(
        "Hotline “Süd”", "Ann, +44 20 7946 0000", "https://lists.example/repo", ("urls.full",), root
    )


def test_from_invitation_to_configuration(tmp_path: Path, root: bytes) -> None:
    """One file makes a configuration; a second one adds a source to it."""
    invited = parse_invitation(format_invitation(invitation(root)))
    path = tmp_path / "etc" / "vallum.toml"
    config = write_config(path, invited, "hotline")
    assert config == load_config(path)
    assert config.sources[0].streams == ("urls.full",)
    assert root_fingerprint(config.sources[0].root_bytes()) == root_fingerprint(root)
    both = write_config(path, replace(invited, streams=("own.full",)), "own")
    assert [source.name for source in both.sources] == ["hotline", "own"]


def test_a_name_that_is_taken(tmp_path: Path, root: bytes) -> None:
    """Nothing is changed if the result would not be a configuration."""
    path = tmp_path / "vallum.toml"
    write_config(path, invitation(root), "hotline")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match="two sources"):
        write_config(path, invitation(root), "hotline")
    with pytest.raises(ConfigError, match="cannot name a folder"):
        write_config(path, invitation(root), "../hotline")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_another_root_is_never_overwritten(tmp_path: Path, root: bytes) -> None:
    (tmp_path / "hotline.root.json").write_text("precious")
    with pytest.raises(ConfigError, match="another root"):
        write_config(tmp_path / "vallum.toml", invitation(root), "hotline")
    assert not (tmp_path / "vallum.toml").exists()


def test_the_fingerprint_is_that_of_what_is_signed(root: bytes) -> None:
    """Layout and further signatures do not change it, any other root does; it can be read out."""
    raw = json.loads(root)
    spread = json.dumps(raw, indent=8).encode()
    assert root_fingerprint(spread) == root_fingerprint(root)
    assert root_fingerprint(Repository().first_root) != root_fingerprint(root)
    groups = root_fingerprint(root).split(" ")
    assert [len(group) for group in groups] == [4] * 16


@pytest.mark.parametrize("damage", ["expires", "sig", "kind", "garbage"])
def test_a_root_that_is_none(root: bytes, damage: str) -> None:
    raw = json.loads(root)
    match damage:
        case "expires":
            raw["signed"]["expires"] = "2099-01-01T00:00:00Z"
        case "sig":
            raw["signatures"] = []
        case "kind":
            raw = json.loads(Repository().objects["metadata/timestamp.json"])
        case "garbage":
            raw = {"a": [1]}
    with pytest.raises(InputError):
        root_fingerprint(json.dumps(raw).encode())
    data = json.loads(format_invitation(invitation(root)))
    data["root"] = raw
    with pytest.raises(InputError):
        parse_invitation(json.dumps(data).encode())


@pytest.mark.parametrize("missing", ["format", "publisher", "contact", "url", "lists", "root"])
def test_an_incomplete_invitation(root: bytes, missing: str) -> None:
    raw = json.loads(format_invitation(invitation(root)))
    del raw[missing]
    with pytest.raises(InputError):
        parse_invitation(json.dumps(raw).encode())


@given(st.binary(max_size=200))
def test_garbage_is_no_invitation(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_invitation(data)


@pytest.mark.parametrize("url", [
    "javascript:alert(1)", "data:text/html,x", "mailto:me@hotline.example", "JavaScript:x", "ftp://lists.example/",
    "https://", "https://lists.example:99999/", "https://lists .example/", "https://[::1/", "  ",
    "http:lists.example",
])  # fmt: skip
def test_an_invitation_to_nowhere(root: bytes, url: str, tmp_path: Path) -> None:
    """What no client could fetch from is refused before anything is written, with what would do."""
    invited = replace(invitation(root), url=url)
    with pytest.raises(ConfigError) as raised:
        write_config(tmp_path / "vallum.toml", invited, "hotline")
    assert raised.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "a\x00b", "a\x7fb"])
def test_an_invitation_cannot_write_into_the_configuration(root: bytes, text: str, tmp_path: Path) -> None:
    """Its texts stand in a comment and in strings of the file: they must not become keys of it."""
    raw = json.loads(format_invitation(invitation(root)))
    raw["publisher"] = text
    raw["contact"] = text
    try:
        invited = parse_invitation(json.dumps(raw).encode())
    except InputError:
        return
    config = write_config(tmp_path / "vallum.toml", invited, "hotline")
    assert len(config.sources) == 1


@pytest.mark.parametrize("key", ["hints", "proxy", "recipient", "timeout"])
def test_a_key_of_the_source_among_its_headers(tmp_path: Path, root: bytes, key: str) -> None:
    """Below ``[source.headers]`` TOML makes a header of it, which would be sent instead of heeded."""
    path = tmp_path / "vallum.toml"
    write_config(path, invitation(root), "hotline")
    text = path.read_text()
    path.write_text(text + '[source.headers]\nAuthorization = "Bearer x"\n' + f'{key} = "none"\n')
    with pytest.raises(
        ConfigError, match=f"line {len(text.splitlines()) + 3}: .*'{key}' stands among"
    ) as raised:
        load_config(path)
    assert "above [source.headers]" in raised.value.hint
    path.write_text(text + f'headers = {{ "{key}" = "none" }}\n')
    with pytest.raises(ConfigError, match=f"'{key}' stands among"):
        load_config(path)
    path.write_text(text + f'[source.headers]\n{key.title()} = "none"\n')
    assert load_config(path).sources[0].headers == {key.title(): "none"}


def test_the_reference_names_every_key() -> None:
    """docs/reference/configuration.md: its example loads, its tables name all keys and no other."""
    page = (Path(__file__).parents[2] / "docs/reference/configuration.md").read_text()
    text = page.partition("\n# The publisher's settings")[0]
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    parse_config(tomllib.loads(example), Path("vallum.toml"))
    keys = re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)
    assert set(keys) == {
        "state",
        "group_readable",
        "never_block",
        "allow",
        "after",
        "policy",
        *(field.name for field in fields(Source) if field.name != "streams"),
        "lists",
    }
