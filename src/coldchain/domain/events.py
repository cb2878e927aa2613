"""EPCIS events, reduced to what containment and continuity need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Set
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple


class Quantity(NamedTuple):
    """Goods counted or weighed instead of named one by one."""

    item: str
    """A `lot:` name, or `code:gtin/<gtin14>` where no lot is stated."""
    amount_milli: int
    """Thousandths of the unit; negative where the event does not say how much."""
    unit: str
    """UN/ECE code, e.g. `KGM`; empty for pieces."""
    role: str = ""
    """`input` or `output` of a transformation, else empty."""


class Measured(NamedTuple):
    """A temperature that somebody measured in an event."""

    mc: int
    """Of several values of one report the warmest, in thousandths of a degree Celsius."""
    time_us: int | None
    """None: when the event happened."""
    device: str
    """As it is spelled; "" where it is not stated."""


PAPERS = ("decl:", "bl:", "wb:", "doc:")
"""Kinds of names that papers have (ledger §5.1)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One EPCIS 2.0 event in canonical form; ids are subject names (ledger §5.1), e.g. `sscc:169012345000000025`."""

    event_id: str
    kind: str
    """`ObjectEvent`, `AggregationEvent`, `TransformationEvent`, `AssociationEvent`, `TransactionEvent`."""
    time_us: int
    action: str
    """`ADD`, `OBSERVE`, `DELETE`, or empty for transformations."""
    biz_step: str
    """CBV bare word, e.g. `loading`."""
    parent: str = ""
    units: tuple[str, ...] = ()
    """epcList or childEPCs, sorted."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    read_point: str = ""
    location: str = ""
    """bizLocation, a `loc:`, `room:` or `veh:` name."""
    disposition: str = ""
    by: str = ""
    quantities: tuple[Quantity, ...] = ()
    lot: str = ""
    """Lot number of the goods this event brings into being (ilmd)."""
    sources: tuple[tuple[str, str], ...] = ()
    """(CBV type, name): `possessing_party`, `owning_party` or `location`, and who or where; sorted."""
    destinations: tuple[tuple[str, str], ...] = ()
    transactions: tuple[tuple[str, str], ...] = ()
    """(CBV type, id) of the business transactions, e.g. `("po", …)`; sorted, the type "" where unstated."""
    extras: tuple[tuple[str, str], ...] = ()
    """What the event says in our own namespace (`coldchain:seals`, …): (local name, its canonical JSON), sorted."""
    error: str = ""
    """Reason of an error declaration: the event of this id is withdrawn by its own sender (domain §4)."""
    content: str = ""
    """Its CBV event hash: equal for every spelling of one event, whatever its id; "" where nobody reckoned it."""
    temperatures: tuple[Measured, ...] = field(default=(), compare=False)
    """Of its sensor reports, sorted; `content` tells events that differ in them apart."""
    key: str = field(default="", compare=False)
    """Names this content by this sender; "" until `identified`."""

    def extra(self, name: str) -> Any:
        """The value of an extension field of our own namespace; None where it is not stated."""
        return next((json.loads(text) for local, text in self.extras if local == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Every subject the event speaks about, sorted, each once."""
        quantities = (quantity.item for quantity in self.quantities)
        places = (self.parent, self.read_point, self.location)
        return tuple(sorted({*places, *self.units, *self.inputs, *self.outputs, *quantities, *self.papers} - {""}))

    @property
    def papers(self) -> tuple[str, ...]:
        """Its business transactions that are subjects of the ledger: declarations, waybills, bills, documents."""
        return tuple(name for _, name in self.transactions if name.startswith(PAPERS))


def identified(event: Event, by: str = "") -> Event:
    """The event under its key: 32 hex digits over everything it says and who sent it.

    The sender is part of the key, so nobody can overwrite or dispute another's event by borrowing its event id.
    """
    event = replace(event, by=event.by or by)
    content = json.dumps([getattr(event, name) for name in _CONTENT], ensure_ascii=False, separators=(",", ":"))
    return replace(event, key=hashlib.sha256(content.encode()).hexdigest()[:32])


_CONTENT = tuple(one.name for one in fields(Event) if one.compare)


def in_force(events: Iterable[Event]) -> tuple[list[Event], frozenset[str]]:
    """Events that stand, in event-time order, each once; and the keys among them that are disputed.

    A sender's error declaration withdraws what it sent under the same id; differing contents under one id with no such
    declaration are all disputed, whichever came first (domain §4, design §4.4). One content of one sender is one event,
    under however many ids and spellings it was sent. Order and repetition do not matter.
    """
    copies: dict[tuple[str, str], dict[str, Event]] = {}
    for event in events:
        copies.setdefault((event.by, event.event_id), {})[event.key] = event
    standing: list[Event] = []
    disputed: set[str] = set()
    for same in copies.values():
        if any(event.error for event in same.values()):
            continue
        standing.extend(same.values())
        if len({event.content or event.key for event in same.values()}) > 1:
            disputed.update(same)
    return sorted(_each_once(standing, disputed), key=_order), frozenset(disputed)


def _each_once(events: Iterable[Event], disputed: Set[str]) -> Iterable[Event]:
    """Of one content the copy that nothing disputes, and of several such the one with the least key."""
    contents: dict[tuple[str, str], Event] = {}
    for event in sorted(events, key=lambda event: (event.key in disputed, event.key)):
        contents.setdefault((event.by, event.content or event.key), event)
    return contents.values()


def _order(event: Event) -> tuple[int, int, str]:
    return event.time_us, _RANK.get(event.action, 1), event.key


_RANK = {"ADD": 0, "OBSERVE": 1, "DELETE": 2}
"""At one instant things are put in before they are read and read before they are taken out."""
