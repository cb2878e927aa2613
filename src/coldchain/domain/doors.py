"""B5: a vehicle's door open with goods aboard and no event that covers it, or outside every permitted place; or its
refrigeration unit off at a stop under seal (domain §3): suspicion, never proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.domain.continuity import Opportunity, Rules
from coldchain.domain.continuity.model import MINUTE_US, channel_of


class Window(NamedTuple):
    """A door seen open from `from_us`, and closed again at `to_us`; None: not seen closed yet."""

    from_us: int
    to_us: int | None
    seen_us: int
    """Last time it was seen open. Silence does not extend an opening, but only a closed door ends it."""


def windows(samples: Iterable[tuple[int, bool]]) -> list[Window]:
    """Openings from (time, open) samples in any order; two answers at one instant count as open."""
    state: dict[int, bool] = {}
    for t_us, is_open in samples:
        state[t_us] = state.get(t_us, False) or is_open
    found: list[Window] = []
    since: int | None = None
    last = 0
    for t_us in sorted(state):
        if state[t_us]:
            since = t_us if since is None else since
            last = t_us
        elif since is not None:
            found.append(Window(since, t_us, last))
            since = None
    if since is not None:
        found.append(Window(since, None, last))
    return found


def uncovered(
    vehicle: str,
    door: str,
    window: Window,
    aboard: Sequence[str],
    event_times: Iterable[int],
    rules: Rules,
    *,
    outside: bool = False,
) -> Opportunity | None:
    """The opportunity this opening gave, or None where nothing was aboard or an event of the vehicle or of a unit
    aboard lies within the opening or `rules.cover_us` of it. outside: of every permitted geofence, where no event is
    reason enough."""
    end_us = window.seen_us if window.to_us is None else window.to_us
    covered = any(window.from_us - rules.cover_us <= t <= end_us + rules.cover_us for t in event_times)
    if not aboard or (covered and not outside):
        return None
    lacks = "an event that says why the door was open: an opening alone proves nothing"
    return Opportunity(
        code="B5",
        subject=vehicle,
        channel=channel_of(door),
        from_us=window.from_us,
        to_us=window.to_us,
        confirmed=False,
        askable=False,
        lacks="a registered place: an opening alone proves nothing" if covered else lacks,
        units=tuple(sorted(aboard)),
        places=(vehicle,),
        seen=("opened outside every registered place",) if outside else (),
    )


STOP_NAMES = ("compressor", "speed", "defrost")
"""Samples that tell of a stop with the refrigeration unit off."""
IDLE_GAP_US = 5 * MINUTE_US
"""Samples further apart do not tell what happened between."""
STANDING_M_PER_S = 0.5
"""Below it a speed is noise of the receiver."""


def stops(samples: Iterable[tuple[str, int, object]]) -> list[tuple[int, int]]:
    """(from, to) of every stretch of samples (name, time, value), in any order, throughout which the unit was off, not
    defrosting, and the vehicle stood and said so."""
    off: set[int] = set()
    standing: set[int] = set()
    busy: set[int] = set()
    for name, t_us, value in samples:
        if name == "compressor":
            (off if value is False else busy).add(t_us)
        elif name == "speed":
            still = isinstance(value, int | float) and value < STANDING_M_PER_S
            (standing if still else busy).add(t_us)
        elif name == "defrost" and value is True:
            busy.add(t_us)
    found: list[tuple[int, int]] = []
    begun = last = None
    for t_us in sorted(off | standing | busy):
        if t_us in busy or (last is not None and t_us - last > IDLE_GAP_US):
            found += [(begun, last)] if begun is not None and last is not None else []
            begun = last = None
        if t_us in off and t_us not in busy:
            begun, last = (t_us if begun is None else begun), t_us
    found += [(begun, last)] if begun is not None and last is not None else []
    return [(a, b) for a, b in found if any(a <= t_us <= b for t_us in standing)]


def idled(
    vehicle: str,
    device: str,
    stop: tuple[int, int],
    aboard: Sequence[str],
    sealed: Iterable[tuple[int, int | None]],
    rules: Rules,
) -> Opportunity | None:
    """B5 as well: the refrigeration unit off and the vehicle standing for longer than `rules.idle_us` with goods under
    seal."""
    for from_us, to_us in sealed:
        begun, ended = max(stop[0], from_us), stop[1] if to_us is None else min(stop[1], to_us)
        if ended - begun > rules.idle_us and aboard:
            return Opportunity(
                code="B5",
                subject=vehicle,
                channel=channel_of(f"{device} reefer"),
                from_us=begun,
                to_us=ended,
                confirmed=False,
                askable=False,
                lacks="a count, weight or seal that bears it out: a stop alone proves nothing",
                units=tuple(sorted(aboard)),
                places=(vehicle,),
                seen=("stood with its refrigeration unit off, under seal",),
            )
    return None
