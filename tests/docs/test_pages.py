"""Pages and program agree: commands, options, names, errors, links."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import click
import pytest

import vallum
from tests.docs.pages import ROOT, blocks, links, pages
from tests.typed import PROGRAMS, typed
from vallum import errors
from vallum.cli import terminal
from vallum.config import parse_config
from vallum_publisher.workspace import parse_settings

REFERENCE = ROOT / "docs" / "reference"
WITH_PYTHON = ["docs/reference/python-api.md", "docs/how-to/platform.md"]

COMMANDS = runpy.run_path(str(ROOT / "docs" / "build_commands.py"))
EVERY = [found for name, program in PROGRAMS.items() for found in COMMANDS["walk"](program, name)]


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    page = (REFERENCE / "commands.md").read_text("utf-8")
    assert page == COMMANDS["build"](), "run: .venv/bin/python docs/build_commands.py"


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
def test_every_command_is_described_with_an_example(name: str, command: click.Command) -> None:
    page = (REFERENCE / "commands.md").read_text("utf-8")
    assert f"`{name}`" in page
    assert command.help
    assert "Examples:\n" in (command.epilog or ""), "every command's help ends with an example"
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]} has no help"
            assert all(f"`{each}`" in page for each in option.opts)
    program, _, below = name.partition(" ")
    assert re.search(rf"{program}( -C \S+)? {below}", command.epilog or ""), (
        "the example shows the command itself"
    )


@pytest.mark.parametrize(
    "name",
    [*(f"keys {each}" for each in ("rotate", "add", "remove", "threshold", "renew")), "list new-generation"],
)
def test_examples_that_need_the_root_keys_say_where_they_are(name: str) -> None:
    """They are offline, as `init` tells whoever founds a publisher: without that the example fails."""
    examples, _ = COMMANDS["_epilog"](dict(EVERY)[f"vallum-publisher {name}"])
    commands = "\n".join(examples).replace("\\\n", "").splitlines()
    assert commands
    assert all(command.count("--sign-with") == 2 for command in commands)


def test_every_setting_of_the_publisher_is_in_the_reference() -> None:
    page = (REFERENCE / "configuration.md").read_text("utf-8").partition("# The publisher's settings")[2]
    with pytest.raises(errors.ConfigError) as refused:
        parse_settings(Path("publisher.toml"), {"name": "Hotline", "no such": ""})
    names = refused.value.hint.removeprefix("settings: ").split(", ")
    assert "never_block" in names
    assert [name for name in names if not re.search(rf"^\| `\[?{name}\]?` \|", page, re.MULTILINE)] == []


def test_nobody_is_told_to_install_from_an_index_what_is_on_none() -> None:
    code = [path for folder in ("client", "publisher") for path in (ROOT / folder).rglob("*.py")]
    for path in [*pages(), *code]:
        assert not re.search(r"vallum(-publisher)?\[|pip install vallum", path.read_text("utf-8")), path


def test_every_command_knows_json_and_says_the_exit_codes_of_its_own() -> None:
    for name, command in EVERY:
        if not isinstance(command, click.Group):
            assert any("--json" in option.opts for option in command.params), name
            assert command.callback is not None
            returned = command.callback.__annotations__["return"]
            assert returned in ("int", "None"), name
            assert (returned == "int") == ("\nExit codes: " in (command.epilog or "")), name


def _commands() -> list[tuple[str, str]]:
    found = []
    for page in pages():
        for block in blocks(page):
            if block.language in ("sh", "console"):
                text = block.text.replace("\\\n", " ")
                for line in text.splitlines():
                    pieces = re.split(r"[|;]|&&", line.removeprefix("$ "))
                    shown = [piece.strip() for piece in pieces if re.match(r"\s*vallum(-publisher)? ", piece)]
                    found += [(str(page.relative_to(ROOT)), piece) for piece in shown]
    return found


@pytest.mark.parametrize(("where", "line"), _commands())
def test_every_command_that_a_page_shows_can_be_typed(where: str, line: str) -> None:
    words = shlex.split(re.split(r"[<>]", line)[0], comments=True)
    command: click.Command | None = PROGRAMS[words[0]]
    rest, context = words[1:], None
    with suppress(click.exceptions.Exit):  # --help, --version
        while command is not None:
            context = command.make_context(words[0], rest, parent=context)
            if not isinstance(command, click.Group):
                return
            rest = [*context._protected_args, *context.args]
            _, command, rest = command.resolve_command(context, rest)


def _settings() -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(ROOT)), block.text)
        for page in pages()
        for block in blocks(page)
        if block.language == "toml"
    ]


@pytest.mark.parametrize(("where", "text"), _settings())
def test_every_configuration_that_a_page_shows_is_whole_and_can_be_read(where: str, text: str) -> None:
    """A line without its table is of no use to whoever pastes it: the programs' own readers take each."""
    raw = tomllib.loads(text)
    if "source" in raw:
        assert parse_config(raw, Path(where)).sources
    else:
        assert parse_settings(Path(where), raw).name


