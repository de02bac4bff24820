"""How everything stands, as Prometheus' text format (exposition format 0.0.4). Pure.

For a file that the node exporter collects: a machine that syncs by a timer has no process to be asked. Names
and numbers only, never an entry's value; what each means stands in docs/reference/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from vallum.sync.freshness import Freshness
from vallum.sync.standing import Standing

Sample = tuple[dict[str, str], float]


def format_metrics(standing: Standing, now: datetime) -> str:
    """Write all metrics of one moment, each family with its ``HELP`` and ``TYPE``."""
    lists = [({"source": one.source, "list": one.stream}, one) for one in standing.streams]
    sources = standing.sources
    ends = [entry.until for entry in standing.allowed if entry.until is not None]
    families: list[tuple[str, str, Iterable[Sample]]] = [
        ("list_generation", "Generation in force.", [(n, one.state.head.generation) for n, one in lists]),
        ("list_version", "Version in force.", [(n, one.state.head.version) for n, one in lists]),
        ("list_rows", "Rows of all its tables.", [(n, one.rows) for n, one in lists]),
        (
            "list_as_of_seconds",
            "When its own keys last vouched for it, since 1970.",
            [(n, one.state.head.as_of.timestamp()) for n, one in lists],
        ),
        (
            "list_stale_at_seconds",
            "From when on it is stale unless it is signed anew, since 1970.",
            [(n, one.expires.timestamp()) for n, one in lists],
        ),
        (
            "list_freshness",
            "1 for the state that it is in.",
            [
                ({**n, "state": str(state)}, float(one.freshness is state))
                for n, one in lists
                for state in Freshness
            ],
        ),
        (
            "list_quarantined",
            "1 while a version waits in quarantine for the operator.",
            [(n, float(one.aside is not None and not one.aside.rejected)) for n, one in lists],
        ),
        (
            "list_rejected",
            "1 while the operator has rejected the version after the one in force.",
            [(n, float(one.aside is not None and bool(one.aside.rejected))) for n, one in lists],
        ),
        (
            "list_pinned_until_seconds",
            "When the operator's pin ends, since 1970; 0 without one.",
            [(n, one.pin.until.timestamp() if one.pin else 0) for n, one in lists],
        ),
        (
            "list_lifted",
            "1 while it is hard-expired and not enforced.",
            [(n, float(one.lifted)) for n, one in lists],
        ),
        (
            "list_missing",
            "1 for a list that is followed and has no verified version.",
            [(dict(zip(("source", "list"), name.split("/"), strict=True)), 1) for name in standing.missing],
        ),
        (
            "source_verified_seconds",
            "When a whole sync of the source last succeeded, since 1970.",
            [({"source": name}, about.verified_at.timestamp()) for name, about in sources.items()],
        ),
        (
            "source_failed_days",
            "On how many days since then a sync failed.",
            [({"source": name}, about.failed_days) for name, about in sources.items()],
        ),
        (
            "source_failing_since_seconds",
            "Since when syncs fail as the last one did, since 1970; 0 if it did not fail.",
            [
                (
                    {"source": name},
                    min((one.since.timestamp() for one in about.failures), default=0),
                )
                for name, about in sources.items()
            ],
        ),
        ("allowances", "What the operator allows.", [({}, len(standing.allowed))]),
        (
            "allowance_ends_seconds",
            "When the next allowance ends, since 1970; 0 if none does.",
            [({}, min(ends).timestamp() if ends else 0)],
        ),
        ("status_seconds", "When this was written, since 1970.", [({}, now.timestamp())]),
    ]
    return "".join(line for family in families for line in _family(*family))


def _family(name: str, says: str, samples: Iterable[Sample]) -> Iterable[str]:
    yield f"# HELP vallum_{name} {says}\n# TYPE vallum_{name} gauge\n"
    for labels, value in samples:
        # Names of sources and lists are plain letters, digits and hyphens: nothing is to be escaped.
        shown = ",".join(f'{label}="{text}"' for label, text in labels.items())
        yield f"vallum_{name}{f'{{{shown}}}' if shown else ''} {value:.15g}\n"
