"""Look-ups per second on one core beside peers, in the same run, and private memory per process.

    python benchmarks/lookups.py [--entries 1000,100000,1000000] [--edition full] [--seconds 2]

Peers: parsing alone (``ada_url.URL``), a set of parsed and written-out URLs, ``adblock``'s engine and
``threatexchange``'s URL index; the last two where they are installed (dependency group ``bench``). All see
the same URLs, in turns of a few milliseconds of processor time (shorter ones would measure how caches fill),
and the best run of each turn counts: on a shared machine the rest measures the neighbours. The set,
``adblock`` and ``threatexchange`` know fewer scopes; they are given what they can express.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ada_url import URL

import vallum

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the makers of states that tests use
from tests.match.states import Entry, url_table, write_state
from vallum.expression import Scope, propose_host_bits

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENDINGS = ("com", "net", "org", "de", "co.uk", "example")
POPULAR_HOSTS = 100_000
TURN = 2_000
"""URLs in one turn."""
DRAWN = 200_000
"""URLs of one kind of traffic. Their hosts are many times more than a process remembers: those that should be
new are not remembered from the round before."""
HITS = 20_000
"""Among as many that are not listed."""
MEMORY_LOOK_UPS = 100_000
"""Enough to fill what a process remembers of clean hosts."""


@dataclass(frozen=True)
class Traffic:
    """One kind of traffic, and what of it is listed."""

    name: str
    urls: list[str]
    goal: float | None


def word(rng: random.Random) -> str:
    return "".join(rng.choices(LETTERS, k=rng.randint(5, 12)))


def benign_host(rng: random.Random) -> str:
    """A registered name; every third with www. before it."""
    return f"{'www.' if rng.random() < 1 / 3 else ''}{word(rng)}.{rng.choice(ENDINGS)}"


def page(rng: random.Random, host: str) -> str:
    return f"https://{host}/{word(rng)}/{word(rng)}.html" + (
        f"?id={rng.randrange(999)}" if rng.random() < 0.5 else ""
    )


def listed(rng: random.Random, scope: Scope) -> tuple[Entry, str]:
    """An entry, and a URL to which it applies."""
    host = f"{word(rng)}{word(rng)}.{rng.choice(ENDINGS)}"
    path = f"/{word(rng)}/{word(rng)}"
    labels = (rng.choice(["uk-sap:1:A", "uk-sap:1:B", "uk-sap:1:C"]),)
    match scope:
        case Scope.URL:
            form = f"{host}{path}?id={rng.randrange(999)}"
            return (scope, form, labels), f"https://{form}"
        case Scope.URL_ANY_QUERY:
            return (scope, host + path, labels), f"https://{host}{path}?{word(rng)}"
        case Scope.PATH_PREFIX:
            return (scope, host + path, labels), f"https://{host}{path}/{word(rng)}.jpg"
        case Scope.HOST:
            return (scope, host, labels), f"https://{host}{path}"
        case Scope.DOMAIN:
            return (scope, host, labels), f"https://img.{host}{path}"


def traffics(rng: random.Random, hits: list[str]) -> list[Traffic]:
    popular = [benign_host(rng) for _ in range(POPULAR_HOSTS)]
    weights = [1 / rank for rank in range(1, POPULAR_HOSTS + 1)]
    zipf = [page(rng, host) for host in rng.choices(popular, weights, k=DRAWN)]
    uniform = [page(rng, benign_host(rng)) for _ in range(DRAWN)]
    half = [url for pair in zip(uniform, hits, strict=False) for url in pair]
    return [
        Traffic("a zipf", zipf, 2.0),
        Traffic("b uniform", uniform, 1.3),
        Traffic("c half hits", half, 0.35),
    ]


def adblock_peer(entries: list[Entry]) -> Callable[[str], object] | None:
    try:
        import adblock
    except ImportError:
        return None
    rules = adblock.FilterSet()
    rules.add_filters(
        [f"||{form}^" if scope in (Scope.HOST, Scope.DOMAIN) else f"||{form}" for scope, form, _ in entries]
    )
    engine = adblock.Engine(rules)
    return lambda url: engine.check_network_urls(url, "https://page.invalid/", "document").matched


def threatexchange_peer(entries: list[Entry]) -> Callable[[str], object] | None:
    try:
        from threatexchange.signal_type.url import URLSignal
    except ImportError:
        return None
    index = URLSignal.get_index_cls().build(
        [(f"https://{form}", number) for number, (_, form, _) in enumerate(entries)]
    )
    return lambda url: index.query(url)


def peers(
    entries: list[Entry], lists: vallum.Lists, other: vallum.Lists
) -> dict[str, Callable[[list[str]], int]]:
    """Each takes a turn's URLs, looks them up one by one, and returns how many hit.

    The same lists are opened twice, so that one way to ask does not profit from what the other has cached.
    """
    known = {URL(f"https://{form}").href for _, form, _ in entries}

    def each(look_up: Callable[[str], object]) -> Callable[[list[str]], int]:
        def turn(urls: list[str]) -> int:
            hits = 0
            for url in urls:
                if look_up(url):
                    hits += 1
            return hits

        return turn

    def batch(urls: list[str]) -> int:
        hits = 0
        for found in lists.match_urls(urls):
            if found:
                hits += 1
        return hits

    found: dict[str, Callable[[list[str]], int]] = {
        "parse alone": each(URL),
        "vallum match_urls": batch,
        "vallum match_url": each(other.match_url),
        "set of parsed": each(lambda url: URL(url).href in known),
    }
    for name, look_up in (
        ("adblock", adblock_peer(entries)),
        ("threatexchange", threatexchange_peer(entries)),
    ):
        if look_up:
            found[name] = each(look_up)
    return found


def rates(traffic: Traffic, peers: dict[str, Callable[[list[str]], int]], seconds: float) -> dict[str, float]:
    """Look-ups per second of each peer.

    Every turn's URLs are new to caches as often as the traffic says: turns go through all of them in order.
    A peer's time for the traffic is the sum over its turns of the best time that each turn took.
    """
    turns = [traffic.urls[at : at + TURN] for at in range(0, len(traffic.urls), TURN)]
    best = {name: [float("inf")] * len(turns) for name in peers}
    end = time.process_time() + seconds * len(peers)
    rounds = 0
    while rounds < 2 or time.process_time() < end:
        for number, urls in enumerate(turns):
            for name, look_up in peers.items():
                begun = time.process_time()
                look_up(urls)
                best[name][number] = min(best[name][number], time.process_time() - begun)
        rounds += 1
    return {name: len(traffic.urls) / sum(times) for name, times in best.items()}


def private_bytes() -> int:
    """Memory of this process that it shares with no other (Linux)."""
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024


def memory_child(state: str, seed: str) -> None:
    """Print private bytes before opening and after many look-ups; wait in between for the others."""
    _ = vallum.Lists, vallum.canonicalize("https://example.com/")
    before = private_bytes()
    lists = vallum.open(state)
    rng = random.Random(seed)
    for _ in range(MEMORY_LOOK_UPS):
        lists.match_url(page(rng, benign_host(rng)))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(private_bytes() - before), flush=True)


def memory(state: Path, processes: int) -> Iterator[int]:
    command = [sys.executable, __file__, "--memory-child", str(state)]
    children = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    for child in children:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
    for child in children:
        out, _ = child.communicate("\n")
        yield int(out)


def measure(count: int, edition: str, seconds: float, folder: Path) -> dict[str, float]:
    rng = random.Random(count)
    scopes = tuple(Scope)
    made = [listed(rng, scopes[number % len(scopes)]) for number in range(count)]
    entries = [entry for entry, _ in made]
    hits = (
        [url for _, url in rng.choices(made, k=HITS)] if count < 2 * HITS else [url for _, url in made[:HITS]]
    )
    table = url_table(entries, host_bits=propose_host_bits(count), edition=edition)
    write_state(folder, {"urls": table})
    begun = time.perf_counter()
    lists = vallum.open(folder)
    opened = time.perf_counter() - begun
    assert all(lists.match_urls(hits))
    print(
        f"\n{count:,} entries, {edition}, host_bits {table.host_bits}, opened and verified in {opened:.2f} s"
    )
    costs = {}
    contenders = peers(entries, lists, vallum.open(folder))
    for traffic in traffics(rng, hits):
        found = rates(traffic, contenders, seconds)
        alone = found["parse alone"]
        costs[traffic.name] = 1 / found["vallum match_urls"] * alone
        for name, rate in found.items():
            goal = f"  goal {traffic.goal}" if name == "vallum match_urls" else ""
            print(f"  ({traffic.name:<11}) {name:<18} {rate:>11,.0f}/s  {rate / alone:>6.2f} x parsing{goal}")
    for processes in (1, 4, 8):
        private = list(memory(folder, processes))
        print(f"  {processes} processes: at most {max(private) / 1e6:.1f} MB private each above an idle one")
    return costs


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--entries", default="1000,100000,1000000", help="sizes of lists, by commas")
    arguments.add_argument("--edition", choices=("full", "match"), default="full")
    arguments.add_argument("--seconds", type=float, default=2.0, help="per peer and kind of traffic")
    arguments.add_argument("--memory-child", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.memory_child:
        memory_child(*given.memory_child)
        return
    costs = {}
    for count in map(int, given.entries.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            costs[count] = measure(count, given.edition, given.seconds, Path(folder))
    if {100_000, 1_000_000} <= set(costs):
        print("\ncost of a look-up at 1,000,000 entries beside 100,000 (goal: at most 1.5)")
        for name, cost in costs[1_000_000].items():
            print(f"  ({name:<11}) {cost / costs[100_000][name]:.2f}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
