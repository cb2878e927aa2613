"""docs/temperature.md once more, slow and obvious: everything at once, no state, nothing remembered.

Written from the clauses alone; the tests compare what the server concludes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import exp
from typing import NamedTuple

from coldchain.domain.rulepacks import Quality, Stage

SECOND = 1_000_000
FAULTS = 3
Items = Mapping[int, int | None]
"""Time -> thousandths of a degree; None: a fault. One item a time."""
Flags = Mapping[int, bool]
"""Time -> whether the defrost ran, the door stood open."""
Span = tuple[int, int]


class Piece(NamedTuple):
    """One segment. limit: `high`, `low`, or "" where no limit is broken; extreme: the furthest reading beyond it."""

    from_us: int
    to_us: int | None
    state: str
    reason: str = ""
    limit: str = ""
    extreme: int | None = None
    confirmed_us: int | None = None
    critical_us: int | None = None


class Run(NamedTuple):
    limit: str
    first_us: int
    end_us: int | None
    """Its clearing reading; None: it lasts to the end of the known time."""
    extreme: int
    confirmed_us: int | None
    critical_us: int | None


def items_of(said: Iterable[tuple[int, int | None]]) -> dict[int, int | None]:
    """1.3"""
    found: dict[int, list[int]] = {}
    for t_us, mc in said:
        found.setdefault(t_us, [])
        if mc is not None:
            found[t_us].append(mc)
    return {t_us: max(values) if values else None for t_us, values in sorted(found.items())}


def without_spikes(items: Items, rule: Stage, quality: Quality) -> dict[int, int | None]:
    """1.4"""
    times = list(items)

    def is_spike(place: int) -> bool:
        if not 0 < place < len(times) - 1:
            return False
        around = [items[times[p]] for p in (place - 1, place, place + 1)]
        before, here, after = around
        if before is None or here is None or after is None:
            return False
        steps = [(here - before, times[place] - times[place - 1]), (here - after, times[place + 1] - times[place])]
        if steps[0][0] * steps[1][0] <= 0:
            return False
        return all(
            abs(mc) >= quality.spike_mc
            and abs(mc) * 60 * SECOND > quality.spike_mc_per_min * us
            and us <= rule.max_gap_s * SECOND
            for mc, us in steps
        )

    return {t_us: None if is_spike(place) else items[t_us] for place, t_us in enumerate(times)}


def stuck_spans(items: Items, siblings: Sequence[Items], rule: Stage, quality: Quality) -> list[Span]:
    """4.2, over readings: a fault between them does not make them differ."""
    readings = [(t_us, mc) for t_us, mc in items.items() if mc is not None]
    found: list[Span] = []
    group: list[tuple[int, int]] = []
    for t_us, mc in [*readings, (2**62, None)]:
        if group and mc == group[-1][1] and t_us - group[-1][0] <= rule.max_gap_s * SECOND:
            group.append((t_us, mc))
            continue
        if len(group) >= quality.stuck_samples:
            from_us, to_us = group[0][0], group[-1][0]
            for sibling in siblings:
                meanwhile = [v for t, v in sibling.items() if v is not None and from_us <= t <= to_us]
                if meanwhile and max(meanwhile) - min(meanwhile) >= quality.stuck_move_mc:
                    found.append((from_us, to_us))
                    break
        group = [(t_us, mc)] if mc is not None else []
    return found


def flags_of(said: Iterable[tuple[int, bool]]) -> dict[int, bool]:
    """3.4: of two samples at one time, yes counts."""
    found: dict[int, bool] = {}
    for t_us, is_on in said:
        found[t_us] = found.get(t_us, False) or is_on
    return found


def openings(flags: Flags, cap_s: int, max_gap_s: int) -> list[Span]:
    """3.4: what of each opening makes the timers stand still."""
    times = sorted(flags)
    found: list[list[int]] = []
    for place, t_us in enumerate(times):
        if not flags[t_us]:
            continue
        end_us = t_us + max_gap_s * SECOND
        if place + 1 < len(times):
            end_us = min(end_us, times[place + 1])
        if found and found[-1][1] == t_us:
            found[-1][1] = end_us
        else:
            found.append([t_us, end_us])
    return [(from_us, min(to_us, from_us + cap_s * SECOND)) for from_us, to_us in found if cap_s]


def stood_still(spans: Sequence[Span], from_us: int, to_us: int) -> int:
    """Microseconds covered by any of the spans."""
    total, reached = 0, from_us
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, to_us)
        if start < end:
            total += end - start
            reached = end
    return total


def runs_of(stretch: Sequence[tuple[int, int]], still: Sequence[Span], rule: Stage) -> list[Run]:
    """3.1 to 3.5 over the readings of one stretch of known time."""
    found = []
    limits = [("high", 1, rule.limit_mc)] + ([("low", -1, rule.low_mc)] if rule.low_mc is not None else [])
    for limit, sign, edge in limits:
        place = 0
        while place < len(stretch):
            if sign * (stretch[place][1] - edge) <= 0:
                place += 1
                continue
            first_us = stretch[place][0]
            confirmed_us = critical_us = far_us = None
            extremes = []
            while place < len(stretch):
                t_us, mc = stretch[place]
                beyond = sign * (mc - edge)
                if beyond <= (0 if confirmed_us is None else -rule.hysteresis_mc):
                    break
                extremes.append(sign * mc)
                counted_us = t_us - first_us - stood_still(still, first_us, t_us)
                far_us = None if beyond <= rule.tolerance_mc else t_us if far_us is None else far_us
                far_counted_us = -1 if far_us is None else t_us - far_us - stood_still(still, far_us, t_us)
                long = max(rule.consecutive_s, rule.tolerance_s) if rule.tolerance_mc else rule.consecutive_s
                if counted_us >= long * SECOND or far_counted_us >= rule.consecutive_s * SECOND:
                    confirmed_us = t_us if confirmed_us is None else confirmed_us
                if confirmed_us is not None and rule.critical_s is not None and counted_us >= rule.critical_s * SECOND:
                    critical_us = t_us if critical_us is None else critical_us
                place += 1
            end_us = stretch[place][0] if place < len(stretch) else None
            found.append(Run(limit, first_us, end_us, sign * max(extremes), confirmed_us, critical_us))
    return sorted(found, key=lambda run: run.first_us)


def pieces(
    items: Items, rule: Stage, now_us: int, *, still: Sequence[Span] = (), stuck: Sequence[Span] = ()
) -> list[Piece]:
    """Every segment of one probe, the open one last."""
    readings = [(t_us, mc) for t_us, mc in items.items() if mc is not None]
    if not items:
        return []
    if not readings:
        return [Piece(min(items), None, "unknown", "fault")]
    found: list[Piece] = []
    if min(items) < readings[0][0]:
        found.append(Piece(min(items), readings[0][0], "unknown", "fault"))
    stretch = readings[:1]
    for before, after in zip(readings, [*readings[1:], None], strict=True):
        end_us = max(now_us, *items) if after is None else after[0]
        reason = _unknown(before[0], end_us, items, rule, stuck)
        if after is None and not reason and any(start < before[0] <= end for start, end in stuck):
            reason = "stuck"  # 2.4: until it moves
        if after is not None and not reason:
            stretch.append(after)
            continue
        goes_on = after is None and not reason
        found += _known(stretch, still, rule, goes_on=goes_on)
        if not goes_on:
            found.append(Piece(before[0], None if after is None else after[0], "unknown", reason))
        stretch = [after] if after is not None else []
    return _joined(found)


def _unknown(from_us: int, to_us: int, items: Items, rule: Stage, stuck: Sequence[Span]) -> str:
    """2.1, 2.2: why the time from one reading to the next, or to now, is unknown; "" where it is known."""
    if sum(1 for t_us, mc in items.items() if mc is None and from_us < t_us <= to_us) >= FAULTS:
        return "fault"
    if any(start <= from_us and to_us <= end for start, end in stuck):
        return "stuck"
    return "gap" if to_us - from_us > rule.max_gap_s * SECOND else ""


def _known(stretch: Sequence[tuple[int, int]], still: Sequence[Span], rule: Stage, *, goes_on: bool) -> list[Piece]:
    """2.3 of one stretch. A lone reading makes nothing known: nothing follows it yet."""
    if len(stretch) < 2:
        return []
    end_us = None if goes_on else stretch[-1][0]
    found: list[Piece] = []
    at_us: int | None = stretch[0][0]
    for run in runs_of(stretch, still, rule):
        piece = _piece(run, end_us if run.end_us is None else run.end_us, stretch[0][0], goes_on=goes_on)
        if piece is None:
            continue
        if at_us is not None and at_us < run.first_us:
            found.append(Piece(at_us, run.first_us, "in_range"))
        found.append(piece)
        at_us = run.end_us
    if at_us is not None and at_us != end_us:
        found.append(Piece(at_us, end_us, "in_range"))
    return found


def _piece(run: Run, to_us: int | None, begin_us: int, *, goes_on: bool) -> Piece | None:
    """3.3: a breach; unknown where a run was not confirmed and nobody knows how long it lasted; else none."""
    if run.confirmed_us is not None:
        return Piece(run.first_us, to_us, "breach", "", run.limit, run.extreme, run.confirmed_us, run.critical_us)
    if run.first_us == begin_us or (run.end_us is None and not goes_on):
        return Piece(run.first_us, to_us, "unknown", "gap")
    return None


def _joined(found: Sequence[Piece]) -> list[Piece]:
    """Unknown after unknown is one: of its reasons fault counts most, then stuck."""
    joined: list[Piece] = []
    for piece in found:
        if joined and joined[-1].state == piece.state == "unknown":
            reasons = {joined[-1].reason, piece.reason}
            reason = next(one for one in ("fault", "stuck", "gap") if one in reasons)
            joined[-1] = joined[-1]._replace(to_us=piece.to_us, reason=reason)
        else:
            joined.append(piece)
    return joined


def behind(arrivals: Iterable[Span]) -> list[tuple[int, int | None, int]]:
    """4.5: (from, to, by how much at least) of each stretch of days that tells of a clock that is behind.

    arrivals: when each message was recorded, and its newest sample.
    """
    day_us, hour_us = 86_400 * SECOND, 3_600 * SECOND
    late_on: dict[int, list[Span]] = {}
    for at_us, newest_us in arrivals:
        late_on.setdefault(at_us // day_us, []).append((at_us % day_us, at_us - newest_us))
    found: list[list[Span]] = [[]]
    """By stretch, its days: (number, least)."""
    for number, late in sorted(late_on.items()):
        least = min(late_us for _, late_us in late)
        quarters = {t_us // (hour_us // 4) for t_us, late_us in late if late_us <= least + 60 * SECOND}
        if least < hour_us:
            found.append([])
        elif len(quarters) >= 72:
            found[-1].append((number, least))
    ends = [(days[-1][0] + 1) * day_us if days else 0 for days in found]
    ends[-1] = 0
    return [
        (days[0][0] * day_us, to_us or None, min(least for _, least in days))
        for days, to_us in zip(found, ends, strict=True)
        if days
    ]


def kinetically_over(celsius: Mapping[int, float], limit: float, window: int) -> list[tuple[int, int]]:
    """6.3: (begin, minute in which it comes to more than it may) of every window that does. celsius: by minute."""

    def harm(value: float) -> float:
        return exp(-83_144 / 8.3144 / (value + 273.15))

    found = []
    for begin in sorted({minute // window * window for minute in celsius}):
        done = 0.0
        for minute in range(begin, begin + window):
            done += harm(celsius[minute]) if minute in celsius else 0.0
            if done > window * harm(limit) * (1 + 1e-9):
                found.append((begin, minute))
                break
    return found
