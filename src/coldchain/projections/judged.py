"""How the recorded time of each probe was judged: an account in which every microsecond has its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from coldchain.db.tables.telemetry import device, segment
from coldchain.db.tables.verdicts import verdict
from coldchain.domain.devices import BACKWARD
from coldchain.domain.temperature import BREACH, IN_RANGE, UNKNOWN
from coldchain.projections.series import PROBES, Reading, readings

_ALWAYS_US = 2**61


class Judged(NamedTuple):
    """One probe of a device, from its first item to its last. Times in microseconds, temperatures in milli-°C."""

    device: str
    channel: str
    first_us: int
    last_us: int
    values: int
    """Values recorded, faults and repetitions included."""
    times: int
    """Distinct times with a usable one."""
    faults: int
    min_mc: int | None
    max_mc: int | None
    in_range_us: int
    breach_us: int
    unknown_us: int
    unjudged_us: int
    """Time no rule was in force for."""
    gaps: int
    """Stretches of unknown time."""
    longest_gap_us: int

    @property
    def repeated(self) -> int:
        """Usable values at a time that has another one."""
        return self.values - self.faults - self.times


def backward_steps(connection: Connection, device_name: str) -> int:
    """Messages that begin before the one before them ended."""
    query = select(func.count()).where(
        verdict.c.rule == f"device {BACKWARD}", verdict.c.subject == f"dev:{device_name}"
    )
    return connection.scalar(query) or 0


def judged(connection: Connection, device_name: str) -> list[Judged]:
    """By channel; none for a device that says no temperatures."""
    by_probe: dict[str, list[Reading]] = {}
    for one in readings(connection, device_name, -_ALWAYS_US, _ALWAYS_US, PROBES):
        if one.quality != "bad-time":
            by_probe.setdefault(one.name.removeprefix(PROBES), []).append(one)
    return [_account(connection, device_name, probe, found) for probe, found in sorted(by_probe.items())]


def _account(connection: Connection, device_name: str, probe: str, found: Sequence[Reading]) -> Judged:
    usable = [one for one in found if one.quality in ("", "conflict")]
    values = [one.value for one in usable if isinstance(one.value, int)]
    first_us, last_us = min(one.t_us for one in found), max(one.t_us for one in found)
    lasted = dict.fromkeys((IN_RANGE, BREACH, UNKNOWN), 0)
    gaps = []
    for state, length_us in _lengths(connection, device_name, probe, last_us):
        lasted[state] += length_us
        gaps += [length_us] if state == UNKNOWN else []
    return Judged(
        device=device_name,
        channel=probe,
        first_us=first_us,
        last_us=last_us,
        values=len(found),
        times=len({one.t_us for one in usable}),
        faults=len(found) - len(usable),
        min_mc=min(values, default=None),
        max_mc=max(values, default=None),
        in_range_us=lasted[IN_RANGE],
        breach_us=lasted[BREACH],
        unknown_us=lasted[UNKNOWN],
        unjudged_us=last_us - first_us - sum(lasted.values()),
        gaps=len(gaps),
        longest_gap_us=max(gaps, default=0),
    )


def _lengths(connection: Connection, device_name: str, probe: str, until_us: int) -> Iterator[tuple[str, int]]:
    """(state, microseconds) of the segments up to a time."""
    query = (
        select(segment.c.state, segment.c.from_us, segment.c.to_us)
        .join(device, device.c.device_no == segment.c.device_no)
        .where(device.c.device == device_name, segment.c.channel == probe, segment.c.from_us < until_us)
    )
    for state, from_us, to_us in connection.execute(query):
        yield state, min(until_us, until_us if to_us is None else to_us) - from_us
