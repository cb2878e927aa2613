"""B5: a vehicle's door open with goods aboard and no event that covers it (domain §3): suspicion, never proof."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.domain.continuity import Opportunity, Rules


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
    vehicle: str, door: str, window: Window, aboard: Sequence[str], event_times: Iterable[int], rules: Rules
) -> Opportunity | None:
    """The opportunity this opening gave, or None where nothing was aboard or an event of the vehicle or of a unit
    aboard lies within the opening or `rules.cover_us` of it."""
    end_us = window.seen_us if window.to_us is None else window.to_us
    covered = any(window.from_us - rules.cover_us <= t <= end_us + rules.cover_us for t in event_times)
    if covered or not aboard:
        return None
    return Opportunity(
        code="B5",
        subject=vehicle,
        channel=door,
        from_us=window.from_us,
        to_us=window.to_us,
        confirmed=False,
        askable=False,
        lacks="an event that says why the door was open: an opening alone proves nothing",
        units=tuple(sorted(aboard)),
        places=(vehicle,),
    )
