"""Which rules judged at a place, for people to see beside what was measured there."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from coldchain.domain.rulepacks import Regime, regime_at
from coldchain.projections.mounts import Posting
from coldchain.projections.rulebook import Rulebook
from coldchain.projections.sites import Sites

Wanted = tuple[str, str, int, int]
"""(place, profile, from, to)."""


def rules_in_force(connection: Connection, wanted: Iterable[Wanted]) -> list[Regime]:
    """Every rule that judged during one of these stays, once; as of its day."""
    book, sites = Rulebook(), Sites()
    book.load(connection)
    sites.load(connection)
    found: dict[tuple[str, int, str], Regime] = {}
    for place, profile, from_us, to_us in wanted:
        schedule = book.schedule(sites.mountings([Posting(0, place, profile)]))
        for regime in schedule[regime_at(schedule, from_us) : regime_at(schedule, max(from_us, to_us - 1)) + 1]:
            if regime.rule is not None:
                found.setdefault((regime.pack, regime.version, regime.stage), regime)
    return [regime for _, regime in sorted(found.items())]
