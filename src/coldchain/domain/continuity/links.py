"""New codes linked to the old ones: what makes repacking lawful (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coldchain.domain.events import Event
from coldchain.domain.identifiers import IdentifierError, subject_name


def names_in(stated: object) -> tuple[str, ...]:
    """The names a list of identifiers in any spelling means; what means none is left out."""
    found = set()
    for one in stated if isinstance(stated, list) else ():
        if isinstance(one, str) and one:
            try:
                found.add(subject_name(one))
            except IdentifierError:
                continue
    return tuple(sorted(found))


def linked_from(event: Event) -> frozenset[str]:
    """The old ids an event says its units come from: `linkedFrom`, or the inputs of a transformation."""
    return frozenset((*names_in(event.extra("linkedFrom")), *(event.inputs if event.outputs else ())))


def is_linked(events: Iterable[Event], old: Sequence[str], new: str) -> bool:
    """Whether any event about the new id names one of the old ones as where it comes from."""
    wanted = set(old)
    return any(
        new in (event.parent, *event.units, *event.outputs) and not wanted.isdisjoint(linked_from(event))
        for event in events
    )
