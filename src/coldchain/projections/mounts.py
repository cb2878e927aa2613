"""Where devices hang, from what orders and associations of a batch say; follows `Events` and `Parties` on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from coldchain.db.queries_mounts import associations, posted_at
from coldchain.domain.containment import takes_all
from coldchain.domain.devices import Enrolment, parse_identity
from coldchain.domain.mounting import DEVICE, Turn
from coldchain.projections.transport import behind_gateway, stated_map
from coldchain.services.recorded import Recorded


class Posting(NamedTuple):
    """A place, and the rule pack that judges there, from a time on."""

    at_us: int
    place: str
    profile: str


def enrolled(batch: Sequence[Recorded]) -> dict[str, tuple[int, Enrolment]]:
    """By device: the newest enrolment or rotation that the batch brings, and its number."""
    newest: dict[str, tuple[int, Enrolment]] = {}
    for item in batch:
        if item.entry.kind != "identity":
            continue
        version = stated_map(item)
        order = parse_identity(item.body) if version is None else behind_gateway(version)
        if isinstance(order, Enrolment):
            number = order.kid.rpartition("#")[2]
            n = int(number) if number.isdecimal() else 0
            if order.device not in newest or newest[order.device][0] < n:
                newest[order.device] = (n, order)
    return newest


def remounted(connection: Connection, batch: Sequence[Recorded]) -> set[str]:
    """Devices of which orders or associations, those that the batch withdraws, bars or frees among them, speak."""
    if all(item.entry.kind == "telemetry" for item in batch):
        return set()  # nearly every batch
    found = {
        str(item.body.get("id"))
        for item in batch
        if item.entry.kind == "identity" and isinstance(item.body, Mapping) and item.body.get("op") == "mount"
    }
    told = associations(connection, {event.event_id for item in batch for event in item.events})
    found |= {unit.removeprefix(DEVICE) for event in told for unit in event.units if unit.startswith(DEVICE)}
    return found | posted_at(connection, {event.parent for event in told if takes_all(event)})


def postings(stated: Sequence[Posting], turns: Sequence[Turn]) -> list[Posting]:
    """Where a device was, oldest first; stated: what its enrolments say. The first one also holds before its time, so
    it may be dated back to stand before the first turn. What hangs nowhere is judged by nothing."""
    if not turns or not stated:
        return list(stated)
    first = stated[0]._replace(at_us=min(stated[0].at_us, turns[0].from_us - 1))
    profile = stated[-1].profile
    return [first, *(Posting(turn.from_us, turn.place, profile if turn.place else "") for turn in turns)]
