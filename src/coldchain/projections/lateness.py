"""How late the messages of each device were in each day of the ledger, and which clocks are told of for it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlalchemy import Connection

from coldchain.db.bulk import fetch, put_rows
from coldchain.db.tables.telemetry import device_delay
from coldchain.domain.lateness import DAY_US, PROMPT_US, QUARTER_US, Behind, Day, behind_us, stretches
from coldchain.projections.device_state import Arrival, Device

KEPT = 10_000
"""Days of devices in memory."""
Least = dict[int, int]
"""By quarter hour of a day, how late the soonest message recorded in it was."""


class Lateness:
    """Fills `device_delay`. One row for each device and day in which it spoke; of a prompt day it says only that."""

    def __init__(self) -> None:
        self._days: dict[tuple[int, int], Least | None] = {}
        """By device and day; None: prompt."""
        self._told: set[int] | None = None
        """Devices that any day tells of."""

    def apply(self, connection: Connection, arrivals: Iterable[Arrival]) -> dict[Device, list[Behind]]:
        """Take what came; by device whose finding may be another for it, all that is told of its clock."""
        if len(self._days) > KEPT:
            self._days.clear()
        changed: dict[tuple[int, int], Device] = {}
        for arrival in arrivals:
            if self._take(connection, arrival):
                changed[arrival.device.no, arrival.at_us // DAY_US] = arrival.device
        return self._written(connection, changed) if changed else {}

    def _take(self, connection: Connection, arrival: Arrival) -> bool:
        """Whether the day says something else for it."""
        known, at_us, last_us = arrival
        key = known.no, at_us // DAY_US
        if key not in self._days:
            self._days[key] = _read(connection, key)
        least = self._days[key]
        if least is None:
            known.prompt_day = key[1]
            return False
        late_us, quarter = at_us - last_us, at_us % DAY_US // QUARTER_US
        if late_us < PROMPT_US:
            self._days[key], known.prompt_day = None, key[1]
            return True
        if late_us >= least.get(quarter, late_us + 1):
            return False
        least[quarter] = late_us
        return True

    def _written(self, connection: Connection, changed: dict[tuple[int, int], Device]) -> dict[Device, list[Behind]]:
        if self._told is None:
            rows = fetch(connection, "SELECT DISTINCT device_no FROM device_delay WHERE behind_us IS NOT NULL")
            self._told = {number for (number,) in rows}
        rows = []
        for key in changed:
            least = self._days[key]
            behind = behind_us(least) if least else None
            rows.append((*key, least is None, "" if least is None else json.dumps(sorted(least.items())), behind))
            if behind is not None:
                self._told.add(key[0])
        put_rows(connection, device_delay, rows)
        concerned = {known for (number, _), known in changed.items() if number in self._told}
        return {known: stretches(_days(connection, known.no)) for known in concerned}


def _read(connection: Connection, key: tuple[int, int]) -> Least | None:
    query = "SELECT is_prompt, least FROM device_delay WHERE device_no = ? AND day = ?"
    for is_prompt, least in fetch(connection, query, *key):
        return None if is_prompt else dict(json.loads(least))
    return {}


def _days(connection: Connection, number: int) -> list[Day]:
    query = "SELECT day, behind_us, is_prompt FROM device_delay WHERE device_no = ? ORDER BY day"
    return [Day(day, behind, bool(is_prompt)) for day, behind, is_prompt in fetch(connection, query, number)]
