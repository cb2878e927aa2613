"""B3: the seal found at arrival is not one that was put on, or it is broken, absent or a duplicate (domain §3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from coldchain.domain.continuity.model import Opportunity, Rules
from coldchain.domain.events import Event
from coldchain.domain.identifiers import one_misread_apart
from coldchain.domain.identifiers.seals import UNNUMBERED
from coldchain.domain.seals import APPLIED, REMOVED, SealFact, seal_history


def seal_breaks(unit: str, events: Sequence[Event], rules: Rules) -> Iterable[Opportunity]:
    """What checks and removals find, against what was applied. Without a recorded application nothing is judged.

    A number one misread character away is asked about and is no break.
    """
    on: dict[str, SealFact] = {}
    last: SealFact | None = None
    for fact in seal_history(events):
        if fact.unit != unit:
            continue
        if fact.act != APPLIED and on and fact.seal != UNNUMBERED:
            yield from _judged(fact, on, last or fact)
        if fact.act == APPLIED and fact.seal != UNNUMBERED:
            on[fact.seal] = fact
        elif fact.act == REMOVED:
            on.pop(_nearest(fact, on), None)
        last = fact


def sealed_spans(unit: str, events: Sequence[Event]) -> list[tuple[int, int | None]]:
    """When the unit wore at least one seal."""
    on: set[str] = set()
    spans: list[tuple[int, int | None]] = []
    for fact in seal_history(events):
        if fact.unit != unit:
            continue
        if fact.act == APPLIED:
            if not on:
                spans.append((fact.time_us, None))
            on.add(fact.seal)
        elif fact.act == REMOVED and on:
            on.discard(fact.seal)
            if not on:
                spans[-1] = (spans[-1][0], fact.time_us)
    return spans


def _nearest(fact: SealFact, on: dict[str, SealFact]) -> str:
    """The seal meant: the one named, or the only one a misreading away."""
    if fact.seal in on:
        return fact.seal
    near = [seal for seal in on if one_misread_apart(seal, fact.seal)]
    return near[0] if len(near) == 1 else fact.seal


def _judged(fact: SealFact, on: dict[str, SealFact], last: SealFact) -> Iterable[Opportunity]:
    known = on.get(fact.seal)
    if known is not None and known.issuer and fact.issuer and known.issuer != fact.issuer:
        known = None
    if fact.state in ("broken", "absent", "duplicate"):
        # A seal nobody put on cannot be absent, and says nothing of the others by being broken.
        if known is not None or fact.state == "duplicate":
            yield _break(fact, on, last, f"found {fact.state}", True)
    elif known is None:
        misread = any(one_misread_apart(seal, fact.seal) for seal in on)
        yield _break(fact, on, last, f"found, where {', '.join(sorted(on))} had been put on", not misread)


def _break(fact: SealFact, on: dict[str, SealFact], last: SealFact, told: str, sure: bool) -> Opportunity:
    return Opportunity(
        code="B3",
        subject=fact.unit,
        channel=fact.seal,
        from_us=min(last.time_us, fact.time_us),
        to_us=fact.time_us,
        confirmed=sure,
        askable=True,
        lacks="" if sure else "the number read again: one character misread makes it the seal that was put on",
        holder=last.by,
        why=tuple(sorted({fact.key, last.key, *(one.key for one in on.values())})),
        seen=(f"seal {fact.seal} {told}",),
    )
