"""ThingsBoard gateway API, telemetry: `{"device": [{"ts": ms, "values": {…}}, …], …}` of `v1/gateway/telemetry`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coldchain.decoders.errors import DecodeError
from coldchain.decoders.vendor_json import MAX_ID, flat, read_object, unix_us
from coldchain.domain.uplinks import Report, Uplink


def read(payload: bytes) -> Uplink:
    """Everything one payload says of all its devices. It has no id of its own. Raises DecodeError."""
    body = read_object(payload)
    reports = tuple(report for device, items in body.items() for report in _reports(device, items))
    if not reports:
        raise DecodeError("expected at least one device with telemetry")
    return Uplink("", reports)


def _reports(device: str, items: Any) -> Iterator[Report]:
    if not 0 < len(device) <= MAX_ID or not isinstance(items, list):
        raise DecodeError(f"{device!r:.100}: expected a device name and a list of its telemetry, found {items!r:.100}")
    for item in items:
        if not isinstance(item, dict):
            raise DecodeError(f"{device!r:.100}: expected an object with ts and values, found {item!r:.100}")
        timed = "values" in item
        values = item["values"] if timed else item  # ThingsBoard takes bare values, too, and times them itself
        if not isinstance(values, dict):
            raise DecodeError(f"{device!r:.100}: values: expected an object, found {values!r:.100}")
        yield Report(device, unix_us(item.get("ts"), 1_000) if timed else 0, tuple(flat(values)))
