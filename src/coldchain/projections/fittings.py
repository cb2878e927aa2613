"""What was stated of each device's sensors, from what orders of a batch say; follows `Parties` on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from coldchain.db.bulk import put_rows, remove_rows
from coldchain.db.queries_fittings import fitting_orders
from coldchain.db.tables.telemetry import device_fitting
from coldchain.domain.fittings import UNSTATED, Fitting, fittings, read_fitting
from coldchain.domain.parties import schedule
from coldchain.services.recorded import Recorded


def fitted(batch: Sequence[Recorded]) -> set[str]:
    """Devices of whose sensors orders of the batch speak."""
    return {
        str(item.body.get("id"))
        for item in batch
        if item.entry.kind == "identity" and isinstance(item.body, Mapping) and item.body.get("op") == "fitting"
    }


def histories(connection: Connection, firsts: Mapping[str, Fitting]) -> dict[str, tuple[Fitting, ...]]:
    """By device: what holds when; nothing where nothing was ever stated. firsts: what newest enrolments say."""
    orders = fitting_orders(connection, firsts)
    found: dict[str, tuple[Fitting, ...]] = {}
    for name, first in firsts.items():
        turns = [read_fitting(turn.stated, turn.from_us) for turn in schedule(orders.get(name, ()))]
        found[name] = fittings(first, turns) if turns or first != UNSTATED else ()
    return found


def write_fittings(connection: Connection, device_no: int, history: tuple[Fitting, ...]) -> None:
    """The rows of a device are its history."""
    remove_rows(connection, device_fitting, [(device_no,)], ("device_no =",))
    put_rows(connection, device_fitting, [_row(device_no, one) for one in history])


def _row(device_no: int, one: Fitting) -> tuple[Any, ...]:
    probes = json.dumps(one.probes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return (device_no, one.from_us, probes, int(one.controller), *(one.calibration or (None, None)))
