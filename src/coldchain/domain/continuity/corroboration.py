"""What alone stays a suspicion is confirmed by a fact of another kind (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from coldchain.domain.continuity.model import Opportunity

CORROBORATES: Mapping[str, frozenset[str]] = {
    "B5": frozenset(("P5", "B3")),
    "P5": frozenset(("P2", "B3")),
    "P7": frozenset(("P2", "P4", "P5", "B3")),
}
"""Door: a count, weight or seal. Count or weight: a case read missing or extra, or a seal. Off its vehicle: an
aggregation, a count or weight, or a seal. A misread seal number is no fact of another kind."""


def is_corroborating(it: Opportunity) -> bool:
    """Whether it is a fact that stands for something: a seal that may only be misread does not."""
    return it.code in ("P2", "P4", "P5") or (it.code == "B3" and it.confirmed)


def corroborated(its: Iterable[Opportunity], beside: Sequence[Opportunity]) -> list[Opportunity]:
    """The opportunities, with those of them confirmed that something in `beside` bears out at an overlapping time.

    beside: what was found, before any corroboration, on the unit itself, on what it rode in and on what rode in it.
    """
    result = []
    for it in its:
        kinds = CORROBORATES.get(it.code, frozenset())
        by = [
            other
            for other in beside
            if other.code in kinds and is_corroborating(other) and other.overlaps(it) and not it.confirmed
        ]
        result.append(_confirmed(it, by) if by else it)
    return result


def _confirmed(it: Opportunity, by: Sequence[Opportunity]) -> Opportunity:
    told = sorted({f"{other.code} of {other.subject} bears it out" for other in by})
    why = tuple(sorted({*it.why, *(key for other in by for key in other.why)}))
    return it._replace(confirmed=True, askable=True, lacks="", why=why, seen=(*it.seen, *told))
