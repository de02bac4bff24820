"""A whole life of a publisher and its clients, typed as commands, with whatever goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.leaks.secrets import Secrets
from tests.typed import typed
from vallum.expression import DIGEST_TAGS, URL_TAGS, Keyer, Scope
from vallum_publisher.workspace import open_workspace

DESK = ("vallum-publisher", "-C", "hotline")
CLIENTS = {name: ("vallum", "-c", f"{name}/vallum.toml") for name in ("match", "full", "stranger")}
URLS = [f"https://zqhost{at}.example/zqpath-{at}/page.html" for at in range(420)]
DIGESTS = [sha256(b"picture %d" % at).hexdigest() for at in range(60)]
REJECTED = [
    "https:///nowhere-zqhost/zqpath-rejected",
    "https://zqhost-rejected.example:99999999/zqpath-rejected",
    "zqhost rejected.example/zqpath-rejected",
    "https://10.20.30.40/zqpath-private",
    "https://zqhost-long.example/zqpath-" + "x" * 5000,
]


@dataclass
class Life:
    """What was typed and what it said: exit code and both outputs."""

    folder: Path
    said: list[tuple[str, int, str]] = field(default_factory=list)

    def type(self, *words: str, code: int | tuple[int, ...] = 0, keep: bool = True) -> str:
        """Type a command, which must end so; ``keep`` counts what it said among the evidence."""
        result = typed(words, self.folder)
        codes = code if isinstance(code, tuple) else (code,)
        assert result.code in codes, f"{words}: {result.mixed}"
        self.said.append((" ".join(words[2:4]), result.code, result.mixed if keep else result.err))
        return result.out

    def write(self, name: str, lines: Sequence[str]) -> None:
        """Write an input file, of those where listed values belong."""
        (self.folder / "inputs").mkdir(exist_ok=True)
        (self.folder / "inputs" / name).write_text("\n".join(lines) + "\n")

    def secrets(self) -> Secrets:
        """Everything that must not be found, read from the catalog and the clients when all is over."""
        secrets = Secrets()
        secrets.add_words("zqhost", "zqpath-", "nowhere-zqhost")
        workspace = open_workspace(self.folder / "hotline")
        with workspace.open_catalog() as catalog:
            custody = workspace.custody(catalog)
            vault = workspace.open_vault()
            for name in ("urls", "hashes"):
                info = catalog.get_list(name)
                pepper = custody.pepper(info)
                secrets.add_value(f"pepper of {name}", pepper)
                keyer = Keyer(pepper, info.host_bits)
                for row in list(catalog.listed_rows(name, "exact"))[::10]:
                    if row.value[0] in (URL_TAGS[Scope.URL].code, DIGEST_TAGS["sha256"].code):
                        secrets.add_value(f"a row's key of {name}", row.key)
                assert keyer.digest_key("sha256", bytes(32))
                for stream in (f"{name}.full", f"{name}.match"):
                    for one in catalog.epochs(stream):
                        label = f"epoch/{stream}/{one.generation}/{one.number}"
                        secrets.add_value(label, vault.open(label, catalog.get_secrets([label])[label]))
            for recipient in catalog.recipients():
                secrets.add_value(f"seed of {recipient.name}", custody.seed(recipient))
        for digest in DIGESTS[::4]:
            secrets.add_value("a digest", bytes.fromhex(digest))
        for key in _key_files(self.folder):
            secrets.add_value(f"private key in {key.name}", _private(key))
        return secrets


def _key_files(folder: Path) -> Iterator[Path]:
    yield from folder.glob("*.key")
    yield from folder.glob("hotline/keys/*.key")


def _private(path: Path) -> bytes:
    from base64 import b64decode

    return b64decode(path.read_text().splitlines()[-1].split(" ")[-1])


def found(life: Life) -> None:
    """Found, fill and publish two encrypted lists; some of the input is refused."""
    life.type(*DESK, "init", "--name", "Hotline", "--public-url", "../hotline/store")
    for name, kind in (("urls", "url"), ("hashes", "hash")):
        life.type(*DESK, "list", "create", name, "--kind", kind)
    life.write("urls.txt", URLS)
    life.write("hashes.txt", DIGESTS)
    life.write("bad-urls.txt", [*URLS[:3], *REJECTED])
    life.write("bad-hashes.txt", [*DIGESTS[:2], DIGESTS[2][:-1], DIGESTS[3] + "00", "zz" + DIGESTS[4][2:]])
    life.write("bad.csv", ["Address,Grade", f'"{URLS[0]}', f"{URLS[1]},,,"])
    life.write("bad.jsonl", ['{"url": "' + URLS[0] + '"', '{"url": 7}', '{"what": "' + URLS[1] + '"}'])
    for file in ("bad-urls.txt", "bad.csv", "bad.jsonl"):
        life.type(*DESK, "ingest", "urls", f"inputs/{file}", code=2)
    life.type(*DESK, "ingest", "hashes", "inputs/bad-hashes.txt", code=2)
    life.type(*DESK, "ingest", "hashes", "inputs/urls.txt", code=2)
    life.type(*DESK, "ingest", "urls", "inputs/urls.txt")
    life.type(*DESK, "ingest", "hashes", "inputs/hashes.txt")
    for name in ("urls", "hashes"):
        life.type(*DESK, "diff", name, "--json")
        life.type(*DESK, "diff", name)
    life.type(*DESK, "publish")


def admit(life: Life) -> None:
    """Three clients with keys; two of them are let in, one list of one is revoked later."""
    for name, client in CLIENTS.items():
        said = json.loads(life.type("vallum", "keygen", f"{name}.key", "--suite", "x25519", "--json"))
        (life.folder / f"{name}.line").write_text(said["line"])
        streams = [f"{one}.{'match' if name == 'match' else 'full'}" for one in ("urls", "hashes")]
        life.type(*DESK, "invite", *streams, "--output", "invitation.json")
        start = ["init", "--invitation", "invitation.json", "--name", "hotline", "--recipient", f"{name}.key"]
        life.type(*client, *start)
        life.type(*client, "sync", code=5)
        for stream in streams if name != "stranger" else ():
            add = ["recipients", "add", stream, name, f"{name}.line", "--fingerprint", said["fingerprint"]]
            life.type(*DESK, *add)
    life.type(*DESK, "recipients", "list")


def use(life: Life) -> None:
    """Everything that a provider asks."""
    for name in ("match", "full"):
        client = CLIENTS[name]
        life.type(*client, "sync")
        life.type(*client, "sync", "--json")
        life.type(*client, "check", URLS[5])
        life.type(*client, "check", URLS[6], "--json")
        life.type(*client, "check", "--digest", f"sha256:{DIGESTS[7]}", "--json")
        life.type(*client, "check", "--digest", DIGESTS[8][:-2], code=2)
        life.type(*client, "check", REJECTED[0], REJECTED[3], code=(1, 2))
        # Shows how the URL was read that was just typed, to whoever typed it, and nobody else.
        life.type(*client, "check", "--explain", URLS[5], keep=False)
        metrics = ["status", "--metrics", "metrics.prom"]
        for words in (
            ["status"],
            ["status", "--json"],
            metrics,
            ["verify"],
            ["doctor"],
            ["doctor", "--json"],
        ):
            life.type(*client, *words, code=(0, 1))
        allow = ["allow", "add", URLS[9], "--until", "3d", "--reason", "a court said so"]
        life.type(*client, *allow, keep=False)
        life.type(*client, "check", URLS[9], code=(0, 1))


def change(life: Life) -> None:
    """More versions, renewals, new keys, a revocation; and a list that a client puts into quarantine."""
    life.write("urls.txt", URLS[4:])
    life.type(*DESK, "ingest", "urls", "inputs/urls.txt")
    life.type(*DESK, "publish", "--json")
    life.type(*DESK, "recipients", "rotate", "urls")
    life.type(*DESK, "recipients", "revoke", "hashes.full", "full")
    for words in (["refresh"], ["status"], ["status", "--json"], ["verify"], ["verify", "--json"], ["gc"]):
        life.type(*DESK, *words, code=(0, 1))
    life.type(*CLIENTS["match"], "sync")
    life.type(*CLIENTS["full"], "sync", code=5)
    life.write("one.txt", URLS[:1])
    life.type(*DESK, "ingest", "urls", "inputs/one.txt")
    life.type(*DESK, "publish", "urls", code=3)  # too many rows would go: nothing is signed
    life.write("urls.txt", [*URLS[4:], "zqhost-wide.example"])
    life.type(*DESK, "ingest", "urls", "inputs/urls.txt", "--bare-host", "host")
    life.type(*DESK, "publish", "urls")
    never = life.folder / "inputs" / "never.txt"
    never.write_text("zqhost-wide.example\n")
    for name in ("match", "full"):
        client, config = CLIENTS[name], life.folder / name / "vallum.toml"
        config.write_text(f'never_block = "{never}"\n' + config.read_text())
        life.type(*client, "sync", code=(3, 5))
        life.type(*client, "quarantine", "list", code=1)
        version = json.loads(life.type(*client, "quarantine", "list", "--json", code=1))[0]["name"]
        life.type(*client, "quarantine", "show", "urls")
        why = ["urls", version, "--reason", "a look"]
        life.type(*client, "quarantine", "accept", *why, code=3)  # no accepting lifts the never-block list
        life.type(*client, "quarantine", "reject", *why)
        for words in (["status"], ["status", "--json"], ["doctor"]):
            life.type(*client, *words, code=(0, 1, 3, 4))


def fail(life: Life) -> None:
    """What a hostile or broken store and disk do."""
    store, client = life.folder / "hotline" / "store", CLIENTS["match"]
    life.write("urls.txt", URLS[8:])
    life.type(*DESK, "ingest", "urls", "inputs/urls.txt")
    life.type(*DESK, "publish")
    runs = sorted(store.glob("targets/urls.match/*.run"))
    wraps = sorted(store.glob("wraps/*"))
    kept = {path: path.read_bytes() for path in [*runs, *wraps, store / "metadata" / "timestamp.json"]}
    for path in runs:
        path.write_bytes(kept[path][:-1] + bytes((kept[path][-1] ^ 1,)))
    life.type(*client, "sync", code=(3, 4))
    life.type(*DESK, "verify", code=(3, 4))
    for path in runs:
        path.unlink()
    life.type(*client, "sync", code=(3, 4))
    for path in runs:
        path.write_bytes(kept[path])
    (store / "metadata" / "timestamp.json").write_bytes(b'{"signed":"' + URLS[0].encode() + b'"}')
    life.type(*client, "sync", "--json", code=(3, 4))
    life.type(*client, "status", code=(0, 1, 3))
    (store / "metadata" / "timestamp.json").write_bytes(kept[store / "metadata" / "timestamp.json"])
    for path in wraps:
        path.write_bytes(b"x" * 2048)
    for path in (life.folder / "match" / "state" / "hotline" / "keys").glob("*.epoch"):
        path.write_bytes(b"damaged")
    life.type(*client, "sync", code=(3, 4))
    for path in wraps:
        path.write_bytes(kept[path])
    for table in (life.folder / "match" / "state" / "hotline" / "lists").rglob("*.exact"):
        data = bytearray(table.read_bytes())
        data[len(data) // 2] ^= 1
        table.write_bytes(data)
    life.type(*client, "check", URLS[20], code=(0, 1, 2))
    life.type(*client, "doctor", code=(0, 1, 4))
    life.type(*client, "sync", code=(0, 3))
    life.type(*client, "quarantine", "list", code=(0, 1))
