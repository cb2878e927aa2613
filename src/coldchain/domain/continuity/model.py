"""What every continuity rule works with: the numbers, the opportunity it finds, and what a pallet is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from coldchain.domain.events import Event

MINUTE_US = 60_000_000
SECOND_US = 1_000_000


class RulesError(ValueError):
    """Continuity rules that cannot be judged by; the text names the field, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of the numbers continuity is judged by; a verdict names the version (domain, head)."""

    version: str = "continuity-2026.1"
    number: int = 1
    """Of two versions in force at one time the higher counts."""
    from_us: int = 0
    """What happened from this time on is judged by it, until a later version's time."""
    cover_us: int = 10 * MINUTE_US
    """How far from an event a door may stand open and count as covered by it."""
    cross_read_us: int = 5 * MINUTE_US
    """How long before and after a strange tag's reads the same tag under its own pallet speaks against them."""
    lone_missing_points: int = 3
    """One missing tag and nothing else is a broken tag more often than a theft: read points without it to ask."""
    clock_us: int = 30 * MINUTE_US
    """By how much two parties' clocks may differ without anybody being accused."""
    drift_per_mille: int = 5
    drift_cases: int = 1
    """A count or weight may drift by the larger of these two before anybody wonders."""
    impossible_kmh: int = 150
    """Nothing travels faster than this between two registered places."""
    idle_us: int = 15 * MINUTE_US
    """How long a reefer may stand with its unit off on a sealed leg."""
    report_us: int = 30 * MINUTE_US
    """An emergency transload reported later than this is marked late."""


_SECONDS = ("cover", "cross_read", "clock", "idle", "report")
_NUMBERS = ("lone_missing_points", "drift_per_mille", "drift_cases", "impossible_kmh")
_HEAD = ("v", "kind", "name", "version", "from_us", "clause", "verified")
RULES_KIND = "continuity"


def parse_rules(stated: Mapping[str, Any]) -> Rules:
    """The rules of a TOML file or of a `rules` entry. Raises RulesError; unknown fields are errors too, for a number
    nobody applies is worse than none."""
    if stated.get("kind") != RULES_KIND:
        raise RulesError(f"kind: expected {RULES_KIND!r}, found {stated.get('kind')!r}")
    if unknown := sorted(stated.keys() - {*_HEAD, *(f"{name}_s" for name in _SECONDS), *_NUMBERS}):
        raise RulesError(f"unknown fields {', '.join(unknown)}")
    name = stated.get("name")
    if not isinstance(name, str) or not name:
        raise RulesError(f"name: expected a text, found {name!r}")
    if not isinstance(stated.get("clause"), str) or not isinstance(stated.get("verified"), bool):
        raise RulesError(f"{name}: expected a clause and whether it was verified")
    whole = {field: _whole(stated, field) for field in ("version", *(f"{one}_s" for one in _SECONDS), *_NUMBERS)}
    return Rules(
        version=f"{name}.{whole['version']}",
        number=whole["version"],
        from_us=_whole({"from_us": 0, **stated}, "from_us"),
        **{f"{one}_us": whole[f"{one}_s"] * SECOND_US for one in _SECONDS},
        **{field: whole[field] for field in _NUMBERS},
    )


def _whole(stated: Mapping[str, Any], field: str) -> int:
    value = stated.get(field)
    if type(value) is not int or not 0 <= value < 2**53:
        raise RulesError(f"{field}: expected a whole number from 0 on, found {value!r}")
    return value


class InForce:
    """The versions of the rules; each judges what began in its time, so that history keeps the rules of its day."""

    def __init__(self, versions: Iterable[Rules]) -> None:
        self._versions = sorted(versions, key=lambda one: one.number)
        if not self._versions:
            raise RulesError("no continuity rules at all")

    def at(self, t_us: int) -> Rules:
        """The highest version in force then; before the first one, the lowest."""
        return next((one for one in reversed(self._versions) if one.from_us <= t_us), self._versions[0])

    def find(self, rule: Callable[[Rules], Iterable[Opportunity]]) -> tuple[Opportunity, ...]:
        """What the rule finds, each by the version of its day."""
        return tuple(it for one in self._versions for it in rule(one) if self.at(it.from_us) == one)

    def __len__(self) -> int:
        return len(self._versions)

    @property
    def widest_cover_us(self) -> int:
        """How far from an opening an event may lie and bear on it, by any version."""
        return max(one.cover_us for one in self._versions)


