"""Whose word counts where: events of parties with no right to a place or a unit move nothing (design §2.2, §6).

A place is its registered organisation's: that organisation, its agents and authorities state what happens there. A
right to one of the registered places an event names is enough: loading at a store's dock into a carrier's truck may be
told by either. Places nobody registered bar nobody, and give nobody a right.

A unit is its holder's once it was handed over with two halves: from then on only the holder, the parties it names in
its next shipment, their agents and authorities move it. To read it at one's own registered place is everybody's right.

A device is that of whoever enrolled it: only its owner, the owner's agents and authorities mount it or take it down. So
with the vehicle or room, where it is registered.

What is barred counts from the moment on that the owner, or an authority, confirms it; and as always, whatever the order
in which all this became known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from coldchain.domain.events import Event
from coldchain.domain.exceptions import AUTHORITIES
from coldchain.domain.handovers import SLACK_US, STEPS
from coldchain.domain.mounting import ASSOCIATION, DEVICE
from coldchain.domain.parties import Directory

PLACE, UNIT = "place", "unit"
PLACES = ("veh:", "room:", "loc:")
UNITS = ("sscc:", "hu:", "case:", "cont:")
"""Single things that one party holds; lots are many things."""
MAX_N = 10**9


class Bar(NamedTuple):
    """Why an event does not count."""

    rule: str
    """`place` or `unit`."""
    name: str
    owner: str


class EventDecision(NamedTuple):
    """An order that an event of an unentitled party counts, or stays without effect."""

    event: str
    """Its key."""
    n: int
    confirmed: bool
    by: str
    role: str


class DecisionError(ValueError):
    """An order that decides nothing; the text names the field."""


Decisions = Mapping[str, Sequence[EventDecision]]
"""By event key."""
Ruling = Literal["open", "confirmed", "refused"]


def read_decision(body: Mapping[str, Any], by: str) -> EventDecision:
    """The ruling an order `event-decision` states; `by` is whoever recorded it. Raises DecisionError."""
    event, decision, role, n = (body.get(name) for name in ("event", "decision", "role", "n"))
    if not isinstance(event, str) or len(event) != 32 or not set(event) <= set("0123456789abcdef"):
        raise DecisionError(f"event: expected an event's key, 32 hex digits, found {event!r}")
    if decision not in ("confirmed", "refused"):
        raise DecisionError(f"decision: expected confirmed or refused, found {decision!r}")
    if type(n) is not int or not 1 <= n <= MAX_N:
        raise DecisionError(f"n: expected 1 to {MAX_N}, found {n!r}")
    return EventDecision(event, n, decision == "confirmed", by, role if isinstance(role, str) else "")


def decision_key(event: str, n: int) -> str:
    return f"order/event-decision/{event}/{n}"


class Statement(NamedTuple):
    """That an event was stated: its key, by whom, and when it happened."""

    key: str
    by: str
    time_us: int

    @classmethod
    def of(cls, event: Event) -> Statement:
        return cls(event.key, event.by, event.time_us)


def may_decide(directory: Directory, it: Statement, bar: Bar, by: str, role: str) -> bool:
    """The owner, its agent, or an authority; the sender itself never."""
    return by != it.by and (role in AUTHORITIES or directory.acts_for(by, bar.owner, it.time_us))


def ruled(directory: Directory, it: Statement, bar: Bar, decisions: Decisions) -> Ruling:
    """The last word of those who may decide; once an authority ruled, only authorities rule again."""
    entitled = [one for one in decisions.get(it.key, ()) if may_decide(directory, it, bar, one.by, one.role)]
    if not entitled:
        return "open"
    last = max(entitled, key=lambda one: (one.role in AUTHORITIES, one.n))
    return "confirmed" if last.confirmed else "refused"


def place_bar(directory: Directory, event: Event) -> Bar | None:
    """Where the event speaks of registered places and its sender has a right to none of them; to what hangs in a place,
    where it is registered, a right to that very place."""
    owned = [
        (place, owner)
        for place in (event.read_point, event.location, event.parent)
        if place.startswith(PLACES) and (owner := directory.owner(place, event.time_us))
    ]
    if event.kind == ASSOCIATION:
        owned = [one for one in owned if one[0] == event.parent] or owned
    if not owned or event.error or directory.is_authority(event.by, event.time_us):
        return None
    if any(directory.acts_for(event.by, owner, event.time_us) for _, owner in owned):
        return None
    return Bar(PLACE, *owned[0])


class Passage(NamedTuple):
    """A handover as far as it decides who holds the goods."""

    giver: str
    taker: str
    shipped_us: int
    accepted_us: int | None
    """When the taker said it has them; None: not yet."""
    named: tuple[str, ...]
    """Carriers and others the giver named."""
    shipments: tuple[Statement, ...]
    """By which the giver says so."""


class Tenure(NamedTuple):
    """`holder` had the unit during [from_us, to_us); `named`: whom it named to take or carry it."""

    holder: str
    from_us: int
    to_us: int | None
    named: frozenset[str]


def tenures(directory: Directory, unit: str, passages: Iterable[Passage], decisions: Decisions) -> tuple[Tenure, ...]:
    """Who held the unit, since it was first handed over with two halves. A shipment by whoever did not hold it hands
    nothing over, unless it is confirmed."""
    known = list(passages)
    starts: list[tuple[str, int]] = []
    done = [(one.accepted_us, one) for one in known if one.accepted_us is not None]
    for accepted_us, one in sorted(done, key=_in_turn):
        if not starts or _gives(directory, unit, one, starts[-1][0], decisions):
            starts.append((one.taker, accepted_us))
    ends: list[int | None] = [*(from_us for _, from_us in starts[1:]), None]
    found = []
    for (holder, from_us), to_us in zip(starts, ends, strict=False):
        own = (one for one in known if one.giver == holder and _meets(from_us, to_us, one.shipped_us))
        found.append(Tenure(holder, from_us, to_us, frozenset(name for one in own for name in (one.taker, *one.named))))
    return tuple(found)


def concern_until(org: str, held: Sequence[Tenure], passages: Iterable[Passage]) -> int | None:
    """Until when a unit was that party's concern: it gave it away, delivered it, or somebody else had it after it; None
    while it still is. held: as `tenures` has them of these passages."""
    ends: list[int | None] = [turn.to_us for turn in held if turn.holder == org]
    holds = bool(ends)
    for one in passages:
        if org in (one.giver, *one.named) or (org == one.taker and not holds):
            ends.append(one.accepted_us)
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _in_turn(done: tuple[int, Passage]) -> tuple[Any, ...]:
    accepted_us, one = done
    return accepted_us, one.shipped_us, one.giver, one.taker, one.shipments


def _gives(directory: Directory, unit: str, one: Passage, holder: str, decisions: Decisions) -> bool:
    bar = Bar(UNIT, unit, holder)
    return directory.acts_for(one.giver, holder, one.shipped_us) or any(
        directory.is_authority(it.by, it.time_us) or ruled(directory, it, bar, decisions) == "confirmed"
        for it in one.shipments
    )


def _meets(from_us: int, to_us: int | None, t_us: int) -> bool:
    return from_us <= t_us + SLACK_US and (to_us is None or t_us - SLACK_US < to_us)


def unit_bar(directory: Directory, event: Event, held: Mapping[str, Sequence[Tenure]]) -> Bar | None:
    """Where the event moves, or reads at a place that is not its sender's, a unit that others hold. held: by unit."""
    if event.error or directory.is_authority(event.by, event.time_us):
        return None
    if _only_reads(event) and _at_home(directory, event):
        return None
    named = {event.parent, *event.units, *event.inputs} & held.keys()
    for unit in sorted(unit for unit in named if event.kind == ASSOCIATION or not unit.startswith(DEVICE)):
        turns = held[unit]
        if not turns or event.time_us - SLACK_US < turns[0].from_us:
            continue  # before anybody is known to have held it
        around = [turn for turn in turns if _meets(turn.from_us, turn.to_us, event.time_us)]
        parties = {party for turn in around for party in (turn.holder, *turn.named)}
        if not any(directory.acts_for(event.by, party, event.time_us) for party in parties):
            holder = next(turn for turn in reversed(turns) if turn.from_us <= event.time_us)
            return Bar(UNIT, unit, holder.holder)
    return None


def _only_reads(event: Event) -> bool:
    return event.action == "OBSERVE" and event.biz_step not in STEPS


def _at_home(directory: Directory, event: Event) -> bool:
    owners = {directory.owner(place, event.time_us) for place in (event.read_point, event.location)} - {""}
    return any(directory.acts_for(event.by, owner, event.time_us) for owner in owners)
