"""The scenes of the runbooks: an encrypted list, a provider and a registry that follow it, and a loss.

``python -m tests.keys.runbooks`` writes what comes back today into the runbooks; read the difference before
you commit it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

from tests.docs.pages import ROOT, Step, Terminal, play, rewrite
from tests.keys.scenes import Thief
from tests.typed import Result, typed
from vallum.format.head import format_head
from vallum.format.limits import MAX_VERSION
from vallum.state import read_current
from vallum_publisher.release.metadata import head_of
from vallum_publisher.release.publisher import Publisher
from vallum_publisher.workspace import open_workspace

FOLDER = ROOT / "deploy/runbooks"
LISTED = "https://hidden.example/secret/1.html"
WANTED = "https://hidden.example/secret/2.html"
MACHINES = {"provider": "urls.match", "registry": "urls.full"}

HOTLINE = ("vallum-publisher", "-C", "hotline")


def found(folder: Path) -> None:
    """Make ``hotline/``, its root keys on ``stick/``, and two machines on which ``urls`` 1.1 is in force."""
    _do(folder, *HOTLINE, "init", "--name", "Example Hotline", "--contact", "+44 20 7946 0000",
        "--public-url", "../hotline/store")  # fmt: skip
    _do(folder, *HOTLINE, "list", "create", "urls", "--kind", "url")
    (folder / "list.txt").write_text(f"{LISTED}\n")
    _do(folder, *HOTLINE, "ingest", "urls", "list.txt")
    _do(folder, *HOTLINE, "publish")
    for name, stream in MACHINES.items():
        made = json.loads(_do(folder, "vallum", "keygen", f"{name}.key", "--suite", "x25519", "--json").out)
        (folder / f"{name}.txt").write_text(made["line"])
        _do(folder, *HOTLINE, "recipients", "add", stream, name, f"{name}.txt",
            "--fingerprint", made["fingerprint"])  # fmt: skip
        _do(folder, *HOTLINE, "invite", stream, "--output", f"{name}.json")
        _do(folder, "vallum", "-c", f"{name}/vallum.toml", "init", "--invitation", f"{name}.json",
            "--name", "hotline", "--recipient", f"{name}.key")  # fmt: skip
        _do(folder, "vallum", "-c", f"{name}/vallum.toml", "sync")
    (folder / "stick").mkdir()
    for number in (1, 2, 3):
        (folder / f"hotline/keys/root-{number}.pem").rename(folder / f"stick/root-{number}.pem")


def copy(template: Path, to: Path) -> None:
    """The same scene elsewhere: what names places is made to name the new ones."""
    shutil.copytree(template, to)
    for name in MACHINES:
        config = to / name / "vallum.toml"
        text = config.read_text().replace(template.as_uri(), to.as_uri()).replace(str(template), str(to))
        config.write_text(text)


def signer(path: Path) -> CryptoSigner:
    """A copy of a key file, as a thief has it."""
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return CryptoSigner(key)


@contextmanager
def publishing(folder: Path) -> Iterator[Publisher]:
    workspace = open_workspace(folder / "hotline")
    with workspace.open_catalog() as catalog:
        yield Publisher(workspace, catalog=catalog, store=workspace.open_store())


def steal_online_key(folder: Path) -> None:
    """A thief puts timestamp and snapshot at 10⁹ into the store."""
    with publishing(folder) as publisher:
        Thief(publisher, signer(folder / "hotline/keys/online.pem")).jump(10**9)


def steal_list_key(folder: Path) -> None:
    """A thief of list key and online key says that the largest version there is is the newest."""
    with publishing(folder) as publisher:
        tip = publisher.repository.tip()
        for stream in ("urls.full", "urls.match"):
            role = publisher.repository.list_role(tip, stream)
            said = head_of(stream, role)
            assert said is not None
            head = format_head(replace(said[0], version=MAX_VERSION))
            role.targets[f"{stream}/head"].unrecognized_fields["custom"] = {"vallum": head}
            thief = Thief(
                publisher,
                signer(folder / "hotline/keys/online.pem"),
                signer(folder / f"hotline/keys/{stream}-1.pem"),
            )
            thief.jump(publisher.repository.tip().number("snapshot") + 1000, {stream: role})


def lose_epoch_key(folder: Path) -> None:
    """The newest epoch key of urls.match is gone from the catalog."""
    _forget(folder, "epoch/urls.match/1/1")


def lose_pepper(folder: Path) -> None:
    """The vault key is lost, and with it every secret of the catalog."""
    (folder / "hotline/keys/vault.key").unlink()


def lose_one_root_key(folder: Path) -> None:
    """One of three sticks does not read any more."""
    (folder / "stick/root-3.pem").unlink()


def lose_two_root_keys(folder: Path) -> None:
    """Two of three do not."""
    for number in (2, 3):
        (folder / f"stick/root-{number}.pem").unlink()


def restore_catalog(folder: Path) -> None:
    """The catalog of yesterday, before 1.2 was published."""
    kept = folder / "yesterday.sqlite"
    with publishing(folder):
        shutil.copy(folder / "hotline/catalog.sqlite", kept)
    (folder / "more.txt").write_text(f"{WANTED}\n")
    _do(folder, *HOTLINE, "ingest", "urls", "more.txt", "--add")
    _do(folder, *HOTLINE, "publish")
    for name in MACHINES:
        _do(folder, "vallum", "-c", f"{name}/vallum.toml", "sync")
    shutil.copy(kept, folder / "hotline/catalog.sqlite")


LOSSES: dict[str, Callable[[Path], None]] = {
    "stolen-online-key": steal_online_key,
    "stolen-list-key": steal_list_key,
    "lost-epoch-key": lose_epoch_key,
    "lost-or-leaked-pepper": lose_pepper,
    "lost-root-key": lose_one_root_key,
    "lost-root": lose_two_root_keys,
    "restored-catalog": restore_catalog,
}
"""What has happened when a runbook is opened, by its name."""


def in_force(folder: Path, name: str) -> tuple[int, int]:
    """Generation and version in force on a machine."""
    state = read_current(folder / name / "state")
    head = state.sources["hotline"].streams[MACHINES[name]].head
    return head.generation, head.version


def steps(name: str, folder: Path) -> Iterator[tuple[Step, list[str]]]:
    """Play a runbook where its loss has happened."""
    yield from play(FOLDER / f"{name}.md", Terminal(folder))


def _forget(folder: Path, secret: str) -> None:
    from sqlalchemy import text

    with publishing(folder) as publisher, publisher.catalog._engine.begin() as connection:
        assert connection.execute(text("DELETE FROM secrets WHERE name = :n"), {"n": secret}).rowcount == 1


def _do(folder: Path, *words: str) -> Result:
    result = typed(words, folder)
    assert result.code == 0, f"{' '.join(words)}\n{result.mixed}"
    return result


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        template = Path(scratch, "template")
        template.mkdir()
        found(template)
        for page in sys.argv[1:] or LOSSES:
            copy(template, Path(scratch, page))
            LOSSES[page](Path(scratch, page))
            rewrite(FOLDER / f"{page}.md", Terminal(Path(scratch, page)))