class Opportunity(NamedTuple):
    """Something that happened to a unit in [from_us, to_us] and that no event declares."""

    code: str
    """`P1` … `P7`, `B1` … `B6`."""
    subject: str
    channel: str
    """Which door, seal, kind of count or, for B6, which code it is about; "" where the subject says all."""
    from_us: int
    """Last observation before it."""
    to_us: int | None
    """First observation that shows it; None while a door still stands open."""
    confirmed: bool
    """By a second read point, a scan, two parties' counts or a fact of another kind. Never by a door alone."""
    askable: bool
    """The holder is to be asked: confirmed well enough, or a question that alone accuses nobody (a misread seal)."""
    lacks: str
    """What is missing to confirm it or to ask."""
    extra: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    suspected: tuple[str, ...] = ()
    """Tags that deviate with it and are not confirmed yet."""
    units: tuple[str, ...] = ()
    """Other units it touches: what was aboard, the new number, the carton it came from."""
    places: tuple[str, ...] = ()
    holder: str = ""
    """Who held the unit when it was last whole."""
    why: tuple[str, ...] = ()
    """Event keys."""
    seen: tuple[str, ...] = ()
    """What was found, in short sentences."""
    drift: int = 0
    """Of a P5: -1 where fewer or lighter than before, 1 where more or heavier; 0 where it cannot be told."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a claim must speak of to bear on it: the pallet or cases of it; the vehicle or something aboard. A claim
        about a vehicle says nothing about every pallet in it."""
        return (self.subject, *self.extra, *self.missing, *self.units)

    @property
    def end_us(self) -> int:
        """Up to when it is known to last."""
        return self.from_us if self.to_us is None else self.to_us

    def overlaps(self, other: Opportunity) -> bool:
        return self.from_us <= other.end_us and other.from_us <= self.end_us


MAX_CHANNEL = 150
"""Characters; two names of places are longer, and a database keeps 160."""


def channel_of(text: str) -> str:
    """The text, or as much of its beginning as fits with its hash."""
    if len(text) <= MAX_CHANNEL:
        return text
    return f"{text[: MAX_CHANNEL - 33]}#{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def merged(its: Iterable[Opportunity]) -> tuple[Opportunity, ...]:
    """Sorted, one for each code, channel and start: what two events of one instant show is one opportunity."""
    found: dict[tuple[str, str, str, int], Opportunity] = {}
    shown = [it._replace(channel=channel_of(it.channel)) for it in its]
    for it in sorted(shown, key=lambda one: (one[:4], not one.confirmed, one.end_us, one.why)):
        known = found.get(it[:4])
        found[it[:4]] = it if known is None else _both(known, it)
    return tuple(found.values())


def _both(one: Opportunity, other: Opportunity) -> Opportunity:
    """The first, which is confirmed if either is, with what the second adds."""
    added: dict[str, Any] = {
        name: tuple(sorted({*getattr(one, name), *getattr(other, name)}))
        for name in ("extra", "missing", "suspected", "units", "places", "why", "seen")
    }
    return one._replace(to_us=max(one.end_us, other.end_us), askable=one.askable or other.askable, **added)


def is_pallet(name: str) -> bool:
    """A load whose case set is watched: with an SSCC, or a handling unit without one."""
    return name.startswith(("sscc:", "hu:"))


def is_carrier(name: str) -> bool:
    """What goods ride in."""
    return name.startswith(("veh:", "cont:"))


def point_of(event: Event) -> str:
    return event.read_point or event.location


def places_of(event: Event, unit: str) -> tuple[str, ...]:
    parent = "" if event.parent == unit else event.parent
    return tuple(name for name in (event.read_point, event.location, parent) if name)
