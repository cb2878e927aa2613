"""Where a device hangs: what its enrolment says, then `mount` orders and association events, each from its time on.

An AssociationEvent that adds a device to a vehicle, compartment or room mounts it there; one that deletes it from where
it hangs, or that deletes everything there (EPCIS 2.0 §7.4.6), leaves it hanging nowhere. At one instant an order has
the last word.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from coldchain.domain.containment import takes_all
from coldchain.domain.events import Event, in_force
from coldchain.domain.parties import Registration, schedule

DEVICE = "dev:"
ASSOCIATION = "AssociationEvent"
_PLACES = ("veh:", "room:")


class Turn(NamedTuple):
    """A device came to another place; "" where it was taken down and hangs nowhere."""

    from_us: int
    place: str


def turns(device: str, first: str, orders: Iterable[Registration], events: Iterable[Event]) -> list[Turn]:
    """By time, each another place than the one before, beginning with `first`; the same for any order and repetition.

    events: those that name the device or empty a place where it may hang, with every copy under their ids."""
    standing, disputed = in_force(events)
    steps: list[tuple[int, int, int, Event | Registration]] = [
        (event.time_us, 0, at, event) for at, event in enumerate(standing) if event.key not in disputed
    ]
    steps += [(order.from_us, 1, at, order) for at, order in enumerate(schedule(orders))]
    place, found = first, list[Turn]()
    for t_us, _, _, step in sorted(steps, key=lambda one: one[:3]):
        now = _after(step, f"{DEVICE}{device}", place)
        if now == place:
            continue
        if found and found[-1].from_us == t_us:
            found.pop()
        place = now
        if now != (found[-1].place if found else first):
            found.append(Turn(t_us, now))
    return found


def _after(step: Event | Registration, device: str, place: str) -> str:
    if isinstance(step, Registration):
        return str(step.stated["place"])
    named = device in step.units or takes_all(step)
    if step.kind != ASSOCIATION or not named or not step.parent.startswith(_PLACES):
        return place
    if step.action == "ADD":
        return step.parent
    return "" if step.action == "DELETE" and step.parent == place else place
