"""Goods pass from one party to another: what the giver says it shipped, what the taker says it received (design §6).

A handover has two halves. One that nobody answered is unobserved, never wrong; where both speak, their counts and units
are compared, like with like. Everything here is a function of the set of halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from coldchain.domain.events import Event
from coldchain.domain.identifiers import IdentifierError, subject_name
from coldchain.domain.parties import Directory

SHIPPED, RECEIVED = "shipped", "received"
STEPS = {
    "shipping": (SHIPPED, 1),
    "departing": (SHIPPED, 0),
    "arriving": (RECEIVED, 0),
    "receiving": (RECEIVED, 1),
    "accepting": (RECEIVED, 2),
}
"""CBV step -> half, and how definite: of one party's statements the most definite ones are its word."""
SLACK_US = 2 * 3_600_000_000
"""Clocks and typed times of two parties may differ by so much."""
HOLDING = "possessing_party"

AGREED, DIFFERS, UNCOUNTED = "agreed", "differs", "uncounted"
SHIPPED_ONLY, RECEIVED_ONLY = "shipped only", "received only"


@dataclass(frozen=True, slots=True)
class Half:
    """What one event says about one side of a handover. Parties are organisations, else the names events use."""

    side: str
    rank: int
    step: str
    time_us: int
    key: str
    event_id: str
    by: str
    giver: str
    """"" where a receipt does not say from whom."""
    taker: str
    units: tuple[str, ...]
    quantities: tuple[tuple[str, str, int], ...]
    """(lot or class, UN/ECE unit, thousandths), summed."""
    count: int | None
    """Packages, where the event states a number (`coldchain:count`)."""
    papers: tuple[str, ...]
    """Business transactions it was done under."""
    contracting_carrier: str
    actual_carrier: str
    vehicle: str
    """A registry id's subject name; plates stay sealed (design §6)."""
    driver: str
    """A sealed id."""
    own: bool
    """Whether its sender is, or acts for, the party of this side; else it passes on an answer to a one-time link."""
    answers: str
    """Event id of the shipment that a one-time link asked about."""

    @property
    def goods(self) -> tuple[str, ...]:
        """Every unit and lot it speaks of."""
        return tuple(sorted({*self.units, *(item for item, _, _ in self.quantities)}))

    @property
    def named(self) -> tuple[str, ...]:
        """The parties it names beside the one that speaks."""
        named = {self.giver, self.taker, self.contracting_carrier, self.actual_carrier}
        return tuple(sorted(named - {"", self.by}))


def read_half(event: Event, directory: Directory) -> Half | None:
    """The half an event states. None for other events, and where its sender speaks for neither side: a third party's
    word hands nothing over."""
    if event.biz_step not in STEPS or event.error:
        return None
    side, rank = STEPS[event.biz_step]
    giver, taker = (_holder(pairs, directory) for pairs in (event.sources, event.destinations))
    speaks_for = giver if side == SHIPPED else taker
    answers = _text(event.extra("answers")) if side == RECEIVED else ""
    if side == SHIPPED and not taker:
        return None
    # Who asked by a one-time link passes on what a driver or a non-member answered.
    speakers = {speaks_for or event.by} | ({giver} if answers and giver else set())
    if not any(directory.acts_for(event.by, party, event.time_us) for party in speakers):
        return None
    return Half(
        side=side,
        rank=rank,
        step=event.biz_step,
        time_us=event.time_us,
        key=event.key,
        event_id=event.event_id,
        by=event.by,
        giver=giver or (event.by if side == SHIPPED else ""),
        taker=taker or event.by,
        units=tuple(sorted({event.parent, *event.units} - {""})) if _is_goods(event.parent) else event.units,
        quantities=_quantities(event),
        count=_count(event.extra("count")),
        papers=tuple(sorted({paper for _, paper in event.transactions})),
        contracting_carrier=_party(event.extra("contractingCarrier"), directory),
        actual_carrier=_party(event.extra("actualCarrier"), directory),
        vehicle=_name(event.extra("vehicle")),
        driver=_text(event.extra("driver")),
        own=directory.acts_for(event.by, speaks_for or event.by, event.time_us),
        answers=answers,
    )


def raw_parties(event: Event) -> tuple[str, ...]:
    """What the event calls the parties and carriers of the handover: whoever is registered under these names later may
    be meant."""
    named = {name for kind, name in (*event.sources, *event.destinations) if kind == HOLDING}
    carriers = {_name(event.extra(field)) for field in ("contractingCarrier", "actualCarrier")}
    return tuple(sorted((named | carriers) - {""}))


def _holder(pairs: Iterable[tuple[str, str]], directory: Directory) -> str:
    """The one possessing party; of several none is believed."""
    found = {directory.org_called(name) for kind, name in pairs if kind == HOLDING}
    return found.pop() if len(found) == 1 else ""


def _is_goods(parent: str) -> bool:
    return bool(parent) and not parent.startswith(("veh:", "room:", "loc:", "doc:"))