def test_every_public_name_is_described() -> None:
    page = (REFERENCE / "python-api.md").read_text("utf-8")
    code = " ".join(re.findall(r"`([^`\n]+)`", page))
    assert [name for name in vallum.__all__ if not re.search(rf"\b{name}\b", code)] == []


def test_every_public_method_of_the_lists_is_described() -> None:
    page = (REFERENCE / "python-api.md").read_text("utf-8")
    methods = [name for name, value in vars(vallum.Lists).items() if callable(value) and name[0] != "_"]
    assert methods
    assert [name for name in methods if f"`{name}(" not in page] == []


def test_the_tree_of_errors_is_the_one_in_the_code() -> None:
    page = (REFERENCE / "errors.md").read_text("utf-8")
    assert errors.__doc__ is not None
    tree = re.search(r"^    VallumError\n(?:    .*\n)+", errors.__doc__, re.MULTILINE)
    assert tree is not None
    assert dedent(tree[0]) in page


def test_messages_that_people_run_into_are_the_programs() -> None:
    page = (REFERENCE / "errors.md").read_text("utf-8")
    told = re.findall(r"^\| `([^`]+)` \|", page.partition("## What people run into")[2], re.MULTILINE)
    assert len(told) > 10
    code = "".join(
        path.read_text("utf-8")
        for folder in ("client", "publisher")
        for path in (ROOT / folder).rglob("*.py")
    )
    for message in told:
        pieces = re.split(r"…|0/1 keys|utf-8", message)
        assert all(piece.strip() in code for piece in pieces if "signed by" not in piece), message


def test_every_exit_code_is_described() -> None:
    page = (REFERENCE / "errors.md").read_text("utf-8")
    for code in (terminal.OK, terminal.NO, terminal.USAGE, terminal.DATA, terminal.UNAVAILABLE):
        assert re.search(rf"^\| {code} \| ", page, re.MULTILINE)
    assert f"| {terminal.STOPPED}, {terminal.GONE} | " in page


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in pages()])
def test_every_link_leads_somewhere(page: str) -> None:
    for link in links(ROOT / page):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        there = (ROOT / page).parent / target if target else ROOT / page
        assert there.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in _anchors(there), f"{page}: {link}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_an_anchor_is_made_as_hosts_of_repositories_make_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# What `ingest` reads\n\n## 4.1 Labels, flags\n")
    assert _anchors(page) == {"what-ingest-reads", "41-labels-flags"}


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A provider's folder with lists in force: ``vallum.toml`` and ``state/``."""
    folder = tmp_path_factory.mktemp("followed")
    for command in (
        "vallum-publisher -C hotline init --name Hotline --public-url hotline/store",
        "vallum-publisher -C hotline list create urls --kind url --public",
        "vallum-publisher -C hotline publish",
        "vallum-publisher -C hotline invite --output invitation.json",
        "vallum init --invitation invitation.json",
        "vallum sync",
    ):
        result = typed(command.split(), folder)
        assert result.code == 0, result.mixed
    return folder


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python_examples_run(page: str, followed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(followed)
    examples = [block for block in blocks(ROOT / page) if block.language == "python"]
    assert examples
    for example in examples:
        names: dict[str, object] = {}
        exec(compile(example.text, page, "exec"), names)  # noqa: S102 - the page's own example
        lists = names.get("lists")
        if isinstance(lists, vallum.Lists):
            lists.close()


def test_every_python_example_is_run() -> None:
    played = ["README.md", "docs/tutorial/first-list.md", *WITH_PYTHON]
    for page in pages():
        if str(page.relative_to(ROOT)) not in played:
            assert [block for block in blocks(page) if block.language == "python"] == [], page


@pytest.mark.parametrize(
    ("command", "promise"),
    [
        ("vallum keygen", "encrypted lists"),
        ("vallum quarantine", "quarantine of absurd versions"),
        ("vallum export", "exports for DNS servers"),
        ("vallum serve", "the\ndaemon"),
        ("vallum-publisher approve", "approval by several people"),
        ("vallum-publisher keys", "key rotation by command"),
    ],
)
def test_the_readme_does_not_call_missing_what_is_there(command: str, promise: str) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    missing = re.search(r"^Not there yet.*?\n\n", text, re.MULTILINE | re.DOTALL)
    called_missing = missing is not None and promise in missing[0]
    assert called_missing != (command in dict(EVERY))


def test_no_page_names_a_machine() -> None:
    for page in pages():
        text = page.read_text("utf-8")
        assert not re.search(r"/(?:work|tmp|root|home)/\w", text), page
