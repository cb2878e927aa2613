"""The rules of domain §3 read a second time, slowly: every question is asked of the whole sorted list of events anew.

Nothing is shared with the rules but which events stand. P2 by tags has a second reading of its own
(tests/unit/test_continuity.py). Sites are not registered in these worlds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Any, NamedTuple

from coldchain.domain.events import Event, identified, in_force
from coldchain.services.recorded import Recorded

MINUTE = 60_000_000
CLOCK = 30 * MINUTE


class Break(NamedTuple):
    """What is seen on a unit, before anything bears it out."""

    code: str
    subject: str
    channel: str
    from_us: int
    to_us: int
    sure: bool
    askable: bool
    about: frozenset[str]
    """What a claim must speak of."""
    cases: frozenset[str] = frozenset()
    """Cases a claim that lists cases must list."""


def is_load(name: str) -> bool:
    return name.startswith(("sscc:", "hu:"))


def is_carrier(name: str) -> bool:
    return name.startswith(("veh:", "cont:"))


def place(event: Event) -> str:
    return event.read_point or event.location


def make(code: str, unit: str, channel: str, from_us: int, to_us: int, sure: bool, also: Iterable[str] = ()) -> Break:
    return Break(code, unit, channel, from_us, to_us, sure, sure, frozenset({unit, *also}))


def history(facts: Iterable[Recorded]) -> list[Event]:
    standing, disputed = in_force(identified(one, item.entry.by) for item in facts for one in item.events)
    return [event for event in standing if event.key not in disputed]


# Seals


def seal_facts(events: Sequence[Event], unit: str) -> list[tuple[int, int, str, str, Event]]:
    """(time, order of acts, number, state, event) about one unit."""
    acts = ("applied", "checked", "removed")
    found = {
        (e.time_us, acts.index(item["act"]), item["seal"], item.get("state", ""), e.key, e.by): e
        for e in events
        for item in e.extra("seals") or ()
        if item["unit"] == unit
    }
    return [
        (*key[:4], found[key]) for key in sorted(found, key=lambda k: (k[0], k[1], unit, k[2], acts[k[1]], k[3], k[4]))
    ]


def near(a: str, b: str) -> bool:
    return a != b and len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1


def worn_before(facts: Sequence[tuple[int, int, str, str, Event]], at: int) -> set[str]:
    worn: set[str] = set()
    for _, act, number, _, _ in facts[:at]:
        if act == 0:
            worn.add(number)
        elif act == 2:
            alike = [seal for seal in worn if near(seal, number)]
            worn -= {number} if number in worn else set(alike if len(alike) == 1 else ())
    return worn


def seals_broken(events: Sequence[Event], unit: str) -> list[Break]:
    facts = seal_facts(events, unit)
    found = []
    for at, (time_us, act, number, state, _) in enumerate(facts):
        worn = worn_before(facts, at)
        if act == 0 or not worn:
            continue
        since = facts[at - 1][0]
        if state in ("broken", "absent") and number in worn:
            found.append(make("B3", unit, number, since, time_us, True))
        elif state not in ("broken", "absent") and number not in worn:
            sure = not any(near(seal, number) for seal in worn)
            found.append(make("B3", unit, number, since, time_us, sure)._replace(askable=True))
    return found


# Boards, counts, weights


def steady(looks: Sequence[tuple[Any, int, str, str]], agree: Any) -> list[tuple[Any, Any, int, int, bool]]:
    """(before, after, from, to, sure) of changes in (value, time, point, kind); kind `new` declares, `end` forgets."""
    found = []
    at = 0
    while at < len(looks):
        if looks[at][3] == "end":
            at += 1
            continue
        base = at
        doubt: list[int] = []
        nxt = base + 1
        while nxt < len(looks) and looks[nxt][3] not in ("new", "end"):
            value = looks[nxt][0]
            if agree(looks[base][0], value):
                base, doubt = nxt, []
            else:
                if doubt and not agree(looks[doubt[0]][0], value):
                    doubt = []
                doubt.append(nxt)
                if len({looks[i][2] for i in doubt}) > 1:
                    break
            nxt += 1
        sure = len({looks[i][2] for i in doubt}) > 1
        ended = nxt >= len(looks) or looks[nxt][3] == "end"
        if doubt and (sure or ended):
            found.append((looks[base][0], looks[doubt[0]][0], looks[base][1], looks[doubt[0]][1], sure))
        at = nxt if nxt > at else at + 1
    return found


def boards_changed(events: Sequence[Event], unit: str) -> list[Break]:
    looks: list[tuple[Any, int, str, str]] = []
    before = ""
    for e in sorted(events, key=lambda e: (e.time_us, e.action != "ADD", e.extra("board") or "")):
        grai = e.extra("board")
        loads = [e.parent] if is_load(e.parent) else [u for u in e.units if is_load(u)]
        if grai is None or unit not in loads:
            continue
        linked = e.extra("linkedFrom") or ()
        looks.append((grai, e.time_us, place(e) or e.key, "new" if e.action == "ADD" and before in linked else ""))
        before = grai
    return [
        make("P1", unit, "", from_us, to_us, sure, (old, new))
        for old, new, from_us, to_us, sure in steady(looks, lambda a, b: a == b)
    ]


def said_count(e: Event, unit: str) -> int | None:
    mine = e.parent == unit or (e.units == (unit,) and not is_load(e.parent))
    if mine and e.extra("count") is not None:
        return int(e.extra("count"))
    if mine and e.action == "OBSERVE" and e.parent == unit and e.quantities:
        return sum(quantity.amount_milli for quantity in e.quantities) // 1000
    return None


def drifted(events: Sequence[Event], unit: str) -> list[Break]:
    """Between two events that put on or take off: figures against the one that holds since the first of them."""
    mine = [e for e in events if unit in (e.parent, *e.units)]
    cuts = [
        i for i, e in enumerate(mine) if e.parent == unit and e.kind == "AggregationEvent" and e.action != "OBSERVE"
    ]
    found: list[Break] = []
    base: int | None = None
    for first, last in zip([-1, *cuts], [*cuts, len(mine)], strict=True):
        start = mine[first] if first >= 0 else None
        if start is not None:
            base = after(base, start, unit)
        stretch = mine[first + 1 : last]
        counts = [(e, n) for e in stretch if (n := said_count(e, unit)) is not None]
        found += [*against(unit, base, start, counts)]
        found += weighed(unit, stretch, base, counts)
        if base is None and counts:
            base = counts[0][1]
    return found


def after(base: int | None, e: Event, unit: str) -> int | None:
    stated = said_count(e, unit)
    if stated is not None:
        return stated
    number = (
        sum(u.startswith("case:") for u in e.units) + sum(quantity.amount_milli for quantity in e.quantities) // 1000
    )
    if e.action == "DELETE" and not e.units and not e.quantities:
        return 0
    if not number:
        return None
    if e.action == "ADD":
        return (base or 0) + number
    return None if base is None else base - number


def against(unit: str, base: int | None, start: Event | None, counts: Sequence[tuple[Event, int]]) -> list[Break]:
    since = start.time_us if start is not None else 0
    if base is None and counts:
        base, since = counts[0][1], counts[0][0].time_us
    agreeing = [i for i, (_, n) in enumerate(counts) if n == base]
    off = counts[agreeing[-1] + 1 if agreeing else 0 :]
    since = counts[agreeing[-1]][0].time_us if agreeing else since
    if base is None or not off:
        return []
    if any(a.by != b.by and n == m for (a, n), (b, m) in combinations(off, 2)):
        return [make("P2", unit, "count", since, off[0][0].time_us, True)]
    if any(abs(n - base) > max(1, base * 0.005) for _, n in off):
        return [make("P5", unit, "count", since, off[0][0].time_us, False)]
    return []


def weighed(unit: str, stretch: Sequence[Event], base: int | None, counts: Sequence[tuple[Event, int]]) -> list[Break]:
    """Half a percent, or a case where it was known by then how many there are."""
    kilos = [(e, e.extra("grossWeight")["value"]) for e in stretch if e.parent == unit and e.extra("grossWeight")]
    if not kilos:
        return []
    right = kilos[0][1]

    def fits(e: Event, kg: float) -> bool:
        by_then = [n for o, n in counts if stretch.index(o) <= stretch.index(e)]
        cases = base if base is not None else next(iter(by_then), None)
        return bool(abs(kg - right) <= max(right * 0.005, right / cases if cases else 0))

    last = max(i for i, (e, kg) in enumerate(kilos) if fits(e, kg))
    off = [e for e, _ in kilos[last + 1 :]]
    return [make("P5", unit, "weight", kilos[last][0].time_us, off[0].time_us, False)] if off else []


# Places, parents, what it rides in


def in_two_parents(events: Sequence[Event], unit: str) -> list[Break]:
    named = [e for e in events if unit in e.units and e.parent not in ("", unit) and e.action]
    cuts = [i for i, e in enumerate(named) if e.action != "OBSERVE"]
    found = []
    for first, last in zip([-1, *cuts], [*cuts, len(named)], strict=True):
        said = [e for e in named[max(first, 0) : last] if e.action != "DELETE"]
        for here, there in combinations(sorted({e.parent for e in said}), 2):
            a, b = ([e.time_us for e in said if e.parent == one] for one in (here, there))
            if here.partition(":")[0] != there.partition(":")[0]:
                continue
            both = len(a) > 1 and len(b) > 1 and min(a[-1], b[-1]) - max(a[0], b[0]) > CLOCK
            amid = any(y[0] + CLOCK < t < y[-1] - CLOCK for x, y in ((a, b), (b, a)) for t in x)
            if both or amid:
                times = sorted(a + b)
                found.append(make("P6", unit, f"parents {here} {there}", times[0], times[-1], both, (here, there)))
    return found


def off_its_vehicle(events: Sequence[Event], unit: str) -> list[Break]:
    moves = [e for e in events if unit in e.units and is_carrier(e.parent) and e.action in ("ADD", "DELETE")]
    rides = [
        (a.time_us, b.time_us, a.parent)
        for a, b in pairwise(moves)
        if (a.action, b.action) == ("ADD", "DELETE") and a.parent == b.parent
    ]
    # what is loaded and loaded again into the same is one ride from the later loading on
    seen: dict[tuple[str, str], list[int]] = {}
    for e in events:
        read = e.action == "OBSERVE" and (e.parent == unit or (unit in e.units and not is_carrier(e.parent)))
        if read and place(e) and not place(e).startswith(("veh:", "cont:", "dev:")):
            ride = next((name for a, b, name in rides if a + CLOCK < e.time_us < b - CLOCK), None)
            if ride:
                seen.setdefault((place(e), ride), []).append(e.time_us)
    return [make("P7", unit, f"{at} {ride}", t[0], t[-1], False, (ride,)) for (at, ride), t in seen.items()]


def rides_in(e: Event, unit: str) -> tuple[str, str, str] | None:
    """(container, trailer, vehicle) as stated."""
    trailer = e.extra("trailer") or ""
    parent = e.parent if unit in e.units else ""
    found = parent if parent.startswith("cont:") else "", trailer, parent if parent.startswith("veh:") else ""
    return found if any(found) else None


def rides_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    level = next((i for i in range(3) if one[i] or other[i]), None)
    return level is None or not one[level] or not other[level] or one[level] == other[level]


def transloaded(events: Sequence[Event], unit: str) -> list[Break]:
    mine = [e for e in events if unit in (e.parent, *e.units)]
    looks: list[tuple[Any, int, str, str]] = []
    for e in mine:
        ride = rides_in(e, unit)
        put_down = any(name.startswith(("loc:", "room:")) for name in (e.parent, place(e)))
        aboard = looks[-1][0] if looks and looks[-1][3] != "end" else None
        leaves = aboard and any(
            o.action == "DELETE" and o.parent in aboard and is_carrier(o.parent) and 0 < o.time_us - e.time_us <= CLOCK
            for o in mine
        )
        if (put_down or leaves) and (ride is None or e.action == "ADD"):
            looks.append((None, e.time_us, "", "end"))
        if ride is not None:
            looks.append((ride, e.time_us, e.key, ""))
            if e.action == "DELETE" and is_carrier(e.parent):
                looks.append((None, e.time_us, "", "end"))
    return [
        make("B4", unit, "", from_us, to_us, sure, (n for n in (*old, *new) if n))
        for old, new, from_us, to_us, sure in steady(looks, rides_alike)
    ]


# Other loads, cartons


def held_just_before(events: Sequence[Event], unit: str, at: int) -> set[str]:
    held: set[str] = set()
    for e in events[:at]:
        if e.kind == "AggregationEvent" and e.parent == unit and e.action == "ADD":
            held |= {u for u in e.units if u.startswith("case:")}
        elif e.kind == "AggregationEvent" and e.parent == unit and e.action == "DELETE":
            held -= set(e.units) or held
        elif e.kind == "AggregationEvent" and is_load(e.parent) and e.action == "ADD":
            held -= set(e.units)
    return held


def packed_onto_others(events: Sequence[Event], unit: str) -> list[Break]:
    found = []
    for other in sorted({e.parent for e in events if is_load(e.parent)} - {unit}):
        tags: set[str] = set()
        points: set[str] = set()
        first, whole, since = None, 0, 0
        for at, e in enumerate(events):
            if e.kind != "AggregationEvent":
                continue
            if e.parent == unit and e.action == "OBSERVE" and len(points) < 2:
                tags -= set(e.units)
            if e.parent != other or e.action == "DELETE":
                continue
            held = held_just_before(events, unit, at)
            taken = held & set(e.units) if e.action == "ADD" else set()
            if taken and first is None:
                first, whole = e, len(held)
                since = max((o.time_us for o in events[:at] if o.parent == unit), default=0)
            tags |= taken
            if first is not None and tags & set(e.units):
                points.add(e.key if e.action == "ADD" else place(e))
        linked = any(other in (e.parent, *e.units) and {unit, *tags} & set(e.extra("linkedFrom") or ()) for e in events)
        if first is not None and tags and not linked:
            sure = len(points) > 1
            code = "P3" if len(tags) * 2 > whole else "P4"
            one = make(code, unit, other, since, first.time_us, sure, (other, *(tags if sure else ())))
            found.append(one._replace(cases=frozenset(tags if sure else ())))
    return found


def inner_of(e: Event, unit: str) -> set[str]:
    return {name for item in e.extra("cartons") or () if item["case"] == unit for name in item.get("inner", ())}


def cartons_opened(events: Sequence[Event], unit: str) -> list[Break]:
    told = [e for e in events if unit in e.units or inner_of(e, unit)]
    first_inner = next((inner_of(e, unit) for e in told if inner_of(e, unit)), set())
    known = next((i for i, e in enumerate(told) if inner_of(e, unit)), len(told))
    start = 0

    def marks(upto: int) -> list[tuple[int, bool]]:
        found = []
        for i in range(start, upto):
            state = [item.get("state", "") for item in told[i].extra("cartons") or () if item["case"] == unit]
            found += [(i, False) for one in state if one not in ("", "intact")]
            within = inner_of(told[i], unit)
            found += [(i, True)] if i > known and within and first_inner - within else []
        return found

    def sure(found: Sequence[tuple[int, bool]]) -> bool:
        looks = [told[i] for i, _ in found]
        points = {place(e) or e.key for e in looks}
        return any(certain for _, certain in found) or len(points) > 1 or len({e.by for e in looks}) > 1

    for i, e in enumerate(told):
        intact = any(item["case"] == unit and item.get("state") == "intact" for item in e.extra("cartons") or ())
        if intact and not sure(marks(i + 1)):
            start = i + 1
    found = marks(len(told))
    if not found:
        return []
    at = found[0][0]
    since = told[at - 1].time_us if at > 0 else told[at].time_us
    return [make("B1", unit, "", since, told[at].time_us, sure(found))]


def cartons_swapped(events: Sequence[Event], unit: str) -> list[Break]:
    mine = [e for e in events if inner_of(e, unit)]
    found = []
    others = sorted({item["case"] for e in events for item in e.extra("cartons") or ()} - {unit})
    for other in others if mine else ():
        came = [e for e in events if inner_of(e, other) and e.time_us < mine[0].time_us]
        moved = {n for e in came for n in inner_of(e, other)} & {n for e in mine for n in inner_of(e, unit)}
        linked = any(unit in e.units and {other, *moved} & set(e.extra("linkedFrom") or ()) for e in events)
        if moved and not linked:
            sure = len(moved) > 1 or sum(bool(moved & inner_of(e, unit)) for e in mine) > 1
            found.append(make("B2", unit, other, came[-1].time_us, mine[0].time_us, sure, (other,)))
    issues = [e for e in events if e.kind == "ObjectEvent" and e.action == "ADD" and unit in e.units]
    again: dict[int, Break] = {}
    for a, b in pairwise(issues):
        one = make("B2", unit, "issued again", a.time_us, b.time_us, b.time_us - a.time_us > CLOCK)
        known = again.get(a.time_us)
        again[a.time_us] = one if known is None else max(known, one, key=lambda it: (it.sure, it.to_us))
    return found + list(again.values())