def _quantities(event: Event) -> tuple[tuple[str, str, int], ...]:
    sums: dict[tuple[str, str], int] = {}
    for quantity in event.quantities:
        if quantity.amount_milli >= 0:
            kind = (quantity.item, quantity.unit)
            sums[kind] = sums.get(kind, 0) + quantity.amount_milli
    return tuple((item, unit, amount) for (item, unit), amount in sorted(sums.items()))


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _name(value: Any) -> str:
    """A canonical name; "" for what is none."""
    try:
        return subject_name(value) if isinstance(value, str) and value else ""
    except IdentifierError:
        return ""


def _party(value: Any, directory: Directory) -> str:
    """An organisation, by its bare id or by a name that events use."""
    if isinstance(value, str) and directory.latest("org", value) is not None:
        return value
    return directory.org_called(_name(value)) if _name(value) else _text(value)


class Difference(NamedTuple):
    """Where the two halves do not agree."""

    missing: tuple[str, ...] = ()
    """Units shipped and not received."""
    extra: tuple[str, ...] = ()
    counts: tuple[int, int] | None = None
    """(shipped, received) packages."""
    quantities: tuple[tuple[str, str, int, int], ...] = ()
    """(lot or class, unit, thousandths shipped, received)."""


@dataclass(frozen=True, slots=True)
class Handover:
    """The halves that belong together."""

    shipped: tuple[Half, ...]
    received: tuple[Half, ...]

    @property
    def id(self) -> str:
        """Key of the event it begins with."""
        return (self.shipped or self.received)[0].key

    @property
    def giver(self) -> str:
        return next((half.giver for half in (*self.shipped, *self.received) if half.giver), "")

    @property
    def taker(self) -> str:
        return (self.shipped or self.received)[0].taker

    @property
    def shipped_us(self) -> int | None:
        return self.shipped[0].time_us if self.shipped else None

    @property
    def received_us(self) -> int | None:
        return word(self.received)[0].time_us if self.received else None

    @property
    def accepted_us(self) -> int | None:
        """When the taker itself said it has the goods; what the giver passes on is not the taker's own word."""
        own = [half for half in word(self.received) if half.own]
        return own[0].time_us if self.shipped and own else None

    @property
    def goods(self) -> tuple[str, ...]:
        return tuple(sorted({name for half in (*self.shipped, *self.received) for name in half.goods}))

    @property
    def named(self) -> tuple[str, ...]:
        """Parties that somebody else named in it."""
        return tuple(sorted({name for half in (*self.shipped, *self.received) for name in half.named}))

    @property
    def difference(self) -> Difference | None:
        """None where nothing that both stated can be compared."""
        return compare(word(self.shipped), word(self.received)) if self.shipped and self.received else None

    @property
    def state(self) -> str:
        if not self.received:
            return SHIPPED_ONLY
        if not self.shipped:
            return RECEIVED_ONLY
        difference = self.difference
        return UNCOUNTED if difference is None else AGREED if difference == Difference() else DIFFERS


def word(halves: Sequence[Half]) -> list[Half]:
    """The most definite of one side's statements: what was accepted counts before what merely arrived."""
    best = max((half.rank for half in halves), default=0)
    return [half for half in halves if half.rank == best]


def compare(shipped: Sequence[Half], received: Sequence[Half]) -> Difference | None:
    """Units with units, stated counts with stated counts, quantities with quantities; a bare count with how many units
    the other side names."""
    sides = [_Side.of(shipped), _Side.of(received)]
    given, taken = sides
    found, compared = Difference(), False
    if given.units and taken.units:
        compared = True
        found = found._replace(
            missing=tuple(sorted(given.units - taken.units)), extra=tuple(sorted(taken.units - given.units))
        )
    counts = [side.count for side in sides]
    if None in counts and not compared:
        counts = [side.pieces if side.count is None else side.count for side in sides]
    if counts[0] is not None and counts[1] is not None:
        compared = True
        found = found._replace(counts=None if counts[0] == counts[1] else (counts[0], counts[1]))
    if given.amounts and taken.amounts:
        compared = True
        kinds = sorted(given.amounts.keys() | taken.amounts.keys())
        pairs = [(*kind, given.amounts.get(kind, 0), taken.amounts.get(kind, 0)) for kind in kinds]
        found = found._replace(quantities=tuple(pair for pair in pairs if pair[2] != pair[3]))
    return found if compared else None


@dataclass(frozen=True, slots=True)
class _Side:
    """What one side states, put together."""

    units: set[str]
    amounts: dict[tuple[str, str], int]
    count: int | None

    @classmethod
    def of(cls, halves: Sequence[Half]) -> _Side:
        amounts: dict[tuple[str, str], int] = {}
        for half in halves:
            for item, unit, amount in half.quantities:
                amounts[item, unit] = amounts.get((item, unit), 0) + amount
        counts = [half.count for half in halves]
        stated = [count for count in counts if count is not None]
        total = sum(stated) if stated and len(stated) == len(counts) else None
        return cls({unit for half in halves for unit in half.units}, amounts, total)

    @property
    def pieces(self) -> int | None:
        """Packages named one by one or counted by lot; None where there are none of either."""
        counted = [amount for (_, unit), amount in self.amounts.items() if unit == ""]
        return len(self.units) + sum(counted) // 1000 if self.units or counted else None
