"""Where a device hangs: first where its enrolment says, then where `mount` orders do, each from its own time on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from coldchain.db.tables.parties import party
from coldchain.domain.parties import PartyError, Registration, read_registration, schedule
from coldchain.services.ports import Recorded


class Posting(NamedTuple):
    """A place, and the rule pack that judges there, from a time on."""

    at_us: int
    place: str
    profile: str


class Mounts:
    """Every `mount` order, by device. Read before `Parties` keeps a batch's orders, so it takes those itself."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, Registration]] = {}

    def load(self, connection: Connection) -> None:
        c = party.c
        rows = connection.execute(select(c.op, c.id, c.n, c.from_us, c.body).where(c.op == "mount"))
        for row in rows:
            self._add(Registration(row.op, row.id, row.n, row.from_us, json.loads(row.body)))

    def take(self, item: Recorded) -> str | None:
        """The device that a `mount` entry speaks of; None for every other entry."""
        if not isinstance(item.body, Mapping) or item.body.get("op") != "mount":
            return None
        try:
            version = read_registration(item.body)
        except PartyError:
            return None
        if version.key != item.entry.key:
            return None
        self._add(version)
        return version.id

    def postings(self, device: str, stated: Sequence[Posting]) -> list[Posting]:
        """Where it was, oldest first; stated: what its enrolments say. The first one also holds before its time, so it
        may be dated back to stand before the first order."""
        turns = schedule(self._versions.get(device, {}).values())
        if not turns or not stated:
            return list(stated)
        found = [stated[0]._replace(at_us=min(stated[0].at_us, turns[0].from_us - 1))]
        for turn in turns:
            if turn.stated["place"] != found[-1].place:
                found.append(Posting(turn.from_us, turn.stated["place"], stated[-1].profile))
        return found

    def moves(self, device: str) -> bool:
        """Whether any order speaks of it."""
        return device in self._versions

    def _add(self, version: Registration) -> None:
        self._versions.setdefault(version.id, {}).setdefault(version.n, version)
