"""What changes: between two versions of rules, field by field; and among verdicts, where other rules judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

_FOREVER_US = 2**62


class Lane(NamedTuple):
    """Verdicts of one rule about one thing."""

    rule: str
    subject: str
    channel: str


class Verdict(NamedTuple):
    """One conclusion, as far as two sets of rules may differ about it."""

    lane: Lane
    from_us: int
    to_us: int | None
    verdict: str
    critical: bool = False


class Change(NamedTuple):
    """One conclusion that differs."""

    kind: str
    """`new`, `gone`, `moved` (other times), `graver` or `milder` (the same time, critical or no more)."""
    before: Verdict | None
    after: Verdict | None

    @property
    def lane(self) -> Lane:
        one = self.after or self.before
        assert one is not None, "a change has two sides, one of them told"
        return one.lane

    @property
    def from_us(self) -> int:
        return min(one.from_us for one in (self.before, self.after) if one is not None)

    @property
    def to_us(self) -> int | None:
        """None while one of the two lasts."""
        ends = [one.to_us for one in (self.before, self.after) if one is not None]
        return None if None in ends else max(end for end in ends if end is not None)


def changes(before: Iterable[Verdict], after: Iterable[Verdict]) -> list[Change]:
    """By time. A verdict that overlaps one of the same rule, thing and kind that is there no more has moved."""
    old, new = set(before), set(after)
    gone = sorted(old - new, key=_order)
    fresh = sorted(new - old, key=_order)
    found: list[Change] = []
    for one in gone:
        match = next((other for other in fresh if _overlaps(one, other)), None)
        if match is None:
            found.append(Change("gone", one, None))
            continue
        fresh.remove(match)
        kind = "moved" if (one.from_us, one.to_us) != (match.from_us, match.to_us) else "milder"
        found.append(Change("graver" if kind == "milder" and match.critical else kind, one, match))
    found += (Change("new", None, one) for one in fresh)
    return sorted(found, key=lambda change: (change.from_us, change.lane, change.kind))


def _order(one: Verdict) -> tuple[Any, ...]:
    return one.lane, one.from_us, one.to_us is None, one.to_us, one.verdict


def _overlaps(one: Verdict, other: Verdict) -> bool:
    if one.lane != other.lane or one.verdict != other.verdict:
        return False
    return one.from_us < (other.to_us or _FOREVER_US) and other.from_us < (one.to_us or _FOREVER_US)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(field, old, new) wherever two documents differ; None where one does not state it."""
    before, after = dict(_fields(old, "")), dict(_fields(new, ""))
    names = [*before, *(name for name in after if name not in before)]
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _fields(stated: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(stated, Mapping):
        for name, value in stated.items():
            yield from _fields(value, f"{path}.{name}" if path else str(name))
    elif isinstance(stated, list) and any(isinstance(one, Mapping) for one in stated):
        for place, one in enumerate(stated, 1):
            yield from _fields(one, f"{path}[{place}]")
    else:
        yield path, stated
