"""Example cases of a rule pack: readings, and the segments they must give; a specification anybody can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coldchain.domain import rulefields as read
from coldchain.domain.folding import judge
from coldchain.domain.pauses import DEFROST, DOORS, Samples, Told
from coldchain.domain.rulefields import RulePackError
from coldchain.domain.rulepacks import STAGES, Regime, RulePack
from coldchain.domain.temperature import Beside, Item, Segment, merged, open_segments

MINUTE_US = 60_000_000
_ORIGIN_US = 1_000_000 * MINUTE_US
"""Minute 0 of every case: later than no pack's `from_us` matters, for a case is judged by its own pack alone."""
_FIELDS = frozenset(("name", "stage", "readings", "defrost", "door", "now", "expect"))
_READINGS = re.compile(r"(\d+)(?:\.\.(\d+)/(\d+))?: (-|-?\d+(?:\.\d{1,3})?)")

_WINDOW = re.compile(r"(\d+)-(\d+)")
_PAUSES = {"defrost": DEFROST, "door": f"{DOORS}case"}
"""Field of a case -> name of the samples that tell of it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One example. Minutes and segments as docs/rules.md writes them."""

    name: str
    stage: str
    items: tuple[Item, ...]
    told: Told
    """Defrosts and openings."""
    now_us: int
    expect: tuple[str, ...]


def parse_case(stated: Any, where: str) -> Case:
    """A case from TOML. Raises RulePackError."""
    stated = read.an_object(stated, where)
    read.only(stated, _FIELDS, where)
    name = read.text(stated, "name", where)
    where = f"case {name!r}"
    stage = read.text(stated, "stage", where)
    if stage not in STAGES:
        raise RulePackError(f"{where}: stage: expected one of {', '.join(STAGES)}, found {stage!r}", "stage")
    readings = read.text(stated, "readings", where)
    items = merged(_items(readings, where))
    if not items:
        raise RulePackError(f"{where}: readings: expected at least one reading, found {readings!r}", "readings")
    newest = (items[-1][0] - _ORIGIN_US) // MINUTE_US
    now = read.integer({"now": newest, **stated}, "now", where, least=newest)
    told = {name: _windows(stated, field, where) for field, name in _PAUSES.items() if field in stated}
    return Case(name, stage, tuple(items), told, _ORIGIN_US + now * MINUTE_US, read.texts(stated, "expect", where))


def outcome(pack: RulePack, case: Case) -> tuple[str, ...]:
    """The segments that the pack gives, in the words of `expect`: `0-20 in_range`, `20- unknown gap`. Raises
    RulePackError where the pack does not know the stage."""
    stage = pack.stage_for(case.stage)
    if not stage:
        raise RulePackError(f"case {case.name!r}: stage: {pack.name} judges nothing in {case.stage}", "stage")
    schedule = (Regime(0, pack.name, pack.version, stage, pack.verified, pack.stages[stage], pack.quality),)
    beside = Beside(told=lambda _from_us, _to_us: case.told)
    state, segments = judge(schedule, None, case.items, beside)
    if state is not None:
        segments = segments + open_segments(pack.stages[stage], state, case.now_us, beside=beside)
    return tuple(map(_told, segments))


def _told(segment: Segment) -> str:
    to = "" if segment.to_us is None else _minute(segment.to_us)
    return f"{_minute(segment.from_us)}-{to} {segment.state} {segment.reason}".rstrip()


def _minute(t_us: int) -> str:
    return f"{(t_us - _ORIGIN_US) / MINUTE_US:g}"


def _items(text: str, where: str) -> Iterator[Item]:
    """`0: -20, 10..50/10: -17.5, 60: -`: minute, or from..to/every, and °C; `-` is a fault."""
    for part in text.split(","):
        found = _READINGS.fullmatch(part.strip())
        if found is None:
            expected = "expected MINUTE: °C or FROM..TO/EVERY: °C"
            raise RulePackError(f"{where}: readings: {expected}, found {part.strip()!r}", "readings")
        first, last, every, celsius = found.groups()
        mc = None if celsius == "-" else round(float(celsius) * 1_000)
        for minute in range(int(first), int(last or first) + 1, max(1, int(every or 1))):
            yield _ORIGIN_US + minute * MINUTE_US, mc


def _windows(stated: Mapping[str, Any], field: str, where: str) -> Samples:
    """`10-35, 60-70`: from one minute to another, told of every minute."""
    samples: dict[int, bool] = {}
    for part in read.text(stated, field, where).split(","):
        found = _WINDOW.fullmatch(part.strip())
        if found is None or int(found[1]) >= int(found[2]):
            raise RulePackError(f"{where}: {field}: expected FROM-TO in minutes, found {part.strip()!r}", field)
        first, last = int(found[1]), int(found[2])
        samples |= {_ORIGIN_US + minute * MINUTE_US: minute < last for minute in range(first, last + 1)}
    return sorted(samples.items())


def failures(pack: RulePack, cases: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """(case, expected, found) of those that come out otherwise. Raises RulePackError for one that cannot be read."""
    read_cases = [parse_case(stated, f"{pack.name} case {place}") for place, stated in enumerate(cases, 1)]
    results = [(case.name, case.expect, outcome(pack, case)) for case in read_cases]
    return [result for result in results if result[1] != result[2]]
