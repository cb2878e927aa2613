"""B5 as well: a vehicle that stood where no site is registered, with goods aboard under seal (domain §3): suspicion,
never proof. Drivers rest, and maps are not complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from coldchain.domain.continuity import Opportunity, Rules
from coldchain.domain.continuity.model import channel_of
from coldchain.domain.continuity.places import Sites, metres

RADIUS_M = 200
"""Positions no further apart than this are of a vehicle that stands: yards are large, and receivers wander."""
SUFFIX = " halt"
_FAR_E7 = 20_000
"""Degrees of latitude that are more than the radius, whatever the longitude: 223 m."""


class Position(NamedTuple):
    """Where a device was, 1e-7 degree."""

    t_us: int
    lat_e7: int
    lon_e7: int

    def is_near(self, other: Position) -> bool:
        if self.lat_e7 == other.lat_e7 and self.lon_e7 == other.lon_e7:
            return True
        if abs(self.lat_e7 - other.lat_e7) > _FAR_E7:  # nearly always one of these two
            return False
        return metres(self.lat_e7, self.lon_e7, other.lat_e7, other.lon_e7) <= RADIUS_M


def halts(positions: Iterable[Position], gap_us: int) -> list[list[Position]]:
    """Every stretch of positions, in any order, that stay near its first one, none later than `gap_us` after the one
    before."""
    found: list[list[Position]] = []
    for position in sorted(set(positions)):
        stands = found and position.is_near(found[-1][0]) and position.t_us - found[-1][-1].t_us <= gap_us
        if stands:
            found[-1].append(position)
        else:
            found.append([position])
    return found


def halted(
    vehicle: str, device: str, halt: Sequence[Position], aboard: Iterable[str], sites: Sites, rules: Rules
) -> Opportunity | None:
    """The opportunity that standing for longer than `rules.idle_us` outside every registered place gave. None where a
    position lies within one, or nobody had said yet where a place is."""
    from_us, to_us, units = halt[0].t_us, halt[-1].t_us, tuple(sorted(aboard))
    if to_us - from_us <= rules.idle_us or not units or not sites.fenced(from_us):
        return None
    if any(sites.inside_any(one.lat_e7, one.lon_e7, from_us) for one in halt):
        return None
    return Opportunity(
        code="B5",
        subject=vehicle,
        channel=channel_of(f"{device}{SUFFIX}"),
        from_us=from_us,
        to_us=to_us,
        confirmed=False,
        askable=False,
        lacks="a count, weight or seal that bears it out: a stop alone proves nothing",
        units=units,
        places=(vehicle,),
        seen=("stood outside every registered place, under seal",),
    )
