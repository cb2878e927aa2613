"""What the sites of rooms were registered as, for the rules that hold there; follows `Parties` on every batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from coldchain.db.queries_mounts import posted_at_sites
from coldchain.db.tables.parties import party
from coldchain.domain.parties import Registration, schedule, site_of
from coldchain.domain.rulepacks import Mounting, stage_of
from coldchain.projections.mounts import Posting
from coldchain.services.recorded import Recorded


class Sites:
    """`load` it, then `take` batch by batch."""

    def __init__(self) -> None:
        self._turns: dict[str, list[Registration]] = {}

    def load(self, connection: Connection, only: str | None = None) -> None:
        c = party.c
        query = select(c.op, c.id, c.n, c.from_us, c.body).where(c.op == "site")
        versions: dict[str, list[Registration]] = {}
        for row in connection.execute(query if only is None else query.where(c.id == only)):
            version = Registration(row.op, row.id, row.n, row.from_us, json.loads(row.body))
            versions.setdefault(row.id, []).append(version)
        self._turns |= {site: schedule(stated) for site, stated in versions.items()}

    def take(self, connection: Connection, batch: Sequence[Recorded]) -> set[str]:
        """Devices that ever hung in a room of a site which the batch registers."""
        bodies = [item.body for item in batch if item.entry.kind == "identity" and isinstance(item.body, Mapping)]
        sites = {str(body.get("id")) for body in bodies if body.get("op") == "site"}
        for site in sites:
            self.load(connection, site)
        return posted_at_sites(connection, sites) if sites else set()

    def mountings(self, postings: Sequence[Posting]) -> list[Mounting]:
        """What judges at these places, by what the site of each was registered as at the time. A site's first version
        also holds before its time, as the first posting does."""
        found: list[Mounting] = []
        for place, posting in enumerate(postings):
            begin_us = posting.at_us if place else 0
            end_us = postings[place + 1].at_us if place + 1 < len(postings) else None
            for from_us, site in self._stated(site_of(posting.place), begin_us, end_us):
                stage = stage_of(posting.place, frozenset(site.get("uses", ())))
                found.append(Mounting(from_us, stage, posting.profile, site.get("country", "")))
        return found

    def _stated(self, site: str, begin_us: int, end_us: int | None) -> list[tuple[int, Mapping[str, Any]]]:
        """What it states from when on, between two times."""
        turns = self._turns.get(site, [])
        if not turns:
            return [(begin_us, {})]
        before = [turn for turn in turns if turn.from_us <= begin_us] or turns[:1]
        after = [turn for turn in turns if turn.from_us > max(begin_us, before[-1].from_us)]
        during = ((turn.from_us, turn.stated) for turn in after if end_us is None or turn.from_us < end_us)
        return [(begin_us, before[-1].stated), *during]
