"""Seals: what was put on, looked at and taken off, as every event states it (domain §3). Nothing is overwritten.

A seal chain runs applied -> checked* -> removed -> applied. One unit may wear several seals at a time, a carrier's and
customs', so a chain is one seal's; `worn` says which were on a unit at a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from coldchain.domain.events import Event, in_force
from coldchain.domain.identifiers import IdentifierError, seal_number, subject_name
from coldchain.domain.identifiers.seals import CLASSES
from coldchain.domain.identifiers.seals import UNNUMBERED as UNNUMBERED

APPLIED, CHECKED, REMOVED = "applied", "checked", "removed"
ACTS = (APPLIED, CHECKED, REMOVED)
"""In the order in which acts of one instant are taken."""
STATES = ("intact", "broken", "absent", "duplicate")
MAX_TEXT = 40
"""Characters kept of an issuer, and of what is no seal number; numbers have 4 to 20."""


class SealFact(NamedTuple):
    """What one event says about one seal on one unit."""

    unit: str
    """The container, vehicle or pallet; "" where the event does not tell."""
    seal: str
    """Its compact number, `unnumbered`, or what was stated where that is no seal number."""
    issuer: str
    """"" where unstated."""
    klass: str
    """`H`, `S`, `I` or "" where unstated."""
    act: str
    """`applied`, `checked` or `removed`."""
    state: str
    """`intact`, `broken`, `absent`, `duplicate`, or "" where nobody said how it was found."""
    time_us: int
    key: str
    """Of the event."""
    by: str


class SealLink(NamedTuple):
    """One wearing of one seal on one unit: everything said of it, in time order."""

    unit: str
    seal: str
    facts: tuple[SealFact, ...]

    @property
    def issuer(self) -> str:
        return next((fact.issuer for fact in self.facts if fact.issuer), "")

    @property
    def applied(self) -> SealFact | None:
        """None: nobody recorded that it was put on; absence of such a seal proves nothing (domain §3)."""
        return next((fact for fact in self.facts if fact.act == APPLIED), None)

    @property
    def checks(self) -> tuple[SealFact, ...]:
        return tuple(fact for fact in self.facts if fact.act == CHECKED)

    @property
    def removed(self) -> SealFact | None:
        """The first to take it off; None: as far as is known it is still on."""
        return next((fact for fact in self.facts if fact.act == REMOVED), None)

    @property
    def from_us(self) -> int:
        return self.facts[0].time_us

    @property
    def to_us(self) -> int | None:
        removed = self.removed
        return None if removed is None else removed.time_us


def seals_in(event: Event) -> tuple[SealFact, ...]:
    """What this event states of seals, sorted. An item without a number and one of the three acts states nothing."""
    stated = event.extra("seals")
    items = [item for item in stated if isinstance(item, Mapping)] if isinstance(stated, list) else []
    return tuple(sorted({fact for item in items if (fact := _fact(event, item)) is not None}))


def seal_history(events: Iterable[Event]) -> tuple[SealFact, ...]:
    """Every statement of the events that stand, by time; the same for any order and repetition of the events.

    Withdrawn and disputed events state nothing.
    """
    standing, disputed = in_force(events)
    facts = {fact for event in standing if event.key not in disputed for fact in seals_in(event)}
    return tuple(sorted(facts, key=_by_time))


def seal_chain(facts: Iterable[SealFact]) -> tuple[SealLink, ...]:
    """Each wearing of each seal, by unit and time. Any order of facts gives the same chain.

    Repeated applications of a seal that is on, and removals by the second witness, are statements about one wearing;
    applied anew after a removal begins the next one.
    """
    open_: dict[tuple[str, str], list[list[SealFact]]] = {}
    for fact in sorted(set(facts), key=_by_time):
        wearings = open_.setdefault((fact.unit, fact.seal), [])
        for facts_of in reversed(wearings):
            if _continues(facts_of, fact):
                facts_of.append(fact)
                break
        else:
            wearings.append([fact])
    links = [SealLink(unit, seal, tuple(one)) for (unit, seal), several in open_.items() for one in several]
    return tuple(sorted(links, key=lambda link: (link.unit, link.from_us, link.seal, link.facts)))


def worn(links: Iterable[SealLink], unit: str, t_us: int) -> tuple[SealLink, ...]:
    """The seals on a unit just before `t_us`: what an arrival at that moment should find."""
    mine = (link for link in links if link.unit == unit and (link.to_us is None or t_us <= link.to_us))
    return tuple(link for link in mine if any(fact.time_us < t_us and fact.state != "absent" for fact in link.facts))


def _continues(facts: list[SealFact], fact: SealFact) -> bool:
    if len({one.issuer for one in (*facts, fact)} - {""}) > 1:
        return False
    return fact.act != APPLIED or all(one.act != REMOVED for one in facts)


def _by_time(fact: SealFact) -> tuple[int, int, SealFact]:
    return fact.time_us, ACTS.index(fact.act), fact


def _fact(event: Event, item: Mapping[str, Any]) -> SealFact | None:
    number, act = _text(item, "seal"), _text(item, "act")
    if not number or act not in ACTS:
        return None
    state, klass = _text(item, "state"), _text(item, "class")
    return SealFact(
        unit=_unit(_text(item, "unit")) or _sealed(event),
        seal=_number(number),
        issuer=_text(item, "issuer")[:MAX_TEXT],
        klass=klass if klass in CLASSES else "",
        act=act,
        state=state if state in STATES else "",
        time_us=event.time_us,
        key=event.key,
        by=event.by,
    )


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return value.strip() if isinstance(value, str) and value.isprintable() else ""


def _number(stated: str) -> str:
    """One spelling of the number; one nobody could have stamped is a fact all the same."""
    try:
        return seal_number(stated)
    except IdentifierError:
        return stated[:MAX_TEXT]


def _unit(stated: str) -> str:
    try:
        return subject_name(stated) if stated else ""
    except IdentifierError:
        return ""


def _sealed(event: Event) -> str:
    """The unit a seal is on where its item names none: the parent, else the only unit, or the only one with a door."""
    if event.parent:
        return event.parent
    doors = [unit for unit in event.units if unit.startswith(("cont:", "veh:"))] or list(event.units)
    return doors[0] if len(doors) == 1 else ""
