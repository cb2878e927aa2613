"""Backward to where a unit came from, forward to where it went, and what it met (domain §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, Protocol

from coldchain.domain.contacts import Contact, contacts
from coldchain.domain.identifiers import IdentifierError, subject_name
from coldchain.domain.tracing import Hop, Movements, backward, forward
from coldchain.services.moments import moment_us, rfc3339, rfc3339_or_none


class TraceSource(Movements, Protocol):
    """Movements, and the recorded events behind them."""

    def named(self, name: str) -> bool:
        """Whether any event names it."""
        ...

    def events(self, keys: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """By event key: `event`, `action`, `step`, `time_us`, `by`, `entry` and more of each."""
        ...


def trace(source: TraceSource, identifier: str, at_us: int | None = None) -> dict[str, Any] | None:
    """The trace document of one unit, place, lot or container; None where no event names it.

    identifier: any spelling of it. at_us: forward from then on, backward up to then; None: over all time. Each hop and
    contact says in `why` what was recorded and in `entries` where the ledger holds it.
    """
    name = canonical_name(identifier)
    if name is None or not source.named(name):
        return None
    onward = forward(name, source, at_us)
    back = backward(name, source, at_us)
    met = contacts(name, onward, source, at_us)
    reasons = [*(hop.why for hop in (*onward.values(), *back.values())), *(contact.why for contact in met)]
    events = source.events({key for why in reasons for key in why})
    return {
        "id": name,
        "at": rfc3339_or_none(at_us),
        "backward": [_hop(hop, events) for hop in sorted(back.values(), key=lambda hop: (hop.from_us, hop.unit))],
        "forward": [_hop(hop, events) for hop in sorted(onward.values(), key=lambda hop: (hop.from_us, hop.unit))],
        "contacts": [_contact(contact, events) for contact in met],
        "hidden": 0,
    }


_PARTS = ("backward", "forward", "contacts")


def names_in(document: Mapping[str, Any]) -> set[str]:
    """Every unit and place a trace document speaks of."""
    return {one[name] for part in _PARTS for one in document[part] for name in ("unit", "via", "where") if name in one}


def restricted(document: Mapping[str, Any], seen: Set[str], owns: Callable[[str, int], bool]) -> dict[str, Any]:
    """The trace as far as every unit in it is among `seen`, and every place was one's own by then; `hidden`: how many
    hops and contacts that leaves out."""
    shown = {document["id"], *seen}

    def may_tell(one: Mapping[str, Any]) -> bool:
        named = {one[name] for name in ("unit", "via", "where") if name in one} - shown
        return all(owns(name, moment_us(one["from"])) for name in named)

    told = {part: [one for one in document[part] if may_tell(one)] for part in _PARTS}
    hidden = sum(len(document[part]) - len(told[part]) for part in _PARTS)
    return {**document, **told, "hidden": hidden}


def canonical_name(identifier: str) -> str | None:
    """The subject name, or None for what can be nobody's name."""
    try:
        return subject_name(identifier)
    except IdentifierError:
        return None


_HOW = {"in": "was in", "holds": "held", "becomes": "is linked by transformation to"}


def _hop(hop: Hop, events: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "unit": hop.unit,
        "via": hop.via,
        "from": rfc3339(hop.from_us),
        "to": rfc3339_or_none(hop.to_us),
        "whole": hop.whole,
        "why": f"{_HOW[hop.how]} {hop.via}: {_sentence(hop.why, events)}",
        "entries": _entries(hop.why, events),
    }


def _contact(contact: Contact, events: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "grade": contact.grade,
        "unit": contact.unit,
        "where": contact.via,
        "from": rfc3339(contact.from_us),
        "to": rfc3339_or_none(contact.to_us),
        "why": _sentence(contact.why, events),
        "entries": _entries(contact.why, events),
    }


def _sentence(keys: Iterable[str], events: Mapping[str, Mapping[str, Any]]) -> str:
    said = (
        f"{event['action'] or event['kind']} {event['step']} at {rfc3339(event['time_us'])} (entry {event['entry']})"
        for event in (events[key] for key in keys if key in events)
    )
    return "; ".join(said)


def _entries(keys: Iterable[str], events: Mapping[str, Mapping[str, Any]]) -> list[int]:
    return sorted(events[key]["entry"] for key in keys if key in events)
