"""What an event names in our own extension fields: subjects whose verdicts it bears on without listing them."""

from __future__ import annotations

from coldchain.domain.boards import BOARD, boards_in
from coldchain.domain.continuity.cartons import cartons_in
from coldchain.domain.continuity.links import names_in
from coldchain.domain.continuity.model import point_of
from coldchain.domain.events import Event
from coldchain.domain.parties import site_of
from coldchain.domain.seals import seals_in


def names_beside(event: Event) -> frozenset[str]:
    """Boards and their loads, sealed units, cartons and what is in them, old ids a new one is linked to; and `opening
    <site>` where the event is a site's opening count."""
    found: set[str] = set()
    if names_board(event):
        found |= {name for fact in boards_in(event) for name in (fact.load, fact.board)}
    if event.extras or event.parent.startswith("case:"):
        found |= {fact.unit for fact in seals_in(event) if fact.unit}
        found |= {name for carton in cartons_in(event) for name in (carton.case, *carton.inner)}
    found |= set(names_in(event.extra("linkedFrom")))
    if is_opening_count(event):
        found.add(opening_name(point_of(event)))
    return frozenset(found)


def names_board(event: Event) -> bool:
    """Whether a board can be meant at all: of nearly no event it can, and those that list cases have many."""
    if any(name == "board" for name, _ in event.extras):
        return True
    return event.parent.startswith(BOARD) or any(unit.startswith(BOARD) for unit in event.units)


def is_opening_count(event: Event) -> bool:
    """The count a site joins with: before it, what lay there was nobody's record."""
    return event.extra("openingCount") is True and bool(site_of(point_of(event)))


def opening_name(place: str) -> str:
    return f"opening {site_of(place)}"
