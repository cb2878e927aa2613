"""What was stated of devices' sensors: product or air probes, controllers, calibration."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from coldchain.db.queries_events import chunks
from coldchain.db.tables.parties import party
from coldchain.db.tables.telemetry import device_fitting
from coldchain.domain.fittings import Calibration, Fitting
from coldchain.domain.parties import Registration


def fittings_of(connection: Connection, device_nos: Iterable[int] | None = None) -> Mapping[int, tuple[Fitting, ...]]:
    """By device number, ascending in `from_us`; of all devices without `device_nos`. Those of whose sensors nothing was
    ever stated are not there."""
    c = device_fitting.c
    query = select(device_fitting).order_by(c.device_no, c.from_us)
    if device_nos is not None:
        query = query.where(c.device_no.in_(list(device_nos)))
    found: dict[int, tuple[Fitting, ...]] = {}
    for row in connection.execute(query):
        found[row.device_no] = (*found.get(row.device_no, ()), _fitting(row))
    return found


def fitting_orders(connection: Connection, devices: Iterable[str]) -> dict[str, list[Registration]]:
    """Every version of the orders about each of these devices."""
    found: dict[str, list[Registration]] = {}
    c = party.c
    query = select(c.op, c.id, c.n, c.from_us, c.body).where(c.op == "fitting")
    for part in chunks(devices):
        for row in connection.execute(query.where(c.id.in_(part))):
            version = Registration(row.op, row.id, row.n, row.from_us, json.loads(row.body))
            found.setdefault(row.id, []).append(version)
    return found


def _fitting(row: Any) -> Fitting:
    calibration = None if row.certificate is None else Calibration(row.certificate, row.until_us)
    return Fitting(row.from_us, json.loads(row.probes), bool(row.controller), calibration)
