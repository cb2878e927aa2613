"""P1: the same load on another pallet board (domain §3). Without a stated board nothing is judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coldchain.domain.boards import OFF, ON, BoardFact, board_history
from coldchain.domain.continuity.links import linked_from
from coldchain.domain.continuity.looks import Look, changes_of
from coldchain.domain.continuity.model import Opportunity, Rules
from coldchain.domain.events import Event


def board_changes(unit: str, events: Sequence[Event], rules: Rules) -> Iterable[Opportunity]:
    """A board taken off by an event, or named by the event that puts on the next as what it was exchanged for, is a
    declared exchange."""
    links = {event.key: linked_from(event) for event in events}
    facts = [fact for fact in board_history(events) if fact.load == unit]
    looks, before = [], ""
    for fact in facts:
        looks.append(_look(fact, before, links[fact.key]))
        before = "" if fact.act == OFF else fact.board
    for change in changes_of(looks):
        yield Opportunity(
            code="P1",
            subject=unit,
            channel="",
            from_us=change.from_us,
            to_us=change.to_us,
            confirmed=change.confirmed,
            askable=change.confirmed,
            lacks="" if change.confirmed else "a second read point or a scan that shows it on the other board",
            units=(change.before, change.after),
            holder=change.holder,
            why=tuple(sorted(set(change.why))),
            seen=(f"on {change.after}, before on {change.before}",),
        )


def _look(fact: BoardFact, before: str, links: frozenset[str]) -> Look:
    value = None if fact.act == OFF else fact.board
    exchanged = fact.act == ON and before in links
    return Look(fact.time_us, value, fact.point or f"event {fact.key}", fact.key, fact.by, exchanged)
